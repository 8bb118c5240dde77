package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // profiles name zones wherever the server runs

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Profile changes how somebody sees the product; nil leaves as it is.
type Profile struct {
	Name, Language, TimeZone, Theme *string
}

// SetProfile changes the caller's profile.
func (s *Service) SetProfile(ctx context.Context, c *identity.Caller, p Profile) (*User, error) {
	u, err := userByID(ctx, s.db, c.UserID)
	if err != nil {
		return nil, fault.Wrap("read account", err)
	}
	if p.Name != nil {
		if err := s.ownable(ctx, s.db, c); err != nil {
			return nil, fault.Wrap("change profile", err)
		}
		if u.Name, err = checkName(*p.Name); err != nil {
			return nil, err
		}
	}
	for _, f := range []struct {
		name  string
		given *string
		to    *string
		ok    func(string) bool
		says  string
	}{
		{"language", p.Language, &u.Language, func(s string) bool { return slices.Contains(Languages, s) }, strings.Join(Languages, ", ")},
		{"theme", p.Theme, &u.Theme, func(s string) bool { return slices.Contains(Themes, s) }, strings.Join(Themes, ", ")},
		{"timeZone", p.TimeZone, &u.TimeZone, isZone, "a name such as Asia/Seoul"},
	} {
		if f.given == nil {
			continue
		}
		if !f.ok(*f.given) {
			return nil, fault.New(fault.Invalid, "Allowed: %s", f.says).In(f.name)
		}
		*f.to = *f.given
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE account_user SET name = $1, language = $2, time_zone = $3, theme = $4, version = version + 1 WHERE id = $5`, u.Name, u.Language, u.TimeZone, u.Theme, u.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: s.now(), Actor: c.Actor, Action: "user.profile", Object: u.ID})
	})
	if err != nil {
		return nil, fault.Wrap("change profile", err)
	}
	return &u, nil
}

func isZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil && name != "" && name != "Local"
}

// ChangePassword gives the caller another password and ends their other sessions.
func (s *Service) ChangePassword(ctx context.Context, c *identity.Caller, current, next string) error {
	u, err := s.confirmed(ctx, c, current)
	if err != nil {
		if f, ok := asFault(err); ok && f.Field == "password" {
			f.Field = "currentPassword"
		}
		return err
	}
	if err := s.setPassword(ctx, u, next); err != nil {
		return err
	}
	return fault.Wrap("change password", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := s.storePassword(ctx, tx, u, c.SessionID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: s.now(), Actor: c.Actor, Action: "user.password", Object: u.ID})
	}))
}

// Sessions returns the caller's sessions, the newest first; with one that an identity
// provider vouches for, those in its tenant.
func (s *Service) Sessions(ctx context.Context, c *identity.Caller) ([]Session, error) {
	all, err := sqldb.All(ctx, s.db, scanSession, `SELECT `+sessionColumns+` FROM account_session s
		WHERE s.user_id = $1 AND s.ends_at > $2 AND s.seen_at > $3 AND (s.tenant = $4 OR NOT $5) ORDER BY s.created_at DESC, s.id DESC`,
		c.UserID, s.now().UnixMicro(), s.now().Add(-maxIdle).UnixMicro(), int64(c.Home), c.Bound)
	return all, fault.Wrap("list sessions", err)
}

// EndSession ends one session of the caller's, or with id "" all but the one that asks.
func (s *Service) EndSession(ctx context.Context, c *identity.Caller, id string) error {
	return fault.Wrap("end session", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		query, args := `DELETE FROM account_session WHERE user_id = $1 AND id = $2`, []any{c.UserID, id}
		if id == "" {
			query, args = `DELETE FROM account_session WHERE user_id = $1 AND id <> $2`, []any{c.UserID, c.SessionID}
		}
		if c.Bound {
			query, args = query+` AND tenant = $3`, append(args, int64(c.Home))
		}
		n, err := sqldb.Exec(ctx, tx, query, args...)
		if err != nil {
			return err
		}
		if n == 0 && id != "" {
			return fault.New(fault.NotFound, "no such session")
		}
		if n == 0 {
			return nil
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: s.now(), Actor: c.Actor, Action: "session.end", Object: id, Detail: map[string]any{"sessions": n}})
	}))
}

// EndSessionsOf ends all sessions that somebody has in the tenant.
func (s *Service) EndSessionsOf(ctx context.Context, tenant uint32, actor, user string) error {
	return fault.Wrap("end sessions", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := s.person(ctx, tx, tenant, user); err != nil {
			return err
		}
		n, err := sqldb.Exec(ctx, tx, `DELETE FROM account_session WHERE user_id = $1 AND tenant = $2`, user, int64(tenant))
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "session.end", Object: user, Detail: map[string]any{"sessions": n}})
	}))
}

// Switch lets the caller's session look at another tenant, where they have a place, or at
// the demo tenant of one.
func (s *Service) Switch(ctx context.Context, c *identity.Caller, to uint32) error {
	return fault.Wrap("switch tenant", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		home, err := homeOf(ctx, tx, to)
		if err != nil {
			return err
		}
		m, err := member(ctx, tx, home, c.UserID)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		if err != nil || m.Status != Active {
			return fault.New(fault.NotFound, "no such tenant")
		}
		if ok, _, err := s.reaches(ctx, tx, c, &m); err != nil {
			return err
		} else if !ok {
			return fault.New(fault.NotFound, "no such tenant")
		}
		demo := uint32(0)
		if to != home {
			demo = to
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE account_session SET tenant = $1, demo = $2 WHERE id = $3`, int64(home), int64(demo), c.SessionID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: to, At: s.now(), Actor: c.Actor, Action: "session.switch", Object: c.SessionID})
	}))
}
