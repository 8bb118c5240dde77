package retention

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

type dayArrival struct {
	day  int64
	last time.Time
}

// fitBytes drops the oldest arrivals until everything fits into MaxBytes. The
// last two days of arrival always stay, and what is held. early tells whether it dropped any.
func (k *Keeper) fitBytes(ctx context.Context, tenants []tenant.Tenant, now time.Time, keep *holding) (early bool, err error) {
	for k.MaxBytes > 0 {
		usage, err := k.Store.Usage(ctx)
		if err != nil {
			return early, err
		}
		archived, oldest, err := k.Archive.Usage()
		if err != nil {
			return early, err
		}
		if int64(usage.Bytes)+archived <= k.MaxBytes { //nolint:gosec // no disk holds 2^63 bytes
			return early, nil
		}
		limit := now.AddDate(0, 0, -2)
		day, err := k.oldestDay(ctx, limit, keep)
		if err != nil {
			return early, err
		}
		until := limit.Truncate(24 * time.Hour) // what arrived before the oldest day of the store goes first
		if day != nil {
			until = day.last.Truncate(24 * time.Hour)
		}
		freed, err := k.freeArchive(ctx, tenants, keep, oldest, until)
		if err == nil && freed == 0 && day == nil {
			k.Log.WarnContext(ctx, "more bytes than retention allows, but all are of the last two days or under a legal hold", "bytes", usage.Bytes, "archive_bytes", archived, "max_bytes", k.MaxBytes, "held_tenants", len(keep.tenants))
			return early, nil
		}
		if err == nil && freed == 0 {
			for _, t := range tenants {
				if !keep.tenants[t.Number] {
					k.removing(ctx, t.Number, day.last.Add(time.Microsecond))
				}
			}
			err = k.drop(ctx, Day(day.day))
		}
		if err != nil {
			return early, err
		}
		early = true
	}
	return early, nil
}

// oldestDay returns the day that arrived first, before limit, and is not held; nil for none.
func (k *Keeper) oldestDay(ctx context.Context, limit time.Time, keep *holding) (*dayArrival, error) {
	days, err := sqldb.All(ctx, k.DB, func(r *sql.Rows, d *dayArrival) error {
		return r.Scan(&d.day, sqldb.Micros(&d.last))
	}, `SELECT day_no, last_arrival FROM event_day WHERE last_arrival < $1 ORDER BY last_arrival, day_no`, limit.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("find days to drop: %w", err)
	}
	for i := range days {
		if kept, err := keep.keeps(ctx, Day(days[i].day)); err != nil || !kept {
			return &days[i], err
		}
	}
	return nil, nil
}

// freeArchive drops the oldest day of the raw archive, before until, of which anything
// may go, and returns how many bytes that were.
func (k *Keeper) freeArchive(ctx context.Context, tenants []tenant.Tenant, keep *holding, oldest, until time.Time) (freed int64, err error) {
	if oldest.IsZero() {
		return 0, nil
	}
	for at := oldest; at.Before(until) && freed == 0; at = at.AddDate(0, 0, 1) {
		for _, t := range tenants {
			if keep.tenants[t.Number] {
				continue
			}
			next := at.AddDate(0, 0, 1)
			first, err := k.Archive.Oldest(t.Number)
			if err != nil {
				return freed, err
			}
			if !first.Before(next) { // nothing of it goes
				continue
			}
			k.removing(ctx, t.Number, next)
			n, err := k.Archive.DropBefore(t.Number, next)
			if err != nil {
				return freed, err
			}
			freed += n
		}
		if freed > 0 {
			k.Log.InfoContext(ctx, "a day of the raw archive was dropped", "day", at.Format("20060102"), "bytes", freed)
		}
	}
	return freed, nil
}
