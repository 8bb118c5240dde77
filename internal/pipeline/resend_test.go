package pipeline

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// ask returns what r says of a chunk of tenant 1 with these ids.
func ask(r *resends, ids ...string) []uint32 {
	return r.again(&queue.Chunk{Tenant: 1, Input: "elastic", Key: "k", Arrived: 1, Records: make([]string, len(ids)), IDs: ids})
}

func TestIDsAreOfATenantAnInputAndAKey(t *testing.T) {
	r := newResends(metrics.NewSet().NewCounter("x"))
	if got := ask(r, "a", "", "b", "a", ""); !slices.Equal(got, []uint32{3}) {
		t.Errorf("in one chunk: %v", got)
	}
	if got := ask(r, "b", "c"); !slices.Equal(got, []uint32{0}) {
		t.Errorf("in the next: %v", got)
	}
	for _, c := range []queue.Chunk{
		{Tenant: 2, Input: "elastic", Key: "k"},
		{Tenant: 1, Input: "hec", Key: "k"},
		{Tenant: 1, Input: "elastic", Key: "l"},
		{Tenant: 1, Input: "elastick", Key: ""},
		{Tenant: 1, Input: "", Key: "elastick"},
	} {
		c.Records, c.IDs = []string{"x"}, []string{"a"}
		if got := r.again(&c); got != nil {
			t.Errorf("%+v was taken for a resend", c)
		}
	}
}

func TestNumbersOfAnOriginRise(t *testing.T) {
	r := newResends(metrics.NewSet().NewCounter("x"))
	for _, x := range []struct {
		tenant uint32
		origin string
		number uint64
		again  bool
	}{
		{1, "c", 0, false},
		{1, "c", 0, true},
		{1, "c", 1 << 16, false},
		{1, "c", 1, true},
		{1, "c", 1<<16 | 1, false},
		{1, "d", 1, false},
		{2, "c", 1, false},
		{1, "", 1, false},
		{1, "", 1, false},
	} {
		got := r.again(&queue.Chunk{Tenant: x.tenant, Origin: x.origin, Number: x.number, Records: []string{"x", "y"}})
		if want := []uint32{0, 1}; x.again != (len(got) > 0) || x.again && !slices.Equal(got, want) {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

func TestIDsAreForgotten(t *testing.T) {
	lost := metrics.NewSet().NewCounter("x")
	r := newResends(lost)
	r.limits = idLimits{generation: 2, tenant: 6, all: 8}
	send := func(tenant uint32, at time.Duration, id string) bool {
		return len(r.again(&queue.Chunk{Tenant: tenant, Arrived: int64(at), Records: []string{""}, IDs: []string{id}})) == 0
	}
	const day = 24 * time.Hour
	for i := range 7 { // the seventh is one too many: the two oldest go
		send(1, time.Duration(i), fmt.Sprint(i))
	}
	if r.known != 5 || lost.Get() != 2 || !send(1, 8, "0") || send(1, 8, "2") {
		t.Errorf("of seven ids %d are known, %d lost", r.known, lost.Get())
	}
	for i := range 3 { // six and three are more than all may have
		send(2, 10, fmt.Sprint(i))
	}
	if len(r.windows[1].known) != 4 || len(r.windows[2].known) != 3 || lost.Get() != 4 {
		t.Errorf("%d and %d are known, %d lost", len(r.windows[1].known), len(r.windows[2].known), lost.Get())
	}
	if send(1, 7*day, "6") || !send(1, 9*day, "6") {
		t.Error("the term of an id is not a week")
	}
	if lost.Get() != 4 {
		t.Errorf("%d ids were lost, but their term was over", lost.Get())
	}
	send(3, 30*day, "x")
	r.expireAll()
	if len(r.windows) != 1 || r.known != 1 {
		t.Errorf("%d windows, %d ids after a month", len(r.windows), r.known)
	}
}

// TestDecisionsSurviveCrashes compares a run that ends and begins again from its
// checkpoint, over and over, with one that never does.
func TestDecisionsSurviveCrashes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		rnd := rand.New(rand.NewPCG(4, 2))
		lost := metrics.NewSet().NewCounter("x")
		limits := idLimits{generation: 5, tenant: 60, all: 100}
		fresh := func() *resends {
			r := newResends(lost)
			r.limits = limits
			if err := r.load(t.Context(), db, 3); err != nil {
				t.Fatal(err)
			}
			return r
		}
		sure, r := newResends(lost), fresh()
		sure.limits = limits
		var since []*queue.Chunk // the checkpoint
		at, latest, known, crashes := int64(0), int64(0), 0, 0
		for range 1500 {
			at += rnd.Int64N(int64(5 * time.Hour))
			c := &queue.Chunk{Tenant: 1 + rnd.Uint32N(3), Input: "elastic", Arrived: at - rnd.Int64N(int64(10*time.Hour))}
			for range 1 + rnd.IntN(7) {
				c.Records, c.IDs = append(c.Records, ""), append(c.IDs, fmt.Sprint(rnd.IntN(150)))
			}
			if rnd.IntN(4) == 0 {
				c.Origin, c.Number = fmt.Sprint(rnd.IntN(2)), uint64(at)-uint64(rnd.IntN(2))*uint64(time.Hour)
			}
			want := sure.again(c)
			known += len(want)
			if got := r.again(c); !slices.Equal(got, want) {
				t.Fatalf("after %d crashes: %v, want %v", crashes, got, want)
			}
			since = append(since, c)
			switch rnd.IntN(12) {
			case 0, 1, 2:
				s := r.snapshot()
				if err := db.Tx(t.Context(), func(tx *sqldb.DB) error { return saveResends(t.Context(), tx, 3, s) }); err != nil {
					t.Fatal(err)
				}
				since, latest = nil, r.latest
			case 3:
				r.snapshot() // its transaction never commits
				crashes++
				r = fresh()
				r.latest = latest // the checkpoint's state has it
				for _, c := range since {
					r.again(c)
				}
			}
		}
		if known < 100 || crashes < 50 || lost.Get() == 0 {
			t.Fatalf("%d known, %d crashes, %d lost: the test tests nothing", known, crashes, lost.Get())
		}
		rows, err := sqldb.One(t.Context(), db, sqldb.Value[int], `SELECT COUNT(*) FROM resend_id`)
		if err != nil || rows > 60 {
			t.Errorf("%d rows for at most 100 ids in generations of 5, %v", rows, err)
		}
		other := newResends(lost)
		if err := other.load(t.Context(), db, 4); err != nil || len(other.windows)+len(other.origins) != 0 {
			t.Errorf("another partition knows %d tenants, %v", len(other.windows), err)
		}
	})
}

// sendNamed appends refused logins of one address under ids of their own.
func (b *bench) sendNamed(ids ...string) {
	b.t.Helper()
	c := &queue.Chunk{Tenant: 1, Input: "elastic", Arrived: time.Now().UnixNano(), IDs: ids}
	for range ids {
		c.Records = append(c.Records, fmt.Sprintf("<38>1 %s bastion sshd 1 - - Failed password for bob from 192.0.2.1 port 22 ssh2", began.Format(time.RFC3339)))
	}
	if err := b.q.Append(b.t.Context(), c); err != nil {
		b.t.Fatal(err)
	}
}

// TestResendIsOneEvent sends ids again within a chunk, behind it, after a stop and after
// a crash, and then builds the store again from the archive.
func TestResendIsOneEvent(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		stop := b.start()
		b.sendNamed("a", "a", "", "")
		b.sendNamed("a", "b")
		b.await("four", func() bool { return len(b.stored()) == 4 })
		stop()
		b.store.mu.Lock()
		b.store.noSync = true
		b.store.mu.Unlock()
		stop = b.start()
		b.sendNamed("b", "c", "a")
		b.await("five", func() bool { return len(b.stored()) == 5 })
		stop() // like a crash
		b.store.mu.Lock()
		b.store.noSync = false
		b.store.mu.Unlock()
		stop = b.start()
		b.sendNamed("c", "a") // a block of nothing new
		b.sendNamed("d", "c")
		b.await("six", func() bool { return len(b.stored()) == 6 })
		b.await("the checkpoint", func() bool {
			n, _, err := b.q.Backlog(t.Context())
			return err == nil && n == 0
		})
		stop()
		ids := b.stored()
		if len(ids) != 6 || distinct(ids) != 6 {
			t.Errorf("%d events, %d distinct, want 6", len(ids), distinct(ids))
		}
		if got := b.committed()["src_ip=192.0.2.1"]; got != 6 {
			t.Errorf("findings count %d, want 6", got)
		}
		entries, err := source.New(b.db, time.Now).Ledger(t.Context(), 1, time.Now().Add(-2*time.Hour), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		received, dropped := int64(0), int64(0)
		for _, e := range entries {
			received, dropped = received+e.Received, dropped+e.Dropped
			if !e.Balanced() {
				t.Errorf("ledger: %+v", e)
			}
		}
		if received != 13 || dropped != 7 {
			t.Errorf("the ledger has %d received, %d dropped, want 13 and 7: %+v", received, dropped, entries)
		}

		if err := b.archive.Sync(); err != nil {
			t.Fatal(err)
		}
		again := &lossy{Store: &memory.Store{}}
		if _, err := Reindex(t.Context(), b.dir, again, Reading{Zone: time.UTC}, nil); err != nil {
			t.Fatal(err)
		}
		b.store = again
		if d := cmp.Diff(ids, b.stored()); d != "" {
			t.Errorf("the archive makes other events: %s", d)
		}
	})
}

// TestArchiveKeepsWhatCameAgain: the record itself is evidence too.
func TestArchiveKeepsWhatCameAgain(t *testing.T) {
	codec, err := queue.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	placed := queue.Placed{Chunk: &queue.Chunk{Tenant: 7, Records: []string{"a", "b"}, IDs: []string{"1", "1"}}, Again: []uint32{1}}
	blocks := blocksOf(codec, 0, queue.Message{Seq: 9, Payload: []byte("as it came")}, []queue.Placed{placed})
	if len(blocks) != 1 || blocks[0].Records != 2 {
		t.Fatalf("blocks %+v", blocks)
	}
	got, err := codec.Decode(blocks[0].Payload)
	if d := cmp.Diff([]queue.Placed{placed}, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
}

// BenchmarkAgain asks for chunks of 500 records.
func BenchmarkAgain(b *testing.B) {
	for _, named := range []bool{false, true} {
		b.Run(fmt.Sprint("ids=", named), func(b *testing.B) {
			r := newResends(metrics.NewSet().NewCounter("x"))
			c := &queue.Chunk{Tenant: 1, Input: "elastic", Key: "0123456789abcdef", Records: make([]string, 500)}
			if named {
				c.IDs = make([]string, 500)
			}
			n := 0
			for b.Loop() {
				for i := range c.IDs {
					n++
					c.IDs[i] = fmt.Sprintf("2f7b1c9e%024d", n)
				}
				r.again(c)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
			runtime.KeepAlive(r)
		})
	}
}

// BenchmarkFullWindow tells what the ids of one tenant weigh.
func BenchmarkFullWindow(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := newResends(metrics.NewSet().NewCounter("x"))
		for i := range maxTenantIDs + 300_000 {
			ask(r, fmt.Sprint(i))
		}
		r.snapshot()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(r.known), "B/id")
		runtime.KeepAlive(r)
	}
}
