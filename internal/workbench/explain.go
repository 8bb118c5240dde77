package workbench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// An Explanation says why a rule fires for an event or does not.
type Explanation struct {
	Fires     bool                  `json:"fires"`  // the event is part of what the rule reports
	Reason    string                `json:"reason"` // in one sentence
	Rule      RuleName              `json:"rule"`
	Documents []DocumentExplanation `json:"documents"` // one for each rule that looks at single events
	Windows   []Window              `json:"windows"`   // one for each correlation that counts the event
}

// A DocumentExplanation says how one rule that looks at single events fares.
type DocumentExplanation struct {
	ID         string                 `json:"id"`
	Title      string                 `json:"title"`
	Matches    bool                   `json:"matches"` // says the engine
	LogSource  SourceExplanation      `json:"logSource"`
	Condition  *sigma.Trace           `json:"condition"`
	Exceptions []ExceptionExplanation `json:"exceptions"`
	Reason     string                 `json:"reason"`
}

// A SourceExplanation says whether the event is of the rule's log source.
type SourceExplanation struct {
	Name  string       `json:"name"` // product/category/service
	Holds bool         `json:"holds"`
	Needs []SourceNeed `json:"needs"` // all must hold
}

// A SourceNeed holds if one of its alternatives does.
type SourceNeed struct {
	Holds        bool                `json:"holds"`
	Alternatives []SourceAlternative `json:"alternatives"`
}

// A SourceAlternative holds if all of its tests do.
type SourceAlternative struct {
	Holds bool         `json:"holds"`
	Tests []SourceTest `json:"tests"`
}

// A SourceTest asks for the value of a field.
type SourceTest struct {
	Holds     bool     `json:"holds"`
	Field     string   `json:"field"`
	Wanted    []string `json:"wanted"`
	FoundAs   string   `json:"foundAs"`
	Actual    string   `json:"actual"`
	LookedFor []string `json:"lookedFor"`
}

// An ExceptionExplanation says whether an exception takes the event away.
type ExceptionExplanation struct {
	ID      string       `json:"id"`
	Holds   bool         `json:"holds"`
	Expired bool         `json:"expired"`
	Filter  *sigma.Trace `json:"filter"`
}

// Explain says why a rule fires for an event of the tenant or does not. What a
// correlation counts beside it is read from the store and run through the engine.
func (s *Service) Explain(ctx context.Context, tenant uint32, subject Subject, e *event.Event) (*Explanation, error) {
	p, err := s.Program(ctx, tenant, subject)
	if err != nil {
		return nil, err
	}
	if err := p.unusable(); err != nil {
		return nil, err
	}
	x := &Explanation{Rule: RuleName{subject.ID, p.Title()}, Documents: []DocumentExplanation{}, Windows: []Window{}}
	hits := p.set.NewMatcher().Match(e, nil)
	for _, d := range p.set.Explain(e) {
		matches := slices.ContainsFunc(hits, func(h detect.Hit) bool { return h.RuleID() == d.ID })
		doc := documentOf(&d, matches)
		x.Documents = append(x.Documents, doc)
		if t := p.document(d.ID); t != nil && doc.Matches && d.Taken() == nil && p.silencing(t) == nil {
			x.Fires, x.Reason = true, fmt.Sprintf("%s matches the event", quote(doc.Title))
		}
	}
	for _, h := range hits {
		if h.Excepted(e) {
			continue
		}
		for _, c := range p.set.Counts(h, e) {
			w, reported, err := s.window(ctx, tenant, p, &c, e)
			if err != nil {
				return nil, err
			}
			x.Windows = append(x.Windows, *w)
			for id := range reported {
				x.Fires = x.Fires || p.own[id]
			}
		}
	}
	x.conclude(p)
	return x, nil
}

func documentOf(d *detect.Explanation, matches bool) DocumentExplanation {
	out := DocumentExplanation{ID: d.ID, Title: d.Title, Matches: matches, LogSource: sourceOf(&d.LogSource), Condition: d.Condition, Exceptions: exceptionsExplained(d.Exceptions)}
	switch taken := d.Taken(); {
	case !d.LogSource.Holds:
		out.Reason = fmt.Sprintf("the rule looks at %s only: %s", sourceWords(d.LogSource.Name), sourceReason(&d.LogSource))
	case !d.Condition.Holds:
		out.Reason = why(d.Condition)
	case taken != nil:
		out.Reason = fmt.Sprintf("it matches, but the exception %s takes the event away", quote(taken.ID))
	default:
		out.Reason = "it matches"
	}
	return out
}

func sourceOf(t *detect.SourceTrace) SourceExplanation {
	out := SourceExplanation{Name: t.Name.String(), Holds: t.Holds, Needs: []SourceNeed{}}
	for _, n := range t.Needs {
		need := SourceNeed{Holds: n.Holds, Alternatives: []SourceAlternative{}}
		for _, a := range n.Alternatives {
			alternative := SourceAlternative{Holds: a.Holds, Tests: []SourceTest{}}
			for _, x := range a.Tests {
				test := SourceTest(x)
				if test.LookedFor == nil {
					test.LookedFor = []string{}
				}
				alternative.Tests = append(alternative.Tests, test)
			}
			need.Alternatives = append(need.Alternatives, alternative)
		}
		out.Needs = append(out.Needs, need)
	}
	return out
}

func exceptionsExplained(all []detect.ExceptionTrace) []ExceptionExplanation {
	out := []ExceptionExplanation{}
	for _, x := range all {
		out = append(out, ExceptionExplanation(x))
	}
	return out
}

// conclude finds the sentence.
func (x *Explanation) conclude(p *Program) {
	switch {
	case x.Fires && x.Reason == "":
		for _, w := range x.Windows {
			if w.Fired && p.own[w.Correlation] {
				x.Reason = w.Reason
			}
		}
	case x.Fires:
	case len(x.Windows) > 0:
		x.Reason = x.Windows[0].Reason
		for _, w := range x.Windows {
			if p.own[w.Correlation] {
				x.Reason = w.Reason
			}
		}
	default:
		x.Reason = x.closest(p)
	}
	if !x.Fires {
		return
	}
	switch {
	case p.Staged:
		x.Reason += "; the rule is staged, so that it raises no alert"
	case p.Status != "" && p.Status != rule.On:
		x.Reason += fmt.Sprintf("; but the rule is %s", p.Status)
	}
}

// closest is the reason of the document that came nearest to matching: first by its
// log source, then in the order of the text.
func (x *Explanation) closest(p *Program) string {
	best := -1
	for i := range x.Documents {
		if best < 0 || x.Documents[i].LogSource.Holds && !x.Documents[best].LogSource.Holds {
			best = i
		}
	}
	switch {
	case best < 0:
		return "the rule only counts matches of correlations: explain those"
	case len(x.Documents) == 1:
		return x.Documents[best].Reason
	case p.document(p.main).Correlation != nil:
		return fmt.Sprintf("none of the rules that are counted takes the event; %s: %s", quote(x.Documents[best].Title), x.Documents[best].Reason)
	}
	return fmt.Sprintf("%s: %s", quote(x.Documents[best].Title), x.Documents[best].Reason)
}

func quote(s string) string { return "“" + s + "”" }

// sourceWords writes a log source as people do: windows/process_creation.
func sourceWords(l sigma.LogSource) string {
	parts := slices.DeleteFunc([]string{l.Product, l.Category, l.Service}, func(s string) bool { return s == "" })
	return strings.Join(parts, "/")
}

// sourceReason says what keeps an event out of a log source.
func sourceReason(t *detect.SourceTrace) string {
	for _, n := range t.Needs {
		if n.Holds {
			continue
		}
		var wanted, actual []string
		for _, a := range n.Alternatives {
			var tests []string
			for _, x := range a.Tests {
				tests = append(tests, x.Field+" "+few(x.Wanted, " or "))
				is := x.Field + " is " + show(x.Actual)
				if x.FoundAs == "" {
					is = "it has no " + x.Field
				}
				if !slices.Contains(actual, is) {
					actual = append(actual, is)
				}
			}
			wanted = append(wanted, strings.Join(tests, " with "))
		}
		return fmt.Sprintf("it wants %s; of the event, %s", few(wanted, ", or "), few(actual, ", "))
	}
	return ""
}

// few joins the first of a list.
func few(list []string, by string) string {
	const most = 4
	text := strings.Join(list[:min(len(list), most)], by)
	if len(list) > most {
		text += fmt.Sprintf("%s%d more", by, len(list)-most)
	}
	return text
}

// show quotes a value from outside, on one line.
func show(s string) string {
	const most = 120
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return `"` + s + `"`
}

// why says why a trace that does not hold does not: the first part that decides it.
func why(t *sigma.Trace) string {
	switch t.Kind {
	case sigma.TraceItem:
		return whyItem(t)
	case sigma.TraceSelection:
		if part := first(t, false); part != nil {
			return fmt.Sprintf("selection %s does not hold: %s", quote(t.Name), why(part))
		}
		return fmt.Sprintf("selection %s does not hold", quote(t.Name))
	case sigma.TraceNot:
		if part := first(t, true); part != nil {
			return fmt.Sprintf("what must not hold does: %s", whichHolds(part))
		}
	case sigma.TraceAnd:
		if part := first(t, false); part != nil {
			return why(part)
		}
	case sigma.TraceOr, sigma.TraceOf:
		holding := 0
		for _, part := range t.Parts {
			if part.Holds {
				holding++
			}
		}
		part := first(t, false)
		switch {
		case part == nil:
		case len(t.Parts) == 1:
			return why(part)
		case t.Kind == sigma.TraceOf && t.Needed > 1:
			return fmt.Sprintf("%d of %d parts hold and %d must; the first that does not: %s", holding, len(t.Parts), t.Needed, why(part))
		default:
			return fmt.Sprintf("none of %d alternatives holds; the first: %s", len(t.Parts), why(part))
		}
	}
	return "the condition does not hold"
}

// first returns the first part that holds or does not.
func first(t *sigma.Trace, holds bool) *sigma.Trace {
	for _, part := range t.Parts {
		if part.Holds == holds {
			return part
		}
	}
	return nil
}

func whyItem(t *sigma.Trace) string {
	name := strings.Join(append([]string{t.Field}, t.Modifiers...), "|")
	if t.Field == "" {
		return fmt.Sprintf("no value of the event has %s", few(wantedOf(t), " or "))
	}
	if len(t.Actual) == 0 {
		return fmt.Sprintf("the event has no field %s", t.Field)
	}
	text := fmt.Sprintf("%s wants %s, and the event has %s", name, few(wantedOf(t), " or "), few(shown(t.Actual), ", "))
	if t.Reason != "" && t.Reason != "no value fits" {
		text += " (" + t.Reason + ")"
	}
	return text
}

func wantedOf(t *sigma.Trace) []string {
	var out []string
	for _, w := range t.Wanted {
		if w.Null {
			out = append(out, "nothing")
			continue
		}
		out = append(out, show(w.Value))
	}
	return out
}

func shown(list []string) []string {
	var out []string
	for _, v := range list {
		out = append(out, show(v))
	}
	return out
}

// whichHolds says why a part holds.
func whichHolds(t *sigma.Trace) string {
	switch t.Kind {
	case sigma.TraceItem:
		name := strings.Join(append([]string{t.Field}, t.Modifiers...), "|")
		for _, w := range t.Wanted {
			if w.Holds && w.By != "" {
				return strings.TrimSpace(fmt.Sprintf("%s %s fits %s", name, show(w.Value), show(w.By)))
			}
		}
		return strings.TrimSpace(name + " holds")
	case sigma.TraceSelection:
		if part := first(t, true); part != nil {
			return fmt.Sprintf("selection %s, by %s", quote(t.Name), whichHolds(part))
		}
		return "selection " + quote(t.Name)
	case sigma.TraceNot:
		return "not " + t.Text
	}
	if part := first(t, true); part != nil {
		return whichHolds(part)
	}
	return t.Text
}

// span writes a time span as rules do.
func span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.unit && d%u.unit == 0 {
			return fmt.Sprintf("%d%s", d/u.unit, u.name)
		}
	}
	return d.String()
}
