package account

import (
	"context"
	"errors"
	"slices"

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

// Fields of refusals that a program acts on.
const (
	PasskeyRequired = "passkeyRequired" // the second factor is a passkey: it signs in by itself
	SSORequired     = "ssoRequired"     // every tenant wants them to come from its identity provider
)

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
	var elsewhere bool
	if ok {
		if home, elsewhere, err = s.home(ctx, s.db, u.ID, byPassword); err != nil {
			return "", orUnavailable("read the account's tenants", err)
		}
	}
	if home == nil && !elsewhere {
		return "", s.refuse(ctx, email, &u, locked)
	}
	keys, err := sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT count(*) FROM account_passkey WHERE user_id = $1`, u.ID)
	if err != nil {
		return "", orUnavailable("read the passkeys", err)
	}
	// A passkey is a second factor that signs in by itself: whoever knows the password alone
	// has to show it, or a recovery code where it is lost.
	factor := u.TOTP || keys > 0
	if missing := ask(elsewhere, u.TOTP, factor && p.Code == ""); missing != nil {
		// Nothing was guessed.
		if err := s.db.Tx(ctx, func(tx *sqldb.DB) error { return s.pass(ctx, tx, email, from, false) }); err != nil {
			return "", orUnavailable("ask for the code", err)
		}
		return "", missing
	}
	fresh := ""
	if stale {
		if fresh, err = s.hasher.hash(ctx, p.Password); err != nil {
			return "", orUnavailable("hash the password", err)
		}
	}
	spent := true
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if factor {
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
		token, err = s.begin(ctx, tx, &u, home.Tenant, entrance{method: byPassword, strong: factor}, from)
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

// ask is the refusal of a right password that something else is missing beside, nil where
// nothing is.
func ask(elsewhere, totp, code bool) error {
	switch {
	case elsewhere:
		return fault.New(fault.Unauthenticated, "your organisation asks you to sign in at its identity provider").In(SSORequired)
	case code && totp:
		return fault.New(fault.Unauthenticated, "enter the code of your authenticator app, or a recovery code").In(CodeRequired)
	case code:
		return fault.New(fault.Unauthenticated, "sign in with your passkey, or enter a recovery code").In(PasskeyRequired)
	}
	return nil
}

// home is the tenant that a person's session begins in: the first that lets them in by the
// method, nil for none; elsewhere tells that there are only such as want them to come from
// an identity provider.
func (s *Service) home(ctx context.Context, db *sqldb.DB, user, method string) (home *Member, elsewhere bool, err error) {
	members, err := membersOf(ctx, db, user)
	if err != nil {
		return nil, false, err
	}
	for i := range members {
		m := &members[i]
		if m.Status != Active {
			continue
		}
		policy, err := s.policy(ctx, db, m.Tenant)
		if err != nil {
			return nil, false, err
		}
		if policy.opens(m, method) {
			return m, false, nil
		}
		elsewhere = true
	}
	return nil, elsewhere, nil
}

// distance is the further, the less a password has to do with the place: any tenant can make
// an invitation, or a place that only its provider opens.
func (m *Member) distance() int {
	switch {
	case m.Status == Active && !m.Vouched:
		return 0
	case m.Status != Invited:
		return 1
	}
	return 2
}

// refuse notes a sign-in that failed, in the tenant that a right one is likeliest to open.
// Both kinds of account cost the same entries.
func (s *Service) refuse(ctx context.Context, email string, u *User, locked bool) error {
	e := audit.Entry{At: s.now(), Actor: Actor(email), Action: "session.refuse", Object: u.ID}
	members, err := membersOf(ctx, s.db, u.ID)
	if err != nil {
		return orUnavailable("note a refused sign-in", err)
	}
	if len(members) > 0 {
		e.Tenant = slices.MinFunc(members, func(a, b Member) int { return a.distance() - b.distance() }).Tenant
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
