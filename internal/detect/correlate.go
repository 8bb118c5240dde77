package detect

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// An occurrence is what correlations count: an event, or another correlation that
// fired.
type occurrence struct {
	event  *event.Event // of a correlation that fired: the values of its group
	tick   uint64       // tells occurrences apart
	weight int64        // how often it counts: not at all where a correlation only goes on firing
	count  int64        // happenings that it adds to a finding
	detail *detail      // of a correlation that fired
}

// correlate gives o to a correlation.
func (d *Detector) correlate(o *occurrence, set *Ruleset, f *feed) {
	k := &set.correlations[f.correlation]
	r := &set.rules[k.rule]
	s := d.state(o.event.Tenant, set, f.correlation)
	w := &k.window
	again := s.counted == o.tick // it came in by another rule
	if again && w.positions == nil || exempt(f.exempting, o.event) {
		return
	}
	values, ok := f.group(o.event, d.values[:0])
	d.values = values
	e := entry{at: o.event.Time, weight: o.weight, count: o.count, value: f.value, event: o.tick}
	if !ok || !f.measure(o.event, w.measure, &e) {
		r.ignored.Add(1)
		return
	}
	if again {
		e.count = 0
	}
	s.counted = o.tick
	d.expire(s, d.clock-w.reach()-idleSlack)
	d.key = appendGroupID(d.key[:0], values)
	g, isNew := d.group(s, r)
	if isNew {
		g.take(k.groupBy, values)
	}
	run, gone := w.choose(&g.history, e.at)
	d.cancel(gone)
	run.touched = d.tick
	e.carry = f.carry(o.event)
	if w.atEnd {
		d.await(o, set, k, f, run, e)
	} else {
		d.watch(o, set, k, f, g, run, e)
	}
	w.limit(run)
	d.schedule(s, g, run, w)
	d.settle(s, g, r)
}

// group appends the values of e's group to dst, and false if e has none.
func (f *feed) group(e *event.Event, dst []string) ([]string, bool) {
	for i := range f.groupBy {
		v, ok := f.groupBy[i].lookup(e)
		if !ok || v == "" {
			return dst, false
		}
		dst = append(dst, short(v))
	}
	return dst, true
}

// take copies what tells the group.
func (g *groupState) take(names, values []string) {
	var key []byte
	g.values = make([]string, len(values))
	for i, v := range values {
		g.values[i] = strings.Clone(v)
		key = appendKey(key, names[i], v)
	}
	g.key = string(key)
}

// measure fills in what is measured of e, and says whether e has it.
func (f *feed) measure(e *event.Event, m measure, x *entry) bool {
	if m.needsNumber() {
		v, _ := f.counted[0].lookup(e)
		n, ok := number(v)
		if x.number = n; !m.needsRank() {
			x.number *= float64(x.weight)
		}
		return ok
	}
	if len(f.counted) == 0 {
		return true
	}
	for i := range f.counted {
		v, ok := f.counted[i].lookup(e)
		if !ok {
			return false
		}
		if i > 0 {
			x.value += "\x00"
		}
		x.value += v
	}
	x.value = strings.Clone(digest(x.value))
	return true
}

func (f *feed) carry(e *event.Event) []string {
	if len(f.carried) == 0 {
		return nil
	}
	out := make([]string, len(f.carried))
	for i := range f.carried {
		v, _ := f.carried[i].lookup(e)
		out[i] = strings.Clone(short(v))
	}
	return out
}

// watch adds an entry to a run that is judged as events come, and reports what is
// new in the windows that satisfy the condition.
func (d *Detector) watch(o *occurrence, set *Ruleset, k *correlation, f *feed, g *groupState, r *run, e entry) {
	at, fired := k.insert(r, e)
	chains := len(set.rules[k.rule].feeds) > 0
	// A late event is in many windows, each of which begins no earlier than the one
	// before: what that reported need not be looked at again.
	done := 0
	for _, b := range fired {
		b.from = max(b.from, min(done, b.to))
		done = b.to
		d.key = append(d.key[:0], g.key...)
		if f.report.key != nil {
			d.key = f.report.keyOf(o.event, nil, d.key[:0])
		}
		n := d.report(o, set, k, f, r, b, at)
		if !chains {
			continue
		}
		end := &r.entries[b.to-1]
		if weight, isNew := k.firing(r, b.to-1); isNew || n.entries > 0 {
			d.chain(o.event.Tenant, set, k, g, end, end.at, weight, n)
		}
	}
	if x := &r.entries[at]; !x.reported { // it may be reported later, when the event is gone
		x.detail = d.detailOf(o, f)
		r.details++
	}
}

func (d *Detector) detailOf(o *occurrence, f *feed) *detail {
	if o.detail != nil {
		return o.detail
	}
	return f.detail.of(o.event)
}

// A news is what a window reported for the first time.
type news struct {
	entries int
	count   int64
	detail  detail
}

// report hands what is new in a window that fired to the finding of its group, whose
// key is in d.key; entry at is that of o.
func (d *Detector) report(o *occurrence, set *Ruleset, k *correlation, f *feed, r *run, b bounds, at int) (out news) {
	rule := &set.rules[k.rule]
	chains := len(rule.feeds) > 0
	for i := b.from; i < b.to; i++ {
		x := &r.entries[i]
		if x.reported {
			continue
		}
		out.entries++
		out.count += x.count
		kept := x.detail
		if i == at && (o.detail != nil || chains) {
			kept = d.detailOf(o, f)
		}
		if kept != nil && chains {
			out.detail.merge(kept)
		}
		if rule.alerts {
			finding := d.pendingFor(o.event.Tenant, set, k.rule, &f.report, x.at)
			switch {
			case i == at && o.detail == nil:
				finding.addEvent(o.event, nil, x.count, &f.report)
			case kept != nil:
				finding.addDetail(x.at, x.count, kept, &f.report)
			default: // there were too many to keep
				finding.grow(x.at, x.count)
			}
		}
		if x.detail != nil {
			r.details--
		}
		rule.matches.Add(1)
		x.reported, x.detail = true, nil
	}
	return out
}

// firing notes that a window that ends at entry i fired, and tells whether that is
// news and how often it counts: once, or not at all where another window fired
// less than a span before, so that it only goes on.
func (w *window) firing(r *run, i int) (weight int64, isNew bool) {
	end := &r.entries[i]
	for j := i; j >= 0 && r.entries[j].at == end.at; j-- {
		if r.entries[j].fired {
			return 0, false
		}
	}
	end.fired = true
	for j := i - 1; j >= 0 && r.entries[j].at > plus(end.at, -w.span); j-- {
		if r.entries[j].fired {
			return 0, true
		}
	}
	return 1, true
}

// chain gives the firing of a correlation to those that count it, as an event that
// has the values of the group and what the last entry carries.
func (d *Detector) chain(tenant uint32, set *Ruleset, k *correlation, g *groupState, last *entry, at, weight int64, n news) {
	e := k.stand(tenant, g, last, at)
	e.Arrived = d.clock
	if len(n.detail.ids) == 0 {
		n.detail.first = at
	}
	for i, name := range k.groupBy {
		n.detail.addEntity(name, g.values[i])
		n.detail.addValue(name, g.values[i])
	}
	d.tick++
	o := occurrence{event: e, tick: d.tick, weight: weight, count: n.count, detail: &n.detail}
	r := &set.rules[k.rule]
	for i := range r.feeds {
		d.correlate(&o, set, &r.feeds[i])
	}
}

// stand returns an event that stands for a group, with what its last entry carries.
func (k *correlation) stand(tenant uint32, g *groupState, last *entry, at int64) *event.Event {
	e := &event.Event{Tenant: tenant, Time: at}
	for i, name := range k.groupBy {
		e.Add(name, g.values[i])
	}
	if last != nil {
		for i, name := range k.carried {
			if i < len(last.carry) && last.carry[i] != "" {
				e.Add(name, last.carry[i])
			}
		}
	}
	return e
}
