package detect

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/query"
)

// An explanation must say what the engine does, for all rules; and a narrowing query
// must let everything through that a rule looks at.
func TestExplainAndNarrowAgreeWithMatch(t *testing.T) {
	t.Parallel()
	rs := corpus(t, Options{})
	events := append(recordings(t, 100), sshdEvents()[:5]...)
	m := rs.NewMatcher()
	narrow := make([]query.Node, len(rs.groups))
	for g := range rs.groups {
		narrow[g] = rs.groups[g].source.narrow()
	}
	matches, routed, passed := 0, 0, 0
	for i := range events {
		e := &events[i]
		var want []string
		for _, h := range m.Match(e, nil) {
			want = append(want, h.RuleID())
		}
		groups := slices.Clone(m.route(e))
		for g, n := range narrow {
			passes := n == nil || n.Match(e)
			if slices.Contains(groups, int32(g)) {
				routed++
				if !passes {
					t.Errorf("%s: %v does not let through %v", rs.groups[g].source.name, n, e)
				}
			}
			if passes {
				passed++
			}
		}
		if i%100 != 0 && len(want) == 0 {
			continue
		}
		var got []string
		for _, x := range rs.Explain(e) {
			if x.Matches() {
				got = append(got, x.ID)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("event %d, explained differs from matched:\n%s", i, d)
		}
		matches += len(want)
	}
	t.Logf("%d events, %d matches, routed %d times, let through %d times of %d", len(events), matches, routed, passed, len(events)*len(rs.groups))
	if matches == 0 || passed > routed*2 {
		t.Errorf("the test says little: %d matches, routed %d, let through %d", matches, routed, passed)
	}
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	for logsource, want := range map[string]string{
		"{category: nothing_known}": "category:nothing_known OR dataset:nothing_known OR dataset:*.nothing_known",
		"{product: acme}":           "source:acme OR source:acme_* OR product:acme OR vendor:acme OR program:acme OR dataset:acme OR dataset:acme.*",
	} {
		rs, _ := Compile(mustParse(t, "title: a\nlogsource: "+logsource+"\ndetection: {s: {a: b}, condition: s}\n"))
		n := rs.Narrow()
		got := ""
		if n != nil {
			got = n.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", logsource, got, want)
		}
	}
	if n := (&Ruleset{}).Narrow(); n != nil {
		t.Errorf("no rules: %v", n)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	rules := mustParse(t, bruteForce)
	arrival := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano()
	rules[0].Exceptions = []Exception{{ID: "x1", Filter: filterOf(t, "{s: {src_ip: 10.0.0.9}, condition: s}"), Until: arrival}}
	rules[1].Exceptions = []Exception{{ID: "x2", Filter: filterOf(t, "{s: {src_ip: 10.0.0.9}, condition: s}")}}
	set, problems := Compile(rules)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	e := &event.Event{Arrived: arrival}
	for i, v := range strings.Fields("source nginx action login outcome failure src_ip 10.0.0.9") {
		if i%2 == 0 {
			e.Add(v, "")
		} else {
			e.Fields[len(e.Fields)-1].Value = v
		}
	}
	x := set.Explain(e)[0]
	if x.Matches() || x.LogSource.Holds || !x.Condition.Holds || x.ID != "base" || x.Title != "SSH logon failure" || x.Taken() != nil || !x.Exceptions[0].Expired || !x.Exceptions[0].Filter.Holds {
		t.Errorf("another source: %+v", x)
	}
	if got := set.NewMatcher().Match(e, nil); len(got) != 0 {
		t.Errorf("hits %v", got)
	}
	e.Set("source", "sshd")
	e.Arrived--
	x = set.Explain(e)[0]
	if !x.Matches() || x.Taken() == nil || x.Taken().ID != "x1" {
		t.Errorf("excepted: %+v", x)
	}
	hits := set.NewMatcher().Match(e, nil)
	if len(hits) != 1 {
		t.Fatalf("hits %v", hits)
	}
	counted := set.Counts(hits[0], e)
	if len(counted) != 1 || counted[0].Key() != "src_ip=10.0.0.9" || !counted[0].GroupComplete || counted[0].Correlation != "brute" || counted[0].Rule != "base" || counted[0].Taken() == nil {
		t.Errorf("counted: %+v", counted)
	}
	e.Set("src_ip", "")
	if counted = set.Counts(hits[0], e); counted[0].GroupComplete {
		t.Errorf("an empty group field is complete: %+v", counted)
	}
}
