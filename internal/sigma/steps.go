package sigma

import (
	"cmp"
	"math"
	"slices"
)

// flatten appends x to the steps, the most decisive children first.
func (b *builder) flatten(x *expr) {
	at := len(b.p.steps)
	s := step{kind: x.kind, arg: int32(x.n), field: -1}
	if x.kind == predExpr {
		s.arg = b.byPred[x.pred]
		p := &b.p.preds[s.arg]
		if p.ref < 0 {
			s.field = p.field
		}
		s.weight = p.weight()
	}
	b.p.steps = append(b.p.steps, s)
	for i, k := range b.ordered(x) {
		first := len(b.p.steps)
		b.flatten(k)
		kid := &b.p.steps[first]
		s.weight += kid.weight
		if i == 0 {
			s.field = kid.field
		} else if s.field != kid.field {
			s.field = -1
		}
	}
	s.end = int32(len(b.p.steps))
	s.memo = s.field >= 0 && s.weight > 2
	b.p.steps[at] = s
}

// A fieldCost is what a rule costs at most for the values of a field; -1: of all.
type fieldCost struct {
	field  int32
	weight int32 // for each sixteen bytes of a value
	// Of a deep value, whose literals are looked for all at once:
	fixed int32 // whatever its length
	heavy int32 // for each sixteen bytes
}

func (b *builder) costOf(x *expr) []fieldCost {
	var out []fieldCost
	b.eachPredicate(x, func(id int32) {
		p := &b.p.preds[id]
		i := slices.IndexFunc(out, func(c fieldCost) bool { return c.field == p.field })
		if i < 0 {
			i = len(out)
			out = append(out, fieldCost{field: p.field})
		}
		w := p.weight()
		out[i].weight += w
		if p.deep && p.op != opRegex {
			out[i].fixed++
		} else {
			out[i].heavy += w
		}
	})
	return out
}

// most returns what costs add up to at most for each sixteen bytes of an event.
func most(costs []fieldCost) int32 {
	n := int32(0)
	for _, c := range costs {
		n += max(c.weight, c.fixed+c.heavy)
	}
	return n
}

// weight estimates the work for each sixteen bytes of a value.
func (p *compiledPredicate) weight() int32 {
	switch p.op {
	case opContains, opRef:
		return 2
	case opGlob:
		return 8
	case opRegex:
		return 48
	case opTime:
		return 64
	}
	return 1
}

// ordered returns the children of x, the most decisive first.
func (b *builder) ordered(x *expr) []*expr {
	if x.kind != andExpr && x.kind != orExpr || len(x.kids) < 2 {
		return x.kids
	}
	type weighed struct {
		x *expr
		p float64
	}
	order := make([]weighed, len(x.kids))
	for i, k := range x.kids {
		order[i] = weighed{k, b.probability(k)}
		if x.kind == orExpr {
			order[i].p = -order[i].p
		}
	}
	slices.SortStableFunc(order, func(p, q weighed) int { return cmp.Compare(p.p, q.p) })
	kids := make([]*expr, len(order))
	for i := range order {
		kids[i] = order[i].x
	}
	return kids
}

// probability estimates how often x holds, as if predicates were independent.
func (b *builder) probability(x *expr) float64 {
	switch x.kind {
	case trueExpr:
		return 1
	case falseExpr:
		return 0
	case notExpr:
		return 1 - b.probability(x.kids[0])
	case andExpr:
		p := 1.0
		for _, k := range x.kids {
			p *= b.probability(k)
		}
		return p
	case orExpr:
		p := 1.0
		for _, k := range x.kids {
			p *= 1 - b.probability(k)
		}
		return 1 - p
	case predExpr:
		n := b.necessaryPredicate(b.byPred[x.pred])
		switch {
		case !n.ok:
			return 0.5
		case len(n.atoms) == 1 && n.atoms[0].kind == opPresent && x.pred.op != opPresent:
			return 0.3
		}
		return math.Min(n.cost, 1)
	}
	return 0.5
}
