package sigma

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A pattern is a Sigma string after its escapes are read: literals and wildcards
// in turn.
type pattern []part

type part struct {
	kind    partKind
	literal string
}

type partKind uint8

const (
	literalPart  partKind = iota
	anyPart               // * : any number of characters
	onePart               // ? : one character
	unfilledPart          // %name% before its list is known; literal holds the name
)

// parsePattern reads the escapes of SIGMA: \*, \? and \\ are escapes, any other
// backslash is itself.
func parsePattern(s string) pattern {
	var p pattern
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			p = append(p, part{literal: b.String()})
			b.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		case c == '*':
			flush()
			if len(p) == 0 || p[len(p)-1].kind != anyPart {
				p = append(p, part{kind: anyPart})
			}
		case c == '?':
			flush()
			p = append(p, part{kind: onePart})
		default:
			b.WriteByte(c)
		}
	}
	flush()
	return p
}

// parseExpandable is parsePattern for the expand modifier: %name% stands for the
// entries of a list, \% for a percent sign.
func parseExpandable(s string) pattern {
	var p pattern
	rest := s
	for {
		start, end := findPlaceholder(rest)
		if start < 0 {
			break
		}
		p = append(p, parsePattern(unescapePercent(rest[:start]))...)
		p = append(p, part{kind: unfilledPart, literal: rest[start+1 : end-1]})
		rest = rest[end:]
	}
	return append(p, parsePattern(unescapePercent(rest))...)
}

func unescapePercent(s string) string { return strings.ReplaceAll(s, `\%`, `%`) }

func findPlaceholder(s string) (start, end int) {
	start = -1
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '%' && (i == 0 || s[i-1] != '\\'):
			if start >= 0 && i > start+1 {
				return start, i + 1
			}
			start = i
		case start >= 0 && !isNameByte(c):
			start = -1
		}
	}
	return -1, -1
}

func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// literal returns the text of a pattern without wildcards.
func (p pattern) literal() (string, bool) {
	var b strings.Builder
	for _, x := range p {
		if x.kind != literalPart {
			return "", false
		}
		b.WriteString(x.literal)
	}
	return b.String(), true
}

// wrap puts wildcards at the ends that are asked for.
func (p pattern) wrap(before, after bool) pattern {
	var out pattern
	if before && (len(p) == 0 || p[0].kind != anyPart) {
		out = append(out, part{kind: anyPart})
	}
	out = append(out, p...)
	if after && (len(out) == 0 || out[len(out)-1].kind != anyPart) {
		out = append(out, part{kind: anyPart})
	}
	return out
}

// mapLiterals returns p with f applied to each literal, several results giving
// several patterns, and false if they are more than maxAlternatives.
func (p pattern) mapLiterals(f func(string) []string) ([]pattern, bool) {
	return p.product(func(x part) []pattern {
		if x.kind != literalPart {
			return []pattern{{x}}
		}
		var out []pattern
		for _, s := range f(x.literal) {
			out = append(out, pattern{{literal: s}})
		}
		return out
	})
}

// fill returns p with its placeholders replaced by each entry of their lists, and
// false if that makes more than maxAlternatives.
func (p pattern) fill(lists map[string][]string) ([]pattern, bool) {
	return p.product(func(x part) []pattern {
		if x.kind != unfilledPart {
			return []pattern{{x}}
		}
		var out []pattern
		for _, s := range lists[x.literal] {
			out = append(out, parsePattern(s))
		}
		return out
	})
}

// product returns every way to choose one alternative for each part.
func (p pattern) product(alternatives func(part) []pattern) ([]pattern, bool) {
	out := []pattern{nil}
	for _, x := range p {
		alt := alternatives(x)
		if len(out)*len(alt) > maxAlternatives {
			return nil, false
		}
		next := make([]pattern, 0, len(out)*len(alt))
		for _, o := range out {
			for _, a := range alt {
				next = append(next, append(slices.Clip(o), a...))
			}
		}
		out = next
	}
	return out, true
}

// normal joins neighbouring literals and neighbouring stars.
func (p pattern) normal() pattern {
	var out pattern
	for _, x := range p {
		if n := len(out); n > 0 && x.kind == literalPart && out[n-1].kind == literalPart {
			out[n-1].literal += x.literal
			continue
		} else if n > 0 && x.kind == anyPart && out[n-1].kind == anyPart {
			continue
		}
		out = append(out, x)
	}
	return out
}

// matches is the reference meaning of a pattern: the whole of s must match.
func (p pattern) matches(s string) bool {
	if len(p) == 0 {
		return s == ""
	}
	switch x := p[0]; x.kind {
	case literalPart:
		rest, ok := strings.CutPrefix(s, x.literal)
		return ok && p[1:].matches(rest)
	case onePart:
		if s == "" {
			return false
		}
		_, n := utf8.DecodeRuneInString(s)
		return p[1:].matches(s[n:])
	case anyPart:
		if len(p) == 1 {
			return true
		}
		for {
			if p[1:].matches(s) {
				return true
			}
			if s == "" {
				return false
			}
			_, n := utf8.DecodeRuneInString(s)
			s = s[n:]
		}
	}
	return false // a placeholder without its list
}
