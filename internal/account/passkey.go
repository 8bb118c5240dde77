package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Passkey is a person's key in an authenticator (WebAuthn), which signs in without a
// password. It verifies its owner, and so counts as two factors.
type Passkey struct {
	ID        string
	Name      string
	CreatedAt time.Time
	UsedAt    *time.Time

	credential webauthn.Credential
}

const (
	maxPasskeys  = 20 // of one person
	challengeFor = 5 * time.Minute
)

// party is KYRA as authenticators know it: the host that people reach it by.
func (s *Service) party() (*webauthn.WebAuthn, error) {
	u, err := url.Parse(s.URL())
	if err != nil || u.Hostname() == "" {
		return nil, fault.New(fault.Conflict, "passkeys need to know the server's address: set public_url")
	}
	host, origin := u.Hostname(), u.Scheme+"://"+u.Host
	if addr, err := netip.ParseAddr(host); err == nil {
		if !addr.IsLoopback() {
			return nil, fault.New(fault.Conflict, "passkeys need a host name instead of an address: set public_url")
		}
		host, origin = "localhost", u.Scheme+"://localhost:"+u.Port()
	}
	return webauthn.New(&webauthn.Config{RPID: host, RPDisplayName: issuer, RPOrigins: []string{origin}, AuthenticatorSelection: protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
	}})
}

// keyholder is somebody as the library sees them.
type keyholder struct {
	*User
	keys []Passkey
}

func (k *keyholder) WebAuthnID() []byte          { return []byte(k.ID) }
func (k *keyholder) WebAuthnName() string        { return k.Email }
func (k *keyholder) WebAuthnDisplayName() string { return k.Name }
func (k *keyholder) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, len(k.keys))
	for i := range k.keys {
		all[i] = k.keys[i].credential
	}
	return all
}

func (s *Service) keyholder(ctx context.Context, db *sqldb.DB, id string) (*keyholder, error) {
	u, err := userByID(ctx, db, id)
	if err != nil {
		return nil, err
	}
	keys, err := passkeys(ctx, db, id)
	return &keyholder{&u, keys}, err
}

func passkeys(ctx context.Context, db *sqldb.DB, user string) ([]Passkey, error) {
	return sqldb.All(ctx, db, func(rows *sql.Rows, k *Passkey) error {
		var text string
		if err := rows.Scan(&k.ID, &k.Name, &text, sqldb.Micros(&k.CreatedAt), sqldb.MicrosOrNull(&k.UsedAt)); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &k.credential)
	}, `SELECT id, name, credential, created_at, used_at FROM account_passkey WHERE user_id = $1 ORDER BY created_at, id`, user)
}

// Passkeys returns somebody's passkeys, the oldest first.
func (s *Service) Passkeys(ctx context.Context, user string) ([]Passkey, error) {
	all, err := passkeys(ctx, s.db, user)
	return all, fault.Wrap("list passkeys", err)
}

// challenge keeps what was asked and returns the token that brings it back.
func (s *Service) challenge(ctx context.Context, user string, asked *webauthn.SessionData) (token string, err error) {
	text, err := json.Marshal(asked)
	if err != nil {
		return "", err
	}
	token, digest := newToken()
	now := s.now()
	return token, s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_challenge WHERE expires_at <= $1`, now.UnixMicro()); err != nil {
			return err
		}
		_, err := sqldb.Exec(ctx, tx, `INSERT INTO account_challenge (digest, user_id, data, expires_at) VALUES ($1, $2, $3, $4)`, digest, user, string(text), now.Add(challengeFor).UnixMicro())
		return err
	})
}

// asked takes back what was asked, once.
func (s *Service) asked(ctx context.Context, tx *sqldb.DB, token, user string) (*webauthn.SessionData, error) {
	gone := fault.New(fault.Invalid, "It took too long, or was used before: begin again").In("token")
	text, err := sqldb.One(ctx, tx, sqldb.Value[string], `SELECT data FROM account_challenge WHERE digest = $1 AND user_id = $2 AND expires_at > $3`, digestOf(token), user, s.now().UnixMicro())
	if errors.Is(err, fault.NotFound) {
		return nil, gone
	}
	if err != nil {
		return nil, err
	}
	n, err := sqldb.Exec(ctx, tx, `DELETE FROM account_challenge WHERE digest = $1`, digestOf(token))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, gone
	}
	data := &webauthn.SessionData{}
	data.Expires = time.Time{} // ours is the row's
	return data, json.Unmarshal([]byte(text), data)
}

// An Asked is what a browser hands to an authenticator, and the token that the answer
// comes back with.
type Asked struct {
	Token   string
	Options any // publicKey of navigator.credentials.create or get, as JSON
}

// StartPasskey begins to register a passkey of the caller's.
func (s *Service) StartPasskey(ctx context.Context, c *identity.Caller, password string) (*Asked, error) {
	if _, err := s.confirmed(ctx, c, password); err != nil {
		return nil, err
	}
	party, err := s.party()
	if err != nil {
		return nil, err
	}
	who, err := s.keyholder(ctx, s.db, c.UserID)
	if err != nil {
		return nil, fault.Wrap("read account", err)
	}
	if len(who.keys) >= maxPasskeys {
		return nil, fault.New(fault.Conflict, "there are %d passkeys, and no more are allowed: remove one", len(who.keys))
	}
	options, data, err := party.BeginRegistration(who, webauthn.WithExclusions(webauthn.Credentials(who.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return nil, fault.Wrap("begin passkey", err)
	}
	token, err := s.challenge(ctx, c.UserID, data)
	if err != nil {
		return nil, fault.Wrap("begin passkey", err)
	}
	return &Asked{token, options.Response}, nil
}

// FinishPasskey registers what the authenticator answered. Where it is the first second
// factor, recovery codes come with it, which are shown once.
func (s *Service) FinishPasskey(ctx context.Context, c *identity.Caller, token, name string, answer []byte) (k *Passkey, codes []string, err error) {
	if name, err = checkName(name); err != nil {
		return nil, nil, err
	}
	party, err := s.party()
	if err != nil {
		return nil, nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, nil, badAnswer(err)
	}
	id, err := newID()
	if err != nil {
		return nil, nil, err
	}
	k = &Passkey{ID: id, Name: name, CreatedAt: s.now()}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := s.ownable(ctx, tx, c); err != nil {
			return err
		}
		data, err := s.asked(ctx, tx, token, c.UserID)
		if err != nil {
			return err
		}
		who, err := s.keyholder(ctx, tx, c.UserID)
		if err != nil {
			return err
		}
		made, err := party.CreateCredential(who, *data, parsed)
		if err != nil {
			return badAnswer(err)
		}
		text, err := json.Marshal(made)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO account_passkey (id, user_id, name, credential, created_at) VALUES ($1, $2, $3, $4, $5)`, id, c.UserID, name, string(text), k.CreatedAt.UnixMicro()); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE account_session SET strong = TRUE WHERE id = $1`, c.SessionID); err != nil {
			return err
		}
		if codes = nil; !who.TOTP && len(who.keys) == 0 {
			if codes, err = s.newCodes(ctx, tx, c.UserID); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: k.CreatedAt, Actor: c.Actor, Action: "user.factor.add", Object: c.UserID, Detail: map[string]any{"kind": "passkey", "name": name}})
	})
	if err != nil {
		return nil, nil, fault.Wrap("register passkey", err)
	}
	return k, codes, nil
}

func badAnswer(err error) error {
	return fault.New(fault.Invalid, "The authenticator's answer does not fit what was asked: begin again").In("credential").Because(err)
}

// RemovePasskey takes one of the caller's passkeys away.
func (s *Service) RemovePasskey(ctx context.Context, c *identity.Caller, id string) error {
	return fault.Wrap("remove passkey", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := s.ownable(ctx, tx, c); err != nil {
			return err
		}
		n, err := sqldb.Exec(ctx, tx, `DELETE FROM account_passkey WHERE id = $1 AND user_id = $2`, id, c.UserID)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "no such passkey")
		}
		if err := s.keepWayIn(ctx, tx, c.UserID); err != nil {
			return err
		}
		// Recovery codes stand in for a factor: without one they are a way in of their own.
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_recovery WHERE user_id = $1 AND NOT EXISTS (SELECT 1 FROM account_passkey k WHERE k.user_id = $1)
			AND NOT EXISTS (SELECT 1 FROM account_user u WHERE u.id = $1 AND u.totp_at IS NOT NULL)`, c.UserID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: s.now(), Actor: c.Actor, Action: "user.factor.remove", Object: c.UserID, Detail: map[string]any{"kind": "passkey"}})
	}))
}

// AskPasskey begins a sign-in with whatever passkey the browser has for this host.
func (s *Service) AskPasskey(ctx context.Context) (*Asked, error) {
	party, err := s.party()
	if err != nil {
		return nil, err
	}
	options, data, err := party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, fault.Wrap("ask for a passkey", err)
	}
	token, err := s.challenge(ctx, "", data)
	if err != nil {
		return nil, orUnavailable("ask for a passkey", err)
	}
	return &Asked{token, options.Response}, nil
}

// SignInByPasskey begins a session by what the authenticator answered, and returns its
// token. Every refusal is alike.
func (s *Service) SignInByPasskey(ctx context.Context, token string, answer []byte, from From) (session string, err error) {
	party, err := s.party()
	if err != nil {
		return "", err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return "", badAnswer(err)
	}
	if _, err := s.attempt(ctx, "", from); err != nil {
		return "", err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		data, err := s.asked(ctx, tx, token, "")
		if err != nil {
			return err
		}
		var who *keyholder
		_, used, err := party.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
			who, err = s.keyholder(ctx, tx, string(handle))
			return who, err
		}, *data, parsed)
		if err != nil || used.Authenticator.CloneWarning {
			return errRefused
		}
		first, elsewhere, err := s.home(ctx, tx, who.ID, byPasskey)
		if err != nil {
			return err
		}
		if elsewhere {
			return ask(true, false, false)
		}
		if first == nil {
			return errRefused
		}
		if err := s.keep(ctx, tx, who, used); err != nil {
			return err
		}
		if err := s.pass(ctx, tx, "", from, true); err != nil {
			return err
		}
		session, err = s.begin(ctx, tx, who.User, first.Tenant, entrance{method: byPasskey, strong: true}, from)
		return err
	})
	if err != nil {
		return "", orUnavailable("sign in by passkey", err)
	}
	return session, nil
}

// keep writes the counter of a passkey that was used.
func (s *Service) keep(ctx context.Context, tx *sqldb.DB, who *keyholder, used *webauthn.Credential) error {
	text, err := json.Marshal(used)
	if err != nil {
		return err
	}
	for i := range who.keys {
		if string(who.keys[i].credential.ID) == string(used.ID) {
			_, err = sqldb.Exec(ctx, tx, `UPDATE account_passkey SET credential = $1, used_at = $2 WHERE id = $3`, string(text), s.now().UnixMicro(), who.keys[i].ID)
		}
	}
	return err
}
