package source

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

var start = time.Date(2026, 4, 25, 9, 0, 15, 0, time.UTC)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func each(t *testing.T, f func(t *testing.T, ctx context.Context, db *sqldb.DB, s *Service, c *clock)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{t: start}
		f(t, t.Context(), db, New(db, c.now), c)
	})
}

func TestHeartbeat(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, db *sqldb.DB, s *Service, c *clock) {
		if got, err := s.List(ctx, 1); err != nil || got == nil || len(got) != 0 {
			t.Fatalf("List() = %v, %v; want an empty list", got, err)
		}
		beat := Beat{Tenant: 1, Name: Server, Hostname: "collector-01", Version: "0.1.0", OSFamily: "linux"}
		must(t, s.Heartbeat(ctx, db, beat))
		got, err := s.List(ctx, 1)
		if err != nil || len(got) != 1 {
			t.Fatalf("List() = %v, %v; want one collector", got, err)
		}
		want := Collector{
			ID: got[0].ID, Tenant: 1, Name: Server, Hostname: "collector-01", Version: "0.1.0", OSFamily: "linux",
			Created: start, LastHeartbeat: start, Status: Online,
		}
		if d := cmp.Diff(want, got[0]); d != "" || len(got[0].ID) != 36 || got[0].ID[14] != '7' {
			t.Errorf("collector (-want +got):\n%s", d)
		}

		c.set(start.Add(time.Hour))
		if now, _ := s.Get(ctx, 1, want.ID); now.Status != Offline {
			t.Errorf("an hour after its last beat it is %s", now.Status)
		}
		beat.Version = "0.2.0"
		must(t, s.Heartbeat(ctx, db, beat))
		want.Version, want.LastHeartbeat = "0.2.0", start.Add(time.Hour)
		if now, err := s.Get(ctx, 1, want.ID); err != nil || cmp.Diff(want, now) != "" {
			t.Errorf("after another beat (%v):\n%s", err, cmp.Diff(want, now))
		}

		c.set(start)
		beat.Version = "0.0.1"
		must(t, s.Heartbeat(ctx, db, beat))
		if now, _ := s.Get(ctx, 1, want.ID); now.Version != "0.2.0" || !now.LastHeartbeat.Equal(want.LastHeartbeat) {
			t.Errorf("an old beat changed it to %+v", now)
		}

		if _, err := s.Get(ctx, 2, want.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant reads it: %v", err)
		}
		if got, _ := s.List(ctx, 2); len(got) != 0 {
			t.Errorf("another tenant lists %v", got)
		}
	})
}

func TestStatusAtTheEdge(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, db *sqldb.DB, s *Service, c *clock) {
		must(t, s.Heartbeat(ctx, db, Beat{Tenant: 1, Name: Server}))
		for after, want := range map[time.Duration]Status{0: Online, OfflineAfter: Online, OfflineAfter + time.Microsecond: Offline} {
			c.set(start.Add(after))
			if got, err := s.List(ctx, 1); err != nil || got[0].Status != want {
				t.Errorf("%v after the beat: %v, %v; want %s", after, got, err, want)
			}
		}
	})
}

func TestLedger(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, db *sqldb.DB, s *Service, _ *clock) {
		at := func(h, m int) int64 { return time.Date(2026, 4, 25, h, m, 0, 0, time.UTC).UnixNano() }
		must(t, s.Heartbeat(ctx, db, Beat{Tenant: 1, Name: Server}))
		must(t, db.Tx(ctx, func(tx *sqldb.DB) error {
			return s.Record(ctx, tx, []Count{
				{Tenant: 1, Source: "sshd", Arrived: at(8, 0), Received: 10, Stored: 8, Quarantined: 1, Dropped: 1, Policy: PolicyResend},
				{Tenant: 1, Source: "nginx", Arrived: at(8, 59), Received: 5, Stored: 4},
				{Tenant: 1, Source: "sshd", Arrived: at(8, 30), Received: 2, Stored: 2},
				{Tenant: 2, Source: "sshd", Arrived: at(8, 30), Received: 7, Stored: 7},
				{Tenant: 1, Collector: "agent-1", Source: "sshd", Arrived: at(9, 0), Received: 3, Stored: 3},
			})
		}))
		must(t, s.Record(ctx, db, []Count{{Tenant: 1, Source: "nginx", Arrived: at(8, 5), Stored: 1}}))

		got, err := s.Ledger(ctx, 1, time.Unix(0, at(8, 0)), time.Unix(0, at(10, 0)))
		want := []Entry{
			{Hour: time.Date(2026, 4, 25, 9, 0, 0, 0, time.UTC), Source: "sshd", Received: 3, Stored: 3},
			{Hour: time.Date(2026, 4, 25, 8, 0, 0, 0, time.UTC), Source: "nginx", Received: 5, Stored: 5},
			{Hour: time.Date(2026, 4, 25, 8, 0, 0, 0, time.UTC), Source: "sshd", Received: 12, Stored: 10, Quarantined: 1, Dropped: 1, Drops: map[string]int64{PolicyResend: 1}},
		}
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("Ledger: %v (-want +got):\n%s", err, d)
		}
		for i := range got {
			if !got[i].Balanced() {
				t.Errorf("%+v is not balanced", got[i])
			}
		}
		if got, _ := s.Ledger(ctx, 1, time.Unix(0, at(8, 1)), time.Unix(0, at(9, 0))); len(got) != 0 {
			t.Errorf("no hour begins in [08:01, 09:00), got %v", got)
		}
		if list, _ := s.List(ctx, 1); list[0].EventsIngested != 16 {
			t.Errorf("eventsIngested is %d, want 16: what came through the server, once", list[0].EventsIngested)
		}
	})
}

func TestRecordRefusesToGoBack(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, db *sqldb.DB, s *Service, _ *clock) {
		must(t, s.Record(ctx, db, []Count{{Tenant: 1, Source: "sshd", Received: 5}}))
		err := s.Record(ctx, db, []Count{{Tenant: 1, Source: "sshd", Received: -5}})
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("a negative count: %v", err)
		}
	})
}

func TestRecordConcurrently(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, db *sqldb.DB, s *Service, _ *clock) {
		must(t, s.Heartbeat(ctx, db, Beat{Tenant: 1, Name: Server}))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 10 {
					if err := db.Tx(ctx, func(tx *sqldb.DB) error {
						return s.Record(ctx, tx, []Count{{Tenant: 1, Source: "b", Received: 1, Stored: 1}, {Tenant: 1, Source: "a", Received: 1, Stored: 1}})
					}); err != nil {
						t.Errorf("Record: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if list, err := s.List(ctx, 1); err != nil || list[0].EventsIngested != 80 {
			t.Errorf("eventsIngested: %v, %v; want 80", list, err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
