package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
)

// stateVersion is the first byte of a state. One of an older version is dropped:
// windows then begin anew.
const stateVersion = 2

// State returns what Restore needs to go on, between batches. The same events
// give the same bytes.
func (d *Detector) State() ([]byte, error) {
	if len(d.order) > 0 {
		return nil, errors.New("take the detector's state: a batch has not ended")
	}
	b := stateWriter{[]byte{stateVersion}}
	b.int(d.clock)
	b.int(d.newest)
	b.uint(d.tick)
	b.uint(uint64(len(d.tenants)))
	for _, number := range slices.Sorted(maps.Keys(d.tenants)) {
		t := d.tenants[number]
		states := maps.Clone(t.restored)
		for i, s := range t.correlations {
			d.expire(s, d.clock-t.set.correlations[i].reach()-idleSlack) // none of them can come back
			states[s.identity] = s
		}
		b.uint(uint64(number))
		b.uint(uint64(len(states)))
		for _, identity := range slices.Sorted(maps.Keys(states)) {
			b.text(identity)
			b.correlation(states[identity])
		}
	}
	return b.buf, nil
}

// Restore takes up a state. State of rules that are no longer there is dropped.
func (d *Detector) Restore(data []byte) error {
	d.tenants, d.due = map[uint32]*tenantState{}, nil
	if len(data) == 0 {
		return nil
	}
	if data[0] > stateVersion {
		return fmt.Errorf("restore detector: state has version %d, which is newer than %d: start the release that wrote it", data[0], stateVersion)
	}
	if data[0] < stateVersion {
		return nil
	}
	r := stateReader{buf: data[1:]}
	d.clock = r.int()
	d.newest = r.int()
	d.tick = r.uint()
	for range r.count() {
		t := newTenantState(uint32(r.uint()))
		for range r.count() {
			identity := r.text()
			t.restored[identity] = r.correlation(t, identity)
		}
		d.tenants[t.number] = t
	}
	if r.err != nil || len(r.buf) > 0 {
		d.tenants = map[uint32]*tenantState{}
		return errors.New("restore detector: the state is damaged")
	}
	if d.rules != nil {
		for _, number := range slices.Sorted(maps.Keys(d.tenants)) {
			d.adopt(d.tenants[number], d.rules(number))
		}
	}
	return nil
}

type stateWriter struct{ buf []byte }

func (w *stateWriter) uint(n uint64) { w.buf = binary.AppendUvarint(w.buf, n) }

func (w *stateWriter) int(n int64) { w.buf = binary.AppendVarint(w.buf, n) }

func (w *stateWriter) text(s string) {
	w.uint(uint64(len(s)))
	w.buf = append(w.buf, s...)
}

func (w *stateWriter) correlation(s *correlationState) {
	w.uint(s.counted)
	w.uint(uint64(len(s.groups)))
	for g := s.oldest; g != nil; g = g.newer {
		w.text(g.key)
		w.texts(g.values)
		w.int(g.used)
		w.uint(uint64(len(g.runs)))
		for _, r := range g.runs {
			w.run(r)
		}
	}
}

func (w *stateWriter) texts(list []string) {
	w.uint(uint64(len(list)))
	for _, s := range list {
		w.text(s)
	}
}

func (w *stateWriter) number(f float64) {
	w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(f))
}

// Of an entry are written what differs from what it mostly is.
const (
	entryReported = 1 << iota
	entryFired
	entryDetail
	entryWeight // weight and count are not 1
	entryNumber
	entryValue
	entryCarry
)

// Of a run that is judged at the end of windows.
const (
	runHasEnd = 1 << iota
	runSilent
)

func (w *stateWriter) run(r *run) {
	w.int(r.high)
	w.uint(r.touched)
	w.int(r.lag)
	w.uint(bit(r.hasEnd, runHasEnd) | bit(r.silent, runSilent))
	w.int(r.judged)
	w.uint(uint64(r.start))
	w.number(r.tally.total)
	w.number(r.tally.lost)
	w.uint(uint64(len(r.entries)))
	last := r.high
	for i := range r.entries {
		w.int(r.entries[i].at - last)
		last = r.entries[i].at
		w.entry(&r.entries[i])
	}
}

func bit(set bool, b uint64) uint64 {
	if set {
		return b
	}
	return 0
}

func (w *stateWriter) entry(e *entry) {
	has := bit(e.reported, entryReported) | bit(e.fired, entryFired) | bit(e.detail != nil, entryDetail) |
		bit(e.weight != 1 || e.count != 1, entryWeight) | bit(e.number != 0, entryNumber) | bit(e.value != "", entryValue) | bit(len(e.carry) > 0, entryCarry)
	w.uint(has)
	w.uint(e.event)
	if has&entryWeight != 0 {
		w.int(e.weight)
		w.int(e.count)
	}
	if has&entryNumber != 0 {
		w.number(e.number)
	}
	if has&entryValue != 0 {
		w.text(e.value)
	}
	if has&entryCarry != 0 {
		w.texts(e.carry)
	}
	if has&entryDetail != 0 {
		w.detail(e.detail)
	}
}

func (w *stateWriter) detail(d *detail) {
	w.uint(uint64(len(d.ids)))
	for _, id := range d.ids {
		w.uint(uint64(id.Partition))
		w.uint(id.Seq)
		w.uint(uint64(id.Index))
	}
	w.int(d.first)
	w.text(d.source)
	w.uint(uint64(len(d.entities)))
	for _, e := range d.entities {
		w.texts([]string{e.Type, e.Field, e.Value})
	}
	w.uint(uint64(len(d.values)))
	for _, v := range d.values {
		w.text(v.name)
		w.text(v.value)
	}
}

// A stateReader reads what a stateWriter wrote; after an error it gives zeroes.
type stateReader struct {
	buf []byte
	err error
}

func (r *stateReader) fail() {
	r.err = errors.New("damaged")
	r.buf = nil
}

func (r *stateReader) uint() uint64 {
	n, size := binary.Uvarint(r.buf)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.buf = r.buf[size:]
	return n
}

func (r *stateReader) int() int64 {
	n, size := binary.Varint(r.buf)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.buf = r.buf[size:]
	return n
}

// count reads a number of things that follow, each of at least one byte.
func (r *stateReader) count() int {
	n := r.uint()
	if n > uint64(len(r.buf)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *stateReader) text() string {
	n := r.count()
	s := string(r.buf[:n])
	r.buf = r.buf[n:]
	return s
}

func (r *stateReader) texts() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = r.text()
	}
	return out
}

func (r *stateReader) number() float64 {
	if len(r.buf) < 8 {
		r.fail()
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(r.buf))
	r.buf = r.buf[8:]
	return f
}

func (r *stateReader) correlation(t *tenantState, identity string) *correlationState {
	s := &correlationState{tenant: t, identity: identity, groups: map[string]*groupState{}, counted: r.uint()}
	for range r.count() {
		g := &groupState{key: r.text(), values: r.texts(), used: r.int()}
		for range r.count() {
			g.runs = append(g.runs, r.run())
		}
		id := groupID(g.values)
		if s.groups[id] != nil {
			r.fail()
			return s
		}
		s.groups[id] = g
		s.push(g)
	}
	return s
}

func (r *stateReader) run() *run {
	x := &run{high: r.int(), touched: r.uint(), lag: r.int()}
	flags := r.uint()
	x.hasEnd, x.silent = flags&runHasEnd != 0, flags&runSilent != 0
	x.judged = r.int()
	x.start = int(r.uint())
	x.tally.total, x.tally.lost = r.number(), r.number()
	last := x.high
	for range r.count() {
		at := last + r.int()
		x.entries = append(x.entries, r.entry(at))
		last = at
		if x.entries[len(x.entries)-1].detail != nil {
			x.details++
		}
	}
	if x.start < 0 || x.start > len(x.entries) {
		r.fail()
	}
	return x
}

func (r *stateReader) entry(at int64) entry {
	has := r.uint()
	e := entry{at: at, event: r.uint(), weight: 1, count: 1, reported: has&entryReported != 0, fired: has&entryFired != 0}
	if has&entryWeight != 0 {
		e.weight, e.count = r.int(), r.int()
	}
	if has&entryNumber != 0 {
		e.number = r.number()
	}
	if has&entryValue != 0 {
		e.value = r.text()
	}
	if has&entryCarry != 0 {
		e.carry = r.texts()
	}
	if has&entryDetail != 0 {
		e.detail = r.detail()
	}
	return e
}

func (r *stateReader) detail() *detail {
	d := &detail{}
	for range r.count() {
		d.ids = append(d.ids, event.ID{Partition: uint16(r.uint()), Seq: r.uint(), Index: uint32(r.uint())})
	}
	d.first = r.int()
	d.source = r.text()
	for range r.count() {
		if x := r.texts(); len(x) == 3 {
			d.entities = append(d.entities, alert.Entity{Type: x[0], Field: x[1], Value: x[2]})
		} else {
			r.fail()
		}
	}
	for range r.count() {
		d.values = append(d.values, namedValue{r.text(), r.text()})
	}
	return d
}
