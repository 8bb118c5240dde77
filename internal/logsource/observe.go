package logsource

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// Bounds of memory: senders choose hosts, and may name products.
const (
	maxSources = 2000   // of a tenant
	maxAll     = 20_000 // of all tenants
	maxText    = 255    // bytes of a name
)

// observer holds all sources.
type observer struct {
	mu     sync.Mutex
	byKey  map[key]*entry
	byID   map[uint32]map[string]*entry
	newest int64 // arrival
	watch  watch
}

func newObserver() *observer {
	return &observer{byKey: map[key]*entry{}, byID: map[uint32]map[string]*entry{}}
}

func (o *observer) put(e *entry) {
	o.byKey[e.key] = e
	if o.byID[e.tenant] == nil {
		o.byID[e.tenant] = map[string]*entry{}
	}
	o.byID[e.tenant][e.id] = e
}

func (o *observer) remove(e *entry) {
	delete(o.byKey, e.key)
	delete(o.byID[e.tenant], e.id)
}

// of returns the entry of a source, which it makes. Where there is no room it is the
// tenant's entry for all others.
func (o *observer) of(tenant uint32, source, host string) *entry {
	k := key{tenant, source, host}
	e := o.byKey[k]
	if e != nil {
		return e
	}
	others := len(o.byID[tenant]) >= maxSources || len(o.byKey) >= maxAll || len(source) > maxText || len(host) > maxText
	if others {
		k = key{tenant, "others", ""}
		if e = o.byKey[k]; e != nil {
			return e
		}
	}
	k.source, k.host = strings.Clone(k.source), strings.Clone(k.host)
	e = &entry{key: k, id: k.id(), others: others, version: 1}
	o.put(e)
	return e
}

// observe counts an event.
func (o *observer) observe(r *parse.Record, ev *event.Event, x *parse.Explanation) {
	source, host := ev.Get(event.Source), ev.Get(event.Host)
	at := ev.Time
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.of(r.Tenant, source, host)
	e.changed = true
	e.events++
	unparsed := x.Parser == "text" || x.Parser == ""
	if unparsed {
		e.unparsed++
	}
	if e.hours.add(r.Arrived/int64(time.Hour), unparsed) {
		e.rolled = true
		for i := range e.quality {
			e.quality[i] -= e.quality[i] / 24 // so that it speaks of the last days
		}
	}
	o.heard(e, r.Arrived)
	quality := ev.Get(event.TimeQuality)
	if q := slices.Index(qualities[:], quality); q >= 0 {
		e.quality[q]++
		if q < 3 {
			zone := r.Zone
			if x.Zone != nil {
				zone = x.Zone
			}
			e.sample(r.Arrived, at, q, zone)
		}
	}
	e.remember(r, ev, x)
}

// heard moves the times of e on.
func (o *observer) heard(e *entry, arrived int64) {
	o.newest = max(o.newest, arrived)
	if e.first == 0 {
		e.first = arrived
	}
	seconds := arrived / int64(time.Second)
	switch {
	case e.others:
	case e.last == 0:
		e.rhythm.begin(seconds)
	case o.watch.missed(e.last) > 0 || e.held > e.last: // nobody, or no collector, listened
		e.rhythm.skip(seconds)
	default:
		e.rhythm.heard(e.last/int64(time.Second), seconds, e.silentSince != 0)
	}
	e.last = max(e.last, arrived)
}

func (e *entry) sample(arrived, at int64, quality int, zone *time.Location) {
	if quality == 0 {
		e.exact.take(arrived, at, 0)
		return
	}
	if arrived-e.zoneless.last < int64(sampleEvery) {
		return
	}
	east := time.Duration(0)
	if zone != nil && zone != time.UTC {
		_, seconds := time.Unix(0, at).In(zone).Zone()
		east = time.Duration(seconds) * time.Second
	}
	e.zoneless.take(arrived, at, east)
}

// remember notes how the record came, where it differs from the one before.
func (e *entry) remember(r *parse.Record, ev *event.Event, x *parse.Explanation) {
	same(&e.peer, r.Peer)
	same(&e.input, r.Input)
	same(&e.via, r.Key)
	if e.parser != x.Parser || e.format == "" {
		e.parser = strings.Clone(x.Parser)
		e.format = formatOf(r, x)
	}
	program := ev.Get(event.Program)
	if program == e.lastProgram || program == "" || len(program) > maxText {
		return
	}
	if i := slices.Index(e.programs, program); i >= 0 {
		e.lastProgram = e.programs[i]
	} else if len(e.programs) < maxListed {
		e.lastProgram = strings.Clone(program)
		e.programs = append(e.programs, e.lastProgram)
	}
}

func same(kept *string, now string) {
	if *kept != now && len(now) <= maxText {
		*kept = strings.Clone(now)
	}
}

// watch is since when silence is listened for, without a gap.
type watch struct {
	since int64 // nanoseconds: this run, or the end of a gap
	down  int64 // how long nobody listened before; 0: never
}

// shortGap is a time without a watch that is only taken off silences; after a longer
// one they are counted anew.
const shortGap = 10 * time.Minute

// missed returns how much of the time since last nobody listened for.
func (w *watch) missed(last int64) int64 {
	switch {
	case w.down == 0 || last >= w.since:
		return 0
	case w.down < int64(shortGap):
		return w.down
	}
	return w.since - last
}
