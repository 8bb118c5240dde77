package sigma

import (
	"strings"
	"testing"
)

// The modifiers that an error names are those that are known.
func TestModifiersAreKnown(t *testing.T) {
	t.Parallel()
	for _, m := range modifiers {
		prefix := map[string]string{"i": "re|", "m": "re|", "s": "re|"}[m]
		_, err := Parse([]byte("title: t\nlogsource: {product: x}\ndetection:\n  a:\n    'b|" + prefix + m + "': c\n  condition: a\n"))
		if err != nil && strings.Contains(err.Error(), "unknown modifier") {
			t.Errorf("%s: %v", m, err)
		}
	}
	_, err := Parse([]byte("title: t\nlogsource: {product: x}\ndetection:\n  a:\n    b|cntains: c\n  condition: a\n"))
	if want := `line 5, column 5: unknown modifier "cntains": allowed are contains, startswith`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = Parse([]byte("title: t\nlogsource: {product: x}\ndetection:\n  z: {b: c}\n  a: {b: c}\n  condition: a and x\n"))
	if want := `line 6, column 20: condition: no search is named "x": there are a, z`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
