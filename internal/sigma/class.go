package sigma

import (
	"slices"
	"strconv"
	"strings"
)

// A Class is what finds the rules of some sources together, for the events that
// all of them concern: each value is looked at once, however many sources ask for
// it. It is immutable but for its units, which are built when first needed, and
// may be shared.
type Class struct {
	p       *Program
	uses    []atomUse // by atom of the class
	always  []int32   // rules that no atom finds
	decided []uint64  // bits by predicate: it is false unless its atom fired

	present map[int32][]int32   // by field: atoms that fire if it is there
	textual map[int32][]indexed // by field: the others; -1: keywords
	names   map[int32]className
	units   map[string]*unit
	bare    *unit // keywords only: of values that are no field
	sources []int32
}

// atomUse says what follows from an atom.
type atomUse struct {
	decides int32 // the predicate that is true exactly if the atom fires, or -1
	field   int32
	rules   []int32
}

// A className is what the class knows of a name: as the how manieth best name of
// which fields it counts, and what looks at its values.
type className struct {
	targets []target
	unit    *unit // nil: nothing
}

type target struct{ field, rank int32 }

// Class returns the class of sources, by index. It takes time: keep it.
func (p *Program) Class(sources []int32) *Class {
	c := &Class{
		p:       p,
		sources: slices.Clone(sources),
		decided: make([]uint64, len(p.preds)/64+1),
		present: map[int32][]int32{},
		textual: map[int32][]indexed{},
		names:   map[int32]className{},
		units:   map[string]*unit{},
	}
	local := map[int32]int32{}
	var fields []int32
	for _, i := range sources {
		s := &p.sources[i]
		for _, f := range s.fields {
			if !slices.Contains(fields, f) {
				fields = append(fields, f)
			}
		}
		for r := s.lo; r < s.hi; r++ {
			if p.ruleAtoms[r] == nil {
				c.always = append(c.always, r)
			}
			for _, a := range p.ruleAtoms[r] {
				id, ok := local[a]
				if !ok {
					id = c.addAtom(a)
					local[a] = id
				}
				c.uses[id].rules = append(c.uses[id].rules, r)
			}
		}
		for _, a := range s.keywords {
			if _, ok := local[a]; !ok {
				local[a] = c.addAtom(a)
			}
		}
	}
	c.nameFields(fields)
	return c
}

// Atoms returns by how many things the rules are found: a measure of size.
func (c *Class) Atoms() int { return len(c.uses) }

func (c *Class) addAtom(global int32) int32 {
	a := c.p.atoms[global]
	id := int32(len(c.uses))
	c.uses = append(c.uses, atomUse{decides: c.p.decides[global], field: a.field})
	if d := c.p.decides[global]; d >= 0 {
		c.decided[d>>6] |= 1 << (d & 63)
	}
	if a.kind == opPresent {
		c.present[a.field] = append(c.present[a.field], id)
	} else {
		c.textual[a.field] = append(c.textual[a.field], indexed{a, id})
	}
	return id
}

// nameFields fills in which names feed which fields and what looks at them.
func (c *Class) nameFields(fields []int32) {
	for _, f := range fields {
		for rank, name := range c.p.fields[f].names {
			n := c.names[name]
			n.targets = append(n.targets, target{f, int32(rank)})
			c.names[name] = n
		}
	}
	for name, n := range c.names {
		var looked []int32
		for _, t := range n.targets {
			if len(c.textual[t.field]) > 0 {
				looked = append(looked, t.field)
			}
		}
		n.unit = c.unit(looked, len(c.textual[-1]) > 0 && !c.p.hidden[name])
		c.names[name] = n
	}
	for name, hidden := range c.p.hidden {
		if _, ok := c.names[int32(name)]; hidden && !ok {
			c.names[int32(name)] = className{}
		}
	}
	c.bare = c.unit(nil, len(c.textual[-1]) > 0)
}

// unit returns the unit of the fields, which are in order.
func (c *Class) unit(fields []int32, keywords bool) *unit {
	if len(fields) == 0 && !keywords {
		return nil
	}
	var b strings.Builder
	b.WriteString(strconv.FormatBool(keywords))
	slices.Sort(fields)
	for _, f := range fields {
		b.WriteString(" " + strconv.Itoa(int(f)))
	}
	u := c.units[b.String()]
	if u == nil {
		u = &unit{class: c, fields: fields, keywords: keywords, id: c.p.units.Add(1)}
		c.units[b.String()] = u
	}
	return u
}

// ready builds u if it is not.
func (u *unit) ready() *unit {
	u.once.Do(func() { u.build(u.atoms(), u.class.p.model) })
	return u
}

func (u *unit) atoms() []indexed {
	var out []indexed
	for _, f := range u.fields {
		out = append(out, u.class.textual[f]...)
	}
	if u.keywords {
		out = append(out, u.class.textual[-1]...)
	}
	return out
}

// of returns what the class knows of a name by its number.
func (c *Class) of(name int32) className {
	if name >= 0 {
		if n, ok := c.names[name]; ok {
			return n
		}
	}
	return className{unit: c.bare}
}
