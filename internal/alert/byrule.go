package alert

import (
	"context"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// TruePositivesOf returns the tenant's alerts of a rule that are marked true positive,
// the newest first, at most limit.
func (s *Service) TruePositivesOf(ctx context.Context, tenant uint32, ruleID string, limit int) ([]Alert, error) {
	all, err := sqldb.All(ctx, s.db, scanAlert, `SELECT `+alertColumns+` FROM alert a
		WHERE a.tenant = $1 AND a.rule_id = $2 AND a.verdict = $3 ORDER BY a.seq DESC LIMIT $4`, int64(tenant), ruleID, string(TruePositive), limit)
	return all, fault.Wrap("get true positives of rule", err)
}
