package sigma

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

var correlationTypes = []string{EventCount, ValueCount, Temporal, TemporalOrdered, ValueSum, ValueAvg, ValuePercentile, ValueMedian}

var thresholdOps = []string{"gt", "gte", "lt", "lte", "eq", "neq"}

func parseCorrelation(n *node) (*Correlation, error) {
	if n.kind != mapNode {
		return nil, n.errorf("correlation must be a map, not %s", n.what())
	}
	c := &Correlation{}
	var condition *node
	r := reader{}
	for i := range n.keys {
		e := &n.keys[i]
		switch e.key {
		case "type":
			c.Type = r.oneOf(e, correlationTypes)
		case "rules":
			c.Rules, c.Line = r.texts(e), e.line
		case "group-by":
			c.GroupBy = r.texts(e)
		case "timespan":
			d, ok := parseTimespan(r.text(e))
			if !ok {
				r.fail(e.value.errorf("timespan must be a number greater than 0 and s, m, h, d, w, M or y, such as 10m, at most 10y, not %q", e.value.text))
			}
			c.Timespan = d
		case "generate":
			c.Generate = r.boolean(e)
		case "condition":
			condition = e.value
		case "aliases":
			c.Aliases = r.aliases(e)
		default:
			r.fail(e.errorf("correlation: unknown key %q", e.key))
		}
	}
	switch {
	case r.err != nil:
	case c.Type == "":
		r.fail(n.errorf("correlation has no type"))
	case len(c.Rules) == 0:
		r.fail(n.errorf("correlation names no rules"))
	case c.Timespan == 0:
		r.fail(n.errorf("correlation has no timespan"))
	case condition != nil && condition.kind == scalarNode && c.temporal():
		c.expression(&r, condition)
	case condition != nil:
		c.Condition = r.threshold(condition)
		c.checkThreshold(&r, condition)
	case !c.temporal():
		r.fail(n.errorf("correlation has no condition"))
	}
	for alias, fields := range c.Aliases {
		for rule := range fields {
			if r.err == nil && !slices.Contains(c.Rules, rule) {
				r.fail(n.errorf("alias %q names the rule %q, which the correlation does not", alias, rule))
			}
		}
	}
	return c, r.error()
}

func (c *Correlation) temporal() bool { return c.Type == Temporal || c.Type == TemporalOrdered }

// checkThreshold refuses conditions that the type cannot mean.
func (c *Correlation) checkThreshold(r *reader, n *node) {
	t := &c.Condition
	switch c.Type {
	case ValueCount:
		if len(t.Field) == 0 {
			r.fail(n.errorf("value_count needs a field to count"))
		}
	case ValueSum, ValueAvg, ValuePercentile, ValueMedian:
		if len(t.Field) != 1 {
			r.fail(n.errorf("%s needs one field, not %d", c.Type, len(t.Field)))
		}
	}
	if t.Percentile != 0 && c.Type != ValuePercentile {
		r.fail(n.errorf("percentile is only possible in value_percentile, not in %s", c.Type))
	}
	if c.temporal() && t.Rising() && !t.Holds(float64(len(c.Rules))) {
		r.fail(n.errorf("the condition can never hold: the correlation names only %d rules", len(c.Rules)))
	}
}

func (r *reader) threshold(n *node) Threshold {
	var t Threshold
	if n.kind != mapNode {
		r.fail(n.errorf("condition of a correlation must be a map such as gte: 5, not %s", n.what()))
		return t
	}
	number := func(e *entry) float64 {
		f, ok := parseNumber(r.text(e))
		if !ok {
			r.fail(e.value.errorf("%s needs a number, not %q", e.key, e.value.text))
		}
		return f
	}
	for i := range n.keys {
		e := &n.keys[i]
		switch {
		case e.key == "field":
			t.Field = r.texts(e)
		case e.key == "percentile":
			if t.Percentile = number(e); t.Percentile <= 0 || t.Percentile > 100 {
				r.fail(e.value.errorf("percentile must be above 0 and at most 100, not %s", e.value.text))
			}
		case slices.Contains(thresholdOps, e.key):
			r.compare(&t, e, number(e))
		default:
			r.fail(e.errorf("condition of a correlation: unknown key %q: possible are field, percentile, %s", e.key, strings.Join(thresholdOps, ", ")))
		}
	}
	switch {
	case t.Op == "":
		r.fail(n.errorf("condition of a correlation needs one of %s", strings.Join(thresholdOps, ", ")))
	case t.AndOp != "" && (t.Value > t.AndValue || t.Value == t.AndValue && (t.Op != "gte" || t.AndOp != "lte")):
		r.fail(n.errorf("the condition can never hold: nothing is %s %v and %s %v", t.Op, t.Value, t.AndOp, t.AndValue))
	}
	return t
}

// compare adds a comparison; two must be the ends of a range.
func (r *reader) compare(t *Threshold, e *entry, n float64) {
	lower := func(op string) bool { return op == "gt" || op == "gte" }
	upper := func(op string) bool { return op == "lt" || op == "lte" }
	switch {
	case t.Op == "":
		t.Op, t.Value = e.key, n
	case t.AndOp == "" && lower(t.Op) && upper(e.key):
		t.AndOp, t.AndValue = e.key, n
	case t.AndOp == "" && upper(t.Op) && lower(e.key):
		t.AndOp, t.AndValue, t.Op, t.Value = t.Op, t.Value, e.key, n
	default:
		r.fail(e.errorf("condition has both %s and %s: only one is possible, or the two ends of a range such as gt and lte", t.Op, e.key))
	}
}

// maxTerms bounds what a boolean condition may come to.
const maxTerms = 256

// expression reads the boolean condition of a temporal correlation.
func (c *Correlation) expression(r *reader, n *node) {
	var names []*clause
	for i, name := range c.Rules {
		if !slices.ContainsFunc(names, func(k *clause) bool { return k.name == name }) {
			names = append(names, &clause{kind: clauseName, name: name, n: i})
		}
	}
	x, err := parseCondition(n.text, names)
	if err != nil {
		r.fail(n.conditionError(err))
		return
	}
	terms, ok := x.terms(false)
	if !ok {
		r.fail(n.errorf("the condition comes to more than %d ways to satisfy it", maxTerms))
		return
	}
	if len(terms) == 0 {
		r.fail(n.errorf("the condition can never hold"))
	}
	for _, t := range terms {
		if len(t.Present) == 0 {
			r.fail(n.errorf("the condition holds where none of the rules matched: it must need one"))
		}
	}
	c.Expression, c.Terms = n.text, terms
}

// terms returns the ways to satisfy a condition over rules, or its negation, and
// false if they are too many.
func (c *clause) terms(negated bool) ([]Term, bool) {
	switch c.kind {
	case clauseNot:
		return c.kids[0].terms(!negated)
	case clauseName:
		if negated {
			return []Term{{Absent: []int{c.n}}}, true
		}
		return []Term{{Present: []int{c.n}}}, true
	}
	needed := c.n
	switch c.kind {
	case clauseAnd:
		needed = len(c.kids)
	case clauseOr:
		needed = 1
	}
	if negated { // fewer than needed hold: so many do not
		needed = len(c.kids) - needed + 1
	}
	return someOf(c.kids, needed, negated)
}

// someOf returns the ways in which n of cs hold.
func someOf(cs []*clause, n int, negated bool) ([]Term, bool) {
	ways := make([][]Term, n+1) // by how many of the clauses so far are to hold
	ways[0] = []Term{{}}
	for i, k := range cs {
		own, ok := k.terms(negated)
		if !ok {
			return nil, false
		}
		for have := min(i+1, n); have > 0; have-- {
			for _, t := range ways[have-1] {
				for _, o := range own {
					ways[have] = addTerm(ways[have], t, o)
				}
			}
			if len(ways[have]) > maxTerms {
				return nil, false
			}
		}
	}
	return ways[n], true
}

// addTerm adds that both a and b hold, unless they cannot.
func addTerm(terms []Term, a, b Term) []Term {
	union := func(x, y []int) []int {
		out := slices.Concat(x, y)
		slices.Sort(out)
		return slices.Compact(out)
	}
	t := Term{union(a.Present, b.Present), union(a.Absent, b.Absent)}
	for _, p := range t.Present {
		if slices.Contains(t.Absent, p) {
			return terms
		}
	}
	for _, o := range terms {
		if slices.Equal(o.Present, t.Present) && slices.Equal(o.Absent, t.Absent) {
			return terms
		}
	}
	return append(terms, t)
}

func (r *reader) aliases(e *entry) map[string]map[string]string {
	out := map[string]map[string]string{}
	if e.value.kind != mapNode {
		r.fail(e.value.errorf("aliases must be a map, not %s", e.value.what()))
		return nil
	}
	for i := range e.value.keys {
		a := &e.value.keys[i]
		if a.value.kind != mapNode {
			r.fail(a.value.errorf("alias %q must map rules to fields, not be %s", a.key, a.value.what()))
			return nil
		}
		out[a.key] = map[string]string{}
		for j := range a.value.keys {
			x := &a.value.keys[j]
			out[a.key][x.key] = r.text(x)
		}
	}
	return out
}

const maxTimespan = 10 * 31_556_952 * time.Second

// parseTimespan reads 30s, 10m, 1h, 7d, 2w, 1M (a twelfth of a year) and 1y
// (365.2425 days).
func parseTimespan(s string) (time.Duration, bool) {
	if len(s) < 2 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{
		's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
		'M': 2_629_746 * time.Second, 'y': 31_556_952 * time.Second,
	}[s[len(s)-1]]
	n, err := strconv.ParseInt(s[:len(s)-1], 10, 32)
	if !ok || err != nil || n <= 0 || n > int64(maxTimespan/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
