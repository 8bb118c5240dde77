package app

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/content"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const loginRule = `
title: Login refused
id: %s
author: Kim
logsource: {product: linux, service: sshd}
detection:
  s: {action: login, outcome: failure}
  condition: s
level: low
`

func login(tenant uint32, ip string) *event.Event {
	e := &event.Event{Tenant: tenant, Time: 1e18, Arrived: 1e18}
	for _, f := range [][2]string{{event.Source, "sshd"}, {"program", "sshd"}, {"action", "login"}, {"outcome", "failure"}, {event.SrcIP, ip}} {
		e.Add(f[0], f[1])
	}
	return e
}

// find runs events through the tenants' rules as the pipeline does.
func find(t *testing.T, r *rulesets, events ...*event.Event) []alert.Finding {
	t.Helper()
	d := detect.New(func(tenant uint32) *detect.Ruleset {
		set, err := r.get(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		return set
	})
	var out []alert.Finding
	emit := func(f *alert.Finding) { out = append(out, *f) }
	for _, e := range events {
		set, err := r.get(t.Context(), e.Tenant)
		if err != nil {
			t.Fatal(err)
		}
		d.Apply(e, set.NewMatcher().Match(e, nil), emit)
		r.observe(e)
	}
	d.EndBatch(emit)
	return out
}

// a clock that tests move.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func newTestRulesets(t *testing.T, db *sqldb.DB, c *clock) (*rulesets, *rule.Service, *accounts) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	rules := rule.New(db, content.Check)
	books := newAccounts(rules, db, log, c.read)
	return newRulesets(rules, rules.Lists, books, log, c.read), rules, books
}

func create(t *testing.T, rules *rule.Service, tenant uint32, yaml string) string {
	t.Helper()
	d, err := rules.Create(t.Context(), tenant, "kim", rule.Change{YAML: []byte(yaml)})
	if err != nil {
		t.Fatal(err)
	}
	return d.ID
}

// What a tenant decided about a rule holds in the findings: severity, stage,
// exceptions and where it came from.
func TestRulesRunAsTenantsHaveThem(t *testing.T) {
	active := []rule.Active{
		{ID: "plain", Version: 3, YAML: fmt.Sprintf(loginRule, "plain")},
		{ID: "foreign", Version: 1, YAML: fmt.Sprintf(loginRule, "foreign") + "references: [https://example.org]\n", SeverityOverride: "critical", Origin: "https://example.org/foreign.yml", License: "DRL 1.1", Staged: true},
		{ID: "own", Version: 1, YAML: fmt.Sprintf(loginRule, "own") + "license: MIT\n", License: "DRL 1.1", Exceptions: []rule.ActiveException{
			{ID: "x1", YAML: "title: scanner\nlogsource: {product: linux}\nfilter:\n  rules: [own]\n  s: {src_ip: 192.0.2.1}\n  condition: s\n"},
		}},
		{ID: "broken", Version: 1, YAML: "title: ["},
	}
	list, owners, problems := documentsOf(active)
	if len(problems) != 1 || problems["broken"] == "" {
		t.Errorf("problems are %v", problems)
	}
	if got := strings.Join(owners, " "); got != "plain foreign own" {
		t.Errorf("owners are %s", got)
	}
	set, left := detect.Compile(list)
	if len(left) > 0 {
		t.Fatal(left)
	}
	d := detect.New(func(uint32) *detect.Ruleset { return set })
	m := set.NewMatcher()
	got := map[string]string{}
	for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
		e := login(1, ip)
		d.Apply(e, m.Match(e, nil), nil)
	}
	d.EndBatch(func(f *alert.Finding) {
		got[f.Rule.ID+" "+f.Key] = fmt.Sprint(f.Severity, " ", f.Staged, " ", f.Rule.License, " ", f.Rule.Origin, " ", f.Rule.Version)
	})
	want := map[string]string{
		"plain src_ip=192.0.2.1":   "low false   3",
		"plain src_ip=192.0.2.2":   "low false   3",
		"foreign src_ip=192.0.2.1": "critical true DRL 1.1 https://example.org/foreign.yml 1",
		"foreign src_ip=192.0.2.2": "critical true DRL 1.1 https://example.org/foreign.yml 1",
		"own src_ip=192.0.2.2":     "low false MIT  1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if x := set.ExceptionStats(); len(x) != 1 || x[0].ID != "x1" || x[0].Hits != 1 {
		t.Errorf("exceptions count %+v", x)
	}
}

// Rules change while the server runs: those of a tenant are its own, what tenants have
// alike they share, and a rule that needs a list runs once it has one.
func TestRulesFollowTheCatalogue(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{time.Now()}
		r, rules, _ := newTestRulesets(t, db, c)
		found := func(tenant uint32) int { return len(find(t, r, login(tenant, "192.0.2.1"))) }
		if found(1) != 0 || found(2) != 0 || r.of(1).ruleset != r.of(2).ruleset {
			t.Error("tenants without rules of their own do not share one set")
		}
		create(t, rules, 1, fmt.Sprintf(loginRule, "one"))
		listed := create(t, rules, 1, strings.Replace(fmt.Sprintf(loginRule, "listed"), "outcome: failure}", "'src_ip|expand': '%scanners%'}", 1))
		r.refresh(t.Context())
		if found(1) != 1 || found(2) != 0 {
			t.Error("the new rule does not run, or for another tenant")
		}
		if p := r.Problems(1); len(p) != 0 || r.leftOut() != 0 { // it is blind, which is no fault
			t.Errorf("problems are %v", p)
		}
		if _, _, err := rules.SetValueList(t.Context(), 1, "kim", "scanners", "", []string{"192.0.2.1"}); err != nil {
			t.Fatal(err)
		}
		r.refresh(t.Context())
		if p := r.Problems(1); len(p) != 0 || found(1) != 2 {
			t.Errorf("with its list: problems %v", p)
		}
		if _, err := rules.Change(t.Context(), 1, "kim", listed, rule.Change{Status: rule.Off}); err != nil {
			t.Fatal(err)
		}
		r.refresh(t.Context())
		if found(1) != 1 {
			t.Error("a rule that is off still runs")
		}
	})
}

// Rules are compiled again for what arrives, and find the same.
func TestRulesAreCompiledForWhatArrives(t *testing.T) {
	db := sqldbtest.SQLite(t)
	c := &clock{time.Now()}
	r, rules, _ := newTestRulesets(t, db, c)
	create(t, rules, 1, fmt.Sprintf(loginRule, "one"))
	first, err := r.get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	set := func() *detect.Ruleset {
		r.refresh(t.Context())
		s, err := r.get(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	c.now = c.now.Add(firstSample)
	if set() != first {
		t.Error("compiled again without a sample")
	}
	before := find(t, r, login(1, "192.0.2.1"))
	for i := range 3 * sampleEvents {
		r.observe(login(1, fmt.Sprint("192.0.2.", i%250)))
	}
	if n := r.of(1).sample.len(); n != sampleEvents {
		t.Errorf("sample of %d events", n)
	}
	second := set()
	if second == first {
		t.Error("not compiled again for its sample")
	}
	if diff := cmp.Diff(before, find(t, r, login(1, "192.0.2.1"))); diff != "" {
		t.Errorf("findings depend on the sample: %s", diff)
	}
	c.now = c.now.Add(nextSample - time.Second)
	if set() != second {
		t.Error("compiled again too early")
	}
	// A change takes the sample along.
	create(t, rules, 1, fmt.Sprintf(loginRule, "two"))
	third := set()
	if third == second || r.of(1).compiled.Load().sampled != sampleEvents {
		t.Errorf("after a change the sample has %d events", r.of(1).compiled.Load().sampled)
	}
	c.now = c.now.Add(nextSample)
	if set() == third {
		t.Error("not compiled again after an hour")
	}
}

// What rules cost and what exceptions silence reaches the catalogue, that of a set
// which is no longer used too; tenants that share a set share its cost.
func TestCostsAreKept(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{time.Now()}
		r, rules, books := newTestRulesets(t, db, c)
		if _, err := rules.Sync(t.Context(), []rule.Builtin{{Meta: rule.Meta{ID: "shared", Name: "s", Severity: "low", Type: "detection"}, YAML: fmt.Sprintf(loginRule, "shared")}}); err != nil {
			t.Fatal(err)
		}
		events := func(n int, tenant uint32) (all []*event.Event) {
			for range n {
				all = append(all, login(tenant, "192.0.2.1"))
			}
			return all
		}
		evaluations := func(tenant uint32) int64 {
			t.Helper()
			n, err := sqldb.One(t.Context(), db, sqldb.Value[int64], `SELECT CAST(COALESCE(sum(evaluations), 0) AS BIGINT) FROM rule_cost WHERE tenant = $1 AND rule_id = 'shared'`, int64(tenant))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		find(t, r, append(events(30, 1), events(10, 2)...)...)
		books.write(t.Context())
		find(t, r, events(5, 1)...)
		books.write(t.Context())
		books.write(t.Context())
		if one, two := evaluations(1), evaluations(2); one != 35 || two != 10 {
			t.Errorf("%d and %d evaluations, want 35 and 10", one, two)
		}
		long := login(1, "192.0.2.1")
		long.Add("outcome", strings.Repeat("x", sigma.MaxValue+1))
		find(t, r, append(events(6, 1), long)...)
		create(t, rules, 1, fmt.Sprintf(loginRule, "another"))
		create(t, rules, 2, fmt.Sprintf(loginRule, "another"))
		r.refresh(t.Context())
		for range 5 {
			books.write(t.Context())
		}
		if one := evaluations(1); one != 42 {
			t.Errorf("%d evaluations, want 42", one)
		}
		var page strings.Builder
		books.writeMetrics(&page)
		for _, line := range []string{
			"kyra_detect_evaluations_total 52\n", "kyra_detect_matches_total 52\n", "kyra_detect_compiled_sets_total 3\n", "kyra_detect_sets 2\n",
			"kyra_detect_truncated_events_total 1\n", "kyra_detect_cut_events_total 0\n",
		} {
			if !strings.Contains(page.String(), line) {
				t.Errorf("no %q in\n%s", line, page.String())
			}
		}
		if len(books.sets) != 2 {
			t.Errorf("%d sets have accounts, want 2", len(books.sets))
		}
	})
}
