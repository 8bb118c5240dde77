//go:build !windows

package app

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freeBytes returns the space that an unprivileged writer has left at path.
func freeBytes(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return s.Bavail * uint64(s.Bsize), nil //nolint:gosec // a block size is positive
}
