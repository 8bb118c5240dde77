package rule_test

import (
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestIdentity(t *testing.T) {
	plain := rule.Active{ID: "a", Version: 1, Builtin: true, YAML: "x"}
	if plain.Identity(1) != plain.Identity(2) {
		t.Error("the same built-in rule differs from tenant to tenant")
	}
	change := func(f func(*rule.Active)) string {
		a := plain
		f(&a)
		return a.Identity(1)
	}
	seen := map[string]string{plain.Identity(1): "plain"}
	for name, id := range map[string]string{
		"version":   change(func(a *rule.Active) { a.Version = 2 }),
		"own":       change(func(a *rule.Active) { a.Builtin = false }),
		"staged":    change(func(a *rule.Active) { a.Staged = true }),
		"severity":  change(func(a *rule.Active) { a.SeverityOverride = "low" }),
		"exception": change(func(a *rule.Active) { a.Exceptions = []rule.ActiveException{{ID: "e", YAML: "f"}} }),
		"filter":    change(func(a *rule.Active) { a.Exceptions = []rule.ActiveException{{ID: "e", YAML: "g"}} }),
		"until": change(func(a *rule.Active) {
			a.Exceptions = []rule.ActiveException{{ID: "e", YAML: "f", Until: time.Unix(1, 0)}}
		}),
	} {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s are both %q", name, other, id)
		}
		seen[id] = name
	}
	own := rule.Active{ID: "a", Version: 1}
	if own.Identity(1) == own.Identity(2) {
		t.Error("two tenants' own rules of one id are the same")
	}
}

func TestRecordCost(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		hour := time.Now().Unix() / 3600
		var many []rule.Cost
		for i := range 1200 {
			many = append(many, rule.Cost{Tenant: 1, RuleID: shipped[i%4][:5], Hour: hour, Evaluations: 1, Nanos: 10})
		}
		many = append(many, rule.Cost{Tenant: 1, RuleID: "b1", Hour: hour - 100, Evaluations: 5}, rule.Cost{Tenant: 1, RuleID: "idle", Hour: hour})
		for range 2 {
			if err := s.RecordCost(ctx, db, many); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT CAST(sum(nanos) AS BIGINT) FROM rule_cost`); err != nil || n != 24000 {
			t.Errorf("nanoseconds are %d, %v; want 24000", n, err)
		}
		if n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT count(*) FROM rule_cost`); err != nil || n != 4 {
			t.Errorf("%d rows, %v; want 4: the old hour and the idle rule go", n, err)
		}
	})
}

func TestRecordStagedIsBounded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		at := time.Now().UnixNano()
		var findings []rule.Staged
		for i := range 510 {
			findings = append(findings, rule.Staged{Tenant: 1, RuleID: "b1", Key: "ip=" + event.ID{Index: uint32(i)}.String(), Count: 2, First: at, Last: at, Events: []event.ID{{Index: uint32(i)}}})
		}
		for i := range 70 {
			findings = append(findings, rule.Staged{Tenant: 1, RuleID: "b2", Key: "k", Count: 1, First: at + int64(i)*24*int64(time.Hour), Last: at + int64(i)*24*int64(time.Hour), Events: []event.ID{{Index: uint32(i)}}})
		}
		if err := db.Tx(ctx, func(tx *sqldb.DB) error { return s.RecordStaged(ctx, tx, findings) }); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]int64{
			`SELECT n FROM rule_staged WHERE rule_id = 'b1'`:                  1020,
			`SELECT unkept FROM rule_staged WHERE rule_id = 'b1'`:             20,
			`SELECT alerts FROM rule_staged WHERE rule_id = 'b1'`:             500,
			`SELECT count(*) FROM rule_staged_key WHERE rule_id = 'b1'`:       500,
			`SELECT count(*) FROM rule_staged_day WHERE rule_id = 'b2'`:       60,
			`SELECT alerts FROM rule_staged WHERE rule_id = 'b2'`:             70,
			`SELECT length(events) FROM rule_staged_key WHERE rule_id = 'b2'`: int64(10*len(event.ID{}.String()) + 9),
		} {
			if n, err := sqldb.One(ctx, db, sqldb.Value[int64], query); err != nil || n != want {
				t.Errorf("%s: %d, %v; want %d", query, n, err, want)
			}
		}
	})
}
