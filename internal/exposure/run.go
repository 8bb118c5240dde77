package exposure

import (
	"context"
	"database/sql"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	flushEvery  = 5 * time.Second
	ageEvery    = 10 * time.Minute
	checkEvery  = 24 * time.Hour
	checksBegun = 5 // at a time
)

// Run writes down what was seen, notices names that are gone, and begins active checks
// once a day, until ctx is done; then it writes a last time. Several servers on one
// database may run it.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var aged time.Time
	for {
		err := s.Load(ctx)
		if err == nil {
			err = s.Flush(ctx)
		}
		if err == nil && s.now().Sub(aged) >= ageEvery {
			aged = s.now()
			if err = s.age(ctx); err == nil {
				err = s.begin(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "names that were seen wait to be written", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.Flush(last); err != nil {
				s.Log.WarnContext(last, "names that were seen are not written: the next events show them again", "err", err)
			}
			return nil
		}
	}
}

// age says of names that were not seen for as long as their domain says that they are
// gone; the domain's own name never is.
func (s *Service) age(ctx context.Context) error {
	const day = int64(24 * time.Hour / time.Microsecond)
	_, err := sqldb.Exec(ctx, s.DB, `UPDATE exposure_name SET state = 'gone' WHERE state IN ('new', 'known')
		AND last_seen < $1 - $2 * (SELECT d.gone_days FROM exposure_domain d WHERE d.id = exposure_name.domain)
		AND name <> (SELECT d.name FROM exposure_domain d WHERE d.id = exposure_name.domain)`, s.now().UnixMicro(), day)
	return fault.Wrap("age names", err)
}

// begin starts the checks that are due. Whoever moves checked_at starts one.
func (s *Service) begin(ctx context.Context) error {
	if s.StartCheck == nil || s.Guard == nil {
		return nil
	}
	type row struct {
		id     string
		tenant int64
	}
	now := s.now()
	before := now.Add(-checkEvery).UnixMicro()
	const due = ` active_checks AND verified_at IS NOT NULL AND coalesce(checked_at, 0) < `
	rows, err := sqldb.All(ctx, s.DB, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.id, &r.tenant) },
		`SELECT id, tenant FROM exposure_domain WHERE`+due+`$1 ORDER BY id LIMIT $2`, before, checksBegun)
	if err != nil {
		return fault.Wrap("look for domains to check", err)
	}
	for _, r := range rows {
		n, err := sqldb.Exec(ctx, s.DB, `UPDATE exposure_domain SET checked_at = $1 WHERE id = $2 AND`+due+`$3`, now.UnixMicro(), r.id, before)
		if err == nil && n == 1 {
			err = s.StartCheck(ctx, uint32(r.tenant), r.id) //nolint:gosec // it was one
		}
		if err != nil {
			return fault.Wrap("begin to check a domain", err)
		}
	}
	return nil
}
