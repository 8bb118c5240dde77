package query

import (
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

func (All) String() string { return "*" }

func (n And) String() string { return join(n.Nodes, " AND ") }

func (n Or) String() string { return join(n.Nodes, " OR ") }

func (n Not) String() string { return "NOT " + inner(n.Node) }

func join(nodes []Node, operator string) string {
	var b strings.Builder
	for i, n := range nodes {
		if i > 0 {
			b.WriteString(operator)
		}
		b.WriteString(inner(n))
	}
	return b.String()
}

// inner puts brackets round nodes with operators of their own.
func inner(n Node) string {
	switch n.(type) {
	case And, Or:
		return "(" + n.String() + ")"
	}
	return n.String()
}

func (n Equal) String() string { return n.Field.prefix() + quote(n.Value) }

func (n Contains) String() string { return n.Field.prefix() + quote(n.Text) }

func (n Exists) String() string { return n.Field.prefix() + "*" }

func (n CIDR) String() string { return n.Field.prefix() + n.Prefix.String() }

func (n Wildcard) String() string {
	var b strings.Builder
	b.WriteString(n.Field.prefix())
	for _, p := range n.Parts {
		switch p.Kind {
		case Any:
			b.WriteByte('*')
		case One:
			b.WriteByte('?')
		default:
			b.WriteString(escape(p.Text))
		}
	}
	return b.String()
}

func (n Regexp) String() string {
	var b strings.Builder
	b.WriteString(n.Field.prefix())
	b.WriteByte('/')
	escaped := false
	for _, r := range n.Re.String() {
		switch {
		case r == '/' && !escaped:
			b.WriteString(`\/`)
		case unicode.IsSpace(r) && escaped:
			b.WriteString(space(r)[1:]) // the backslash is out already
		case unicode.IsSpace(r):
			b.WriteString(space(r))
		default:
			b.WriteRune(r)
		}
		escaped = r == '\\' && !escaped
	}
	b.WriteByte('/')
	return b.String()
}

// space is a blank in the notation of regular expressions.
func space(r rune) string {
	const hex = "0123456789abcdef"
	var s strings.Builder
	s.WriteString(`\x{`)
	for shift := 12; shift >= 0; shift -= 4 {
		s.WriteString(string(hex[r>>shift&15]))
	}
	return s.String() + "}"
}

func (n Range) String() string {
	var b strings.Builder
	b.WriteString(n.Field.prefix())
	b.WriteByte("[{"[pick(n.Min.Exclusive)])
	b.WriteString(n.Min.text() + " TO " + n.Max.text())
	b.WriteByte("]}"[pick(n.Max.Exclusive)])
	return b.String()
}

func pick(second bool) int {
	if second {
		return 1
	}
	return 0
}

func (b Bound) text() string {
	if b.Open {
		return "*"
	}
	return quote(b.Value)
}

func (n Span) String() string {
	from, to := "*", "*"
	if n.From != math.MinInt64 {
		from = stamp(n.From)
	}
	if n.To != math.MaxInt64 {
		to = stamp(n.To)
		return n.Field.prefix() + "[" + from + " TO " + to + "}"
	}
	return n.Field.prefix() + "[" + from + " TO " + to + "]"
}

func stamp(ns int64) string {
	return `"` + time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z") + `"`
}

// prefix is the name with its colon, or nothing for the whole event.
func (f Field) prefix() string {
	if f.Whole() {
		return ""
	}
	return escape(f.Name) + ":"
}

func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if special(r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// quote leaves plain words alone.
func quote(s string) string {
	plain := s != "" && !operators[s]
	for i := 0; plain && i < len(s); i++ {
		c := s[i]
		plain = c < utf8.RuneSelf && (wordRune(rune(c)) || i > 0 && (c == '.' || c == '-' || c == '@'))
	}
	if plain {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

var operators = map[string]bool{"AND": true, "OR": true, "NOT": true, "TO": true, "and": true, "or": true, "not": true, "to": true}
