package rule

import (
	"strings"
	"testing"
	"time"
)

// sides puts together what compare says both texts are.
func sides(edits []edit) (a, b string) {
	var x, y strings.Builder
	for _, e := range edits {
		if e.kind != '+' {
			x.WriteString(e.line)
		}
		if e.kind != '-' {
			y.WriteString(e.line)
		}
	}
	return x.String(), y.String()
}

func FuzzCompare(f *testing.F) {
	for _, s := range [][2]string{{"", ""}, {"", "a\n"}, {"a", "a\n"}, {"a\nb\nc\n", "a\nc\nd\n"}, {"a\nb\n", "b\na\n"}, {"x\ny\nz", "q\ny\nr"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		edits := compare(lines(a), lines(b))
		if x, y := sides(edits); x != a || y != b {
			t.Errorf("%q and %q came out as %q and %q", a, b, x, y)
		}
		for _, h := range hunks(edits) {
			if h.from >= h.to || h.to > len(edits) {
				t.Errorf("hunk %+v of %d edits", h, len(edits))
			}
		}
		_ = Unified("a", "b", a, b)
	})
}

func TestUnified(t *testing.T) {
	var a, b strings.Builder
	for i := range 30 {
		line := strings.Repeat("x", i) + "\n"
		a.WriteString(line)
		if i == 4 || i == 20 {
			line = "new\n"
		}
		if i != 25 {
			b.WriteString(line)
		}
	}
	want := "@@ -2,7 +2,7 @@\n x\n xx\n xxx\n-xxxx\n+new\n xxxxx\n"
	got := Unified("one", "two", a.String(), b.String())
	if !strings.HasPrefix(got, "--- one\n+++ two\n"+want) || strings.Count(got, "@@ -") != 2 || strings.Contains(got, "xx\n xxxxxxxx\n-") {
		t.Errorf("diff is\n%s", got)
	}
}

// A text of a megabyte that has nothing in common with the other must not take long.
func TestUnifiedIsBounded(t *testing.T) {
	begin := time.Now()
	got := Unified("a", "b", strings.Repeat("a\n", 1<<19), strings.Repeat("b\n", 1<<19))
	if took := time.Since(begin); took > time.Minute { // without a bound: hours
		t.Errorf("took %v", took)
	}
	if len(got) < 3<<20-100 {
		t.Errorf("diff has %d bytes", len(got))
	}
}
