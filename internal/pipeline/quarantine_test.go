package pipeline

import (
	"log/slog"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/quarantine"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// What left the quarantine lies in the archive twice: an index that is built from it has
// it once.
func TestReindexAfterARerun(t *testing.T) {
	dir := t.TempDir()
	a, err := archive.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	codec, err := queue.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixNano()
	old := event.ID{Seq: 1, Index: 0}
	for i, c := range []*queue.Chunk{
		{Tenant: 1, Input: "http", Source: "json", Arrived: now, Records: []string{"not JSON", "nor this"}},
		{Tenant: 1, Input: quarantine.Input + ":http", Arrived: now, Records: []string{"not JSON"}, IDs: []string{old.String()}},
	} {
		placed := []queue.Placed{{Chunk: c}}
		if err := a.Append(t.Context(), blockOf(0, uint64(i+1), placed, codec.Encode(nil, placed))); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	var store memory.Store
	for range 2 {
		if _, err := Reindex(t.Context(), dir, &store, Reading{Zone: time.UTC}, nil); err != nil {
			t.Fatal(err)
		}
		got, err := store.Search(t.Context(), eventstore.Request{Tenant: 1, To: eventstore.MaxTime, Limit: 10})
		if err != nil || got.Total != 2 {
			t.Fatalf("%d events, %v; want 2", got.Total, err)
		}
		for i := range got.Events {
			if e := &got.Events[i]; e.ID == old {
				t.Errorf("the old row is there: %+v", e)
			}
		}
	}
}
