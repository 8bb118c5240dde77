// Package sso lets people of a tenant sign in at its identity provider (OpenID Connect):
// which providers there are, what their claims mean, and the way there and back. It keeps
// no sessions; account does, of whom a provider vouches for.
package sso

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Config is what a Service needs; all without a default is required.
type Config struct {
	DB       *sqldb.DB
	Accounts *account.Service
	Sealer   *seal.Sealer // of client secrets, and of who is on the way
	Guard    *outbound.Guard
	Owner    uint32        // the tenant that runs the installation: its providers are listed unless told otherwise
	URL      func() string // where people reach the console
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	client *http.Client

	mu    sync.Mutex
	known map[string]*discovered // by issuer
}

// New returns the use cases.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{Config: c, client: c.Guard.Client(outbound.Limits{}), known: map[string]*discovered{}}
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// A Provider is an identity provider of one tenant, without its secret.
type Provider struct {
	ID           string // UUIDv7
	Tenant       uint32
	Slug         string // in addresses, of the whole installation
	Name         string
	Issuer       string
	ClientID     string
	HasSecret    bool
	Scopes       []string
	RoleClaim    string // "": roles are given here, and DefaultRole to those who are new
	Roles        []account.Mapping
	DefaultRole  identity.Role // of those whom Roles says nothing of; "": refused
	Domains      []string      // of mail addresses that may come in; empty: all
	LinkClaim    string        // what a directory knows people by
	Creates      bool          // whoever is new gets an account
	SecondFactor bool          // the provider asks for one
	Listed       bool          // shown to everybody who opens the sign-in page; only the installation's own
	Enabled      bool
	CreatedAt    time.Time
	CreatedBy    string
	ChangedAt    time.Time
	Version      int64

	secret []byte // sealed
}

// A Patch changes a provider; nil leaves as it is.
type Patch struct {
	Slug, Name, Issuer, ClientID *string
	Secret                       *string // "": there is none
	Scopes, Domains              *[]string
	RoleClaim, LinkClaim         *string
	Roles                        *[]account.Mapping
	DefaultRole                  *identity.Role
	Creates, SecondFactor        *bool
	Listed, Enabled              *bool
	Version                      int64 // that the change is made on; 0: any
}

const (
	maxProviders = 20
	maxText      = 500
	maxScopes    = 20
	maxDomains   = 100
)

var (
	slugForm   = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)
	scopeForm  = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,100}$`) // RFC 6749 3.3
	domainForm = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
	claimForm  = regexp.MustCompile(`^[\x21-\x7E]{1,200}$`)
)

// Redirect is where the provider sends people back to. Each has its own: an answer that
// was meant for one is of no use at another (RFC 9700 4.4.2).
func (s *Service) Redirect(slug string) string { return s.URL() + "/signin/sso/" + slug }

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// apply changes p and checks the whole.
func (s *Service) apply(p *Provider, c *Patch) error {
	set(&p.Slug, c.Slug)
	set(&p.Name, c.Name)
	set(&p.Issuer, c.Issuer)
	set(&p.ClientID, c.ClientID)
	set(&p.Scopes, c.Scopes)
	set(&p.Domains, c.Domains)
	set(&p.RoleClaim, c.RoleClaim)
	set(&p.LinkClaim, c.LinkClaim)
	set(&p.Roles, c.Roles)
	set(&p.DefaultRole, c.DefaultRole)
	set(&p.Creates, c.Creates)
	set(&p.SecondFactor, c.SecondFactor)
	if p.Tenant != s.Owner {
		p.Listed = false
	}
	set(&p.Listed, c.Listed)
	set(&p.Enabled, c.Enabled)
	return s.check(p)
}

func (s *Service) check(p *Provider) error {
	invalid := func(field, says string, args ...any) error { return fault.New(fault.Invalid, says, args...).In(field) }
	p.Name, p.Issuer, p.ClientID = strings.TrimSpace(p.Name), strings.TrimSpace(p.Issuer), strings.TrimSpace(p.ClientID)
	const maxName = 60
	if n := utf8.RuneCountInString(p.Name); n < 1 || n > maxName || strings.ContainsFunc(p.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return invalid("name", "Allowed: 1 to %d printable characters", maxName)
	}
	if !slugForm.MatchString(p.Slug) {
		return invalid("slug", "Allowed: 1 to 40 of a-z, 0-9 and -, such as acme-okta")
	}
	if err := s.checkIssuer(p.Issuer); err != nil {
		return err
	}
	if p.ClientID == "" || len(p.ClientID) > maxText || !utf8.ValidString(p.ClientID) || strings.ContainsFunc(p.ClientID, unicode.IsControl) {
		return invalid("clientId", "Allowed: 1 to %d characters, and no control characters", maxText)
	}
	if len(p.Scopes) > maxScopes || slices.ContainsFunc(p.Scopes, func(x string) bool { return !scopeForm.MatchString(x) }) {
		return invalid("scopes", "Allowed: at most %d names without spaces", maxScopes)
	}
	if !slices.Contains(p.Scopes, oidc.ScopeOpenID) {
		p.Scopes = append([]string{oidc.ScopeOpenID}, p.Scopes...)
	}
	for i, d := range p.Domains {
		p.Domains[i] = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(d)), "@")
		if !domainForm.MatchString(p.Domains[i]) {
			return invalid("domains", "Allowed: domains of mail addresses such as example.com")
		}
	}
	if len(p.Domains) > maxDomains {
		return invalid("domains", "Allowed: at most %d", maxDomains)
	}
	if p.Listed && p.Tenant != s.Owner {
		return invalid("listed", "Only providers of the installation's own tenant stand on everybody's sign-in page: give it the domains of your addresses, or link to its own address")
	}
	if p.RoleClaim != "" && !claimForm.MatchString(p.RoleClaim) {
		return invalid("roleClaim", "Allowed: the name of a claim, such as groups or realm_access.roles")
	}
	if !claimForm.MatchString(p.LinkClaim) {
		return invalid("linkClaim", "Allowed: the name of a claim, such as sub or oid")
	}
	if p.DefaultRole != "" && !slices.Contains(identity.Roles, string(p.DefaultRole)) {
		return invalid("defaultRole", "Allowed: %s, or none", strings.Join(identity.Roles, ", "))
	}
	if p.RoleClaim != "" && len(p.Roles) == 0 && p.DefaultRole == "" {
		return invalid("roles", "Without a mapping and without a default role nobody could sign in")
	}
	if p.RoleClaim == "" && len(p.Roles) > 0 {
		return invalid("roleClaim", "Say which claim the mapping is of, such as groups")
	}
	if p.RoleClaim == "" && p.Creates && p.DefaultRole == "" {
		return invalid("defaultRole", "Say which role those get who are new")
	}
	return account.CheckMappings(p.Roles)
}

func (s *Service) checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || len(issuer) > maxText {
		return fault.New(fault.Invalid, "Allowed: the issuer's address such as https://login.example.com/realms/acme, as its metadata has it").In("issuer")
	}
	if _, err := s.Guard.CheckURL(issuer); err != nil {
		return fault.New(fault.Invalid, "%s", outbound.Reason(err)).In("issuer")
	}
	return nil
}

const columns = `SELECT id, tenant, slug, name, issuer, client_id, secret, scopes, role_claim, roles, default_role, domains, link_claim, creates, second_factor, listed, enabled, created_at, created_by, changed_at, version FROM sso_provider`

func scan(rows *sql.Rows, p *Provider) error {
	var tenant int64
	var scopes, roles, domains string
	if err := rows.Scan(&p.ID, &tenant, &p.Slug, &p.Name, &p.Issuer, &p.ClientID, &p.secret, &scopes, &p.RoleClaim, &roles, &p.DefaultRole, &domains, &p.LinkClaim, &p.Creates, &p.SecondFactor, &p.Listed, &p.Enabled,
		sqldb.Micros(&p.CreatedAt), &p.CreatedBy, sqldb.Micros(&p.ChangedAt), &p.Version); err != nil {
		return err
	}
	p.Tenant, p.HasSecret = uint32(tenant), p.secret != nil
	return errors.Join(json.Unmarshal([]byte(scopes), &p.Scopes), json.Unmarshal([]byte(roles), &p.Roles), json.Unmarshal([]byte(domains), &p.Domains))
}

// texts are the columns that hold lists.
func (p *Provider) texts() (scopes, roles, domains string, err error) {
	var out [3]string
	for i, v := range []any{orEmpty(p.Scopes), orEmpty(p.Roles), orEmpty(p.Domains)} {
		b, err := json.Marshal(v)
		if err != nil {
			return "", "", "", err
		}
		out[i] = string(b)
	}
	return out[0], out[1], out[2], nil
}

func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func purpose(id string) string { return "sso provider " + id }

// List returns the tenant's providers, the oldest first.
func (s *Service) List(ctx context.Context, tenant uint32) ([]Provider, error) {
	all, err := sqldb.All(ctx, s.DB, scan, columns+` WHERE tenant = $1 ORDER BY created_at, id`, int64(tenant))
	return all, fault.Wrap("list identity providers", err)
}

// Get returns one of the tenant's, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Provider, error) {
	return get(ctx, s.DB, tenant, id)
}

func get(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Provider, error) {
	p, err := sqldb.One(ctx, db, scan, columns+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such identity provider")
	}
	return &p, fault.Wrap("read an identity provider", err)
}

// Create adds a provider, whose issuer must answer.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, c *Patch) (*Provider, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("add an identity provider", err)
	}
	now := s.now()
	p := &Provider{
		ID: id.String(), Tenant: tenant, Scopes: []string{oidc.ScopeOpenID, "profile", "email"}, LinkClaim: "sub", Enabled: true, Listed: tenant == s.Owner,
		CreatedAt: now, CreatedBy: actor, ChangedAt: now, Version: 1,
	}
	if err := s.apply(p, c); err != nil {
		return nil, err
	}
	if err := s.answers(ctx, p.Issuer); err != nil {
		return nil, err
	}
	if c.Secret != nil && *c.Secret != "" {
		p.secret, p.HasSecret = s.Sealer.Seal(tenant, purpose(p.ID), []byte(*c.Secret)), true
	}
	scopes, roles, domains, err := p.texts()
	if err != nil {
		return nil, err
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if err := account.NoDemo(ctx, tx, tenant); err != nil {
			return err
		}
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM sso_provider WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxProviders {
			return fault.New(fault.Conflict, "there are %d identity providers, and no more are allowed: remove one", n)
		}
		if err := s.unclaimed(ctx, tx, p); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO sso_provider (id, tenant, slug, name, issuer, client_id, secret, scopes, role_claim, roles, default_role, domains, link_claim, creates, second_factor, listed, enabled,
			created_at, created_by, changed_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $18, 1)`,
			p.ID, int64(tenant), p.Slug, p.Name, p.Issuer, p.ClientID, p.secret, scopes, p.RoleClaim, roles, string(p.DefaultRole), domains, p.LinkClaim, p.Creates, p.SecondFactor, p.Listed, p.Enabled, now.UnixMicro(), actor); err != nil {
			return err
		}
		return s.record(ctx, tx, p, actor, "sso.create", p.HasSecret)
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, taken()
	}
	return p, fault.Wrap("add an identity provider", err)
}

// unclaimed refuses a domain that a provider of another tenant has: whoever types such an
// address on the sign-in page is shown one tenant's.
func (s *Service) unclaimed(ctx context.Context, tx *sqldb.DB, p *Provider) error {
	if len(p.Domains) == 0 {
		return nil
	}
	others, err := sqldb.All(ctx, tx, scan, columns+` WHERE tenant <> $1 AND domains <> '[]'`, int64(p.Tenant))
	if err != nil {
		return err
	}
	for i := range others {
		for _, d := range others[i].Domains {
			if slices.Contains(p.Domains, d) {
				return fault.New(fault.Conflict, "an identity provider of another tenant has the domain %s: ask who runs the installation", d).In("domains")
			}
		}
	}
	return nil
}

func taken() error {
	return fault.New(fault.Conflict, "that short name is taken: choose another").In("slug")
}

func (s *Service) record(ctx context.Context, tx *sqldb.DB, p *Provider, actor, action string, secret bool) error {
	detail := map[string]any{
		"slug": p.Slug, "name": p.Name, "issuer": p.Issuer, "clientId": p.ClientID, "scopes": p.Scopes, "roleClaim": p.RoleClaim, "roles": p.Roles, "defaultRole": p.DefaultRole, "domains": p.Domains,
		"linkClaim": p.LinkClaim, "creates": p.Creates, "secondFactor": p.SecondFactor, "listed": p.Listed, "enabled": p.Enabled,
	}
	if secret {
		detail["secret"] = "changed"
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: p.Tenant, At: s.now(), Actor: actor, Action: action, Object: p.ID, Detail: detail})
}

// Change changes a provider. Another issuer must answer and knows nobody yet; switched off,
// the sessions that it vouches for end.
func (s *Service) Change(ctx context.Context, tenant uint32, actor, id string, c *Patch) (*Provider, error) {
	had, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if c.Issuer != nil && strings.TrimSpace(*c.Issuer) != had.Issuer {
		if err := s.checkIssuer(strings.TrimSpace(*c.Issuer)); err != nil {
			return nil, err
		}
		if err := s.answers(ctx, strings.TrimSpace(*c.Issuer)); err != nil {
			return nil, err
		}
	}
	var p *Provider
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if p, err = get(ctx, tx, tenant, id); err != nil {
			return err
		}
		was := *p
		if c.Version != 0 && c.Version != p.Version {
			return fault.New(fault.Conflict, "the identity provider has changed since").In("version")
		}
		if err := s.apply(p, c); err != nil {
			return err
		}
		if c.Domains != nil {
			if err := s.unclaimed(ctx, tx, p); err != nil {
				return err
			}
		}
		if p.Issuer != was.Issuer && p.Issuer != strings.TrimSpace(*c.Issuer) {
			return fault.New(fault.Conflict, "the identity provider has changed since").In("version")
		}
		if c.Secret != nil {
			if p.secret = nil; *c.Secret != "" {
				p.secret = s.Sealer.Seal(tenant, purpose(p.ID), []byte(*c.Secret))
			}
			p.HasSecret = p.secret != nil
		}
		scopes, roles, domains, err := p.texts()
		if err != nil {
			return err
		}
		p.ChangedAt, p.Version = s.now(), p.Version+1
		if _, err := sqldb.Exec(ctx, tx, `UPDATE sso_provider SET slug = $1, name = $2, issuer = $3, client_id = $4, secret = $5, scopes = $6, role_claim = $7, roles = $8, default_role = $9, domains = $10, link_claim = $11,
			creates = $12, second_factor = $13, listed = $14, enabled = $15, changed_at = $16, version = $17 WHERE tenant = $18 AND id = $19`,
			p.Slug, p.Name, p.Issuer, p.ClientID, p.secret, scopes, p.RoleClaim, roles, string(p.DefaultRole), domains, p.LinkClaim, p.Creates, p.SecondFactor, p.Listed, p.Enabled, p.ChangedAt.UnixMicro(), p.Version, int64(tenant), id); err != nil {
			return err
		}
		if p.Issuer != was.Issuer {
			// A subject means nothing at another issuer.
			if _, err := sqldb.Exec(ctx, tx, `DELETE FROM sso_identity WHERE tenant = $1 AND provider = $2`, int64(tenant), id); err != nil {
				return err
			}
		}
		if !p.Enabled || p.Issuer != was.Issuer {
			if err := s.leave(ctx, tx, tenant, id, p.Enabled); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, p, actor, "sso.update", c.Secret != nil)
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, taken()
	}
	if err != nil {
		return nil, fault.Wrap("change an identity provider", err)
	}
	return p, nil
}

// leave ends the sessions that a provider vouches for, and sees to it that people who have
// to come from one still can.
func (s *Service) leave(ctx context.Context, tx *sqldb.DB, tenant uint32, id string, stays bool) error {
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_session WHERE tenant = $1 AND provider = $2`, int64(tenant), id); err != nil || stays {
		return err
	}
	only, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM account_policy WHERE tenant = $1 AND sso_only AND NOT EXISTS (SELECT 1 FROM sso_provider p WHERE p.tenant = $1 AND p.enabled AND p.id <> $2)`, int64(tenant), id)
	if err == nil && only > 0 {
		return fault.New(fault.Conflict, "people have to come from this identity provider, it is the last one: let them sign in with passwords again first")
	}
	return err
}

// Delete removes a provider: nobody comes in by it any more.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	return fault.Wrap("remove an identity provider", s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		p, err := get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if err := s.leave(ctx, tx, tenant, id, false); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM sso_provider WHERE tenant = $1 AND id = $2`, int64(tenant), id); err != nil {
			return err
		}
		return s.record(ctx, tx, p, actor, "sso.delete", false)
	}))
}

// Offered returns the providers that the sign-in page shows: those that are listed, and
// before them those of the address's domain. Only the installation's own are listed.
func (s *Service) Offered(ctx context.Context, email string) ([]Provider, error) {
	all, err := sqldb.All(ctx, s.DB, scan, columns+` WHERE enabled AND (listed OR domains <> '[]') ORDER BY name, id`)
	if err != nil {
		return nil, fault.Wrap("list identity providers", err)
	}
	domain := domainOf(email)
	ours := func(p *Provider) bool { return domain != "" && slices.Contains(p.Domains, domain) }
	shown := slices.DeleteFunc(all, func(p Provider) bool { return (!p.Listed || p.Tenant != s.Owner) && !ours(&p) })
	slices.SortStableFunc(shown, func(a, b Provider) int {
		switch x, y := ours(&a), ours(&b); {
		case x && !y:
			return -1
		case y && !x:
			return 1
		}
		return 0
	})
	return shown, nil
}

func domainOf(email string) string {
	_, domain, ok := strings.Cut(strings.ToLower(strings.TrimSpace(email)), "@")
	if !ok {
		return ""
	}
	return domain
}
