package sigma

import (
	"fmt"
	"strings"
	"testing"
)

func (r *Requirement) text() string {
	switch {
	case r == nil:
		return "-"
	case r.Field != "":
		return r.Field
	}
	var parts []string
	for _, k := range r.Of {
		parts = append(parts, k.text())
	}
	switch r.Least {
	case 1:
		return "(" + strings.Join(parts, " or ") + ")"
	case len(r.Of):
		return "(" + strings.Join(parts, " and ") + ")"
	}
	return fmt.Sprintf("(%d of %s)", r.Least, strings.Join(parts, ", "))
}

func TestRequires(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ detection, want string }{
		{"sel: {A: x, B|contains: [y, z]}\n  condition: sel", "(A and B)"},
		{"sel: {A: [x, y, z]}\n  condition: sel", "A"},
		{"sel: {A|contains|all: [x, y]}\n  condition: sel", "A"},
		{"a: {A: x}\n  b: {B: y}\n  condition: a or b", "(A or B)"},
		{"a: {A: x, C: 1}\n  b: {B: y}\n  condition: a or b", "((A and C) or B)"},
		{"a: {A: x}\n  b: {B: y}\n  condition: a and not b", "A"},
		{"a: {A: x}\n  b: {B: null}\n  condition: a and not b", "(A and B)"},
		{"a: {A: x}\n  b: [{B: null}, {C: ''}]\n  condition: a and not 1 of b", "(A and B)"},
		{"a: {A: null}\n  condition: a", "-"},
		{"a: {A: ''}\n  condition: a", "-"},
		{"a: {A|exists: false}\n  condition: a", "-"},
		{"a: {A|exists: true}\n  condition: a", "A"},
		{"a: {A: '*'}\n  condition: a", "A"},
		{"a: {A|re: 'x*'}\n  condition: a", "-"},
		{"a: {A|re: 'x+'}\n  condition: a", "A"},
		{"a: {A|neq: x}\n  condition: a", "-"},
		{"a: {A|fieldref: B}\n  condition: a", "(A and B)"},
		{"a: {A|expand: '%list%'}\n  condition: a", "A"},
		{"a: [one, two]\n  condition: a", "-"},
		{"a: [one, two]\n  b: {B: x}\n  condition: a or b", "-"},
		{"a: [one, two]\n  b: {B: x}\n  condition: a and b", "B"},
		{"s1: {A: x}\n  s2: {B: x}\n  s3: {C: x}\n  condition: 1 of s*", "(A or B or C)"},
		{"s1: {A: x}\n  s2: {B: x}\n  s3: {A: y}\n  condition: all of s*", "(A and B)"},
		{"s1: {A: x}\n  s2: {A: y}\n  condition: not (s1 or s2)", "-"},
		{"a: {A: 1}\n  condition: not (not a)", "A"},
	} {
		docs, err := Parse([]byte("title: t\nlogsource: {category: process}\ndetection:\n  " + c.detection + "\n"))
		if err != nil {
			t.Errorf("%s: %v", c.detection, err)
			continue
		}
		if got := docs[0].Requires().text(); got != c.want {
			t.Errorf("%s\nrequires %s, want %s", c.detection, got, c.want)
		}
	}
}
