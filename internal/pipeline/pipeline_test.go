package pipeline

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/retention"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const testRule = `
title: Three in a minute
id: 6f1b5c8e-1111-4a6b-9c1d-000000000001
correlation:
  type: event_count
  rules: [refused]
  group-by: [src_ip]
  timespan: 1m
  condition: {gte: 3}
level: high
---
title: Refused
name: refused
id: 6f1b5c8e-1111-4a6b-9c1d-000000000002
logsource: {product: linux, service: sshd}
detection:
  s: {action: login, outcome: failure}
  condition: s
`

func ruleset(t *testing.T) *detect.Ruleset {
	t.Helper()
	docs, err := sigma.Parse([]byte(testRule))
	if err != nil {
		t.Fatal(err)
	}
	var list []detect.Rule
	for _, d := range docs {
		list = append(list, detect.Rule{Document: d, Version: 1})
	}
	set, problems := detect.Compile(list)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

// A bench is everything around a pipeline; it outlives the pipelines that run on it.
type bench struct {
	t       *testing.T
	q       *queue.Queue
	archive *archive.Archive
	dir     string // of the archive
	db      *sqldb.DB
	store   *lossy

	rulesets Rulesets
	settings func(context.Context, uint32) (*parse.Settings, error)
	poison   string // the key that the database refuses
	maxDays  int
	metrics  *Metrics
}

// lossy is a store that fails and forgets on demand.
type lossy struct {
	eventstore.Store
	mu       sync.Mutex
	noSync   bool
	noAppend int // so many calls of Append fail
	epoch    uint64
	appended int // rows since the last successful Sync
}

var errLossy = errors.New("the store is not there")

func (l *lossy) Append(ctx context.Context, events []event.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noAppend > 0 {
		l.noAppend--
		_ = l.Store.Append(ctx, events[:len(events)/2]) // some arrive, as with a node that dies
		return errLossy
	}
	l.appended += len(events)
	return l.Store.Append(ctx, events)
}

func (l *lossy) Sync(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noSync {
		return errLossy
	}
	l.appended = 0
	return l.Store.Sync(ctx)
}

func (l *lossy) Epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

func newBench(t *testing.T, db *sqldb.DB, after uint64) *bench {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	q, err := queue.Open(t.Context(), queue.Config{Dir: t.TempDir(), Partitions: 1, MaxBytes: 64 << 20}, map[int]uint64{0: after}, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	dir := t.TempDir()
	a, err := archive.Open(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, q: q, archive: a, dir: dir, db: db, store: &lossy{Store: &memory.Store{}}, metrics: NewMetrics(metrics.NewSet())}
	set := ruleset(t)
	b.rulesets = func(context.Context, uint32) (*detect.Ruleset, error) { return set, nil }
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
		q.Close()
	})
	return b
}

// start runs a pipeline until the returned function is called.
func (b *bench) start() (stop func()) {
	b.t.Helper()
	days, err := retention.LoadDays(b.t.Context(), b.db, b.maxDays)
	if err != nil {
		b.t.Fatal(err)
	}
	p := New(Config{
		Days:  days,
		Queue: b.q, Archive: b.archive, Store: b.store, DB: b.db, Sources: source.New(b.db, time.Now),
		Rulesets: b.rulesets, Settings: b.settings,
		Record: b.record, Zone: time.UTC, Metrics: b.metrics, Now: time.Now, CheckpointEvery: 50 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(b.t.Output(), nil)),
	})
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.t.Error(err)
			}
		})
	}
	b.t.Cleanup(stop)
	return stop
}

func (b *bench) record(ctx context.Context, tx *sqldb.DB, _ time.Time, findings []alert.Finding) error {
	for _, f := range findings {
		if b.poison != "" && f.Key == b.poison {
			return errors.New("the database refuses this one")
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO test_finding (k, n) VALUES ($1, $2)`, f.Key, f.Count); err != nil {
			return err
		}
	}
	return nil
}

// committed returns how many events the committed findings of a key count.
func (b *bench) committed() map[string]int64 {
	b.t.Helper()
	type row struct {
		k string
		n int64
	}
	rows, err := sqldb.All(b.t.Context(), b.db, func(r *sql.Rows, v *row) error { return r.Scan(&v.k, &v.n) }, `SELECT k, n FROM test_finding`)
	if err != nil {
		b.t.Fatal(err)
	}
	sum := map[string]int64{}
	for _, r := range rows {
		sum[r.k] += r.n
	}
	return sum
}

var began = time.Date(2011, 12, 10, 6, 0, 0, 0, time.UTC)

// send appends n refused logins of each address, a second apart.
func (b *bench) send(n int, ips ...string) {
	b.t.Helper()
	for i := range n {
		for _, ip := range ips {
			at := began.Add(time.Duration(i) * time.Second)
			line := fmt.Sprintf("<38>1 %s bastion sshd 1 - - Failed password for bob from %s port 22 ssh2", at.Format(time.RFC3339), ip)
			err := b.q.Append(b.t.Context(), &queue.Chunk{Tenant: 1, Input: "http", Arrived: time.Now().UnixNano(), Records: []string{line}})
			if err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

func (b *bench) stored() []string {
	b.t.Helper()
	res, err := b.store.Search(b.t.Context(), eventstore.Request{Tenant: 1, From: 0, To: time.Now().UnixNano(), Limit: 10_000})
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for _, e := range res.Events {
		ids = append(ids, e.ID.String())
	}
	slices.Sort(ids)
	return ids
}

func (b *bench) await(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: not within 30 s; stored %d, committed %v", what, len(b.stored()), b.committed())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func each(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if _, err := sqldb.Exec(t.Context(), db, `CREATE TABLE test_finding (k TEXT NOT NULL, n BIGINT NOT NULL)`); err != nil {
			t.Fatal(err)
		}
		f(t, newBench(t, db, 0))
	})
}

func distinct(ids []string) int { return len(slices.Compact(slices.Clone(ids))) }

func TestEventsAreStoredAndFound(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		stop := b.start()
		b.send(5, "192.0.2.1", "192.0.2.2")
		b.send(2, "192.0.2.3")
		b.await("all stored", func() bool { return len(b.stored()) == 12 })
		b.await("checkpoint without further messages", func() bool {
			n, _, err := b.q.Backlog(t.Context())
			return err == nil && n == 0
		})
		stop()
		if got := b.committed(); got["src_ip=192.0.2.1"] != 5 || got["src_ip=192.0.2.2"] != 5 || len(got) != 2 {
			t.Errorf("committed findings count %v", got)
		}
		entries, err := source.New(b.db, time.Now).Ledger(t.Context(), 1, time.Now().Add(-2*time.Hour), time.Now().Add(time.Hour))
		if err != nil || len(entries) == 0 || !entries[0].Balanced() {
			t.Fatalf("ledger %+v, %v", entries, err)
		}
	})
}

// TestReplay ends pipelines whose stores never synced, at different points.
func TestReplay(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.store.noSync = true
		stop := b.start()
		b.send(2, "192.0.2.1")
		b.await("two stored", func() bool { return len(b.stored()) == 2 })
		stop() // its last checkpoint fails: like a crash
		b.send(2, "192.0.2.1", "192.0.2.2")
		stop = b.start() // the third of the address comes in another life than the first two
		b.await("six stored", func() bool { return len(b.stored()) == 6 })
		stop()
		b.store.mu.Lock()
		b.store.noSync = false
		b.store.mu.Unlock()
		stop = b.start()
		b.send(2, "192.0.2.2")
		b.await("eight stored", func() bool { return len(b.stored()) >= 8 })
		stop()
		if ids := b.stored(); len(ids) != 8 || distinct(ids) != 8 {
			t.Errorf("%d events, %d distinct, want 8", len(ids), distinct(ids))
		}
		if got := b.committed(); got["src_ip=192.0.2.1"] != 4 || got["src_ip=192.0.2.2"] != 4 {
			t.Errorf("committed findings count %v, want 4 each", got)
		}
		if n := b.metrics.Replayed.Get(); n == 0 {
			t.Error("nothing was replayed: the test tests nothing")
		}
	})
}

func TestStoreThatDiesIsCompleted(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.store.noAppend = 3
		b.start()
		b.send(10, "192.0.2.1")
		b.await("all stored", func() bool { return distinct(b.stored()) == 10 })
		if ids := b.stored(); len(ids) != 10 {
			t.Errorf("%d events for 10 ids", len(ids))
		}
		b.await("findings", func() bool { return b.committed()["src_ip=192.0.2.1"] == 10 })
		if b.metrics.Restarts.Get() == 0 {
			t.Error("the pipeline did not begin again")
		}
	})
}

func TestRestartedStoreMovesNoMark(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		stop := b.start()
		b.send(1, "192.0.2.1")
		b.await("stored", func() bool { return len(b.stored()) == 1 })
		b.store.mu.Lock()
		b.store.epoch++ // as if the node had come again without its newest rows
		b.store.mu.Unlock()
		b.send(1, "192.0.2.2")
		b.await("begun again", func() bool { return b.metrics.Restarts.Get() > 0 })
		b.await("stored", func() bool { return len(b.stored()) == 2 })
		stop()
		if ids := b.stored(); len(ids) != 2 {
			t.Errorf("%d events, want 2", len(ids))
		}
	})
}

func TestFindingThatTheDatabaseRefusesHoldsUpNoOther(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.poison = "src_ip=192.0.2.66"
		stop := b.start()
		b.send(3, "192.0.2.66", "192.0.2.1")
		b.await("the good finding", func() bool { return b.committed()["src_ip=192.0.2.1"] == 3 })
		b.await("the checkpoint", func() bool {
			n, _, err := b.q.Backlog(t.Context())
			return err == nil && n == 0
		})
		stop()
		if b.metrics.FindingsRefused.Get() == 0 {
			t.Error("the refused finding is not counted")
		}
	})
}

// TestMadeUpDaysAreKeptUnderArrival: a sender of all the days that there are must not
// fill the store with days.
func TestMadeUpDaysAreKeptUnderArrival(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.maxDays = 1
		stop := b.start()
		b.send(3, "192.0.2.1")
		line := "<38>1 2019-01-01T00:00:00Z h sshd 1 - - Failed password for bob from 192.0.2.9 port 22 ssh2"
		if err := b.q.Append(t.Context(), &queue.Chunk{Tenant: 1, Input: "http", Arrived: time.Now().UnixNano(), Records: []string{line}}); err != nil {
			t.Fatal(err)
		}
		b.await("four stored", func() bool { return len(b.stored()) == 4 })
		stop()
		res, err := b.store.Search(t.Context(), eventstore.Request{Tenant: 1, From: 0, To: time.Now().UnixNano(), Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		e := res.Events[0]
		if time.Since(time.Unix(0, e.Time)) > time.Minute || e.Get(event.OriginalTime) != "2019-01-01T00:00:00Z" || e.Get(event.Tags) != event.TagTimeMoved || b.metrics.Moved.Get() != 1 {
			t.Errorf("event is %+v, %d moved", e, b.metrics.Moved.Get())
		}
	})
}

// TestQueueFarAheadOfTheDatabase: a database from a backup knows no checkpoint of a
// queue that is thousands of batches further.
func TestQueueFarAheadOfTheDatabase(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if _, err := sqldb.Exec(t.Context(), db, `CREATE TABLE test_finding (k TEXT NOT NULL, n BIGINT NOT NULL)`); err != nil {
			t.Fatal(err)
		}
		b := newBench(t, db, 5*maxAhead)
		b.send(3, "192.0.2.1")
		stop := b.start()
		b.await("three stored", func() bool { return len(b.stored()) == 3 })
		b.await("checkpoint", func() bool {
			n, _, err := b.q.Backlog(t.Context())
			return err == nil && n == 0
		})
		stop()
		if n := b.metrics.Restarts.Get(); n != 0 {
			t.Errorf("the pipeline began again %d times", n)
		}
	})
}
