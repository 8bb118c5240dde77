package sigma

import "slices"

// A plan is how a class looks at events of one layout: which values are which
// field, and what looks at which value.
type plan struct {
	class   *Class
	fields  []planField
	values  []int32 // indexes of fields of the event
	looks   []look  // those for keywords only come last
	bare    int     // where they begin
	present []int32 // atoms that fire because of the layout alone
}

// A planField says that the values lo to hi of the plan are a field's.
type planField struct{ field, lo, hi int32 }

// A look is a value that a unit looks at.
type look struct {
	value int32
	unit  *unit
	// partial: for some fields of the unit a better name is there; their atoms
	// must not fire.
	partial bool
	// quiet is the last short value without keywords: many are the same in event
	// after event. Only for looks for keywords only.
	quiet []byte
}

// maxQuiet bounds the values that looks remember.
const maxQuiet = 64

// A planner is memory for making plans.
type planner struct {
	epoch uint32
	best  []bestName // by field
	order []int32    // fields in order of appearance
	loose plan       // of a layout that is not kept
}

type bestName struct {
	epoch uint32
	rank  int32
	at    int32 // in the plan's fields
	n     int32
}

// planFor returns the plan of c for the layout of in.
func (w *planner) planFor(c *Class, in *Input) *plan {
	l := in.layout
	for _, p := range l.plans {
		if p.class == c {
			return p
		}
	}
	if !in.layouts.keeps(l) {
		w.make(&w.loose, c, l.Names)
		return &w.loose
	}
	p := &plan{}
	w.make(p, c, l.Names)
	if len(l.plans) >= 8 { // the same names in very different events: unusual
		l.plans = l.plans[:0]
	}
	l.plans = append(l.plans, p)
	return p
}

func (w *planner) make(p *plan, c *Class, names []int32) {
	p.class = c
	p.fields, p.values, p.looks, p.present = p.fields[:0], p.values[:0], p.looks[:0], p.present[:0]
	if w.epoch++; w.epoch == 0 {
		clear(w.best)
		w.epoch = 1
	}
	w.order = w.order[:0]
	for _, name := range names {
		for _, t := range c.of(name).targets {
			b := &w.best[t.field]
			switch {
			case b.epoch != w.epoch:
				w.order = append(w.order, t.field)
				*b = bestName{epoch: w.epoch, rank: t.rank, n: 1}
			case t.rank < b.rank:
				b.rank, b.n = t.rank, 1
			case t.rank == b.rank:
				b.n++
			}
		}
	}
	at := int32(0)
	for i, f := range w.order {
		b := &w.best[f]
		b.at = int32(i)
		p.fields = append(p.fields, planField{f, at, at})
		at += b.n
		p.present = append(p.present, c.present[f]...)
	}
	p.values = slices.Grow(p.values, int(at))[:at]
	for pass := range 2 { // values that are a field, then the others
		for i, name := range names {
			n := c.of(name)
			active, dropped := false, false
			for _, t := range n.targets {
				b := &w.best[t.field]
				if b.rank != t.rank {
					dropped = dropped || len(c.textual[t.field]) > 0
					continue
				}
				active = active || len(c.textual[t.field]) > 0
				if pass == 0 {
					f := &p.fields[b.at]
					p.values[f.hi] = int32(i)
					f.hi++
				}
			}
			if n.unit == nil || (pass == 0) != active {
				continue
			}
			switch {
			case active:
				p.looks = append(p.looks, look{value: int32(i), unit: n.unit, partial: dropped})
			case n.unit.keywords:
				p.looks = append(p.looks, look{value: int32(i), unit: c.bare})
			}
		}
		if pass == 0 {
			p.bare = len(p.looks)
		}
	}
}
