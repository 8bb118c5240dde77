package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Mapping gives a role to those whom a provider or directory puts into a group.
type Mapping struct {
	Value string        `json:"value"` // of the claim, or the group's name
	Role  identity.Role `json:"role"`
}

const maxMappings = 100

// CheckMappings refuses mappings that cannot be meant.
func CheckMappings(all []Mapping) error {
	if len(all) > maxMappings {
		return fault.New(fault.Invalid, "Allowed: at most %d", maxMappings).In("roles")
	}
	for _, m := range all {
		if m.Value == "" || len(m.Value) > 256 {
			return fault.New(fault.Invalid, "Allowed: a value of 1 to 256 characters for each role").In("roles")
		}
		if err := checkRole(m.Role); err != nil {
			return fault.New(fault.Invalid, "Allowed: %s", strings.Join(identity.Roles, ", ")).In("roles")
		}
	}
	return nil
}

// RoleOf is the mightiest role that the values are mapped to, otherwise where there is none.
func RoleOf(all []Mapping, values []string, otherwise identity.Role) identity.Role {
	best := len(identity.Roles)
	for _, m := range all {
		if slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, m.Value) }) {
			best = min(best, slices.Index(identity.Roles, string(m.Role)))
		}
	}
	if best == len(identity.Roles) {
		return otherwise
	}
	return identity.Role(identity.Roles[best])
}

// Provisioning is how a directory provisions people into a tenant.
type Provisioning struct {
	Token       bool // there is one
	Prefix      string
	MadeAt      *time.Time
	MadeBy      string
	UsedAt      *time.Time
	DefaultRole identity.Role // of those in no mapped group; "": they stay outside
	Roles       []Mapping
}

// directoryToken begins every token of a directory.
const directoryToken = "kyra_scim_"

func scanProvisioning(rows *sql.Rows, p *Provisioning) error {
	var roles string
	if err := rows.Scan(&p.Token, &p.Prefix, sqldb.MicrosOrNull(&p.MadeAt), &p.MadeBy, sqldb.MicrosOrNull(&p.UsedAt), &p.DefaultRole, &roles); err != nil {
		return err
	}
	return json.Unmarshal([]byte(roles), &p.Roles)
}

// ProvisioningOf returns how people are provisioned into the tenant.
func (s *Service) ProvisioningOf(ctx context.Context, tenant uint32) (*Provisioning, error) {
	p, err := s.provisioning(ctx, s.db, tenant)
	return p, fault.Wrap("read provisioning", err)
}

func (s *Service) provisioning(ctx context.Context, db *sqldb.DB, tenant uint32) (*Provisioning, error) {
	p, err := sqldb.One(ctx, db, scanProvisioning, `SELECT digest IS NOT NULL, prefix, made_at, made_by, used_at, default_role, roles FROM scim_setting WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return &Provisioning{DefaultRole: identity.Viewer, Roles: []Mapping{}}, nil
	}
	return &p, err
}

// SetProvisioning says which roles the directory's groups give; who is in the tenant by it
// gets theirs at once.
func (s *Service) SetProvisioning(ctx context.Context, tenant uint32, actor string, otherwise identity.Role, roles []Mapping) error {
	if otherwise != "" {
		if err := checkRole(otherwise); err != nil {
			return fault.New(fault.Invalid, "Allowed: %s, or none", strings.Join(identity.Roles, ", ")).In("defaultRole")
		}
	}
	if err := CheckMappings(roles); err != nil {
		return err
	}
	if roles == nil {
		roles = []Mapping{}
	}
	text, err := json.Marshal(roles)
	if err != nil {
		return err
	}
	return fault.Wrap("set provisioning", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := NoDemo(ctx, tx, tenant); err != nil {
			return err
		}
		now := s.now()
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO scim_setting (tenant, prefix, made_by, default_role, roles, changed_at) VALUES ($1, '', '', $2, $3, $4)
			ON CONFLICT (tenant) DO UPDATE SET default_role = excluded.default_role, roles = excluded.roles, changed_at = excluded.changed_at`, int64(tenant), string(otherwise), string(text), now.UnixMicro()); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "settings.provisioning", Detail: map[string]any{"defaultRole": otherwise, "roles": roles}}); err != nil {
			return err
		}
		ids, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT id FROM scim_user WHERE tenant = $1 ORDER BY id`, int64(tenant))
		if err != nil {
			return err
		}
		return s.settle(ctx, tx, tenant, actor, ids...)
	}))
}

// NewDirectoryToken makes the token that the tenant's directory shows; the one before ends.
func (s *Service) NewDirectoryToken(ctx context.Context, tenant uint32, actor string) (token string, err error) {
	secret, _ := newToken()
	token = directoryToken + secret
	const visible = len(directoryToken) + 4
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := NoDemo(ctx, tx, tenant); err != nil {
			return err
		}
		now := s.now()
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO scim_setting (tenant, digest, prefix, made_at, made_by, default_role, roles, changed_at) VALUES ($1, $2, $3, $4, $5, $6, '[]', $4)
			ON CONFLICT (tenant) DO UPDATE SET digest = excluded.digest, prefix = excluded.prefix, made_at = excluded.made_at, made_by = excluded.made_by, used_at = NULL`,
			int64(tenant), digestOf(token), token[:visible], now.UnixMicro(), actor, string(identity.Viewer)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "provisioning.token.create"})
	})
	if err != nil {
		return "", fault.Wrap("make a directory's token", err)
	}
	return token, nil
}

// EndDirectoryToken ends it.
func (s *Service) EndDirectoryToken(ctx context.Context, tenant uint32, actor string) error {
	return fault.Wrap("end a directory's token", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.Exec(ctx, tx, `UPDATE scim_setting SET digest = NULL, prefix = '', made_at = NULL, made_by = '', used_at = NULL WHERE tenant = $1 AND digest IS NOT NULL`, int64(tenant))
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "provisioning.token.revoke"})
	}))
}

// ByDirectoryToken tells whose directory shows the token; every refusal is
// fault.Unauthenticated.
func (s *Service) ByDirectoryToken(ctx context.Context, token string) (tenant uint32, err error) {
	refused := fault.New(fault.Unauthenticated, "missing or invalid token")
	const longest = 100
	if !strings.HasPrefix(token, directoryToken) || len(token) > longest {
		return 0, refused
	}
	now := s.now()
	type row struct {
		tenant int64
		used   *time.Time
	}
	r, err := sqldb.One(ctx, s.db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.tenant, sqldb.MicrosOrNull(&r.used)) }, `SELECT tenant, used_at FROM scim_setting WHERE digest = $1`, digestOf(token))
	if errors.Is(err, fault.NotFound) {
		return 0, refused
	}
	if err != nil {
		return 0, orUnavailable("read the token", err)
	}
	if r.used == nil || now.Sub(*r.used) >= seenEvery {
		if _, err := sqldb.Exec(ctx, s.db, `UPDATE scim_setting SET used_at = $1 WHERE tenant = $2`, now.UnixMicro(), r.tenant); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "last use of a directory's token not written", "tenant", r.tenant, "err", err)
		}
	}
	return uint32(r.tenant), nil
}
