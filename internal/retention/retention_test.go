package retention

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func TestDayOf(t *testing.T) {
	for text, want := range map[string]string{
		"1970-01-01T00:00:00Z": "19700101", "1969-12-31T23:59:59Z": "19691231", "1969-12-31T00:00:00Z": "19691231",
		"2011-12-10T23:59:59.999999999Z": "20111210", "2047-02-28T12:00:00Z": "20470228",
	} {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := DayOf(at.UnixNano()).String(); got != want {
			t.Errorf("DayOf(%s) = %s, want %s", text, got, want)
		}
	}
}

// A house is a keeper with everything around it.
type house struct {
	*Keeper
	t   *testing.T
	now time.Time
}

func each(t *testing.T, f func(h *house)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		a, err := archive.Open(t.TempDir(), log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		days, err := LoadDays(t.Context(), db, 3000)
		if err != nil {
			t.Fatal(err)
		}
		h := &house{t: t, now: time.Date(2026, 11, 25, 2, 30, 0, 0, time.UTC)}
		h.Keeper = New(Config{DB: db, Archive: a, Store: &memory.Store{}, Tenants: tenant.New(db), Days: days, Log: log, Now: func() time.Time { return h.now }})
		for _, days := range []int{90, 10} {
			if _, err := h.Tenants.Create(t.Context(), "test", tenant.Draft{Name: []string{"long", "short"}[days/50%2], RetentionDays: days}); err != nil {
				t.Fatal(err)
			}
		}
		f(h)
	})
}

// arrive stores an event of a tenant with that time and age.
func (h *house) arrive(number uint32, at time.Time, daysAgo int) {
	h.t.Helper()
	arrived := h.now.AddDate(0, 0, -daysAgo).UnixNano()
	seq := uint64(1000 - daysAgo)
	e := event.Event{ID: event.ID{Partition: uint16(number), Seq: seq}, Tenant: number, Time: at.UnixNano(), Arrived: arrived}
	e.Add(event.Message, "x")
	if err := h.Store.Append(h.t.Context(), []event.Event{e}); err != nil {
		h.t.Fatal(err)
	}
	if err := h.Archive.Append(h.t.Context(), archive.Block{Tenant: number, Partition: uint16(number), Seq: seq, Records: 1, FirstArrived: arrived, LastArrived: arrived, Payload: bytes.Repeat([]byte{7}, 1000)}); err != nil {
		h.t.Fatal(err)
	}
	err := h.DB.Tx(h.t.Context(), func(tx *sqldb.DB) error {
		return Note(h.t.Context(), tx, map[Day]int64{DayOf(at.UnixNano()): arrived})
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) apply() {
	h.t.Helper()
	if err := h.Apply(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) stored(number uint32) int {
	h.t.Helper()
	r, err := h.Store.Search(h.t.Context(), eventstore.Request{Tenant: number, From: 0, To: time.Date(2069, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(), Limit: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	return int(r.Total)
}

func (h *house) archived() int {
	h.t.Helper()
	if err := h.Archive.Sync(); err != nil {
		h.t.Fatal(err)
	}
	_, oldest, err := h.Archive.Usage()
	if err != nil {
		h.t.Fatal(err)
	}
	return int(h.now.Sub(oldest).Hours() / 24)
}

// TestTermsCountFromArrival: a log of 2011 that came yesterday stays, one of last
// week that came long ago goes.
func TestTermsCountFromArrival(t *testing.T) {
	each(t, func(h *house) {
		old := time.Date(2011, 12, 10, 6, 0, 0, 0, time.UTC)
		h.arrive(1, h.now.AddDate(0, 0, -7), 100) // a clock that was ahead
		h.arrive(1, old, 1)
		h.arrive(2, h.now.AddDate(0, 0, -20), 20) // over the term of tenant 2, within that of tenant 1
		h.arrive(2, h.now, 0)
		h.apply()
		if n := h.stored(1); n != 1 {
			h.t.Errorf("tenant 1 has %d events, want 1", n)
		}
		if n := h.stored(2); n != 1 {
			h.t.Errorf("tenant 2 has %d events, want 1: the erasure at night", n)
		}
		if age := h.archived(); age > 2 {
			h.t.Errorf("the archive's oldest segment is %d days old", age)
		}
	})
}

// TestHoldKeepsOneTenant: what a hold keeps of one tenant keeps nothing of others.
func TestHoldKeepsOneTenant(t *testing.T) {
	each(t, func(h *house) {
		held := map[uint32]bool{2: true}
		h.Holding = func(context.Context) (map[uint32]bool, error) { return held, nil }
		h.arrive(1, h.now.AddDate(0, 0, -100), 100) // a day of tenant 1 alone
		h.arrive(1, h.now.AddDate(0, 0, -120), 120) // a day of both
		h.arrive(2, h.now.AddDate(0, 0, -120), 119)
		h.arrive(1, h.now, 0)
		h.apply()
		if one, two := h.stored(1), h.stored(2); one != 1 || two != 1 {
			h.t.Errorf("%d and %d events are left, want 1 and 1", one, two)
		}
		days, err := sqldb.One(h.t.Context(), h.DB, sqldb.Value[int64], `SELECT count(*) FROM event_day`)
		if err != nil || days != 2 {
			h.t.Errorf("%d days are left, want that of the hold and today: %v", days, err)
		}
		if age := h.archived(); age < 100 {
			h.t.Errorf("the archive of the hold is gone: %d days", age)
		}
		h.MaxBytes = 1
		h.apply()
		if two := h.stored(2); two != 1 {
			h.t.Error("the bound on bytes dropped what is held")
		}
		held, h.MaxBytes = nil, 0
		h.apply()
		if two := h.stored(2); two != 0 {
			h.t.Error("what was held stays after the hold")
		}
	})
}

func TestBytesGoOldestFirst(t *testing.T) {
	each(t, func(h *house) {
		for ago := 9; ago >= 0; ago-- {
			h.arrive(1, h.now.AddDate(0, 0, -ago), ago)
		}
		h.MaxBytes = 8000
		h.apply()
		left := h.stored(1)
		bytes, _, err := h.Archive.Usage()
		if err != nil || left < 3 || left > 9 || bytes > 8000 {
			h.t.Errorf("%d events and %d bytes of archive are left: %v", left, bytes, err)
		}
		h.MaxBytes = 1
		h.apply()
		if left := h.stored(1); left < 2 || left > 3 {
			h.t.Errorf("%d events are left of the last two days", left)
		}
	})
}

// TestRemovingIsTold: who counts what goes is asked while it is there.
func TestRemovingIsTold(t *testing.T) {
	each(t, func(h *house) {
		there := map[uint32]int{} // events that are there and said to go
		gone := map[uint32]time.Time{}
		h.Removing = func(_ context.Context, number uint32, before time.Time) {
			n := 0
			for ago := range 121 {
				if at := h.now.AddDate(0, 0, -ago); at.Before(before) && !at.Before(gone[number]) {
					err := h.Archive.Since(h.t.Context(), number, uint64(1000-ago-1), uint64(1000-ago), func(archive.Block) bool { n++; return true })
					if err != nil {
						h.t.Error(err)
					}
				}
			}
			if before.After(gone[number]) {
				gone[number] = before
			}
			there[number] += n
		}
		for _, ago := range []int{120, 100, 20, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0} {
			h.arrive(1, h.now.AddDate(0, 0, -ago), ago)
		}
		for _, ago := range []int{20, 9, 0} {
			h.arrive(2, h.now.AddDate(0, 0, -ago), ago)
		}
		h.apply()
		if there[1] != 2 || there[2] != 1 {
			h.t.Errorf("over their term: %v, want 2 and 1", there)
		}
		h.MaxBytes = 1
		h.apply()
		if left := h.stored(1); there[1]+left != 13 || left > 3 {
			h.t.Errorf("for want of room: %d are left, %d were told of 13", left, there[1])
		}
		if left := h.stored(2); there[2]+left != 3 || left != 1 {
			h.t.Errorf("for want of room: %d are left, %d were told of 3", left, there[2])
		}
	})
}

func TestDaysAreBounded(t *testing.T) {
	each(t, func(h *house) {
		h.Days.limit = 3
		ctx := context.WithoutCancel(h.t.Context())
		for d := range Day(5) {
			if got := h.Days.Admit(d); got != (d < 3) {
				h.t.Errorf("Admit(%d) = %v", d, got)
			}
		}
		if !h.Days.Admit(1) {
			h.t.Error("a known day is refused")
		}
		if err := h.drop(ctx, 1); err != nil {
			h.t.Fatal(err)
		}
		if !h.Days.Admit(9) || h.Days.Admit(1) {
			h.t.Error("a dropped day makes no room for one")
		}
	})
}

func TestRunsAreNoted(t *testing.T) {
	each(t, func(h *house) {
		noted := func() (ended, early int64) {
			t.Helper()
			rows, err := sqldb.All(t.Context(), h.DB, func(rows *sql.Rows, p *[2]int64) error { return rows.Scan(&p[0], &p[1]) }, `SELECT ended_at, COALESCE(early_at, 0) FROM retention_run`)
			if err != nil || len(rows) > 1 {
				t.Fatal(rows, err)
			}
			if len(rows) == 0 {
				return 0, 0
			}
			return rows[0][0], rows[0][1]
		}
		for day := range 6 {
			h.arrive(1, h.now.AddDate(0, 0, -day), day)
		}
		if err := h.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ended, early := noted(); ended != h.now.UnixMicro() || early != 0 {
			t.Fatalf("ended %d, early %d", ended, early)
		}
		h.MaxBytes = 1
		h.now = h.now.Add(time.Hour)
		if err := h.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := h.now.UnixMicro()
		if ended, early := noted(); ended != first || early != first {
			t.Fatalf("ended %d, early %d", ended, early)
		}
		h.MaxBytes = 0
		h.now = h.now.Add(time.Hour)
		if err := h.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ended, early := noted(); ended != h.now.UnixMicro() || early != first {
			t.Fatalf("ended %d, early %d: that something went early is not forgotten", ended, early)
		}
		if at, err := h.Archive.Oldest(1); err != nil || at.IsZero() {
			t.Fatal(at, err)
		}
		if at, err := h.Archive.Oldest(77); err != nil || !at.IsZero() {
			t.Fatal(at, err)
		}
	})
}
