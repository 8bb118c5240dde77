package rule

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Active returns the rules that are on for the tenant, in order of their ids, and
// the generation that they are.
func (s *Service) Active(ctx context.Context, tenant uint32) (rules []Active, generation uint64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		if generation, err = currentGeneration(ctx, tx, tenant); err != nil {
			return err
		}
		rules, err = sqldb.All(ctx, tx, func(rows *sql.Rows, r *Active) error {
			var owner int64
			err := rows.Scan(&owner, &r.ID, &r.Version, &r.YAML)
			r.Builtin = owner == builtin
			return err
		}, `SELECT r.tenant, r.id, r.version, r.yaml`+fromRule+` AND COALESCE(s.status, r.status) = 'ACTIVE' ORDER BY r.id`, int64(tenant))
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("get active rules: %w", err)
	}
	return rules, generation, nil
}

// Generation returns a number that rises whenever Active would answer otherwise. It
// costs one look-up: poll it.
func (s *Service) Generation(ctx context.Context, tenant uint32) (uint64, error) {
	n, err := currentGeneration(ctx, s.db, tenant)
	if err != nil {
		return 0, fmt.Errorf("get generation of rules: %w", err)
	}
	return n, nil
}

// The sum of two numbers that only rise changes whenever either does.
func currentGeneration(ctx context.Context, db *sqldb.DB, tenant uint32) (uint64, error) {
	n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT CAST(COALESCE(sum(n), 0) AS BIGINT) FROM rule_generation WHERE tenant IN (0, $1)`, int64(tenant))
	return uint64(n), err
}

// A Match counts how often a rule matched.
type Match struct {
	Tenant uint32
	RuleID string
	Count  int64
}

const keepHours = 48

func hourOf(t time.Time) int64 { return t.Unix() / int64(time.Hour/time.Second) }

// RecordMatches counts matches at server time now, in the caller's transaction: one
// entry for each rule and batch.
func (s *Service) RecordMatches(ctx context.Context, tx *sqldb.DB, now time.Time, matches []Match) error {
	hour := hourOf(now)
	for _, m := range matches {
		for _, st := range []struct {
			query string
			args  []any
		}{
			{`INSERT INTO rule_match (tenant, rule_id, hour, n) VALUES ($1, $2, $3, $4)
				ON CONFLICT (tenant, rule_id, hour) DO UPDATE SET n = rule_match.n + excluded.n`, []any{int64(m.Tenant), m.RuleID, hour, m.Count}},
			{`INSERT INTO rule_seen (tenant, rule_id, last_at) VALUES ($1, $2, $3)
				ON CONFLICT (tenant, rule_id) DO UPDATE SET last_at = excluded.last_at WHERE rule_seen.last_at < excluded.last_at`, []any{int64(m.Tenant), m.RuleID, now.UnixMicro()}},
			{`DELETE FROM rule_match WHERE tenant = $1 AND rule_id = $2 AND hour < $3`, []any{int64(m.Tenant), m.RuleID, hour - keepHours}},
		} {
			if _, err := sqldb.Exec(ctx, tx, st.query, st.args...); err != nil {
				return fmt.Errorf("count matches of rule %s: %w", m.RuleID, err)
			}
		}
	}
	return nil
}
