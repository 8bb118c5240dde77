package detect

import (
	"crypto/sha256"
	"math"
	"slices"
	"sort"

	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A measure is what a correlation compares.
type measure uint8

const (
	countOfEvents measure = iota
	countOfValues
	sumOfNumbers
	averageOfNumbers
	percentileOfNumbers
	medianOfNumbers
	shareOfValues       // each value's part of all, in percent
	rulesPresent        // one of the window's terms
	countOfRules        // how many rules matched
	rulesInOrder        // one of the window's terms, in order
	countOfRulesInOrder // how many rules matched in the order of the list
)

// needsNumber tells whether an event without a number cannot be measured.
func (m measure) needsNumber() bool {
	return m == sumOfNumbers || m == averageOfNumbers || m == percentileOfNumbers || m == medianOfNumbers
}

// needsRank tells whether numbers must be kept in order of size.
func (m measure) needsRank() bool { return m == percentileOfNumbers || m == medianOfNumbers }

// needsValue tells whether values are counted.
func (m measure) needsValue() bool {
	return m == countOfValues || m == shareOfValues || m == rulesPresent || m == countOfRules
}

// inOrder tells whether the order of events matters.
func (m measure) inOrder() bool { return m == rulesInOrder || m == countOfRulesInOrder }

// monotone tells whether one more event never undoes that a rising threshold is
// reached.
func (m measure) monotone() bool { return !m.needsNumber() && m != shareOfValues }

// A term is one way to satisfy a temporal correlation: positions that must have
// matched and those that must not.
type term struct{ present, absent []string }

// A tally measures a set of entries, which may come and go.
type tally struct {
	weight      int64            // sum of weights
	counts      map[string]int64 // value → entries
	total, lost float64          // sum of numbers, and what rounding took from it
	ranked      []ranked         // by number
}

type ranked struct {
	number float64
	weight int64
}

func (m measure) newTally() tally {
	var t tally
	if m.needsValue() {
		t.counts = map[string]int64{}
	}
	return t
}

func (m measure) enter(t *tally, e *entry) { m.move(t, e, 1) }

func (m measure) leave(t *tally, e *entry) { m.move(t, e, -1) }

func (m measure) move(t *tally, e *entry, sign int64) {
	t.weight += sign * e.weight
	switch {
	case m.needsRank():
		t.rank(e.number, sign*e.weight)
	case m.needsNumber():
		t.sum(float64(sign) * e.number)
	case m.needsValue():
		if t.counts[e.value] += sign; t.counts[e.value] <= 0 {
			delete(t.counts, e.value)
		}
	}
}

// sum adds x by the method of Neumaier, so that numbers that come and go leave
// nothing behind.
func (t *tally) sum(x float64) {
	s := t.total + x
	if math.Abs(t.total) >= math.Abs(x) {
		t.lost += t.total - s + x
	} else {
		t.lost += x - s + t.total
	}
	t.total = s
}

func (t *tally) rank(x float64, weight int64) {
	if weight == 0 {
		return
	}
	i := sort.Search(len(t.ranked), func(i int) bool { return t.ranked[i].number >= x })
	if i == len(t.ranked) || t.ranked[i].number != x {
		t.ranked = slices.Insert(t.ranked, i, ranked{x, weight})
		return
	}
	if t.ranked[i].weight += weight; t.ranked[i].weight <= 0 {
		t.ranked = slices.Delete(t.ranked, i, i+1)
	}
}

// at returns the number of the given rank, counted from 1 by weight.
func (t *tally) at(rank int64) float64 {
	for i := range t.ranked {
		if rank -= t.ranked[i].weight; rank <= 0 {
			return t.ranked[i].number
		}
	}
	return 0
}

// holds tells whether entries, of which t is the tally, satisfy the window's
// condition. Nothing has neither average nor percentile.
func (w *window) holds(t *tally, entries []entry) bool {
	switch w.measure {
	case countOfEvents:
		return w.threshold.Holds(float64(t.weight))
	case countOfValues, countOfRules:
		return w.threshold.Holds(float64(len(t.counts)))
	case sumOfNumbers:
		return w.threshold.Holds(t.total + t.lost)
	case averageOfNumbers:
		return t.weight > 0 && w.threshold.Holds((t.total+t.lost)/float64(t.weight))
	case percentileOfNumbers:
		rank := int64(math.Ceil(w.threshold.Percentile / 100 * float64(t.weight)))
		return t.weight > 0 && w.threshold.Holds(t.at(max(1, rank)))
	case medianOfNumbers:
		return t.weight > 0 && w.threshold.Holds((t.at((t.weight+1)/2)+t.at(t.weight/2+1))/2)
	case shareOfValues:
		return len(w.rare(entries)) > 0
	case countOfRulesInOrder:
		return w.threshold.Holds(float64(longestInOrder(entries, w.positions)))
	}
	for i := range w.terms {
		if w.satisfied(&w.terms[i], t, entries) {
			return true
		}
	}
	return false
}

func (w *window) satisfied(x *term, t *tally, entries []entry) bool {
	if w.measure == rulesInOrder {
		return inOrder(entries, x.present) && !slices.ContainsFunc(entries, func(e entry) bool { return slices.Contains(x.absent, e.value) })
	}
	for _, p := range x.present {
		if t.counts[p] == 0 {
			return false
		}
	}
	return !slices.ContainsFunc(x.absent, func(p string) bool { return t.counts[p] > 0 })
}

// judge is holds for entries that have no tally yet.
func (w *window) judge(entries []entry) bool {
	t := w.measure.newTally()
	for i := range entries {
		w.measure.enter(&t, &entries[i])
	}
	return w.holds(&t, entries)
}

// rare returns the values whose share of all entries satisfies the threshold.
func (w *window) rare(entries []entry) map[string]bool {
	counts := map[string]int64{}
	var all int64
	for i := range entries {
		counts[entries[i].value] += entries[i].weight
		all += entries[i].weight
	}
	out := map[string]bool{}
	for v, n := range counts {
		if all > 0 && w.threshold.Holds(100*float64(n)/float64(all)) {
			out[v] = true
		}
	}
	return out
}

// maxNumber bounds numbers that are measured: greater ones are not taken, so that
// sums stay finite.
const maxNumber = 1e18

func number(s string) (float64, bool) {
	f, ok := sigma.Number(s)
	return f, ok && math.Abs(f) <= maxNumber
}

// maxPlain bounds values that are kept as they are; of longer ones, which only
// need to be told apart, a hash is.
const maxPlain = 64

func digest(s string) string {
	if len(s) <= maxPlain {
		return s
	}
	h := sha256.Sum256([]byte(s))
	return string(h[:16])
}
