package sigma

import (
	"bytes"
	"unicode/utf8"
)

// A globMatcher matches a pattern with wildcards inside: segments between stars,
// of which the first and the last may be bound to the ends of the value.
type globMatcher struct {
	segments   []segment
	start, end bool // bound
}

// A segment is what stands between two stars.
type segment struct {
	parts   pattern // literals and single characters
	literal []byte  // the whole, where there are no single characters
	plain   bool
}

func newGlobMatcher(p pattern) globMatcher {
	g := globMatcher{
		start: len(p) > 0 && p[0].kind != anyPart,
		end:   len(p) > 0 && p[len(p)-1].kind != anyPart,
	}
	var current pattern
	flush := func() {
		if len(current) > 0 {
			s := segment{parts: current}
			text, plain := current.literal()
			s.literal, s.plain = []byte(text), plain
			g.segments = append(g.segments, s)
			current = nil
		}
	}
	for _, x := range p {
		if x.kind == anyPart {
			flush()
		} else {
			current = append(current, x)
		}
	}
	flush()
	return g
}

func (g *globMatcher) match(v []byte) bool {
	for i := range g.segments {
		s := &g.segments[i]
		first, last := i == 0 && g.start, i == len(g.segments)-1 && g.end
		switch {
		case first:
			n := s.prefix(v)
			if n < 0 || last && n != len(v) {
				return false
			}
			v = v[n:]
		case last:
			return s.suffix(v)
		default:
			end := s.find(v)
			if end < 0 {
				return false
			}
			v = v[end:]
		}
	}
	return true
}

// prefix returns the length of s at the beginning of v, or -1.
func (s *segment) prefix(v []byte) int {
	n := 0
	for i := range s.parts {
		x := &s.parts[i]
		if x.kind == literalPart {
			if len(v)-n < len(x.literal) || string(v[n:n+len(x.literal)]) != x.literal {
				return -1
			}
			n += len(x.literal)
			continue
		}
		if n >= len(v) {
			return -1
		}
		_, width := utf8.DecodeRune(v[n:])
		n += width
	}
	return n
}

// find returns the end of the first s in v, or -1.
func (s *segment) find(v []byte) int {
	if s.plain {
		i := bytes.Index(v, s.literal)
		if i < 0 {
			return -1
		}
		return i + len(s.literal)
	}
	for at := 0; ; {
		if n := s.prefix(v[at:]); n >= 0 {
			return at + n
		}
		if at >= len(v) {
			return -1
		}
		_, width := utf8.DecodeRune(v[at:])
		at += width
	}
}

// suffix tells whether s stands at the end of v.
func (s *segment) suffix(v []byte) bool {
	if s.plain {
		return bytes.HasSuffix(v, s.literal)
	}
	for at := 0; ; {
		if n := s.prefix(v[at:]); n >= 0 && at+n == len(v) {
			return true
		}
		if at >= len(v) {
			return false
		}
		_, width := utf8.DecodeRune(v[at:])
		at += width
	}
}
