package intel

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Allowed is what never matches: a value, and all that lies in it, such as the
// addresses of a network and the domains below a domain.
type Allowed struct {
	ID        string // UUIDv7
	Tenant    uint32
	Type      Type
	Value     string
	Reason    string
	CreatedAt time.Time
	CreatedBy string
}

const (
	allowColumns = `id, tenant, type, value, reason, created_at, created_by`
	maxAllowed   = 100_000
)

var errNotAllowed = fault.New(fault.NotFound, "no such entry of the allow-list")

func scanAllowed(rows *sql.Rows, a *Allowed) error {
	return rows.Scan(&a.ID, &a.Tenant, &a.Type, &a.Value, &a.Reason, sqldb.Micros(&a.CreatedAt), &a.CreatedBy)
}

// Allow adds a value to the allow-list; t "" is found out. One that is there already is
// fault.Conflict.
func (s *Service) Allow(ctx context.Context, tenant uint32, actor string, t Type, value, reason string) (*Allowed, error) {
	var err error
	if t == "" {
		t, value, err = Guess(value)
	} else {
		value, err = Normalise(t, value)
	}
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("allow: %w", err)
	}
	a := &Allowed{ID: id.String(), Tenant: tenant, Type: t, Value: value, Reason: clip(clean(reason), maxDescription), CreatedAt: s.now().UTC().Truncate(time.Microsecond), CreatedBy: actor}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM intel_allow WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxAllowed {
			return fault.New(fault.Conflict, "the allow-list has %d entries, and no more are allowed: allow a network or a domain instead", n)
		}
		there, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT id FROM intel_allow WHERE tenant = $1 AND type = $2 AND value = $3`, int64(tenant), string(t), value)
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return fault.New(fault.Conflict, "it is allowed already: %s", there[0]).In("value")
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO intel_allow (`+allowColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`, a.ID, int64(tenant), string(t), value, a.Reason, a.CreatedAt.UnixMicro(), actor); err != nil {
			return err
		}
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: a.CreatedAt, Actor: actor, Action: "indicator.allow", Object: a.ID, Detail: map[string]any{"type": t, "value": value, "reason": a.Reason}})
	})
	if sqldb.Violation(err) == sqldb.Unique {
		err = fault.New(fault.Conflict, "it is allowed already").In("value").Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("allow: %w", err)
	}
	return a, nil
}

// Allowed returns one entry of the allow-list.
func (s *Service) Allowed(ctx context.Context, tenant uint32, id string) (*Allowed, error) {
	return allowedByID(ctx, s.db, tenant, id)
}

func allowedByID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Allowed, error) {
	if !isID(id) {
		return nil, errNotAllowed
	}
	a, err := sqldb.One(ctx, db, scanAllowed, `SELECT `+allowColumns+` FROM intel_allow WHERE id = $1 AND tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNotAllowed
	}
	if err != nil {
		return nil, fmt.Errorf("get from the allow-list: %w", err)
	}
	return &a, nil
}

// Disallow removes an entry from the allow-list.
func (s *Service) Disallow(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		a, err := allowedByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM intel_allow WHERE id = $1`, id); err != nil {
			return err
		}
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "indicator.disallow", Object: id, Detail: map[string]any{"type": a.Type, "value": a.Value}})
	})
	if err != nil {
		return fmt.Errorf("disallow: %w", err)
	}
	return nil
}

// ListAllowed returns one page of the allow-list, the newest first unless ascending.
func (s *Service) ListAllowed(ctx context.Context, tenant uint32, search string, ascending bool, page, size int) ([]Allowed, int64, error) {
	where, args := ` WHERE tenant = $1`, []any{int64(tenant)}
	if search != "" {
		where += ` AND value LIKE $2 ESCAPE '\'`
		args = append(args, "%"+escapeLike(strings.ToLower(clean(Refang(search))))+"%")
	}
	direction := "DESC"
	if ascending {
		direction = "ASC"
	}
	var list []Allowed
	var total int64
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM intel_allow`+where, args...); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scanAllowed, fmt.Sprintf(`SELECT %s FROM intel_allow%s ORDER BY id %s LIMIT %d OFFSET %d`, allowColumns, where, direction, size, int64(page)*int64(size)), args...)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list what is allowed: %w", err)
	}
	return list, total, nil
}

// covering lists the values that hold a normalised value: itself first.
func covering(t Type, v string) []string {
	out := []string{v}
	host := ""
	switch t {
	case Domain:
		host = v
	case Email:
		_, host, _ = strings.Cut(v, "@")
	case URL:
		for _, s := range schemes { // matching looks at no scheme
			if rest, ok := strings.CutPrefix(v, s); ok {
				for _, other := range schemes {
					if other != s {
						out = append(out, other+rest)
					}
				}
				host, _, _ = strings.Cut(rest, "/")
			}
		}
		if i := strings.LastIndexByte(host, ':'); i >= 0 && isDigits(host[i+1:]) {
			host = host[:i]
		}
		host = strings.Trim(host, "[]")
		if host != "" {
			out = append(out, host)
		}
	case IPv4, IPv6:
		host = v
	}
	if a, err := netip.ParseAddr(host); err == nil {
		for n := range a.BitLen() + 1 {
			p, err := a.Prefix(n)
			if err == nil {
				out = append(out, p.String())
			}
		}
		return out
	}
	for {
		_, rest, ok := strings.Cut(host, ".")
		if !ok || !strings.Contains(rest, ".") {
			break
		}
		host = rest
		out = append(out, host)
	}
	if t == Email {
		_, host, _ := strings.Cut(v, "@")
		out = append(out, host)
	}
	return out
}

// Thresholds returns what is set for a tenant, with the standard where nothing is.
func (s *Service) Thresholds(ctx context.Context, tenant uint32) (Thresholds, error) {
	return thresholds(ctx, s.db, tenant)
}

func thresholds(ctx context.Context, db *sqldb.DB, tenant uint32) (Thresholds, error) {
	out := StandardThresholds()
	all, err := sqldb.All(ctx, db, sqldb.Value[string], `SELECT thresholds FROM intel_setting WHERE tenant = $1`, int64(tenant))
	if err == nil && len(all) > 0 {
		err = json.Unmarshal([]byte(all[0]), &out)
	}
	if err != nil {
		return nil, fmt.Errorf("read thresholds: %w", err)
	}
	return out, nil
}

// SetThresholds changes those that are given.
func (s *Service) SetThresholds(ctx context.Context, tenant uint32, actor string, change Thresholds) (Thresholds, error) {
	for _, severity := range event.Severities {
		if n, ok := change[severity]; ok && (n < 0 || n > Never) {
			return nil, fault.New(fault.Invalid, "Allowed: 0 to 100, or null for never").In("thresholds." + severity)
		}
	}
	var out Thresholds
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		before, err := thresholds(ctx, tx, tenant)
		if err != nil {
			return err
		}
		out = maps.Clone(before)
		maps.Copy(out, change)
		text, err := json.Marshal(out)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO intel_setting (tenant, thresholds) VALUES ($1, $2) ON CONFLICT (tenant) DO UPDATE SET thresholds = excluded.thresholds`, int64(tenant), string(text)); err != nil {
			return err
		}
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "indicator.thresholds", Detail: map[string]any{"before": before, "after": out}})
	})
	if err != nil {
		return nil, fmt.Errorf("set thresholds: %w", err)
	}
	return out, nil
}
