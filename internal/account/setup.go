package account

import (
	"context"
	"errors"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// The kinds of links that work once.
const (
	linkSetup  = "setup"
	linkInvite = "invite"
	linkReset  = "reset"
)

// setupFor is how long the first link lasts; a start of the server makes a new one.
const setupFor = 30 * 24 * time.Hour

// Empty tells whether nobody has an account yet.
func (s *Service) Empty(ctx context.Context) (bool, error) {
	n, err := sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT count(*) FROM account_user`)
	return n == 0, fault.Wrap("count accounts", err)
}

// SetupToken makes the token of the link that sets an installation up, or returns "" where
// somebody has an account. The token before ends.
func (s *Service) SetupToken(ctx context.Context) (string, error) {
	token := ""
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		token = ""
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM account_user`)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_link WHERE kind = $1`, linkSetup); err != nil || n > 0 {
			return err
		}
		var digest string
		token, digest = newToken()
		now := s.now()
		_, err = sqldb.Exec(ctx, tx, `INSERT INTO account_link (digest, kind, user_id, tenant, created_at, expires_at) VALUES ($1, $2, '', $3, $4, $5)`,
			digest, linkSetup, int64(s.Owner), now.UnixMicro(), now.Add(setupFor).UnixMicro())
		return err
	})
	if err != nil {
		return "", fault.Wrap("make the set-up link", err)
	}
	return token, nil
}

// A Founder is the first person of an installation.
type Founder struct {
	Token    string // of the set-up link
	Name     string
	Email    string
	Password string
	Tenant   string // new name of the installation's own tenant; "" keeps it
}

// SetUp makes the first Admin, once, and signs them in.
func (s *Service) SetUp(ctx context.Context, f Founder, from From) (token string, err error) {
	used := fault.New(fault.Forbidden, "the set-up link is used up or wrong: start the server again for a new one while nobody has an account")
	n, err := sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT count(*) FROM account_link WHERE digest = $1 AND kind = $2 AND expires_at > $3`, digestOf(f.Token), linkSetup, s.now().UnixMicro())
	if err != nil {
		return "", orUnavailable("read the set-up link", err)
	}
	if n == 0 {
		return "", used
	}
	u, err := s.newUser(ctx, Draft{Email: f.Email, Name: f.Name, Password: f.Password}, "setup")
	if err != nil {
		return "", err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.Exec(ctx, tx, `DELETE FROM account_link WHERE digest = $1`, digestOf(f.Token))
		if err != nil {
			return err
		}
		if n == 0 {
			return used
		}
		if f.Tenant != "" {
			if err := s.Tenants.Rename(ctx, tx, Actor(u.Email), s.Owner, f.Tenant); err != nil {
				return err
			}
		}
		if err := s.join(ctx, tx, u, &Member{UserID: u.ID, Tenant: s.Owner, Role: identity.Admin, Status: Active, Origin: "local", AddedAt: u.CreatedAt, AddedBy: "setup"}, true); err != nil {
			return err
		}
		token, err = s.begin(ctx, tx, u, s.Owner, entrance{method: byPassword}, from)
		return err
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return "", taken()
	}
	if err != nil {
		return "", orUnavailable("set up", err)
	}
	if s.Founded != nil {
		s.Founded(ctx)
	}
	return token, nil
}

// A Draft describes a person to make.
type Draft struct {
	Email, Name string
	Password    string // "" for none: they follow a link, or sign in otherwise
	Role        identity.Role
}

// newUser checks a draft and returns the account, which is not stored yet.
func (s *Service) newUser(ctx context.Context, d Draft, actor string) (*User, error) {
	email, err := checkEmail(d.Email)
	if err != nil {
		return nil, err
	}
	name, err := checkName(d.Name)
	if err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	u := &User{ID: id, Email: email, Name: name, Language: Languages[0], TimeZone: "UTC", Theme: Themes[0], CreatedAt: s.now(), CreatedBy: actor, Version: 1}
	if d.Password != "" {
		if err := s.setPassword(ctx, u, d.Password); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// setPassword gives the account, which is not stored yet, another password, as the
// strictest of its tenants allows.
func (s *Service) setPassword(ctx context.Context, u *User, password string) error {
	if err := checkPassword(password, u.Email, u.Name); err != nil {
		return err
	}
	rules, err := s.strictFor(ctx, s.db, u.ID)
	if err != nil {
		return err
	}
	if rules.kinds && !mixed(password) {
		return fault.New(fault.Invalid, "Allowed: with letters and digits").In("password")
	}
	if err := s.checkHistory(ctx, u, password, rules.history); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	now := s.now()
	u.password, u.PasswordAt = hash, &now
	return nil
}

// join stores a place in a tenant, and the account where it is new.
func (s *Service) join(ctx context.Context, tx *sqldb.DB, u *User, m *Member, isNew bool) error {
	if err := NoDemo(ctx, tx, m.Tenant); err != nil {
		return err
	}
	if isNew {
		if err := insertUser(ctx, tx, u); err != nil {
			return err
		}
	}
	if err := insertMember(ctx, tx, m); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Entry{
		Tenant: m.Tenant, At: m.AddedAt, Actor: m.AddedBy, Action: "user.create", Object: u.ID, Detail: map[string]any{"email": u.Email, "role": m.Role, "status": m.Status, "origin": m.Origin},
	})
}

func taken() error {
	return fault.New(fault.Conflict, "somebody with that address is here already").In("email")
}

// Add makes a person with a password, who may come in at once, or gives an account that
// exists a place in the tenant; then the password stays as it is.
func (s *Service) Add(ctx context.Context, actor string, tenant uint32, d Draft) (*User, error) {
	if err := checkRole(d.Role); err != nil {
		return nil, err
	}
	email, err := checkEmail(d.Email)
	if err != nil {
		return nil, err
	}
	found, err := userByEmail(ctx, s.db, email)
	isNew := errors.Is(err, fault.NotFound)
	if err != nil && !isNew {
		return nil, fault.Wrap("add user", err)
	}
	u := &found
	if isNew {
		if u, err = s.newUser(ctx, d, actor); err != nil {
			return nil, err
		}
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		return s.join(ctx, tx, u, &Member{UserID: u.ID, Tenant: tenant, Role: d.Role, Status: Active, Origin: "local", AddedAt: s.now(), AddedBy: actor}, isNew)
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, taken()
	}
	if err != nil {
		return nil, fault.Wrap("add user", err)
	}
	return u, nil
}
