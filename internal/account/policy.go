package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Policy is how people of a tenant have to sign in.
type Policy struct {
	SecondFactor bool          // required: without one a person can only set one up
	Idle         time.Duration // after which an unused session ends
	Longest      time.Duration // after which any ends
}

// Bounds of a policy's times.
const (
	minIdle, maxIdle       = 5 * time.Minute, 24 * time.Hour
	minLongest, maxLongest = time.Hour, 30 * 24 * time.Hour
)

func scanPolicy(rows *sql.Rows, p *Policy) error {
	var idle, longest int64
	err := rows.Scan(&p.SecondFactor, &idle, &longest)
	p.Idle, p.Longest = time.Duration(idle)*time.Minute, time.Duration(longest)*time.Hour
	return err
}

// PolicyOf returns the tenant's policy.
func (s *Service) PolicyOf(ctx context.Context, tenant uint32) (Policy, error) {
	return s.policy(ctx, s.db, tenant)
}

func (s *Service) policy(ctx context.Context, db *sqldb.DB, tenant uint32) (Policy, error) {
	p, err := sqldb.One(ctx, db, scanPolicy, `SELECT second_factor, idle_minutes, longest_hours FROM account_policy WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return Policy{Idle: s.Idle, Longest: s.Longest}, nil
	}
	return p, wrap("read sign-in policy", err)
}

// SetPolicy replaces the tenant's policy. Sessions that it no longer allows end with their
// next request.
func (s *Service) SetPolicy(ctx context.Context, tenant uint32, actor string, p Policy) error {
	if p.Idle < minIdle || p.Idle > maxIdle || p.Idle%time.Minute != 0 {
		return fault.New(fault.Invalid, "Allowed: %d to %d", int(minIdle.Minutes()), int(maxIdle.Minutes())).In("idleMinutes")
	}
	if p.Longest < minLongest || p.Longest > maxLongest || p.Longest%time.Hour != 0 {
		return fault.New(fault.Invalid, "Allowed: %d to %d", int(minLongest.Hours()), int(maxLongest.Hours())).In("longestHours")
	}
	now := s.now()
	return wrap("set sign-in policy", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO account_policy (tenant, second_factor, idle_minutes, longest_hours, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (tenant) DO UPDATE SET second_factor = excluded.second_factor, idle_minutes = excluded.idle_minutes, longest_hours = excluded.longest_hours,
				changed_at = excluded.changed_at, changed_by = excluded.changed_by`,
			int64(tenant), p.SecondFactor, int64(p.Idle/time.Minute), int64(p.Longest/time.Hour), now.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "settings.signin", Detail: map[string]any{
			"secondFactorRequired": p.SecondFactor, "idleMinutes": int(p.Idle / time.Minute), "longestHours": int(p.Longest / time.Hour),
		}})
	}))
}
