package arrival_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/arrival/arrivaltest"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// Whatever the events' own times are, and whenever they arrived somewhere: each is handed
// out once, after it was stored.
func TestEachEventOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		a, err := archive.Open(t.TempDir(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close() //nolint:errcheck // nothing is kept
		r := &arrival.Reader{DB: db, Archive: a, Events: &memory.Store{}, Partition: func(uint32) int { return 2 }}
		noon := time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)
		store := arrivaltest.New(t, r)
		got := []string{}
		at := uint64(0)
		drain := func(most int64, filter string) (stretches int) {
			t.Helper()
			upTo, err := r.Stored(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			var node query.Node
			if filter != "" {
				if node, err = query.Parse(filter); err != nil {
					t.Fatal(err)
				}
			}
			for at < upTo {
				s, err := r.Next(t.Context(), 1, at, upTo, most)
				if err != nil || s.To <= at || s.After != at {
					t.Fatalf("after %d: %+v, %v", at, s, err)
				}
				err = r.Walk(t.Context(), 1, s, node, func(events []event.Event) error {
					for i := range events {
						got = append(got, events[i].Raw)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				at = s.To
				stretches++
			}
			return stretches
		}
		check := func(want ...string) {
			t.Helper()
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			got = got[:0]
		}
		if n := drain(10, ""); n != 0 {
			t.Errorf("%d stretches of nothing", n)
		}
		store.Batch(1, noon, arrivaltest.Line("on time", noon.Add(-time.Second)), arrivaltest.Line("of 2011", noon.AddDate(-15, 0, 0)))
		store.Batch(2, noon, arrivaltest.Line("of another tenant", noon))
		drain(10, "")
		check("on time", "of 2011")
		// One of an hour ago, one that a collector took in two days ago, and one of the future,
		// while the ones before lie beside them.
		store.Batch(1, noon.Add(time.Minute), arrivaltest.Line("late", noon.Add(-time.Hour)))
		store.Batch(1, noon.AddDate(0, 0, -2), arrivaltest.Line("of a collector that was away", noon.AddDate(0, 0, -2)))
		store.Batch(1, noon.Add(2*time.Minute), arrivaltest.Line("ahead", noon.AddDate(0, 1, 0)), arrivaltest.Line("beside", noon))
		drain(10, "")
		check("late", "of a collector that was away", "ahead", "beside")
		// What is not stored yet is not handed out before it is.
		store.Queue(1, noon.Add(3*time.Minute), arrivaltest.Line("under way", noon))
		if n := drain(10, ""); n != 0 || len(got) > 0 {
			t.Errorf("%q of what is under way", got)
		}
		var want []string
		for i := range 50 {
			text := fmt.Sprint("line ", i)
			store.Batch(1, noon.Add(time.Duration(i)*time.Hour), arrivaltest.Line(text, noon.Add(time.Duration(i%7)*time.Hour), "n", fmt.Sprint(i%2)))
			if i%2 == 1 {
				want = append(want, text)
			}
		}
		if n := drain(10, "n:1"); n != 6 {
			t.Errorf("%d stretches of 51 records", n)
		}
		check(want...)
		begin, err := r.Begin(t.Context(), 1, noon.Add(40*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		at = begin
		drain(100, "")
		if len(got) != 10 {
			t.Errorf("since the fortieth hour: %q", got)
		}
		if n, err := r.Begin(t.Context(), 1, noon.AddDate(1, 0, 0)); err != nil || n != at {
			t.Errorf("what is still to come begins behind %d, not %d, %v", n, at, err)
		}
	})
}
