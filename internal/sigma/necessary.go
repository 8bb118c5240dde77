package sigma

import (
	"math"
	"unicode/utf8"
)

// A necessity is atoms of which at least one fires on each event for which
// something holds, and how often that is to be expected; not ok if there are none.
// It may name too many atoms, never too few.
type necessity struct {
	atoms []atom
	cost  float64
	ok    bool
}

// necessary returns what is necessary for x, or, with negated, for not x.
func (b *builder) necessary(x *expr, negated bool) ([]atom, float64, bool) {
	switch x.kind {
	case trueExpr, falseExpr:
		never := (x.kind == falseExpr) != negated
		return nil, 0, never
	case notExpr:
		return b.necessary(x.kids[0], !negated)
	case atLeastExpr:
		if negated {
			return nil, 0, false
		}
		return b.anyOf(x.kids, false)
	case andExpr, orExpr:
		if (x.kind == andExpr) == negated {
			return b.anyOf(x.kids, negated)
		}
		var best []atom
		bestCost, found := math.Inf(1), false
		for _, k := range x.kids {
			if atoms, cost, ok := b.necessary(k, negated); ok && (!found || cost < bestCost) {
				best, bestCost, found = atoms, cost, true
			}
		}
		return best, bestCost, found
	case predExpr:
		id := b.byPred[x.pred]
		if !negated {
			n := b.necessaryPredicate(id)
			return n.atoms, n.cost, n.ok
		}
		if x.pred.op != opAbsent {
			return nil, 0, false
		}
		present := atom{field: b.p.preds[id].field, kind: opPresent}
		return []atom{present}, b.cost(present), true
	}
	return nil, 0, false
}

func (b *builder) anyOf(kids []*expr, negated bool) ([]atom, float64, bool) {
	var all []atom
	total := 0.0
	for _, k := range kids {
		atoms, cost, ok := b.necessary(k, negated)
		if !ok {
			return nil, 0, false
		}
		all = append(all, atoms...)
		total += cost
	}
	return all, total, true
}

func (b *builder) necessaryPredicate(id int32) necessity {
	n, ok := b.necessity[id]
	if !ok {
		n = b.findNecessary(&b.p.preds[id])
		b.necessity[id] = n
	}
	return n
}

func (b *builder) findNecessary(p *compiledPredicate) necessity {
	if p.op == opAbsent || p.op == opPresent && p.field < 0 {
		return necessity{}
	}
	if p.op == opRegex {
		if len(p.program.folded) > 0 {
			n := necessity{ok: true}
			for _, l := range p.program.folded {
				a := atom{field: p.field, kind: opContains, literal: l}
				n.atoms = append(n.atoms, a)
				n.cost += b.cost(a)
			}
			return n
		}
	}
	a, _ := atomOf(p)
	if a.kind == opPresent && p.field < 0 {
		return necessity{}
	}
	return necessity{[]atom{a}, b.cost(a), true}
}

// atomOf returns the narrowest atom that fires wherever p holds, and whether it
// fires only there.
func atomOf(p *compiledPredicate) (atom, bool) {
	present := atom{field: p.field, kind: opPresent}
	switch p.op {
	case opEqual, opPrefix, opSuffix, opContains:
		if p.text == "" && p.op != opEqual || p.cased && !utf8.ValidString(p.text) {
			return present, false
		}
		if p.field < 0 && p.op != opContains {
			return present, false
		}
		return atom{field: p.field, kind: p.op, literal: fold(p.text)}, !p.cased
	case opGlob:
		if l := longestLiteral(p.predicate.glob); l != "" {
			return atom{field: p.field, kind: opContains, literal: fold(l)}, false
		}
	case opCIDR:
		if p.field < 0 {
			return present, false
		}
		return atom{field: p.field, kind: opCIDR, net: p.net}, true
	case opCompare:
		if p.field < 0 || p.cmp == "neq" || math.IsNaN(p.num) {
			return present, false
		}
		return atom{field: p.field, kind: opCompare, cmp: p.cmp, num: p.num}, true
	case opPresent:
		return present, p.field >= 0
	}
	return present, false
}

func longestLiteral(p pattern) string {
	longest := ""
	for _, x := range p {
		if x.kind == literalPart && len(x.literal) > len(longest) && utf8.ValidString(x.literal) {
			longest = x.literal
		}
	}
	return longest
}
