package detect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

func lineEvent(line string) event.Event {
	var e event.Event
	for _, f := range [][2]string{{"Channel", "Microsoft-Windows-Sysmon/Operational"}, {"EventID", "1"}, {"CommandLine", line}} {
		e.Add(f[0], f[1])
	}
	return e
}

func tagged(e *event.Event, tag string) bool {
	return slices.Contains(e.Fields, event.Field{Name: event.Tags, Value: tag})
}

// TestTruncatedForDetection: what is beyond the limit of a value is not looked at,
// and said so, if rules look at the value at all.
func TestTruncatedForDetection(t *testing.T) {
	t.Parallel()
	rs := mustCompile(t, "title: a\nid: a\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {CommandLine|contains: whoami}, condition: s}\n")
	m := rs.NewMatcher()
	for _, c := range []struct {
		field, value string
		hits         int
		tag          bool
	}{
		{"CommandLine", "whoami" + strings.Repeat(" ", 70_000), 1, true},
		{"CommandLine", strings.Repeat(" ", 70_000) + "whoami", 0, true},
		{"CommandLine", strings.Repeat(" ", 60_000) + "whoami", 1, false},
		{"Unasked", strings.Repeat(" ", 70_000), 0, false},
	} {
		e := lineEvent("x")
		e.Set(c.field, c.value)
		if got := len(m.Match(&e, nil)); got != c.hits || tagged(&e, event.TagTruncatedForDetection) != c.tag {
			t.Errorf("%s of %d bytes: %d hits, tags %v", c.field, len(c.value), got, e.Get(event.Tags))
		}
	}
	if got := rs.Limits(); got.Truncated != 2 || got.Cut != 0 {
		t.Errorf("%+v", got)
	}
}

// TestBudget: an event that makes too much work is not looked at by all rules; which
// ones does not depend on what the matcher remembers; and it is counted and said.
func TestBudget(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, "title: r%[1]d\nid: r%[1]d\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {CommandLine|re: '[a-f]{%[2]d}[0-9]+x?y?[g-z]{%[3]d}'}, condition: s}\n---\n", i, 1+i%7, 1+i%11)
	}
	text.WriteString("title: cheap\nid: cheap\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {CommandLine|contains: whoami}, condition: s}\n")
	rs := mustCompile(t, text.String())
	m := rs.NewMatcher()
	match := func(m *Matcher) ([]string, bool) {
		e := lineEvent("whoami " + strings.Repeat("abcdef0123xyghijklmnop ", 40))
		var ids []string
		for _, h := range m.Match(&e, nil) {
			ids = append(ids, h.RuleID())
		}
		return ids, tagged(&e, event.TagDetectionCut)
	}
	first, cut := match(m)
	if !cut || !slices.Contains(first, "cheap") || len(first) < 100 {
		t.Fatalf("cut %t, %d rules match", cut, len(first))
	}
	for range 3 {
		if again, cut := match(m); !cut || !slices.Equal(again, first) {
			t.Fatalf("cut %t, %d rules match, %d did before", cut, len(again), len(first))
		}
	}
	if fresh, _ := match(rs.NewMatcher()); !slices.Equal(fresh, first) {
		t.Errorf("a fresh matcher finds %d rules, want %d", len(fresh), len(first))
	}
	small := lineEvent("whoami abcdef0123xyghijklmnop")
	if hits := m.Match(&small, nil); tagged(&small, event.TagDetectionCut) || len(hits) < 500 {
		t.Errorf("a short line: %d hits, tags %v", len(hits), small.Get(event.Tags))
	}
	if got := rs.Limits(); got.Cut != 5 {
		t.Errorf("%+v", got)
	}
	skipped := uint64(0)
	for _, s := range rs.Stats() {
		skipped += s.Skipped
		if s.ID == "cheap" && (s.Skipped != 0 || s.Matches != 6) {
			t.Errorf("%+v", s)
		}
	}
	if skipped == 0 || skipped%5 != 0 {
		t.Errorf("%d evaluations skipped in five equal events", skipped)
	}
}

// TestCostAccount: rules are charged for events that concern them.
func TestCostAccount(t *testing.T) {
	t.Parallel()
	rs := mustCompile(t, "title: a\nid: a\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {CommandLine|contains: whoami}, condition: s}\n---\ntitle: b\nid: b\nlogsource: {product: linux}\ndetection: {s: {f: x}, condition: s}\n")
	m := rs.NewMatcher()
	for i := range 10 * costEvery {
		e := lineEvent(fmt.Sprintf("whoami %d", i))
		m.Match(&e, nil)
	}
	for _, s := range rs.Stats() {
		switch s.ID {
		case "a":
			if s.Evaluations != 10*costEvery || s.Matches != 10*costEvery || s.Nanos == 0 {
				t.Errorf("%+v", s)
			}
		default:
			if s.Evaluations != 0 || s.Nanos != 0 {
				t.Errorf("%+v", s)
			}
		}
	}
}

// TestClassesAreBounded: when senders make too many kinds of events, log sources
// are matched one by one, with the same result.
func TestClassesAreBounded(t *testing.T) {
	t.Parallel()
	rs := mustCompile(t, `
title: a
id: a
logsource: {product: windows, category: process_creation}
detection: {s: {CommandLine|contains: whoami}, condition: s}
---
title: b
id: b
logsource: {product: windows, service: sysmon}
detection: {k: ['whoami /all'], condition: k}
`)
	rs.matching.size = maxClassAtoms + 1
	m := rs.NewMatcher()
	for range 2 {
		e := lineEvent("whoami /all")
		if got := len(m.Match(&e, nil)); got != 2 {
			t.Errorf("%d hits, want 2", got)
		}
	}
	if n := len(rs.matching.byGroups); n != 2 {
		t.Errorf("%d classes, want one for each log source", n)
	}
	for _, s := range rs.Stats() {
		if s.Evaluations != 2 || s.Matches != 2 {
			t.Errorf("%+v", s)
		}
	}
}
