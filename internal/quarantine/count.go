package quarantine

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Count adds quarantined records of one tenant, source, reason and hour.
type Count struct {
	Tenant      uint32
	Source      string
	Reason      parse.Reason
	First, Last int64 // arrival of the first and the last, nanoseconds, within one hour
	Records     int64
	Sample      event.ID // the last one
}

// Record adds counts in the caller's transaction.
func Record(ctx context.Context, tx *sqldb.DB, counts []Count) error {
	counts = slices.Clone(counts)
	slices.SortFunc(counts, func(a, b Count) int { // two transactions then wait for each other in turn
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.First, b.First))
	})
	for i := range counts {
		c := &counts[i]
		_, err := sqldb.Exec(ctx, tx, `
			INSERT INTO quarantine_count (tenant, source, reason, hour, records, first_at, last_at, sample) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (tenant, source, reason, hour) DO UPDATE SET
				records = quarantine_count.records + excluded.records,
				first_at = CASE WHEN quarantine_count.first_at < excluded.first_at THEN quarantine_count.first_at ELSE excluded.first_at END,
				sample = CASE WHEN quarantine_count.last_at > excluded.last_at THEN quarantine_count.sample ELSE excluded.sample END,
				last_at = CASE WHEN quarantine_count.last_at > excluded.last_at THEN quarantine_count.last_at ELSE excluded.last_at END`,
			int64(c.Tenant), c.Source, string(c.Reason), c.First/int64(time.Hour), c.Records, c.First/1000, c.Last/1000, c.Sample.String())
		if err != nil {
			return fmt.Errorf("count quarantined records: %w", err)
		}
	}
	return nil
}

// withdraw takes counts back; a line that comes to nothing goes. One that is not there
// yet comes with the pipeline's next checkpoint.
func withdraw(ctx context.Context, tx *sqldb.DB, tenant uint32, counts []moved) error {
	for _, c := range counts {
		at := c.Hour * int64(time.Hour/time.Microsecond)
		_, err := sqldb.Exec(ctx, tx, `
			INSERT INTO quarantine_count (tenant, source, reason, hour, records, first_at, last_at, sample) VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
			ON CONFLICT (tenant, source, reason, hour) DO UPDATE SET records = quarantine_count.records + excluded.records`,
			int64(tenant), c.Source, c.Reason, c.Hour, -c.Records, at, event.ID{}.String())
		if err != nil {
			return fmt.Errorf("withdraw quarantined records: %w", err)
		}
		_, err = sqldb.Exec(ctx, tx, `DELETE FROM quarantine_count WHERE tenant = $1 AND source = $2 AND reason = $3 AND hour = $4 AND records = 0`,
			int64(tenant), c.Source, c.Reason, c.Hour)
		if err != nil {
			return fmt.Errorf("withdraw quarantined records: %w", err)
		}
	}
	return nil
}

// A Query asks for groups.
type Query struct {
	From, To   time.Time // of arrival, by whole hours that begin from ≤ hour < to; zero: any
	Source     string    // "": all
	Reason     string    // "": all
	Ascending  bool      // the smallest group first
	Page, Size int
}

// A Group is what one source has in quarantine for one reason.
type Group struct {
	Source      string
	Reason      parse.Reason
	Records     int64
	First, Last time.Time // arrival
	Sample      event.ID  // of the newest event
}

// A Page is groups, the largest first.
type Page struct {
	Groups  []Group
	Total   int64 // groups on all pages
	Records int64 // on all pages
}

// MaxSize bounds a page.
const MaxSize = 100

// List returns a page of a tenant's groups.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (*Page, error) {
	if q.Size < 1 || q.Size > MaxSize || q.Page < 0 {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d", MaxSize).In("size")
	}
	direction := "DESC"
	if q.Ascending {
		direction = "ASC"
	}
	where, args := ` WHERE tenant = $1`, []any{int64(tenant)}
	add := func(text string, v any) {
		args = append(args, v)
		where += fmt.Sprintf(text, len(args))
	}
	if !q.From.IsZero() {
		add(` AND hour >= $%d`, q.From.Unix()/3600)
	}
	if !q.To.IsZero() {
		add(` AND hour < $%d`, (q.To.Unix()+3599)/3600)
	}
	if q.Source != "" {
		add(` AND source = $%d`, q.Source)
	}
	if q.Reason != "" {
		add(` AND reason = $%d`, q.Reason)
	}
	p := &Page{}
	err := s.DB.View(ctx, func(tx *sqldb.DB) error {
		type sums struct{ groups, records int64 }
		all, err := sqldb.One(ctx, tx, func(rows *sql.Rows, n *sums) error { return rows.Scan(&n.groups, &n.records) },
			`SELECT COUNT(*), CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM (SELECT SUM(records) AS n FROM quarantine_count`+where+` GROUP BY source, reason HAVING SUM(records) > 0) g`, args...)
		if err != nil {
			return err
		}
		p.Total, p.Records = all.groups, all.records
		p.Groups, err = sqldb.All(ctx, tx, func(rows *sql.Rows, g *Group) error {
			var sample string
			err := rows.Scan(&g.Source, &g.Reason, &g.Records, sqldb.Micros(&g.First), sqldb.Micros(&g.Last), &sample)
			if err == nil {
				g.Sample, err = event.ParseID(sample)
			}
			return err
		}, `SELECT g.source, g.reason, g.n, g.first_at, g.last_at,
				(SELECT MAX(c.sample) FROM quarantine_count c WHERE c.tenant = $1 AND c.source = g.source AND c.reason = g.reason AND c.last_at = g.last_at)
			FROM (SELECT source, reason, CAST(SUM(records) AS BIGINT) AS n, MIN(first_at) AS first_at, MAX(last_at) AS last_at FROM quarantine_count`+where+`
				GROUP BY source, reason HAVING SUM(records) > 0) g
			ORDER BY g.n `+direction+`, g.source, g.reason LIMIT `+fmt.Sprintf("%d OFFSET %d", q.Size, q.Page*q.Size), args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list quarantine: %w", err)
	}
	return p, nil
}

// Prune forgets counts of hours before a time.
func (s *Service) Prune(ctx context.Context, before time.Time) error {
	if _, err := sqldb.Exec(ctx, s.DB, `DELETE FROM quarantine_count WHERE hour < $1`, before.Unix()/3600); err != nil {
		return fmt.Errorf("forget old counts of the quarantine: %w", err)
	}
	return nil
}
