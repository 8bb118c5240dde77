package retention

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// MaxDays bounds how many days of event time may hold events at once: about eleven
// years. Each open day costs the event store some 70 KiB and two open files, so
// that a sender of made-up times could end it.
const MaxDays = 4000

// Days knows which days of event time hold events. It may be used by several
// goroutines.
type Days struct {
	mu    sync.Mutex
	known map[Day]struct{}
	limit int
}

// LoadDays reads the days from the database. limit bounds their number; 0 is MaxDays.
func LoadDays(ctx context.Context, db *sqldb.DB, limit int) (*Days, error) {
	list, err := sqldb.All(ctx, db, sqldb.Value[int64], `SELECT day_no FROM event_day`)
	if err != nil {
		return nil, fmt.Errorf("read days: %w", err)
	}
	d := &Days{known: make(map[Day]struct{}, len(list)), limit: cmp.Or(limit, MaxDays)}
	for _, n := range list {
		d.known[Day(n)] = struct{}{}
	}
	return d, nil
}

// Admit tells whether events of day may be stored under it: false for a new day
// when there are as many as there may be.
func (d *Days) Admit(day Day) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.known[day]; ok {
		return true
	}
	if len(d.known) >= d.limit {
		return false
	}
	d.known[day] = struct{}{}
	return true
}

func (d *Days) forget(day Day) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, day)
}
