package alert

import (
	"context"
	"database/sql"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// EntitiesByAlert returns the entities of each of the tenant's alerts that ids name. It
// may run in the caller's transaction.
func (s *Service) EntitiesByAlert(ctx context.Context, db *sqldb.DB, tenant uint32, ids []string) (map[string][]Entity, error) {
	type row struct{ id, entities string }
	out := make(map[string][]Entity, len(ids))
	err := chunked(ids, func(in string, args []any) error {
		for r, err := range sqldb.Stream(ctx, db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.id, &r.entities) }, `
			SELECT a.id, d.entities FROM alert a JOIN alert_detail d ON d.seq = a.seq WHERE `+amongIDs+` (`+in+`)`, append([]any{int64(tenant)}, args...)...) {
			if err != nil {
				return err
			}
			if out[r.id], err = decodeEntities(r.entities); err != nil {
				return err
			}
		}
		return nil
	})
	return out, fault.Wrap("get entities of alerts", err)
}
