package detect

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const twoBases = `
title: A
id: a
logsource: {product: x}
detection: {s: {kind: a}, condition: s}
---
title: B
id: b
logsource: {product: x}
detection: {s: {kind: b}, condition: s}
---
`

// A happening is one event of the property test.
type happening struct {
	at     int64 // seconds
	weight int64
	kind   string
	value  string
}

// reference says which of hs must be reported: those that are in a trailing window
// that ends at one of them and fires.
func reference(hs []happening, span int64, fires func([]happening) bool) int64 {
	sorted := slices.Clone(hs)
	slices.SortStableFunc(sorted, func(a, b happening) int { return int(a.at - b.at) })
	reported := make([]bool, len(sorted))
	for _, end := range sorted {
		var in []happening
		var index []int
		for i, h := range sorted {
			if h.at > end.at-span && h.at <= end.at {
				in = append(in, h)
				index = append(index, i)
			}
		}
		if fires(in) {
			for _, i := range index {
				reported[i] = true
			}
		}
	}
	var sum int64
	for i, r := range reported {
		if r {
			sum += sorted[i].weight
		}
	}
	return sum
}

// TestCorrelationAgrees: whatever the order in which events come, as long as none
// is later than allowed, exactly those are reported that a look at all of them at
// once would report.
func TestCorrelationAgrees(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		fires      func([]happening) bool
	}{
		{"event_count", "title: C\nid: c\ncorrelation: {type: event_count, rules: [a, b], group-by: [g], timespan: 60s, condition: {gte: 4}}\n", func(hs []happening) bool {
			sum := int64(0)
			for _, h := range hs {
				sum += h.weight
			}
			return sum >= 4
		}},
		{"value_count", "title: C\nid: c\ncorrelation: {type: value_count, rules: [a, b], group-by: [g], timespan: 60s, condition: {field: v, gt: 2}}\n", func(hs []happening) bool {
			values := map[string]bool{}
			for _, h := range hs {
				values[h.value] = true
			}
			return len(values) > 2
		}},
		{"temporal", "title: C\nid: c\ncorrelation: {type: temporal, rules: [a, b], group-by: [g], timespan: 60s}\n", func(hs []happening) bool {
			kinds := map[string]bool{}
			for _, h := range hs {
				kinds[h.kind] = true
			}
			return len(kinds) == 2
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := mustCompile(t, twoBases+c.text)
			rapid.Check(t, func(t *rapid.T) { checkCorrelation(t, set, c.fires) })
		})
	}
}

func checkCorrelation(t *rapid.T, set *Ruleset, fires func([]happening) bool) {
	x := newEngine(set)
	type arriving struct {
		happening
		order int64
	}
	var hs []happening
	var arrivals []arriving
	clock := int64(0)
	for range rapid.IntRange(1, 40).Draw(t, "events") {
		clock += rapid.Int64Range(0, 50).Draw(t, "gap")
		h := happening{clock, rapid.SampledFrom([]int64{1, 1, 2}).Draw(t, "weight"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "kind"), strconv.Itoa(rapid.IntRange(0, 4).Draw(t, "value"))}
		hs = append(hs, h)
		delay := int64(0)
		if rapid.Bool().Draw(t, "late") {
			delay = rapid.Int64Range(0, 599).Draw(t, "delay")
		}
		arrivals = append(arrivals, arriving{h, h.at + delay})
	}
	slices.SortStableFunc(arrivals, func(a, b arriving) int { return int(a.order - b.order) })
	base := time.Date(2011, 1, 2, 3, 4, 5, 0, time.UTC)
	var got int64
	for i, a := range arrivals {
		x.apply(base.Add(time.Duration(a.at)*time.Second), "source", "x", "kind", a.kind, "v", a.value, "g", "one", "count", strconv.FormatInt(a.weight, 10))
		if rapid.IntRange(0, 3).Draw(t, "batch") == 0 {
			for _, f := range x.end() {
				got += f.Count
			}
			if i%2 == 0 { // go on from the state
				state, err := x.detector.State()
				if err != nil {
					t.Fatal(err)
				}
				next := New(func(uint32) *Ruleset { return set })
				if err := next.Restore(state); err != nil {
					t.Fatal(err)
				}
				again, err := next.State()
				if err != nil || !bytes.Equal(state, again) {
					t.Fatalf("the state of a restored detector differs: %v", err)
				}
				x.detector = next
			}
		}
	}
	for _, f := range x.end() {
		got += f.Count
	}
	if want := reference(hs, 60, fires); got != want {
		t.Fatalf("%d happenings are reported, want %d: %v", got, want, arrivals)
	}
}

func TestTemporalOrdered(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, twoBases+"title: C\nid: c\ncorrelation: {type: temporal_ordered, rules: [a, a, b], group-by: [g], timespan: 60s}\n")
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct {
		kinds string // kind and second of each event
		at    []int
		want  int64
	}{
		{"aab", []int{0, 10, 20}, 3},
		{"aba", []int{0, 10, 20}, 0},
		{"baab", []int{0, 10, 20, 30}, 4},
		{"ab", []int{0, 10}, 0},
		{"aab", []int{0, 10, 61}, 0},
		{"baa", []int{30, 10, 20}, 3}, // the last came first
	} {
		x := newEngine(set)
		for i, k := range c.kinds {
			x.apply(day.Add(time.Duration(c.at[i])*time.Second), "source", "x", "kind", string(k), "g", "one")
		}
		var got int64
		for _, f := range x.end() {
			got += f.Count
		}
		if got != c.want {
			t.Errorf("%s at %v reports %d events, want %d", c.kinds, c.at, got, c.want)
		}
	}
}

func (x *engine) count() (n int64) {
	for _, f := range x.end() {
		n += f.Count
	}
	return n
}

// TestTimes: logs of other times, and clocks that are ahead, disturb nobody.
func TestTimes(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, bruteForce)
	now := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	t.Run("future", func(t *testing.T) {
		x := newEngine(set)
		x.login(time.Date(2047, 1, 1, 0, 0, 0, 0, time.UTC), "10.0.0.1")
		for i := range 5 {
			x.login(now.Add(time.Duration(i)*time.Second), "10.0.0.1")
		}
		if n := x.count(); n != 5 {
			t.Errorf("%d events are reported, want 5", n)
		}
	})
	t.Run("old beside new", func(t *testing.T) {
		x := newEngine(set)
		for i := range 5 {
			x.login(now.Add(time.Duration(i)*time.Second), "10.0.0.1")
			x.login(now.AddDate(-15, 0, 0).Add(time.Duration(i)*time.Second), "10.0.0.1")
		}
		got := x.end()
		if len(got) != 2 || got[0].Count != 5 || got[1].Count != 5 {
			t.Errorf("findings %v, want two of 5 events each", got)
		}
	})
	t.Run("window is open at its old end", func(t *testing.T) {
		x := newEngine(set)
		for i := range 5 {
			x.login(now.Add(time.Duration(i)*75*time.Second), "10.0.0.1")
		}
		if n := x.count(); n != 0 {
			t.Errorf("five events in exactly five minutes report %d", n)
		}
		x.login(now.Add(5*time.Minute-time.Nanosecond), "10.0.0.1")
		if n := x.count(); n != 6 {
			t.Errorf("with one more %d are reported, want 6", n)
		}
	})
	t.Run("two hosts far apart", func(t *testing.T) {
		x := newEngine(set)
		for i := range 5 {
			x.login(now.Add(time.Duration(i)*time.Minute/2), "10.0.0.1")
			x.login(now.Add(-8*time.Minute+time.Duration(i)*time.Minute/2), "10.0.0.1")
		}
		if n := x.count(); n != 10 {
			t.Errorf("%d events are reported, want 10", n)
		}
	})
}

func TestCorrelationDetails(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	t.Run("count weighs", func(t *testing.T) {
		x := newEngine(mustCompile(t, bruteForce))
		x.apply(day, "source", "sshd", "action", "login", "outcome", "failure", "src_ip", "10.0.0.1", "count", "5")
		if got := x.end(); len(got) != 1 || got[0].Count != 5 || len(got[0].Events) != 1 {
			t.Errorf("findings %v, want one of count 5", got)
		}
	})
	t.Run("no group field", func(t *testing.T) {
		set := mustCompile(t, bruteForce)
		x := newEngine(set)
		for range 9 {
			x.apply(day, "source", "sshd", "action", "login", "outcome", "failure")
		}
		if n := x.count(); n != 0 {
			t.Errorf("%d events are reported", n)
		}
		if s := set.Stats()[1]; s.Ignored != 9 || s.Evaluations != 9 || s.Matches != 0 {
			t.Errorf("stats are %+v", s)
		}
	})
	t.Run("generate", func(t *testing.T) {
		x := newEngine(mustCompile(t, bruteForce+"generate: true\n"))
		x.login(day, "10.0.0.1")
		if got := x.end(); len(got) != 1 || got[0].Rule.ID != "base" {
			t.Errorf("findings %v, want one of the base rule", got)
		}
	})
	t.Run("aliases", func(t *testing.T) {
		x := newEngine(mustCompile(t, twoBases+`
title: C
id: c
correlation:
  type: event_count
  rules: [a, b]
  group-by: [who]
  timespan: 1m
  aliases: {who: {a: src, b: dst}}
  condition: {gte: 2}
`))
		x.apply(day, "source", "x", "kind", "a", "src", "h1")
		x.apply(day, "source", "x", "kind", "b", "dst", "h1", "src", "h2")
		if got := x.end(); len(got) != 1 || got[0].Key != "who=h1" || got[0].Count != 2 {
			t.Errorf("findings %v, want one of who=h1", got)
		}
	})
	t.Run("one event by two rules", func(t *testing.T) {
		x := newEngine(mustCompile(t, twoBases+"title: C\nid: c\ncorrelation: {type: event_count, rules: [a, b], timespan: 1m, condition: {gte: 2}}\n"))
		x.apply(day, "source", "x", "kind", "a", "kind", "b")
		if n := x.count(); n != 0 {
			t.Errorf("one event counts %d times", n)
		}
		x.apply(day, "source", "x", "kind", "a")
		if got := x.end(); len(got) != 1 || got[0].Count != 2 || got[0].Key != "" {
			t.Errorf("findings %v, want one of two events", got)
		}
	})
	t.Run("rules change", func(t *testing.T) {
		old := mustCompile(t, bruteForce)
		current := old
		d := New(func(uint32) *Ruleset { return current })
		x := &engine{set: old, matcher: old.NewMatcher(), detector: d}
		for range 3 {
			x.login(day, "10.0.0.1")
		}
		rules := mustParse(t, bruteForce+"---\n"+twoBases[:len(twoBases)-5])
		current, _ = Compile(rules)
		x.matcher = current.NewMatcher()
		for range 2 {
			x.login(day, "10.0.0.1")
		}
		if n := x.count(); n != 5 {
			t.Errorf("after another rule came %d events are reported, want 5", n)
		}
		for i := range rules {
			rules[i].Version = 2
		}
		current, _ = Compile(rules)
		x.matcher = current.NewMatcher()
		x.login(day, "10.0.0.1")
		if n := x.count(); n != 0 {
			t.Errorf("a new version of the rule goes on with the old state: %d", n)
		}
	})
}

// TestBounds: memory stays bounded, and what is remembered counts too few rather
// than too many.
func TestBounds(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, twoBases+`
title: Many
id: many
correlation: {type: event_count, rules: [a], group-by: [g], timespan: 1h, condition: {gte: 20000}}
---
title: Values
id: values
correlation: {type: value_count, rules: [b], group-by: [g], timespan: 1h, condition: {field: v, gte: 100000}}
`)
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	x := newEngine(set)
	for i := range 20_000 {
		x.apply(day.Add(time.Duration(i)*time.Millisecond), "source", "x", "kind", "a", "g", "one")
		x.apply(day, "source", "x", "kind", "b", "g", "one", "v", strconv.Itoa(i))
		x.apply(day, "source", "x", "kind", "b", "g", strconv.Itoa(i), "v", "x")
	}
	if n := x.count(); n != 20_000 {
		t.Errorf("%d events are reported, want 20000", n)
	}
	x.apply(day, "source", "x", "kind", "b", "g", "one more", "v", "x")
	for i, s := range x.detector.tenants[1].correlations {
		if len(s.groups) > maxGroups {
			t.Errorf("%d groups", len(s.groups))
		}
		for _, g := range s.groups {
			for _, r := range g.runs {
				if len(r.entries) > maxEntries || r.details > 2*maxDetails {
					t.Fatalf("correlation %d: a run has %d entries and %d details", i, len(r.entries), r.details)
				}
			}
		}
	}
	if s := set.Stats()[3]; s.Evicted == 0 {
		t.Error("no eviction is counted")
	}
}

func TestRestoreDamaged(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, bruteForce+`---
title: Few
id: few
correlation: {type: value_count, rules: [brute], group-by: [src_ip], timespan: 5m, condition: {field: host, lt: 2}}
---
title: Median
id: median
correlation: {type: value_median, rules: [base], group-by: [src_ip], timespan: 5m, condition: {field: n, gte: 20}}
`)
	x := newEngine(set)
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for i := range 11 {
		x.apply(day, "source", "sshd", "action", "login", "outcome", "failure", "src_ip", fmt.Sprint("10.0.0.", i%2), "user", "root", "host", "web1", "n", strconv.Itoa(i))
	}
	x.end()
	state, err := x.detector.State()
	if err != nil {
		t.Fatal(err)
	}
	rules := func(uint32) *Ruleset { return set }
	for i := range state {
		if err := New(rules).Restore(state[:i]); err == nil && i > 0 {
			t.Errorf("a state of %d of %d bytes is taken", i, len(state))
		}
	}
	for i := 1; i < len(state); i++ {
		for _, flip := range []byte{1, 0x80, 0xff} {
			damaged := bytes.Clone(state)
			damaged[i] ^= flip
			_ = New(rules).Restore(damaged) // must not panic
		}
	}
	if err := New(rules).Restore([]byte{1, 2, 3}); err != nil {
		t.Errorf("a state of an older version gives %v", err)
	}
	if err := New(rules).Restore([]byte{99}); err == nil {
		t.Error("a state of a newer version is taken")
	}
}
