// Package tenant keeps the customers of an installation: their numbers, plans and
// limits. It never enforces a limit: the doors do.
package tenant

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Tenant is one customer: everything belongs to exactly one.
type Tenant struct {
	ID            string // UUIDv7
	Number        uint32 // from 1, never given twice; what events and rows carry
	Name          string // unique without regard to case
	Plan          Plan
	Custom        int // requests in a minute under CUSTOM, 0 = unlimited
	RetentionDays int // how long events are kept, counted from arrival
	CreatedAt     time.Time
}

// A Plan names a set of limits.
type Plan string

// The plans.
const (
	FREE   Plan = "FREE"
	MDR    Plan = "MDR"
	PRO    Plan = "PRO"
	CUSTOM Plan = "CUSTOM"
)

// Plans lists the plans, the smallest first.
var Plans = []Plan{FREE, MDR, PRO, CUSTOM}

// DefaultRetentionDays holds where Create is given none.
const DefaultRetentionDays = 90

// DefaultName is the name of the tenant that the first start makes.
const DefaultName = "default"

// Limits are the rates that a tenant may use; 0 is unlimited.
type Limits struct {
	RequestsPerMinute int
	EventsPerSecond   int
}

// Limits returns what the tenant's plan allows.
func (t *Tenant) Limits() Limits {
	switch t.Plan {
	case FREE:
		return Limits{60, 50}
	case MDR:
		return Limits{300, 500}
	case PRO:
		return Limits{1000, 2000}
	default:
		return Limits{RequestsPerMinute: t.Custom}
	}
}

// Service is the use cases.
type Service struct{ db *sqldb.DB }

// New returns the use cases on db.
func New(db *sqldb.DB) *Service { return &Service{db} }

// A Draft describes a tenant to make.
type Draft struct {
	Name              string // 1 to 100 characters
	Plan              Plan   // "" means CUSTOM
	RequestsPerMinute int    // with CUSTOM only; 0 = unlimited
	RetentionDays     int    // 0 means DefaultRetentionDays
}

func (d *Draft) check() error {
	d.Name = strings.TrimSpace(d.Name)
	if d.Plan == "" {
		d.Plan = CUSTOM
	}
	if d.RetentionDays == 0 {
		d.RetentionDays = DefaultRetentionDays
	}
	const maxDays = 36500
	switch n := utf8.RuneCountInString(d.Name); {
	case n < 1 || n > 100:
		return fault.New(fault.Invalid, "Allowed: 1 to 100 characters").In("name")
	case d.Plan != FREE && d.Plan != MDR && d.Plan != PRO && d.Plan != CUSTOM:
		return fault.New(fault.Invalid, "Allowed: FREE, MDR, PRO, CUSTOM").In("plan")
	case d.RequestsPerMinute < 0 || d.RequestsPerMinute > 0 && d.Plan != CUSTOM:
		return fault.New(fault.Invalid, "Allowed: 0 or more, with plan CUSTOM only").In("requestsPerMinute")
	case d.RetentionDays < 1 || d.RetentionDays > maxDays:
		return fault.New(fault.Invalid, "Allowed: 1 to %d", maxDays).In("retentionDays")
	}
	return nil
}

// Create makes a tenant; a name that is taken is fault.Conflict.
func (s *Service) Create(ctx context.Context, actor string, d Draft) (*Tenant, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("create tenant: %w", err)
	}
	t := &Tenant{ID: id.String(), Name: d.Name, Plan: d.Plan, Custom: d.RequestsPerMinute, RetentionDays: d.RetentionDays, CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		number, err := sqldb.One(ctx, tx, sqldb.Value[int64], `UPDATE tenant_number SET last = last + 1 RETURNING last`)
		if err != nil {
			return err
		}
		t.Number = uint32(number)
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO tenant (id, number, name, plan, requests_per_minute, retention_days, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			t.ID, number, t.Name, string(t.Plan), t.Custom, t.RetentionDays, t.CreatedAt.UnixMicro()); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: t.Number, At: t.CreatedAt, Actor: actor, Action: "tenant.create", Object: t.ID, Detail: map[string]any{"name": t.Name, "plan": t.Plan}})
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, fault.New(fault.Conflict, "a tenant named %q exists", t.Name).In("name")
	}
	if err != nil {
		return nil, fmt.Errorf("create tenant: %w", err)
	}
	return t, nil
}

// Rename gives the tenant another name, in the caller's transaction; a name that is taken
// is fault.Conflict. On PostgreSQL the transaction is lost with it.
func (s *Service) Rename(ctx context.Context, tx *sqldb.DB, actor string, number uint32, name string) error {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > 100 {
		return fault.New(fault.Invalid, "Allowed: 1 to 100 characters").In("tenantName")
	}
	t, err := sqldb.One(ctx, tx, scan, selectTenant+` WHERE number = $1`, int64(number))
	if err != nil || t.Name == name {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `UPDATE tenant SET name = $1 WHERE number = $2`, name, int64(number))
	if sqldb.Violation(err) == sqldb.Unique {
		return fault.New(fault.Conflict, "a tenant named %q exists", name).In("tenantName")
	}
	if err != nil {
		return fmt.Errorf("rename tenant: %w", err)
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: number, Actor: actor, Action: "tenant.rename", Object: t.ID, Detail: map[string]any{"from": t.Name, "to": name}})
}

const selectTenant = `SELECT id, number, name, plan, requests_per_minute, retention_days, created_at FROM tenant`

func scan(rows *sql.Rows, t *Tenant) error {
	return rows.Scan(&t.ID, &t.Number, &t.Name, &t.Plan, &t.Custom, &t.RetentionDays, sqldb.Micros(&t.CreatedAt))
}

// Get returns the tenant of that id, or fault.NotFound.
func (s *Service) Get(ctx context.Context, id string) (*Tenant, error) {
	return s.one(ctx, ` WHERE id = $1`, id)
}

// ByNumber returns the tenant of that number, or fault.NotFound.
func (s *Service) ByNumber(ctx context.Context, number uint32) (*Tenant, error) {
	return s.one(ctx, ` WHERE number = $1`, int64(number))
}

// ByName returns the tenant of that name in any case, or fault.NotFound.
func (s *Service) ByName(ctx context.Context, name string) (*Tenant, error) {
	return s.one(ctx, ` WHERE lower(name) = lower($1)`, strings.TrimSpace(name))
}

// Default returns the tenant with the lowest number, or fault.NotFound before the
// first is made: who does not know of tenants works in this one.
func (s *Service) Default(ctx context.Context) (*Tenant, error) {
	return s.one(ctx, ` ORDER BY number LIMIT 1`)
}

func (s *Service) one(ctx context.Context, where string, args ...any) (*Tenant, error) {
	t, err := sqldb.One(ctx, s.db, scan, selectTenant+where, args...)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such tenant")
	}
	if err != nil {
		return nil, fmt.Errorf("get tenant: %w", err)
	}
	return &t, nil
}

// List returns all tenants by number.
func (s *Service) List(ctx context.Context) ([]Tenant, error) {
	all, err := sqldb.All(ctx, s.db, scan, selectTenant+` ORDER BY number`)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	return all, nil
}
