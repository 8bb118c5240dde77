package content

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const corpus = "../../../shared/data/sigma-rules.tar.gz"

// TestImportSigmaHQ imports the whole public rule set, twice, and once more for a
// dry run.
func TestImportSigmaHQ(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of rules")
	}
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("the public rules are not here: ", err)
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := setup(t, db)
		run := func(o Options) (*Report, time.Duration) {
			t.Helper()
			began := time.Now()
			tree, err := Open(corpus, Sigma())
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.importer.Import(t.Context(), 2, "tester", tree, Sigma(), o)
			if err != nil {
				t.Fatal(err)
			}
			return r, time.Since(began)
		}
		dry, took := run(Options{DryRun: true})
		t.Logf("dry run: %v", took)
		if dry.Created < 3750 || !dry.DryRun {
			t.Errorf("a dry run would create %d rules", dry.Created)
		}
		if all, _, err := s.rules.Active(t.Context(), 2); err != nil || len(all) != 0 {
			t.Fatalf("a dry run left %d rules, %v", len(all), err)
		}
		r, took := run(Options{})
		t.Logf("first import: %v: %d loaded, %d blind, %d refused", took, r.Loaded, len(r.Blind), len(r.Refused))
		if r.Loaded < 3750 || r.Loaded != r.Created || r.Source != sigmaHQ || r.License != DRL || r.Pack != "sigma-rules" {
			t.Errorf("%d loaded, %d created, source %q, licence %q, pack %q", r.Loaded, r.Created, r.Source, r.License, r.Pack)
		}
		for _, x := range r.Refused {
			t.Logf("refused: %s:%d:%d: %s", x.File, x.Line, x.Column, x.Reason)
		}
		if len(r.Blind) != r.Loaded {
			t.Errorf("nothing arrives, and %d of %d rules are blind", len(r.Blind), r.Loaded)
		}
		if len(r.Lists) != 1 || r.Lists[0].Name != "known_cdcs" {
			t.Errorf("rules need the lists %v", r.Lists)
		}
		active, generation, err := s.rules.Active(t.Context(), 2)
		if err != nil || len(active) != r.Loaded {
			t.Fatalf("%d rules are active, %v", len(active), err)
		}
		for _, a := range active {
			if a.License != DRL || !strings.HasPrefix(a.Origin, "https://github.com/SigmaHQ/sigma/blob/HEAD/rules") {
				t.Fatalf("rule %s: licence %q, origin %q", a.ID, a.License, a.Origin)
			}
		}
		again, took := run(Options{Prune: true})
		t.Logf("second import: %v", took)
		if again.Unchanged != r.Loaded || len(again.Gone) != 0 {
			t.Errorf("the second time %d are unchanged, %d gone", again.Unchanged, len(again.Gone))
		}
		if g, _ := s.rules.Generation(t.Context(), 2); g != generation {
			t.Error("an import that changed nothing makes every matcher compile anew")
		}
		high, _ := run(Options{DryRun: true, MinLevel: "high", Status: rule.Draft, Prune: true})
		if len(high.Skipped) != 1 || high.Skipped[0].Count < 1000 || len(high.Gone) != 0 {
			t.Errorf("with high as the least level: skipped %v, gone %d", high.Skipped, len(high.Gone))
		}
	})
}
