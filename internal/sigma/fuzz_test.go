package sigma

import (
	"slices"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

func FuzzParse(f *testing.F) {
	f.Add("title: t\nlogsource: {product: x}\ndetection: {a: {b|contains|all: [c, 'd*']}, condition: 1 of a*}\n")
	f.Add("title: t\ncorrelation: {type: value_count, rules: [a], group-by: [b], timespan: 5m, condition: {field: c, gte: 1}}\n")
	f.Add("title: t\nlogsource: {product: x}\ndetection: {a: {b|expand: '%x%'}, k: ['x', null], condition: a or not k}\nkyra: {description: '{count}'}\n")
	f.Add("title: t\nlogsource: {product: x}\ndetection: {a: {b: c}, d: {e: f}, timeframe: 5m, condition: a | count(x) by y,z >= 5}\n---\naction: repeat\ndetection: {condition: a | near d and not a by g}\n")
	f.Add("action: global\nid: i\ntitle: t\nlogsource: {product: x}\n---\nfilter: {rules: any, a: {b|re|i: 'c+'}, condition: not a}\n---\ncorrelation: {type: temporal, rules: [a, b], timespan: 1M, condition: a and not (b or 2 of them)}\n")
	f.Add("title: t\ncorrelation: {type: value_percentile, rules: [a], timespan: 1d, condition: {field: c, gt: 1, lte: 5, percentile: 99}, aliases: {c: {a: b}}}\n")
	var e event.Event
	e.Add("b", "c")
	f.Fuzz(func(t *testing.T, text string) {
		docs, errs := ParseEach([]byte(text))
		if len(errs) > 0 {
			if _, err := Parse([]byte(text)); err == nil {
				t.Errorf("Parse takes what ParseEach refuses: %v", errs)
			}
		}
		for _, d := range docs {
			if d.Correlation != nil {
				if d.Explain(&e, Options{}) != nil {
					t.Error("a correlation has a trace")
				}
				continue
			}
			if trace := d.Explain(&e, Options{}); trace == nil || trace.Holds != Eval(d, ViewOf(&e, Options{})) {
				t.Errorf("trace and evaluator differ: %+v", trace)
			}
			lists := map[string][]string{}
			for _, p := range d.Placeholders {
				lists[p] = []string{"v*"}
			}
			if _, err := Compile([]*Document{d}, Options{Lists: lists}); err != nil {
				t.Errorf("it parses and does not compile: %v", err)
			}
		}
	})
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"a", "a and not b or (c)", "1 of them", "all of a*", "2 of them", "not not a", "(((", "a | count() > 1"} {
		f.Add(s)
	}
	leaf := func(name string) *clause {
		it := &item{field: name, op: "exists", values: []value{{yes: true}}}
		return &clause{kind: clauseName, name: name, kids: []*clause{{kind: clauseItem, item: it}}}
	}
	searches := []*clause{leaf("_d"), leaf("a"), leaf("ab"), leaf("c")}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := parseCondition(text, searches)
		if err != nil {
			return
		}
		again, err := parseCondition("("+text+") and ("+text+")", searches)
		if err != nil {
			if strings.Contains(err.Error(), "too deep") {
				return
			}
			t.Fatalf("%q alone parses, twice it gives %v", text, err)
		}
		var e event.Event
		e.Add("a", "")
		v := ViewOf(&e, Options{})
		if x.lower().eval(v) != again.lower().eval(v) {
			t.Errorf("%q is %t, twice it is not", text, x.lower().eval(v))
		}
		d := &Document{condition: x, root: x.lower()}
		if trace := d.Explain(&e, Options{}); trace.Holds != x.lower().eval(v) {
			t.Errorf("%q: the trace says %t", text, trace.Holds)
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("f|contains", "a*b", "xaxbx", "other", true)
	f.Add("f|re|i", "^k.s", "KiSs", "", false)
	f.Add("|windash", " -x", "y /x", "z", true)
	f.Add("f|cidr", "10.0.0.0/8", "10.1.1.1", "::1", false)
	f.Add("f|cased|endswith", "É?", "xÉy", "é", false)
	f.Fuzz(func(t *testing.T, key, pattern, value, other string, negate bool) {
		if len(value) > 2000 || strings.Count(pattern, "*") > 4 {
			return // the plain evaluator would take too long
		}
		it, err := parseItem(&entry{key: key, value: &node{text: pattern}})
		if err != nil {
			return
		}
		x := it.lower(nil)
		if negate {
			x = not(x)
		}
		d := &Document{root: x}
		m, err := Compile([]*Document{d}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var e event.Event
		e.Add(it.field, value)
		e.Add("f", value)
		e.Add("f", other)
		e.Add("g", other)
		want := Eval(d, ViewOf(&e, Options{}))
		s := m.NewScratch()
		for range 2 {
			if got := slices.Contains(s.Match(&e, nil), 0); got != want {
				t.Fatalf("%q: %q on %q and %q: the matcher says %t", key, pattern, value, other, got)
			}
		}
	})
}
