package alert

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Shared tells that an alert has an entity.
type Shared struct {
	Value      string // in lower case
	AlertID    string
	IncidentID string
}

// maxSharing bounds what Sharing returns.
const maxSharing = 5000

// Sharing returns which alerts that belong to incidents, first seen from ≤ t < to, have
// entities of these values, in any case; the newest first, at most 5,000. It may run in
// the caller's transaction.
func (s *Service) Sharing(ctx context.Context, db *sqldb.DB, tenant uint32, values []string, from, to time.Time) ([]Shared, error) {
	var b builder
	b.w(`SELECT e.value, a.id, a.incident_id FROM alert_entity e JOIN alert a ON a.seq = e.seq WHERE e.tenant = `, b.p(int64(tenant)), ` AND e.value IN (`)
	if len(values) == 0 {
		return nil, nil
	}
	for i, v := range values {
		if i > 0 {
			b.w(", ")
		}
		b.w(b.p(entityValue(strings.ToValidUTF8(v, "\uFFFD"))))
	}
	b.w(`) AND a.incident_id <> '' AND a.first_seen >= `, b.p(from.UnixMicro()), ` AND a.first_seen < `, b.p(to.UnixMicro()), ` ORDER BY a.seq DESC LIMIT `, b.p(maxSharing))
	all, err := sqldb.All(ctx, db, func(rows *sql.Rows, x *Shared) error { return rows.Scan(&x.Value, &x.AlertID, &x.IncidentID) }, b.String(), b.args...)
	return all, fault.Wrap("find alerts that share entities", err)
}
