package detect

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/kyra-mdr/kyra/internal/sigma"
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
	maxRanked  = 1024
)

// An entry is one event that a correlation counts.
type entry struct {
	at       int64 // event time, nanoseconds
	weight   int64 // how often it counts
	count    int64 // happenings that it adds to a finding
	number   float64
	value    string   // what is told apart: a value, or the rule's position
	carry    []string // what a correlation of this one asks for
	event    uint64   // equal for entries of one event
	reported bool     // a finding holds it
	fired    bool     // a window that ends here was reported to other correlations
	detail   *detail
}

// A run is a stretch of event time of one group without great gaps. A group has
// several where logs of different times come together: a log of 2011 that is sent
// today, a host whose clock is ahead. None can push another's window away.
type run struct {
	entries []entry // by time, the oldest first
	high    int64   // time of the newest
	details int     // entries that have one
	touched uint64  // when it last grew, for replacing the stalest

	// Of windows that are judged as events come:
	start int // the trailing window (high − span, high] begins here
	tally tally

	// Of windows that are judged at their end:
	judged   int64 // windows up to here are; only with hasEnd
	hasEnd   bool
	silent   bool  // the empty window after judged is judged as well, or need not be
	lag      int64 // how much later than its time the latest event arrived
	deadline *deadline
}

// A window is the rule by which a run is judged.
type window struct {
	span      int64 // nanoseconds
	measure   measure
	threshold sigma.Threshold
	positions []string // of temporal correlations: what stands for each rule of the list, equal for equal rules
	terms     []term
	atEnd     bool // judged when the window has ended, not as events come
	empty     bool // a window without events satisfies it
}

// reach is how far from a run's newest event one may be and belong to it.
func (w *window) reach() int64 {
	if w.atEnd {
		return 2*w.span + lateness // the empty window that follows belongs to it too
	}
	return w.span + lateness
}

// plus adds without overflow: event times are the sender's.
func plus(a, b int64) int64 {
	switch c := a + b; {
	case b > 0 && c < a:
		return math.MaxInt64
	case b < 0 && c > a:
		return math.MinInt64
	default:
		return c
	}
}

// fits tells whether an event at t belongs to r.
func (w *window) fits(r *run, t int64) bool {
	return t > plus(r.high, -w.reach()) && t < plus(r.high, w.reach())
}

// put adds e to r and returns its place.
func (w *window) put(r *run, e entry) int {
	i := len(r.entries)
	for i > 0 && r.entries[i-1].at > e.at {
		i--
	}
	r.entries = slices.Insert(r.entries, i, e)
	return i
}

// insert adds e to r and returns its place and the ranges of entries that are now
// in a window that satisfies the condition.
func (w *window) insert(r *run, e entry) (at int, fired []bounds) {
	i := w.put(r, e)
	if i < len(r.entries)-1 {
		if e.at <= plus(r.high, -w.span) {
			r.start++
		} else {
			w.measure.enter(&r.tally, &r.entries[i])
		}
		return i, w.late(r, i)
	}
	r.high = e.at
	w.measure.enter(&r.tally, &r.entries[i])
	w.trail(r)
	w.prune(r)
	n := len(r.entries)
	if w.holds(&r.tally, r.entries[r.start:]) {
		fired = []bounds{{w.unreportedFrom(r), n}}
	}
	return n - 1, fired
}

// bounds are a range of entries: from the first to that before to.
type bounds struct{ from, to int }

// A history is the runs of one group.
type history struct{ runs []*run }

// choose returns the run for t: the one that it fits, joined with others that it
// fits, else a new one; and the runs that are no more.
func (w *window) choose(g *history, t int64) (found *run, gone []*run) {
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
		gone = append(gone, r)
		i--
	}
	if found != nil {
		return found, gone
	}
	r := &run{high: t, tally: w.measure.newTally()}
	if len(g.runs) < maxRuns {
		g.runs = append(g.runs, r)
		return r, nil
	}
	stalest := 0
	for i := range g.runs {
		if g.runs[i].touched < g.runs[stalest].touched {
			stalest = i
		}
	}
	gone = []*run{g.runs[stalest]}
	g.runs[stalest] = r
	return r, gone
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
	if from.hasEnd && (!into.hasEnd || from.judged > into.judged) {
		into.judged, into.hasEnd, into.silent = from.judged, true, from.silent
	}
	into.high, into.lag = max(into.high, from.high), max(into.lag, from.lag)
	if !w.atEnd {
		w.prune(into)
	}
	w.recount(into)
}

// trail moves the old end of the trailing window; that end is not part of it.
func (w *window) trail(r *run) {
	for r.start < len(r.entries) && r.entries[r.start].at <= plus(r.high, -w.span) {
		w.measure.leave(&r.tally, &r.entries[r.start])
		r.start++
	}
}

// prune forgets entries that no window can need any more.
func (w *window) prune(r *run) {
	oldest := plus(r.high, -w.reach())
	n := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].at > oldest })
	if n > len(r.entries)/2 { // not at each event: it moves what stays
		w.drop(r, n)
		r.start = max(0, r.start-n)
	}
}

// drop forgets the first n entries.
func (w *window) drop(r *run, n int) {
	for i := range r.entries[:n] {
		if r.entries[i].detail != nil {
			r.details--
		}
	}
	r.entries = slices.Delete(r.entries, 0, n)
}

// recount makes anew what follows from the entries.
func (w *window) recount(r *run) {
	r.start, r.details, r.tally = 0, 0, w.measure.newTally()
	for i := range r.entries {
		if r.entries[i].detail != nil {
			r.details++
		}
	}
	if w.atEnd {
		return
	}
	for r.start < len(r.entries) && r.entries[r.start].at <= plus(r.high, -w.span) {
		r.start++
	}
	for i := range r.entries[r.start:] {
		w.measure.enter(&r.tally, &r.entries[r.start+i])
	}
}

// unreportedFrom returns where the unreported part of the trailing window begins.
// Where more events never make less of it, whatever was in a window that fired has
// been reported, so that what is not lies at the end.
func (w *window) unreportedFrom(r *run) int {
	if !w.measure.monotone() {
		return r.start
	}
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
	for lo > 0 && r.entries[lo-1].at > plus(t, -w.span) {
		lo--
	}
	if w.measure.inOrder() { // which no tally knows: what all of them lack, none has
		to := i
		for to < len(r.entries) && r.entries[to].at < plus(t, w.span) {
			to++
		}
		if !w.judge(r.entries[lo:to]) {
			return nil
		}
	}
	sums := w.measure.newTally()
	hi := lo
	for hi < len(r.entries) && r.entries[hi].at < plus(t, w.span) {
		end := r.entries[hi].at
		for hi < len(r.entries) && r.entries[hi].at == end {
			w.measure.enter(&sums, &r.entries[hi])
			hi++
		}
		for r.entries[lo].at <= plus(end, -w.span) {
			w.measure.leave(&sums, &r.entries[lo])
			lo++
		}
		if end >= t && w.holds(&sums, r.entries[lo:hi]) {
			out = append(out, bounds{lo, hi})
		}
	}
	return out
}
