package arrival

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHexRange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Uint64Range(0, 1<<48-1).Draw(t, "from")
		to := from + rapid.Uint64Range(0, 1<<rapid.IntRange(0, 47).Draw(t, "bits")).Draw(t, "width")
		to = min(to, 1<<48-1)
		parts := hexRange(from, to)
		if len(parts) > 50 {
			t.Fatalf("%d parts", len(parts))
		}
		re := regexp.MustCompile("^(" + strings.Join(parts, "|") + ")$")
		for _, n := range []uint64{0, from - 1, from, from + 1, rapid.Uint64Range(from, to).Draw(t, "within"), to - 1, to, to + 1, rapid.Uint64Range(0, 1<<48-1).Draw(t, "any"), 1<<48 - 1} {
			if n >= 1<<48 {
				continue
			}
			if got, want := re.MatchString(fmt.Sprintf("%012x", n)), n >= from && n <= to; got != want {
				t.Fatalf("%x to %x: %x is in it: %v, by %v", from, to, n, got, parts)
			}
		}
	})
}
