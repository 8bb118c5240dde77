package detect

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// An Explanation says how one rule, which is no correlation, fares with an event.
type Explanation struct {
	ID, Title string // of the rule
	LogSource SourceTrace
	Condition *sigma.Trace // evaluated whether or not the log source fits
	// Exceptions are those of the rule itself; those of a correlation that counts it
	// are in Counted.
	Exceptions []ExceptionTrace
}

// Matches tells whether the engine would report the event as a match of the rule.
func (x *Explanation) Matches() bool { return x.LogSource.Holds && x.Condition.Holds }

// Taken returns the exception that takes the event away, nil where none does.
func (x *Explanation) Taken() *ExceptionTrace { return taken(x.Exceptions) }

func taken(all []ExceptionTrace) *ExceptionTrace {
	for i := range all {
		if all[i].Holds {
			return &all[i]
		}
	}
	return nil
}

// A SourceTrace says whether an event is of a rule's log source: all needs must hold.
type SourceTrace struct {
	Name  sigma.LogSource
	Holds bool
	Needs []SourceNeed
}

// A SourceNeed holds if one of its alternatives does.
type SourceNeed struct {
	Holds        bool
	Alternatives []SourceAlternative
}

// A SourceAlternative holds if all of its tests do.
type SourceAlternative struct {
	Holds bool
	Tests []SourceTest
}

// A SourceTest asks for the value of a field.
type SourceTest struct {
	Holds  bool
	Field  string
	Wanted []string // a star at an end stands for any text
	// FoundAs is the name under which the event has the field, "" where it has none;
	// the names that were looked for are then in LookedFor.
	FoundAs   string
	Actual    string
	LookedFor []string
}

// An ExceptionTrace says whether an exception takes the event away.
type ExceptionTrace struct {
	ID      string
	Holds   bool
	Expired bool // it did no longer hold when the event arrived
	Filter  *sigma.Trace
}

// Explain says how each rule of the set that is no correlation fares with e, in
// their order. It uses the plain evaluator and counts nothing.
func (rs *Ruleset) Explain(e *event.Event) []Explanation {
	var out []Explanation
	for i := range rs.rules {
		r := &rs.rules[i]
		if r.document.Correlation != nil {
			continue
		}
		source := loadTable().resolve(r.document.LogSource)
		fields := sigma.Options{Fields: source.candidates, Hidden: hiddenFields()}
		out = append(out, Explanation{
			ID: r.document.ID, Title: strings.TrimSpace(r.document.Title),
			LogSource: source.explain(e), Condition: r.document.Explain(e, fields), Exceptions: r.explainExceptions(e, fields),
		})
	}
	return out
}

func (r *rule) explainExceptions(e *event.Event, fields sigma.Options) []ExceptionTrace {
	var out []ExceptionTrace
	for _, x := range r.exceptions {
		t := ExceptionTrace{ID: x.id, Expired: x.until != 0 && e.Arrived >= x.until, Filter: x.filter.Explain(e, fields)}
		t.Holds = !t.Expired && t.Filter.Holds
		out = append(out, t)
	}
	return out
}

func (l *logSource) explain(e *event.Event) SourceTrace {
	t := SourceTrace{Name: l.name, Holds: true}
	table := loadTable()
	for _, c := range l.needs {
		var need SourceNeed
		for _, tests := range c {
			alternative := SourceAlternative{Holds: true}
			for i := range tests {
				x := explainTest(&tests[i], table.spellingsOf(tests[i].field), e)
				alternative.Tests = append(alternative.Tests, x)
				alternative.Holds = alternative.Holds && x.Holds
			}
			need.Alternatives = append(need.Alternatives, alternative)
			need.Holds = need.Holds || alternative.Holds
		}
		t.Needs = append(t.Needs, need)
		t.Holds = t.Holds && need.Holds
	}
	return t
}

func explainTest(x *test, names []string, e *event.Event) SourceTest {
	t := SourceTest{Field: x.field, Wanted: x.values}
	for _, name := range names {
		if v, ok := e.Lookup(name); ok {
			t.Holds, t.FoundAs, t.Actual = x.holds(v), name, short(v)
			return t
		}
	}
	t.LookedFor = names
	return t
}

// A Counted is what a correlation takes of an event that matches one of its rules.
type Counted struct {
	Correlation string // its id
	Rule        string // id of the rule that matched
	// Group is the event's group, with empty values and GroupComplete false where it
	// lacks a field: then it is not counted.
	Group         []GroupValue
	GroupComplete bool
	Values        []string // of the fields whose values are counted, where it has all
	Exceptions    []ExceptionTrace
}

// Taken returns the correlation's exception that takes the event away, or nil.
func (c *Counted) Taken() *ExceptionTrace { return taken(c.Exceptions) }

// Key is the group as findings have it.
func (c *Counted) Key() string {
	var key []byte
	for _, g := range c.Group {
		key = appendKey(key, g.Name, g.Value)
	}
	return string(key)
}

// A GroupValue is one of the fields that make a correlation's groups.
type GroupValue struct {
	Name  string
	Names []string // under which events of any rule that is counted may have it
	Value string
}

// Counts says what correlations of the set take directly of e, which matches rule h.
func (rs *Ruleset) Counts(h Hit, e *event.Event) []Counted {
	base := rs.rules[h.rule].document
	source := loadTable().resolve(base.LogSource)
	fields := sigma.Options{Fields: source.candidates, Hidden: hiddenFields()}
	var out []Counted
	for i := range rs.rules {
		r := &rs.rules[i]
		k := r.document.Correlation
		if k == nil || !namedIn(k.Rules, base) {
			continue
		}
		c := Counted{Correlation: r.document.ID, Rule: base.ID, GroupComplete: true, Exceptions: r.explainExceptions(e, fields)}
		for _, name := range k.GroupBy {
			f := correlated(k, name, base)
			v, _ := f.lookup(e)
			g := GroupValue{Name: name, Value: v}
			for j := range rs.rules {
				if d := rs.rules[j].document; d.Correlation == nil && namedIn(k.Rules, d) {
					g.Names = appendNew(g.Names, correlated(k, name, d).candidates...)
				}
			}
			c.Group = append(c.Group, g)
			c.GroupComplete = c.GroupComplete && v != ""
		}
		for _, name := range k.Condition.Field {
			f := correlated(k, name, base)
			if v, ok := f.lookup(e); ok {
				c.Values = append(c.Values, v)
			}
		}
		if len(c.Values) < len(k.Condition.Field) {
			c.Values = nil
		}
		out = append(out, c)
	}
	return out
}

// namedIn tells whether a list of a correlation names d.
func namedIn(list []string, d *sigma.Document) bool {
	return slices.ContainsFunc(list, func(n string) bool { return n != "" && (n == d.ID || n == d.Name) })
}

// correlated is the field that a correlation calls name, in events of base.
func correlated(k *sigma.Correlation, name string, base *sigma.Document) fieldRef {
	field := name
	for _, rule := range []string{base.ID, base.Name} {
		if f, ok := k.Aliases[name][rule]; ok && rule != "" {
			field = f
		}
	}
	source := loadTable().resolve(base.LogSource)
	return fieldRef{name, source.candidates(field)}
}

// Weight returns how many happenings e stands for.
func Weight(e *event.Event) int64 { return weightOf(e) }

// Excepted tells whether an exception of the rule takes e away; it counts nothing.
func (h Hit) Excepted(e *event.Event) bool {
	r := &h.set.rules[h.rule]
	for i := range r.exempting {
		x := &r.exempting[i]
		if (x.until == 0 || e.Arrived < x.until) && sigma.Eval(x.filter, sigma.ViewOf(e, x.fields)) {
			return true
		}
	}
	return false
}
