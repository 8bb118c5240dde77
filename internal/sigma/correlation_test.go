package sigma

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func parseOneCorrelation(text string) (*Correlation, error) {
	docs, err := Parse([]byte("title: t\ncorrelation: " + text + "\n"))
	if err != nil {
		return nil, err
	}
	return docs[0].Correlation, nil
}

func TestCorrelationForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{type: event_count, rules: [a], timespan: 1m, condition: {gt: 100, lte: 200}}":                       "gt 100 lte 200 [] 0 []",
		"{type: event_count, rules: [a], timespan: 1m, condition: {lte: 5, gte: 5}}":                          "gte 5 lte 5 [] 0 []",
		"{type: event_count, rules: a, timespan: 1m, condition: {neq: 3}}":                                    "neq 3  0 [] 0 []",
		"{type: value_sum, rules: [a], timespan: 1M, condition: {field: b, gt: 1.5}}":                         "gt 1.5  0 [b] 0 []",
		"{type: value_count, rules: [a], timespan: 1y, condition: {field: [b, c], gt: 1}}":                    "gt 1  0 [b c] 0 []",
		"{type: value_percentile, rules: [a], timespan: 1w, condition: {field: b, lte: 1}}":                   "lte 1  0 [b] 0 []",
		"{type: value_percentile, rules: [a], timespan: 1d, condition: {field: b, gte: 7, percentile: 99.5}}": "gte 7  0 [b] 99.5 []",
		"{type: value_median, rules: [a], timespan: 1h, condition: {field: b, eq: -2}}":                       "eq -2  0 [b] 0 []",
		"{type: temporal, rules: [a, b, c], timespan: 1s, condition: {gte: 2}}":                               "gte 2  0 [] 0 []",
		"{type: temporal, rules: [a, b, c], timespan: 1s, condition: a and (b or not c)}":                     " 0  0 [] 0 [{[0 1] []} {[0] [2]}]",
		"{type: temporal, rules: [a, b, c], timespan: 1s, condition: 2 of them}":                              " 0  0 [] 0 [{[0 1] []} {[0 2] []} {[1 2] []}]",
		"{type: temporal_ordered, rules: [a, b, a], timespan: 1s, condition: b AND a}":                        " 0  0 [] 0 [{[0 1] []}]",
		"{type: temporal, rules: [a, b], timespan: 1s, condition: a and not (a and b)}":                       " 0  0 [] 0 [{[0] [1]}]",
	} {
		c, err := parseOneCorrelation(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		k := c.Condition
		if got := fmt.Sprint(k.Op, " ", k.Value, " ", k.AndOp, " ", k.AndValue, " ", k.Field, " ", k.Percentile, " ", c.Terms); got != want {
			t.Errorf("%s is read as %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"{type: event_count, rules: [a], timespan: 1m, condition: {gt: 100, lte: 100}}":                   "can never hold",
		"{type: event_count, rules: [a], timespan: 1m, condition: {gt: 100, gte: 200}}":                   "only one is possible",
		"{type: event_count, rules: [a], timespan: 1m, condition: {gt: 1, lt: 9, neq: 5}}":                "only one is possible",
		"{type: value_sum, rules: [a], timespan: 1m, condition: {gt: 1}}":                                 "needs one field, not 0",
		"{type: value_avg, rules: [a], timespan: 1m, condition: {field: [a, b], gt: 1}}":                  "needs one field, not 2",
		"{type: value_sum, rules: [a], timespan: 1m, condition: {field: a, gt: 1, percentile: 5}}":        "only possible in value_percentile",
		"{type: value_percentile, rules: [a], timespan: 1m, condition: {field: a, gt: 1, percentile: 0}}": "percentile must be",
		"{type: value_median, rules: [a], timespan: 11y, condition: {field: a, gt: 1}}":                   "at most 10y",
		"{type: temporal, rules: [a, b], timespan: 1m, condition: {gte: 3}}":                              "names only 2 rules",
		"{type: temporal, rules: [a, b], timespan: 1m, condition: not a}":                                 "must need one",
		"{type: temporal, rules: [a, b], timespan: 1m, condition: a and not a}":                           "can never hold",
		"{type: temporal, rules: [a, b], timespan: 1m, condition: a and c}":                               `line 2, column 77: condition: no search is named "c"`,
		"{type: event_count, rules: [a, b], timespan: 1m, condition: a and b}":                            "must be a map",
	} {
		if _, err := parseOneCorrelation(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", text, err, want)
		}
	}
	if c, err := parseOneCorrelation("{type: event_count, rules: [a], timespan: 1M, condition: {gt: 1}}"); err != nil || c.Timespan != 2_629_746*time.Second {
		t.Errorf("a month is %v, %v", c.Timespan, err)
	}
}

// TestTerms: the ways to satisfy a condition hold exactly where the condition does.
func TestTerms(t *testing.T) {
	t.Parallel()
	names := []string{"s1", "s2", "x"}
	rapid.Check(t, func(t *rapid.T) {
		var searches []*clause
		for i, n := range names {
			searches = append(searches, &clause{kind: clauseName, name: n, n: i})
		}
		text := drawCondition(t, 3)
		c, err := parseCondition(text, searches)
		if err != nil {
			t.Fatal(err)
		}
		terms, ok := c.terms(false)
		if !ok {
			t.Skip("too many")
		}
		for set := range 8 {
			in := func(i int) bool { return set>>i&1 == 1 }
			got := slices.ContainsFunc(terms, func(k Term) bool {
				return !slices.ContainsFunc(k.Present, func(i int) bool { return !in(i) }) && !slices.ContainsFunc(k.Absent, in)
			})
			if want := c.holdsFor(in); got != want {
				t.Fatalf("%q with the rules %03b: the terms %v say %t", text, set, terms, got)
			}
		}
	})
}

func (c *clause) holdsFor(in func(int) bool) bool {
	n := 0
	for _, k := range c.kids {
		if k.holdsFor(in) {
			n++
		}
	}
	switch c.kind {
	case clauseName:
		return in(c.n)
	case clauseNot:
		return n == 0
	case clauseAnd:
		return n == len(c.kids)
	case clauseOr:
		return n > 0
	}
	return n >= c.n
}

func TestMainDocument(t *testing.T) {
	t.Parallel()
	docs, err := Parse([]byte(`title: Base
name: base
logsource: {product: x}
detection: {s: {a: b}, condition: s}
---
title: Inner
name: inner
correlation: {type: event_count, rules: [base], timespan: 1m, condition: {gte: 3}}
---
title: Outer
correlation: {type: temporal_ordered, rules: [inner, base], timespan: 1m}
---
title: Filter
logsource: {product: x}
filter: {rules: [base], s: {a: c}, condition: s}
`))
	if err != nil {
		t.Fatal(err)
	}
	if d := Main(docs); d.Title != "Outer" {
		t.Errorf("the main document is %s", d.Title)
	}
	if d := Main([]*Document{docs[3], docs[0]}); d.Title != "Base" {
		t.Errorf("the main document of a filter and a rule is %s", d.Title)
	}
	if d := Main(docs[3:]); d.Title != "Filter" {
		t.Errorf("the main document of a filter is %s", d.Title)
	}
	if Main(nil) != nil {
		t.Error("nothing has a main document")
	}
}
