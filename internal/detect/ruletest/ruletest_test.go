package ruletest

import (
	"os"
	"strings"
	"testing"
)

func TestRunDir(t *testing.T) { RunDir(t, os.DirFS("testdata/ok")) }

// TestFailures: a runner that calls wrong logs right would be worth nothing.
func TestFailures(t *testing.T) {
	fsys := os.DirFS("testdata/bad")
	x, err := Load(fsys, "wrong.yml")
	if err != nil {
		t.Fatal(err)
	}
	results, err := x.Run()
	if err != nil || len(results) != 2 {
		t.Fatalf("results %v, error %v", results, err)
	}
	for i, want := range []string{"it must raise", "it must not raise"} {
		if !strings.HasPrefix(results[i].Failure, want) {
			t.Errorf("%s: failure is %q, want one that begins with %q", results[i].Name, results[i].Failure, want)
		}
	}
	for name, want := range map[string]string{"nologs.yml": "read logs", "onesided.yml": "at least one positive", "section.yml": `section "maybe/two.log"`} {
		if _, err := Load(fsys, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%s) gives %v, want an error with %q", name, err, want)
		}
	}
}
