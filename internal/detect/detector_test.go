package detect

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

const bruteForce = `
title: SSH logon failure
id: base
logsource: {product: linux, service: sshd}
detection:
  failed: {action: login, outcome: failure}
  condition: failed
---
title: SSH Brute Force
id: brute
author: Ann
level: high
tags: [attack.credential_access, attack.t1110.001]
correlation:
  type: event_count
  rules: [base]
  group-by: [src_ip]
  timespan: 5m
  condition: {gte: 5}
kyra:
  source: sshd
  description: "{count} failed logon attempts from {src_ip} targeting {user} account"
`

func mustParse(tb testing.TB, text string) []Rule {
	tb.Helper()
	docs, err := sigma.Parse([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	var out []Rule
	for _, d := range docs {
		out = append(out, Rule{Document: d, Version: 1})
	}
	return out
}

func mustCompile(tb testing.TB, text string) *Ruleset {
	tb.Helper()
	rs, problems := Compile(mustParse(tb, text))
	if len(problems) > 0 {
		tb.Fatalf("problems: %v", problems)
	}
	return rs
}

// An engine runs one tenant's events through matcher and detector.
type engine struct {
	set      *Ruleset
	matcher  *Matcher
	detector *Detector
	n        uint32
}

func newEngine(set *Ruleset) *engine {
	return &engine{set: set, matcher: set.NewMatcher(), detector: New(func(uint32) *Ruleset { return set })}
}

// apply runs one event of fields "name", "value", … at t.
func (x *engine) apply(t time.Time, fields ...string) {
	e := event.Event{Tenant: 1, Time: t.UnixNano(), Arrived: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano(), ID: event.ID{Seq: 1, Index: x.n}}
	x.n++
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	x.detector.Apply(&e, x.matcher.Match(&e, nil), nil)
}

func (x *engine) end() []alert.Finding {
	var out []alert.Finding
	x.detector.EndBatch(func(f *alert.Finding) { out = append(out, *f) })
	return out
}

func (x *engine) login(t time.Time, ip string) {
	x.apply(t, "source", "sshd", "action", "login", "outcome", "failure", "src_ip", ip, "user", "root", "host", "web1")
}

func TestEventCount(t *testing.T) {
	x := newEngine(mustCompile(t, bruteForce))
	day := time.Date(2011, 5, 6, 7, 8, 9, 0, time.UTC)
	for i := range 4 {
		x.login(day.Add(time.Duration(i)*time.Minute), "10.0.1.55")
	}
	if got := x.end(); len(got) != 0 {
		t.Fatalf("four failures give %v", got)
	}
	x.login(day.Add(4*time.Minute), "10.0.1.55")
	x.login(day.Add(4*time.Minute), "10.0.1.55")
	x.login(day.Add(4*time.Minute), "10.0.1.56")
	got := x.end()
	want := []alert.Finding{{
		Tenant: 1, Rule: alert.RuleRef{ID: "brute", Name: "SSH Brute Force", Author: "Ann", Version: 1},
		Title: "SSH Brute Force", Severity: "high", Source: "sshd", Tactic: "credential-access", Technique: "T1110.001",
		Description: "{count} failed logon attempts from {src_ip} targeting {user} account",
		Values:      map[string][]string{"src_ip": {"10.0.1.55"}, "user": {"root"}},
		Key:         "src_ip=10.0.1.55",
		Entities: []alert.Entity{
			{Type: "ip", Field: "src_ip", Value: "10.0.1.55"}, {Type: "user", Field: "user", Value: "root"}, {Type: "host", Field: "host", Value: "web1"},
		},
		First: day.UnixNano(), Last: day.Add(4 * time.Minute).UnixNano(), Count: 6,
	}}
	for i := range uint32(6) {
		want[0].Events = append(want[0].Events, event.ID{Seq: 1, Index: i})
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings differ (want -, got +):\n%s", d)
	}
	x.login(day.Add(5*time.Minute), "10.0.1.55")
	if got := x.end(); len(got) != 1 || got[0].Count != 1 {
		t.Errorf("while the window is full one more event gives %v", got)
	}
	x.login(day.Add(20*time.Minute), "10.0.1.55")
	if got := x.end(); len(got) != 0 {
		t.Errorf("after the window has emptied one event gives %v", got)
	}
}

func TestNilRuleset(t *testing.T) {
	var rs *Ruleset
	e := event.Event{Fields: []event.Field{{Name: "source", Value: "sshd"}}}
	if hits := rs.NewMatcher().Match(&e, nil); len(hits) != 0 {
		t.Errorf("no rules give %v", hits)
	}
}

func ExampleCompile() {
	docs, _ := sigma.Parse([]byte(bruteForce))
	rs, problems := Compile([]Rule{{Document: docs[0]}, {Document: docs[1]}})
	fmt.Println(rs.Rules(), len(problems))
	// Output: 2 0
}

// TestFindingsOfDaysAreApart sends three days of attacks in one batch: they raise
// what they would have day by day.
func TestFindingsOfDaysAreApart(t *testing.T) {
	x := newEngine(mustCompile(t, bruteForce))
	for day := range 3 {
		for i := range 6 {
			x.login(time.Date(2011, 12, 10+2*day, 6, 0, i, 0, time.UTC), "192.0.2.1")
		}
	}
	var got []string
	for _, f := range x.end() {
		got = append(got, fmt.Sprint(time.Unix(0, f.First).UTC().Format(time.DateOnly), " ", f.Count, " ", len(f.Events)))
	}
	if d := cmp.Diff([]string{"2011-12-10 6 6", "2011-12-12 6 6", "2011-12-14 6 6"}, got); d != "" {
		t.Error(d)
	}
}
