package rules_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/detect/ruletest"
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
	paths, err := fs.Glob(rules.FS, "*/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
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
