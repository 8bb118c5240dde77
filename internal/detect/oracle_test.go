package detect

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

const threeBases = twoBases + `title: C
id: c
logsource: {product: x}
detection: {s: {kind: c}, condition: s}
---
`

// A fact is one event of the oracle.
type fact struct {
	id     uint32
	at     int64 // seconds
	delay  int64 // of its arrival
	rules  string
	group  string
	value  string
	number string
	weight int64
}

// A question is a correlation as the oracle understands it.
type question struct {
	kind    string
	rules   []string
	span    int64
	holds   func(float64) bool
	atEnd   bool
	percent float64
	allow   func(has func(string) bool) bool // of a boolean condition
	share   bool
	ordered bool
}

func (q *question) monotone() bool {
	switch q.kind {
	case sigma.ValueAvg, sigma.ValuePercentile, sigma.ValueMedian:
		return false
	}
	return true
}

// measure looks at the facts of one window, in the plainest way.
func (q *question) measure(fs []fact) bool {
	weight, sum := 0.0, 0.0
	var numbers []float64
	values, rules := map[string]bool{}, map[string]bool{}
	for _, f := range fs {
		weight += float64(f.weight)
		values[f.value] = true
		n, _ := strconv.ParseFloat(f.number, 64)
		sum += n * float64(f.weight)
		for range f.weight {
			numbers = append(numbers, n)
		}
		for _, r := range f.rules {
			rules[string(r)] = true
		}
	}
	sort.Float64s(numbers)
	switch q.kind {
	case sigma.EventCount:
		return q.holds(weight)
	case sigma.ValueCount:
		return q.holds(float64(len(values)))
	case sigma.ValueSum:
		return q.holds(sum)
	case sigma.ValueAvg:
		return len(numbers) > 0 && q.holds(sum/weight)
	case sigma.ValueMedian:
		n := len(numbers)
		return n > 0 && q.holds((numbers[(n-1)/2]+numbers[n/2])/2)
	case sigma.ValuePercentile:
		if q.share {
			return len(q.rare(fs)) > 0
		}
		n := len(numbers)
		return n > 0 && q.holds(numbers[max(1, int(math.Ceil(q.percent/100*float64(n))))-1])
	}
	if !q.ordered {
		if q.allow != nil {
			return q.allow(func(r string) bool { return rules[r] })
		}
		n := 0
		for _, r := range slices.Compact(slices.Sorted(slices.Values(q.rules))) {
			if rules[r] {
				n++
			}
		}
		return q.holds(float64(n))
	}
	return q.inOrder(fs, rules)
}

// inOrder tries all ways to give the places of the list to events.
func (q *question) inOrder(fs []fact, rules map[string]bool) bool {
	longest := 0
	var walk func(place int, after int64, used map[uint32]bool, taken []string) bool
	walk = func(place int, after int64, used map[uint32]bool, taken []string) bool {
		if place == len(q.rules) {
			if longest = max(longest, len(taken)); q.allow == nil {
				return false
			}
			// What is not taken in order must not be needed, and what is forbidden
			// must not be in the window at all.
			return q.allow(func(r string) bool { return slices.Contains(taken, r) }) && q.allow(func(r string) bool { return slices.Contains(taken, r) || rules[r] && r == "c" })
		}
		for _, f := range fs {
			if f.at >= after && !used[f.id] && strings.Contains(f.rules, q.rules[place]) {
				used[f.id] = true
				if walk(place+1, f.at, used, append(slices.Clip(taken), q.rules[place])) {
					return true
				}
				used[f.id] = false
			}
		}
		return walk(place+1, after, used, taken)
	}
	if walk(0, math.MinInt64, map[uint32]bool{}, nil) {
		return true
	}
	return q.allow == nil && q.holds(float64(longest))
}

func (q *question) rare(fs []fact) (out []fact) {
	all, counts := 0.0, map[string]float64{}
	for _, f := range fs {
		all += float64(f.weight)
		counts[f.value] += float64(f.weight)
	}
	for _, f := range fs {
		if q.holds(100 * counts[f.value] / all) {
			out = append(out, f)
		}
	}
	return out
}

// answer says which facts must be reported, by group. fs are in order of arrival.
func (q *question) answer(fs []fact) map[string][]uint32 {
	groups := map[string][]fact{}
	for _, f := range fs {
		if strings.ContainsAny(f.rules, strings.Join(q.rules, "")) {
			groups[f.group] = append(groups[f.group], f)
		}
	}
	out := map[string][]uint32{}
	for name, g := range groups {
		found := map[uint32]bool{}
		add := func(fs []fact) {
			for _, f := range fs {
				found[f.id] = true
			}
		}
		if q.atEnd {
			q.atEnds(g, add)
		} else {
			for i := range g {
				seen := g
				if !q.monotone() {
					seen = g[:i+1]
				}
				var in []fact
				for _, f := range seen {
					if f.at > g[i].at-q.span && f.at <= g[i].at {
						in = append(in, f)
					}
				}
				if q.measure(in) {
					add(in)
				}
			}
		}
		for id := range found {
			out[name] = append(out[name], id)
		}
		slices.Sort(out[name])
	}
	return out
}

func (q *question) atEnds(g []fact, add func([]fact)) {
	g = slices.Clone(g)
	slices.SortStableFunc(g, func(a, b fact) int { return int(a.at - b.at) })
	for len(g) > 0 {
		end := g[0].at + q.span
		n := 0
		for n < len(g) && g[n].at < end {
			n++
		}
		if q.measure(g[:n]) {
			if q.share {
				add(q.rare(g[:n]))
			} else {
				add(g[:n])
			}
		}
		g = g[n:]
	}
}

var comparisons = map[string]func(a, b float64) bool{
	"gt": func(a, b float64) bool { return a > b }, "gte": func(a, b float64) bool { return a >= b },
	"lt": func(a, b float64) bool { return a < b }, "lte": func(a, b float64) bool { return a <= b },
	"eq": func(a, b float64) bool { return a == b }, "neq": func(a, b float64) bool { return a != b },
}

// drawQuestion returns a correlation in both languages.
func drawQuestion(t *rapid.T) (question, string) {
	q := question{span: 60}
	q.kind = rapid.SampledFrom([]string{
		sigma.EventCount, sigma.ValueCount, sigma.ValueSum, sigma.ValueAvg, sigma.ValuePercentile, sigma.ValueMedian, sigma.Temporal, sigma.TemporalOrdered,
	}).Draw(t, "kind")
	q.ordered = q.kind == sigma.TemporalOrdered
	var condition string
	if q.kind == sigma.Temporal || q.ordered {
		q.rules = rapid.SampledFrom([][]string{{"a", "b"}, {"a", "b", "c"}, {"b", "a", "c"}, {"a", "a", "b"}}).Draw(t, "rules")
		condition = q.drawRuleCondition(t)
	} else {
		q.rules = rapid.SampledFrom([][]string{{"a"}, {"a", "b"}}).Draw(t, "rules")
		condition = q.drawThreshold(t)
	}
	group := rapid.SampledFrom([]string{"", "  group-by: [g]\n"}).Draw(t, "group")
	return q, fmt.Sprintf("title: K\nid: k\ncorrelation:\n  type: %s\n  rules: [%s]\n%s  timespan: 60s\n%s", q.kind, strings.Join(q.rules, ", "), group, condition)
}

func (q *question) drawThreshold(t *rapid.T) string {
	field := ""
	switch q.kind {
	case sigma.ValueCount:
		field = "field: v, "
	case sigma.ValueSum, sigma.ValueAvg, sigma.ValueMedian:
		field = "field: n, "
	case sigma.ValuePercentile:
		field = "field: v, "
		if q.share = rapid.Bool().Draw(t, "share"); !q.share {
			q.percent = rapid.SampledFrom([]float64{1, 50, 90, 100}).Draw(t, "percentile")
			field = fmt.Sprintf("field: n, percentile: %v, ", q.percent)
		}
	}
	limit := func(label string) float64 {
		if q.share {
			return rapid.SampledFrom([]float64{10, 25, 50}).Draw(t, label)
		}
		return float64(rapid.IntRange(1, 6).Draw(t, label))
	}
	op, n := rapid.SampledFrom([]string{"gt", "gte", "gte", "lt", "lte", "eq", "neq"}).Draw(t, "op"), limit("n")
	q.holds = func(x float64) bool { return comparisons[op](x, n) }
	q.atEnd = q.share || op != "gt" && op != "gte"
	if rapid.IntRange(0, 5).Draw(t, "range") == 0 {
		q.atEnd = true
		more := n + limit("more")
		q.holds = func(x float64) bool { return x > n && x <= more }
		return fmt.Sprintf("  condition: {%sgt: %v, lte: %v}\n", field, n, more)
	}
	return fmt.Sprintf("  condition: {%s%s: %v}\n", field, op, n)
}

func (q *question) drawRuleCondition(t *rapid.T) string {
	distinct := float64(len(slices.Compact(slices.Sorted(slices.Values(q.rules)))))
	if q.ordered {
		distinct = float64(len(q.rules))
	}
	q.holds = func(x float64) bool { return x >= distinct }
	if len(q.rules) < 3 || q.rules[1] == q.rules[0] {
		return ""
	}
	switch rapid.IntRange(0, 4).Draw(t, "condition") {
	case 0:
		q.holds = func(x float64) bool { return x >= 2 }
		return "  condition: {gte: 2}\n"
	case 1:
		q.holds, q.atEnd = func(x float64) bool { return x == 1 }, true
		return "  condition: {eq: 1}\n"
	case 2:
		q.allow = func(has func(string) bool) bool { return has("a") && (has("b") || has("c")) }
		return "  condition: a and (b or c)\n"
	case 3:
		q.allow, q.atEnd = func(has func(string) bool) bool { return has("a") && has("b") && !has("c") }, true
		return "  condition: a and b and not c\n"
	}
	return ""
}

func drawFacts(t *rapid.T, inOrder bool) []fact {
	var out []fact
	clock := int64(0)
	for i := range rapid.IntRange(1, 40).Draw(t, "events") {
		clock += rapid.SampledFrom([]int64{0, 0, 1, 5, 10, 20, 30, 60, 100, 300}).Draw(t, "gap")
		f := fact{
			id: uint32(i), at: clock, weight: rapid.SampledFrom([]int64{1, 1, 2}).Draw(t, "weight"),
			rules: rapid.SampledFrom([]string{"a", "b", "c", "ab", "ac", "abc"}).Draw(t, "kind"),
			group: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "group"),
			value: strconv.Itoa(rapid.IntRange(0, 4).Draw(t, "value")), number: rapid.SampledFrom([]string{"0", "1", "2", "3", "5", "0.5"}).Draw(t, "number"),
		}
		if !inOrder && rapid.Bool().Draw(t, "late") {
			f.delay = rapid.Int64Range(0, 599).Draw(t, "delay")
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b fact) int { return int(a.at + a.delay - b.at - b.delay) })
	return out
}

func (x *engine) fact(f fact) {
	base := time.Date(2011, 1, 2, 3, 4, 5, 0, time.UTC)
	e := event.Event{Tenant: 1, ID: event.ID{Index: f.id}, Time: base.Add(time.Duration(f.at) * time.Second).UnixNano(), Arrived: base.Add(time.Duration(f.at+f.delay) * time.Second).UnixNano()}
	e.Add("source", "x")
	for _, r := range f.rules {
		e.Add("kind", string(r))
	}
	e.Add("g", f.group)
	e.Add("v", f.value)
	e.Add("n", f.number)
	e.Add("count", strconv.FormatInt(f.weight, 10))
	x.detector.Apply(&e, x.matcher.Match(&e, nil), nil)
}

// restart goes on with a detector restored from the state of the one before.
func (x *engine) restart(t *rapid.T) {
	state, err := x.detector.State()
	if err != nil {
		t.Fatal(err)
	}
	next := New(func(uint32) *Ruleset { return x.set })
	if err := next.Restore(state); err != nil {
		t.Fatal(err)
	}
	again, err := next.State()
	if err != nil || !bytes.Equal(state, again) {
		t.Fatalf("the state of a restored detector differs: %v", err)
	}
	x.detector = next
}

// TestOracle: correlations of all types report what a look at all events at once
// would, in whatever order these come, as long as none is later than is allowed;
// those whose answer may be undone by a later event, in order of time. Restarts on
// the way change nothing.
func TestOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q, text := drawQuestion(t)
		set := mustCompileFor(t, threeBases+text)
		facts := drawFacts(t, !q.atEnd && !q.monotone())
		grouped := strings.Contains(text, "group-by")
		if !grouped {
			for i := range facts {
				facts[i].group = ""
			}
		}
		x := newEngine(set)
		got := map[string][]uint32{}
		collect := func() {
			for _, f := range x.end() {
				if f.Rule.ID != "k" {
					continue
				}
				for _, id := range f.Events {
					if key := strings.TrimPrefix(f.Key, "g="); !slices.Contains(got[key], id.Index) {
						got[key] = append(got[key], id.Index)
					}
				}
			}
		}
		for _, f := range facts {
			x.fact(f)
			if rapid.IntRange(0, 3).Draw(t, "batch") == 0 {
				collect()
				x.restart(t)
			}
		}
		x.detector.Advance(math.MaxInt64)
		collect()
		for _, ids := range got {
			slices.Sort(ids)
		}
		if d := cmp.Diff(q.answer(facts), got); d != "" {
			t.Fatalf("reported (want -, got +):\n%s\n%s\n%+v", d, text, facts)
		}
	})
}

func mustCompileFor(t *rapid.T, text string) *Ruleset {
	docs, err := sigma.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var rules []Rule
	for _, d := range docs {
		rules = append(rules, Rule{Document: d, Version: 1})
	}
	set, problems := Compile(rules)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, text)
	}
	return set
}

// TestRestartChangesNothing: whatever correlations there are, and wherever among the
// events the detector is stopped and goes on from its state, the findings are the
// same to the last field.
func TestRestartChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := threeBases
		for i := range rapid.IntRange(1, 3).Draw(t, "correlations") {
			_, k := drawQuestion(t)
			k = strings.Replace(k, "id: k\n", fmt.Sprintf("id: k%d\nkyra: {entity: [v, g], description: '{n} {v}'}\n", i), 1)
			text += k + "---\n"
		}
		text += "title: O\nid: outer\ncorrelation: {type: " + rapid.SampledFrom([]string{"event_count", "value_count"}).Draw(t, "outer") +
			", rules: [k0, c], group-by: [v], timespan: 2m, condition: {field: n, " + rapid.SampledFrom([]string{"gte: 2", "lt: 2"}).Draw(t, "condition") + "}}\n"
		set := mustCompileFor(t, text)
		facts := drawFacts(t, rapid.Bool().Draw(t, "in order"))
		straight, stopped := newEngine(set), newEngine(set)
		for _, f := range facts {
			straight.fact(f)
			stopped.fact(f)
			if rapid.Bool().Draw(t, "batch") {
				if d := cmp.Diff(straight.end(), stopped.end()); d != "" {
					t.Fatalf("after a restart (without -, with +):\n%s\n%s", d, text)
				}
				stopped.restart(t)
			}
		}
		straight.detector.Advance(math.MaxInt64)
		stopped.detector.Advance(math.MaxInt64)
		if d := cmp.Diff(straight.end(), stopped.end()); d != "" {
			t.Fatalf("at the end (without -, with +):\n%s\n%s", d, text)
		}
	})
}
