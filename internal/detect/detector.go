package detect

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
)

// maxGroups bounds the groups that one correlation of one tenant remembers; the
// one that was quiet longest is forgotten first.
const maxGroups = 20_000

// maxSize bounds what all groups of one correlation of one tenant remember: an entry
// counts one, a detail four, as their bytes compare. The groups that were quiet
// longest make room.
const maxSize = 400_000

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
	newest  int64  // the latest time of an event
	tick    uint64 // occurrences
	due     deadlines
	key     []byte
	values  []string
	full    []byte // key with tenant and rule before it
	at      finder
}

type tenantState struct {
	number       uint32
	set          *Ruleset
	correlations []*correlationState
	restored     map[string]*correlationState // by identity, not yet claimed
}

// A correlationState is the groups of one correlation of one tenant.
type correlationState struct {
	tenant         *tenantState
	id             int32 // in the tenant's set
	identity       string
	groups         map[string]*groupState
	newest, oldest *groupState // by use
	size           int         // of all groups
	resumed        bool        // what is not written to the state is there
	counted        uint64      // the occurrence that was counted last
}

// A groupState is the history of one group.
type groupState struct {
	history
	key          string   // that of its findings
	values       []string // by group field
	used         int64    // arrival of its last event
	size         int
	newer, older *groupState
}

// New returns a Detector without state. rules gives the active rules of a tenant,
// always the same pointer until they change; it is called while Apply and Restore
// run.
func New(rules func(tenant uint32) *Ruleset) *Detector {
	return &Detector{rules: rules, tenants: map[uint32]*tenantState{}, pending: map[string]*pendingFinding{}}
}

// Apply takes the hits of e, in the order of the queue. Every event goes through
// it, also without hits: by its arrival time passes, and windows end. Findings wait
// for EndBatch.
func (d *Detector) Apply(e *event.Event, hits []Hit, _ func(*alert.Finding)) {
	d.newest = max(d.newest, e.Time)
	d.Advance(e.Arrived)
	if len(hits) == 0 {
		return
	}
	d.tick++
	d.at.begin(e)
	o := occurrence{event: e, tick: d.tick, weight: weightOf(e)}
	o.count = o.weight
	for _, h := range hits {
		r := &h.set.rules[h.rule]
		if exempt(r.exempting, e) {
			continue
		}
		if r.alerts {
			d.key = r.report.keyOf(e, &d.at, d.key[:0])
			f := d.pendingFor(e.Tenant, h.set, h.rule, &r.report, e.Time)
			f.addEvent(e, &d.at, o.count, &r.report)
		}
		for i := range r.feeds {
			d.correlate(&o, h.set, &r.feeds[i])
		}
	}
	d.endWindows(d.clock)
}

// Advance lets time pass up to an arrival without an event: windows end that have
// to be judged at their end. For a restart to change nothing, what calls it must
// come from the queue as events do.
func (d *Detector) Advance(arrived int64) {
	if arrived > d.clock {
		d.clock = arrived
		d.endWindows(arrived)
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
		if f.set == set && (!f.timed || max(f.Last, at)-min(f.First, at) < maxSpan) {
			return f
		}
	}
	f := &pendingFinding{Finding: r.prototype, set: set, other: first}
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

// state returns the state of a correlation for a tenant.
func (d *Detector) state(tenant uint32, set *Ruleset, id int32) *correlationState {
	t := d.tenants[tenant]
	if t == nil {
		t = newTenantState(tenant)
		d.tenants[tenant] = t
	}
	if t.set != set {
		d.adopt(t, set)
	}
	return t.correlations[id]
}

func newTenantState(number uint32) *tenantState {
	return &tenantState{number: number, restored: map[string]*correlationState{}}
}

// adopt makes set the tenant's: the state of correlations that did not change goes
// on, that of others is dropped.
func (d *Detector) adopt(t *tenantState, set *Ruleset) {
	for _, s := range t.correlations {
		t.restored[s.identity] = s
	}
	t.set, t.correlations = set, nil
	if set != nil {
		t.correlations = make([]*correlationState, len(set.correlations))
	}
	for i := range t.correlations {
		identity := set.correlations[i].identity
		s := t.restored[identity]
		if s == nil {
			s = &correlationState{groups: map[string]*groupState{}}
		}
		delete(t.restored, identity)
		s.tenant, s.id, s.identity = t, int32(i), identity
		t.correlations[i] = s
	}
	for _, s := range t.restored { // rules that are gone
		for g := s.oldest; g != nil; g = g.newer {
			d.cancel(g.runs)
		}
	}
	clear(t.restored)
	for i, s := range t.correlations {
		d.resume(s, &set.correlations[i].window)
	}
}

// resume makes what follows from a restored state.
func (d *Detector) resume(s *correlationState, w *window) {
	if s.resumed {
		return
	}
	s.resumed = true
	for g := s.oldest; g != nil; g = g.newer {
		for _, r := range g.runs {
			total, lost := r.tally.total, r.tally.lost // as they were: sums of floats depend on their history
			r.tally = w.measure.newTally()
			if !w.atEnd {
				for i := range r.entries[r.start:] {
					w.measure.enter(&r.tally, &r.entries[r.start+i])
				}
			}
			r.tally.total, r.tally.lost = total, lost
			d.schedule(s, g, r, w)
		}
		d.settle(s, g, nil)
	}
}

// group returns the group of d.key as the one used last.
func (d *Detector) group(s *correlationState, r *rule) (g *groupState, isNew bool) {
	g = s.groups[string(d.key)]
	if isNew = g == nil; isNew {
		for len(s.groups) >= maxGroups {
			d.forget(s, s.oldest)
			r.evicted.Add(1)
		}
		g = &groupState{}
		s.groups[string(d.key)] = g
	} else {
		s.unlink(g)
	}
	g.used = d.clock
	s.push(g)
	return g, isNew
}

// expire forgets groups that were not used since the given arrival.
func (d *Detector) expire(s *correlationState, since int64) {
	for s.oldest != nil && s.oldest.used < since {
		d.forget(s, s.oldest)
	}
}

func (d *Detector) forget(s *correlationState, g *groupState) {
	d.cancel(g.runs)
	s.unlink(g)
	s.size -= g.size
	delete(s.groups, groupID(g.values))
}

// groupID tells groups apart by their values.
func groupID(values []string) string { return string(appendGroupID(nil, values)) }

func appendGroupID(dst []byte, values []string) []byte {
	for _, v := range values {
		dst = binary.AppendUvarint(dst, uint64(len(v)))
		dst = append(dst, v...)
	}
	return dst
}

// settle accounts for the size of a group that has changed, and makes room if all
// groups together have become too large.
func (d *Detector) settle(s *correlationState, g *groupState, r *rule) {
	size := 1
	for _, x := range g.runs {
		size += len(x.entries) + 4*x.details
	}
	s.size += size - g.size
	g.size = size
	for r != nil && s.size > maxSize && s.oldest != g {
		d.forget(s, s.oldest)
		r.evicted.Add(1)
	}
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
