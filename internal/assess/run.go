package assess

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	lookEvery = time.Minute
	lease     = 5 * time.Minute // how long a server that died keeps a tenant's turn
	// A check is due a little before its cadence has passed, so that its evidence is never
	// older than it.
	early = 0.9
	// What had no data is looked at sooner: it may have some now.
	retry = time.Hour
)

// Run evaluates the checks of all tenants as they fall due, until ctx is done. Several
// servers on one database may run it: they take turns.
func (a *Assessor) Run(ctx context.Context) error {
	if a.Tenants == nil {
		return errors.New("run assessments: nobody says which tenants there are")
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for _, tenant := range a.Tenants() {
			if _, err := a.Step(ctx, tenant); err != nil && ctx.Err() == nil {
				a.Log.WarnContext(ctx, "checks were not evaluated: tried again in a minute", "tenant", tenant, "err", err)
			}
		}
	}
}

// Step evaluates the checks of a tenant that are due, unless another server does. The
// summary is nil where nothing was due.
func (a *Assessor) Step(ctx context.Context, tenant uint32) (*Summary, error) {
	due, _, err := a.due(ctx, tenant)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	ok, err := a.take(ctx, tenant)
	if err != nil || !ok {
		return nil, err
	}
	defer a.give(ctx, tenant)
	// What another server has done meanwhile is not due any more.
	due, again, err := a.due(ctx, tenant)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, lease)
	defer cancel()
	s, err := a.collect(within, tenant, due, func(r *compliance.Result) bool { return again[r.Variant] && r.Outcome == compliance.NoData }, nil)
	if err != nil {
		return nil, err
	}
	if len(again) > 0 {
		if _, err := sqldb.Exec(ctx, a.DB, `UPDATE assess_turn SET looked_at = $1 WHERE tenant = $2`, a.Now().UnixMicro(), int64(tenant)); err != nil {
			return s, fmt.Errorf("note that checks without data were looked at: %w", err)
		}
	}
	return s, nil
}

// due returns the variants that are due; again marks those that are so only since they
// had no data, and were not looked at for an hour.
func (a *Assessor) due(ctx context.Context, tenant uint32) (due []compliance.Variant, again map[string]bool, err error) {
	variants, err := a.Compliance.Variants(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	latest, err := a.Compliance.Results(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	looked, err := sqldb.All(ctx, a.DB, func(rows *sql.Rows, t *time.Time) error { return rows.Scan(sqldb.Micros(t)) }, `SELECT looked_at FROM assess_turn WHERE tenant = $1`, int64(tenant))
	if err != nil {
		return nil, nil, fmt.Errorf("read when checks without data were looked at: %w", err)
	}
	now := a.Now()
	rested := len(looked) == 0 || now.Sub(looked[0]) >= retry
	again = map[string]bool{}
	for _, v := range variants {
		c, r := a.Compliance.Catalogue.Check(v.Check), latest[v.Key()]
		if r == nil || c == nil {
			due = append(due, v)
			continue
		}
		age := now.Sub(r.CollectedAt)
		switch {
		case age >= time.Duration(float64(c.Cadence)*early):
			due = append(due, v)
		case r.Outcome == compliance.NoData && rested && age >= retry:
			due = append(due, v)
			again[v.Key()] = true
		}
	}
	return due, again, nil
}

// take takes the tenant's turn, so that no other server evaluates its checks.
func (a *Assessor) take(ctx context.Context, tenant uint32) (bool, error) {
	now := a.Now()
	n, err := sqldb.Exec(ctx, a.DB, `INSERT INTO assess_turn (tenant, holder, lease_until) VALUES ($1, $2, $3)
		ON CONFLICT (tenant) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until WHERE assess_turn.lease_until <= $4`,
		int64(tenant), a.holder, now.Add(lease+time.Minute).UnixMicro(), now.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("take the turn to evaluate checks: %w", err)
	}
	return n > 0, nil
}

// give gives the turn back.
func (a *Assessor) give(ctx context.Context, tenant uint32) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := sqldb.Exec(end, a.DB, `UPDATE assess_turn SET lease_until = 0 WHERE tenant = $1 AND holder = $2`, int64(tenant), a.holder); err != nil {
		a.Log.WarnContext(ctx, "the turn to evaluate checks is kept until its lease ends", "tenant", tenant, "err", err)
	}
}
