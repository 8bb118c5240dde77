package alert

import (
	"context"
	"database/sql"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// TruePositivesOf returns the tenant's alerts of a rule that are marked true positive,
// the newest first, at most limit.
func (s *Service) TruePositivesOf(ctx context.Context, tenant uint32, ruleID string, limit int) ([]Alert, error) {
	all, err := sqldb.All(ctx, s.db, scanAlert, `SELECT `+alertColumns+` FROM alert a
		WHERE a.tenant = $1 AND a.rule_id = $2 AND a.verdict = $3 ORDER BY a.seq DESC LIMIT $4`, int64(tenant), ruleID, string(TruePositive), limit)
	return all, wrap("get true positives of rule", err)
}

// CreatedByRule counts the tenant's alerts of each rule that were created from since
// on. Rules without any are left out.
func (s *Service) CreatedByRule(ctx context.Context, tenant uint32, since time.Time) (map[string]int64, error) {
	type row struct {
		rule string
		n    int64
	}
	out := map[string]int64{}
	for r, err := range sqldb.Stream(ctx, s.db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.rule, &r.n) },
		`SELECT rule_id, count(*) FROM alert WHERE tenant = $1 AND created_at >= $2 GROUP BY rule_id`, int64(tenant), ceilMicro(since)) {
		if err != nil {
			return nil, wrap("count new alerts by rule", err)
		}
		out[r.rule] = r.n
	}
	return out, nil
}
