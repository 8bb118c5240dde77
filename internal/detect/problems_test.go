package detect

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
)

func TestPlainFindings(t *testing.T) {
	t.Parallel()
	x := newEngine(mustCompile(t, `
title: Root shell
id: shell
level: critical
tags: [attack.t1548.003]
logsource: {product: linux, service: sudo}
detection: {s: {target_user: root, cmdline|endswith: /bash}, condition: s}
kyra:
  description: "{user} opened a root shell on {host}: {cmdline}"
  entity: [user, host]
  entities: [user, host, cmdline]
`))
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	x.apply(day, "source", "sudo", "user", "ann", "target_user", "root", "cmdline", "/bin/bash", "host", "web1")
	x.apply(day.Add(-time.Minute), "source", "sudo", "user", "ann", "target_user", "root", "cmdline", "/usr/bin/bash", "host", "web1")
	x.apply(day, "source", "sudo", "user", "bob", "target_user", "root", "cmdline", "/bin/bash", "host", "web1")
	x.apply(day, "source", "sudo", "user", "bob", "target_user", "root", "cmdline", "/bin/ls", "host", "web1")
	x.apply(day, "source", "su", "user", "bob", "target_user", "root", "cmdline", "/bin/bash", "host", "web1")
	got := x.end()
	want := alert.Finding{
		Tenant: 1, Rule: alert.RuleRef{ID: "shell", Name: "Root shell", Version: 1}, Title: "Root shell", Severity: "critical", Source: "sudo", Technique: "T1548.003",
		Description: "{user} opened a root shell on {host}: {cmdline}",
		Values:      map[string][]string{"user": {"ann"}, "host": {"web1"}, "cmdline": {"/bin/bash", "/usr/bin/bash"}},
		Key:         "user=ann,host=web1",
		Entities: []alert.Entity{
			{Type: "user", Field: "user", Value: "ann"},
			{Type: "host", Field: "host", Value: "web1"},
			{Type: "process", Field: "cmdline", Value: "/bin/bash"},
			{Type: "process", Field: "cmdline", Value: "/usr/bin/bash"},
		},
		First: day.Add(-time.Minute).UnixNano(), Last: day.UnixNano(), Count: 2,
		Events: []event.ID{{Seq: 1}, {Seq: 1, Index: 1}},
	}
	if len(got) != 2 || got[1].Key != "user=bob,host=web1" {
		t.Fatalf("%d findings: %v", len(got), got)
	}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Errorf("finding (want -, got +):\n%s", d)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	rules := mustParse(t, `
title: ok
id: ok
logsource: {product: x}
detection: {s: {a: b}, condition: s}
---
title: twice
id: ok
logsource: {product: x}
detection: {s: {a: b}, condition: s}
---
title: list
name: list
logsource: {product: x}
detection: {s: {a|expand: '%l%'}, condition: s}
---
title: lost
correlation: {type: event_count, rules: [nobody], timespan: 1m, condition: {gte: 1}}
---
title: waits
correlation: {type: event_count, rules: [list], timespan: 1m, condition: {gte: 1}}
---
title: one
name: one
correlation: {type: event_count, rules: [ok, two], timespan: 1m, condition: {gte: 1}}
---
title: two
name: two
correlation: {type: event_count, rules: [one], timespan: 1m, condition: {gte: 1}}
---
title: above
correlation: {type: event_count, rules: [two], timespan: 1m, condition: {gte: 1}}
---
title: good
name: good
correlation: {type: event_count, rules: [ok], timespan: 1m, condition: {gte: 1}}
`)
	rs, problems := Compile(rules)
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%d %s %s", p.Index, p.Rule, p.Kind))
		if want := `line 21: it refers to the rule "list", which cannot be used: line 15, column 17: the rule needs the list l: make it, with an entry at least`; p.Rule == "waits" && p.Message != want {
			t.Errorf("the problem is %q, want %q", p.Message, want)
		}
		if want := `line 25: it counts itself: "one" counts "two" counts "one"`; p.Rule == "one" && p.Message != want {
			t.Errorf("the problem of a cycle is %q, want %q", p.Message, want)
		}
	}
	want := []string{"1 ok duplicate", "2 list needs_list", "3 lost unresolved", "4 waits unresolved", "5 one unresolved", "6 two unresolved", "7 above unresolved"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("problems (want -, got +):\n%s", d)
	}
	if len(rs.correlations) != 1 {
		t.Errorf("%d correlations", len(rs.correlations))
	}
}
