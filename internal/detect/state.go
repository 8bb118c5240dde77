package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kyra-mdr/kyra/internal/alert"
)

// stateVersion is the first byte of a state. A state of another version is
// refused.
const stateVersion = 1

// State returns what Restore needs to go on, between batches. The same events
// give the same bytes.
func (d *Detector) State() ([]byte, error) {
	if len(d.order) > 0 {
		return nil, errors.New("take the detector's state: a batch has not ended")
	}
	b := stateWriter{[]byte{stateVersion}}
	b.int(d.clock)
	b.uint(d.tick)
	b.uint(uint64(len(d.tenants)))
	for _, number := range slices.Sorted(maps.Keys(d.tenants)) {
		t := d.tenants[number]
		states := maps.Clone(t.restored)
		if t.set != nil {
			for i, s := range t.correlations {
				states[t.set.correlations[i].identity] = s
			}
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

// Restore takes up a state. State of rules that are no longer there is dropped
// when the tenant's next event comes.
func (d *Detector) Restore(data []byte) error {
	d.tenants = map[uint32]*tenantState{}
	if len(data) == 0 {
		return nil
	}
	if data[0] != stateVersion {
		return fmt.Errorf("restore detector: state has version %d, want %d", data[0], stateVersion)
	}
	r := stateReader{buf: data[1:]}
	d.clock = r.int()
	d.tick = r.uint()
	for range r.count() {
		t := &tenantState{restored: map[string]*correlationState{}}
		number := uint32(r.uint())
		for range r.count() {
			identity := r.text()
			t.restored[identity] = r.correlation()
		}
		d.tenants[number] = t
	}
	if r.err != nil || len(r.buf) > 0 {
		d.tenants = map[uint32]*tenantState{}
		return errors.New("restore detector: the state is damaged")
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
	w.uint(uint64(len(s.groups)))
	for g := s.oldest; g != nil; g = g.newer {
		w.text(g.key)
		w.int(g.used)
		w.uint(uint64(len(g.runs)))
		for _, r := range g.runs {
			w.run(r)
		}
	}
}

func (w *stateWriter) run(r *run) {
	w.int(r.high)
	w.uint(r.touched)
	w.uint(uint64(r.start))
	w.uint(uint64(len(r.entries)))
	last := r.high
	for i := range r.entries {
		e := &r.entries[i]
		w.int(e.at - last)
		last = e.at
		w.int(e.weight)
		w.text(e.value)
		switch {
		case e.reported:
			w.uint(1)
		case e.detail == nil:
			w.uint(0)
		default:
			w.uint(2)
			w.detail(e.detail)
		}
	}
}

func (w *stateWriter) detail(d *detail) {
	w.uint(uint64(d.id.Partition))
	w.uint(d.id.Seq)
	w.uint(uint64(d.id.Index))
	w.text(d.source)
	w.uint(uint64(len(d.entities)))
	for _, e := range d.entities {
		w.text(e.Type)
		w.text(e.Field)
		w.text(e.Value)
	}
	w.uint(uint64(len(d.values)))
	for _, v := range d.values {
		w.text(v)
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

func (r *stateReader) correlation() *correlationState {
	s := &correlationState{groups: map[string]*groupState{}}
	for range r.count() {
		g := &groupState{key: r.text(), used: r.int()}
		for range r.count() {
			g.runs = append(g.runs, r.run())
		}
		if s.groups[g.key] != nil {
			r.fail()
			return s
		}
		s.groups[g.key] = g
		s.push(g)
	}
	return s
}

// run reads a run; its trailing sums are counted anew.
func (r *stateReader) run() *run {
	x := &run{high: r.int(), touched: r.uint(), start: int(r.uint())}
	last := x.high
	for range r.count() {
		e := entry{at: last + r.int(), weight: r.int(), value: r.text()}
		last = e.at
		switch r.uint() {
		case 1:
			e.reported = true
		case 2:
			e.detail = r.detail()
			x.details++
		}
		x.entries = append(x.entries, e)
	}
	if x.start > len(x.entries) {
		r.fail()
		return x
	}
	x.counts = map[string]int32{}
	for _, e := range x.entries[x.start:] {
		x.sum += e.weight
		x.counts[e.value]++
	}
	return x
}

func (r *stateReader) detail() *detail {
	d := &detail{}
	d.id.Partition = uint16(r.uint())
	d.id.Seq = r.uint()
	d.id.Index = uint32(r.uint())
	d.source = r.text()
	for range r.count() {
		d.entities = append(d.entities, alert.Entity{Type: r.text(), Field: r.text(), Value: r.text()})
	}
	for range r.count() {
		d.values = append(d.values, r.text())
	}
	return d
}
