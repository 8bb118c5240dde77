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

// TestSilence: what is missing is found when time passes, and only then.
func TestSilence(t *testing.T) {
	fsys := os.DirFS("testdata/silence")
	x, err := Load(fsys, "beat.yml")
	if err != nil {
		t.Fatal(err)
	}
	results, err := x.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Failure != "" {
			t.Errorf("%s: %s", r.Name, r.Failure)
		}
	}
	if _, err := Load(fsys, "bad.yml"); err == nil || !strings.Contains(err.Error(), "must be a time such as") {
		t.Errorf("a silence of no length gives %v", err)
	}
}
