package detect

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

func filterOf(tb testing.TB, text string) *sigma.Document {
	tb.Helper()
	docs, err := sigma.Parse([]byte("title: f\nfilter: " + text + "\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return docs[0]
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	rules := mustParse(t, bruteForce)
	arrival := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano()
	rules[1].Exceptions = []Exception{
		{ID: "scanner", Filter: filterOf(t, "{s: {src_ip: 10.0.0.9}, condition: s}")},
		{ID: "expired", Filter: filterOf(t, "{s: {host: web1}, condition: s}"), Until: arrival},
		{ID: "running", Filter: filterOf(t, "{s: {user: nobody}, condition: s}"), Until: arrival + 1},
	}
	set, problems := Compile(rules)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	x := newEngine(set)
	day := time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)
	for range 6 {
		x.login(day, "10.0.0.9")
		x.login(day, "10.0.0.1")
		x.apply(day, "source", "sshd", "action", "login", "outcome", "failure", "src_ip", "10.0.0.1", "user", "nobody", "host", "web1")
	}
	if got := x.end(); len(got) != 1 || got[0].Key != "src_ip=10.0.0.1" || got[0].Count != 6 {
		t.Errorf("findings %v, want six of 10.0.0.1", got)
	}
	want := []ExceptionStats{{"scanner", "brute", 6, day.UnixNano()}, {"expired", "brute", 0, 0}, {"running", "brute", 6, day.UnixNano()}}
	if d := cmp.Diff(want, set.ExceptionStats()); d != "" {
		t.Errorf("stats (want -, got +):\n%s", d)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	const rules = `
title: A
id: a
logsource: {product: windows, category: process_creation}
detection: {s: {Image: x}, condition: s}
---
title: B
name: bee
logsource: {product: windows, category: process_creation}
detection: {s: {Image: x}, condition: s}
---
title: L
id: l
logsource: {product: windows}
detection: {s: {Image: x}, condition: s}
---
`
	for filter, want := range map[string]string{
		"{product: windows, category: process_creation}|{rules: [a], s: {CommandLine: y}, condition: s}":       "B L",
		"{product: windows, category: process_creation}|{rules: [bee], s: {CommandLine: y}, condition: not s}": "A L",
		"{product: windows, category: process_creation}|{rules: any, s: {CommandLine: y}, condition: s}":       "L",
		"{product: windows}|{s: {CommandLine: y}, condition: s}":                                               "",
		"{product: linux}|{rules: any, s: {CommandLine: y}, condition: s}":                                     "A B L",
		"{product: linux}|{rules: [a], s: {CommandLine: y}, condition: s}":                                     "A B L 3 unresolved",
		"{product: windows}|{rules: [a, gone], s: {CommandLine: y}, condition: s}":                             "B L 3 unresolved",
		"{product: windows}|{s: {CommandLine|expand: '%l%'}, condition: s}":                                    "A B L 3 needs_list",
		"|{s: {CommandLine: y}, condition: s}":                                                                 "A B L 3 unsupported",
		"|{rules: [a, l], s: {CommandLine: y}, condition: s}":                                                  "B",
		"{product: windows}|{s: {CommandLine: other}, condition: s}":                                           "A B L",
	} {
		source, filter, _ := cutFilter(filter)
		set, problems := Compile(mustParse(t, rules+"title: F\n"+source+"filter: "+filter+"\n"))
		x := newEngine(set)
		x.apply(time.Unix(1e9, 0), "source", "windows", "product", "windows", "Channel", "Microsoft-Windows-Sysmon/Operational", "EventID", "1",
			"Image", "x", "CommandLine", "y")
		got := ""
		for _, f := range x.end() {
			got = join(got, f.Rule.Name)
		}
		for _, p := range problems {
			got = join(got, fmt.Sprintf("%d %s", p.Index, p.Kind))
		}
		if got != want {
			t.Errorf("%s%s gives %q, want %q %v", source, filter, got, want, problems)
		}
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}

func cutFilter(s string) (source, filter string, ok bool) {
	for i := range s {
		if s[i] == '|' {
			if i > 0 {
				source = "logsource: " + s[:i] + "\n"
			}
			return source, s[i+1:], true
		}
	}
	return "", s, false
}

func TestStaged(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)
	run := func(stageBase, stageBrute bool) []string {
		rules := mustParse(t, bruteForce)
		rules[0].Staged, rules[1].Staged = stageBase, stageBrute
		rules[1].Origin, rules[1].Document.License = "https://rules.example/brute", "DRL 1.1"
		set, problems := Compile(rules)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		x := newEngine(set)
		for range 5 {
			x.login(day, "10.0.0.1")
		}
		var out []string
		for _, f := range x.end() {
			out = append(out, fmt.Sprintf("%s %t %d", f.Rule.ID, f.Staged, f.Count))
			if want := (alert.RuleRef{ID: "brute", Name: "SSH Brute Force", Author: "Ann", License: "DRL 1.1", Origin: "https://rules.example/brute", Version: 1}); f.Rule.ID == "brute" && f.Rule != want {
				t.Errorf("the rule is %+v, want %+v", f.Rule, want)
			}
		}
		slices.Sort(out)
		return out
	}
	for _, c := range []struct {
		base, brute bool
		want        []string
	}{
		{false, false, []string{"brute false 5"}},
		{true, false, []string{"brute false 5"}},                // a staged base feeds a live correlation
		{false, true, []string{"base false 5", "brute true 5"}}, // a staged correlation silences nothing
		{true, true, []string{"brute true 5"}},
	} {
		if d := cmp.Diff(c.want, run(c.base, c.brute)); d != "" {
			t.Errorf("base staged %t, correlation %t (want -, got +):\n%s", c.base, c.brute, d)
		}
	}
}

// TestExceptionRace: exceptions count from several goroutines.
func TestExceptionRace(t *testing.T) {
	t.Parallel()
	x := exempting{exception: &exception{id: "x", filter: filterOf(t, "{s: {a: b}, condition: s}")}}
	var e event.Event
	e.Add("a", "b")
	done := make(chan struct{})
	for i := range 4 {
		go func() {
			for j := range 100 {
				e := e
				e.Time = int64(100*i + j)
				x.takes(&e)
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}
	if x.hits.Load() != 400 || x.last.Load() != 399 {
		t.Errorf("%d hits, the last at %d", x.hits.Load(), x.last.Load())
	}
}
