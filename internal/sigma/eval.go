package sigma

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A View is how Eval sees an event.
type View interface {
	Values(field string) []string // none = the field is absent
	All() []string                // every value that keywords are looked for in
}

// ViewOf returns the view of e that a matcher compiled with o has.
func ViewOf(e *event.Event, o Options) View { return eventView{e, o} }

type eventView struct {
	event   *event.Event
	options Options
}

func (v eventView) Values(field string) []string {
	for _, name := range v.options.candidates(field) {
		var out []string
		for _, f := range v.event.Fields {
			if f.Name == name {
				out = append(out, f.Value)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

func (v eventView) All() []string {
	var out []string
	for _, f := range v.event.Fields {
		if !slices.Contains(v.options.Hidden, f.Name) {
			out = append(out, f.Value)
		}
	}
	return out
}

// Eval tells whether the rule d matches the event e, in the plainest way: it is
// what a Matcher must agree with. A placeholder whose list was not filled in
// matches nothing, and neither does a correlation.
func Eval(d *Document, e View) bool { return d.root != nil && d.root.eval(e) }

func (x *expr) eval(e View) bool {
	switch x.kind {
	case predExpr:
		return x.pred.eval(e)
	case andExpr:
		for _, k := range x.kids {
			if !k.eval(e) {
				return false
			}
		}
		return true
	case orExpr:
		for _, k := range x.kids {
			if k.eval(e) {
				return true
			}
		}
		return false
	case notExpr:
		return !x.kids[0].eval(e)
	case atLeastExpr:
		n := 0
		for _, k := range x.kids {
			if k.eval(e) {
				n++
			}
		}
		return n >= x.n
	case trueExpr:
		return true
	}
	return false
}

func (p *predicate) eval(e View) bool {
	values := e.All
	if p.field != "" {
		values = func() []string { return e.Values(p.field) }
	}
	switch p.op {
	case opPresent:
		return len(values()) > 0
	case opAbsent:
		return len(values()) == 0
	case opRef:
		return slices.ContainsFunc(values(), func(a string) bool {
			return slices.ContainsFunc(e.Values(p.text), func(b string) bool {
				if p.cased {
					return textHolds(p.refOp, clip(a), clip(b))
				}
				return textHolds(p.refOp, fold(clip(a)), fold(clip(b)))
			})
		})
	}
	return slices.ContainsFunc(values(), func(v string) bool { return p.holds(clip(v)) })
}

func textHolds(o op, value, text string) bool {
	switch o {
	case opEqual:
		return value == text
	case opPrefix:
		return strings.HasPrefix(value, text)
	case opSuffix:
		return strings.HasSuffix(value, text)
	default:
		return strings.Contains(value, text)
	}
}

// holds tells whether one value satisfies p.
func (p *predicate) holds(v string) bool {
	switch p.op {
	case opEqual, opPrefix, opSuffix, opContains, opGlob:
		if !p.cased {
			v = fold(v)
		}
		if p.op == opGlob {
			return p.glob.matches(v)
		}
		return textHolds(p.op, v, p.text)
	case opRegex:
		return p.re.MatchString(v)
	case opCIDR:
		a, err := netip.ParseAddr(v)
		return err == nil && p.net.Contains(a.Unmap().WithZone(""))
	case opCompare:
		f, ok := parseNumber(v)
		return ok && compareNumbers(p.cmp, f, p.num)
	case opTime:
		f, ok := timePart(p.part, v)
		return ok && compareNumbers(p.cmp, f, p.num)
	}
	return false
}

// timePart reads v as a time and returns a part of it in UTC; week is that of
// ISO 8601.
func timePart(part, v string) (float64, bool) {
	if len(v) < len("2006-01-02") || v[0] < '0' || v[0] > '9' || v[4] != '-' {
		return 0, false
	}
	var t time.Time
	var err error
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err = time.Parse(layout, v); err == nil {
			break
		}
	}
	if err != nil {
		return 0, false
	}
	t = t.UTC()
	switch part {
	case "minute":
		return float64(t.Minute()), true
	case "hour":
		return float64(t.Hour()), true
	case "day":
		return float64(t.Day()), true
	case "week":
		_, w := t.ISOWeek()
		return float64(w), true
	case "month":
		return float64(t.Month()), true
	}
	return float64(t.Year()), true
}
