//go:build !windows

package spool

import (
	"errors"
	"os"
)

// syncFolder makes the names in a folder survive a crash.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
