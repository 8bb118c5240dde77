package asset

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A RelatedAlert names the asset, or had an address of it.
type RelatedAlert struct {
	ID, Title, Severity, Status string
	CreatedAt                   time.Time
}

// RelatedAlerts returns up to 20 alerts of which one of the values is an entity, the
// newest first.
func (s *Service) RelatedAlerts(ctx context.Context, tenant uint32, values []string) ([]RelatedAlert, error) {
	if len(values) == 0 {
		return nil, nil
	}
	args := []any{int64(tenant)}
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		args = append(args, strings.ToLower(v))
	}
	list, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, a *RelatedAlert) error {
		return rows.Scan(&a.ID, &a.Title, &a.Severity, &a.Status, sqldb.Micros(&a.CreatedAt))
	}, `SELECT id, title, severity, status, created_at FROM alert WHERE tenant = $1 AND seq IN (SELECT seq FROM alert_entity WHERE tenant = $1 AND value IN (`+places(len(args)-1)+`)) ORDER BY seq DESC LIMIT 20`, args...)
	return list, wrap("read alerts of an asset", err)
}
