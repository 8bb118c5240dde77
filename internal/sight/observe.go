package sight

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Bounds of what the observer keeps and does. Senders choose the names of fields
// and the shapes of events.
const (
	maxSources  = 4096   // log sources, of all tenants together
	maxNeeded   = 2048   // names that rules need of one log source
	maxOthers   = 4096   // of a tenant: names that no rule needs yet
	maxName     = 128    // bytes of such a name
	maxLooks    = 60_000 // of a tenant in a minute
	shapes      = 1 << 12
	eagerLooks  = 16  // of a shape in a minute
	steadyLooks = 256 // then one of so many
)

// An observer remembers, for each tenant, which log sources came lately and which
// fields were filled in them. Most events cost it a few nanoseconds: it looks
// closely at the first ones of each shape in a minute and at some of the others.
type observer struct {
	now    func() time.Time
	shapes [shapes]atomic.Uint64 // 48 bits that tell a shape, 16 that count

	mu      sync.Mutex
	sorter  *detect.Sorter
	sources []watched
	index   map[sigma.LogSource]int32
	tenants map[uint32]*view
}

// watched is a log source that events are sorted into.
type watched struct {
	name   sigma.LogSource
	since  time.Time
	needed map[string]bool // names that some rule needs: kept whatever comes
}

// A view is what one tenant's events showed.
type view struct {
	sources map[int32]*sourceView
	others  int
	refused int64 // names that found no room since the last flush
	looks   int   // since the last flush
}

type sourceView struct {
	first, last int64 // microseconds since 1970
	saved       int64 // last, as the database has it
	fields      map[string]*fieldView
}

type fieldView struct {
	last, saved int64
	other       bool // counts in view.others
}

func newObserver(now func() time.Time) *observer {
	o := &observer{now: now, index: map[sigma.LogSource]int32{}, tenants: map[uint32]*view{}}
	for _, l := range detect.KnownLogSources() {
		o.watch(l)
	}
	o.sort()
	return o
}

// watch adds a log source unless it is known or there are too many.
func (o *observer) watch(l sigma.LogSource) (n int32, isNew bool) {
	n, ok := o.index[l]
	switch {
	case ok:
		return n, false
	case len(o.sources) >= maxSources:
		return -1, false
	}
	n = int32(len(o.sources))
	o.index[l] = n
	o.sources = append(o.sources, watched{l, o.now(), map[string]bool{}})
	return n, true
}

func (o *observer) sort() {
	names := make([]sigma.LogSource, len(o.sources))
	for i := range o.sources {
		names[i] = o.sources[i].name
	}
	o.sorter = detect.NewSorter(names)
}

// learn makes room for what rules need.
func (o *observer) learn(needs []detect.Need) {
	o.mu.Lock()
	defer o.mu.Unlock()
	grown := false
	for i := range needs {
		need := &needs[i]
		if need.LogSource == (sigma.LogSource{}) {
			continue
		}
		n, isNew := o.watch(need.LogSource)
		if n < 0 {
			continue
		}
		grown = grown || isNew
		needed := o.sources[n].needed
		need.Names(func(name string) {
			if !needed[name] && len(needed) < maxNeeded {
				needed[name] = true
			}
		})
	}
	if grown {
		o.sort()
	}
}

// observe may look at e.
func (o *observer) observe(e *event.Event) {
	h := shapeOf(e)
	const counter = 1<<16 - 1
	slot := &o.shapes[h>>16%shapes]
	seen := slot.Load()
	var n uint64
	if seen&^counter == h&^counter {
		n = seen & counter
	}
	if n < counter {
		n++
	} else {
		n = steadyLooks
	}
	slot.Store(h&^counter | n)
	if n > eagerLooks && n%steadyLooks != 0 {
		return
	}
	o.look(e)
}

// shapeOf is equal for events of one tenant, product and list of fields, as far as
// lengths tell.
func shapeOf(e *event.Event) uint64 {
	const prime = 0x100000001b3
	h := uint64(14695981039346656037) ^ uint64(e.Tenant)
	h *= prime
	if len(e.Fields) > 0 && e.Fields[0].Name == event.Source { // the parser puts it first
		for i := range min(len(e.Fields[0].Value), 32) {
			h = (h ^ uint64(e.Fields[0].Value[i])) * prime
		}
	}
	for i := range e.Fields {
		h = (h ^ uint64(len(e.Fields[i].Name))) * prime
	}
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

func (o *observer) look(e *event.Event) {
	now := o.now().UnixMicro()
	o.mu.Lock()
	defer o.mu.Unlock()
	v := o.tenants[e.Tenant]
	if v == nil {
		v = &view{sources: map[int32]*sourceView{}}
		o.tenants[e.Tenant] = v
	}
	if v.looks++; v.looks > maxLooks && rand.Uint32()%steadyLooks != 0 {
		return
	}
	for _, n := range o.sorter.Sources(e) {
		s := v.sources[n]
		if s == nil {
			s = &sourceView{first: now, fields: map[string]*fieldView{}}
			v.sources[n] = s
		}
		s.last = now
		for i := range e.Fields {
			f := &e.Fields[i]
			if f.Value == "" {
				continue
			}
			x := s.fields[f.Name]
			if x == nil {
				if x = v.admit(o.sources[n].needed, f.Name); x == nil {
					continue
				}
				s.fields[strings.Clone(f.Name)] = x
			}
			x.last = now
		}
	}
}

// admit returns nil for a name that there is no room for.
func (v *view) admit(needed map[string]bool, name string) *fieldView {
	if needed[name] {
		return &fieldView{}
	}
	if v.others >= maxOthers || len(name) > maxName {
		v.refused++
		return nil
	}
	v.others++
	return &fieldView{other: true}
}

// How old a time in the database may be before it is written anew, and for how
// long memory holds what does not come any more.
const (
	sourceStep = 5 * time.Minute
	fieldStep  = time.Hour
	keepUnseen = 24 * time.Hour
)

type sourceRow struct {
	tenant      uint32
	source      string
	first, last int64
	view        *sourceView
}

type fieldRow struct {
	tenant        uint32
	source, field string
	last          int64
	view          *fieldView
}

// changed begins a new minute: it returns what the database does not know and
// forgets what is old.
func (o *observer) changed() (sources []sourceRow, fields []fieldRow, refused int64) {
	for i := range o.shapes {
		o.shapes[i].Store(0)
	}
	now := o.now()
	oldest := now.Add(-keepUnseen).UnixMicro()
	pressed := now.Add(-time.Hour).UnixMicro() // for tenants without room
	o.mu.Lock()
	defer o.mu.Unlock()
	for tenant, v := range o.tenants {
		limit := oldest
		if v.refused > 0 {
			limit = pressed
		}
		refused += v.refused
		v.refused, v.looks = 0, 0
		for n, s := range v.sources {
			name := o.sources[n].name.String()
			if s.saved == 0 || s.last-s.saved >= sourceStep.Microseconds() {
				sources = append(sources, sourceRow{tenant, name, s.first, s.last, s})
			}
			for field, x := range s.fields {
				switch {
				case x.saved == 0 || x.last-x.saved >= fieldStep.Microseconds():
					fields = append(fields, fieldRow{tenant, name, field, x.last, x})
				case x.last < limit:
					delete(s.fields, field)
					if x.other {
						v.others--
					}
				}
			}
		}
	}
	return sources, fields, refused
}

// saved notes what was written.
func (o *observer) saved(sources []sourceRow, fields []fieldRow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range sources {
		sources[i].view.saved = sources[i].last
	}
	for i := range fields {
		fields[i].view.saved = fields[i].last
	}
}

// merge adds what memory knows of the tenant to what the database said.
func (o *observer) merge(tenant uint32, into map[string]*Source, from int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := o.tenants[tenant]
	if v == nil {
		return
	}
	for n, s := range v.sources {
		if s.last < from {
			continue
		}
		l := o.sources[n].name
		out := into[l.String()]
		if out == nil {
			out = newSource(l)
			into[l.String()] = out
		}
		out.seen(s.first, s.last)
		for name, x := range s.fields {
			if x.last >= from {
				out.fill(name, x.last)
			}
		}
	}
}

// since tells from when on events of l are recognised.
func (o *observer) since(l sigma.LogSource) (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, ok := o.index[l]
	if !ok {
		return time.Time{}, false
	}
	return o.sources[n].since, true
}
