package sigma

import "slices"

// A value of some length is deep: to ask it for the literals of one condition after
// another would take long where it is made to concern many rules. All literals that
// any condition on its field asks for are looked for at once.
const deepFrom = 1024

// deepAtoms returns atoms of which one fires wherever p holds for a value that has
// some text, nil where there are none.
func deepAtoms(p *compiledPredicate) []atom {
	switch p.op {
	case opRegex:
		var out []atom
		for _, l := range p.program.folded {
			out = append(out, atom{field: p.field, kind: opContains, literal: l})
		}
		return out
	case opEqual, opPrefix, opSuffix, opContains, opGlob:
		if a, _ := atomOf(p); a.kind != opPresent {
			return []atom{a}
		}
	}
	return nil
}

// A deepIndex finds what concerns a deep value: the atoms of its unit, and the
// conditions that it may fulfil.
type deepIndex struct {
	unit
	uses []deepUse
}

// deepUse says what follows from a literal of the index.
type deepUse struct {
	atom  int32   // of the class; -1: none
	preds []int32 // that it may fulfil
}

// deeply returns the index for deep values, which is built when first needed.
func (u *unit) deeply() *deepIndex {
	u.deepOnce.Do(func() {
		x := &deepIndex{unit: unit{id: u.class.p.units.Add(1)}}
		var atoms []indexed
		known := map[atom]int32{}
		use := func(a atom) *deepUse {
			id, ok := known[a]
			if !ok {
				id = int32(len(x.uses))
				known[a] = id
				x.uses = append(x.uses, deepUse{atom: -1})
				atoms = append(atoms, indexed{a, id})
			}
			return &x.uses[id]
		}
		for _, a := range u.atoms() {
			if a.kind != opCIDR && a.kind != opCompare {
				use(a.atom).atom = a.id
			}
		}
		for _, id := range u.class.predicates() {
			p := &u.class.p.preds[id]
			if !p.deep || !slices.Contains(u.fields, p.field) {
				continue
			}
			for _, a := range deepAtoms(p) {
				use(a).preds = append(use(a).preds, id)
			}
		}
		x.build(atoms, u.class.p.model)
		u.deep = x
	})
	return u.deep
}

// predicates returns the conditions of the class's rules.
func (c *Class) predicates() []int32 {
	var out []int32
	for _, source := range c.sources {
		s := &c.p.sources[source]
		for r := s.lo; r < s.hi; r++ {
			first := int32(c.p.rules[r])
			for i := first; i < c.p.steps[first].end; i++ {
				if x := &c.p.steps[i]; x.kind == predExpr {
					out = append(out, x.arg)
				}
			}
		}
	}
	return distinct(out)
}

// lookDeep fires the atoms of a deep value, and notes which conditions it may
// fulfil, and which it does.
func (s *Scratch) lookDeep(l *look) {
	x := l.unit.deeply()
	v := s.in.raw(l.value)
	hit, key := s.cache.find(&x.unit, v)
	if hit != nil {
		s.serials[l.value] = serial{s.epoch, hit.serial}
		s.found.ids, s.found.steps = append(s.found.ids[:0], s.cache.ids[hit.lo:hit.hi]...), int(hit.steps)
	} else {
		s.found.ids, s.found.steps = s.found.ids[:0], 0
		x.find(s.in, l.value, &s.found)
		s.distinct()
		if n := s.cache.keep(key, &x.unit, v, s.found.ids, s.found.steps); n != 0 {
			s.serials[l.value] = serial{s.epoch, n}
		}
	}
	s.work += s.found.steps
	fired := s.found.ids[:0]
	for _, id := range s.found.ids {
		use := &x.uses[id]
		for _, p := range use.preds {
			s.notePossible(p, l.value)
		}
		if use.atom >= 0 {
			fired = append(fired, use.atom)
		}
	}
	s.fireFor(l, fired)
	s.deep = append(s.deep, *l)
}

func (s *Scratch) notePossible(id, value int32) {
	p := &s.p.preds[id]
	if s.possible[id] == s.epoch || !slices.Contains(s.values(p.field), value) {
		return
	}
	s.possible[id] = s.epoch
	if p.exact {
		s.predicates[id] = s.epoch<<1 | 1
	}
}

// impossible tells that a deep value cannot fulfil condition id.
func (s *Scratch) impossible(id int32, p *compiledPredicate, value int32) bool {
	if !p.deep || s.possible[id] == s.epoch {
		return false
	}
	for i := range s.deep {
		if l := &s.deep[i]; l.value == value && slices.Contains(l.unit.fields, p.field) {
			return true
		}
	}
	return false
}
