package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/collector/spool"
)

// managed is the configuration that the server pushed. It is one file, so that a
// crash leaves the old set or the new one; the files beside it are for people.
type managed struct {
	Revision string            `json:"revision"`
	Files    map[string]string `json:"files"`
}

func readManaged(p Paths) (managed, error) {
	var m managed
	text, err := os.ReadFile(filepath.Join(p.managed(), "current.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("read the pushed configuration: %w", err)
	}
	return m, nil
}

func (m managed) write(p Paths) error {
	if err := os.MkdirAll(filepath.Join(p.managed(), "sources.d"), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := spool.WriteFile(filepath.Join(p.managed(), "current.json"), text, 0o600); err != nil {
		return err
	}
	shown, _ := filepath.Glob(filepath.Join(p.managed(), "sources.d", "*.yaml"))
	for _, old := range shown {
		if _, ok := m.Files["sources.d/"+filepath.Base(old)]; !ok {
			err = errors.Join(err, os.Remove(old))
		}
	}
	for name, text := range m.Files {
		err = errors.Join(err, os.WriteFile(filepath.Join(p.managed(), filepath.FromSlash(name)), []byte(text), 0o600))
	}
	return err
}

var pushedName = regexp.MustCompile(`^sources\.d/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\.yaml$`)

// checkPushed refuses names that would leave the folder, and too much of it.
func checkPushed(c *protocol.Config) error {
	if c.Revision == "" || len(c.Files) > 200 {
		return errors.New("the pushed configuration has no revision, or more than 200 files")
	}
	for name := range c.Files {
		if !pushedName.MatchString(name) {
			return fmt.Errorf("pushed file %q: allowed are names such as sources.d/web.yaml", name)
		}
	}
	return nil
}
