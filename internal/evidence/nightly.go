package evidence

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Health is what a look at all evidence of a tenant found.
type Health struct {
	At      time.Time
	Records int64 // that were looked at
	Flaws   int64 // what is not as it was kept, up to maxFlaws
	First   Flaw  // the first of them
}

// takesAtMost is after how long a look that did not end is begun again by another server.
const takesAtMost = 6 * time.Hour

// Nightly looks at all evidence of the tenant, records and files, unless that was done
// since midnight, UTC, or another server is doing it: then the result is nil. fresh tells
// that something is wrong which the look before did not find. raise, which makes that
// known, is called then, in the transaction that keeps the result: neither is there
// without the other. Where either fails, the look is begun again after a time.
func (s *Service) Nightly(ctx context.Context, tenant uint32, now time.Time, raise func(ctx context.Context, tx *sqldb.DB, v *Health) error) (v *Health, fresh bool, err error) {
	before, err := s.LastHealth(ctx, tenant)
	if err != nil {
		return nil, false, err
	}
	midnight := now.UTC().Truncate(24 * time.Hour)
	n, err := sqldb.Exec(ctx, s.DB, `INSERT INTO evidence_check (tenant, claimed_at, at, records, flaws, record, seq, what) VALUES ($1, $2, 0, 0, 0, '', 0, '')
		ON CONFLICT (tenant) DO UPDATE SET claimed_at = excluded.claimed_at WHERE evidence_check.at < $3 AND (evidence_check.claimed_at < $3 OR evidence_check.claimed_at < $4)`,
		int64(tenant), now.UnixMicro(), midnight.UnixMicro(), now.Add(-takesAtMost).UnixMicro())
	if err != nil || n == 0 {
		return nil, false, fault.Wrap("begin to check evidence", err)
	}
	records, flaws, err := s.CheckAll(ctx, tenant)
	if err != nil {
		return nil, false, err
	}
	v = &Health{At: now.UTC().Truncate(time.Microsecond), Records: records, Flaws: int64(len(flaws))}
	if len(flaws) > 0 {
		v.First = flaws[0]
		fresh = before == nil || before.First != v.First || before.Flaws < v.Flaws
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		_, err := sqldb.Exec(ctx, tx, `UPDATE evidence_check SET at = $2, records = $3, flaws = $4, record = $5, seq = $6, what = $7 WHERE tenant = $1`,
			int64(tenant), v.At.UnixMicro(), v.Records, v.Flaws, v.First.ID, v.First.Seq, v.First.What)
		if err != nil || !fresh {
			return err
		}
		return raise(ctx, tx, v)
	})
	if err != nil {
		return nil, false, fault.Wrap("keep what checking evidence found", err)
	}
	return v, fresh, nil
}

// LastHealth returns what the last nightly look found, nil where there was none.
func (s *Service) LastHealth(ctx context.Context, tenant uint32) (*Health, error) {
	return LastHealth(ctx, s.DB, tenant)
}

// LastHealth is the method of that name for those who have the database alone.
func LastHealth(ctx context.Context, db *sqldb.DB, tenant uint32) (*Health, error) {
	v, err := sqldb.One(ctx, db, func(rows *sql.Rows, v *Health) error {
		return rows.Scan(sqldb.Micros(&v.At), &v.Records, &v.Flaws, &v.First.ID, &v.First.Seq, &v.First.What)
	}, `SELECT at, records, flaws, record, seq, what FROM evidence_check WHERE tenant = $1 AND at > 0`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	return &v, fault.Wrap("read what checking evidence found", err)
}
