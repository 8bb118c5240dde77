package detect

import (
	"slices"
	"sort"
	"time"
)

// lateness is how much older than the newest event of its group an event may be
// and still be counted as if it had come in order.
const lateness = int64(10 * time.Minute)

// Bounds of what one group of a correlation remembers. Beyond them it may count
// too few, never too many.
const (
	maxRuns    = 3
	maxEntries = 4096
	maxDetails = 100 // of events not yet reported
	maxOrdered = 512
)

// An entry is one event that a correlation counts.
type entry struct {
	at       int64 // event time, nanoseconds
	weight   int64
	value    string // value_count: what is counted; temporal: the rule's position
	reported bool   // a finding holds it
	detail   *detail
}

// A run is a stretch of event time of one group without great gaps. A group has
// several where logs of different times come together: a log of 2011 that is sent
// today, a host whose clock is ahead. None can push another's window away.
type run struct {
	entries []entry // by time, the oldest first
	high    int64   // time of the newest
	start   int     // the trailing window (high − span, high] begins here
	sum     int64   // of its weights
	counts  map[string]int32
	details int    // entries that have one
	touched uint64 // when it last grew, for replacing the stalest
}

// A window is the rule by which a run is judged.
type window struct {
	span      int64 // nanoseconds
	threshold int64 // the least sum or number of values that fires
	values    bool  // the number of distinct values counts, not the sum
	// positions are, for temporal correlations, the values that stand for the rules
	// of the list, equal for equal rules.
	positions []string
	ordered   bool // they must occur in order
}

func (w *window) reach() int64 { return w.span + lateness }

// fits tells whether an event at t belongs to r.
func (w *window) fits(r *run, t int64) bool {
	return t > r.high-w.reach() && t < r.high+w.reach()
}

// insert adds e to the group's run and returns that run with the ranges of entries
// that are now in a window that reaches the threshold; ranges are [from, to).
func (w *window) insert(g *history, e entry, tick uint64) (r *run, at int, fired []bounds) {
	r = w.choose(g, e.at)
	r.touched = tick
	i := len(r.entries)
	for i > 0 && r.entries[i-1].at > e.at {
		i--
	}
	newest := i == len(r.entries)
	r.entries = slices.Insert(r.entries, i, e)
	if newest {
		r.high = e.at
		w.enter(r, i)
		w.trail(r)
		w.prune(r)
		n := len(r.entries)
		if w.fires(r, r.start, n, r.sum, len(r.counts)) {
			fired = []bounds{{w.unreportedFrom(r), n}}
		}
		return r, n - 1, fired
	}
	if e.at <= r.high-w.span {
		r.start++
	} else {
		w.enter(r, i)
	}
	return r, i, w.late(r, i)
}

type bounds struct{ from, to int }

// A history is the runs of one group.
type history struct{ runs []*run }

// choose returns the run for t: the one that it fits, joined with others that it
// fits or touches, else a new one.
func (w *window) choose(g *history, t int64) *run {
	var found *run
	for i := 0; i < len(g.runs); i++ {
		r := g.runs[i]
		if !w.fits(r, t) {
			continue
		}
		if found == nil {
			found = r
			continue
		}
		w.merge(found, r)
		g.runs = slices.Delete(g.runs, i, i+1)
		i--
	}
	if found != nil {
		return found
	}
	r := &run{high: t}
	if w.values {
		r.counts = map[string]int32{}
	}
	if len(g.runs) < maxRuns {
		g.runs = append(g.runs, r)
		return r
	}
	stalest := 0
	for i := range g.runs {
		if g.runs[i].touched < g.runs[stalest].touched {
			stalest = i
		}
	}
	g.runs[stalest] = r
	return r
}

func (w *window) merge(into, from *run) {
	into.entries = append(into.entries, from.entries...)
	slices.SortStableFunc(into.entries, func(a, b entry) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	into.high = max(into.high, from.high)
	w.prune(into)
	w.recount(into)
}

// enter adds entry i to the trailing window.
func (w *window) enter(r *run, i int) {
	r.sum += r.entries[i].weight
	if w.values {
		r.counts[r.entries[i].value]++
	}
}

func (w *window) leave(r *run, i int) {
	r.sum -= r.entries[i].weight
	if w.values {
		drop(r.counts, r.entries[i].value)
	}
}

func drop(counts map[string]int32, v string) {
	if counts[v]--; counts[v] <= 0 {
		delete(counts, v)
	}
}

// trail moves the old end of the trailing window; that end is not part of it.
func (w *window) trail(r *run) {
	for r.start < len(r.entries) && r.entries[r.start].at <= r.high-w.span {
		w.leave(r, r.start)
		r.start++
	}
}

// prune forgets entries that no window can need any more.
func (w *window) prune(r *run) {
	oldest := r.high - w.reach()
	n := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].at > oldest })
	if n > len(r.entries)/2 { // not at each event: it moves what stays
		for i := range r.entries[:n] {
			if r.entries[i].detail != nil {
				r.details--
			}
		}
		r.entries = slices.Delete(r.entries, 0, n)
		r.start = max(0, r.start-n)
	}
}

func (w *window) recount(r *run) {
	r.start, r.sum, r.details = 0, 0, 0
	if w.values {
		r.counts = map[string]int32{}
	}
	for i := range r.entries {
		w.enter(r, i)
		if r.entries[i].detail != nil {
			r.details++
		}
	}
	w.trail(r)
}

func (w *window) fires(r *run, from, to int, sum int64, distinct int) bool {
	switch {
	case w.ordered:
		return inOrder(r.entries[from:to], w.positions)
	case w.values:
		return int64(distinct) >= w.threshold
	}
	return sum >= w.threshold
}

// inOrder tells whether the values occur in entries in the order of want.
func inOrder(entries []entry, want []string) bool {
	for i := range entries {
		if entries[i].value == want[0] {
			if want = want[1:]; len(want) == 0 {
				return true
			}
		}
	}
	return false
}

// unreportedFrom returns where the unreported tail of the trailing window begins.
// Whatever was in a window that fired has been reported, so that what is not lies
// at the end.
func (w *window) unreportedFrom(r *run) int {
	i := len(r.entries)
	for i > r.start && !r.entries[i-1].reported {
		i--
	}
	return i
}

// late returns the windows that fire with entry i in them, which came after newer
// ones: each that ends at an entry less than a span later.
func (w *window) late(r *run, i int) []bounds {
	var out []bounds
	t := r.entries[i].at
	lo := i
	for lo > 0 && r.entries[lo-1].at > t-w.span {
		lo--
	}
	var sum int64
	var counts map[string]int32
	if w.values {
		counts = map[string]int32{}
	}
	hi := lo
	for hi < len(r.entries) && r.entries[hi].at < t+w.span {
		end := r.entries[hi].at
		for hi < len(r.entries) && r.entries[hi].at == end {
			sum += r.entries[hi].weight
			if w.values {
				counts[r.entries[hi].value]++
			}
			hi++
		}
		for r.entries[lo].at <= end-w.span {
			sum -= r.entries[lo].weight
			if w.values {
				drop(counts, r.entries[lo].value)
			}
			lo++
		}
		if end >= t && w.fires(r, lo, hi, sum, len(counts)) {
			out = append(out, bounds{lo, hi})
		}
	}
	return out
}

// limit keeps a run within its bounds.
func (w *window) limit(r *run) {
	bound := maxEntries
	if w.ordered {
		bound = maxOrdered
	}
	if len(r.entries) > bound {
		w.compact(r, bound)
	}
	r.limitDetails()
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

// compact halves a run: of sums it joins neighbours at the older time, so that
// they leave the window too early rather than too late; of values it keeps the
// newest of each, then the newest of all.
func (w *window) compact(r *run, bound int) {
	kept := r.entries[:0]
	if !w.values {
		for i := 0; i < len(r.entries); i++ {
			e := r.entries[i]
			if i+1 < len(r.entries) && i < bound*3/4 && r.entries[i+1].reported == e.reported {
				e.weight += r.entries[i+1].weight
				if e.detail == nil {
					e.detail = r.entries[i+1].detail
				}
				i++
			}
			kept = append(kept, e)
		}
	} else {
		last := map[string]int{}
		for i := range r.entries {
			last[r.entries[i].value] = i
		}
		for i, e := range r.entries {
			if last[e.value] == i || w.ordered {
				kept = append(kept, e)
			}
		}
		if over := len(kept) - bound/2; over > 0 {
			kept = kept[over:]
		}
	}
	clear(r.entries[len(kept):])
	r.entries = slices.Clip(slices.Clone(kept))
	w.recount(r)
}
