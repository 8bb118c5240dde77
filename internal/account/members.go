package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Person is somebody of a tenant.
type Person struct {
	User
	Member
	Sessions int64 // that go on in the tenant
	Passkeys int64
	Factor   bool // HasFactor

	CameAt *time.Time // by an identity provider of the tenant, the last time
}

// LastSignIn is when somebody signed in the last time, as far as it is the tenant's to know:
// of a place that their password does not open, when its provider brought them.
func (p *Person) LastSignIn() *time.Time {
	if p.Status == Invited || p.Vouched {
		return p.CameAt
	}
	return p.SignedInAt
}

// HasFactor tells in SQL of account_user u whether somebody has a second factor here: an
// authenticator app that is confirmed, or a passkey.
const HasFactor = `(u.totp_at IS NOT NULL OR EXISTS (SELECT 1 FROM account_passkey k WHERE k.user_id = u.id))`

// A Filter chooses people. Its zero value is the first page of all, newest first.
type Filter struct {
	Roles    []identity.Role
	Statuses []Status
	Search   string // in name and address, whatever the case

	Sort       string // one of Sorts; "" means the first
	Ascending  bool
	Page, Size int // Size 0 means 20
}

// Sorts lists the sort fields, the default first.
var Sorts = []string{"createdAt", "name", "email", "lastSignInAt"}

func sortColumn(sort string) string {
	switch sort {
	case "name":
		return "lower(u.name)"
	case "email":
		return "u.email"
	case "lastSignInAt":
		return "COALESCE(u.signed_in_at, 0)" // the two databases put NULL at different ends
	}
	return "m.added_at"
}

const personColumns = `SELECT ` + userColumns + `, ` + memberColumns + `, (SELECT count(*) FROM account_session s WHERE s.user_id = u.id AND s.tenant = m.tenant),
	(SELECT count(*) FROM account_passkey k WHERE k.user_id = u.id), ` + HasFactor + `, (SELECT max(i.used_at) FROM sso_identity i WHERE i.user_id = u.id AND i.tenant = m.tenant)
	FROM account_member m JOIN account_user u ON u.id = m.user_id`

func scanPerson(rows *sql.Rows, p *Person) error {
	var totpAt *time.Time
	var tenant int64
	err := rows.Scan(append(append(p.User.targets(&totpAt), p.Member.targets(&tenant)...), &p.Sessions, &p.Passkeys, &p.Factor, sqldb.MicrosOrNull(&p.CameAt))...)
	p.TOTP, p.Tenant = totpAt != nil, uint32(tenant)
	return err
}

var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// List returns one page of the tenant's people and how many match in all; of a demo tenant,
// like Get and Team, those who come into it.
func (s *Service) List(ctx context.Context, tenant uint32, f Filter) (list []Person, total int64, err error) {
	if f.Size == 0 {
		f.Size = 20
	}
	args := []any{int64(tenant)}
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	where := ` WHERE m.tenant = ` + Home
	in := func(column string, values []string) {
		if len(values) == 0 {
			return
		}
		marks := make([]string, len(values))
		for i, v := range values {
			marks[i] = arg(v)
		}
		where += ` AND ` + column + ` IN (` + strings.Join(marks, ", ") + `)`
	}
	in("m.role", asTexts(f.Roles))
	in("m.status", asTexts(f.Statuses))
	if f.Search != "" {
		like := arg("%" + likeEscape.Replace(strings.ToLower(f.Search)) + "%")
		where += ` AND (lower(u.name) LIKE ` + like + ` ESCAPE '\' OR u.email LIKE ` + like + ` ESCAPE '\')`
	}
	direction := " DESC"
	if f.Ascending {
		direction = " ASC"
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM account_member m JOIN account_user u ON u.id = m.user_id`+where, args...); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scanPerson, personColumns+where+` ORDER BY `+sortColumn(f.Sort)+direction+`, u.id`+direction+` LIMIT `+arg(f.Size)+` OFFSET `+arg(int64(f.Page)*int64(f.Size)), args...)
		return err
	})
	return list, total, fault.Wrap("list people", err)
}

func asTexts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = string(v)
	}
	return out
}

var errNobody = fault.New(fault.NotFound, "no such user")

// Get returns one person of the tenant, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Person, error) {
	home, err := homeOf(ctx, s.db, tenant)
	if err != nil {
		return nil, fault.Wrap("get user", err)
	}
	return s.person(ctx, s.db, home, id)
}

func (s *Service) person(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Person, error) {
	p, err := sqldb.One(ctx, db, scanPerson, personColumns+` WHERE m.tenant = $1 AND m.user_id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		if err := NoDemo(ctx, db, tenant); err != nil {
			return nil, err
		}
		return nil, errNobody
	}
	return &p, fault.Wrap("get user", err)
}

// A Patch changes somebody's place in a tenant; nil leaves as it is.
type Patch struct {
	Role   *identity.Role
	Status *Status // Active or Disabled
}

// Change changes somebody's place. A tenant keeps one active Admin: taking away the last
// is fault.Conflict. Who is disabled, or gets another role, has their sessions in the
// tenant ended.
func (s *Service) Change(ctx context.Context, tenant uint32, actor, id string, patch Patch) (*Person, error) {
	if patch.Role != nil {
		if err := checkRole(*patch.Role); err != nil {
			return nil, err
		}
	}
	if patch.Status != nil && *patch.Status != Active && *patch.Status != Disabled {
		return nil, fault.New(fault.Invalid, "Allowed: active, disabled").In("status")
	}
	var out *Person
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		p, err := s.person(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		role, status := p.Role, p.Status
		if patch.Role != nil {
			role = *patch.Role
		}
		if patch.Status != nil {
			if *patch.Status == Active && p.Status == Invited {
				return fault.New(fault.Conflict, "they have not followed their invitation yet")
			}
			status = *patch.Status
		}
		if err := s.place(ctx, tx, actor, p, role, status); err != nil {
			return err
		}
		out, err = s.person(ctx, tx, tenant, id)
		return err
	})
	return out, fault.Wrap("change user", err)
}

func (s *Service) place(ctx context.Context, tx *sqldb.DB, actor string, p *Person, role identity.Role, status Status) error {
	if role == p.Role && status == p.Status {
		return nil
	}
	if err := s.keepBreakGlass(ctx, tx, p); err != nil {
		return err
	}
	vouched := p.Vouched
	if p.Status == Invited && status != Invited { // whoever knows the password has not followed the invitation
		// Another tenant's invitation that sets a password meanwhile has to be seen: on PostgreSQL
		// one of the two begins anew.
		if _, err := sqldb.Exec(ctx, tx, `UPDATE account_user SET version = version WHERE id = $1`, p.ID); err != nil {
			return err
		}
		var err error
		if vouched, err = shared(ctx, tx, &p.User, p.Tenant); err != nil {
			return err
		}
	}
	now := s.now()
	if _, err := sqldb.Exec(ctx, tx, `UPDATE account_member SET role = $1, status = $2, vouched = $3, changed_at = $4 WHERE tenant = $5 AND user_id = $6`,
		string(role), string(status), vouched, now.UnixMicro(), int64(p.Tenant), p.ID); err != nil {
		return err
	}
	if err := s.keepAdmin(ctx, tx, p); err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_session WHERE user_id = $1 AND tenant = $2`, p.ID, int64(p.Tenant)); err != nil {
		return err
	}
	detail := map[string]any{"email": p.Email}
	if role != p.Role {
		detail["role"] = []identity.Role{p.Role, role}
	}
	if status != p.Status {
		detail["status"] = []Status{p.Status, status}
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: p.Tenant, At: now, Actor: actor, Action: "user.update", Object: p.ID, Detail: detail})
}

// keepBreakGlass refuses to take away whom single sign-on alone leaves the password.
func (s *Service) keepBreakGlass(ctx context.Context, tx *sqldb.DB, p *Person) error {
	policy, err := s.policy(ctx, tx, p.Tenant)
	if err == nil && policy.SSOOnly && policy.BreakGlass == p.ID {
		return fault.New(fault.Conflict, "this is the Admin who may sign in while the identity provider is out of reach: name another one in the settings of single sign-on first")
	}
	return err
}

// keepWayIn refuses to take the last passkey of whom single sign-on alone leaves password
// and passkeys, where they have no password: nobody could come in without the provider.
func (s *Service) keepWayIn(ctx context.Context, tx *sqldb.DB, user string) error {
	n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM account_policy p JOIN account_user u ON u.id = p.break_glass
		WHERE p.sso_only AND u.id = $1 AND u.password = '' AND NOT EXISTS (SELECT 1 FROM account_passkey k WHERE k.user_id = u.id)`, user)
	if err == nil && n > 0 {
		return fault.New(fault.Conflict, "this is the only way in of the Admin who may sign in while the identity provider is out of reach: give them a password, or name another Admin in the settings of single sign-on first")
	}
	return err
}

// keepAdmin refuses a change that left the tenant without an Admin who may come in.
func (s *Service) keepAdmin(ctx context.Context, tx *sqldb.DB, p *Person) error {
	if p.Role != identity.Admin || p.Status != Active {
		return nil
	}
	n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM account_member WHERE tenant = $1 AND role = $2 AND status = $3`, int64(p.Tenant), string(identity.Admin), string(Active))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "this is the last Admin: give somebody else the role first")
	}
	return err
}

// Remove takes somebody out of the tenant, and the account with the last place. Where what
// they sign in with opens none of the places that are left, it goes, too: the tenants of
// those never knew whose it is.
func (s *Service) Remove(ctx context.Context, tenant uint32, actor, id string) error {
	return fault.Wrap("remove user", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		p, err := s.person(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if err := s.keepBreakGlass(ctx, tx, p); err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM sso_identity WHERE user_id = $1 AND tenant = $2`,
			`DELETE FROM scim_user WHERE id = $1 AND tenant = $2`,
			`DELETE FROM account_member WHERE user_id = $1 AND tenant = $2`,
			`DELETE FROM account_session WHERE user_id = $1 AND tenant = $2`,
			`DELETE FROM account_link WHERE user_id = $1 AND tenant = $2`,
			// Nobody else has ever seen them.
			`DELETE FROM saved_view WHERE owner = $1 AND (tenant = $2 OR tenant IN (SELECT number FROM tenant_demo WHERE of_tenant = $2)) AND NOT shared`,
		} {
			if _, err := sqldb.Exec(ctx, tx, query, id, int64(tenant)); err != nil {
				return err
			}
		}
		if err := s.keepAdmin(ctx, tx, p); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_user WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM account_member m WHERE m.user_id = $1)`, id); err != nil {
			return err
		}
		if left, err := elsewhere(ctx, tx, id, tenant); err != nil {
			return err
		} else if !left {
			if err := forsake(ctx, tx, id); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "user.delete", Object: id, Detail: map[string]any{"email": p.Email, "role": p.Role}})
	}))
}

// answerable tells whether an Admin of the tenant may change what somebody signs in with:
// only where that opens no other tenant to them. The installation's own may.
func (s *Service) answerable(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	if s.Owner != 0 && tenant == s.Owner {
		return nil
	}
	if others, err := elsewhere(ctx, tx, id, tenant); err != nil || !others {
		return err
	}
	return fault.New(fault.Forbidden, "this person belongs to other tenants too: an Admin of the installation's own tenant can do it")
}

// ResetFactor takes somebody's second factors away and ends their sessions.
func (s *Service) ResetFactor(ctx context.Context, tenant uint32, actor, id string) error {
	return fault.Wrap("reset second factor", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := s.person(ctx, tx, tenant, id); err != nil {
			return err
		}
		if err := s.answerable(ctx, tx, tenant, id); err != nil {
			return err
		}
		for _, query := range []string{`DELETE FROM account_session WHERE user_id = $1`, `DELETE FROM account_passkey WHERE user_id = $1`} {
			if _, err := sqldb.Exec(ctx, tx, query, id); err != nil {
				return err
			}
		}
		if err := s.keepWayIn(ctx, tx, id); err != nil {
			return err
		}
		return s.dropFactor(ctx, tx, tenant, actor, id)
	}))
}

// Team returns the names of those who may come in, for handing out work.
func (s *Service) Team(ctx context.Context, tenant uint32) ([]Person, error) {
	all, err := sqldb.All(ctx, s.db, scanPerson, personColumns+` WHERE m.tenant = `+Home+` AND m.status = $2 ORDER BY lower(u.name), u.id`, int64(tenant), string(Active))
	return all, fault.Wrap("list team", err)
}
