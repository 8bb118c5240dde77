package victorialogs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
)

// TestFirstEventsOfASource: what a search counts it also shows, in the first
// second of a source, too, when the engine cannot yet name its stream.
func TestFirstEventsOfASource(t *testing.T) {
	s := start(t, t.TempDir())
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano()
	seq := uint64(0)
	for source := range 3 {
		events := make([]event.Event, 50)
		for i := range events {
			seq++
			e := &events[i]
			e.ID, e.Tenant, e.Time, e.Arrived = event.ID{Seq: seq}, 7, at+int64(seq), at
			e.Raw = fmt.Sprint("event ", seq)
			e.Add(event.Source, fmt.Sprint("new-", source))
		}
		if err := s.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		for total := uint64(0); total < seq; {
			res, err := s.Search(t.Context(), eventstore.Request{Tenant: 7, From: at, To: at + int64(time.Second), Limit: 2000, Histogram: true})
			if err != nil {
				t.Fatal(err)
			}
			if total = res.Total; len(res.Events) < int(total) {
				t.Fatalf("source %d: %d are counted, %d are shown", source, total, len(res.Events))
			}
		}
	}
}
