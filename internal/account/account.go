// Package account keeps the people who sign in: their roles in tenants, their
// passwords and second factors, and their sessions. It keeps no secret that can be
// compared by its digest, and never tells whether an account exists.
package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// Config is what a Service needs; all without a default is required.
type Config struct {
	DB      *sqldb.DB
	Tenants *tenant.Service
	Sealer  *seal.Sealer  // of second factors' secrets
	Owner   uint32        // the tenant that runs the installation; 0: none
	Hash    HashCost      // zero: StandardCost
	Idle    time.Duration // after which an unused session ends; 0: DefaultIdle
	Longest time.Duration // after which any session ends; 0: DefaultLongest
	URL     func() string // where people reach the console; nil: not known, and there are no passkeys
	// EndKeys revokes the API keys that somebody made, when a directory switches them off;
	// nil: they stay.
	EndKeys func(ctx context.Context, tx *sqldb.DB, tenant uint32, actor, creator string) error
	// CarryKeys lets the API keys that somebody made be theirs under another address, so that
	// EndKeys finds them; nil: they stay.
	CarryKeys func(ctx context.Context, tx *sqldb.DB, tenant uint32, creator, now string) error
	// Founded is told when the installation was set up: the link is used.
	Founded func(ctx context.Context) // nil: nobody is
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now
}

// How long sessions last where nothing else is said.
const (
	DefaultIdle    = 12 * time.Hour
	DefaultLongest = 7 * 24 * time.Hour
)

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	db     *sqldb.DB
	hasher *hasher
}

// New returns the use cases.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.URL == nil {
		c.URL = func() string { return "" }
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Longest == 0 {
		c.Longest = DefaultLongest
	}
	return &Service{Config: c, db: c.DB, hasher: newHasher(c.Hash)}
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Actor is how a person stands in the audit log.
func Actor(email string) string { return "user:" + email }

// callerOf is who a session stands for, which looks at t.
func (s *Service) callerOf(u *User, m *Member, session string, t *tenant.Tenant) identity.Caller {
	c := identity.Caller{
		Tenant: *t, Name: u.Name, Scope: identity.ReadOnly, Actor: Actor(u.Email), UserID: u.ID, SessionID: session, Home: m.Tenant, Role: m.Role,
		Provider: m.Role == identity.Admin && s.Owner != 0 && t.Number == s.Owner,
	}
	if m.Role == identity.Admin || m.Role == identity.Analyst {
		c.Scope = identity.ReadWrite
	}
	return c
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

// orUnavailable makes the failure of a database one that passes by: who signed in may be
// who they say.
func orUnavailable(doing string, err error) error {
	if errors.Is(err, fault.Limited) {
		return err
	}
	if _, ok := errors.AsType[*fault.Error](err); ok || errors.Is(err, context.Canceled) {
		return fault.Wrap(doing, err)
	}
	return fault.New(fault.Unavailable, "sign-in cannot be checked now, try again").Because(fault.Wrap(doing, err))
}

func asFault(err error) (*fault.Error, bool) { return errors.AsType[*fault.Error](err) }
