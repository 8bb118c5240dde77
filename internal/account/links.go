package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// How long links work.
const (
	InviteFor = 7 * 24 * time.Hour
	resetFor  = 24 * time.Hour
)

// link makes a link of somebody's that works once; the one of that kind before ends.
func (s *Service) link(ctx context.Context, tx *sqldb.DB, kind, user string, tenant uint32, lasts time.Duration) (token string, err error) {
	now := s.now()
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_link WHERE expires_at <= $1 OR user_id = $2 AND kind = $3 AND tenant = $4`, now.UnixMicro(), user, kind, int64(tenant)); err != nil {
		return "", err
	}
	token, digest := newToken()
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO account_link (digest, kind, user_id, tenant, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		digest, kind, user, int64(tenant), now.UnixMicro(), now.Add(lasts).UnixMicro())
	return token, err
}

// Invite gives somebody a place in the tenant that waits until they follow the link. An
// account of that address keeps its password.
func (s *Service) Invite(ctx context.Context, tenant uint32, actor string, d Draft) (p *Person, token string, err error) {
	d.Password = ""
	if err := checkRole(d.Role); err != nil {
		return nil, "", err
	}
	fresh, err := s.newUser(ctx, d, actor)
	if err != nil {
		return nil, "", err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		u := fresh
		found, err := userByEmail(ctx, tx, fresh.Email)
		isNew := errors.Is(err, fault.NotFound)
		if err != nil && !isNew {
			return err
		}
		if !isNew {
			u = &found
			if _, err := member(ctx, tx, tenant, u.ID); err == nil {
				return taken()
			} else if !errors.Is(err, fault.NotFound) {
				return err
			}
		}
		if err := s.join(ctx, tx, u, &Member{UserID: u.ID, Tenant: tenant, Role: d.Role, Status: Invited, Origin: "local", AddedAt: s.now(), AddedBy: actor}, isNew); err != nil {
			return err
		}
		if token, err = s.link(ctx, tx, linkInvite, u.ID, tenant, InviteFor); err != nil {
			return err
		}
		p, err = s.person(ctx, tx, tenant, u.ID)
		return err
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, "", taken()
	}
	if err != nil {
		return nil, "", fault.Wrap("invite user", err)
	}
	return p, token, nil
}

// NewLink makes another link for somebody: of their invitation while they have not followed
// it, and where its password opens nothing here yet; else for another password.
func (s *Service) NewLink(ctx context.Context, tenant uint32, actor, id string) (p *Person, token string, err error) {
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if p, err = s.person(ctx, tx, tenant, id); err != nil {
			return err
		}
		kind, lasts := linkInvite, InviteFor
		if p.Status != Invited && !p.Vouched {
			if err := s.answerable(ctx, tx, tenant, id); err != nil {
				return err
			}
			kind, lasts = linkReset, resetFor
		}
		if token, err = s.link(ctx, tx, kind, id, tenant, lasts); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "user.link", Object: id, Detail: map[string]any{"kind": kind}})
	})
	if err != nil {
		return nil, "", fault.Wrap("make link", err)
	}
	return p, token, nil
}

// A Link is what somebody holds who followed one.
type Link struct {
	Kind    string // invite or reset
	Email   string
	Name    string
	Tenant  string // its name
	Known   bool   // the account has a password: they show it to accept an invitation
	Expires time.Time

	user   string
	tenant uint32
}

var errLink = fault.New(fault.Invalid, "The link is used up, wrong or too old: ask for another one").In("token")

// Look tells what a link is for.
func (s *Service) Look(ctx context.Context, token string) (*Link, error) {
	l, err := sqldb.One(ctx, s.db, func(rows *sql.Rows, l *Link) error {
		var tenant int64
		var password string
		err := rows.Scan(&l.Kind, &l.user, &tenant, &l.Email, &l.Name, &password, &l.Tenant, sqldb.Micros(&l.Expires))
		l.tenant, l.Known = uint32(tenant), password != ""
		return err
	}, `SELECT l.kind, l.user_id, l.tenant, u.email, u.name, u.password, t.name, l.expires_at FROM account_link l JOIN account_user u ON u.id = l.user_id JOIN tenant t ON t.number = l.tenant
		WHERE l.digest = $1 AND l.expires_at > $2`, digestOf(token), s.now().UnixMicro())
	if errors.Is(err, fault.NotFound) {
		return nil, errLink
	}
	if err != nil {
		return nil, orUnavailable("read the link", err)
	}
	return &l, nil
}

// Follow uses a link up: somebody sets their password, or, invited with an account that has
// one, shows it. Another password ends all sessions; the first one is all that the account
// signs in with. name "" keeps the name.
func (s *Service) Follow(ctx context.Context, token, name, password string, from From) (*Link, error) {
	l, err := s.Look(ctx, token)
	if err != nil {
		return nil, err
	}
	u, err := userByID(ctx, s.db, l.user)
	if err != nil {
		return nil, orUnavailable("read the account", err)
	}
	if name != "" && !l.Known {
		if u.Name, err = checkName(name); err != nil {
			return nil, err
		}
	}
	join := l.Kind == linkInvite && l.Known
	if join {
		if _, err := s.attempt(ctx, u.Email, from); err != nil {
			return nil, err
		}
		ok, _, err := s.hasher.matches(ctx, password, u.password)
		if err != nil {
			return nil, orUnavailable("check the password", err)
		}
		if !ok {
			return nil, fault.New(fault.Invalid, "This is not the password of your account").In("password")
		}
	} else if err := s.setPassword(ctx, &u, password); err != nil {
		return nil, err
	}
	now := s.now()
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.Exec(ctx, tx, `DELETE FROM account_link WHERE digest = $1`, digestOf(token))
		if err != nil {
			return err
		}
		if n == 0 {
			return errLink
		}
		action := "user.accept"
		if l.Kind == linkInvite {
			if join {
				if err := s.pass(ctx, tx, u.Email, from, true); err != nil {
					return err
				}
			} else {
				// Whoever invites somebody holds the link: it must not open other tenants to them.
				if others, err := elsewhere(ctx, tx, u.ID, l.tenant); err != nil {
					return err
				} else if others {
					return fault.New(fault.Invalid, "Your account has no password yet: sign in as you do elsewhere, set one under Settings › Security, and open this link again").In("password")
				}
				// What it has beside may be of another tenant's provider.
				if err := forsake(ctx, tx, u.ID); err != nil {
					return err
				}
				if err := s.storePassword(ctx, tx, &u, ""); err != nil {
					return err
				}
			}
			if _, err := sqldb.Exec(ctx, tx, `UPDATE account_member SET status = CASE WHEN status = $1 THEN $2 ELSE status END, vouched = FALSE, changed_at = $3 WHERE tenant = $4 AND user_id = $5`,
				string(Invited), string(Active), now.UnixMicro(), int64(l.tenant), u.ID); err != nil {
				return err
			}
		} else {
			action = "user.password"
			// The account may have come to open other tenants since the link was made.
			if err := s.answerable(ctx, tx, l.tenant, u.ID); err != nil {
				return err
			}
			if err := s.storePassword(ctx, tx, &u, ""); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: l.tenant, At: now, Actor: Actor(u.Email), Action: action, Object: u.ID})
	})
	if err != nil {
		return nil, orUnavailable("follow the link", err)
	}
	return l, nil
}

// storePassword writes the account's new password and name, and ends all sessions but one.
func (s *Service) storePassword(ctx context.Context, tx *sqldb.DB, u *User, keep string) error {
	if err := s.keepOld(ctx, tx, u.ID); err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE account_user SET password = $1, password_at = $2, name = $3, version = version + 1 WHERE id = $4`, u.password, sqldb.Nullable(u.PasswordAt), u.Name, u.ID); err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_try WHERE who = $1`, accountName(u.Email)); err != nil {
		return err
	}
	_, err := sqldb.Exec(ctx, tx, `DELETE FROM account_session WHERE user_id = $1 AND id <> $2`, u.ID, keep)
	return err
}
