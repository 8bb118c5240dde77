package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// totalBytes is the size of the file system that path lies on.
func totalBytes(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("look at the disk: %w", err)
	}
	return s.Blocks * uint64(s.Bsize), nil //nolint:gosec // a size is not negative
}

// encryptedDisk tells whether the device that path lies on is encrypted by the kernel
// (dm-crypt), alone or through what lies between, and how that is known.
func encryptedDisk(path string) (bool, string) {
	info, err := os.Stat(path)
	if err != nil {
		return false, "the disk cannot be looked at"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false, "the disk cannot be looked at"
	}
	device := filepath.Join("/sys/dev/block", fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if kind := cryptOf(device, 8); kind != "" {
		return true, kind
	}
	return false, "no dm-crypt is seen below the file system"
}

// cryptOf returns the kind of encryption of a device or of all those below it, "" for none.
func cryptOf(device string, depth int) string {
	if depth == 0 {
		return ""
	}
	if id, err := os.ReadFile(filepath.Join(device, "dm", "uuid")); err == nil {
		if kind, ok := strings.CutPrefix(string(id), "CRYPT-"); ok {
			kind, _, _ = strings.Cut(kind, "-")
			return "dm-crypt " + kind
		}
	}
	below, err := filepath.Glob(filepath.Join(device, "slaves", "*"))
	if err != nil || len(below) == 0 {
		return ""
	}
	kind := ""
	for _, b := range below {
		if kind = cryptOf(b, depth-1); kind == "" {
			return "" // a part of it is plain
		}
	}
	return kind
}
