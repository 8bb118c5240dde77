// Package arrivaltest stores events for tests as the pipeline does, without it.
package arrivaltest

import (
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Store puts batches where a Reader finds them.
type Store struct {
	t   *testing.T
	r   *arrival.Reader
	seq uint64
}

// New returns a Store for what r reads.
func New(t *testing.T, r *arrival.Reader) *Store { return &Store{t: t, r: r} }

// Line returns an event with names and values of its fields in turn.
func Line(raw string, at time.Time, fields ...string) event.Event {
	e := event.Event{Time: at.UnixNano(), Raw: raw}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	return e
}

// Batch stores events that arrived at a time, up to the base mark.
func (s *Store) Batch(tenant uint32, arrived time.Time, events ...event.Event) {
	s.t.Helper()
	s.Queue(tenant, arrived, events...)
	partition := s.r.Partition(tenant)
	s.exec(`INSERT INTO checkpoint (partition_no, base_seq, detected_seq) VALUES ($1, $2, $2) ON CONFLICT (partition_no) DO UPDATE SET base_seq = excluded.base_seq`, partition, int64(s.seq)) //nolint:gosec // a test's
	for i := range events {
		const day = int64(24 * time.Hour)
		s.exec(`INSERT INTO event_day (day_no, last_arrival) VALUES ($1, $2) ON CONFLICT (day_no) DO UPDATE SET last_arrival =
			CASE WHEN event_day.last_arrival > excluded.last_arrival THEN event_day.last_arrival ELSE excluded.last_arrival END`, events[i].Time/day, arrived.UnixMicro())
	}
}

// Queue puts events where they are before the base mark passes them.
func (s *Store) Queue(tenant uint32, arrived time.Time, events ...event.Event) {
	s.t.Helper()
	s.seq++
	partition := uint16(s.r.Partition(tenant)) //nolint:gosec // partitions are few
	for i := range events {
		events[i].Tenant, events[i].Arrived = tenant, arrived.UnixNano()
		events[i].ID = event.ID{Partition: partition, Seq: s.seq, Index: uint32(i)} //nolint:gosec // a test's
	}
	if err := s.r.Events.Append(s.t.Context(), events); err != nil {
		s.t.Fatal(err)
	}
	b := archive.Block{Tenant: tenant, Partition: partition, Seq: s.seq, Records: uint32(len(events)), FirstArrived: arrived.UnixNano(), LastArrived: arrived.UnixNano(), Payload: []byte("x")} //nolint:gosec // a test's
	if err := s.r.Archive.Append(s.t.Context(), b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Store) exec(query string, args ...any) {
	s.t.Helper()
	if _, err := sqldb.Exec(s.t.Context(), s.r.DB, query, args...); err != nil {
		s.t.Fatal(err)
	}
}
