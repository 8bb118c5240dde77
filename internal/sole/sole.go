// Package sole lets one process at a time work in a folder: it holds the lock of a file
// there, which its end frees however it ends.
package sole

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrHeld is what Lock returns where another process holds the lock.
var ErrHeld = errors.New("locked by another process")

// Lock makes the file where it is missing and takes its lock, until it is closed.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, f.Close()))
	}
	return f, nil
}
