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
			c.Rules = r.texts(e)
		case "group-by":
			c.GroupBy = r.texts(e)
		case "timespan":
			d, ok := parseTimespan(r.text(e))
			if !ok {
				r.fail(e.value.errorf("timespan must be a number greater than 0 and s, m, h, d, w, M or y, such as 10m, not %q", e.value.text))
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
	case condition != nil:
		c.Condition = r.threshold(condition)
	case c.Type != Temporal && c.Type != TemporalOrdered:
		r.fail(n.errorf("correlation has no condition"))
	}
	if r.err == nil && c.Type == ValueCount && len(c.Condition.Field) == 0 {
		r.fail(condition.errorf("value_count needs a field to count"))
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

func (r *reader) threshold(n *node) Threshold {
	var t Threshold
	if n.kind != mapNode {
		r.fail(n.errorf("condition of a correlation must be a map such as gte: 5, not %s", n.what()))
		return t
	}
	for i := range n.keys {
		e := &n.keys[i]
		switch {
		case e.key == "field":
			t.Field = r.texts(e)
		case slices.Contains(thresholdOps, e.key):
			if t.Op != "" {
				r.fail(e.errorf("condition has both %s and %s: only one is possible", t.Op, e.key))
			}
			t.Op = e.key
			f, ok := parseNumber(r.text(e))
			if !ok {
				r.fail(e.value.errorf("%s needs a number, not %q", e.key, e.value.text))
			}
			t.Value = f
		default:
			r.fail(e.errorf("condition of a correlation: unknown key %q", e.key))
		}
	}
	if t.Op == "" {
		r.fail(n.errorf("condition of a correlation needs one of %s", strings.Join(thresholdOps, ", ")))
	}
	return t
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
	if !ok || err != nil || n <= 0 || n > int64((1<<62)/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
