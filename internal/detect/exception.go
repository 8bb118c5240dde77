package detect

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// An exception is a filter as it applies to one rule.
type exception struct {
	id     string
	filter *sigma.Document
	until  int64
	hits   atomic.Uint64
	last   atomic.Int64
}

// An exempting is an exception with the names that fields have in events of one
// log source.
type exempting struct {
	*exception
	fields sigma.Options
}

// takes tells whether the exception takes e away from its rule, and counts it.
func (x *exempting) takes(e *event.Event) bool {
	if x.until != 0 && e.Arrived >= x.until || !sigma.Eval(x.filter, sigma.ViewOf(e, x.fields)) {
		return false
	}
	x.hits.Add(1)
	for {
		last := x.last.Load()
		if e.Time <= last || x.last.CompareAndSwap(last, e.Time) {
			return true
		}
	}
}

// exempt tells whether one of xs takes e away; each that does counts it.
func exempt(xs []exempting, e *event.Event) bool {
	taken := false
	for i := range xs {
		if xs[i].takes(e) {
			taken = true
		}
	}
	return taken
}

// ExceptionStats counts what an exception or a filter took away from a rule.
type ExceptionStats struct {
	ID        string // of the exception, or of the filter, else its title
	Rule      string // id of the rule, else its title
	Hits      uint64
	LastEvent int64 // time of the latest event that it took, nanoseconds; 0 = none
}

// ExceptionStats returns the counters of all exceptions since the rule set was
// compiled, rule by rule.
func (rs *Ruleset) ExceptionStats() []ExceptionStats {
	var out []ExceptionStats
	for i := range rs.rules {
		r := &rs.rules[i]
		for _, x := range r.exceptions {
			out = append(out, ExceptionStats{x.id, nameOf(r.document), x.hits.Load(), x.last.Load()})
		}
	}
	return out
}

func nameOf(d *sigma.Document) string { return cmp.Or(d.ID, d.Title) }

// collectExceptions gives each rule the exceptions of its own and the filters
// among the documents that are for it.
func (c *compiler) collectExceptions(own [][]Exception, filters []filterDocument) {
	for i := range own {
		r := &c.set.rules[i]
		for _, x := range own[i] {
			if x.Filter == nil {
				continue
			}
			if filled, err := x.Filter.Fill(c.options.Lists); err != nil {
				c.problem(c.index[i], r.document, Toothless, "its exception %s does nothing: %s", x.ID, err.Error())
			} else {
				r.exceptions = append(r.exceptions, &exception{id: x.ID, filter: filled, until: x.Until})
			}
		}
	}
	for _, f := range filters {
		c.applyFilter(f)
	}
}

// A filterDocument is a filter that came among the rules.
type filterDocument struct {
	*sigma.Document
	index int
}

func (c *compiler) applyFilter(f filterDocument) {
	named := f.Filter.Rules
	if len(named) == 0 && f.LogSource == (sigma.LogSource{}) {
		c.problem(f.index, f.Document, Unsupported, "line %d: the filter names neither rules nor a logsource: it would silence everything", f.Line)
		return
	}
	filled, err := f.Fill(c.options.Lists)
	if err != nil {
		c.problem(f.index, f.Document, NeedsList, "%s", err.Error())
		return
	}
	for _, name := range named {
		ids := c.byName[name]
		if len(ids) == 0 {
			c.problem(f.index, f.Document, Unresolved, "line %d: the filter is for the rule %q, which is not among the active ones", f.Line, name)
			continue
		}
		if r := &c.set.rules[ids[0]]; r.document.Correlation == nil && !f.LogSource.Covers(r.document.LogSource) {
			c.problem(f.index, f.Document, Unresolved, "line %d: the filter is for %s and does not reach the rule %q of %s", f.Line, f.LogSource, name, r.document.LogSource)
		}
	}
	for i := range c.set.rules {
		d := c.set.rules[i].document
		switch {
		case len(named) > 0 && !slices.ContainsFunc(named, func(n string) bool { return n != "" && (n == d.ID || n == d.Name) }):
		case d.Correlation != nil && len(named) == 0: // it has no log source
		case d.Correlation == nil && !f.LogSource.Covers(d.LogSource):
		default:
			r := &c.set.rules[i]
			r.exceptions = append(r.exceptions, &exception{id: nameOf(f.Document), filter: filled})
		}
	}
}

// exemptingFor returns the exceptions of r for events whose fields have the given
// names.
func (r *rule) exemptingFor(fields func(string) []string) []exempting {
	var out []exempting
	for _, x := range r.exceptions {
		out = append(out, exempting{x, sigma.Options{Fields: fields, Hidden: hiddenFields()}})
	}
	return out
}
