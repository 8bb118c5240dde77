package audit

import (
	"context"
	"fmt"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// After returns up to limit of the tenant's entries that stand behind seq in its chain,
// the oldest first. Entries have numbers without gaps in the order in which they became
// visible, so that a reader who goes on behind the last one misses none.
func After(ctx context.Context, db *sqldb.DB, tenant uint32, seq int64, limit int) ([]Stored, error) {
	all, err := sqldb.All(ctx, db, scan, selectRecord+` WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3`, int64(tenant), seq, limit)
	if err != nil {
		return nil, fmt.Errorf("read audit: %w", err)
	}
	return all, nil
}
