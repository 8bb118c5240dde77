package sigma

import "math"

// guess estimates in how many events an atom fires, from its looks.
func (b *builder) guess(a atom) float64 {
	n := float64(len(a.literal))
	switch a.kind {
	case opPresent:
		return 0.9
	case opCIDR:
		return 0.1
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
	return max(0.0002, 0.6*math.Pow(0.55, n-1))
}

// measured returns a cost function that knows how often each possible atom fires
// in the sample.
func (b *builder) measured() func(atom) float64 {
	ids := map[atom]int32{}
	var atoms []atom
	b.cost = func(a atom) float64 {
		if _, ok := ids[a]; !ok {
			ids[a] = int32(len(atoms))
			atoms = append(atoms, a)
		}
		return 1
	}
	for _, root := range b.roots {
		b.necessary(root, false)
	}
	model := &gramModel{}
	for _, a := range atoms {
		model.add(a.literal)
	}
	// A matcher without rules over all atoms counts what fires.
	counter := &Matcher{names: NewNames()}
	outer := b.m
	b.m = counter
	counter.fields, counter.keywords = buildIndexes(atoms, len(b.fieldNames), model)
	b.routeNames()
	b.m = outer
	fired := make([]float64, len(atoms))
	last := make([]int, len(atoms))
	counter.atoms = make([]atomUse, len(atoms))
	s := counter.NewScratch()
	for i := range b.options.Sample {
		s.collectHits(&b.options.Sample[i], func(hits []int32) {
			for _, id := range hits {
				if last[id] != i+1 {
					last[id] = i + 1
					fired[id]++
				}
			}
		})
	}
	return func(a atom) float64 {
		if id, ok := ids[a]; ok {
			return fired[id]/float64(len(b.options.Sample)) + 1e-4*b.guess(a)
		}
		return b.guess(a)
	}
}
