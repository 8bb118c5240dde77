package alert

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// plain answers a query of severity and status alone: the total from counters, the
// page's place too where the order is by creation.
func (l *lister) plain(ctx context.Context) (*Page, error) {
	p := &Page{Alerts: []Alert{}, Total: l.count(l.sets)}
	if l.offset() >= p.Total {
		return p, nil
	}
	var err error
	switch l.q.Sort {
	case "createdAt":
		p.Alerts, err = l.byCreation(ctx, l.sets, l.offset(), int64(l.q.Size))
	case "severity":
		groups := slices.Clone(event.Severities)
		p.Alerts, err = grouped(ctx, l, groups, func(sev string, s set) bool { return s.severity == "" || s.severity == sev }, func(sev string, s set) set { return set{sev, s.status} })
	case "status":
		groups := slices.Clone(Statuses)
		slices.Reverse(groups)
		p.Alerts, err = grouped(ctx, l, groups, func(st Status, s set) bool { return s.status == "" || s.status == st }, func(st Status, s set) set { return set{s.severity, st} })
	default:
		p.Alerts, err = l.page(ctx)
	}
	return p, err
}

// grouped lists group after group, in descending order of groups, within each by
// creation. Counters tell which groups a page lies in.
func grouped[G any](ctx context.Context, l *lister, groups []G, in func(G, set) bool, narrow func(G, set) set) ([]Alert, error) {
	if l.q.Ascending {
		slices.Reverse(groups)
	}
	all := []Alert{}
	skip, want := l.offset(), int64(l.q.Size)
	for _, g := range groups {
		var sets []set
		for _, s := range l.sets {
			if in(g, s) {
				sets = append(sets, narrow(g, s))
			}
		}
		n := l.count(sets)
		if skip >= n {
			skip -= n
			continue
		}
		part, err := l.byCreation(ctx, sets, skip, want)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		skip, want = 0, want-int64(len(part))
		if want == 0 {
			break
		}
	}
	return all, nil
}

// page answers by the filter and order as they are; the planner chooses the index.
func (l *lister) page(ctx context.Context) ([]Alert, error) {
	var b builder
	// A narrow set is gathered by its own index and then sorted: walking the sort's
	// index would read all alerts to find few.
	if n := l.count(l.sets); n <= l.limits.small && l.q.Sort != "createdAt" {
		b.w(`SELECT `, alertColumns, ` FROM (SELECT a.seq FROM alert a `)
		l.where(&b, false)
		b.w(` ORDER BY a.created_at DESC, a.seq DESC LIMIT `, b.p(n), `) s JOIN alert a ON a.seq = s.seq`)
	} else {
		b.w(`SELECT `, alertColumns, ` FROM `)
		l.from(&b, l.q.Sort != "createdAt" || len(l.sets) > 1)
	}
	order := l.q.order()
	if l.q.Entity != "" && l.q.Sort == "createdAt" {
		// Row numbers rise with creation, and an entity's are in that order already.
		order = "e.seq DESC"
		if l.q.Ascending {
			order = "e.seq ASC"
		}
	}
	b.w(` ORDER BY `, order, ` LIMIT `, b.p(l.q.Size), ` OFFSET `, b.p(l.offset()))
	return sqldb.All(ctx, l.tx, scanAlert, b.String(), b.args...)
}

// filtered answers a query with filters that no counter knows.
func (l *lister) filtered(ctx context.Context) (*Page, error) {
	n, err := l.countFiltered(ctx, l.limits.count+1)
	if err != nil {
		return nil, err
	}
	p := &Page{Alerts: []Alert{}, Total: min(n, l.limits.count), Capped: n > l.limits.count}
	if l.offset() >= n && !p.Capped {
		return p, nil
	}
	p.Alerts, err = l.page(ctx)
	return p, err
}

// countFiltered counts the alerts that all filters but the search choose, up to limit.
func (l *lister) countFiltered(ctx context.Context, limit int64) (int64, error) {
	var b builder
	b.w(`SELECT count(*) FROM (SELECT 1 FROM `)
	l.from(&b, false)
	b.w(` LIMIT `, b.p(limit), `) s`)
	return sqldb.One(ctx, l.tx, sqldb.Value[int64], b.String(), b.args...)
}

// byCreation returns size alerts of the sets, in order of creation, after skipping
// offset of them. Counters of days and hours tell in which hour that is, so that
// rows are skipped within one hour only; past the middle it counts from the end.
func (l *lister) byCreation(ctx context.Context, sets []set, offset, size int64) ([]Alert, error) {
	total := l.count(sets)
	size = min(size, total-offset)
	if size <= 0 {
		return []Alert{}, nil
	}
	ascending, flip := l.q.Ascending, offset > total/2
	if flip {
		ascending, offset = !ascending, total-offset-size
	}
	bound, before, err := l.hour(ctx, sets, offset, ascending)
	if err != nil {
		return nil, err
	}
	offset -= before
	dir, cmp := " DESC", " < "
	if ascending {
		dir, cmp = " ASC", " >= "
	}
	var b builder
	b.w(`SELECT `, alertColumns, ` FROM (`)
	for i, s := range sets {
		if i > 0 {
			b.w(` UNION ALL `)
		}
		// Each set is walked by its own index, and no further than needed.
		b.w(`SELECT * FROM (SELECT a.seq, a.created_at FROM alert a `)
		s.where(&b, l.tenant)
		if bound != nil {
			b.w(` AND a.created_at`, cmp, b.p(*bound))
		}
		b.w(` ORDER BY a.created_at`, dir, `, a.seq`, dir, ` LIMIT `, b.p(offset+size), `) s`, strconv.Itoa(i))
	}
	b.w(`) k JOIN alert a ON a.seq = k.seq ORDER BY k.created_at`, dir, `, k.seq`, dir, ` LIMIT `, b.p(size), ` OFFSET `, b.p(offset))
	list, err := sqldb.All(ctx, l.tx, scanAlert, b.String(), b.args...)
	if flip {
		slices.Reverse(list)
	}
	return list, err
}

// hour finds the bound of created_at that the row at offset lies next to: before it
// when descending, at or after it when ascending; and how many rows lie beyond it.
func (l *lister) hour(ctx context.Context, sets []set, offset int64, ascending bool) (bound *int64, before int64, err error) {
	if offset < l.limits.near {
		return nil, 0, nil
	}
	type bucket struct{ at, n int64 }
	scan := func(rows *sql.Rows, v *bucket) error { return rows.Scan(&v.at, &v.n) }
	dir := " DESC"
	if ascending {
		dir = " ASC"
	}
	buckets := func(table, column, extra string) (string, []any) {
		var b builder
		b.w(`SELECT c.`, column, `, CAST(sum(c.n) AS BIGINT) FROM `, table, ` c WHERE c.tenant = `, b.p(int64(l.tenant)), extra)
		if s := sets[0]; len(sets) > 1 || s != (set{}) {
			b.w(` AND (`)
			for i, s := range sets {
				if i > 0 {
					b.w(` OR `)
				}
				b.w(`(1 = 1`)
				if s.severity != "" {
					b.w(` AND c.severity = `, b.p(s.severity))
				}
				if s.status != "" {
					b.w(` AND c.status = `, b.p(string(s.status)))
				}
				b.w(`)`)
			}
			b.w(`)`)
		}
		b.w(` GROUP BY c.`, column, ` ORDER BY c.`, column, dir)
		return b.String(), b.args
	}
	// place walks the buckets to the one that holds the row at offset.
	place := func(table, column, extra string) (int64, error) {
		query, args := buckets(table, column, extra)
		last := int64(-1)
		for v, err := range sqldb.Stream(ctx, l.tx, scan, query, args...) {
			if err != nil {
				return 0, err
			}
			last = v.at
			if before+v.n > offset {
				return v.at, nil
			}
			before += v.n
		}
		return 0, fmt.Errorf("alert counters end at %s %d, before row %d", column, last, offset)
	}
	day, err := place("alert_day", "day", "")
	if err != nil {
		return nil, 0, err
	}
	hour, err := place("alert_hour", "hour", fmt.Sprintf(" AND c.hour >= %d AND c.hour < %d", day*24, day*24+24))
	if err != nil {
		return nil, 0, err
	}
	at := (hour + 1) * hourMicros
	if ascending {
		at = hour * hourMicros
	}
	return &at, before, nil
}
