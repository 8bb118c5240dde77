package account

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// An Arrival is somebody whom a tenant's identity provider vouches for.
type Arrival struct {
	Tenant          uint32
	Provider        string // id
	ProviderName    string
	Issuer, Subject string
	Directory       string // what a directory knows them by, "" where that is not told
	Email           string // "" where the provider tells none
	Verified        bool   // the provider has found out that the address is theirs
	Name, Language  string
	Role            identity.Role // "": none is for them
	Governs         bool          // the provider says the role anew with every sign-in
	Creates         bool          // whoever has no account gets one
	Strong          bool          // a second factor was shown there
}

// Fields of refusals of who comes from an identity provider, for those who word them.
const (
	SSONoRole     = "ssoNoRole"
	SSOUnverified = "ssoUnverified"
	SSOUnknown    = "ssoUnknown"
	SSODisabled   = "ssoDisabled"
)

// SignInBySSO begins a session of whom an identity provider vouches for, in its tenant
// alone. They are known by issuer and subject; the first time by what a directory has
// said, or by an address that the provider has verified.
func (s *Service) SignInBySSO(ctx context.Context, a *Arrival, from From) (token string, err error) {
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		token = ""
		u, m, err := s.arrived(ctx, tx, a)
		if err != nil {
			return err
		}
		if m.Status != Active {
			return fault.New(fault.Unauthenticated, "your account is switched off here: ask an Admin").In(SSODisabled)
		}
		if a.Governs {
			if err := s.govern(ctx, tx, a, m); err != nil {
				return err
			}
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE sso_identity SET used_at = $1 WHERE tenant = $2 AND provider = $3 AND issuer = $4 AND subject = $5`,
			s.now().UnixMicro(), int64(a.Tenant), a.Provider, a.Issuer, a.Subject); err != nil {
			return err
		}
		token, err = s.begin(ctx, tx, u, a.Tenant, entrance{method: bySSO, provider: a.Provider, strong: a.Strong}, from)
		return err
	})
	if f, ok := asFault(err); ok && f.Kind == fault.Unauthenticated {
		return "", s.RefuseSSO(ctx, a.Tenant, a.Provider, a.Subject, f)
	}
	if err != nil {
		return "", orUnavailable("sign in by single sign-on", err)
	}
	return token, nil
}

// RefuseSSO notes a refusal in the audit log and returns it.
func (s *Service) RefuseSSO(ctx context.Context, tenant uint32, provider, subject string, why *fault.Error) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: s.now(), Actor: "sso:" + provider, Action: "session.refuse", Object: provider, Detail: map[string]any{"method": bySSO, "subject": subject, "reason": why.Field},
		})
	})
	if err != nil {
		return orUnavailable("note a refused sign-in", err)
	}
	return why
}

// arrived finds who has come, or makes their place.
func (s *Service) arrived(ctx context.Context, tx *sqldb.DB, a *Arrival) (*User, *Member, error) {
	id, err := sqldb.One(ctx, tx, sqldb.Value[string], `SELECT user_id FROM sso_identity WHERE tenant = $1 AND provider = $2 AND issuer = $3 AND subject = $4`, int64(a.Tenant), a.Provider, a.Issuer, a.Subject)
	linked := err == nil
	if errors.Is(err, fault.NotFound) && a.Directory != "" {
		id, err = sqldb.One(ctx, tx, sqldb.Value[string], `SELECT id FROM scim_user WHERE tenant = $1 AND external = $2`, int64(a.Tenant), a.Directory)
	}
	if errors.Is(err, fault.NotFound) {
		return s.byVerifiedMail(ctx, tx, a)
	}
	if err != nil {
		return nil, nil, err
	}
	u, err := userByID(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	m, err := member(ctx, tx, a.Tenant, id)
	if err != nil {
		return nil, nil, err // a place goes with its links: there is one
	}
	if !linked {
		err = s.linkSSO(ctx, tx, a, &u)
	}
	return &u, &m, err
}

func (s *Service) byVerifiedMail(ctx context.Context, tx *sqldb.DB, a *Arrival) (*User, *Member, error) {
	email, err := checkEmail(a.Email)
	if err != nil || !a.Verified {
		// An address that anybody may claim at their provider is nobody's (nOAuth).
		return nil, nil, fault.New(fault.Unauthenticated, "%s does not say that your e-mail address is verified: it is needed for the first sign-in", a.ProviderName).In(SSOUnverified)
	}
	found, err := userByEmail(ctx, tx, email)
	isNew := errors.Is(err, fault.NotFound)
	if err != nil && !isNew {
		return nil, nil, err
	}
	u := &found
	if !isNew {
		m, err := member(ctx, tx, a.Tenant, u.ID)
		if err == nil {
			if m.Status == Invited {
				if err := s.accept(ctx, tx, u, &m); err != nil {
					return nil, nil, err
				}
			}
			return u, &m, s.linkSSO(ctx, tx, a, u)
		}
		if !errors.Is(err, fault.NotFound) {
			return nil, nil, err
		}
	}
	if !a.Creates {
		return nil, nil, fault.New(fault.Unauthenticated, "nobody here has that address: ask an Admin to invite you").In(SSOUnknown)
	}
	if a.Role == "" {
		return nil, nil, noRole(a)
	}
	actor := "sso:" + a.ProviderName
	if isNew {
		if u, err = s.newUser(ctx, Draft{Email: email, Name: nameOf(a.Name, email)}, actor); err != nil {
			return nil, nil, err
		}
		if slices.Contains(Languages, a.Language) {
			u.Language = a.Language
		}
	}
	m := &Member{UserID: u.ID, Tenant: a.Tenant, Role: a.Role, Status: Active, Origin: "sso", Vouched: !isNew, AddedAt: s.now(), AddedBy: actor}
	if err := s.join(ctx, tx, u, m, isNew); err != nil {
		return nil, nil, err
	}
	return u, m, s.linkSSO(ctx, tx, a, u)
}

// accept lets somebody in who was invited and came by the identity provider instead.
func (s *Service) accept(ctx context.Context, tx *sqldb.DB, u *User, m *Member) error {
	now := s.now()
	vouched, err := shared(ctx, tx, u, m.Tenant)
	if err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE account_member SET status = $1, vouched = $2, changed_at = $3 WHERE tenant = $4 AND user_id = $5`, string(Active), vouched, now.UnixMicro(), int64(m.Tenant), u.ID); err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_link WHERE user_id = $1 AND tenant = $2 AND kind = $3`, u.ID, int64(m.Tenant), linkInvite); err != nil {
		return err
	}
	m.Status, m.Vouched = Active, vouched
	return audit.Record(ctx, tx, audit.Entry{Tenant: m.Tenant, At: now, Actor: Actor(u.Email), Action: "user.accept", Object: u.ID, Detail: map[string]any{"method": bySSO}})
}

func (s *Service) linkSSO(ctx context.Context, tx *sqldb.DB, a *Arrival, u *User) error {
	now := s.now()
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO sso_identity (tenant, provider, issuer, subject, user_id, linked_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $6)`,
		int64(a.Tenant), a.Provider, a.Issuer, a.Subject, u.ID, now.UnixMicro()); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Entry{
		Tenant: a.Tenant, At: now, Actor: "sso:" + a.ProviderName, Action: "user.identity.link", Object: u.ID, Detail: map[string]any{"provider": a.Provider, "issuer": a.Issuer, "subject": a.Subject, "email": u.Email},
	})
}

func noRole(a *Arrival) error {
	return fault.New(fault.Unauthenticated, "%s gives you no role here: ask an Admin which group you have to be in", a.ProviderName).In(SSONoRole)
}

// govern gives somebody the role that the provider says. The last Admin stays one, and so
// does the one who may come in without the provider: a mistake there must not lock all out.
func (s *Service) govern(ctx context.Context, tx *sqldb.DB, a *Arrival, m *Member) error {
	if a.Role == m.Role {
		return nil
	}
	p, err := s.person(ctx, tx, m.Tenant, m.UserID)
	if err != nil {
		return err
	}
	if fixed, err := s.fixed(ctx, tx, p); err != nil || fixed {
		return err
	}
	if a.Role == "" {
		return noRole(a)
	}
	return s.place(ctx, tx, "sso:"+a.ProviderName, p, a.Role, p.Status)
}

// fixed tells whether somebody has to stay an active Admin.
func (s *Service) fixed(ctx context.Context, tx *sqldb.DB, p *Person) (bool, error) {
	if p.Role != identity.Admin || p.Status != Active {
		return false, nil
	}
	policy, err := s.policy(ctx, tx, p.Tenant)
	if err != nil || policy.SSOOnly && policy.BreakGlass == p.ID {
		return true, err
	}
	n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM account_member WHERE tenant = $1 AND role = $2 AND status = $3`, int64(p.Tenant), string(identity.Admin), string(Active))
	return n <= 1, err
}

// nameOf is a name that may be kept: the one that was told, or what stands before @.
func nameOf(name, email string) string {
	if name, err := checkName(name); err == nil {
		return name
	}
	local, _, _ := strings.Cut(email, "@")
	return local
}
