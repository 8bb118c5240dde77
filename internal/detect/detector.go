package detect

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
)

// maxGroups bounds the groups that one correlation of one tenant remembers; the
// one that was quiet longest is forgotten first.
const maxGroups = 20_000

// idleSlack is how long, by arrival, a group is kept after nothing in it can
// matter to an event that comes in time.
const idleSlack = int64(3600 * 1e9)

// maxWeight bounds what one event may claim to stand for.
const maxWeight = 1_000_000

// A Detector keeps the state of the stream of one partition, for all its tenants.
// One goroutine uses it.
type Detector struct {
	rules   func(tenant uint32) *Ruleset
	tenants map[uint32]*tenantState
	pending map[string]*pendingFinding // by tenant, rule and key
	order   []*pendingFinding
	clock   int64  // the latest arrival
	tick    uint64 // events with hits
	key     []byte
	full    []byte // key with tenant and rule before it
}

type tenantState struct {
	set          *Ruleset
	correlations []*correlationState
	restored     map[string]*correlationState // by identity, not yet claimed
}

// A correlationState is the groups of one correlation of one tenant.
type correlationState struct {
	groups         map[string]*groupState
	newest, oldest *groupState // by use
	counted        uint64      // tick of the event that was counted last
}

// A groupState is the history of one group.
type groupState struct {
	history
	key          string
	used         int64 // arrival of its last event
	newer, older *groupState
}

// New returns a Detector without state. rules gives the active rules of a tenant,
// always the same pointer until they change.
func New(rules func(tenant uint32) *Ruleset) *Detector {
	return &Detector{rules: rules, tenants: map[uint32]*tenantState{}, pending: map[string]*pendingFinding{}}
}

// Apply takes the hits of e, in the order of the queue. Every event goes through
// it, also without hits. Findings wait for EndBatch.
func (d *Detector) Apply(e *event.Event, hits []Hit, _ func(*alert.Finding)) {
	d.clock = max(d.clock, e.Arrived)
	if len(hits) == 0 {
		return
	}
	d.tick++
	for _, h := range hits {
		r := &h.set.rules[h.rule]
		if exempt(r.exempting, e) {
			continue
		}
		if r.alerts {
			d.key = r.report.keyOf(e, d.key[:0])
			f := d.pendingFor(e.Tenant, h.set, h.rule, &r.report, e.Time)
			f.addEvent(e, weightOf(e), &r.report)
		}
		for i := range r.feeds {
			d.correlate(e, h.set, &r.feeds[i])
		}
	}
}

// EndBatch hands the findings of the batch to emit, in order of appearance.
func (d *Detector) EndBatch(emit func(*alert.Finding)) {
	for _, f := range d.order {
		emit(&f.Finding)
	}
	clear(d.order)
	d.order = d.order[:0]
	clear(d.pending)
}

// maxSpan bounds the event time of one finding, as alerts merge what is within a
// day: a month of logs that comes in one batch raises what it would have day by day.
const maxSpan = int64(24 * time.Hour)

// pendingFor returns the finding of the rule and of the key in d.key that an event
// at the given time belongs to.
func (d *Detector) pendingFor(tenant uint32, set *Ruleset, id int32, r *report, at int64) *pendingFinding {
	d.full = binary.BigEndian.AppendUint32(d.full[:0], tenant)
	d.full = binary.BigEndian.AppendUint32(d.full, uint32(id))
	d.full = append(d.full, d.key...)
	first := d.pending[string(d.full)]
	for f := first; f != nil; f = f.other {
		// Another set: the rules changed within the batch.
		if f.set == set && (f.Count == 0 || max(f.Last, at)-min(f.First, at) < maxSpan) {
			return f
		}
	}
	f := &pendingFinding{Finding: r.prototype, fields: r.values, set: set, other: first}
	f.Tenant, f.Key, f.Rule, f.Staged = tenant, string(d.key), set.rules[id].ruleRef(), set.rules[id].staged
	d.pending[string(d.full)] = f
	d.order = append(d.order, f)
	return f
}

// weightOf returns how many happenings e stands for.
func weightOf(e *event.Event) int64 {
	v, ok := e.Lookup(event.Count)
	if !ok {
		return 1
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 {
		return 1
	}
	return min(n, maxWeight)
}

func (d *Detector) correlate(e *event.Event, set *Ruleset, f *feed) {
	k := &set.correlations[f.correlation]
	r := &set.rules[k.rule]
	state := d.state(e.Tenant, set, f.correlation)
	w := &k.window
	if w.positions == nil && state.counted == d.tick { // it came in by another rule
		return
	}
	if exempt(f.exempting, e) {
		return
	}
	var value string
	if w.positions != nil {
		value = w.positions[f.position]
	}
	d.key = d.key[:0]
	for i := range f.groupBy {
		v, ok := f.groupBy[i].lookup(e)
		if !ok || v == "" {
			r.ignored.Add(1)
			return
		}
		d.key = appendKey(d.key, f.groupBy[i].name, v)
	}
	for i := range f.counted {
		v, ok := f.counted[i].lookup(e)
		if !ok {
			r.ignored.Add(1)
			return
		}
		if i > 0 {
			value += "\x00"
		}
		value += short(v)
	}
	state.counted = d.tick
	g := state.group(d.key, d.clock, r)
	state.expire(d.clock - w.reach() - idleSlack)
	run, at, fired := w.insert(&g.history, entry{at: e.Time, weight: weightOf(e), value: strings.Clone(value)}, d.tick)
	for _, b := range fired {
		d.report(e, set, k, f, g, run, at, b)
	}
	if len(fired) == 0 { // it may be reported later, when the event is gone
		run.entries[at].detail = f.report.detailOf(e)
		run.details++
	}
	w.limit(run)
}

// report hands what is new in a window that fired to the finding of its group;
// entry at is that of e.
func (d *Detector) report(e *event.Event, set *Ruleset, k *correlation, f *feed, g *groupState, r *run, at int, b bounds) {
	d.key = append(d.key[:0], g.key...)
	if f.report.key != nil {
		d.key = f.report.keyOf(e, d.key[:0])
	}
	for i := b.from; i < b.to; i++ {
		x := &r.entries[i]
		if x.reported {
			continue
		}
		finding := d.pendingFor(e.Tenant, set, k.rule, &f.report, x.at)
		switch {
		case i == at:
			finding.addEvent(e, x.weight, &f.report)
		case x.detail != nil:
			finding.addDetail(x.at, x.weight, x.detail)
			r.details--
		default: // there were too many to keep
			finding.grow(x.at, x.weight)
		}
		set.rules[k.rule].matches.Add(1)
		x.reported, x.detail = true, nil
	}
}

// state returns the state of a correlation for a tenant. After a change of rules
// the state of correlations that did not change goes on.
func (d *Detector) state(tenant uint32, set *Ruleset, id int32) *correlationState {
	t := d.tenants[tenant]
	if t == nil {
		t = &tenantState{restored: map[string]*correlationState{}}
		d.tenants[tenant] = t
	}
	if t.set != set {
		t.adopt(set)
	}
	return t.correlations[id]
}

func (t *tenantState) adopt(set *Ruleset) {
	if t.set != nil {
		for i := range t.correlations {
			t.restored[t.set.correlations[i].identity] = t.correlations[i]
		}
	}
	t.set = set
	t.correlations = make([]*correlationState, len(set.correlations))
	for i := range t.correlations {
		identity := set.correlations[i].identity
		s := t.restored[identity]
		if s == nil {
			s = &correlationState{groups: map[string]*groupState{}}
		}
		delete(t.restored, identity)
		t.correlations[i] = s
	}
	clear(t.restored) // rules that are gone
}

// group returns the group of key as the one used last.
func (s *correlationState) group(key []byte, now int64, r *rule) *groupState {
	g := s.groups[string(key)]
	if g == nil {
		if len(s.groups) >= maxGroups {
			s.forget(s.oldest)
			r.evicted.Add(1)
		}
		g = &groupState{key: string(key)}
		s.groups[g.key] = g
	} else {
		s.unlink(g)
	}
	g.used = now
	s.push(g)
	return g
}

// expire forgets groups that were not used since the given arrival.
func (s *correlationState) expire(since int64) {
	for s.oldest != nil && s.oldest.used < since {
		s.forget(s.oldest)
	}
}

func (s *correlationState) forget(g *groupState) {
	s.unlink(g)
	delete(s.groups, g.key)
}

func (s *correlationState) push(g *groupState) {
	g.older, g.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = g
	}
	s.newest = g
	if s.oldest == nil {
		s.oldest = g
	}
}

func (s *correlationState) unlink(g *groupState) {
	if g.older != nil {
		g.older.newer = g.newer
	} else {
		s.oldest = g.newer
	}
	if g.newer != nil {
		g.newer.older = g.older
	} else {
		s.newest = g.older
	}
	g.older, g.newer = nil, nil
}
