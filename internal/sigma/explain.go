package sigma

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// Bounds of what a Trace repeats of an event.
const (
	maxTraceValues = 20
	maxTraceText   = 1024
)

// The kinds of a Trace.
const (
	TraceAnd       = "and"       // all parts must hold
	TraceOr        = "or"        // one part must hold
	TraceNot       = "not"       // its part must not hold
	TraceOf        = "of"        // Needed of its parts must hold
	TraceSelection = "selection" // a named search; its one part says what it asks
	TraceItem      = "item"      // one line: field, modifiers and values
)

// A Trace says how a part of a rule fares with an event, and why. A rule's trace
// is that of its condition; below it come selections, and below them their lines.
type Trace struct {
	Kind   string   `json:"kind"`
	Holds  bool     `json:"holds"`
	Text   string   `json:"text,omitempty"`   // the part of the condition, as written
	Name   string   `json:"name,omitempty"`   // of a selection
	Line   int      `json:"line,omitempty"`   // in the rule's text, from 1; of selections and items
	Column int      `json:"column,omitempty"` // likewise
	Needed int      `json:"needed,omitempty"` // of
	Parts  []*Trace `json:"parts,omitempty"`

	// Of an item:
	Field     string       `json:"field,omitempty"` // as the rule names it; "" = a keyword, looked for in all values
	Modifiers []string     `json:"modifiers,omitempty"`
	Wanted    []TraceValue `json:"wanted,omitempty"`
	FoundAs   string       `json:"foundAs,omitempty"`   // the name under which the event has the field
	LookedFor []string     `json:"lookedFor,omitempty"` // the names that were tried, where it has none of them
	Actual    []string     `json:"actual,omitempty"`    // the event's values, shortened; of a keyword those that fit
	Reason    string       `json:"reason,omitempty"`    // why it does not hold, or holds without a value
}

// A TraceValue is one value that an item asks for.
type TraceValue struct {
	Value string `json:"value"`
	Null  bool   `json:"null,omitempty"`
	Holds bool   `json:"holds"`
	By    string `json:"by,omitempty"` // the first of the event's values that fits it, shortened
}

// Explain says how d fares with e, part by part, by the plain evaluator. o gives
// names, hidden fields and lists, as for Compile; an item that needs a list that
// is not there does not hold. A filter holds where it takes the event away. It
// returns nil for a correlation.
func (d *Document) Explain(e *event.Event, o Options) *Trace {
	if d.condition == nil {
		return nil
	}
	if o.Lists == nil {
		o.Lists = d.lists
	}
	x := explainer{view: eventView{e, o}}
	return x.clause(d.condition)
}

type explainer struct{ view eventView }

func (x *explainer) clause(c *clause) *Trace {
	t := &Trace{Text: c.text, Name: c.name, Line: c.line, Column: c.column}
	holding := 0
	for _, k := range c.kids {
		part := x.clause(k)
		t.Parts = append(t.Parts, part)
		if part.Holds {
			holding++
		}
	}
	switch c.kind {
	case clauseAnd, clauseMap:
		t.Kind, t.Holds = TraceAnd, holding == len(c.kids)
	case clauseOr, clauseList:
		t.Kind, t.Holds = TraceOr, holding > 0
	case clauseNot:
		t.Kind, t.Holds = TraceNot, holding == 0
	case clauseOf:
		t.Kind, t.Holds, t.Needed = TraceOf, holding >= c.n, c.n
	case clauseName:
		t.Kind, t.Holds = TraceSelection, holding > 0
	case clauseItem:
		x.item(t, c.item)
	}
	return t
}

func (x *explainer) item(t *Trace, it *item) {
	t.Kind, t.Field, t.Modifiers = TraceItem, it.field, it.mods
	for _, name := range it.placeholders(nil) {
		if len(x.view.options.Lists[name]) == 0 {
			t.Reason = "it needs the list " + name
			break
		}
	}
	var actual []event.Field
	if it.field == "" {
		actual = x.searched()
	} else {
		actual = x.found(t, it.field)
	}
	t.Holds = t.Reason == "" && it.lower(x.view.options.Lists).eval(x.view)
	for i := range it.values {
		t.Wanted = append(t.Wanted, x.value(it, &it.values[i], actual))
	}
	for _, f := range actual {
		v := shorten(f.Value)
		if it.field == "" && !slices.ContainsFunc(t.Wanted, func(w TraceValue) bool { return w.By == v && v != "" }) {
			continue // a keyword's values are the whole event
		}
		if len(t.Actual) == maxTraceValues {
			break
		}
		t.Actual = append(t.Actual, v)
		if it.field == "" && t.FoundAs == "" {
			t.FoundAs = f.Name
		}
	}
	if t.Reason == "" {
		t.Reason = x.reason(t, it, actual)
	}
}

// searched returns what keywords are looked for in.
func (x *explainer) searched() []event.Field {
	var out []event.Field
	for _, f := range x.view.event.Fields {
		if !slices.Contains(x.view.options.Hidden, f.Name) {
			out = append(out, f)
		}
	}
	return out
}

// found returns the values of a field and says in t where they are or are not.
func (x *explainer) found(t *Trace, field string) []event.Field {
	names := x.view.options.candidates(field)
	for _, name := range names {
		var out []event.Field
		for _, f := range x.view.event.Fields {
			if f.Name == name {
				out = append(out, f)
			}
		}
		if len(out) > 0 {
			t.FoundAs = name
			return out
		}
	}
	t.LookedFor = names
	return nil
}

func (x *explainer) value(it *item, v *value, actual []event.Field) TraceValue {
	out := TraceValue{Value: shorten(v.text), Null: v.null}
	meaning := it.lowerValue(v, x.view.options.Lists)
	out.Holds = meaning.eval(x.view)
	if !out.Holds || v.null || it.op == "exists" {
		return out
	}
	for _, f := range actual {
		if meaning.eval(oneValue{x.view, it.field, f.Value}) {
			out.By = shorten(f.Value)
			break
		}
	}
	return out
}

// A oneValue view has one value for a field, and for keywords.
type oneValue struct {
	View
	field, value string
}

func (v oneValue) Values(field string) []string {
	if field == v.field {
		return []string{v.value}
	}
	return v.View.Values(field)
}

func (v oneValue) All() []string { return []string{v.value} }

func (x *explainer) reason(t *Trace, it *item, actual []event.Field) string {
	fit := 0
	for _, w := range t.Wanted {
		if w.Holds {
			fit++
		}
	}
	absent := it.field != "" && len(actual) == 0
	switch {
	case it.neq && !t.Holds:
		return "a value that is not to be there fits"
	case t.Holds && absent:
		return "the event does not have the field"
	case t.Holds:
		return ""
	case absent:
		return "the event does not have the field"
	case slices.ContainsFunc(it.values, func(v value) bool { return v.null }) || it.op == "exists":
		return "the event has the field"
	case it.all && fit > 0:
		return fmt.Sprintf("%d of %d values do not fit, and all must", len(t.Wanted)-fit, len(t.Wanted))
	case it.field == "":
		return "no value of the event fits"
	}
	for _, f := range actual {
		if hint := it.hint(f.Value); hint != "" {
			return hint
		}
	}
	return "no value fits"
}

// hint says what an item would have to be like to fit v, where that is little.
func (it *item) hint(v string) string {
	cut := clip(v)
	switch {
	case len(cut) < len(v):
		return fmt.Sprintf("no value fits; the event's is longer than %d bytes, and only these are looked at", MaxValue)
	case it.op == "cidr":
		if _, ok := parseNetwork(strings.TrimSpace(v)); !ok {
			return "the event's value is not an IP address"
		}
	case slices.Contains([]string{"gt", "gte", "lt", "lte"}, it.op):
		if _, ok := parseNumber(v); !ok {
			return "the event's value is not a number"
		}
	case isTimePart(it.op):
		if _, ok := timePart(it.op, v); !ok {
			return "the event's value is not a time"
		}
	case it.op == "re" && !strings.Contains(it.flags, "i"):
		for i := range it.values {
			if re, err := regexp.Compile("(?i)" + it.values[i].re.String()); err == nil && re.MatchString(v) {
				return "no value fits; without regard to case one would: add |i"
			}
		}
	case it.op == "" && it.cased:
		loose := *it
		loose.cased = false
		if loose.fits(v) {
			return "no value fits; without regard to case one would: leave |cased out"
		}
	case it.op == "" && it.anchor != "contains":
		loose := *it
		loose.anchor = "contains"
		if v != "" && loose.fits(v) {
			return "no value fits; the event's contains one: |contains would fit"
		}
	}
	return ""
}

// fits tells whether an item of text, without regard to lists, fits one value.
func (it *item) fits(v string) bool {
	for i := range it.values {
		if it.values[i].null || it.values[i].text == "" {
			continue
		}
		if it.lowerValue(&it.values[i], nil).eval(oneValue{eventView{&event.Event{}, Options{}}, it.field, v}) {
			return true
		}
	}
	return false
}

func shorten(s string) string {
	if len(s) <= maxTraceText {
		return s
	}
	return strings.ToValidUTF8(s[:maxTraceText], "") + "…"
}
