package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore"
)

// holding knows which days legal holds keep, while the terms are applied once.
type holding struct {
	k       *Keeper
	tenants map[uint32]bool
	days    map[Day]bool
}

// keeps tells whether a tenant that is held has events on the day.
func (h *holding) keeps(ctx context.Context, d Day) (bool, error) {
	if kept, ok := h.days[d]; ok {
		return kept, nil
	}
	from := int64(d) * int64(24*time.Hour)
	kept := false
	for number := range h.tenants {
		r, err := h.k.Store.Search(ctx, eventstore.Request{Tenant: number, From: from, To: from + int64(24*time.Hour)})
		if err != nil {
			return true, fmt.Errorf("look for held events of day %s: %w", d, err)
		}
		if kept = r.Total > 0; kept {
			break
		}
	}
	h.days[d] = kept
	return kept, nil
}
