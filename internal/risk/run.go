package risk

import (
	"context"
	"database/sql"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	followEvery  = 2 * time.Second
	refreshAfter = time.Hour // alerts age: a score is computed anew when it is as old as this
	refreshSome  = 50        // entities in one transaction
	sweepEvery   = 6 * time.Hour
)

// Run follows alerts, lets scores decay and forgets what is old, until ctx is done.
// Several servers on one database may run it: what one has done the others find done.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var swept time.Time
	for {
		err := s.Step(ctx)
		if err == nil && s.now().Sub(swept) >= sweepEvery {
			swept = s.now()
			err = s.sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "risk scores are behind: tried again soon", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Step takes up what has changed and what is due.
func (s *Service) Step(ctx context.Context) error {
	if _, err := s.Follow(ctx); err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// Refresh computes anew the scores that are older than an hour, or that settings have
// made due.
func (s *Service) Refresh(ctx context.Context) error {
	for {
		n := 0
		err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
			type row struct {
				tenant int64
				Key
			}
			due, err := sqldb.All(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.tenant, &r.Kind, &r.Value) },
				`SELECT tenant, kind, entity FROM risk_entity WHERE computed_at < $1 AND (score > 0 OR trend <> 0 OR computed_at = 0) ORDER BY computed_at, id LIMIT $2`,
				s.now().Add(-refreshAfter).UnixMicro(), refreshSome)
			if err != nil {
				return err
			}
			n = len(due)
			keys := map[int64][]Key{}
			for _, r := range due {
				keys[r.tenant] = append(keys[r.tenant], r.Key)
			}
			for tenant, some := range keys {
				if err := s.score(ctx, tx, uint32(tenant), some); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n == 0 {
			return fault.Wrap("refresh risk scores", err)
		}
	}
}

// sweep forgets what no score and no history needs any more.
func (s *Service) sweep(ctx context.Context) error {
	now := s.now()
	return fault.Wrap("sweep risk", s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		for _, q := range []struct {
			text string
			arg  int64
		}{
			{`DELETE FROM risk_contribution WHERE at < $1`, now.Add(-maxAge).UnixMicro()},
			{`DELETE FROM risk_hour WHERE hour < $1`, now.Add(-(maxHours+1)*time.Hour).UnixMicro() / hourMicros},
			{`DELETE FROM risk_day WHERE day < $1`, now.Add(-keepDays*24*time.Hour).UnixMicro() / dayMicros},
			{`DELETE FROM risk_entity WHERE score = 0 AND NOT watched AND notes = '' AND last_seen < $1`, now.Add(-keepDays * 24 * time.Hour).UnixMicro()},
		} {
			if _, err := sqldb.Exec(ctx, tx, q.text, q.arg); err != nil {
				return err
			}
		}
		return nil
	}))
}
