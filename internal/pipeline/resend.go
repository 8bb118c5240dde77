package pipeline

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/kyra-mdr/kyra/internal/queue"
)

// policyResend names, in ledger and metrics, why a record that came again is dropped.
const policyResend = "resend"

// What is remembered of explicit ids. An id is forgotten a week after it came, a day
// later at most, or earlier where its tenant, or the partition, has sent more since. What
// comes again after that is an event of its own, as it is without an id.
const (
	idTerm        = 7 * 24 * time.Hour
	idGeneration  = 24 * time.Hour // no generation gathers longer
	maxGeneration = 4096           // ids of one
	maxTenantIDs  = 1_000_000
	maxIDs        = 2_000_000 // of all tenants of a partition
)

// resends tells which records of a partition came before: by the number of their chunk
// or by their own id, never by what they say. What it answers follows from the chunks
// that it was asked about, in their order, and from nothing else, so that a replay from
// a checkpoint decides alike. One goroutine.
type resends struct {
	origins map[originKey]originMark
	windows map[uint32]*window // of each tenant that sends ids
	known   int                // ids of all windows
	next    uint64             // number of the next generation
	latest  int64              // newest arrival of all chunks: what is late is not old

	numbered map[originKey]struct{} // changed since the last snapshot
	named    map[uint32]struct{}    // tenants whose window changed since
	buf      []byte
	limits   idLimits
	lost     *metrics.Counter // ids forgotten before their term
}

// idLimits are maxTenantIDs and so on; tests set lower ones.
type idLimits struct{ generation, tenant, all int }

type originKey struct {
	tenant uint32
	origin string
}

type originMark struct {
	number uint64
	seen   int64 // latest then
}

// A recordID stands for an id and its scope: the first half of a SHA-256, so that
// nobody can make up an id that takes another's place.
type recordID [16]byte

// A window is what is known of a tenant's ids: a set, and the order in which they came,
// in generations that are forgotten whole.
type window struct {
	known       map[recordID]struct{}
	generations []*generation // oldest first; only the last one grows
}

type generation struct {
	no             uint64
	ids            []recordID
	oldest, newest int64 // latest when its first and last id came
	saved          int   // so many are in a snapshot
	settled        bool  // all of it is, in one piece
}

func newResends(lost *metrics.Counter) *resends {
	return &resends{
		origins: map[originKey]originMark{}, windows: map[uint32]*window{}, next: 1,
		numbered: map[originKey]struct{}{}, named: map[uint32]struct{}{},
		limits: idLimits{maxGeneration, maxTenantIDs, maxIDs}, lost: lost,
	}
}

// again returns the indexes of the records of c that came before, in order, and
// remembers the others.
func (r *resends) again(c *queue.Chunk) []uint32 {
	r.latest = max(r.latest, c.Arrived)
	if c.Origin != "" && !r.advance(c) {
		all := make([]uint32, len(c.Records))
		for i := range all {
			all[i] = uint32(i)
		}
		return all
	}
	if len(c.IDs) == 0 {
		return nil
	}
	var again []uint32
	var w *window
	scope := appendText(appendText(r.buf[:0], c.Input), c.Key)
	for i, id := range c.IDs {
		if id == "" {
			continue
		}
		if w == nil {
			w = r.window(c)
		}
		r.buf = append(scope, id...)
		sum := sha256.Sum256(r.buf)
		scope = r.buf[:len(scope)]
		if !r.remember(w, recordID(sum[:16])) {
			again = append(again, uint32(i))
		}
	}
	return again
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// advance notes the number of c and reports whether it is new.
func (r *resends) advance(c *queue.Chunk) bool {
	k := originKey{c.Tenant, c.Origin}
	m, known := r.origins[k]
	if known && c.Number <= m.number {
		return false
	}
	if !known {
		k.origin = string([]byte(c.Origin)) // else it would hold its whole batch
	}
	r.origins[k] = originMark{c.Number, r.latest}
	r.numbered[k] = struct{}{}
	return true
}

// window returns the window for the ids of c, without those whose term is over.
func (r *resends) window(c *queue.Chunk) *window {
	r.named[c.Tenant] = struct{}{}
	w := r.windows[c.Tenant]
	if w == nil {
		w = &window{known: map[recordID]struct{}{}}
		r.windows[c.Tenant] = w
	}
	r.expire(w, r.latest-int64(idTerm))
	return w
}

// remember adds an id and reports whether it is new.
func (r *resends) remember(w *window, id recordID) bool {
	if _, ok := w.known[id]; ok {
		return false
	}
	w.known[id] = struct{}{}
	r.known++
	g := w.open()
	if g == nil || len(g.ids) >= r.limits.generation || r.latest-g.oldest > int64(idGeneration) {
		g = &generation{no: r.next, oldest: r.latest}
		r.next++
		w.generations = append(w.generations, g)
	}
	g.ids = append(g.ids, id)
	g.newest = r.latest
	for len(w.known) > r.limits.tenant {
		r.lost.Add(r.forget(w))
	}
	for r.known > r.limits.all {
		_, w := r.largest()
		r.lost.Add(r.forget(w))
	}
	return true
}

// open returns the newest generation, nil where there is none.
func (w *window) open() *generation {
	if len(w.generations) == 0 {
		return nil
	}
	return w.generations[len(w.generations)-1]
}

// largest returns the tenant with the most ids, and its window: who fills the memory of
// all gives way first.
func (r *resends) largest() (tenant uint32, most *window) {
	for t, w := range r.windows {
		if most == nil || len(w.known) > len(most.known) || len(w.known) == len(most.known) && t < tenant {
			tenant, most = t, w
		}
	}
	r.named[tenant] = struct{}{}
	return tenant, most
}

// forget drops the oldest generation and returns how many ids it had.
func (r *resends) forget(w *window) int {
	oldest := w.generations[0]
	for _, id := range oldest.ids {
		delete(w.known, id)
	}
	w.generations = slices.Delete(w.generations, 0, 1)
	r.known -= len(oldest.ids)
	return len(oldest.ids)
}

// expire drops the generations that ended before limit.
func (r *resends) expire(w *window, limit int64) {
	for len(w.generations) > 0 && w.generations[0].newest < limit {
		r.forget(w)
	}
}

// expireAll drops what no chunk can ask about any more, of tenants that send no ids as
// well.
func (r *resends) expireAll() {
	limit := r.latest - int64(idTerm)
	for tenant, w := range r.windows {
		if len(w.generations) > 0 && w.generations[0].newest >= limit {
			continue
		}
		r.named[tenant] = struct{}{}
		if r.expire(w, limit); len(w.generations) == 0 {
			delete(r.windows, tenant)
		}
	}
}
