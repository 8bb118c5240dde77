package rule

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Match counts how often a rule matched.
type Match struct {
	Tenant uint32
	RuleID string
	Count  int64
}

// matchHours reaches over the longest period that matches are shown for.
const matchHours = 31 * 24

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
			{`DELETE FROM rule_match WHERE tenant = $1 AND rule_id = $2 AND hour < $3`, []any{int64(m.Tenant), m.RuleID, hour - matchHours}},
		} {
			if _, err := sqldb.Exec(ctx, tx, st.query, st.args...); err != nil {
				return fmt.Errorf("count matches of rule %s: %w", m.RuleID, err)
			}
		}
	}
	return nil
}

// A Cost is what evaluating a rule took in an hour, as from hourOf of server time:
// whole hours since 1970.
type Cost struct {
	Tenant      uint32
	RuleID      string
	Hour        int64
	Evaluations int64
	Nanos       int64
}

const costHours = 48

// RecordCost adds to the cost of rules, on db or in the caller's transaction.
func (s *Service) RecordCost(ctx context.Context, db *sqldb.DB, costs []Cost) error {
	const atOnce = 500
	err := db.Tx(ctx, func(tx *sqldb.DB) error {
		newest := map[uint32]int64{}
		for chunk := range slices.Chunk(merged(costs), atOnce) {
			var b strings.Builder
			args := make([]any, 0, 5*len(chunk))
			for i, c := range chunk {
				if i > 0 {
					b.WriteString(", ")
				}
				n := 5 * i
				fmt.Fprintf(&b, "($%d, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5)
				args = append(args, int64(c.Tenant), c.RuleID, c.Hour, c.Evaluations, c.Nanos)
				newest[c.Tenant] = max(newest[c.Tenant], c.Hour)
			}
			if _, err := sqldb.Exec(ctx, tx, `INSERT INTO rule_cost (tenant, rule_id, hour, evaluations, nanos) VALUES `+b.String()+`
				ON CONFLICT (tenant, rule_id, hour) DO UPDATE SET evaluations = rule_cost.evaluations + excluded.evaluations, nanos = rule_cost.nanos + excluded.nanos`, args...); err != nil {
				return err
			}
		}
		for tenant, hour := range newest {
			if _, err := sqldb.Exec(ctx, tx, `DELETE FROM rule_cost WHERE tenant = $1 AND hour < $2`, int64(tenant), hour-costHours); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record cost of rules: %w", err)
	}
	return nil
}

// merged makes each rule and hour appear once: one statement cannot change a row
// twice. What took nothing is left out.
func merged(costs []Cost) []Cost {
	all := make([]Cost, 0, len(costs))
	for _, c := range costs {
		if c.Evaluations != 0 || c.Nanos != 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Cost) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), strings.Compare(a.RuleID, b.RuleID), cmp.Compare(a.Hour, b.Hour))
	})
	out := all[:0]
	for _, c := range all {
		if n := len(out); n > 0 && out[n-1].Tenant == c.Tenant && out[n-1].RuleID == c.RuleID && out[n-1].Hour == c.Hour {
			out[n-1].Evaluations += c.Evaluations
			out[n-1].Nanos += c.Nanos
			continue
		}
		out = append(out, c)
	}
	return out
}

// An ExceptionHits says how many events an exception silenced since it was last said.
type ExceptionHits struct {
	Tenant uint32
	ID     string
	Hits   int64
	Last   int64 // event time of the last one, nanoseconds; 0 where it is not known
}

// RecordExceptionHits adds to what exceptions silenced, on db or in the caller's
// transaction.
func (s *Service) RecordExceptionHits(ctx context.Context, db *sqldb.DB, hits []ExceptionHits) error {
	err := db.Tx(ctx, func(tx *sqldb.DB) error {
		for _, h := range hits {
			if h.Hits == 0 {
				continue
			}
			if _, err := sqldb.Exec(ctx, tx, `UPDATE rule_exception SET hits = hits + $3,
				last_hit_at = CASE WHEN COALESCE(last_hit_at, 0) < $4 THEN $4 ELSE last_hit_at END WHERE tenant = $1 AND id = $2`,
				int64(h.Tenant), h.ID, h.Hits, h.Last/1000); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record hits of exceptions: %w", err)
	}
	return nil
}
