package collector

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kyra-mdr/kyra/internal/collector/spool"
)

// Waiting counts the records that a stopped or running collector has not sent yet.
func Waiting(p Paths) (int64, error) {
	if _, err := os.Stat(p.spool()); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return spool.Count(p.spool())
}

// Remove deletes identity, spool and all other state. No collector may be running.
func Remove(p Paths) error {
	lock, err := takeLock(p.lock())
	if err != nil {
		return err
	}
	lock.Close()
	for _, path := range []string{p.identity(), p.spool(), p.managed(), p.control(), p.lock(), filepath.Join(p.State, "enrolling.key"), filepath.Join(p.State, "collector.log"), filepath.Join(p.State, "collector.log.1")} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove state: %w", err)
		}
	}
	_ = os.Remove(p.State) // stays where it holds files of others
	return nil
}
