package sigma

import (
	"cmp"
	"slices"
)

// budget is how much work one event may make, in steps of about a nanosecond. It
// counts what there is to do, not what it takes: the same event always gets as far.
const budget = 4 << 20

// costOf returns the work that rule r makes at most for the event.
func (s *Scratch) costOf(r int32) int {
	n := 0
	for i := range s.p.costs[r] {
		c := &s.p.costs[r][i]
		if c.field < 0 {
			for k := range s.in.event.Fields {
				n += int(c.weight) * (len(s.in.event.Fields[k].Value)/16 + 1)
			}
			continue
		}
		for _, v := range s.values(c.field) {
			if size := min(len(s.in.event.Fields[v].Value), MaxValue); size < deepFrom {
				n += int(c.weight) * (size/16 + 1)
			} else {
				n += int(c.fixed) + int(c.heavy)*(size/16+1)
			}
		}
	}
	return n
}

// afford leaves among the candidates those for which there is budget, the cheap
// ones first, and puts the others aside.
func (s *Scratch) afford() {
	s.skipped = s.skipped[:0]
	most := s.work
	for _, r := range s.candidates {
		most += int(s.p.mostOf[r]) * s.in.pieces
	}
	if most <= budget { // nearly always, and soon told
		return
	}
	total := s.work
	for _, r := range s.candidates {
		if total += s.costOf(r); total > budget {
			break
		}
	}
	if total <= budget {
		return
	}
	type priced struct {
		rule int32
		cost int
	}
	all := make([]priced, 0, len(s.candidates))
	for _, r := range s.candidates {
		all = append(all, priced{r, s.costOf(r)})
	}
	slices.SortFunc(all, func(a, b priced) int { return cmp.Or(a.cost-b.cost, int(a.rule-b.rule)) })
	s.candidates = s.candidates[:0]
	total = s.work
	for _, x := range all {
		if total += x.cost; total <= budget {
			s.candidates = append(s.candidates, x.rule)
		} else {
			s.skipped = append(s.skipped, x.rule)
		}
	}
}

// Skipped returns the rules that were not asked about the last event, as there was
// too much to do. It is good until the next.
func (s *Scratch) Skipped() []int32 { return s.skipped }
