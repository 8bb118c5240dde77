package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Session is one sign-in that goes on.
type Session struct {
	ID        string // UUIDv7
	UserID    string
	Tenant    uint32 // whose place of the person it stands on
	Demo      uint32 // the demo tenant of that one, where it looks at it; 0 elsewhere
	Method    string // password, passkey or sso
	Provider  string // id of the identity provider that vouched for it, "" for none
	Strong    bool   // a second factor was shown
	Address   string // where it was begun
	Agent     string // the browser, as it names itself
	CreatedAt time.Time
	SeenAt    time.Time // to the minute
	EndsAt    time.Time // whatever happens
}

const (
	seenEvery = time.Minute // how often it is written that a session is used
	maxAgent  = 256
)

// newToken returns a secret of 160 random bits and what is stored of it. A plain hash is
// enough: there is nothing to guess.
func newToken() (token, digest string) {
	token = rand.Text() + rand.Text()[:6]
	return token, digestOf(token)
}

func digestOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// From tells where a request comes from.
type From struct {
	Address netip.Addr
	Agent   string
}

func (f From) address() string {
	if !f.Address.IsValid() {
		return ""
	}
	return f.Address.String()
}

func (f From) agent() string {
	agent := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(f.Agent, ""))
	if len(agent) > maxAgent {
		agent = strings.ToValidUTF8(agent[:maxAgent], "")
	}
	return agent
}

// A demo that is gone is no longer looked at.
const sessionColumns = `s.id, s.user_id, s.tenant, COALESCE((SELECT d.number FROM tenant_demo d WHERE d.number = s.demo AND d.of_tenant = s.tenant), 0), s.method, s.provider, s.strong, s.address, s.agent, s.created_at, s.seen_at, s.ends_at`

func (x *Session) targets(tenant, demo *int64) []any {
	return []any{&x.ID, &x.UserID, tenant, demo, &x.Method, &x.Provider, &x.Strong, &x.Address, &x.Agent, sqldb.Micros(&x.CreatedAt), sqldb.Micros(&x.SeenAt), sqldb.Micros(&x.EndsAt)}
}

func scanSession(rows *sql.Rows, x *Session) error {
	var tenant, demo int64
	err := rows.Scan(x.targets(&tenant, &demo)...)
	x.Tenant, x.Demo = uint32(tenant), uint32(demo)
	return err
}

// Signed is what stands behind a session.
type Signed struct {
	identity.Caller
	User    User
	Session Session
}

var errEnded = fault.New(fault.Unauthenticated, "the session has ended: sign in again")

// Authenticate tells who shows the token of a session. Every refusal is the same
// fault.Unauthenticated.
func (s *Service) Authenticate(ctx context.Context, token string) (*Signed, error) {
	const longest = 100
	if token == "" || len(token) > longest {
		return nil, errEnded
	}
	return s.signed(ctx, `s.digest = $1`, digestOf(token))
}

// Session returns what stands behind a session that is known to go on.
func (s *Service) Session(ctx context.Context, id string) (*Signed, error) {
	return s.signed(ctx, `s.id = $1`, id)
}

func (s *Service) signed(ctx context.Context, where, arg string) (*Signed, error) {
	type row struct {
		Session
		user   User
		member Member
	}
	r, err := sqldb.One(ctx, s.db, func(rows *sql.Rows, r *row) error {
		var tenant, demo, of int64
		var totpAt *time.Time
		targets := append(r.targets(&tenant, &demo), r.user.targets(&totpAt)...)
		err := rows.Scan(append(targets, r.member.targets(&of)...)...)
		r.Tenant, r.Demo, r.member.Tenant, r.user.TOTP = uint32(tenant), uint32(demo), uint32(of), totpAt != nil
		return err
	}, `SELECT `+sessionColumns+`, `+userColumns+`, `+memberColumns+` FROM account_session s
		JOIN account_user u ON u.id = s.user_id JOIN account_member m ON m.user_id = s.user_id AND m.tenant = s.tenant WHERE `+where, arg)
	if errors.Is(err, fault.NotFound) {
		return nil, errEnded
	}
	if err != nil {
		return nil, orUnavailable("read the session", err)
	}
	policy, err := s.policy(ctx, s.db, r.Tenant)
	if err != nil {
		return nil, orUnavailable("read the session's policy", err)
	}
	now := s.now()
	if r.member.Status != Active || !policy.opens(&r.member, r.Method) || !now.Before(r.EndsAt) || now.Sub(r.CreatedAt) >= policy.Longest || now.Sub(r.SeenAt) >= policy.Idle {
		return nil, errEnded
	}
	looks := r.Tenant
	if r.Demo != 0 {
		looks = r.Demo
	}
	t, err := s.Tenants.ByNumber(ctx, looks)
	if err != nil {
		return nil, orUnavailable("read the session's tenant", err)
	}
	if now.Sub(r.SeenAt) >= seenEvery {
		if _, err := sqldb.Exec(ctx, s.db, `UPDATE account_session SET seen_at = $1 WHERE id = $2 AND seen_at < $1`, now.UnixMicro(), r.ID); err != nil && ctx.Err() == nil {
			// The next request tries again.
			s.Log.WarnContext(ctx, "use of a session not written", "session", r.ID, "err", err)
		}
	}
	c := s.callerOf(&r.user, &r.member, r.ID, t)
	c.Strong, c.Weak, c.Bound = r.Strong, policy.SecondFactor && !r.Strong, r.Method == bySSO
	return &Signed{Caller: c, User: r.user, Session: r.Session}, nil
}

// The ways in.
const (
	byPassword = "password"
	byPasskey  = "passkey"
	bySSO      = "sso"
)

// An entrance is how somebody came in.
type entrance struct {
	method, provider string
	strong           bool // a second factor was shown
}

// begin makes a session in a transaction that has found out who it is for.
func (s *Service) begin(ctx context.Context, tx *sqldb.DB, u *User, tenant uint32, by entrance, from From) (token string, err error) {
	now := s.now()
	id, err := newID()
	if err != nil {
		return "", err
	}
	token, digest := newToken()
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_session WHERE ends_at <= $1 OR seen_at <= $2`, now.UnixMicro(), now.Add(-maxIdle).UnixMicro()); err != nil {
		return "", err
	}
	policy, err := s.policy(ctx, tx, tenant)
	if err != nil {
		return "", err
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO account_session (id, digest, user_id, tenant, method, provider, strong, address, agent, created_at, seen_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)`,
		id, digest, u.ID, int64(tenant), by.method, by.provider, by.strong, from.address(), from.agent(), now.UnixMicro(), now.Add(policy.Longest).UnixMicro()); err != nil {
		return "", err
	}
	if err := s.trim(ctx, tx, u.ID); err != nil {
		return "", err
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE account_user SET signed_in_at = $1 WHERE id = $2`, now.UnixMicro(), u.ID); err != nil {
		return "", err
	}
	detail := map[string]any{"user": u.ID, "method": by.method, "secondFactor": by.strong}
	if by.provider != "" {
		detail["provider"] = by.provider
	}
	return token, audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: Actor(u.Email), Action: "session.begin", Object: id, Detail: detail})
}

// maxSessions bounds how many sessions one person has: the oldest end.
const maxSessions = 50

func (s *Service) trim(ctx context.Context, tx *sqldb.DB, user string) error {
	_, err := sqldb.Exec(ctx, tx, `
		DELETE FROM account_session WHERE user_id = $1 AND id NOT IN (SELECT id FROM account_session WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2)`, user, maxSessions)
	return err
}

// SignOut ends the caller's session.
func (s *Service) SignOut(ctx context.Context, c *identity.Caller) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.Exec(ctx, tx, `DELETE FROM account_session WHERE id = $1 AND user_id = $2`, c.SessionID, c.UserID)
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Home, At: s.now(), Actor: c.Actor, Action: "session.end", Object: c.SessionID})
	})
	return fault.Wrap("sign out", err)
}
