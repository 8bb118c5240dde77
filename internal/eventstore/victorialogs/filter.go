package victorialogs

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

// A filter is LogsQL text for a set of rows: all, none, or what the text says.
// It is made of quoted names and values and of the filter forms in this file,
// which the engine of version 1.43.1 answers exactly on values that Mark keeps.
type filter string

const (
	all  filter = "*"
	none filter = "!*"
)

// bounds are two filters of a query: every row that sure accepts matches it, and
// no row matches that maybe does not accept. Where they are the same the engine
// answers exactly; else query.Node.Match decides about the rows between. All of
// those match cause, which is cheap: it asks for what is seldom there at all.
type bounds struct{ sure, maybe, cause filter }

func exactly(f filter) bounds { return bounds{f, f, none} }

// undecided leaves all the rows of a filter to Match.
func undecided(f filter) bounds { return bounds{none, f, f} }

func (b bounds) exact() bool { return b.sure == b.maybe || b.cause == none }

// doubt is the rows that Match must decide about.
func (b bounds) doubt() filter { return and(b.cause, b.maybe, not(b.sure)) }

// where limits b to rows that match f.
func (b bounds) where(f filter) bounds {
	return bounds{and(f, b.sure), and(f, b.maybe), b.cause}
}

func and(fs ...filter) filter { return join(fs, " ", all, none) }

func or(fs ...filter) filter { return join(fs, " or ", none, all) }

// join combines filters; neutral ones change nothing, and one that absorbs is
// the result.
func join(fs []filter, operator string, neutral, absorbing filter) filter {
	var parts []string
	for _, f := range fs {
		switch f {
		case neutral:
		case absorbing:
			return absorbing
		default:
			parts = append(parts, string(f))
		}
	}
	switch len(parts) {
	case 0:
		return neutral
	case 1:
		return filter(parts[0])
	}
	return filter("(" + strings.Join(parts, operator) + ")")
}

func not(f filter) filter {
	switch f {
	case all:
		return none
	case none:
		return all
	}
	return "!" + f
}

func union(bs ...bounds) bounds {
	return combine(bs, or)
}

func combine(bs []bounds, how func(...filter) filter) bounds {
	sure, maybe, cause := make([]filter, len(bs)), make([]filter, len(bs)), make([]filter, len(bs))
	for i, b := range bs {
		sure[i], maybe[i], cause[i] = b.sure, b.maybe, b.cause
	}
	return bounds{how(sure...), how(maybe...), or(cause...)}
}

// The filter forms. Columns and values are quoted as Go strings, which LogsQL
// reads.

func form(column, format string, args ...any) filter {
	return filter(strconv.Quote(column) + ":" + fmt.Sprintf(format, args...))
}

func present(column string) filter { return form(column, "*") }

func equals(column, stored string) filter { return form(column, "=%q", stored) }

func phrase(column, text string) filter { return form(column, "%q", text) }

func phraseAnyCase(column, text string) filter { return form(column, "i(%q)", text) }

func prefix(column, text string) filter {
	if query.HasCase(text) {
		return form(column, "i(%q*)", text)
	}
	return form(column, "%q*", text)
}

func substring(column, text string) filter { return form(column, "*%q*", text) }

func matches(column, expression string) filter { return form(column, "~%q", expression) }

func length(column string, runes int) filter { return form(column, "len_range(%d,%d)", runes, runes) }

// equalsAnyCase is the rows whose column is v, case ignored. A value as long as
// v that has v as a phrase is v.
func equalsAnyCase(column, v string) filter {
	switch {
	case !query.HasCase(v):
		return equals(column, Mark(v))
	case grows(v):
		return matches(column, "^"+query.FoldPattern(v)+"$")
	}
	return and(length(column, utf8.RuneCountInString(Mark(v))), phraseAnyCase(column, v))
}

// grows tells whether a text that equals v, case ignored, may be shorter than
// the lower case of v: the engine compares no such texts.
func grows(v string) bool {
	for _, r := range v {
		if r < utf8.RuneSelf {
			continue
		}
		low := unicode.ToLower(r)
		for f := unicode.SimpleFold(low); f != low; f = unicode.SimpleFold(f) {
			if utf8.RuneLen(f) < utf8.RuneLen(low) {
				return true
			}
		}
	}
	return false
}

// maxText limits the filter text: a query that names no field searches each.
const maxText = 1 << 20

// A compiler turns query trees into filters. names are the columns in the time
// range of the search, which is what the whole event means.
type compiler struct {
	names []string
}

// compile returns the filters for n. The error is fault.Invalid.
func (c *compiler) compile(n query.Node) (bounds, error) {
	b := c.node(n)
	if len(b.sure) > maxText || len(b.maybe) > maxText {
		return b, fault.New(fault.Invalid, "the query is too wide: there are %d field names in this time; name the fields, or use fewer words without one", len(c.names)).In("query")
	}
	return b, nil
}

func (c *compiler) node(n query.Node) bounds {
	switch n := n.(type) {
	case query.All:
		return exactly(all)
	case query.And:
		return combine(c.all(n.Nodes), and)
	case query.Or:
		return combine(c.all(n.Nodes), or)
	case query.Not:
		b := c.node(n.Node)
		return bounds{not(b.maybe), not(b.sure), b.cause}
	case query.Span:
		return exactly(span(n))
	case query.Equal:
		return c.field(n.Field, equalLeaf(n.Value))
	case query.Contains:
		return c.field(n.Field, containsLeaf(n))
	case query.Wildcard:
		return c.field(n.Field, wildcardLeaf(n))
	case query.Exists:
		if n.Field.Time() {
			return exactly(all)
		}
		return c.field(n.Field, existsLeaf())
	case query.Range:
		return c.field(n.Field, rangeLeaf(n))
	case query.CIDR:
		return c.field(n.Field, cidrLeaf(n.Prefix))
	case query.Regexp:
		return c.field(n.Field, regexpLeaf(n.Re))
	}
	return undecided(all) // a node that this version does not know: Match knows
}

func (c *compiler) all(nodes []query.Node) []bounds {
	parts := make([]bounds, len(nodes))
	for i, n := range nodes {
		parts[i] = c.node(n)
	}
	return parts
}

// A leaf is a test of one value, asked of columns of different kinds.
type leaf struct {
	// single asks a column of single values, which may be marked; integers
	// tells that it holds only canonical integers.
	single func(column string, integers bool) bounds
	// element asks a list of values.
	element func(list string) bounds
	// id asks the event's id, which is never marked.
	id func(column string) bounds
	// local tells that a value matches when a part of it does, so that the raw
	// text matches when _head or _msg does; cross is where the raw text may
	// match though neither does.
	local bool
	cross filter
	// exists tells that every value passes.
	exists bool
}

// field asks every column that may hold the field.
func (c *compiler) field(f query.Field, l leaf) bounds {
	var parts []bounds
	names := f.Names()
	if f.Whole() {
		names = c.names
		parts = append(parts, l.raw(true), undecided(present(colOver)))
	}
	for _, name := range names {
		switch name {
		case event.EventID:
			if !f.Whole() {
				parts = append(parts, l.id(colID))
			}
		case event.RawText:
			if !f.Whole() {
				parts = append(parts, l.raw(false))
			}
		case event.Message:
			if f.Whole() {
				break // raw asks _msg
			}
			// Not where _msg is the raw text or a copy.
			b := l.single(colMsg, false)
			if l.exists {
				b = exactly(all)
			}
			isMessage := and(not(equals(colKind, kindRaw)), not(equals(colKind, kindText)))
			parts = append(parts, b.where(isMessage))
		}
		if storable(name) {
			parts = append(parts, l.single(name, event.Numeric(name)), l.element(name+string(listMark)))
		}
		if !event.IsCanonical(name) && !f.Whole() {
			parts = append(parts, undecided(substring(colOver, string(appendElement(nil, name))+string(listMark))))
		}
	}
	return union(parts...)
}

// raw asks the raw text; orMessage: a match of the message alone counts too.
func (l leaf) raw(orMessage bool) bounds {
	msg := l.single(colMsg, false)
	split := present(colHead)
	switch {
	case l.local && l.cross == "":
		return union(msg, l.single(colHead, false))
	case l.local:
		return union(msg, l.single(colHead, false), undecided(and(split, l.cross)))
	case orMessage:
		return bounds{msg.sure, or(msg.maybe, split), or(msg.cause, split)}
	}
	return bounds{and(msg.sure, not(split)), or(msg.maybe, split), or(msg.cause, split)}
}

// awkward tells whether text has characters that stored values use themselves.
func awkward(text string) bool { return strings.ContainsAny(text, "\x01\x02\x03\x04\x05") }

// openLeaf leaves all rows with a value to Match.
func openLeaf() leaf {
	ask := func(column string) bounds { return undecided(present(column)) }
	return leaf{single: func(column string, _ bool) bounds { return ask(column) }, element: ask, id: ask}
}

func existsLeaf() leaf {
	ask := func(column string) bounds { return exactly(present(column)) }
	return leaf{
		single: func(column string, _ bool) bounds {
			if column == colMsg {
				return exactly(not(equals(colMsg, Mark("")))) // every row has the column
			}
			return ask(column)
		},
		element: ask, id: ask, local: true, exists: true,
	}
}

func equalLeaf(v string) leaf {
	if awkward(v) || !utf8.ValidString(v) {
		return openLeaf()
	}
	return leaf{
		single: func(column string, integers bool) bounds {
			if integers && !isInteger(v) {
				return exactly(none)
			}
			return exactly(equalsAnyCase(column, v))
		},
		element: func(list string) bounds {
			element := string(appendElement(nil, v)) + string(listMark)
			if !query.HasCase(v) {
				return exactly(substring(list, element))
			}
			return exactly(matches(list, `\x02`+query.FoldPattern(v)+`\x02`))
		},
		id: func(column string) bounds { return exactly(equals(column, strings.ToLower(v))) },
	}
}

// words asks for a phrase; the engine's words are ours, but for the scripts
// without borders and for phrases of digits with a dot at the edge.
func words(column string, n query.Contains) filter {
	low := strings.ToLower(n.Text)
	begin, end := query.Borders(low)
	first, _ := utf8.DecodeRuneInString(low)
	last, _ := utf8.DecodeLastRuneInString(low)
	switch {
	case !begin && isWord(first) || !end && isWord(last) || first == '.' || last == '.' || strings.Contains(low, "\uFFFD") || grows(low):
		return matches(column, n.Pattern())
	case query.HasCase(n.Text):
		return phraseAnyCase(column, n.Text)
	}
	return phrase(column, n.Text)
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func containsLeaf(n query.Contains) leaf {
	if awkward(n.Text) {
		return openLeaf()
	}
	ask := func(column string) bounds { return exactly(words(column, n)) }
	l := leaf{
		single: func(column string, integers bool) bounds {
			if integers && strings.ContainsFunc(n.Text, func(r rune) bool { return r != '-' && !unicode.IsDigit(r) }) {
				return exactly(none)
			}
			return ask(column)
		},
		element: ask,
		id:      ask,
		local:   true,
	}
	if strings.ContainsFunc(n.Text, unicode.IsSpace) { // _head ends in a blank
		parts := []filter{}
		for _, w := range strings.FieldsFunc(n.Text, func(r rune) bool { return !isWord(r) }) {
			part := query.Contains{Field: n.Field, Text: w}
			parts = append(parts, or(words(colMsg, part), words(colHead, part)))
		}
		l.cross = and(parts...)
	}
	return l
}

func wildcardLeaf(n query.Wildcard) leaf {
	literals, hasOne, inner := "", false, false
	for i, p := range n.Parts {
		literals += p.Text
		hasOne = hasOne || p.Kind == query.One
		inner = inner || p.Kind != query.Literal && i > 0 && i < len(n.Parts)-1
	}
	switch {
	case awkward(literals):
		return openLeaf()
	case n.Field.Text():
		return textWildcardLeaf(n, hasOne, hasOne || inner, strings.ContainsFunc(literals, unicode.IsSpace))
	}
	var body, strict strings.Builder // strict stays within a list's element
	begin, end := `(?s)^`, `(?:\x01\x01)?$`
	open, shut := `\x02`, `\x02`
	for i, p := range n.Parts {
		switch { // a star at the edge need not be matched; the engine is slow to read [^x]
		case p.Kind == query.Any && i == 0:
			begin, open = "(?s)", ""
			continue
		case p.Kind == query.Any && i == len(n.Parts)-1:
			end, shut = "", ""
			continue
		}
		switch p.Kind {
		case query.Any:
			body.WriteString(`.*`)
			strict.WriteString(`[^\x02]*`)
		case query.One:
			body.WriteString(`.`)
			strict.WriteString(`[^\x01-\x03]`)
		default:
			body.WriteString(query.FoldPattern(p.Text))
			strict.WriteString(query.FoldPattern(p.Text))
		}
	}
	return leaf{
		single: func(column string, _ bool) bounds {
			maybe := matches(column, begin+body.String()+end)
			if first := n.Parts[0]; first.Kind == query.Literal && !grows(first.Text) {
				maybe = and(prefix(column, first.Text), maybe) // cheaper
			}
			if !hasOne { // else it may take a mark for a character
				return exactly(maybe)
			}
			return bounds{and(maybe, not(controls(column))), maybe, controls(column)}
		},
		element: func(list string) bounds {
			sure := matches(list, open+strict.String()+shut)
			escaped := substring(list, string(escapeMark))
			return bounds{sure, or(sure, escaped), escaped}
		},
		id: func(column string) bounds {
			return exactly(matches(column, begin+body.String()+strings.TrimPrefix(end, `(?:\x01\x01)?`)))
		},
	}
}

// textWildcardLeaf asks for a pattern among words. A ? may take a mark for a
// character, and inside the pattern a * may reach over a list's elements.
func textWildcardLeaf(n query.Wildcard, hasOne, overElements, blanks bool) leaf {
	l := leaf{
		single: func(column string, _ bool) bounds {
			b := exactly(textPattern(column, n))
			if hasOne {
				b.sure, b.cause = and(b.sure, not(controls(column))), controls(column)
			}
			return b
		},
		element: func(list string) bounds {
			if overElements {
				return undecided(textPattern(list, n))
			}
			return exactly(textPattern(list, n))
		},
		local: true,
	}
	l.id = l.element
	if blanks {
		l.cross = all
	}
	return l
}

// controls is the rows whose value has a control character that marks use.
func controls(column string) filter { return substring(column, mark[:1]) }

// textPattern asks for a pattern in a text; a word's begin, the common one, by
// the engine's index.
func textPattern(column string, n query.Wildcard) filter {
	if len(n.Parts) == 2 && n.Parts[0].Kind == query.Literal && n.Parts[1].Kind == query.Any {
		low := strings.ToLower(n.Parts[0].Text)
		first, _ := utf8.DecodeRuneInString(low)
		if begin, _ := query.Borders(low); begin && isWord(first) && !strings.ContainsAny(low, ".\uFFFD") && !grows(low) {
			return prefix(column, n.Parts[0].Text)
		}
	}
	return matches(column, n.Pattern())
}

// Numbers as the engine and query read them alike, and all that query reads.
const (
	plainNumber = `^(?:0|-?[1-9][0-9]{0,11}|-?(?:0|[1-9][0-9]{0,5})\.[0-9]{1,6})$`
	anyNumber   = `^-?[0-9]+(?:\.[0-9]+)?(?:\x01\x01)?$`
)

func rangeLeaf(n query.Range) leaf {
	if awkward(n.Min.Value) || awkward(n.Max.Value) {
		return openLeaf()
	}
	l := openLeaf()
	switch n.Kind() {
	case query.Numbers:
		l.single = func(column string, integers bool) bounds {
			in, exact := numbers(column, n)
			switch {
			case !exact:
				return undecided(present(column))
			case integers:
				return exactly(in)
			}
			plain := matches(column, plainNumber)
			odd := and(matches(column, anyNumber), not(plain))
			return bounds{and(in, plain), or(and(in, plain), odd), odd}
		}
	case query.Addresses:
		if in, ok := addresses(n); ok {
			l.single = func(column string, _ bool) bounds { return exactly(in(column)) }
		} else {
			l.single = func(column string, _ bool) bounds { return undecided(substring(column, ":")) }
		}
	}
	return l
}

// numbers is the rows whose value, a number, is in the range; exact tells
// whether the bounds are such that the engine compares exactly.
func numbers(column string, n query.Range) (in filter, exact bool) {
	in, exact = all, true
	add := func(b query.Bound, open, closed string) {
		if b.Open {
			return
		}
		if digits := strings.TrimLeft(strings.TrimPrefix(b.Value, "-"), "0"); len(digits) > 15 {
			exact = false
		}
		x, err := strconv.ParseFloat(b.Value, 64)
		if err != nil {
			exact = false
		}
		operator := closed
		if b.Exclusive {
			operator = open
		}
		in = and(in, form(column, "%s%q", operator, strconv.FormatFloat(x, 'f', -1, 64)))
	}
	add(n.Min, ">", ">=")
	add(n.Max, "<", "<=")
	return in, exact
}

// addresses returns the filter for a range of IPv4 addresses.
func addresses(n query.Range) (func(column string) filter, bool) {
	low, high := netip.AddrFrom4([4]byte{}), netip.AddrFrom4([4]byte{255, 255, 255, 255})
	empty := false
	if !n.Min.Open {
		low, _ = netip.ParseAddr(n.Min.Value)
		if n.Min.Exclusive {
			empty = low == high
			low = low.Next()
		}
	}
	if !n.Max.Open {
		high, _ = netip.ParseAddr(n.Max.Value)
		if n.Max.Exclusive {
			empty = empty || high == netip.AddrFrom4([4]byte{})
			high = high.Prev()
		}
	}
	if !low.Is4() || !high.Is4() {
		return nil, empty // an empty range is one of no addresses
	}
	if empty || high.Less(low) {
		return func(string) filter { return none }, true
	}
	return func(column string) filter { return between(column, low, high) }, true
}

// between is the rows whose value is an IPv4 address from low to high. The
// engine takes some marked values for addresses.
func between(column string, low, high netip.Addr) filter {
	return and(form(column, "ipv4_range(%q,%q)", low.String(), high.String()), not(controls(column)))
}

func cidrLeaf(p netip.Prefix) leaf {
	written := equalLeaf(p.String())
	inside := func(column string) bounds {
		if p.Addr().Is4() {
			return exactly(between(column, p.Masked().Addr(), lastOf(p)))
		}
		return undecided(matches(column, beginOf(p)))
	}
	l := openLeaf()
	l.single = func(column string, integers bool) bounds {
		if integers {
			return exactly(none)
		}
		return union(inside(column), written.single(column, false))
	}
	return l
}

// lastOf returns the last address of an IPv4 network.
func lastOf(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(a)
}

// beginOf returns an expression that the text of every address of an IPv6
// network fits: its leading groups, up to the first that may be zero and so be
// left out.
func beginOf(p netip.Prefix) string {
	var b strings.Builder
	b.WriteString("^")
	a := p.Masked().Addr().As16()
	for group := 0; (group+1)*16 <= p.Bits() && group < 6; group++ {
		v := uint64(a[2*group])<<8 | uint64(a[2*group+1])
		if v == 0 {
			break
		}
		b.WriteString("0*" + query.FoldPattern(strconv.FormatUint(v, 16)) + ":")
	}
	if b.Len() == 1 {
		return ":"
	}
	return b.String()
}

func regexpLeaf(re *regexp.Regexp) leaf {
	l := openLeaf()
	expression := re.String()
	if tree, err := syntax.Parse(expression, syntax.Perl); err == nil {
		expression = tree.String() // with its flags spelled out: the engine's defaults differ
		l.local = !asserts(tree)
		if l.cross = all; !takesBlank(tree) { // _head ends in a blank
			l.cross = ""
		}
	}
	ask := func(column string) bounds {
		found := and(present(column), matches(column, expression))
		return bounds{and(found, not(controls(column))), or(found, controls(column)), controls(column)}
	}
	l.single = func(column string, _ bool) bounds { return ask(column) }
	l.id = func(column string) bounds { return exactly(matches(column, expression)) }
	return l
}

// asserts tells whether an expression looks at what is beside the match.
func asserts(tree *syntax.Regexp) bool {
	switch tree.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(tree.Sub, asserts)
}

// takesBlank tells whether an expression may match a blank or a tab.
func takesBlank(tree *syntax.Regexp) bool {
	switch tree.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return slices.Contains(tree.Rune, ' ') || slices.Contains(tree.Rune, '\t')
	case syntax.OpCharClass:
		for i := 0; i < len(tree.Rune); i += 2 {
			for _, blank := range " \t" {
				if tree.Rune[i] <= blank && blank <= tree.Rune[i+1] {
					return true
				}
			}
		}
	}
	return slices.ContainsFunc(tree.Sub, takesBlank)
}

// span is the rows of a time range. Arrival is kept in microseconds.
func span(n query.Span) filter {
	if event.Resolve(n.Field.Name) == event.IngestTime {
		f := all
		if n.From != math.MinInt64 {
			f = and(f, form(colAt, ">=%d", ceilMicros(n.From)))
		}
		if n.To != math.MaxInt64 {
			f = and(f, form(colAt, "<%d", ceilMicros(n.To)))
		}
		return f
	}
	from, to := eventstore.Clamp(n.From, n.To)
	if from >= to {
		return none
	}
	return filter(fmt.Sprintf("_time:[%s,%s]", stamp(from), stamp(to-1)))
}

func ceilMicros(ns int64) int64 {
	us := ns / 1000
	if ns%1000 > 0 {
		us++
	}
	return us
}

func stamp(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z")
}
