package rule_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// check reads "title|level|id|tactic|technique…", enough of a rule for the catalogue.
func check(yaml []byte) (rule.Meta, error) {
	part := strings.Split(string(bytes.TrimSpace(yaml)), "|")
	if len(part) < 4 {
		return rule.Meta{}, fault.New(fault.Invalid, "line 1: not a rule").In("yaml")
	}
	m := rule.Meta{Name: part[0], Severity: part[1], ID: part[2], Type: "detection", Description: "About " + part[0], Techniques: part[4:]}
	if part[3] != "" {
		m.Tactics = []string{part[3]}
	}
	return m, nil
}

func builtin(t *testing.T, yaml string) rule.Builtin {
	t.Helper()
	m, err := check([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return rule.Builtin{Meta: m, YAML: yaml}
}

var shipped = []string{
	"Brute Force|high|b1|credential_access|T1110",
	"Password Guessing|medium|b2|credential-access|T1110.001",
	"SYN Scan|high|b3|discovery|T1046",
	"Web 100% shell_x|critical|b4|persistence|T1505.003",
}

func synced(t *testing.T, db *sqldb.DB, yamls ...string) *rule.Service {
	t.Helper()
	s := rule.New(db, check)
	var list []rule.Builtin
	for _, y := range yamls {
		list = append(list, builtin(t, y))
	}
	if _, err := s.Sync(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	return s
}

func active(t *testing.T, s *rule.Service, tenant uint32) (string, uint64) {
	t.Helper()
	list, generation, err := s.Active(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range list {
		ids = append(ids, fmt.Sprintf("%s@%d", r.ID, r.Version))
	}
	if again, err := s.Generation(t.Context(), tenant); err != nil || again != generation {
		t.Errorf("Generation = %d, %v; Active says %d", again, err, generation)
	}
	return strings.Join(ids, " "), generation
}

func TestSync(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		ids, generation := active(t, s, 1)
		if ids != "b1@1 b2@1 b3@1 b4@1" {
			t.Errorf("active: %s", ids)
		}
		list := []rule.Builtin{builtin(t, shipped[0]), builtin(t, "Password Guessing v2|low|b2|credential-access|T1110"), builtin(t, shipped[3]), builtin(t, "New|low|b5||")}
		list[3].Status = rule.Off
		if n, err := s.Sync(ctx, list); err != nil || n != 3 {
			t.Errorf("Sync changed %d, %v; want 3: one changed, one new, one gone", n, err)
		}
		after, later := active(t, s, 1)
		if after != "b1@1 b2@2 b4@1" || later <= generation {
			t.Errorf("active: %s, generation %d after %d", after, later, generation)
		}
		if n, err := s.Sync(ctx, list); err != nil || n != 0 {
			t.Errorf("Sync of the same changed %d, %v", n, err)
		}
		if _, same := active(t, s, 1); same != later {
			t.Errorf("generation rose from %d to %d for nothing", later, same)
		}
		// Rules that were there before licences were kept.
		list[0].License = "Apache-2.0"
		if n, err := s.Sync(ctx, list); err != nil || n != 1 {
			t.Errorf("Sync with a licence changed %d, %v", n, err)
		}
		if a := activeRule(t, s, 1, "b1"); a.License != "Apache-2.0" || a.Version != 1 {
			t.Errorf("b1 runs as %+v", a)
		}
		versions := versionsOf(t, s, "b2")
		if len(versions) != 2 || versions[0].Version != 2 || versions[0].Actor != audit.System {
			t.Errorf("versions are %+v", versions)
		}
		// A rule that comes back goes on counting.
		synced(t, db, shipped...)
		if ids, _ := active(t, s, 1); ids != "b1@1 b2@3 b3@2 b4@1" {
			t.Errorf("active: %s", ids)
		}
		for name, bad := range map[string][]rule.Builtin{
			"twice":    {builtin(t, shipped[0]), builtin(t, shipped[0])},
			"no id":    {builtin(t, "x|low|||")},
			"severity": {builtin(t, "x|urgent|b||")},
		} {
			if _, err := s.Sync(ctx, bad); err == nil {
				t.Errorf("Sync with %s went through", name)
			}
		}
	})
}

func TestSyncAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { synced(t, db, shipped...) })
		}
		all.Wait()
		if ids, _ := active(t, rule.New(db, check), 1); ids != "b1@1 b2@1 b3@1 b4@1" {
			t.Errorf("active: %s", ids)
		}
	})
}

func TestOwnRules(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped[0])
		d, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte("Mine|Informational||discovery|T1046"), Status: "draft"})
		if err != nil {
			t.Fatal(err)
		}
		if d.ID == "" || d.Severity != "info" || d.Status != rule.Draft || d.Version != 1 || d.Builtin || d.Name != "Mine" || d.YAML == "" || d.LastMatchAt != nil {
			t.Errorf("rule is %+v", d)
		}
		if ids, _ := active(t, s, 1); ids != "b1@1" {
			t.Errorf("a draft is active: %s", ids)
		}
		_, before := active(t, s, 1)
		_, other := active(t, s, 2)
		if d, err = s.Change(ctx, 1, "ann", d.ID, rule.Change{Status: rule.On}); err != nil || d.Status != rule.On {
			t.Errorf("SetStatus = %+v, %v", d, err)
		}
		ids, generation := active(t, s, 1)
		if !strings.Contains(ids, d.ID+"@1") || generation <= before {
			t.Errorf("active: %s, generation %d after %d", ids, generation, before)
		}
		if _, same := active(t, s, 2); same != other {
			t.Error("another tenant's generation rose")
		}
		if d, err = s.Change(ctx, 1, "bob", d.ID, rule.Change{YAML: []byte("Mine 2|low||discovery|T1046"), Version: 1}); err != nil || d.Version != 2 || d.Name != "Mine 2" || d.Severity != "low" {
			t.Errorf("Update = %+v, %v", d, err)
		}
		if _, err := s.Change(ctx, 1, "bob", d.ID, rule.Change{YAML: []byte("Mine 3|low||"), Version: 1}); !errors.Is(err, fault.Conflict) {
			t.Errorf("Update on an old version = %v, want Conflict", err)
		}
		if _, err := s.Change(ctx, 1, "bob", d.ID, rule.Change{YAML: []byte("Mine 3|low|b1|"), Version: 0}); !errors.Is(err, fault.Invalid) {
			t.Errorf("Update with another id = %v, want Invalid", err)
		}
		versions := versionsOf(t, s, d.ID)
		if len(versions) != 2 || versions[0].Actor != "bob" || versions[1].Actor != "ann" {
			t.Errorf("versions are %+v", versions)
		}
		if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte("X|low|b1|"), Status: rule.On}); !errors.Is(err, fault.Conflict) {
			t.Errorf("Create with a built-in id = %v, want Conflict", err)
		}
		for name, y := range map[string]string{"syntax": "x", "level": "x|urgent||", "title": "|low||", "UTF-8": "x\xff|low||", "NUL": "x\x00|low||", "id": "x|low|a b|"} {
			if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte(y), Status: rule.On}); !errors.Is(err, fault.Invalid) {
				t.Errorf("Create with bad %s = %v, want Invalid", name, err)
			}
		}
		if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: make([]byte, 1<<20+1), Status: rule.On}); !errors.Is(err, fault.TooLarge) {
			t.Errorf("Create of a huge rule = %v, want TooLarge", err)
		}
		if err := s.Delete(ctx, 1, "ann", d.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, 1, d.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("Get of a deleted rule = %v", err)
		}
		if _, total, err := audit.List(ctx, db, 1, audit.Filter{Object: d.ID}); err != nil || total != 4 {
			t.Errorf("audit has %d entries, %v; want 4", total, err)
		}
	})
}

func TestRulesOfOthers(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped[0])
		own, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte("Mine|low||"), Status: rule.On})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{own.ID, "nope", "", "\x00", "\xff"} {
			for name, err := range map[string]error{
				"Get":       second(s.Get(ctx, 2, id)),
				"SetStatus": second(s.Change(ctx, 2, "eve", id, rule.Change{Status: rule.Off})),
				"Update":    second(s.Change(ctx, 2, "eve", id, rule.Change{YAML: []byte("X|low||"), Version: 0})),
				"Versions":  third(s.Versions(ctx, 2, id, 0, 0)),
				"Delete":    s.Delete(ctx, 2, "eve", id),
			} {
				if !errors.Is(err, fault.NotFound) {
					t.Errorf("%s(%q) by another tenant = %v, want NotFound", name, id, err)
				}
			}
		}
		// Built-in rules: everybody may turn them off for himself, nobody may change them.
		if _, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Status: rule.Off}); err != nil {
			t.Fatal(err)
		}
		if ids, _ := active(t, s, 1); strings.Contains(ids, "b1@") {
			t.Errorf("active of tenant 1: %s", ids)
		}
		if ids, _ := active(t, s, 2); ids != "b1@1" {
			t.Errorf("active of tenant 2: %s", ids)
		}
		if _, err := s.Change(ctx, 1, "ann", "b1", rule.Change{YAML: []byte("X|low||"), Version: 0}); !errors.Is(err, fault.Forbidden) {
			t.Errorf("Update of a built-in rule = %v, want Forbidden", err)
		}
		if err := s.Delete(ctx, 1, "ann", "b1"); !errors.Is(err, fault.Forbidden) {
			t.Errorf("Delete of a built-in rule = %v, want Forbidden", err)
		}
		if _, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Status: "GONE"}); !errors.Is(err, fault.Invalid) {
			t.Errorf("SetStatus = %v, want Invalid", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }

func versionsOf(t *testing.T, s *rule.Service, id string) []rule.Version {
	t.Helper()
	all, total, err := s.Versions(t.Context(), 1, id, 0, 0)
	if err != nil || int64(len(all)) != total {
		t.Fatalf("%d versions of %d, %v", len(all), total, err)
	}
	return all
}

func TestList(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte("mine|low|own|discovery|T1046"), Status: rule.Draft}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(ctx, 2, "bob", rule.Change{YAML: []byte("other|low|other|discovery|T1046"), Status: rule.On}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Change(ctx, 1, "ann", "b3", rule.Change{Status: rule.Off}); err != nil {
			t.Fatal(err)
		}
		yes := true
		for _, tt := range []struct {
			filter rule.Filter
			want   string
		}{
			{rule.Filter{}, "b1 b2 b3 b4 own"},
			{rule.Filter{Mitre: "T1110"}, "b1 b2"},
			{rule.Filter{Mitre: "t1110.001"}, "b2"},
			{rule.Filter{Mitre: "T111"}, ""},
			{rule.Filter{Mitre: "TA0006"}, "b1 b2"},
			{rule.Filter{Mitre: "credential-access"}, "b1 b2"},
			{rule.Filter{Mitre: "credential_access"}, "b1 b2"},
			{rule.Filter{Mitre: "Credential Access"}, "b1 b2"},
			{rule.Filter{Search: "brute"}, "b1"},
			{rule.Filter{Search: "CREDENTIAL ACCESS"}, "b1 b2"},
			{rule.Filter{Search: "ta0007"}, "b3 own"},
			{rule.Filter{Search: "T1046"}, "b3 own"},
			{rule.Filter{Search: "%"}, "b4"},
			{rule.Filter{Search: "_"}, "b4"},
			{rule.Filter{Search: "about syn"}, "b3"},
			{rule.Filter{Severities: []string{"HIGH", "low"}}, "b1 b3 own"},
			{rule.Filter{Statuses: []rule.Status{"inactive", rule.Draft}}, "b3 own"},
			{rule.Filter{Builtin: &yes, Severities: []string{"low"}}, ""},
			{rule.Filter{Search: "\x00"}, ""},
		} {
			var got []string
			q := rule.Query{Filter: tt.filter, Sort: "name", Ascending: true, Size: 2}
			for ; ; q.Page++ {
				p, err := s.List(ctx, 1, q)
				if err != nil {
					t.Fatalf("List(%+v): %v", q, err)
				}
				if want := int64(len(strings.Fields(tt.want))); p.Total != want || p.Rules == nil {
					t.Errorf("List(%+v): total %d, want %d", q, p.Total, want)
				}
				for _, r := range p.Rules {
					got = append(got, r.ID)
				}
				if len(p.Rules) == 0 {
					break
				}
			}
			// By name: Brute, mine, Password, SYN, Web.
			var want []string
			for _, id := range []string{"b1", "own", "b2", "b3", "b4"} {
				if strings.Contains(" "+tt.want+" ", " "+id+" ") {
					want = append(want, id)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("List(%+v): %s", tt.filter, diff)
			}
		}
		for sort, want := range map[string]string{"severity": "b4 b3 b1 b2 own", "createdAt": "own", "status": "own b3", "updatedAt": "b3 own", "": "own"} {
			p, err := s.List(ctx, 1, rule.Query{Sort: sort})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range p.Rules {
				got = append(got, r.ID)
			}
			if !strings.HasPrefix(strings.Join(got, " "), want) {
				t.Errorf("sorted by %q: %v, want %s", sort, got, want)
			}
		}
		for name, q := range map[string]rule.Query{"size": {Size: 101}, "page": {Page: -1}, "sort": {Sort: "DROP"}, "severity": {Filter: rule.Filter{Severities: []string{"x"}}}, "status": {Filter: rule.Filter{Statuses: []rule.Status{"x"}}}} {
			if _, err := s.List(ctx, 1, q); !errors.Is(err, fault.Invalid) {
				t.Errorf("List with bad %s = %v, want Invalid", name, err)
			}
		}
	})
}

func TestRecordMatches(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		now := time.Now().UTC().Truncate(time.Microsecond)
		for _, m := range []struct {
			at time.Time
			n  int64
		}{{now.Add(-800 * time.Hour), 1000}, {now.Add(-25 * time.Hour), 100}, {now.Add(-23 * time.Hour), 10}, {now, 1}, {now.Add(-time.Minute), 1}} {
			if err := s.RecordMatches(ctx, db, m.at, []rule.Match{{Tenant: 1, RuleID: "b1", Count: m.n}, {Tenant: 2, RuleID: "b1", Count: 7}}); err != nil {
				t.Fatal(err)
			}
		}
		d, err := s.Get(ctx, 1, "b1")
		if err != nil || d.LastMatchAt == nil || !d.LastMatchAt.Equal(now) || d.Matches24h != 12 {
			t.Errorf("rule is %+v, %v", d, err)
		}
		if n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT count(*) FROM rule_match WHERE tenant = 1 AND hour < $1`, now.Unix()/3600-31*24); err != nil || n != 0 {
			t.Errorf("%d old hours are kept, %v", n, err)
		}
		p, err := s.List(ctx, 1, rule.Query{Sort: "matches24h"})
		if err != nil || p.Rules[0].ID != "b1" || p.Rules[0].Matches24h != 12 {
			t.Errorf("List = %+v, %v", p, err)
		}
	})
}

func TestTactic(t *testing.T) {
	for in, want := range map[string]string{"TA0006": "credential-access", "ta0006": "credential-access", "Credential Access": "credential-access", "credential_access": "credential-access", "Nothing Known": "nothing-known", "": ""} {
		if got := rule.Tactic(in); got != want {
			t.Errorf("Tactic(%q) = %q, want %q", in, got, want)
		}
	}
	if got := rule.TacticID("command_and_control"); got != "TA0011" {
		t.Errorf("TacticID = %q", got)
	}
	for in, want := range map[string]string{"TA0005": "stealth defense-evasion", "Defense Evasion": "defense-evasion stealth defense-impairment", "impact": "impact", "TA0112": "defense-impairment"} {
		if got := strings.Join(rule.TacticNames(in), " "); got != want {
			t.Errorf("TacticNames(%q) = %q, want %q", in, got, want)
		}
	}
	if got := rule.TacticID("nothing"); got != "" {
		t.Errorf("TacticID of nothing = %q", got)
	}
}
