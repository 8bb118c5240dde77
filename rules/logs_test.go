package rules_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/detect/ruletest"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/rules"
)

// TestLogs runs each rule over the logs beside it. A rule without logs fails.
func TestLogs(t *testing.T) {
	t.Parallel()
	ruletest.RunDir(t, os.DirFS("."))
}

// TestDescriptions: what an alert says must have no hole. Each field of a rule's
// template is filled, and an entity found, by every log that must raise it.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	for _, path := range paths(t) {
		x, err := ruletest.Load(os.DirFS("."), path)
		if err != nil {
			t.Error(err)
			continue
		}
		results, err := x.Run()
		if err != nil {
			t.Error(err)
			continue
		}
		for _, r := range results {
			if !r.Positive || len(r.Findings) == 0 {
				continue
			}
			f := r.Findings[0]
			for _, name := range sigma.TemplateFields(f.Description) {
				if name != "count" && len(f.Values[name]) == 0 {
					t.Errorf("%s: %s: {%s} stays empty in %q", path, r.Name, name, f.Description)
				}
			}
			// What is missing has no entity but that of its group.
			missing := x.Rule.Correlation != nil && x.Rule.Correlation.Condition.Op == "lt"
			if f.Key == "" || strings.HasPrefix(f.Key, "=") || len(f.Entities) == 0 && !missing {
				t.Errorf("%s: %s: key %q, entities %v", path, r.Name, f.Key, f.Entities)
			}
		}
	}
}

// TestNegativesReach: a log that must not raise a rule proves nothing if the rule
// never looks at it. One of its events at least is of a log source that the rule, or
// what it counts, is for.
func TestNegativesReach(t *testing.T) {
	t.Parallel()
	for _, path := range paths(t) {
		x, err := ruletest.Load(os.DirFS("."), path)
		if err != nil {
			t.Error(err)
			continue
		}
		set, _ := detect.Compile(x.Rules)
		for _, l := range x.Logs {
			if !l.Positive && !reaches(set, l) {
				t.Errorf("%s: no event of %s is of the rule's log source", path, l.Name)
			}
		}
	}
}

func reaches(set *detect.Ruleset, l ruletest.Log) bool {
	parser := parse.New(parse.Options{})
	for _, line := range l.Lines {
		var e event.Event
		parser.Parse(&parse.Record{Raw: line, Source: l.Source, Arrived: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixNano()}, &e)
		for _, x := range set.Explain(&e) {
			if x.LogSource.Holds {
				return true
			}
		}
	}
	return false
}

func paths(t *testing.T) []string {
	t.Helper()
	out, err := fs.Glob(rules.FS, "*/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	return out
}
