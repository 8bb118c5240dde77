package query

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits on query text.
const (
	MaxLength = 8 << 10 // bytes
	MaxDepth  = 64      // brackets and negations inside each other
)

// Error tells what is wrong with a query text and where.
type Error struct {
	Pos     int    // in characters, from 0
	Message string // what was expected; safe to show
}

func (e *Error) Error() string { return fmt.Sprintf("query, character %d: %s", e.Pos+1, e.Message) }

// Parse reads query text. An error is an *Error.
func Parse(text string) (Node, error) {
	if len(text) > MaxLength {
		return nil, &Error{utf8.RuneCountInString(text[:MaxLength]), fmt.Sprintf("a query has at most %d bytes", MaxLength)}
	}
	p := &parser{text: text}
	if !utf8.ValidString(text) {
		for i, r := range text {
			if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
				return nil, p.fail(i, "a query is UTF-8 text")
			}
		}
	}
	p.blanks()
	if p.at == len(text) {
		return All{}, nil
	}
	n, err := p.or(Field{})
	if err != nil {
		return nil, err
	}
	if p.at < len(text) {
		return nil, p.fail(p.at, "this closing bracket has no opening one")
	}
	return n.Node, nil
}

type parser struct {
	text  string
	at    int // byte offset
	depth int
}

// clause is a node and whether it is a bare word or phrase, beside which "and"
// and "or" in small letters are words too.
type clause struct {
	Node
	bare bool
}

func (p *parser) fail(at int, format string, args ...any) *Error {
	return &Error{utf8.RuneCountInString(p.text[:at]), fmt.Sprintf(format, args...)}
}

func (p *parser) rest() string { return p.text[p.at:] }

func (p *parser) blanks() {
	p.at = len(p.text) - len(strings.TrimLeftFunc(p.rest(), unicode.IsSpace))
}

// or reads clauses of alternatives up to a closing bracket or the end.
func (p *parser) or(in Field) (clause, error) {
	var nodes []Node
	for {
		c, err := p.and(in)
		if err != nil {
			return clause{}, err
		}
		nodes = append(nodes, c.Node)
		if !p.operator("OR", "||", c.bare) {
			if len(nodes) == 1 {
				return c, nil
			}
			return clause{Node: Or{nodes}}, nil
		}
	}
}

func (p *parser) and(in Field) (clause, error) {
	var nodes []Node
	for {
		c, err := p.not(in)
		if err != nil {
			return clause{}, err
		}
		nodes = append(nodes, c.Node)
		if p.operator("AND", "&&", c.bare) {
			continue
		}
		if p.at == len(p.text) || p.text[p.at] == ')' || p.isOr(c.bare) {
			if len(nodes) == 1 {
				return c, nil
			}
			return clause{Node: And{nodes}, bare: c.bare}, nil
		}
	}
}

func (p *parser) isOr(bare bool) bool {
	at := p.at
	ok := p.operator("OR", "||", bare)
	p.at = at
	return ok
}

// operator reads one of the two spellings, and the word in small letters where
// the clauses on both sides are not bare words.
func (p *parser) operator(word, sign string, afterBare bool) bool {
	if strings.HasPrefix(p.rest(), sign) {
		p.at += len(sign)
		p.blanks()
		return true
	}
	if p.word(word) {
		return true
	}
	at := p.at
	if !afterBare && p.word(strings.ToLower(word)) {
		if p.structured() {
			return true
		}
		p.at = at
	}
	return false
}

// word reads w when it stands there as a whole word.
func (p *parser) word(w string) bool {
	rest, ok := strings.CutPrefix(p.rest(), w)
	if !ok {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(rest); rest != "" && r != '(' && r != ')' && r != '"' && !unicode.IsSpace(r) {
		return false
	}
	p.at += len(w)
	p.blanks()
	return true
}

// structured tells whether the next clause is not a bare word or phrase.
func (p *parser) structured() bool {
	at := p.at
	defer func() { p.at = at }()
	for p.at < len(p.text) && strings.IndexByte("+-!", p.text[p.at]) >= 0 {
		p.at++
	}
	if p.word("NOT") || p.word("not") {
		return p.structured()
	}
	if strings.HasPrefix(p.rest(), "(") {
		return true
	}
	name, _, err := p.field()
	return err == nil && name != ""
}

func (p *parser) not(in Field) (clause, error) {
	start := p.at
	if p.at == len(p.text) {
		return clause{}, p.fail(p.at, "expected a word, field:value or an opening bracket")
	}
	negate := false
	switch c := p.text[p.at]; {
	case c == '+':
		p.at++
	case c == '-' || c == '!':
		p.at++
		negate = true
	case p.word("NOT"):
		negate = true
	case p.word("AND") || p.word("OR") || strings.HasPrefix(p.rest(), "&&") || strings.HasPrefix(p.rest(), "||"):
		return clause{}, p.fail(start, "expected a word, field:value or an opening bracket; quote an operator to search for the word")
	default:
		if !p.word("not") {
			return p.primary(in)
		}
		if !p.structured() {
			p.at = start
			return p.primary(in)
		}
		negate = true
	}
	if p.depth++; p.depth > MaxDepth {
		return clause{}, p.fail(start, "brackets and negations go at most %d deep", MaxDepth)
	}
	p.blanks()
	c, err := p.not(in)
	p.depth--
	if err != nil {
		return clause{}, err
	}
	if negate {
		c.Node = Not{c.Node}
	}
	return c, nil
}

// primary reads a bracket or one term, and the blanks behind it.
func (p *parser) primary(in Field) (clause, error) {
	start := p.at
	if p.text[p.at] == '(' {
		return p.group(in)
	}
	name, size, err := p.field()
	if err != nil {
		return clause{}, err
	}
	field := in
	if name != "" {
		if !in.Whole() {
			return clause{}, p.fail(start, "expected a value of %s: inside field:( ) there are only values", in.Name)
		}
		p.at += size
		p.blanks()
		if name == "*" {
			if !p.star() {
				return clause{}, p.fail(start, "expected *:*; name a field, or leave it out to search the whole event")
			}
			return clause{Node: All{}}, nil
		}
		field = NewField(name)
		if p.at < len(p.text) && p.text[p.at] == '(' {
			c, err := p.group(field)
			c.bare = false
			return c, err
		}
		if p.at == len(p.text) || p.text[p.at] == ')' {
			return clause{}, p.fail(p.at, `expected a value for %s, "" for empty, * for any`, name)
		}
	}
	n, err := p.value(field)
	if err != nil {
		return clause{}, err
	}
	if p.at < len(p.text) && p.text[p.at] != ')' && !strings.HasPrefix(p.rest(), "&&") && !strings.HasPrefix(p.rest(), "||") {
		if r, _ := utf8.DecodeRuneInString(p.rest()); !unicode.IsSpace(r) {
			return clause{}, p.fail(p.at, "expected a blank before %q; a backslash before it makes it part of the value", r)
		}
	}
	p.blanks()
	return clause{n, name == "" && in.Whole()}, nil
}

func (p *parser) group(in Field) (clause, error) {
	start := p.at
	if p.depth++; p.depth > MaxDepth {
		return clause{}, p.fail(start, "brackets and negations go at most %d deep", MaxDepth)
	}
	p.at++
	p.blanks()
	if strings.HasPrefix(p.rest(), ")") {
		return clause{}, p.fail(p.at, "expected something inside the brackets")
	}
	c, err := p.or(in)
	if err != nil {
		return clause{}, err
	}
	if p.at == len(p.text) {
		return clause{}, p.fail(start, "this opening bracket has no closing one")
	}
	p.at++
	p.blanks()
	p.depth--
	c.bare = false
	return c, nil
}

// star reads a lone *.
func (p *parser) star() bool {
	if !strings.HasPrefix(p.rest(), "*") {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(p.text[p.at+1:]); p.at+1 < len(p.text) && r != ')' && !unicode.IsSpace(r) {
		return false
	}
	p.at++
	p.blanks()
	return true
}

// notField are words with a colon that are values: clocks, addresses, URLs.
var notField = regexp.MustCompile(`^(?:\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?$|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}$|\w+://)`)

// field looks for "name:" at the current place. It returns the name and the
// size of both, or "".
func (p *parser) field() (name string, size int, err error) {
	rest := p.rest()
	if end := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' || r == '"' }); notField.MatchString(rest[:max(end, 0)]) ||
		end < 0 && notField.MatchString(rest) || isAddress(rest, end) {
		return "", 0, nil
	}
	var b strings.Builder
	wild := false
	for i := 0; i < len(rest); {
		r, n := utf8.DecodeRuneInString(rest[i:])
		switch {
		case r == ':':
			name = b.String()
			if name == "" {
				return "", 0, p.fail(p.at+i, "expected a field name before the colon")
			}
			if wild && name != "*" {
				return "", 0, p.fail(p.at, "a field name has no * or ?; leave the field out to search the whole event")
			}
			return name, i + 1, nil
		case r == '\\' && i+1 < len(rest):
			e, m := utf8.DecodeRuneInString(rest[i+1:])
			if !special(e) {
				b.WriteByte('\\')
			}
			b.WriteRune(e)
			i += 1 + m
			continue
		case r == '*' || r == '?':
			wild = true
			b.WriteRune(r)
		case ends(r) || r == '/' && i == 0:
			return "", 0, nil
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return "", 0, nil
}

func isAddress(rest string, end int) bool {
	if end >= 0 {
		rest = rest[:end]
	}
	if strings.Count(rest, ":") < 2 {
		return false
	}
	if _, err := netip.ParseAddr(rest); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(rest)
	return err == nil
}

// special tells whether a backslash takes a meaning from r.
func special(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(`+-!():"[]{}^~*?\/&|<>=`, r)
}

// ends tells whether r ends a term.
func ends(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`()"[]{}`, r) }

// value reads one value of the field: quoted, a range, an expression or a term.
func (p *parser) value(field Field) (Node, error) {
	start := p.at
	switch c := p.text[p.at]; c {
	case '"':
		s, err := p.quoted()
		if err != nil {
			return nil, err
		}
		return p.plain(field, s, start)
	case '[', '{':
		return p.interval(field)
	case '<', '>':
		return p.comparison(field)
	case '/':
		if n, err := p.regexp(field); n != nil || err != nil {
			return n, err
		}
	}
	parts, err := p.term()
	if err != nil {
		return nil, err
	}
	switch {
	case len(parts) == 0:
		return nil, p.fail(start, "expected a word, field:value or an opening bracket")
	case len(parts) == 1 && parts[0].Kind == Literal:
		if prefix, err := netip.ParsePrefix(parts[0].Text); err == nil && !field.Text() && !field.Time() {
			return CIDR{field, prefix.Masked()}, nil
		}
		return p.plain(field, parts[0].Text, start)
	case len(parts) == 1 && parts[0].Kind == Any:
		if field.Whole() {
			return All{}, nil
		}
		return Exists{field}, nil
	case field.Time():
		return nil, p.fail(start, "expected a time such as 2011-04-01 or 2011-04-01T10:30:00Z; %s takes no pattern", field.Name)
	}
	return NewWildcard(field, parts), nil
}

// plain is one exact value.
func (p *parser) plain(field Field, s string, at int) (Node, error) {
	switch {
	case field.Time():
		from, to, ok := parseTime(s)
		if !ok {
			return nil, p.fail(at, "expected a time such as 2011-04-01 or 2011-04-01T10:30:00Z")
		}
		return Span{field, from, to}, nil
	case field.Text():
		if s == "" {
			return nil, p.fail(at, "expected a word between the quotes")
		}
		return Contains{field, s}, nil
	}
	return Equal{field, s}, nil
}

// quoted reads "…", in which only \" and \\ are special.
func (p *parser) quoted() (string, error) {
	start := p.at
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case '"':
			p.at++
			if r := p.rest(); r != "" && (r[0] == '~' || r[0] == '^') {
				return "", p.fail(p.at, "nearness and weights (~ and ^) are not supported")
			}
			return b.String(), nil
		case '\\':
			if p.at+1 < len(p.text) && (p.text[p.at+1] == '"' || p.text[p.at+1] == '\\') {
				p.at++
			}
			b.WriteByte(p.text[p.at])
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail(start, "this quote has no closing one")
}

// term reads characters up to the end of the term, patterns and all.
func (p *parser) term() ([]Part, error) {
	start := p.at
	var parts []Part
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			parts = append(parts, Part{Literal, b.String()})
			b.Reset()
		}
	}
	fuzzy := -1
	for p.at < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.rest())
		if ends(r) || strings.HasPrefix(p.rest(), "&&") || strings.HasPrefix(p.rest(), "||") {
			break
		}
		switch {
		case r == '\\' && p.at+1 < len(p.text):
			e, m := utf8.DecodeRuneInString(p.text[p.at+1:])
			if !special(e) {
				b.WriteByte('\\')
			}
			b.WriteRune(e)
			n += m
			fuzzy = -1
		case r == '*':
			flush()
			if len(parts) == 0 || parts[len(parts)-1].Kind != Any {
				parts = append(parts, Part{Kind: Any})
			}
		case r == '?':
			flush()
			parts = append(parts, Part{Kind: One})
		default:
			if (r == '~' || r == '^') && p.at > start {
				fuzzy = p.at
			} else if fuzzy >= 0 && (r < '0' || r > '9') && r != '.' {
				fuzzy = -1
			}
			b.WriteRune(r)
		}
		p.at += n
	}
	if fuzzy >= 0 {
		return nil, p.fail(fuzzy, `nearness and weights (~ and ^) are not supported; \%c is the character`, p.text[fuzzy])
	}
	flush()
	return parts, nil
}

// regexp reads /…/ if one stands there; else it returns nil and the slash is
// the begin of a path.
func (p *parser) regexp(field Field) (Node, error) {
	rest := p.rest()
	for i := 1; i < len(rest); {
		r, n := utf8.DecodeRuneInString(rest[i:])
		switch {
		case unicode.IsSpace(r):
			return nil, nil
		case r == '\\':
			_, m := utf8.DecodeRuneInString(rest[i+1:])
			n += m
		case r == '/':
			after, _ := utf8.DecodeRuneInString(rest[i+1:])
			if i == 1 || i+1 < len(rest) && after != ')' && !unicode.IsSpace(after) {
				return nil, nil
			}
			if field.Time() {
				return nil, p.fail(p.at, "%s takes no regular expression", field.Name)
			}
			re, err := regexp.Compile(rest[1:i])
			if err != nil {
				return nil, p.fail(p.at, "the regular expression is not valid (RE2): %s; quote it if it is a path", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			}
			p.at += i + 1
			return Regexp{field, re}, nil
		}
		i += n
	}
	return nil, nil
}

func (p *parser) comparison(field Field) (Node, error) {
	start := p.at
	if field.Whole() {
		return nil, p.fail(start, "a comparison needs a field, as in http_status:>=400")
	}
	op := p.text[p.at : p.at+1]
	p.at++
	if strings.HasPrefix(p.rest(), "=") {
		op += "="
		p.at++
	}
	p.blanks()
	b, err := p.bound()
	if err != nil {
		return nil, err
	}
	if b.Open {
		return nil, p.fail(start, "expected a value after %s", op)
	}
	b.Exclusive = len(op) == 1
	if op[0] == '>' {
		return p.between(field, b, Bound{Open: true}, start)
	}
	return p.between(field, Bound{Open: true}, b, start)
}

func (p *parser) interval(field Field) (Node, error) {
	start := p.at
	if field.Whole() {
		return nil, p.fail(start, "a range needs a field, as in http_status:[400 TO 499]")
	}
	exclusive := p.text[p.at] == '{'
	p.at++
	p.blanks()
	low, err := p.bound()
	if err != nil {
		return nil, err
	}
	low.Exclusive = exclusive && !low.Open
	if !p.word("TO") && !p.word("to") {
		return nil, p.fail(p.at, "expected TO between the bounds of the range")
	}
	high, err := p.bound()
	if err != nil {
		return nil, err
	}
	if p.at == len(p.text) || p.text[p.at] != ']' && p.text[p.at] != '}' {
		return nil, p.fail(p.at, "expected ] or } after the range")
	}
	high.Exclusive = p.text[p.at] == '}' && !high.Open
	p.at++
	return p.between(field, low, high, start)
}

// bound reads one bound and the blanks behind it.
func (p *parser) bound() (Bound, error) {
	start := p.at
	if strings.HasPrefix(p.rest(), `"`) {
		s, err := p.quoted()
		if err != nil {
			return Bound{}, err
		}
		end := p.at
		p.blanks()
		if p.at == end && p.at < len(p.text) && !strings.ContainsRune("]})&|", rune(p.text[p.at])) {
			return Bound{}, p.fail(p.at, "expected a blank after the quotes")
		}
		if start > 0 && (p.text[start-1] == '>' || p.text[start-1] == '<' || p.text[start-1] == '=') {
			p.at = end
		}
		return Bound{Value: s}, nil
	}
	if p.word("TO") {
		return Bound{}, p.fail(start, "expected a bound before TO: a value or *")
	}
	parts, err := p.term()
	if err != nil {
		return Bound{}, err
	}
	end := p.at
	defer func() {
		if p.at != end && start > 0 && strings.IndexByte("<>=", p.text[start-1]) >= 0 {
			p.at = end
		}
	}()
	p.blanks()
	switch {
	case len(parts) == 0:
		return Bound{}, p.fail(start, "expected a bound: a value or *")
	case len(parts) == 1 && parts[0].Kind == Any:
		return Bound{Open: true}, nil
	case len(parts) > 1 || parts[0].Kind != Literal:
		return Bound{}, p.fail(start, "a bound is a value or a lone *, not a pattern")
	}
	return Bound{Value: parts[0].Text}, nil
}

func (p *parser) between(field Field, low, high Bound, at int) (Node, error) {
	if !field.Time() {
		if low.Open && high.Open {
			return Exists{field}, nil
		}
		return Range{field, low, high}, nil
	}
	s := Span{field, math.MinInt64, math.MaxInt64}
	if !low.Open {
		from, to, ok := parseTime(low.Value)
		if !ok {
			return nil, p.fail(at, "expected times such as 2011-04-01 or 2011-04-01T10:30:00Z, not %q", low.Value)
		}
		if s.From = from; low.Exclusive {
			s.From = to
		}
	}
	if !high.Open {
		from, to, ok := parseTime(high.Value)
		if !ok {
			return nil, p.fail(at, "expected times such as 2011-04-01 or 2011-04-01T10:30:00Z, not %q", high.Value)
		}
		if s.To = to; high.Exclusive {
			s.To = from
		}
	}
	return s, nil
}

// timeForms are the forms of times with the length of what they leave out.
var timeForms = []struct {
	layout string
	unit   time.Duration
}{
	{"2006-01-02", 24 * time.Hour},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02 15:04", time.Minute},
	{"2006-01-02T15:04Z07:00", time.Minute},
	{"2006-01-02T15:04:05", time.Second},
	{"2006-01-02 15:04:05", time.Second},
	{time.RFC3339, time.Second},
}

// parseTime reads a time, UTC unless it says else, and returns what it covers:
// a day, a minute, a second, or less where there is a fraction.
func parseTime(s string) (from, to int64, ok bool) {
	for _, f := range timeForms {
		t, err := time.Parse(f.layout, s)
		if err != nil {
			continue
		}
		if t.Year() < 1678 || t.Year() > 2261 {
			return 0, 0, false
		}
		unit := int64(f.unit)
		if _, fraction, has := strings.Cut(s, "."); has {
			unit = 1
			digits := len(fraction) - len(strings.TrimLeft(fraction, "0123456789"))
			for ; digits < 9; digits++ {
				unit *= 10
			}
		}
		return t.UnixNano(), t.UnixNano() + unit, true
	}
	return 0, 0, false
}
