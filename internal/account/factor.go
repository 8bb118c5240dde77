package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	totpPeriod    = 30 // seconds (RFC 6238)
	totpSkew      = 1  // steps that a clock may be off, either way
	recoveryCodes = 10
	issuer        = "KYRA"
)

// CodeRequired is the Field of the refusal of a right password without its second factor.
const CodeRequired = "codeRequired"

func purpose(user string) string { return "second factor " + user }

// An Enrolment is a second factor that is not confirmed yet.
type Enrolment struct {
	Secret string // base32
	URI    string // otpauth://, for an app
	QR     string // the same as a PNG, data: URI
}

// StartTOTP makes a new secret for the caller, which counts once ConfirmTOTP has seen a
// code of it; until then one that is confirmed stays in force.
func (s *Service) StartTOTP(ctx context.Context, c *identity.Caller, password string) (*Enrolment, error) {
	u, err := s.confirmed(ctx, c, password)
	if err != nil {
		return nil, err
	}
	if u.TOTP {
		return nil, fault.New(fault.Conflict, "a second factor is set up: remove it first")
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: u.Email, Period: totpPeriod, SecretSize: 20, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return nil, fault.Wrap("make second factor", err)
	}
	if _, err := sqldb.Exec(ctx, s.db, `UPDATE account_user SET totp = $1 WHERE id = $2 AND totp_at IS NULL`, s.Sealer.Seal(0, purpose(u.ID), []byte(key.Secret())), u.ID); err != nil {
		return nil, fault.Wrap("make second factor", err)
	}
	const side = 240 // pixels
	picture, err := key.Image(side, side)
	if err != nil {
		return nil, fault.Wrap("draw second factor", err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fault.Wrap("draw second factor", err)
	}
	return &Enrolment{Secret: key.Secret(), URI: key.URL(), QR: "data:image/png;base64," + base64.StdEncoding.EncodeToString(out.Bytes())}, nil
}

// ConfirmTOTP puts the second factor into force and returns its recovery codes, which are
// shown once. The caller's session counts as strong from then on.
func (s *Service) ConfirmTOTP(ctx context.Context, c *identity.Caller, code string) ([]string, error) {
	u, err := userByID(ctx, s.db, c.UserID)
	if err != nil {
		return nil, fault.Wrap("confirm second factor", err)
	}
	if u.TOTP || u.totp == nil {
		return nil, fault.New(fault.Conflict, "there is no second factor to confirm: start to set one up")
	}
	step, err := s.stepOf(&u, code)
	if err != nil {
		return nil, err
	}
	if step == 0 {
		return nil, fault.New(fault.Invalid, "The code is wrong: look at the app's newest one, and at the clock of its device").In("code")
	}
	now := s.now()
	var codes []string
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := s.ownable(ctx, tx, c); err != nil {
			return err
		}
		n, err := sqldb.Exec(ctx, tx, `UPDATE account_user SET totp_at = $1, totp_step = $2, version = version + 1 WHERE id = $3 AND totp_at IS NULL`, now.UnixMicro(), step, u.ID)
		if err != nil || n == 0 {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE account_session SET strong = TRUE WHERE id = $1`, c.SessionID); err != nil {
			return err
		}
		if codes, err = s.newCodes(ctx, tx, u.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: now, Actor: c.Actor, Action: "user.factor.add", Object: u.ID, Detail: map[string]any{"kind": "totp"}})
	})
	if err != nil {
		return nil, fault.Wrap("confirm second factor", err)
	}
	return codes, nil
}

// RemoveTOTP takes the caller's second factor away.
func (s *Service) RemoveTOTP(ctx context.Context, c *identity.Caller, password string) error {
	u, err := s.confirmed(ctx, c, password)
	if err != nil {
		return err
	}
	return fault.Wrap("remove second factor", s.db.Tx(ctx, func(tx *sqldb.DB) error { return s.dropFactor(ctx, tx, c.Home, c.Actor, u.ID) }))
}

func (s *Service) dropFactor(ctx context.Context, tx *sqldb.DB, tenant uint32, actor, user string) error {
	if _, err := sqldb.Exec(ctx, tx, `UPDATE account_user SET totp = NULL, totp_at = NULL, version = version + 1 WHERE id = $1`, user); err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_recovery WHERE user_id = $1 AND NOT EXISTS (SELECT 1 FROM account_passkey k WHERE k.user_id = $1)`, user); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "user.factor.remove", Object: user, Detail: map[string]any{"kind": "totp"}})
}

// RecoveryCodes makes new recovery codes; the old ones end.
func (s *Service) RecoveryCodes(ctx context.Context, c *identity.Caller, password string) (codes []string, err error) {
	u, err := s.confirmed(ctx, c, password)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		keys, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM account_passkey WHERE user_id = $1`, u.ID)
		if err != nil {
			return err
		}
		if !u.TOTP && keys == 0 {
			return fault.New(fault.Conflict, "there is no second factor: set one up first")
		}
		if codes, err = s.newCodes(ctx, tx, u.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: s.now(), Actor: c.Actor, Action: "user.recovery.renew", Object: u.ID})
	})
	if err != nil {
		return nil, fault.Wrap("make recovery codes", err)
	}
	return codes, nil
}

func (s *Service) newCodes(ctx context.Context, tx *sqldb.DB, user string) ([]string, error) {
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_recovery WHERE user_id = $1`, user); err != nil {
		return nil, err
	}
	codes := make([]string, recoveryCodes)
	for i := range codes {
		t := rand.Text()[:16] // 80 bits
		codes[i] = t[:4] + "-" + t[4:8] + "-" + t[8:12] + "-" + t[12:]
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO account_recovery (user_id, digest) VALUES ($1, $2)`, user, digestOf(plainCode(codes[i]))); err != nil {
			return nil, err
		}
	}
	return codes, nil
}

// plainCode is a recovery code however somebody typed it.
func plainCode(code string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, code))
}

// stepOf returns the time step that the code is of, 0 where it is of none that may be used.
func (s *Service) stepOf(u *User, code string) (int64, error) {
	code = plainCode(code)
	if len(code) != int(otp.DigitsSix) || u.totp == nil {
		return 0, nil
	}
	secret, err := s.Sealer.Open(0, purpose(u.ID), u.totp)
	if err != nil {
		return 0, err
	}
	if _, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(secret)); err != nil {
		return 0, fault.Wrap("read second factor", err)
	}
	at := s.now().Unix() / totpPeriod
	found := int64(0)
	for step := at - totpSkew; step <= at+totpSkew; step++ {
		want, err := hotp.GenerateCodeCustom(string(secret), uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // a time after 1970
		if err != nil {
			return 0, fault.Wrap("check second factor", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > u.totpStep {
			found = step
		}
	}
	return found, nil
}

// useCode spends a code of the second factor or a recovery code, in the transaction of the
// sign-in; false for one that is wrong or was used.
func (s *Service) useCode(ctx context.Context, tx *sqldb.DB, u *User, code string) (bool, error) {
	step := int64(0)
	if u.TOTP { // one that is not confirmed is none
		var err error
		if step, err = s.stepOf(u, code); err != nil {
			return false, err
		}
	}
	var n int64
	var err error
	if step > 0 {
		n, err = sqldb.Exec(ctx, tx, `UPDATE account_user SET totp_step = $1 WHERE id = $2 AND totp_step < $1`, step, u.ID)
	} else {
		n, err = sqldb.Exec(ctx, tx, `UPDATE account_recovery SET used_at = $1 WHERE user_id = $2 AND digest = $3 AND used_at IS NULL`, s.now().UnixMicro(), u.ID, digestOf(plainCode(code)))
	}
	return n == 1, err
}

// Prove makes the caller's session strong by a code of their second factor or a recovery
// code: who came from an identity provider has not shown one here.
func (s *Service) Prove(ctx context.Context, c *identity.Caller, code string) error {
	u, err := userByID(ctx, s.db, c.UserID)
	if err != nil {
		return fault.Wrap("read account", err)
	}
	if _, err := s.attempt(ctx, u.Email, From{}); err != nil {
		return err
	}
	return fault.Wrap("prove second factor", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		ok, err := s.useCode(ctx, tx, &u, code)
		if err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.Invalid, "The code is wrong, or was used before").In("code")
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE account_session SET strong = TRUE WHERE id = $1`, c.SessionID); err != nil {
			return err
		}
		if err := s.pass(ctx, tx, u.Email, From{}, true); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: s.now(), Actor: c.Actor, Action: "session.prove", Object: c.SessionID})
	}))
}

// Security is what a person's sign-in rests on.
type Security struct {
	PasswordAt   *time.Time
	TOTP         bool
	Passkeys     int64
	RecoveryLeft int64
}

// SecurityOf returns what the caller's sign-in rests on.
func (s *Service) SecurityOf(ctx context.Context, c *identity.Caller) (*Security, error) {
	u, err := userByID(ctx, s.db, c.UserID)
	if err != nil {
		return nil, fault.Wrap("read account", err)
	}
	left, err := sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT count(*) FROM account_recovery WHERE user_id = $1 AND used_at IS NULL`, u.ID)
	if err != nil {
		return nil, fault.Wrap("count recovery codes", err)
	}
	keys, err := sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT count(*) FROM account_passkey WHERE user_id = $1`, u.ID)
	if err != nil {
		return nil, fault.Wrap("count passkeys", err)
	}
	return &Security{PasswordAt: u.PasswordAt, TOTP: u.TOTP, Passkeys: keys, RecoveryLeft: left}, nil
}

// freshFor is how long a sign-in without a password stands in for one.
const freshFor = 10 * time.Minute

// ownable tells whether the caller may change what their account rests on: one tenant's
// identity provider does not speak for them in others, nor, of an account that was given to
// it, in those that it was given to as well.
func (s *Service) ownable(ctx context.Context, db *sqldb.DB, c *identity.Caller) error {
	if !c.Bound {
		return nil
	}
	others, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT count(*) FROM account_member WHERE user_id = $1 AND tenant <> $2 AND status <> $3
		AND (NOT vouched OR EXISTS (SELECT 1 FROM account_member o WHERE o.user_id = $1 AND o.tenant = $2 AND o.vouched))`, c.UserID, int64(c.Home), string(Invited))
	if err == nil && others > 0 {
		return fault.New(fault.Forbidden, "your account belongs to other tenants too: sign in with its password or passkey to change it")
	}
	return err
}

// confirmed returns the caller's account where the password is theirs. Wrong ones count as
// wrong sign-ins. Where the account has none, a sign-in of just now stands in for it.
func (s *Service) confirmed(ctx context.Context, c *identity.Caller, password string) (*User, error) {
	u, err := userByID(ctx, s.db, c.UserID)
	if err != nil {
		return nil, fault.Wrap("read account", err)
	}
	if err := s.ownable(ctx, s.db, c); err != nil {
		return nil, fault.Wrap("read account", err)
	}
	if u.password == "" {
		n, err := sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT count(*) FROM account_session WHERE id = $1 AND created_at > $2`, c.SessionID, s.now().Add(-freshFor).UnixMicro())
		if err != nil {
			return nil, orUnavailable("read the session", err)
		}
		if n == 0 {
			return nil, fault.New(fault.Forbidden, "there is no password to confirm it with: sign out, sign in again, and do it within %d minutes", int(freshFor.Minutes()))
		}
		return &u, nil
	}
	if _, err := s.attempt(ctx, u.Email, From{}); err != nil {
		return nil, err
	}
	ok, _, err := s.hasher.matches(ctx, password, u.password)
	if err != nil {
		return nil, orUnavailable("check the password", err)
	}
	if !ok {
		return nil, fault.New(fault.Invalid, "This is not your password").In("password")
	}
	return &u, fault.Wrap("forgive", s.db.Tx(ctx, func(tx *sqldb.DB) error { return s.pass(ctx, tx, u.Email, From{}, true) }))
}
