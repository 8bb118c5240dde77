package rule_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestMappings(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := synced(t, db, shipped...)
		if _, err := s.Change(t.Context(), 1, "ann", "b3", rule.Change{Status: rule.Off}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(t.Context(), 1, "ann", rule.Change{YAML: []byte("Mine|low|own|impact"), Status: rule.Draft, Staged: new(true)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(t.Context(), 2, "bob", rule.Change{YAML: []byte("Other|low|other||")}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Mappings(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		want := []rule.Mapping{
			{ID: "b1", Name: "Brute Force", Tactics: []string{"credential-access"}, Techniques: []string{"T1110"}},
			{ID: "b2", Name: "Password Guessing", Tactics: []string{"credential-access"}, Techniques: []string{"T1110.001"}},
			{ID: "b4", Name: "Web 100% shell_x", Tactics: []string{"persistence"}, Techniques: []string{"T1505.003"}},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}
