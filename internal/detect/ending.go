package detect

import (
	"cmp"
	"container/heap"
)

// What can only be decided when a window has ended — fewer than five, none, rarest —
// is judged in windows that follow each other: the first begins with a group's first
// event, each further one with the first event after the end of the one before. If
// none comes for a whole span, that window without events is judged too, once: a
// group must have been seen to be missed.
//
// A window has ended when events are no longer expected to come for it: lateness
// after its end, on a clock that runs with the arrival of any event and is as much
// behind it as the latest event of the run was. So old logs that are sent today are
// judged as complete as live ones, and a clock that is ahead hurries nobody.

// A deadline is when the next window of a run is judged.
type deadline struct {
	due   int64 // by arrival
	state *correlationState
	group *groupState
	run   *run
	index int
}

// deadlines are a heap, the next first. It is in the same order however it came
// about, so that a restart changes nothing.
type deadlines []*deadline

func (h deadlines) Len() int { return len(h) }

func (h deadlines) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(
		cmp.Compare(a.due, b.due),
		cmp.Compare(a.state.tenant.number, b.state.tenant.number),
		cmp.Compare(a.state.identity, b.state.identity),
		cmp.Compare(a.group.key, b.group.key),
		cmp.Compare(a.run.touched, b.run.touched),
	) < 0
}

func (h deadlines) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for package heap.
func (h *deadlines) Push(x any) {
	d := x.(*deadline)
	d.index = len(*h)
	*h = append(*h, d)
}

// Pop is for package heap.
func (h *deadlines) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return d
}

// next returns the end of the next window to judge, and whether it has no events.
func (w *window) next(r *run) (end int64, empty, ok bool) {
	awaits := r.hasEnd && !r.silent
	if len(r.entries) > 0 && (!awaits || r.entries[0].at < plus(r.judged, w.span)) {
		return plus(r.entries[0].at, w.span), false, true
	}
	return plus(r.judged, w.span), true, awaits
}

// schedule sets the deadline of a run.
func (d *Detector) schedule(s *correlationState, g *groupState, r *run, w *window) {
	if !w.atEnd {
		return
	}
	end, _, ok := w.next(r)
	if !ok {
		d.cancel([]*run{r})
		return
	}
	due := plus(plus(end, lateness), r.lag)
	if r.deadline == nil {
		r.deadline = &deadline{due: due, state: s, group: g, run: r}
		heap.Push(&d.due, r.deadline)
		return
	}
	r.deadline.due = due
	heap.Fix(&d.due, r.deadline.index)
}

func (d *Detector) cancel(runs []*run) {
	for _, r := range runs {
		if r.deadline != nil {
			heap.Remove(&d.due, r.deadline.index)
			r.deadline = nil
		}
	}
}

// await adds an entry to a run that is judged when windows end.
func (d *Detector) await(o *occurrence, set *Ruleset, k *correlation, f *feed, r *run, e entry) {
	if r.hasEnd && e.at < r.judged {
		set.rules[k.rule].ignored.Add(1)
		return
	}
	e.detail = d.detailOf(o, f)
	k.put(r, e)
	r.details++
	r.high = max(r.high, e.at)
	r.lag = d.clock - e.at // not its arrival: a server's clock that was ahead must not end windows early
}

// endWindows judges the windows that have ended by an arrival.
func (d *Detector) endWindows(arrived int64) {
	for len(d.due) > 0 && d.due[0].due <= arrived {
		x := d.due[0]
		t := x.state.tenant
		if set := d.rules(t.number); set != t.set {
			d.adopt(t, set)
			continue
		}
		d.judge(x)
	}
}

// Flush judges the windows that have ended by the time of the newest event: that of
// a recording, which is whole. What is under way at its end stays open.
func (d *Detector) Flush() {
	for {
		var first *deadline
		for i, x := range d.due {
			end, _, _ := x.window().next(x.run)
			if end <= d.newest && (first == nil || d.due.Less(i, first.index)) {
				first = x
			}
		}
		if first == nil {
			return
		}
		d.judge(first)
	}
}

func (x *deadline) window() *window {
	return &x.state.tenant.set.correlations[x.state.id].window
}

// judge decides the next window of a run.
func (d *Detector) judge(x *deadline) {
	s, g, r := x.state, x.group, x.run
	set := s.tenant.set
	k := &set.correlations[s.id]
	end, empty, _ := k.next(r)
	r.judged, r.hasEnd = end, true
	if empty {
		r.silent = true
		d.conclude(s, k, g, nil, end)
	} else {
		r.silent = !k.empty
		n := 0
		for n < len(r.entries) && r.entries[n].at < end {
			n++
		}
		ended := append([]entry(nil), r.entries[:n]...)
		k.drop(r, n)
		if k.judge(ended) {
			if k.measure == shareOfValues {
				ended = k.ofRare(ended)
			}
			d.conclude(s, k, g, ended, end)
		}
	}
	d.schedule(s, g, r, &k.window)
	d.settle(s, g, &set.rules[k.rule])
}

// ofRare returns the entries whose value's share satisfies the threshold.
func (w *window) ofRare(entries []entry) []entry {
	rare := w.rare(entries)
	var out []entry
	for _, e := range entries {
		if rare[e.value] {
			out = append(out, e)
		}
	}
	return out
}

// conclude reports the entries of a window that ended and satisfies the condition;
// of one without entries it reports the group.
func (d *Detector) conclude(s *correlationState, k *correlation, g *groupState, entries []entry, end int64) {
	set, tenant := s.tenant.set, s.tenant.number
	rule := &set.rules[k.rule]
	var last *entry
	at := end
	if len(entries) > 0 {
		last = &entries[len(entries)-1]
		at = last.at
	}
	d.key = append(d.key[:0], g.key...)
	if k.report.key != nil {
		d.key = k.report.keyOf(k.stand(tenant, g, last, at), nil, d.key[:0])
	}
	n := news{entries: len(entries)}
	for i := range entries {
		e := &entries[i]
		n.count += e.count
		rule.matches.Add(1)
		if e.detail != nil && len(rule.feeds) > 0 {
			n.detail.merge(e.detail)
		}
		if !rule.alerts {
			continue
		}
		finding := d.pendingFor(tenant, set, k.rule, &k.report, e.at)
		if e.detail != nil {
			finding.addDetail(e.at, e.count, e.detail, &k.report)
		} else {
			finding.grow(e.at, e.count)
		}
	}
	if rule.alerts && len(entries) == 0 {
		absent := detail{first: end, source: k.source}
		for i, name := range k.groupBy {
			absent.addEntity(name, g.values[i])
			absent.addValue(name, g.values[i])
		}
		d.pendingFor(tenant, set, k.rule, &k.report, end).addDetail(end, 0, &absent, &k.report)
	}
	if len(rule.feeds) > 0 {
		d.chain(tenant, set, k, g, last, at, 1, n)
	}
}
