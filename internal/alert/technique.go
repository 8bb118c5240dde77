package alert

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// ByTechnique counts the tenant's alerts that were made since a time, by the technique
// that they show; those without one are left out.
func (s *Service) ByTechnique(ctx context.Context, tenant uint32, since time.Time) (map[string]int64, error) {
	out := map[string]int64{}
	type row struct {
		technique string
		n         int64
	}
	for r, err := range sqldb.Stream(ctx, s.db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.technique, &r.n) },
		`SELECT technique, count(*) FROM alert WHERE tenant = $1 AND created_at >= $2 AND technique <> '' GROUP BY technique`, int64(tenant), since.UnixMicro()) {
		if err != nil {
			return nil, fmt.Errorf("count alerts by technique: %w", err)
		}
		out[r.technique] = r.n
	}
	return out, nil
}
