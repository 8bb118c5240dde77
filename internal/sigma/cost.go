package sigma

import (
	"fmt"
	"math"
)

// guess estimates in how many events an atom fires, from its looks.
func guess(a atom) float64 {
	n := float64(len(a.literal))
	switch a.kind {
	case opPresent:
		return 0.9
	case opCIDR:
		return 0.1
	case opCompare:
		return 0.3
	case opEqual:
		switch {
		case n == 0 || a.literal == "true" || a.literal == "false":
			return 0.4
		case n <= 5: // codes and numbers
			return 0.15
		}
		return 0.005
	case opSuffix:
		if n <= 4 {
			return 0.2
		}
		return 0.006
	case opPrefix:
		return 0.01 + 0.3/n
	}
	p := max(0.0002, 0.6*math.Pow(0.55, n-1))
	if a.field < 0 { // it may stand in any value
		p = min(1, 8*p)
	}
	return p
}

// The sample is bounded, whatever is given: every n-th event of it is taken.
const (
	maxSampleEvents = 4096
	maxSampleBytes  = 8 << 20
)

// bounded returns what is looked at of a sample.
func bounded(sample []Sample) []Sample {
	step := (len(sample) + maxSampleEvents - 1) / maxSampleEvents
	var out []Sample
	size := 0
	for i := 0; i < len(sample) && size < maxSampleBytes; i += step {
		for _, f := range sample[i].Event.Fields {
			size += min(len(f.Value), MaxValue)
		}
		out = append(out, sample[i])
	}
	return out
}

// measured returns a cost function that knows how often each atom that a rule
// could be found by fires in the sample.
func (b *builder) measured(sample []Sample) func(atom) float64 {
	sample = bounded(sample)
	for _, s := range sample {
		for _, f := range s.Event.Fields {
			b.p.model.add(fold(clip(f.Value)))
		}
	}
	c := b.counter()
	fired := make([]float64, len(c.program.atoms))
	last := make([]int, len(fired))
	asked := make([]float64, len(c.program.fields)+1) // events for which a field was asked for; the last: keywords
	classes := map[string]*Class{}
	scratch := c.program.NewScratch()
	in := &Input{table: b.p.names.copy()}
	in.table.ready()
	for i, s := range sample {
		key := fmt.Sprint(s.Sources)
		class := classes[key]
		if class == nil {
			class = c.program.Class(s.Sources)
			classes[key] = class
		}
		in.Set(s.Event)
		scratch.begin(class, in)
		scratch.look()
		for _, r := range scratch.candidates {
			if a := c.atoms[r]; last[a] != i+1 {
				last[a] = i + 1
				fired[a]++
			}
		}
		for _, source := range s.Sources {
			for _, f := range c.program.sources[source].fields {
				asked[f]++
			}
		}
		asked[len(asked)-1]++
	}
	return func(a atom) float64 {
		at := a.field
		if at < 0 {
			at = int32(len(asked) - 1)
		}
		id, ok := c.ids[a]
		if !ok || asked[at] == 0 {
			return guess(a)
		}
		return fired[id]/asked[at] + 1e-4*guess(a)
	}
}

// A counter is a program of one rule for each atom that a rule of a source could
// be found by.
type counter struct {
	program *Program
	ids     map[atom]int32
	atoms   []int32 // by rule
}

func (b *builder) counter() *counter {
	c := &counter{ids: map[atom]int32{}, program: &Program{names: b.p.names, hidden: b.p.hidden, fields: b.p.fields, model: &gramModel{}}}
	p := c.program
	for _, s := range b.p.sources {
		mine := map[int32]bool{}
		lo := int32(len(p.rules))
		for _, root := range b.roots[s.lo:s.hi] {
			b.atomsOf(root, func(a atom) {
				id, ok := c.ids[a]
				if !ok {
					id = int32(len(p.atoms))
					c.ids[a] = id
					p.atoms = append(p.atoms, a)
					p.decides = append(p.decides, -1)
					p.model.add(a.literal)
				}
				if !mine[id] {
					mine[id] = true
					p.rules = append(p.rules, 0)
					p.ruleAtoms = append(p.ruleAtoms, []int32{id})
					c.atoms = append(c.atoms, id)
				}
			})
		}
		p.sources = append(p.sources, sourceRules{lo: lo, hi: int32(len(p.rules)), fields: s.fields})
	}
	return c
}

// atomsOf hands out every atom that x could be found by.
func (b *builder) atomsOf(x *expr, do func(atom)) {
	for _, k := range x.kids {
		b.atomsOf(k, do)
	}
	if x.kind != predExpr {
		return
	}
	p := &b.p.preds[b.byPred[x.pred]]
	if p.field >= 0 {
		do(atom{field: p.field, kind: opPresent})
	}
	for _, a := range b.findNecessary(p).atoms {
		do(a)
	}
}
