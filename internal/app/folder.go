package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sole"
)

// A folder is the data folder, held by one server at a time.
type folder struct {
	path string
	lock *os.File
}

// openFolder makes the data folder where it is missing and locks it.
func openFolder(path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	lock, err := sole.Lock(filepath.Join(path, "lock"))
	if errors.Is(err, sole.ErrHeld) {
		return nil, fault.New(fault.Conflict, "another kyra works in %s: stop it, or choose another folder with --data", path)
	}
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	return &folder{path: path, lock: lock}, nil
}

func (f *folder) in(name string) string { return filepath.Join(f.path, name) }

func (f *folder) close() error { return f.lock.Close() }
