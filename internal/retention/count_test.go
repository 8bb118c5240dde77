package retention

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// A count of a part is none.
func TestCountOfAPart(t *testing.T) {
	t.Parallel()
	for _, partial := range []string{"", "node 2 does not answer"} {
		all, before, err := Count(t.Context(), func(_ context.Context, r eventstore.Request) (*eventstore.Result, error) {
			if r.Filter == nil {
				return &eventstore.Result{Total: 5}, nil
			}
			return &eventstore.Result{Total: 2, Partial: partial}, nil
		}, 1, time.Now())
		if partial == "" && (all != 5 || before != 2 || err != nil) || partial != "" && !errors.Is(err, fault.Unavailable) {
			t.Errorf("%q: %d, %d, %v", partial, all, before, err)
		}
	}
}
