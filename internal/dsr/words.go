package dsr

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A needle is one identifier as it is looked for in control data.
type needle struct {
	value     []rune // in lower case
	words     bool   // as a word of any text, too
	whole     bool   // the parts of names that dots and dashes join belong together: e-mail, address
	pseudonym string
}

// A matcher finds and replaces what names a person in texts.
type matcher []needle

// newMatcher puts the longest values first: of "akim@example.com" nothing is left where
// "akim" is looked for too.
func newMatcher(list []Identifier, pseudonym func(value string) string) matcher {
	m := make(matcher, len(list))
	for i, x := range list {
		m[i] = needle{[]rune(strings.ToLower(x.Value)), x.Words, x.Type == "email" || x.Type == "ip", pseudonym(x.Value)}
	}
	slices.SortStableFunc(m, func(a, b needle) int { return len(b.value) - len(a.value) })
	return m
}

// value tells whether s as a whole names the person, and the pseudonym for it. What an
// earlier erasure has put there counts too, without a new one: erasing again then finds
// the same objects.
func (m matcher) value(s string) (pseudonym string, ok bool) {
	low := []rune(strings.ToLower(s))
	for i := range m {
		if slices.Equal(low, m[i].value) {
			return m[i].pseudonym, true
		}
		if s == m[i].pseudonym {
			return s, true
		}
	}
	return s, false
}

// text replaces what names the person in s: the identifiers that are looked for as words,
// or all of them.
func (m matcher) text(s string, all bool) string {
	for i := range m {
		if m[i].words || all {
			s = m[i].replace(s)
		}
	}
	return s
}

// replace reads s once: a pseudonym is never looked into.
func (n *needle) replace(s string) string {
	var b strings.Builder
	done := 0
	for at := 0; at < len(s); {
		if end := n.at(s, at); end > 0 {
			b.WriteString(s[done:at])
			b.WriteString(n.pseudonym)
			at, done = end, end
			continue
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	if done == 0 {
		return s
	}
	return b.String() + s[done:]
}

// at returns where the needle that begins at from ends, 0 where it does not begin there.
func (n *needle) at(s string, from int) int {
	end := from
	for _, want := range n.value {
		r, size := utf8.DecodeRuneInString(s[end:])
		if size == 0 || unicode.ToLower(r) != want {
			return 0
		}
		end += size
	}
	if n.joined(reversed(s[:from]), n.value[0]) || n.joined(forward(s[end:]), n.value[len(n.value)-1]) {
		return 0
	}
	return end
}

func reversed(s string) func() rune {
	return func() rune {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		return r
	}
}

func forward(s string) func() rune {
	return func() rune {
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		return r
	}
}

func wordly(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// joined tells whether what stands beside the needle, of which edge is the last
// character, belongs to one word with it.
func (n *needle) joined(next func() rune, edge rune) bool {
	r := next()
	if wordly(r) {
		return wordly(edge)
	}
	return n.whole && strings.ContainsRune(".-+", r) && wordly(next())
}

// document is text and value for each string of a JSON document, keys aside. What is no
// JSON is taken for a text.
func (m matcher) document(s string, all bool) (out string, named bool) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		out = m.text(s, all)
		return out, out != s
	}
	changed := false
	v = m.walk(v, all, &changed, &named)
	if !changed {
		return s, named
	}
	text, err := json.Marshal(v)
	if err != nil { // it was read from JSON
		return s, named
	}
	return string(text), named
}

func (m matcher) walk(v any, all bool, changed, named *bool) any {
	switch v := v.(type) {
	case string:
		out, whole := m.value(v)
		if !whole {
			out = m.text(v, all)
		}
		*named = *named || whole || out != v
		*changed = *changed || out != v
		return out
	case []any:
		for i := range v {
			v[i] = m.walk(v[i], all, changed, named)
		}
	case map[string]any:
		for k := range v {
			v[k] = m.walk(v[k], all, changed, named)
		}
	}
	return v
}

// likes are the patterns, in lower case, of which one fits every text that can name the
// person; nil: no pattern tells, each text must be looked at. They hold only what all
// databases write small in the same way and JSON writes as it is.
func (m matcher) likes() []string {
	var out []string
	for i := range m {
		for _, text := range []string{string(m[i].value), m[i].pseudonym} {
			best := ""
			for run := range strings.FieldsFuncSeq(text, func(r rune) bool {
				return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(".-@", r)
			}) {
				if len(run) > len(best) {
					best = run
				}
			}
			if len(best) < 3 {
				return nil
			}
			out = append(out, "%"+best+"%")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
