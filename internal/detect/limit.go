package detect

import "slices"

// limit keeps a run within its bounds.
func (w *window) limit(r *run) {
	bound := maxEntries
	switch {
	case w.measure.inOrder():
		bound = maxOrdered
	case w.measure.needsRank():
		bound = maxRanked
	}
	if len(r.entries) > bound {
		w.compact(r, bound)
	}
	if r.details > 2*maxDetails && w.measure == shareOfValues {
		r.limitDetailsOfValues()
	}
	r.limitDetails()
}

// limitDetailsOfValues keeps the details of a few entries of each value: those that
// are rare will be reported, of which there are few.
func (r *run) limitDetailsOfValues() {
	counts := map[string]int{}
	for i := range r.entries {
		counts[r.entries[i].value]++
	}
	each := max(1, maxDetails/len(counts))
	clear(counts)
	for i := range r.entries {
		e := &r.entries[i]
		if e.detail == nil {
			continue
		}
		if counts[e.value]++; counts[e.value] > each {
			e.detail = nil
			r.details--
		}
	}
}

// limitDetails keeps the details of the newest unreported entries.
func (r *run) limitDetails() {
	if r.details <= 2*maxDetails {
		return
	}
	r.details = 0
	for i := len(r.entries) - 1; i >= 0; i-- {
		e := &r.entries[i]
		if e.detail == nil {
			continue
		}
		if r.details == maxDetails {
			e.detail = nil
			continue
		}
		r.details++
	}
}

// compact makes a run smaller. Of counts and sums it joins neighbours, of numbers
// that are ranked one of two neighbours stands for both, of values and rules it
// keeps one entry of each; what is still too much goes, the oldest first.
func (w *window) compact(r *run, bound int) {
	switch w.measure {
	case countOfEvents, sumOfNumbers, averageOfNumbers, percentileOfNumbers, medianOfNumbers:
		w.joinNeighbours(r, bound)
	case countOfValues, rulesPresent, countOfRules, shareOfValues:
		w.joinEqual(r)
	}
	if over := len(r.entries) - bound/2; over > 0 && (w.measure.needsValue() || w.measure.inOrder()) {
		if w.atEnd {
			r.entries = r.entries[:bound/2] // the next window to judge begins with the oldest
		} else {
			r.entries = r.entries[over:]
		}
	}
	r.entries = slices.Clip(slices.Clone(r.entries))
	w.recount(r)
}

// joinNeighbours joins neighbours at the older time, so that they leave the window
// too early rather than too late.
func (w *window) joinNeighbours(r *run, bound int) {
	kept := r.entries[:0]
	for i := 0; i < len(r.entries); i++ {
		e := r.entries[i]
		if i+1 < len(r.entries) && i < bound*3/4 && r.entries[i+1].reported == e.reported {
			one := e.number
			e.join(&r.entries[i+1])
			if w.measure.needsRank() {
				e.number = one
			}
			i++
		}
		kept = append(kept, e)
	}
	clear(r.entries[len(kept):])
	r.entries = kept
}

// join adds to e what o stands for.
func (e *entry) join(o *entry) {
	e.weight += o.weight
	e.count += o.count
	e.number += o.number
	e.fired = e.fired || o.fired
	if e.detail == nil {
		e.detail = o.detail
	}
}

// joinEqual keeps one entry of each value: the newest in a trailing window, which
// leaves it last, the oldest of each window that is judged at its end, where it
// stands for those that follow.
func (w *window) joinEqual(r *run) {
	kept := make([]entry, 0, len(r.entries)/2)
	place := map[string]int{}
	if !w.atEnd {
		last := map[string]int{}
		for i := range r.entries {
			last[r.entries[i].value] = i
		}
		for i, e := range r.entries {
			if last[e.value] == i {
				kept = append(kept, e)
			}
		}
		r.entries = kept
		return
	}
	end := int64(0)
	for i := range r.entries {
		e := &r.entries[i]
		if i == 0 || e.at >= end {
			end = plus(e.at, w.span)
			clear(place)
		}
		if at, ok := place[e.value]; ok {
			kept[at].join(e)
			continue
		}
		place[e.value] = len(kept)
		kept = append(kept, *e)
	}
	r.entries = kept
}
