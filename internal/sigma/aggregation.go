package sigma

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An aggregation is what stands behind "|" in a condition of the older language:
//
//	selection | count() by user > 5
//	selection | count(dst_port) by src_ip, dst_ip >= 20
//	selection | sum(bytes) by user > 1000000
//	selection | near other and not third by host
//
// It becomes a correlation.
type aggregation struct {
	function  string // count, sum, avg; near
	field     string
	by        []string
	threshold Threshold
	near      *clause
	searches  []*clause // that near names, in order of appearance
	timespan  time.Duration
	line      int
}

// aggregation reads an aggregation from the "|" on.
func (p *conditionParser) aggregation() (*aggregation, error) {
	p.pos++
	a := &aggregation{function: strings.ToLower(p.peek())}
	p.pos++
	if a.function == "near" {
		return a, p.near(a)
	}
	switch a.function {
	case "count", "sum", "avg":
	case "min", "max":
		return nil, p.errorf(p.pos-1, "no correlation means %s: compare the field itself, as in \"field|gt: 5\"", a.function)
	default:
		return nil, p.errorf(p.pos-1, "%q stands where one of count, sum, avg, near is expected", a.function)
	}
	if err := p.field(a); err != nil {
		return nil, err
	}
	p.by(a)
	return a, p.comparison(a)
}

// field reads "(" [ FIELD ] ")".
func (p *conditionParser) field(a *aggregation) error {
	if p.peek() != "(" {
		return p.unexpected(`"("`)
	}
	p.pos++
	if p.peek() != ")" {
		a.field = p.peek()
		p.pos++
	}
	if p.peek() != ")" {
		return p.unexpected(`")"`)
	}
	if p.pos++; a.field == "" && a.function != "count" {
		return p.errorf(p.pos-1, "%s needs a field", a.function)
	}
	return nil
}

// by reads "by" FIELD { "," FIELD }, if it is there.
func (p *conditionParser) by(a *aggregation) {
	if !p.word("by") {
		return
	}
	for p.peek() != "" && !strings.ContainsAny(p.peek()[:1], "<>=!") {
		for name := range strings.SplitSeq(p.peek(), ",") {
			if name != "" {
				a.by = append(a.by, name)
			}
		}
		p.pos++
	}
}

var olderComparisons = map[string]string{">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "eq", "==": "eq", "!=": "neq", "<>": "neq"}

// comparison reads an operator and a number, with or without blanks between.
func (p *conditionParser) comparison(a *aggregation) error {
	rest := p.peek()
	number := strings.TrimLeft(rest, "<>=!")
	op, ok := olderComparisons[rest[:len(rest)-len(number)]]
	if !ok {
		return p.unexpected("a comparison such as > 5")
	}
	at := p.pos
	if p.pos++; number == "" {
		at, number = p.pos, p.peek()
		p.pos++
	}
	n, ok := parseNumber(number)
	if !ok {
		return p.errorf(at, "%q stands where a number is expected", number)
	}
	if p.pos < len(p.tokens) {
		return p.unexpected("the end")
	}
	a.threshold = Threshold{Op: op, Value: n}
	if a.field != "" {
		a.threshold.Field = []string{a.field}
	}
	return nil
}

// near reads a condition over searches that must match near the others.
func (p *conditionParser) near(a *aggregation) error {
	x, err := p.or()
	if err != nil {
		return err
	}
	if p.by(a); p.pos < len(p.tokens) {
		return p.unexpected("by or the end")
	}
	a.near = x.numbered(&a.searches)
	return nil
}

// numbered returns a copy of the condition c whose searches are rules, those of
// list, which it adds to; the first number is 1.
func (c *clause) numbered(list *[]*clause) *clause {
	out := *c
	if c.kind == clauseName {
		i := slices.Index(*list, c)
		if i < 0 {
			i = len(*list)
			*list = append(*list, c)
		}
		out.n, out.kids = i+1, nil
		return &out
	}
	out.kids = make([]*clause, len(c.kids))
	for i, k := range c.kids {
		out.kids[i] = k.numbered(list)
	}
	return &out
}

// within sets the window.
func (a *aggregation) within(condition, timeframe *node) error {
	if timeframe == nil {
		return condition.errorf("an aggregation needs a window: add a timeframe such as 10m beside the condition")
	}
	d, ok := parseTimespan(strings.TrimSpace(timeframe.text))
	if !ok {
		return timeframe.errorf("timeframe must be a number greater than 0 and s, m, h, d, w, M or y, such as 10m, not %q", timeframe.text)
	}
	a.timespan, a.line = d, condition.line
	return nil
}

// aggregated returns the rules of the events and the correlation that d with the
// aggregation a comes to. The correlation is d in all but that; the rules have
// names made from its own.
func (d *Document) aggregated(a *aggregation) ([]*Document, error) {
	key := cmp.Or(d.ID, d.Name, d.Title)
	base := func(name string, c *clause) *Document {
		out := *d
		out.ID, out.Name, out.Kyra = "", key+"/"+name, Kyra{}
		out.condition, out.root = c, c.lower()
		out.Placeholders = c.placeholders(nil)
		return &out
	}
	c := &Correlation{Type: EventCount, GroupBy: a.by, Timespan: a.timespan, Condition: a.threshold, Line: a.line}
	out := []*Document{base("events", d.condition)}
	switch {
	case a.near != nil:
		c.Type = Temporal
		for _, s := range a.searches {
			out = append(out, base(s.name, s.kids[0]))
		}
		if err := c.nearTo(a.near, d); err != nil {
			return nil, err
		}
	case a.function == "count" && a.field != "":
		c.Type = ValueCount
	case a.function == "sum":
		c.Type = ValueSum
	case a.function == "avg":
		c.Type = ValueAvg
	}
	for _, b := range out {
		c.Rules = append(c.Rules, b.Name)
	}
	top := *d
	top.Correlation, top.condition, top.root, top.Placeholders = c, nil, nil, nil
	return append(out, &top), nil
}

// nearTo makes the rule of the events and the condition over the others the
// correlation's own.
func (c *Correlation) nearTo(near *clause, d *Document) error {
	both := &clause{kind: clauseAnd, kids: []*clause{{kind: clauseName}, near}}
	terms, ok := both.terms(false)
	if !ok || len(terms) == 0 {
		return &Error{Line: c.Line, Column: 1, Message: "condition: what stands after near can never hold, or comes to more than " + strconv.Itoa(maxTerms) + " ways to satisfy it"}
	}
	c.Expression, c.Terms = cmp.Or(d.condition.text, d.condition.name)+" near "+cmp.Or(near.text, near.name), terms
	return nil
}

// placeholders appends the names of the lists that c needs.
func (c *clause) placeholders(dst []string) []string {
	if c.item != nil {
		dst = c.item.placeholders(dst)
	}
	for _, k := range c.kids {
		dst = k.placeholders(dst)
	}
	return dst
}
