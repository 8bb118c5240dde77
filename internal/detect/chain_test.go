package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kyra-mdr/kyra/internal/alert"
)

// The specification's own example: many failures, then a success.
const failuresThenSuccess = `
title: Many failures, then success
id: outer
level: high
correlation:
  type: temporal_ordered
  rules: [many, success]
  group-by: [user]
  timespan: 10m
kyra:
  description: "{user} from {src_ip} after {count} events"
---
title: Many failures
name: many
correlation:
  type: event_count
  rules: [failure]
  group-by: [user]
  timespan: 10m
  condition: {gte: 3}
---
title: Failure
name: failure
logsource: {product: linux, service: sshd}
detection: {s: {action: login, outcome: failure}, condition: s}
---
title: Success
name: success
logsource: {product: linux, service: sshd}
detection: {s: {action: login, outcome: success}, condition: s}
`

func (x *engine) attempt(t time.Time, outcome, user, ip string) {
	x.apply(t, "source", "sshd", "action", "login", "outcome", outcome, "user", user, "src_ip", ip, "host", "web1")
}

func TestChain(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	x := newEngine(mustCompile(t, failuresThenSuccess))
	x.attempt(day.Add(-20*time.Minute), "success", "ann", "10.0.0.1")
	for i := range 4 {
		x.attempt(day.Add(time.Duration(1+i)*time.Minute), "failure", "ann", fmt.Sprint("10.0.0.", i))
		x.attempt(day.Add(time.Duration(1+i)*time.Minute), "failure", "bob", "10.0.0.9")
	}
	x.attempt(day.Add(2*time.Minute), "failure", "carl", "10.0.0.7")
	x.attempt(day.Add(5*time.Minute), "success", "carl", "10.0.0.7")
	if got := x.end(); len(got) != 0 {
		t.Fatalf("before the success there are %v", got)
	}
	x.attempt(day.Add(5*time.Minute), "success", "ann", "10.0.0.5")
	got := x.end()
	if len(got) != 1 {
		t.Fatalf("findings %v, want one", got)
	}
	f := got[0]
	if f.Rule.ID != "outer" || f.Severity != "high" || f.Key != "user=ann" || f.Count != 5 || len(f.Events) != 5 || f.Source != "sshd" {
		t.Errorf("the finding is %+v", f)
	}
	if d := gocmp.Diff(map[string][]string{"user": {"ann"}, "src_ip": {"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.5"}}, f.Values); d != "" {
		t.Errorf("values (want -, got +):\n%s", d)
	}
	if !slices.Contains(f.Entities, alert.Entity{Type: "ip", Field: "src_ip", Value: "10.0.0.2"}) || !slices.Contains(f.Entities, alert.Entity{Type: "user", Field: "user", Value: "ann"}) {
		t.Errorf("entities %v", f.Entities)
	}
	if f.First != day.Add(time.Minute).UnixNano() || f.Last != day.Add(5*time.Minute).UnixNano() {
		t.Errorf("it lasts from %v to %v", time.Unix(0, f.First).UTC(), time.Unix(0, f.Last).UTC())
	}
}

// TestChainCarries: a correlation may group by a field that the one below does not
// group by, and count values of it; names may differ.
func TestChainCarries(t *testing.T) {
	t.Parallel()
	x := newEngine(mustCompile(t, `
title: Hosts
id: outer
correlation:
  type: value_count
  rules: [many]
  group-by: [who]
  timespan: 10m
  aliases: {who: {many: user}}
  condition: {field: host, gte: 2}
---
title: Many failures
name: many
correlation: {type: event_count, rules: [failure], group-by: [src_ip], timespan: 10m, condition: {gte: 2}}
---
title: Failure
name: failure
logsource: {product: linux, service: sshd}
detection: {s: {outcome: failure}, condition: s}
`))
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for i, host := range []string{"web1", "web1", "web2", "web2"} {
		x.apply(day.Add(time.Duration(i)*time.Second), "source", "sshd", "outcome", "failure", "src_ip", "10.0.0."+host[3:], "user", "ann", "host", host)
	}
	got := x.end()
	if len(got) != 1 || got[0].Rule.ID != "outer" || got[0].Key != "who=ann" || got[0].Count != 4 {
		t.Errorf("findings %v, want one of who=ann with four events", got)
	}
}

// TestChainCounts: a correlation that goes on firing counts once.
func TestChainCounts(t *testing.T) {
	t.Parallel()
	const text = `
title: Waves
id: outer
correlation: {type: event_count, rules: [many], group-by: [user], timespan: 2h, condition: {gte: 2}}
---
title: Many failures
name: many
GENERATE
correlation: {type: event_count, rules: [failure], group-by: [user], timespan: 1m, condition: {gte: 3}}
---
title: Failure
name: failure
logsource: {product: linux, service: sshd}
detection: {s: {outcome: failure}, condition: s}
`
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	x := newEngine(mustCompile(t, strings.Replace(text, "GENERATE\n", "", 1)))
	for i := range 100 {
		x.attempt(day.Add(time.Duration(i)*time.Second), "failure", "ann", "10.0.0.1")
	}
	if got := x.end(); len(got) != 0 {
		t.Errorf("one wave gives %v", got)
	}
	for i := range 3 {
		x.attempt(day.Add(time.Hour+time.Duration(i)*time.Second), "failure", "ann", "10.0.0.1")
	}
	got := x.end()
	if len(got) != 1 || got[0].Rule.ID != "outer" || got[0].Count != 103 {
		t.Errorf("two waves give %v, want one finding of 103 events", got)
	}
	quiet := newEngine(mustCompile(t, strings.Replace(text, "GENERATE\n", "", 1)+"---\ntitle: Loud\nid: loud\ngenerate: true\ncorrelation: {type: event_count, rules: [failure], timespan: 1m, condition: {gte: 999}}\n"))
	quiet.attempt(day, "failure", "ann", "10.0.0.1")
	if got := quiet.end(); len(got) != 0 {
		t.Errorf("a base that another correlation wants quiet gives %v", got)
	}
	for _, s := range quiet.set.Stats() {
		if want := s.Title == "Failure" || s.Title == "Many failures"; s.Quiet != want {
			t.Errorf("%s is quiet: %t", s.Title, s.Quiet)
		}
	}
}

// TestChainOracle: temporal_ordered over an event_count, against a plain look at all
// events; in any order of arrival that is not too late.
func TestChainOracle(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, threeBases+`title: I
name: inner
correlation: {type: event_count, rules: [a], group-by: [g], timespan: 60s, condition: {gte: 3}}
---
title: K
id: k
correlation: {type: temporal_ordered, rules: [inner, b], group-by: [g], timespan: 90s}
`)
	rapid.Check(t, func(t *rapid.T) {
		facts := drawFacts(t, rapid.Bool().Draw(t, "in order"))
		x := newEngine(set)
		got, isB := map[string][]uint32{}, map[uint32]bool{}
		for _, f := range facts {
			isB[f.id] = onlyB(f)
		}
		for _, f := range facts {
			x.fact(f)
			if rapid.IntRange(0, 3).Draw(t, "batch") == 0 {
				collect(x, isB, got)
				x.restart(t)
			}
		}
		collect(x, isB, got)
		if d := gocmp.Diff(chained(facts), got); d != "" {
			t.Fatalf("success after firing (want -, got +):\n%s\n%+v", d, facts)
		}
	})
}

// collect adds the events of kind b that findings of k hold.
func collect(x *engine, kinds map[uint32]bool, got map[string][]uint32) {
	for _, f := range x.end() {
		if f.Rule.ID != "k" {
			continue
		}
		key := strings.TrimPrefix(f.Key, "g=")
		for _, id := range f.Events {
			if kinds[id.Index] && !slices.Contains(got[key], id.Index) {
				got[key] = append(got[key], id.Index)
			}
		}
		if slices.Sort(got[key]); len(got[key]) == 0 {
			delete(got, key)
		}
	}
}

// onlyB leaves out events that the inner correlation holds too.
func onlyB(f fact) bool { return strings.Contains(f.rules, "b") && !strings.Contains(f.rules, "a") }

func chained(facts []fact) map[string][]uint32 {
	out := map[string][]uint32{}
	for _, g := range []string{"one", "two"} {
		var as, bs []fact
		for _, f := range facts {
			if f.group == g && strings.Contains(f.rules, "a") {
				as = append(as, f)
			}
			if f.group == g && strings.Contains(f.rules, "b") {
				bs = append(bs, f)
			}
		}
		// Where it fires.
		byTime := slices.SortedStableFunc(slices.Values(as), func(a, b fact) int { return cmp.Compare(a.at, b.at) })
		var firings []int64
		for _, end := range byTime {
			n := int64(0)
			for _, f := range as {
				if f.at > end.at-60 && f.at <= end.at {
					n += f.weight
				}
			}
			if n >= 3 {
				firings = append(firings, end.at)
			}
		}
		found := map[uint32]bool{}
		add := func(id uint32) {
			if !found[id] {
				found[id] = true
				out[g] = append(out[g], id)
			}
		}
		// All firings and successes that lie in a window with a firing before a
		// success.
		ends := slices.Clone(firings)
		for _, b := range bs {
			ends = append(ends, b.at)
		}
		for _, end := range ends {
			first, last := int64(math.MaxInt64), int64(math.MinInt64)
			for _, at := range firings {
				if at > end-90 && at <= end {
					first = min(first, at)
				}
			}
			for _, b := range bs {
				if b.at > end-90 && b.at <= end {
					last = max(last, b.at)
				}
			}
			if first > last {
				continue
			}
			for _, b := range bs {
				if b.at > end-90 && b.at <= end && onlyB(b) {
					add(b.id)
				}
			}
		}
		slices.Sort(out[g])
		if len(out[g]) == 0 {
			delete(out, g)
		}
	}
	return out
}

// TestNamesOfTexts: each text may call its rules what it likes.
func TestNamesOfTexts(t *testing.T) {
	t.Parallel()
	text := func(id, kind string) string {
		return fmt.Sprintf("title: K\nid: %s\ncorrelation: {type: event_count, rules: [failed], timespan: 1m, condition: {gte: 1}}\n---\ntitle: B\nname: failed\nlogsource: {product: x}\ndetection: {s: {kind: %s}, condition: s}\n---\n", id, kind)
	}
	compiled := func(texts ...string) *engine {
		var rules []Rule
		for _, text := range texts {
			rules = append(rules, mustParse(t, text)...)
		}
		set, problems := Compile(rules)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return newEngine(set)
	}
	one, two, three := text("one", "a"), text("two", "b"), text("three", "c")
	const byID = "title: By id\nid: failed\nlogsource: {product: x}\ndetection: {s: {kind: d}, condition: s}\n"
	for kind, want := range map[string][]string{"a": {"one  1 0-0"}, "b": {"two  1 0-0"}, "c": {"three  1 0-0"}} {
		x := compiled(one, two, three)
		x.at(0, 0, "source", "x", "kind", kind)
		if d := gocmp.Diff(want, x.said()); d != "" {
			t.Errorf("that of the same text (want -, got +):\n%s", d)
		}
	}
	x := compiled(one, two, three, byID)
	x.at(0, 0, "source", "x", "kind", "d")
	if d := gocmp.Diff([]string{"one  1 0-0", "three  1 0-0", "two  1 0-0"}, sorted(x.said())); d != "" {
		t.Errorf("an id goes before a name (want -, got +):\n%s", d)
	}
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
