package rule_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestEconomics(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, append(shipped, "Quiet|low|b5||", "Off|low|b6||", "Wrong|low|b7||")...)
		s.SetOutcomes(func(_ context.Context, tenant uint32, ids []string) (map[string]rule.Outcomes, error) {
			if tenant != 1 {
				return nil, nil
			}
			return map[string]rule.Outcomes{
				"b1": {Alerts: 60, TruePositives: 9, FalsePositives: 8, Open: 3, Alerts7d: 50},
				"b2": {Alerts: 51, Alerts7d: 51},
				"b3": {Alerts: 5, TruePositives: 2, FalsePositives: 3},
				"b4": {Alerts: 4, FalsePositives: 4},
			}, nil
		})
		s.SetBlind(func(_ context.Context, _ uint32, rules []rule.Active) (map[string]string, error) {
			out := map[string]string{}
			for _, r := range rules {
				if !strings.Contains(r.YAML, r.ID) {
					t.Errorf("asked of %s with the text %q", r.ID, r.YAML)
				}
				if r.ID == "b6" || r.ID == "b1" { // b1 matched just now
					out[r.ID] = "no events of windows have arrived"
				}
			}
			return out, nil
		})
		s.SetProblems(func(tenant uint32) map[string]string {
			return map[string]string{"b7": "needs the list Administrators", "b6": "old news"}
		})
		if _, err := s.Change(ctx, 1, "ann", "b6", rule.Change{Status: rule.Off}); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for _, m := range []struct {
			ago time.Duration
			id  string
			n   int64
		}{{0, "b1", 1}, {100 * time.Hour, "b1", 20}, {500 * time.Hour, "b1", 300}, {0, "b2", 5}, {0, "b3", 1}, {600 * time.Hour, "b4", 400}, {600 * time.Hour, "b6", 1}} {
			if err := s.RecordMatches(ctx, db, now.Add(-m.ago), []rule.Match{{Tenant: 1, RuleID: m.id, Count: m.n}}); err != nil {
				t.Fatal(err)
			}
		}
		hour := now.Unix() / 3600
		if err := s.RecordCost(ctx, db, []rule.Cost{
			{Tenant: 1, RuleID: "b1", Hour: hour, Evaluations: 10, Nanos: 5000},
			{Tenant: 1, RuleID: "b1", Hour: hour - 5, Evaluations: 1, Nanos: 7},
			{Tenant: 1, RuleID: "b1", Hour: hour - 30, Evaluations: 100, Nanos: 900_000},
			{Tenant: 1, RuleID: "b2", Hour: hour, Evaluations: 1, Nanos: 9000},
		}); err != nil {
			t.Fatal(err)
		}
		d, err := s.Get(ctx, 1, "b1")
		if err != nil || d.Matches24h != 1 || d.Matches7d != 21 || d.Matches30d != 321 || d.Outcomes.Alerts != 60 || d.Evaluations != 11 || d.CostNanos != 5007 || d.Health != rule.Well {
			t.Errorf("b1 is %+v, %v", d, err)
		}
		today := d.CreatedAt.Format("2006-01-02")
		for id, want := range map[string]string{
			"b1": "ok: ", "b2": "noisy: 51 alerts in the last 7 days", "b3": "noisy: 3 of its 5 verdicts are false positives", "b4": "ok: ",
			"b5": "neverFired: no match since " + today, "b6": "blind: no events of windows have arrived", "b7": "failing: needs the list Administrators",
		} {
			if d, err := s.Get(ctx, 1, id); err != nil || string(d.Health)+": "+d.HealthReason != want {
				t.Errorf("%s is %s: %s, %v; want %s", id, d.Health, d.HealthReason, err, want)
			}
		}
		for _, tt := range []struct {
			q    rule.Query
			want string
		}{
			{rule.Query{Filter: rule.Filter{Healths: []rule.Health{rule.Noisy}}}, "b2 b3 of 2"},
			{rule.Query{Filter: rule.Filter{Healths: []rule.Health{rule.Blind, rule.Failing, rule.NeverFired}}}, "b5 b6 b7 of 3"},
			{rule.Query{Filter: rule.Filter{Healths: []rule.Health{rule.Noisy}, Severities: []string{"high"}}}, "b3 of 1"},
			{rule.Query{Filter: rule.Filter{Healths: rule.Healths}, Size: 3, Page: 2}, "b7 of 7"},
			{rule.Query{Filter: rule.Filter{Healths: rule.Healths}, Size: 3, Page: 9}, "of 7"},
			{rule.Query{Filter: rule.Filter{Pack: "KYRA"}}, "b1 b2 b3 b4 b5 b6 b7 of 7"},
			{rule.Query{Filter: rule.Filter{Pack: "sigma"}}, "of 0"},
			{rule.Query{Filter: rule.Filter{License: "DRL"}}, "of 0"},
			{rule.Query{Filter: rule.Filter{Staged: new(true)}}, "of 0"},
			{rule.Query{Filter: rule.Filter{Staged: new(false)}, Size: 1}, "b1 of 7"},
		} {
			tt.q.Sort, tt.q.Ascending = "createdAt", true
			p, err := s.List(ctx, 1, tt.q)
			if err != nil || p.Rules == nil {
				t.Fatalf("List(%+v): %v", tt.q, err)
			}
			got := ""
			for _, r := range p.Rules {
				got += r.ID + " "
			}
			if got += fmt.Sprintf("of %d", p.Total); got != tt.want {
				t.Errorf("List(%+v) = %s, want %s", tt.q, got, tt.want)
			}
		}
		for sort, want := range map[string]string{"matches24h": "b2", "matches7d": "b1", "matches30d": "b4", "cost": "b2"} {
			if p, err := s.List(ctx, 1, rule.Query{Sort: sort}); err != nil || p.Rules[0].ID != want {
				t.Errorf("sorted by %s: %+v, %v; want %s first", sort, p, err, want)
			}
		}
		if d, err := s.Get(ctx, 2, "b1"); err != nil || d.Outcomes.Alerts != 0 || d.CostNanos != 0 || d.Matches30d != 0 {
			t.Errorf("another tenant sees %+v, %v", d, err)
		}
		if _, err := s.List(ctx, 1, rule.Query{Filter: rule.Filter{Healths: []rule.Health{"fine"}}}); !errors.Is(err, fault.Invalid) {
			t.Errorf("health fine = %v", err)
		}
	})
}

// A list that must judge every rule stays quick with all of a large catalogue.
func BenchmarkListByHealth(b *testing.B) {
	db := sqldbtest.SQLite(b)
	s := rule.New(db, check)
	var list []rule.Builtin
	for i := range 4000 {
		yaml := fmt.Sprintf("Rule %d|high|r%d|discovery|T1046", i, i)
		m, err := check([]byte(yaml))
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, rule.Builtin{Meta: m, YAML: yaml + strings.Repeat("\n# two kilobytes, as rules have", 64)})
	}
	if _, err := s.Sync(b.Context(), list); err != nil {
		b.Fatal(err)
	}
	var matches []rule.Match
	var costs []rule.Cost
	for i := range 4000 {
		for h := range 24 {
			costs = append(costs, rule.Cost{Tenant: 1, RuleID: fmt.Sprintf("r%d", i), Hour: time.Now().Unix()/3600 - int64(h), Evaluations: 1, Nanos: int64(i)})
		}
		if i%10 == 0 {
			matches = append(matches, rule.Match{Tenant: 1, RuleID: fmt.Sprintf("r%d", i), Count: 1})
		}
	}
	if err := s.RecordCost(b.Context(), db, costs); err != nil {
		b.Fatal(err)
	}
	for h := range 100 {
		if err := db.Tx(b.Context(), func(tx *sqldb.DB) error {
			return s.RecordMatches(b.Context(), tx, time.Now().Add(-time.Duration(h)*time.Hour), matches)
		}); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]rule.Query{
		"page": {}, "cost": {Sort: "cost"}, "matches30d": {Sort: "matches30d"}, "neverFired": {Filter: rule.Filter{Healths: []rule.Health{rule.NeverFired}}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.List(b.Context(), 1, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
