package detect

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOlderAggregations: conditions that count, of the language before correlations.
func TestOlderAggregations(t *testing.T) {
	t.Parallel()
	const head = "title: Old\nid: old\nlogsource: {product: x}\ndetection:\n  sel: {kind: a}\n  other: {kind: b}\n  third: {kind: c}\n  timeframe: 1m\n  condition: "
	for condition, want := range map[string][]string{
		"sel | count() by host > 1":              {"old host=one 3 0-20"},
		"sel | count(v) by host >= 2":            {"old host=one 3 0-20"},
		"sel | sum(v) by host >= 6":              {"old host=one 3 0-20"},
		"sel | count() by host < 2":              {"old host=two 1 30-150", "old host=one 0 120-120"}, // the windows without any too
		"sel | near other by host":               {"old host=one 4 0-40"},
		"sel | near other and third":             {"old  6 0-50"},
		"sel | near other and not third by host": {"old host=one 4 0-40"},
		"other | near sel and not third":         nil,
	} {
		x := newEngine(mustCompile(t, head+condition+"\n"))
		for i, k := range []string{"a1one", "a2one", "a3one", "a1two", "b1one", "c1two"} {
			x.at(int64(10*i), 0, "source", "x", "kind", k[:1], "v", k[1:2], "host", k[2:])
		}
		x.at(100_000, 0, "source", "x", "kind", "nothing")
		if d := cmp.Diff(want, x.said()); d != "" {
			t.Errorf("%s (want -, got +):\n%s", condition, d)
		}
	}
}
