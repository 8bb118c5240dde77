package detect

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

func needOf(t *testing.T, text string) Need {
	t.Helper()
	docs, err := sigma.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Needs(docs[0])
}

func TestNeedsNamesFieldsAsEventsHaveThem(t *testing.T) {
	t.Parallel()
	n := needOf(t, `
title: t
logsource: {product: windows, category: process_creation}
detection:
  sel: {Image: x, OriginalFileName: y}
  condition: sel`)
	if len(n.Fields) != 2 || !slices.Contains(n.Fields[0], "Image") || !slices.Contains(n.Fields[0], "winlog.event_data.Image") {
		t.Errorf("Fields = %q", n.Fields)
	}
	for _, c := range []struct {
		fields []string
		want   string
	}{
		{nil, "[[Image] [OriginalFileName]]"},
		{[]string{"Image"}, "[[OriginalFileName]]"},
		{[]string{"winlog.event_data.Image", "OriginalFileName"}, "[]"},
	} {
		if got := fmt.Sprint(n.Missing(func(f string) bool { return slices.Contains(c.fields, f) })); got != c.want {
			t.Errorf("with %q missing %s, want %s", c.fields, got, c.want)
		}
	}
}

func TestMissingTakesTheShortestWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		detection string
		fields    []string
		want      string
	}{
		{"a: {A: x}\n  b: {B: x}\n  condition: a or b", nil, "[[A B]]"},
		{"a: {A: x}\n  b: {B: x}\n  condition: a or b", []string{"B"}, "[]"},
		{"a: {A: x, C: x}\n  b: {B: x, D: x}\n  condition: a or b", []string{"D"}, "[[B]]"},
		{"a: {A: x, C: x}\n  b: {B: x, D: x}\n  condition: a or b", nil, "[[A] [C]]"},
		{"a: [word]\n  condition: a", nil, "[]"},
	} {
		n := needOf(t, "title: t\nlogsource: {product: p}\ndetection:\n  "+c.detection)
		if got := fmt.Sprint(n.Missing(func(f string) bool { return slices.Contains(c.fields, f) })); got != c.want {
			t.Errorf("%s with %q: missing %s, want %s", c.detection, c.fields, got, c.want)
		}
	}
}

// TestSorterAgreesWithRouter holds the two readings of conditions together.
func TestSorterAgreesWithRouter(t *testing.T) {
	t.Parallel()
	sources := append(KnownLogSources(), sigma.LogSource{Product: "acme"}, sigma.LogSource{Category: "thing", Service: "s"})
	sorter := NewSorter(sources)
	var rules []Rule
	for i, l := range sources {
		text := fmt.Sprintf("title: t\nid: r%d\nlogsource: {product: %q, category: %q, service: %q}\ndetection:\n  a: {source: '*'}\n  condition: a", i, l.Product, l.Category, l.Service)
		docs, err := sigma.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, Rule{Document: docs[0]})
	}
	set, problems := Compile(rules)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	m := set.NewMatcher()
	for _, fields := range [][]string{
		{"source", "sshd", "program", "sshd", "category", "authentication"},
		{"source", "windows", "Channel", "Microsoft-Windows-Sysmon/Operational", "EventID", "1"},
		{"source", "windows", "winlog.channel", "Security", "winlog.event_id", "4688"},
		{"source", "acme", "x", "y"},
		{"source", "x", "category", "thing", "dataset", "x.s"},
		{"source", "nginx", "category", "web"},
		{"source", "okta"},
		{"source", "nothing known"},
	} {
		e := event.Event{Tenant: 1}
		for i := 0; i < len(fields); i += 2 {
			e.Add(fields[i], fields[i+1])
		}
		var want, got []string
		for _, h := range m.Match(&e, nil) {
			want = append(want, h.RuleID())
		}
		for _, n := range sorter.Sources(&e) {
			got = append(got, fmt.Sprintf("r%d", n))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%q: sorted into %v, routed to %v", fields, got, want)
		}
	}
}
