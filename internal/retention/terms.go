package retention

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Applied tells when the terms were last applied to the end, and when events last went
// before their term was over for want of room; zero: never.
type Applied struct{ At, EarlyAt time.Time }

// LastApplied reads what Apply wrote down.
func LastApplied(ctx context.Context, db *sqldb.DB) (Applied, error) {
	a, err := sqldb.One(ctx, db, func(rows *sql.Rows, a *Applied) error {
		var at int64
		var early *int64
		err := rows.Scan(&at, &early)
		a.At = time.UnixMicro(at).UTC()
		if early != nil {
			a.EarlyAt = time.UnixMicro(*early).UTC()
		}
		return err
	}, `SELECT ended_at, early_at FROM retention_run WHERE one = 1`)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return a, fmt.Errorf("read when the terms were applied: %w", err)
	}
	return a, nil
}

// A SearchFunc answers a request, in its turn among the searches of people.
type SearchFunc func(context.Context, eventstore.Request) (*eventstore.Result, error)

// Count tells how many events a tenant has, and how many of them arrived before limit: a
// term that begins there would remove those. It removes nothing.
func Count(ctx context.Context, search SearchFunc, tenant uint32, limit time.Time) (all, before uint64, err error) {
	r := eventstore.Request{Tenant: tenant, From: eventstore.MinTime, To: eventstore.MaxTime + 1}
	found, err := search(ctx, r)
	if err != nil {
		return 0, 0, fmt.Errorf("count events: %w", err)
	}
	r.Filter = query.Span{Field: query.NewField(event.IngestTime), From: eventstore.MinTime, To: limit.UnixNano()}
	old, err := search(ctx, r)
	if err != nil {
		return 0, 0, fmt.Errorf("count events: %w", err)
	}
	if missing := found.Partial + old.Partial; missing != "" {
		return 0, 0, fault.New(fault.Unavailable, "only a part of the events can be counted: %s", missing)
	}
	return found.Total, old.Total, nil
}
