package query

import (
	"cmp"
	"iter"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// Text returns what is searched as the text of e: see the package comment.
func Text(e *event.Event) string {
	if IsJSON(e.Raw) || e.Raw == "" {
		if m, ok := e.Lookup(event.Message); ok {
			return m
		}
	}
	return e.Raw
}

// IsJSON tells whether raw counts as JSON input: it begins with a brace, white
// space aside.
func IsJSON(raw string) bool {
	return strings.HasPrefix(strings.TrimLeft(raw, " \t\r\n"), "{")
}

// values yields every value that e has for f; for the whole event, all of them.
func values(e *event.Event, f Field) iter.Seq[string] {
	return func(yield func(string) bool) {
		if f.Whole() {
			if !yield(Text(e)) {
				return
			}
			for i := range e.Fields {
				if !yield(e.Fields[i].Value) {
					return
				}
			}
			return
		}
		for _, name := range f.Names() {
			switch name {
			case event.EventID:
				if !yield(e.ID.String()) {
					return
				}
			case event.RawText:
				if t := Text(e); t != "" && !yield(t) {
					return
				}
			}
			for i := range e.Fields {
				if e.Fields[i].Name == name && !yield(e.Fields[i].Value) {
					return
				}
			}
		}
	}
}

func anyValue(e *event.Event, f Field, ok func(string) bool) bool {
	for v := range values(e, f) {
		if ok(v) {
			return true
		}
	}
	return false
}

// Match implements Node.
func (All) Match(*event.Event) bool { return true }

// Match implements Node.
func (n And) Match(e *event.Event) bool {
	for _, c := range n.Nodes {
		if !c.Match(e) {
			return false
		}
	}
	return true
}

// Match implements Node.
func (n Or) Match(e *event.Event) bool {
	for _, c := range n.Nodes {
		if c.Match(e) {
			return true
		}
	}
	return false
}

// Match implements Node.
func (n Not) Match(e *event.Event) bool { return !n.Node.Match(e) }

// Match implements Node.
func (n Equal) Match(e *event.Event) bool {
	low := strings.ToLower(n.Value)
	return anyValue(e, n.Field, func(v string) bool { return v == n.Value || strings.ToLower(v) == low })
}

// Match implements Node.
func (n Contains) Match(e *event.Event) bool {
	low := strings.ToLower(n.Text)
	return anyValue(e, n.Field, func(v string) bool { return containsWords(v, low) })
}

// Match implements Node.
func (n Wildcard) Match(e *event.Event) bool {
	re := n.re
	if re == nil {
		re = regexp.MustCompile(n.Pattern())
	}
	return anyValue(e, n.Field, re.MatchString)
}

// Match implements Node.
func (n Exists) Match(e *event.Event) bool {
	return n.Field.Time() || anyValue(e, n.Field, func(string) bool { return true })
}

// Match implements Node.
func (n Regexp) Match(e *event.Event) bool { return anyValue(e, n.Field, n.Re.MatchString) }

// Match implements Node.
func (n Span) Match(e *event.Event) bool {
	t := e.Time
	if event.Resolve(n.Field.Name) == event.IngestTime {
		t = e.Arrived
	}
	return (n.From == math.MinInt64 || t >= n.From) && (n.To == math.MaxInt64 || t < n.To)
}

// Match implements Node.
func (n CIDR) Match(e *event.Event) bool {
	written := n.Prefix.String()
	return anyValue(e, n.Field, func(v string) bool {
		if len(v) > 0 && v[len(v)-1] == written[len(written)-1] && strings.EqualFold(v, written) {
			return true
		}
		a, err := netip.ParseAddr(v)
		return err == nil && a.Zone() == "" && n.Prefix.Contains(a)
	})
}

// Match implements Node.
func (n Range) Match(e *event.Event) bool {
	switch n.Kind() {
	case Numbers:
		low, _ := number(n.Min.Value)
		high, _ := number(n.Max.Value)
		return anyValue(e, n.Field, func(v string) bool {
			x, ok := number(v)
			return ok && inside(n, cmp.Compare(x, low), cmp.Compare(x, high))
		})
	case Addresses:
		low, _ := netip.ParseAddr(n.Min.Value)
		high, _ := netip.ParseAddr(n.Max.Value)
		return anyValue(e, n.Field, func(v string) bool {
			x, err := netip.ParseAddr(v)
			if err != nil || x.Zone() != "" || low.IsValid() && low.Is4() != x.Is4() || high.IsValid() && high.Is4() != x.Is4() {
				return false
			}
			return inside(n, x.Compare(low), x.Compare(high))
		})
	default:
		low, high := strings.ToLower(n.Min.Value), strings.ToLower(n.Max.Value)
		return anyValue(e, n.Field, func(v string) bool {
			x := strings.ToLower(v)
			return inside(n, strings.Compare(x, low), strings.Compare(x, high))
		})
	}
}

func inside(n Range, low, high int) bool {
	return (n.Min.Open || low > 0 || low == 0 && !n.Min.Exclusive) &&
		(n.Max.Open || high < 0 || high == 0 && !n.Max.Exclusive)
}

// RangeKind tells how a Range compares.
type RangeKind uint8

// The kinds of ranges.
const (
	Texts RangeKind = iota
	Numbers
	Addresses
)

// Kind returns how n compares: by what its bounds are.
func (n Range) Kind() RangeKind {
	isAddr := func(b Bound) bool {
		a, err := netip.ParseAddr(b.Value)
		return b.Open || err == nil && a.Zone() == ""
	}
	isNumber := func(b Bound) bool {
		_, ok := number(b.Value)
		return b.Open || ok
	}
	switch {
	case n.Min.Open && n.Max.Open:
		return Texts
	case isNumber(n.Min) && isNumber(n.Max):
		return Numbers
	case isAddr(n.Min) && isAddr(n.Max):
		return Addresses
	}
	return Texts
}

// number reads what ranges take for a number: -12.5, at most 64 bytes.
func number(s string) (float64, bool) {
	digits, dot := 0, false
	if len(s) > 64 {
		return 0, false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '-' && i == 0:
		case c == '.' && !dot && digits > 0 && i < len(s)-1:
			dot = true
		case c >= '0' && c <= '9':
			digits++
		default:
			return 0, false
		}
	}
	if digits == 0 {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
