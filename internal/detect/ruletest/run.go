package ruletest

import (
	"io/fs"
	"path"
	"strings"
	"testing"
)

// RunDir tests every rule file (*.yml) of fsys, each log as a subtest.
func RunDir(t *testing.T, fsys fs.FS) {
	t.Helper()
	rules := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yml" {
			return err
		}
		rules++
		t.Run(strings.TrimSuffix(name, ".yml"), func(t *testing.T) {
			t.Parallel()
			runFile(t, fsys, name)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rules == 0 {
		t.Error("there are no rule files")
	}
}

func runFile(t *testing.T, fsys fs.FS, name string) {
	x, err := Load(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	results, err := x.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(r.Name, func(t *testing.T) {
			if r.Failure != "" {
				t.Error(r.Failure)
			}
		})
	}
}
