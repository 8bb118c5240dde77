package alert

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// What a rule says of its author, licence and origin stays with the alert as it was
// when the alert was made, and what hostile content says is bounded.
func TestRuleOfAnAlertIsKept(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		f := bruteForce(attack, 1, "10.0.1.55", "root")
		f.Rule = RuleRef{ID: "r", Name: "n", Author: "Kim \x00Lee", License: "DRL 1.1", Origin: "https://example.org/rules/r.yml", Version: 7}
		a := record(t, s, server, f)[0].Alert
		f.Rule.Author, f.Rule.License, f.Rule.Version = "other", "MIT", 8
		record(t, s, server, f)
		d, err := s.Get(t.Context(), 1, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := RuleRef{ID: "r", Name: "n", Author: "Kim  Lee", License: "DRL 1.1", Origin: "https://example.org/rules/r.yml", Version: 7}
		if diff := cmp.Diff(want, d.Rule); diff != "" || d.Occurrences != 2 {
			t.Errorf("%d occurrences, rule %s", d.Occurrences, diff)
		}
		for alert, err := range s.Stream(t.Context(), 1, Filter{}) {
			if err != nil || alert.Rule != want {
				t.Errorf("export has %+v, %v", alert.Rule, err)
			}
		}
	})
}

func TestByRule(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		find := func(tenant uint32, rule, ip string) string {
			f := bruteForce(attack, 1, ip, "root")
			f.Tenant, f.Rule.ID = tenant, rule
			return record(t, s, server, f)[0].Alert.ID
		}
		patch := func(id string, p Patch) {
			t.Helper()
			if _, err := s.Patch(t.Context(), 1, "kim", id, p); err != nil {
				t.Fatal(err)
			}
		}
		find(2, "a", "10.0.0.1") // another tenant's
		find(1, "a", "10.0.0.1")
		patch(find(1, "a", "10.0.0.2"), Patch{Verdict: new(TruePositive), Status: new(Resolved)})
		patch(find(1, "a", "10.0.0.3"), Patch{Verdict: new(FalseAlarm)})
		patch(find(1, "a", "10.0.0.4"), Patch{Status: new(FalsePositive)})
		changed := find(1, "a", "10.0.0.5")
		patch(changed, Patch{Verdict: new(FalseAlarm), Status: new(FalsePositive)})
		patch(changed, Patch{Verdict: new(Undecided), Status: new(InProgress)})
		find(1, "b", "10.0.0.1")
		want := map[string]RuleCounts{"a": {Alerts: 5, Open: 3, TruePositives: 1, FalsePositives: 2}, "b": {Alerts: 1, Open: 1}}
		all, err := s.ByRule(t.Context(), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, all); diff != "" {
			t.Error(diff)
		}
		some, err := s.ByRule(t.Context(), 1, []string{"a", "x"})
		if err != nil {
			t.Fatal(err)
		}
		delete(want, "b")
		if diff := cmp.Diff(want, some); diff != "" {
			t.Error(diff)
		}
		if _, err := sqldb.Exec(t.Context(), db, `DELETE FROM alert WHERE tenant = 1`); err != nil {
			t.Fatal(err)
		}
		if all, err = s.ByRule(t.Context(), 1, nil); err != nil || len(all) != 0 {
			t.Errorf("after all are deleted: %v, %v", all, err)
		}
	})
}
