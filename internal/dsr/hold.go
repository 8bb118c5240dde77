package dsr

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Hold keeps events from being erased, whatever anybody asks for: those of some
// identifiers, or all, in a span of event time. While it is active retention drops
// nothing of the tenant.
type Hold struct {
	ID          string // UUIDv7
	Tenant      uint32
	Name        string // of the case
	Reason      string
	Owner       string
	Identifiers []Identifier // masked where it is read; empty: all events
	From, To    *time.Time   // event time; nil: open
	Until       *time.Time   // when it ends by itself
	CreatedAt   time.Time
	CreatedBy   string
	ReleasedAt  *time.Time
	ReleasedBy  string

	sealed []byte
}

// Active tells whether the hold keeps anything at now.
func (h *Hold) Active(now time.Time) bool {
	return h.ReleasedAt == nil && (h.Until == nil || now.Before(*h.Until))
}

const selectHold = `SELECT id, tenant, name, reason, owner, which, from_at, to_at, until, created_at, created_by, released_at, released_by FROM dsr_hold`

func scanHold(rows *sql.Rows, h *Hold) error {
	return rows.Scan(&h.ID, &h.Tenant, &h.Name, &h.Reason, &h.Owner, &h.sealed, sqldb.MicrosOrNull(&h.From), sqldb.MicrosOrNull(&h.To), sqldb.MicrosOrNull(&h.Until),
		sqldb.Micros(&h.CreatedAt), &h.CreatedBy, sqldb.MicrosOrNull(&h.ReleasedAt), &h.ReleasedBy)
}

func (s *Service) openHold(h *Hold) error {
	text, err := s.Sealer.Open(h.Tenant, "dsr hold "+h.ID, h.sealed)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &h.Identifiers)
}

// AddHold makes a hold.
func (s *Service) AddHold(ctx context.Context, tenant uint32, actor string, h Hold) (*Hold, error) {
	if err := errors.Join(short("name", h.Name, 1, 200), short("reason", h.Reason, 1, maxNote), short("owner", h.Owner, 1, 200)); err != nil {
		return nil, firstOf(err)
	}
	now := s.Now().UTC()
	switch {
	case h.From != nil && h.To != nil && !h.From.Before(*h.To):
		return nil, fault.New(fault.Invalid, "Allowed: a time after from").In("to")
	case h.Until != nil && !now.Before(*h.Until):
		return nil, fault.New(fault.Invalid, "Allowed: a time to come").In("until")
	}
	var err error
	if len(h.Identifiers) > 0 {
		if h.Identifiers, err = cleanIdentifiers(h.Identifiers); err != nil {
			return nil, err
		}
	}
	if h.ID, err = newID(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(h.Identifiers)
	if err != nil {
		return nil, err
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO dsr_hold (id, tenant, name, reason, owner, which, from_at, to_at, until, created_at, created_by) VALUES `+sqldb.Rows(1, 11),
			h.ID, int64(tenant), h.Name, h.Reason, h.Owner, s.Sealer.Seal(tenant, "dsr hold "+h.ID, text), sqldb.Nullable(h.From), sqldb.Nullable(h.To), sqldb.Nullable(h.Until), now.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "dsrHold.create", Object: h.ID, Detail: map[string]any{"name": h.Name, "reason": h.Reason, "owner": h.Owner, "until": h.Until}})
	})
	if err != nil {
		return nil, fault.Wrap("make hold", err)
	}
	return s.Hold(ctx, tenant, h.ID)
}

// Hold returns a hold, its identifiers masked, or fault.NotFound.
func (s *Service) Hold(ctx context.Context, tenant uint32, id string) (*Hold, error) {
	h, err := sqldb.One(ctx, s.DB, scanHold, selectHold+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such hold")
	}
	if err == nil {
		err = s.openHold(&h)
	}
	h.Identifiers = (&Person{Identifiers: h.Identifiers}).masked().Identifiers
	return &h, fault.Wrap("get hold", err)
}

// Holds returns one page of the tenant's holds, the newest first, identifiers masked.
func (s *Service) Holds(ctx context.Context, tenant uint32, page, size int) (list []Hold, total int64, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM dsr_hold WHERE tenant = $1`, int64(tenant)); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scanHold, selectHold+` WHERE tenant = $1 ORDER BY id DESC LIMIT $2 OFFSET $3`, int64(tenant), int64(size), int64(page)*int64(size))
		return err
	})
	for i := range list {
		if err == nil {
			err = s.openHold(&list[i])
			list[i].Identifiers = (&Person{Identifiers: list[i].Identifiers}).masked().Identifiers
		}
	}
	return list, total, fault.Wrap("list holds", err)
}

// Release ends a hold. It stays in the list.
func (s *Service) Release(ctx context.Context, tenant uint32, actor, id string) error {
	h, err := s.Hold(ctx, tenant, id)
	if err != nil {
		return err
	}
	if h.ReleasedAt != nil {
		return nil
	}
	now := s.Now().UTC()
	return fault.Wrap("release hold", s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE dsr_hold SET released_at = $1, released_by = $2 WHERE id = $3 AND released_at IS NULL`, now.UnixMicro(), actor, id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "dsrHold.release", Object: id})
	}))
}

// heldOf returns the names of the active holds that keep an event of which, or control
// data that names one of the identifiers.
func (s *Service) heldOf(ctx context.Context, tenant uint32, which query.Node, ids []Identifier) ([]string, error) {
	list, err := sqldb.All(ctx, s.DB, scanHold, selectHold+` WHERE tenant = $1 AND released_at IS NULL ORDER BY id`, int64(tenant))
	if err != nil {
		return nil, fault.Wrap("read holds", err)
	}
	names := []string{}
	for i := range list {
		h := &list[i]
		if !h.Active(s.Now()) {
			continue
		}
		if err := s.openHold(h); err != nil {
			return nil, err
		}
		if h.keeps(ids) {
			names = append(names, h.Name)
			continue
		}
		n, err := s.count(ctx, tenant, query.And{Nodes: append([]query.Node{which}, h.nodes()...)})
		if err != nil {
			return nil, err
		}
		if n > 0 {
			names = append(names, h.Name)
		}
	}
	return names, nil
}

// keeps tells whether the hold keeps control data about who has these identifiers: it
// names one of them, or is one of everything at any time.
func (h *Hold) keeps(ids []Identifier) bool {
	if len(h.Identifiers) == 0 {
		return h.From == nil && h.To == nil
	}
	return slices.ContainsFunc(h.Identifiers, func(x Identifier) bool {
		return slices.ContainsFunc(ids, func(y Identifier) bool { return strings.EqualFold(x.Value, y.Value) })
	})
}

func (h *Hold) nodes() []query.Node {
	span := query.Span{Field: query.NewField(event.Timestamp), From: math.MinInt64, To: math.MaxInt64}
	if h.From != nil {
		span.From = h.From.UnixNano()
	}
	if h.To != nil {
		span.To = h.To.UnixNano()
	}
	nodes := []query.Node{span}
	if len(h.Identifiers) > 0 {
		nodes = append(nodes, nodeOf(h.Identifiers))
	}
	return nodes
}

// Holding returns the tenants of which retention may drop nothing now.
func (s *Service) Holding(ctx context.Context) (map[uint32]bool, error) {
	list, err := sqldb.All(ctx, s.DB, sqldb.Value[int64], `SELECT DISTINCT tenant FROM dsr_hold WHERE released_at IS NULL AND (until IS NULL OR until > $1)`, s.Now().UnixMicro())
	held := map[uint32]bool{}
	for _, n := range list {
		held[uint32(n)] = true //nolint:gosec // it was one
	}
	return held, fault.Wrap("read holds", err)
}
