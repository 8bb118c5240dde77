package account

import (
	"context"
	"errors"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Proof is what somebody shows to sign in with a password.
type Proof struct {
	Email    string
	Password string
	Code     string // of the second factor, or a recovery code; "" where none is set up
}

// errRefused is the answer to every wrong sign-in: it never tells whether the account
// exists, or what of it was wrong.
var errRefused = fault.New(fault.Unauthenticated, "the address, the password or the code is wrong")

// SignIn begins a session and returns its token. An unknown account costs as much time as
// a wrong password.
func (s *Service) SignIn(ctx context.Context, p Proof, from From) (token string, err error) {
	email, err := checkEmail(p.Email)
	if err != nil {
		email = "" // nobody's, but not for free
	}
	locked, err := s.attempt(ctx, email, from)
	if err != nil {
		return "", orUnavailable("count the sign-in", err)
	}
	u, err := userByEmail(ctx, s.db, email)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return "", orUnavailable("read the account", err)
	}
	ok, stale, err := s.hasher.matches(ctx, p.Password, u.password)
	if err != nil {
		return "", orUnavailable("check the password", err)
	}
	var home *Member
	if ok {
		if home, err = s.home(ctx, &u); err != nil {
			return "", err
		}
	}
	if home == nil {
		return "", s.refuse(ctx, email, &u, locked)
	}
	if u.TOTP && p.Code == "" {
		// Nothing was guessed.
		if err := s.db.Tx(ctx, func(tx *sqldb.DB) error { return s.pass(ctx, tx, email, from, false) }); err != nil {
			return "", orUnavailable("ask for the code", err)
		}
		return "", fault.New(fault.Unauthenticated, "enter the code of your authenticator app, or a recovery code").In(CodeRequired)
	}
	fresh := ""
	if stale {
		if fresh, err = s.hasher.hash(ctx, p.Password); err != nil {
			return "", orUnavailable("hash the password", err)
		}
	}
	spent := true
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if u.TOTP {
			if spent, err = s.useCode(ctx, tx, &u, p.Code); err != nil || !spent {
				return err
			}
		}
		if fresh != "" {
			if _, err := sqldb.Exec(ctx, tx, `UPDATE account_user SET password = $1 WHERE id = $2 AND password = $3`, fresh, u.ID, u.password); err != nil {
				return err
			}
		}
		if err := s.pass(ctx, tx, email, from, true); err != nil {
			return err
		}
		token, err = s.begin(ctx, tx, &u, home.Tenant, "password", u.TOTP, from)
		return err
	})
	if err != nil {
		return "", orUnavailable("sign in", err)
	}
	if !spent {
		return "", s.refuse(ctx, email, &u, locked)
	}
	return token, nil
}

// home is the tenant that a person's session begins in: the first that lets them in, nil
// for none.
func (s *Service) home(ctx context.Context, u *User) (*Member, error) {
	members, err := membersOf(ctx, s.db, u.ID)
	if err != nil {
		return nil, orUnavailable("read the account's tenants", err)
	}
	return firstActive(members), nil
}

func firstActive(members []Member) *Member {
	for i := range members {
		if members[i].Status == Active {
			return &members[i]
		}
	}
	return nil
}

// refuse notes a sign-in that failed. Both kinds of account cost the same entries.
func (s *Service) refuse(ctx context.Context, email string, u *User, locked bool) error {
	e := audit.Entry{At: s.now(), Actor: Actor(email), Action: "session.refuse", Object: u.ID}
	members, err := membersOf(ctx, s.db, u.ID)
	if err != nil {
		return orUnavailable("note a refused sign-in", err)
	}
	if len(members) > 0 {
		e.Tenant = members[0].Tenant
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := audit.Record(ctx, tx, e); err != nil || !locked {
			return err
		}
		e.Action = "session.lock"
		return audit.Record(ctx, tx, e)
	})
	if err != nil {
		return orUnavailable("note a refused sign-in", err)
	}
	return errRefused
}
