package detect

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSwapKeepsDeadlines: windows that have to be judged at their end go on when other
// rules change, and are dropped with their rule.
func TestSwapKeepsDeadlines(t *testing.T) {
	t.Parallel()
	current := mustCompile(t, conditioned(heartbeat, "lt: 2"))
	x := &engine{set: current, matcher: current.NewMatcher(), detector: New(func(uint32) *Ruleset { return current })}
	x.beat(0, "one")
	other := conditioned(heartbeat, "lt: 2") + "---\ntitle: Other\nid: other\ncorrelation: {type: event_count, rules: [a], timespan: 1m, condition: {gte: 99}}\n"
	current = mustCompile(t, other)
	x.matcher = current.NewMatcher()
	x.at(900, 0, "source", "nothing") // the tenant's rules changed, and no event of theirs came
	if d := cmp.Diff([]string{"silent host=one 1 0-0"}, x.said()); d != "" {
		t.Errorf("after a swap (want -, got +):\n%s", d)
	}
	state, err := x.detector.State()
	if err != nil {
		t.Fatal(err)
	}
	current = mustCompile(t, twoBases[:len(twoBases)-4]) // the correlation is gone
	x.detector.Advance(1e18)
	if got := x.said(); len(got) != 0 || len(x.detector.due) != 0 {
		t.Errorf("a rule that is gone gives %v and leaves %d deadlines", got, len(x.detector.due))
	}
	restored := New(func(uint32) *Ruleset { return current })
	if err := restored.Restore(state); err != nil || len(restored.due) != 0 {
		t.Errorf("a restored detector has %d deadlines of a rule that is gone, %v", len(restored.due), err)
	}
}
