// Package view keeps the ways of looking at lists that people save: a name, and the
// filters as the console's address writes them. It never reads those filters: what a
// view shows is what its reader may see.
package view

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Kind is the list that a view is of.
type Kind string

// The kinds.
const (
	Alerts    Kind = "alerts"
	Incidents Kind = "incidents"
	Search    Kind = "search"
	Rules     Kind = "rules"
	Assets    Kind = "assets"
)

// Kinds lists the kinds.
var Kinds = []Kind{Alerts, Incidents, Search, Rules, Assets}

// A View is one way of looking at a list.
type View struct {
	ID        string // UUIDv7
	Tenant    uint32
	Owner     string // id of whose it is
	OwnerName string
	Kind      Kind
	Name      string // unique among the owner's of the kind, without regard to case
	Query     string // of the console's address: "severity=high&status=any"
	Shared    bool   // with everybody of the tenant
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64
}

const (
	maxName  = 60
	maxQuery = 4000
	// maxViews is how many of a kind somebody may keep: all are shown at once.
	maxViews = 100
)

// Service is the use cases.
type Service struct {
	db  *sqldb.DB
	now func() time.Time
}

// New returns the use cases on db.
func New(db *sqldb.DB, now func() time.Time) *Service { return &Service{db, now} }

// A Person is who asks: somebody of a tenant. An Admin may change what others share.
type Person struct {
	Tenant uint32
	ID     string
	Actor  string
	Admin  bool
}

// A Draft is what a view is made of.
type Draft struct {
	Kind   Kind
	Name   string // 1 to 60 characters
	Query  string // at most 4,000 bytes
	Shared bool
}

func (d *Draft) check() error {
	d.Name = strings.TrimSpace(d.Name)
	d.Query = strings.TrimPrefix(d.Query, "?")
	switch n := utf8.RuneCountInString(d.Name); {
	case !slices.Contains(Kinds, d.Kind):
		return fault.New(fault.Invalid, "Allowed: alerts, incidents, search, rules, assets").In("kind")
	case n < 1 || n > maxName || strings.ContainsRune(d.Name, 0) || !utf8.ValidString(d.Name):
		return fault.New(fault.Invalid, "Allowed: 1 to %d characters", maxName).In("name")
	case len(d.Query) > maxQuery || strings.ContainsRune(d.Query, 0) || !utf8.ValidString(d.Query):
		return fault.New(fault.Invalid, "Allowed: at most %d bytes", maxQuery).In("query")
	}
	return nil
}

const selectView = `SELECT v.id, v.tenant, v.owner, u.name, v.kind, v.name, v.query, v.shared, v.created_at, v.updated_at, v.version
	FROM saved_view v JOIN account_user u ON u.id = v.owner`

func scan(rows *sql.Rows, v *View) error {
	return rows.Scan(&v.ID, &v.Tenant, &v.Owner, &v.OwnerName, &v.Kind, &v.Name, &v.Query, &v.Shared, sqldb.Micros(&v.CreatedAt), sqldb.Micros(&v.UpdatedAt), &v.Version)
}

var errNoView = fault.New(fault.NotFound, "no such view")

// List returns the person's own views of a kind and those that others of the tenant
// share, by name; "" for all kinds.
func (s *Service) List(ctx context.Context, p *Person, kind Kind) ([]View, error) {
	all, err := sqldb.All(ctx, s.db, scan, selectView+` WHERE v.tenant = $1 AND (v.owner = $2 OR v.shared) AND ($3 = '' OR v.kind = $3) ORDER BY lower(v.name), v.id`,
		int64(p.Tenant), p.ID, string(kind))
	if err != nil {
		return nil, fmt.Errorf("list views: %w", err)
	}
	return all, nil
}

// Get returns a view that the person may see, or fault.NotFound.
func (s *Service) Get(ctx context.Context, p *Person, id string) (*View, error) {
	return s.get(ctx, s.db, p, id)
}

func (s *Service) get(ctx context.Context, db *sqldb.DB, p *Person, id string) (*View, error) {
	v, err := sqldb.One(ctx, db, scan, selectView+` WHERE v.tenant = $1 AND v.id = $2 AND (v.owner = $3 OR v.shared)`, int64(p.Tenant), id, p.ID)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoView
	}
	if err != nil {
		return nil, fmt.Errorf("get view: %w", err)
	}
	return &v, nil
}

// Create keeps a view of the person's own. A name that they gave before is fault.Conflict.
func (s *Service) Create(ctx context.Context, p *Person, d Draft) (*View, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("create view: %w", err)
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	var out *View
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM saved_view WHERE tenant = $1 AND owner = $2 AND kind = $3`, int64(p.Tenant), p.ID, string(d.Kind))
		if err != nil {
			return err
		}
		if n >= maxViews {
			return fault.New(fault.Conflict, "there are %d views of this list already: remove one first", n)
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO saved_view (id, tenant, owner, kind, name, query, shared, created_at, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 1)`,
			id.String(), int64(p.Tenant), p.ID, string(d.Kind), d.Name, d.Query, d.Shared, now.UnixMicro()); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: p.Tenant, At: now, Actor: p.Actor, Action: "view.create", Object: id.String(), Detail: map[string]any{"kind": d.Kind, "name": d.Name, "shared": d.Shared}}); err != nil {
			return err
		}
		out, err = s.get(ctx, tx, p, id.String())
		return err
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, fault.New(fault.Conflict, "you have a view named %q already", d.Name).In("name")
	}
	if err != nil {
		return nil, fmt.Errorf("create view: %w", err)
	}
	return out, nil
}

// A Patch changes a view; nil leaves as it is.
type Patch struct {
	Name, Query *string
	Shared      *bool
	Version     int64 // that the change is made on; 0 for any
}

// mayChange refuses what is somebody else's, but for an Admin.
func (p *Person) mayChange(v *View) error {
	if v.Owner != p.ID && !p.Admin {
		return fault.New(fault.Forbidden, "this view is %s's: only they and an Admin may change it", v.OwnerName)
	}
	return nil
}

// Change changes a view of the person's own, or as an Admin one that is shared.
func (s *Service) Change(ctx context.Context, p *Person, id string, c Patch) (*View, error) {
	var out *View
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		v, err := s.get(ctx, tx, p, id)
		if err != nil {
			return err
		}
		if err := p.mayChange(v); err != nil {
			return err
		}
		if c.Version != 0 && c.Version != v.Version {
			return fault.New(fault.Conflict, "the view has changed since").In("version")
		}
		d := Draft{Kind: v.Kind, Name: v.Name, Query: v.Query, Shared: v.Shared}
		if c.Name != nil {
			d.Name = *c.Name
		}
		if c.Query != nil {
			d.Query = *c.Query
		}
		if c.Shared != nil {
			d.Shared = *c.Shared
		}
		if err := d.check(); err != nil {
			return err
		}
		now := s.now().UTC().Truncate(time.Microsecond)
		n, err := sqldb.Exec(ctx, tx, `UPDATE saved_view SET name = $1, query = $2, shared = $3, updated_at = $4, version = version + 1 WHERE id = $5 AND version = $6`,
			d.Name, d.Query, d.Shared, now.UnixMicro(), v.ID, v.Version)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Conflict, "the view has changed since").In("version")
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: p.Tenant, At: now, Actor: p.Actor, Action: "view.update", Object: v.ID, Detail: map[string]any{"kind": d.Kind, "name": d.Name, "shared": d.Shared}}); err != nil {
			return err
		}
		v.Name, v.Query, v.Shared, v.UpdatedAt, v.Version = d.Name, d.Query, d.Shared, now, v.Version+1
		out = v
		return nil
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, fault.New(fault.Conflict, "there is a view of that name already").In("name")
	}
	if err != nil {
		return nil, fmt.Errorf("change view: %w", err)
	}
	return out, nil
}

// Delete removes a view of the person's own, or as an Admin one that is shared.
func (s *Service) Delete(ctx context.Context, p *Person, id string) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		v, err := s.get(ctx, tx, p, id)
		if err != nil {
			return err
		}
		if err := p.mayChange(v); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM saved_view WHERE id = $1`, v.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: p.Tenant, At: s.now(), Actor: p.Actor, Action: "view.delete", Object: v.ID, Detail: map[string]any{"kind": v.Kind, "name": v.Name}})
	})
	if err != nil {
		return fmt.Errorf("delete view: %w", err)
	}
	return nil
}
