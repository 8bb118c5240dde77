package tenant

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Demo is a tenant that holds demo data for the people of another. The wall between
// tenants keeps it from everything real: no count, score, evidence or notification of
// theirs knows of it, and it can be removed whole.
type Demo struct {
	Number    uint32 // of the tenant that holds the data
	Of        uint32 // of the one whose people look at it
	CreatedAt time.Time
	CreatedBy string
}

func scanDemo(rows *sql.Rows, d *Demo) error {
	return rows.Scan(&d.Number, &d.Of, sqldb.Micros(&d.CreatedAt), &d.CreatedBy)
}

const selectDemo = `SELECT number, of_tenant, created_at, created_by FROM tenant_demo`

// DemoOf returns the demo tenant of that tenant, or the entry of a demo tenant itself;
// fault.NotFound where there is none.
func (s *Service) DemoOf(ctx context.Context, number uint32) (*Demo, error) {
	d, err := sqldb.One(ctx, s.db, scanDemo, selectDemo+` WHERE of_tenant = $1 OR number = $1`, int64(number))
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "there is no demo data")
	}
	if err != nil {
		return nil, fmt.Errorf("get demo: %w", err)
	}
	return &d, nil
}

// Demos returns all demo tenants, by their number.
func (s *Service) Demos(ctx context.Context) (map[uint32]Demo, error) {
	all, err := sqldb.All(ctx, s.db, scanDemo, selectDemo)
	if err != nil {
		return nil, fmt.Errorf("list demos: %w", err)
	}
	out := make(map[uint32]Demo, len(all))
	for _, d := range all {
		out[d.Number] = d
	}
	return out, nil
}

// CreateDemo makes the demo tenant of a tenant, whole or not at all. Where it has one, or
// is one itself, that is fault.Conflict.
func (s *Service) CreateDemo(ctx context.Context, actor string, of *Tenant) (*Tenant, error) {
	if _, err := s.DemoOf(ctx, of.Number); !errors.Is(err, fault.NotFound) {
		if err == nil {
			err = fault.New(fault.Conflict, "there is demo data already")
		}
		return nil, err
	}
	name := "Demo: " + of.Name
	if utf8.RuneCountInString(name) > 100 {
		name = string([]rune(name)[:100])
	}
	if _, err := s.ByName(ctx, name); err == nil { // somebody's own
		name = strings.TrimSpace(string([]rune(name)[:min(utf8.RuneCountInString(name), 80)])) + " " + of.ID[len(of.ID)-8:]
	}
	var t *Tenant
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if t, err = New(tx).Create(ctx, actor, Draft{Name: name, Plan: CUSTOM}); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO tenant_demo (number, of_tenant, created_at, created_by) VALUES ($1, $2, $3, $4)`,
			int64(t.Number), int64(of.Number), t.CreatedAt.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: of.Number, At: t.CreatedAt, Actor: actor, Action: "demo.on", Object: t.ID, Detail: map[string]any{"name": t.Name}})
	})
	switch {
	case sqldb.Violation(err) == sqldb.Unique: // somebody else was faster
		return nil, fault.New(fault.Conflict, "there is demo data already").Because(err)
	case err != nil:
		return nil, fmt.Errorf("create demo: %w", err)
	}
	return t, nil
}

// EmptyDemo removes every row that carries the number of a tenant's demo tenant, but for
// the tenant itself: nothing writes into it any more, and what removes the rest may fail
// and be begun again.
func (s *Service) EmptyDemo(ctx context.Context, d *Demo) error {
	if err := s.isDemo(ctx, d); err != nil {
		return err
	}
	return s.forget(ctx, d.Number, nil)
}

// RemoveDemo removes the demo tenant of a tenant with every row that carries its number.
// Its audit log and the chain of its evidence stay, since nothing may be taken out of
// either: nobody can open them any more. Events are the caller's to erase, before.
func (s *Service) RemoveDemo(ctx context.Context, actor string, d *Demo) error {
	if err := s.isDemo(ctx, d); err != nil {
		return err
	}
	t, err := s.ByNumber(ctx, d.Number)
	if err != nil {
		return err
	}
	return s.forget(ctx, d.Number, func(tx *sqldb.DB) error {
		for _, query := range []string{`DELETE FROM tenant_demo WHERE number = $1`, `DELETE FROM tenant WHERE number = $1`} {
			if _, err := sqldb.Exec(ctx, tx, query, int64(d.Number)); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: d.Of, Actor: actor, Action: "demo.off", Object: t.ID, Detail: map[string]any{"name": t.Name}})
	})
}

// isDemo refuses what would empty a real tenant.
func (s *Service) isDemo(ctx context.Context, d *Demo) error {
	switch known, err := s.DemoOf(ctx, d.Of); {
	case err != nil:
		return err
	case known.Number != d.Number || known.Of != d.Of:
		return fault.New(fault.Conflict, "that tenant is no demo")
	}
	return nil
}

// kept tells of tables whose rows nothing may remove: they are append-only.
func kept(table string) bool {
	return strings.HasPrefix(table, "audit_") || strings.HasPrefix(table, "evidence_")
}

// forget removes all rows of a tenant, and does what also does, in one transaction.
func (s *Service) forget(ctx context.Context, number uint32, also func(tx *sqldb.DB) error) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		query := `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'tenant' WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name`
		if tx.Dialect() == sqldb.Postgres {
			query = `SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t ON t.table_name = c.table_name AND t.table_schema = c.table_schema
				WHERE c.column_name = 'tenant' AND c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' ORDER BY c.table_name`
		}
		tables, err := sqldb.All(ctx, tx, sqldb.Value[string], query)
		if err != nil {
			return err
		}
		// What hangs on a row goes with it; triggers count alerts and incidents down, and
		// leave empty counters that the second round takes.
		for range 2 {
			for _, name := range tables {
				if kept(name) {
					continue
				}
				if _, err := sqldb.Exec(ctx, tx, `DELETE FROM "`+name+`" WHERE tenant = $1`, int64(number)); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		if also == nil {
			return nil
		}
		return also(tx)
	})
	if err != nil {
		return fmt.Errorf("remove tenant: %w", err)
	}
	return nil
}
