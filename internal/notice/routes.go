package notice

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const maxRoutes = 200 // of one tenant

var errNoRoute = fault.New(fault.NotFound, "no such route")

// A RoutePatch is a change of a route, or what a new one consists of; nil fields stay.
type RoutePatch struct {
	Name     *string
	Enabled  *bool
	Filters  *Filters
	Channels []string
	Version  int64 // that the change was made on; 0 for any
}

func (s *Service) apply(ctx context.Context, tx *sqldb.DB, r *Route, p *RoutePatch) error {
	var err error
	if p.Name != nil {
		if r.Name, err = checkName(*p.Name); err != nil {
			return err
		}
	}
	if p.Enabled != nil {
		r.Enabled = *p.Enabled
	}
	if p.Filters != nil {
		if err := p.Filters.check(); err != nil {
			return err
		}
		r.Filters = *p.Filters
	}
	if p.Channels != nil {
		r.Channels = nil
		for _, id := range p.Channels {
			c, err := channelByID(ctx, tx, r.Tenant, id)
			if errors.Is(err, fault.NotFound) {
				return fault.New(fault.Invalid, "Allowed: ids of notification channels").In("channels")
			}
			if err != nil {
				return err
			}
			if !slices.Contains(r.Channels, c.ID) {
				r.Channels = append(r.Channels, c.ID)
			}
		}
		if len(r.Channels) == 0 || len(r.Channels) > maxChannels {
			return fault.New(fault.Invalid, "Allowed: 1 to %d ids of notification channels", maxChannels).In("channels")
		}
	}
	return nil
}

func (r *Route) encode() (filters, channels string) {
	f, err := json.Marshal(r.Filters)
	if err != nil {
		panic(err) // texts always marshal
	}
	c, err := json.Marshal(append([]string{}, r.Channels...))
	if err != nil {
		panic(err)
	}
	return string(f), string(c)
}

// CreateRoute makes a route; name and channels are required. Another one of that name is
// fault.Conflict.
func (s *Service) CreateRoute(ctx context.Context, tenant uint32, actor string, p RoutePatch) (*Route, error) {
	id, err := newID()
	if err != nil {
		return nil, fault.Wrap("create route", err)
	}
	r := &Route{ID: id, Tenant: tenant, Enabled: true, Version: 1, CreatedBy: actor, CreatedAt: s.now()}
	r.UpdatedAt = r.CreatedAt
	if p.Channels == nil {
		p.Channels = []string{}
	}
	if p.Name == nil {
		p.Name = new(string)
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM notice_route WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxRoutes {
			return fault.New(fault.Conflict, "there are %d routes, and no more are allowed: delete one", n)
		}
		if err := s.apply(ctx, tx, r, &p); err != nil {
			return err
		}
		filters, channels := r.encode()
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO notice_route (id, tenant, name, enabled, filters, channels, created_at, created_by, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7)`,
			r.ID, int64(tenant), r.Name, r.Enabled, filters, channels, r.CreatedAt.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: r.CreatedAt, Actor: actor, Action: "route.create", Object: r.ID, Detail: describeRoute(r)})
	})
	if err != nil {
		return nil, fault.Wrap("create route", taken(err, "route"))
	}
	return r, nil
}

func describeRoute(r *Route) map[string]any {
	return map[string]any{"name": r.Name, "enabled": r.Enabled, "filters": r.Filters, "channels": r.Channels}
}

// ChangeRoute changes the tenant's route and returns it as it then is.
func (s *Service) ChangeRoute(ctx context.Context, tenant uint32, actor, id string, p RoutePatch) (*Route, error) {
	if p.Name == nil && p.Enabled == nil && p.Filters == nil && p.Channels == nil {
		return nil, fault.New(fault.Invalid, "Give at least one of name, enabled, filters, channels")
	}
	var r *Route
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if r, err = routeByID(ctx, tx, tenant, id); err != nil {
			return err
		}
		if err := stale("route", p.Version, r.Version); err != nil {
			return err
		}
		before := describeRoute(r)
		if err := s.apply(ctx, tx, r, &p); err != nil {
			return err
		}
		if err := s.storeRoute(ctx, tx, r); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: r.UpdatedAt, Actor: actor, Action: "route.update", Object: r.ID, Detail: map[string]any{"from": before, "to": describeRoute(r)}})
	})
	if err != nil {
		return nil, fault.Wrap("change route", taken(err, "route"))
	}
	return r, nil
}

func (s *Service) storeRoute(ctx context.Context, tx *sqldb.DB, r *Route) error {
	r.UpdatedAt = s.now()
	r.Version++
	filters, channels := r.encode()
	_, err := sqldb.Exec(ctx, tx, `UPDATE notice_route SET name = $2, enabled = $3, filters = $4, channels = $5, version = $6, updated_at = $7 WHERE id = $1`,
		r.ID, r.Name, r.Enabled, filters, channels, r.Version, r.UpdatedAt.UnixMicro())
	return err
}

// DeleteRoute removes the tenant's route.
func (s *Service) DeleteRoute(ctx context.Context, tenant uint32, actor, id string) error {
	return fault.Wrap("delete route", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		r, err := routeByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM notice_route WHERE id = $1`, r.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "route.delete", Object: r.ID, Detail: describeRoute(r)})
	}))
}

// unroute takes a channel out of all routes.
func (s *Service) unroute(ctx context.Context, tx *sqldb.DB, tenant uint32, channel string) error {
	list, err := sqldb.All(ctx, tx, scanRoute, selectRoute+` WHERE tenant = $1`, int64(tenant))
	if err != nil {
		return err
	}
	for i := range list {
		r := &list[i]
		at := slices.Index(r.Channels, channel)
		if at < 0 {
			continue
		}
		r.Channels = slices.Delete(r.Channels, at, at+1)
		if err := s.storeRoute(ctx, tx, r); err != nil {
			return err
		}
	}
	return nil
}

const selectRoute = `SELECT id, tenant, name, enabled, filters, channels, version, created_at, created_by, updated_at FROM notice_route`

func scanRoute(rows *sql.Rows, r *Route) error {
	var tenant int64
	var filters, channels string
	if err := rows.Scan(&r.ID, &tenant, &r.Name, &r.Enabled, &filters, &channels, &r.Version, sqldb.Micros(&r.CreatedAt), &r.CreatedBy, sqldb.Micros(&r.UpdatedAt)); err != nil {
		return err
	}
	r.Tenant = uint32(tenant)
	return errors.Join(json.Unmarshal([]byte(filters), &r.Filters), json.Unmarshal([]byte(channels), &r.Channels))
}

func routeByID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Route, error) {
	if !isID(id) {
		return nil, errNoRoute
	}
	r, err := sqldb.One(ctx, db, scanRoute, selectRoute+` WHERE id = $1 AND tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoRoute
	}
	return &r, err
}

// Route returns the tenant's route of that id.
func (s *Service) Route(ctx context.Context, tenant uint32, id string) (*Route, error) {
	r, err := routeByID(ctx, s.db, tenant, id)
	return r, fault.Wrap("get route", err)
}

// Routes returns the tenant's routes in the order of their creation.
func (s *Service) Routes(ctx context.Context, tenant uint32) ([]Route, error) {
	list, err := sqldb.All(ctx, s.db, scanRoute, selectRoute+` WHERE tenant = $1 ORDER BY id`, int64(tenant))
	return list, fault.Wrap("list routes", err)
}
