package detect

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
)

const heartbeat = `
title: Beat
id: a
logsource: {product: x}
detection: {s: {kind: a}, condition: s}
---
title: Silent
id: silent
correlation: {type: event_count, rules: [a], group-by: [host], timespan: 5m, condition: {CONDITION}}
`

// at applies an event of kind a at a second, with a delay of its arrival.
func (x *engine) at(second, delay int64, fields ...string) {
	e := event.Event{Tenant: 1, ID: event.ID{Index: x.n}, Time: second * 1e9, Arrived: (second + delay) * 1e9}
	x.n++
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	x.detector.Apply(&e, x.matcher.Match(&e, nil), nil)
}

func (x *engine) beat(second int64, host string) {
	x.at(second, 0, "source", "x", "kind", "a", "host", host)
}

// said returns the findings since it was last asked, as "rule key count first-last".
func (x *engine) said() []string {
	var out []string
	for _, f := range x.end() {
		out = append(out, fmt.Sprintf("%s %s %d %d-%d", f.Rule.ID, f.Key, f.Count, f.First/1e9, f.Last/1e9))
	}
	return out
}

func heartbeats(tb testing.TB, condition string) *engine {
	tb.Helper()
	return newEngine(mustCompile(tb, conditioned(heartbeat, condition)))
}

func conditioned(s, condition string) string { return strings.Replace(s, "CONDITION", condition, 1) }

func TestAbsence(t *testing.T) {
	t.Parallel()
	x := heartbeats(t, "lt: 1")
	for second := int64(0); second < 3600; second += 60 {
		x.beat(second, "one")
		if second < 600 {
			x.beat(second, "two")
		}
	}
	// Host two was last seen at 540. Its windows are [0, 300) and [300, 600); nothing
	// comes in [600, 900), which is over at 900 and ten minutes for what is late.
	if d := cmp.Diff([]string{"silent host=two 0 900-900"}, x.said()); d != "" {
		t.Errorf("findings (want -, got +):\n%s", d)
	}
	x.beat(3600, "two")
	x.beat(3600, "one")
	for second := int64(3660); second < 7200; second += 60 {
		x.at(second, 0, "source", "other")
	}
	want := []string{"silent host=one 0 4200-4200", "silent host=two 0 4200-4200"}
	if d := cmp.Diff(want, x.said()); d != "" {
		t.Errorf("when both fall silent (want -, got +):\n%s", d)
	}
	x.detector.Advance(math.MaxInt64)
	if got := x.said(); len(got) != 0 {
		t.Errorf("silence is told again: %v", got)
	}
}

// TestAbsenceOfAll: time passes by Advance where no event comes at all.
func TestAbsenceOfAll(t *testing.T) {
	t.Parallel()
	x := heartbeats(t, "lt: 1")
	x.beat(0, "one")
	x.detector.Advance(1199 * 1e9)
	if got := x.said(); len(got) != 0 {
		t.Errorf("too early there is %v", got)
	}
	x.detector.Advance(1200 * 1e9)
	if d := cmp.Diff([]string{"silent host=one 0 600-600"}, x.said()); d != "" {
		t.Errorf("findings (want -, got +):\n%s", d)
	}
	x.detector.Advance(5)
	x.beat(1300, "one")
	if got := x.said(); len(got) != 0 {
		t.Errorf("after time went back there is %v", got)
	}
}

func TestFew(t *testing.T) {
	t.Parallel()
	x := heartbeats(t, "lt: 3")
	for _, second := range []int64{0, 10, 20, 300, 310, 700, 710, 720} {
		x.beat(second, "one")
	}
	x.detector.Advance(1500 * 1e9)
	// [0, 300) has three, [300, 600) two, [700, 1000) three again.
	if d := cmp.Diff([]string{"silent host=one 2 300-310"}, x.said()); d != "" {
		t.Errorf("findings (want -, got +):\n%s", d)
	}
	x.at(990, 609, "source", "x", "kind", "a", "host", "one")
	if got, want := x.set.Stats()[1].Ignored, uint64(0); got != want {
		t.Errorf("an event at the edge counts %d times as too late, want %d", got, want)
	}
	x.detector.Advance(2300 * 1e9)
	x.at(995, 1400, "source", "x", "kind", "a", "host", "one")
	if got, want := x.set.Stats()[1].Ignored, uint64(1); got != want {
		t.Errorf("%d events are counted as too late, want %d", got, want)
	}
}

// TestOldLogs: windows of old logs that are sent today beside live events are whole
// before they are judged.
func TestOldLogs(t *testing.T) {
	t.Parallel()
	x := heartbeats(t, "lt: 3")
	const today = 1_700_000_000
	for second := int64(0); second < 1000; second += 100 {
		for range 10 {
			x.at(today+second/100, 0, "source", "x", "kind", "a", "host", "new")
		}
		x.at(second, today+second/100-second, "source", "x", "kind", "a", "host", "old")
	}
	for second := int64(0); second < 1100; second += 10 {
		x.at(today+second, 0, "source", "x", "kind", "a", "host", "new")
	}
	// The old host has three a window, but for the last, [900, 1200); only time that
	// passes can tell that nothing more comes.
	if d := cmp.Diff([]string{"silent host=old 1 900-900"}, x.said()); d != "" {
		t.Errorf("findings (want -, got +):\n%s", d)
	}
}

// TestAhead: a clock that is ahead hurries no window of others or of its own.
func TestAhead(t *testing.T) {
	t.Parallel()
	x := heartbeats(t, "lt: 2")
	const ahead = 20 * 365 * 86400
	x.at(ahead, -ahead, "source", "x", "kind", "a", "host", "one") // arrives at 0
	x.beat(0, "one")
	x.beat(10, "one")
	x.at(ahead+20, -ahead, "source", "x", "kind", "a", "host", "one")
	x.detector.Advance(899 * 1e9)
	if got := x.said(); len(got) != 0 {
		t.Errorf("too early there is %v", got)
	}
	x.detector.Advance(1201 * 1e9)
	want := []string{"silent host=one 0 600-600", fmt.Sprintf("silent host=one 0 %d-%d", ahead+600, ahead+600)}
	if d := cmp.Diff(want, x.said()); d != "" {
		t.Errorf("findings (want -, got +):\n%s", d)
	}
}

func TestFlush(t *testing.T) {
	t.Parallel()
	x := heartbeats(t, "lt: 2")
	one := func(second int64, host string) {
		x.at(second, 1_000_000-second, "source", "x", "kind", "a", "host", host) // a recording: all arrive at once
	}
	one(0, "one")
	one(400, "two")
	one(410, "two")
	one(690, "one")
	if got := x.said(); len(got) != 0 {
		t.Errorf("while it is read there is %v", got)
	}
	x.detector.Flush()
	if d := cmp.Diff([]string{"silent host=one 1 0-600"}, x.said()); d != "" {
		t.Errorf("of windows that the recording covers (want -, got +):\n%s", d)
	}
}

// TestRareValues is the specification's example of value_percentile: what is rare
// among the values of a group.
func TestRareValues(t *testing.T) {
	t.Parallel()
	x := newEngine(mustCompile(t, `
title: Start
id: a
logsource: {product: x}
detection: {s: {kind: a}, condition: s}
---
title: Rare
id: rare
correlation: {type: value_percentile, rules: [a], group-by: [host], timespan: 24h, condition: {field: image, lte: 1}}
kyra: {description: "{image} is rare", entity: [image]}
`))
	for i := range int64(20_000) {
		image := []string{"svchost.exe", "chrome.exe"}[i%2]
		if i == 7777 || i == 15_000 {
			image = "mimikatz.exe"
		}
		x.at(i, 0, "source", "x", "kind", "a", "host", "one", "image", image)
	}
	x.detector.Advance(math.MaxInt64)
	got := x.end()
	if len(got) != 1 || got[0].Key != "image=mimikatz.exe" || got[0].Count != 2 || got[0].Values["image"][0] != "mimikatz.exe" {
		t.Errorf("findings %v, want one of mimikatz.exe", got)
	}
}

// TestBoundsOfAll: a flood into one group of each type of correlation stays within
// bounds, and so do many groups.
func TestBoundsOfAll(t *testing.T) {
	t.Parallel()
	if raceEnabled || testing.Short() {
		t.Skip("slow")
	}
	for i, c := range []string{
		"{type: event_count, CONDITION}|lt: 1000000",
		"{type: value_count, CONDITION}|field: v, gte: 1000000",
		"{type: value_count, CONDITION}|field: v, eq: 1000000",
		"{type: value_sum, CONDITION}|field: n, gte: 1e15",
		"{type: value_avg, CONDITION}|field: n, gte: 1e15",
		"{type: value_median, CONDITION}|field: n, gte: 1e15",
		"{type: value_percentile, CONDITION}|field: n, percentile: 99, gte: 1e15",
		"{type: value_percentile, CONDITION}|field: v, lte: 0",
		"{type: temporal, rules: [a, b, c], group-by: [g], timespan: 1h}|",
		"{type: temporal_ordered, rules: [c, b, a], group-by: [g], timespan: 1h}|",
	} {
		name, condition, _ := strings.Cut(c, "|")
		name = conditioned(name, "rules: [a], group-by: [g], timespan: 1h, condition: {"+condition+"}")
		x := newEngine(mustCompile(t, threeBases+"title: K\nid: k\ncorrelation: "+name+"\n"))
		start := time.Now()
		for j := range int64(5000) {
			n := strconv.FormatInt(j, 10)
			x.at(j/2, j%500, "source", "x", "kind", "a", "g", "one", "v", n, "n", n)
		}
		for j := range int64(maxGroups + 1000) {
			if i == 0 || j < 1000 {
				n := strconv.FormatInt(j, 10)
				x.at(2500, 0, "source", "x", "kind", "a", "g", n, "v", n, "n", n)
			}
		}
		s := x.detector.tenants[1].correlations[0]
		if len(s.groups) > maxGroups || s.size > maxSize+3*maxEntries {
			t.Errorf("%s: %d groups of size %d", name, len(s.groups), s.size)
		}
		size := 0
		for _, g := range s.groups {
			size += g.size
			for _, r := range g.runs {
				if len(r.entries) > maxEntries || r.details > 2*maxDetails+1 {
					t.Fatalf("%s: a run has %d entries and %d details", name, len(r.entries), r.details)
				}
			}
		}
		if size != s.size {
			t.Errorf("%s: the size is %d, counted %d", name, size, s.size)
		}
		state, err := x.detector.State()
		if n := x.end(); len(n) > 0 {
			state, err = x.detector.State()
		}
		if err != nil || len(state) > 16<<20 {
			t.Errorf("%s: a state of %d bytes, %v", name, len(state), err)
		}
		t.Logf("%s: %d groups, size %d, state %d bytes, %v", name, len(s.groups), s.size, len(state), time.Since(start).Round(time.Millisecond))
	}
}

// TestSilenceThenEvent: what was judged at the end of a window is counted at its own
// time, though it becomes known later.
func TestSilenceThenEvent(t *testing.T) {
	t.Parallel()
	x := newEngine(mustCompile(t, conditioned(heartbeat, "lt: 1")+`---
title: Login
id: b
logsource: {product: x}
detection: {s: {kind: b}, condition: s}
---
title: Silent, then a login
id: outer
correlation: {type: temporal_ordered, rules: [silent, b], group-by: [host], timespan: 15m}
`))
	x.beat(0, "one")
	x.beat(0, "two")
	x.at(500, 0, "source", "x", "kind", "b", "host", "two") // before the silence is over
	x.at(700, 0, "source", "x", "kind", "b", "host", "one")
	if got := x.said(); len(got) != 0 {
		t.Errorf("before the window can be judged there is %v", got)
	}
	x.at(1300, 0, "source", "nothing")
	if d := cmp.Diff([]string{"outer host=one 1 600-700"}, x.said()); d != "" {
		t.Errorf("findings (want -, got +):\n%s", d)
	}
}

// TestClockSetBack: the server's clock was a day ahead for a moment. Windows may end
// later for that, never earlier.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	x := heartbeats(t, "lt: 2")
	x.at(0, 86_400, "source", "x", "kind", "other")
	for second := int64(10); second < 3000; second += 100 {
		x.beat(second, "one")
	}
	if got := x.said(); len(got) != 0 {
		t.Errorf("after the clock was set back there is %v", got)
	}
	x.detector.Advance((86_400 + 1200) * 1e9)
	if d := cmp.Diff([]string{"silent host=one 0 3310-3310"}, x.said()); d != "" {
		t.Errorf("when its time has come again (want -, got +):\n%s", d)
	}
}
