//go:build !windows

package source

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// openShared opens a file that others write, rename and remove.
func openShared(path string) (*os.File, error) { return os.Open(path) }

// fileID names a file whatever it is called.
func fileID(_ string, info os.FileInfo) (string, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("the system does not number its files")
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), nil
}
