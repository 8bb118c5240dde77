package sight

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Flush writes down what was seen since the last time. Run calls it.
func (s *Service) Flush(ctx context.Context) error {
	sources, fields, refused := s.observer.changed()
	if refused > 0 {
		s.options.Log.WarnContext(ctx, "events carry more names of fields than are watched", "names", refused)
	}
	// Writers that lock rows in one order wait for each other in turn.
	slices.SortFunc(sources, func(a, b sourceRow) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.source, b.source))
	})
	slices.SortFunc(fields, func(a, b fieldRow) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.source, b.source), cmp.Compare(a.field, b.field))
	})
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		for rows := range slices.Chunk(sources, rowsAtOnce) {
			var args []any
			for _, r := range rows {
				args = append(args, int64(r.tenant), r.source, r.first, r.last)
			}
			if _, err := sqldb.Exec(ctx, tx, `INSERT INTO sight_source (tenant, source, first_at, last_at) VALUES `+sqldb.Rows(len(rows), 4)+`
				ON CONFLICT (tenant, source) DO UPDATE SET last_at = excluded.last_at WHERE sight_source.last_at < excluded.last_at`, args...); err != nil {
				return err
			}
		}
		for rows := range slices.Chunk(fields, rowsAtOnce) {
			var args []any
			for _, r := range rows {
				args = append(args, int64(r.tenant), r.source, r.field, r.last)
			}
			if _, err := sqldb.Exec(ctx, tx, `INSERT INTO sight_field (tenant, source, field, last_at) VALUES `+sqldb.Rows(len(rows), 4)+`
				ON CONFLICT (tenant, source, field) DO UPDATE SET last_at = excluded.last_at WHERE sight_field.last_at < excluded.last_at`, args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write what was seen: %w", err)
	}
	s.observer.saved(sources, fields)
	return nil
}

const rowsAtOnce = 200

// load reads what the database knows of a tenant since from.
func (s *Service) load(ctx context.Context, tenant uint32, from int64) (map[string]*Source, error) {
	out := map[string]*Source{}
	type row struct {
		source, field string
		first, last   int64
	}
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.source, &r.first, &r.last) },
			`SELECT source, first_at, last_at FROM sight_source WHERE tenant = $1 AND last_at >= $2`, int64(tenant), from) {
			if err != nil {
				return err
			}
			x := newSource(parseSource(r.source))
			x.seen(r.first, r.last)
			out[r.source] = x
		}
		for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.source, &r.field, &r.last) },
			`SELECT source, field, last_at FROM sight_field WHERE tenant = $1 AND last_at >= $2`, int64(tenant), from) {
			if err != nil {
				return err
			}
			if x := out[r.source]; x != nil {
				x.fill(r.field, r.last)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what was seen: %w", err)
	}
	return out, nil
}

// What the database keeps of a tenant.
const (
	keepRows  = 30 * 24 * time.Hour
	maxFields = 50_000
)

// forget removes what is old, and what is too much: senders choose names.
func (s *Service) forget(ctx context.Context) error {
	old := s.options.Now().Add(-keepRows).UnixMicro()
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		for _, query := range []string{`DELETE FROM sight_field WHERE last_at < $1`, `DELETE FROM sight_source WHERE last_at < $1`} {
			if _, err := sqldb.Exec(ctx, tx, query, old); err != nil {
				return err
			}
		}
		tenants, err := sqldb.All(ctx, tx, sqldb.Value[int64], `SELECT tenant FROM sight_field GROUP BY tenant HAVING count(*) > $1`, maxFields)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			if _, err := sqldb.Exec(ctx, tx, `DELETE FROM sight_field WHERE tenant = $1 AND last_at <= (
				SELECT last_at FROM sight_field WHERE tenant = $1 ORDER BY last_at DESC LIMIT 1 OFFSET $2)`, t, maxFields); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget what was seen long ago: %w", err)
	}
	return nil
}
