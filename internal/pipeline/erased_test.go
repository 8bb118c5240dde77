package pipeline

import (
	"context"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
)

// TestReplayLeavesOutWhatWasErased: a batch that comes again after a crash brings no event
// back that was erased in between.
func TestReplayLeavesOutWhatWasErased(t *testing.T) {
	b := &batch{seq: 7, replayed: true}
	for i, user := range []string{"akim", "bob", "akim"} {
		e := event.Event{ID: event.ID{Seq: 7, Index: uint32(i)}, Tenant: 1 + uint32(i)/2, Time: 1, Arrived: 1} //nolint:gosec // three
		e.Add(event.User, user)
		b.events = append(b.events, e)
	}
	w := &worker{Config: Config{
		Store: &memory.Store{}, Metrics: NewMetrics(metrics.NewSet()),
		Erased: func(_ context.Context, tenant uint32) (func(*event.Event) bool, error) {
			if tenant != 1 {
				return nil, nil
			}
			return func(e *event.Event) bool { return e.Get(event.User) == "akim" }, nil
		},
	}}
	missing, err := w.missing(t.Context(), b)
	if err != nil || len(missing) != 2 || missing[0].ID.Index != 1 || missing[1].Tenant != 2 {
		t.Errorf("%d events come back: %+v %v", len(missing), missing, err)
	}
}
