package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// directoryActor stands in the audit log for what a directory does.
const directoryActor = "scim"

// A Listed is somebody as a directory sees them. Who was here before it came is listed,
// too, so that it finds them by their address instead of making them twice.
type Listed struct {
	ID, UserName, External string
	Active                 bool
	Details                Details
	Groups                 []Ref
	CreatedAt, ChangedAt   time.Time
	Version                int64 // 0: the directory has not said anything of them yet

	in bool // it let them in when it was settled last; as if it had, where Version is 0
}

// Details are what a directory says of somebody beside the name that it knows them by.
type Details struct {
	Given     string  `json:"given,omitempty"`
	Family    string  `json:"family,omitempty"`
	Formatted string  `json:"formatted,omitempty"`
	Display   string  `json:"display,omitempty"`
	Title     string  `json:"title,omitempty"`
	Mails     []Email `json:"mails,omitempty"`
}

// An Email is one of somebody's addresses.
type Email struct {
	Value   string `json:"value"`
	Type    string `json:"type,omitempty"`
	Primary bool   `json:"primary,omitempty"`
}

// A Ref names a group, or one of its members.
type Ref struct{ ID, Name string }

// email is the address that an account has: the primary one, else the first, else the name.
func (l *Listed) email() (string, error) {
	tries := []string{l.UserName}
	for i := range l.Details.Mails {
		if m := &l.Details.Mails[i]; m.Primary {
			tries = append([]string{m.Value}, tries...)
		} else {
			tries = append(tries, m.Value)
		}
	}
	for _, t := range tries {
		if e, err := checkEmail(t); err == nil {
			return e, nil
		}
	}
	return "", fault.New(fault.Invalid, "neither emails nor userName holds a mail address").In("emails")
}

func (l *Listed) name(email string) string {
	d := &l.Details
	for _, n := range []string{d.Display, d.Formatted, strings.TrimSpace(d.Given + " " + d.Family)} {
		if n, err := checkName(n); err == nil {
			return n
		}
	}
	return nameOf("", email)
}

const (
	maxUserName = 256
	maxMails    = 20
	maxPeople   = 100_000 // of a tenant's directory
)

// storable tells whether PostgreSQL can keep texts.
func storable(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return strings.ContainsRune(s, 0) || !utf8.ValidString(s) })
}

func unstorable(field string) error {
	return fault.New(fault.Invalid, "texts are UTF-8 without NUL").In(field)
}

func (l *Listed) check() error {
	l.UserName = strings.TrimSpace(l.UserName)
	if l.UserName == "" || len(l.UserName) > maxUserName || len(l.External) > maxUserName {
		return fault.New(fault.Invalid, "userName and externalId have at most %d characters, and userName at least one", maxUserName).In("userName")
	}
	d := &l.Details
	texts := []string{d.Given, d.Family, d.Formatted, d.Display, d.Title}
	if !storable(append(texts, l.UserName, l.External)...) {
		return unstorable("userName")
	}
	for _, text := range texts {
		if len(text) > maxUserName {
			return fault.New(fault.Invalid, "names have at most %d characters", maxUserName).In("name")
		}
	}
	if len(d.Mails) > maxMails {
		return fault.New(fault.Invalid, "somebody has at most %d addresses", maxMails).In("emails")
	}
	for i := range d.Mails {
		if !storable(d.Mails[i].Value, d.Mails[i].Type) {
			return unstorable("emails")
		}
	}
	return nil
}

// A place that the directory has taken away stays as what somebody did here, but the
// directory does not see it any more.
const listedWhere = `m.tenant = $1 AND (d.id IS NOT NULL OR m.origin <> 'scim')`

const listedColumns = `SELECT m.user_id, u.email, u.name, m.status, m.added_at, COALESCE(d.user_name, ''), COALESCE(d.external, m.external), COALESCE(d.details, ''), COALESCE(d.active, m.status <> 'disabled'),
	d.changed_at, COALESCE(d.version, 0), COALESCE(d.let_in, TRUE) FROM account_member m JOIN account_user u ON u.id = m.user_id LEFT JOIN scim_user d ON d.tenant = m.tenant AND d.id = m.user_id`

func scanListed(rows *sql.Rows, l *Listed) error {
	var email, name, status, details string
	var changed *time.Time
	if err := rows.Scan(&l.ID, &email, &name, &status, sqldb.Micros(&l.CreatedAt), &l.UserName, &l.External, &details, &l.Active, sqldb.MicrosOrNull(&changed), &l.Version, &l.in); err != nil {
		return err
	}
	if l.ChangedAt = l.CreatedAt; changed != nil {
		l.ChangedAt = *changed
	}
	if l.UserName == "" {
		l.UserName = email
		l.Details = Details{Display: name, Mails: []Email{{Value: email, Type: "work", Primary: true}}}
		return nil
	}
	return json.Unmarshal([]byte(details), &l.Details)
}

// A Wanted narrows a list of a directory: one attribute that equals a value. Its zero value
// is all.
type Wanted struct {
	Attribute string // userName, externalId, active, id, displayName, email; "" for all
	Value     string
	Member    string // of groups: only those that they are in; "" for all
}

// Listed returns a page of the tenant's people and how many match in all; from counts
// from 0.
func (s *Service) Listed(ctx context.Context, tenant uint32, w Wanted, from, size int) (list []Listed, total int64, err error) {
	where, args := ` WHERE `+listedWhere, []any{int64(tenant)}
	switch w.Attribute {
	case "userName":
		where += ` AND (d.user_key = $2 OR d.id IS NULL AND u.email = $2)`
		args = append(args, strings.ToLower(w.Value))
	case "email":
		where += ` AND u.email = $2`
		args = append(args, strings.ToLower(w.Value))
	case "externalId":
		where += ` AND d.external = $2`
		args = append(args, w.Value)
	case "id":
		where += ` AND m.user_id = $2`
		args = append(args, w.Value)
	case "active":
		where += ` AND COALESCE(d.active, m.status <> 'disabled') = $2`
		args = append(args, strings.EqualFold(w.Value, "true"))
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM account_member m JOIN account_user u ON u.id = m.user_id LEFT JOIN scim_user d ON d.tenant = m.tenant AND d.id = m.user_id`+where, args...); err != nil || size == 0 {
			return err
		}
		if list, err = sqldb.All(ctx, tx, scanListed, listedColumns+where+fmt.Sprintf(` ORDER BY m.added_at, m.user_id LIMIT $%d OFFSET $%d`, len(args)+1, len(args)+2), append(args, size, from)...); err != nil {
			return err
		}
		for i := range list {
			if list[i].Groups, err = groupsOf(ctx, tx, tenant, list[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	return list, total, fault.Wrap("list people of a directory", err)
}

func groupsOf(ctx context.Context, db *sqldb.DB, tenant uint32, user string) ([]Ref, error) {
	return sqldb.All(ctx, db, func(rows *sql.Rows, r *Ref) error { return rows.Scan(&r.ID, &r.Name) }, `
		SELECT g.id, g.name FROM scim_group_member x JOIN scim_group g ON g.tenant = x.tenant AND g.id = x.group_id WHERE x.tenant = $1 AND x.user_id = $2 ORDER BY g.name, g.id`, int64(tenant), user)
}

// Known returns one person of the tenant, or fault.NotFound.
func (s *Service) Known(ctx context.Context, tenant uint32, id string) (*Listed, error) {
	return s.known(ctx, s.db, tenant, id)
}

func (s *Service) known(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Listed, error) {
	l, err := sqldb.One(ctx, db, scanListed, listedColumns+` WHERE `+listedWhere+` AND m.user_id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNobody
	}
	if err != nil {
		return nil, fault.Wrap("read a person of a directory", err)
	}
	l.Groups, err = groupsOf(ctx, db, tenant, id)
	return &l, fault.Wrap("read the groups of a person", err)
}

func doubled(field string) error {
	return fault.New(fault.Conflict, "somebody with that %s is here already", field).In(field)
}

// Provision makes somebody as the directory says. An account that other tenants know gets a
// place here and stays as it is.
func (s *Service) Provision(ctx context.Context, tenant uint32, l *Listed) (out *Listed, err error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	email, err := l.email()
	if err != nil {
		return nil, err
	}
	fresh, err := s.newUser(ctx, Draft{Email: email, Name: l.name(email)}, directoryActor)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		u := fresh
		found, err := userByEmail(ctx, tx, email)
		isNew := errors.Is(err, fault.NotFound)
		if err != nil && !isNew {
			return err
		}
		if !isNew {
			u = &found
		}
		had, err := member(ctx, tx, tenant, u.ID)
		switch {
		case errors.Is(err, fault.NotFound):
			m := &Member{UserID: u.ID, Tenant: tenant, Role: identity.Viewer, Status: Disabled, Origin: "scim", External: l.External, Vouched: !isNew, AddedAt: s.now(), AddedBy: directoryActor}
			if err := s.join(ctx, tx, u, m, isNew); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			// Whom the directory has taken away it may bring back.
			if _, err := s.known(ctx, tx, tenant, had.UserID); err == nil {
				return doubled("userName")
			} else if !errors.Is(err, fault.NotFound) {
				return err
			}
		}
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM scim_user WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxPeople {
			return fault.New(fault.Conflict, "the directory has %d people here, and no more are allowed: assign only those who work with KYRA", n)
		}
		if err := s.writeListed(ctx, tx, tenant, u.ID, l); err != nil {
			return err
		}
		if err := s.settle(ctx, tx, tenant, directoryActor, u.ID); err != nil {
			return err
		}
		out, err = s.known(ctx, tx, tenant, u.ID)
		return err
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, doubled("userName")
	}
	return out, fault.Wrap("provision", err)
}

func (s *Service) writeListed(ctx context.Context, tx *sqldb.DB, tenant uint32, id string, l *Listed) error {
	text, err := json.Marshal(l.Details)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `
		INSERT INTO scim_user (tenant, id, user_name, user_key, external, active, details, let_in, created_at, changed_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 1)
		ON CONFLICT (tenant, id) DO UPDATE SET user_name = excluded.user_name, user_key = excluded.user_key, external = excluded.external, active = excluded.active, details = excluded.details,
			changed_at = excluded.changed_at, version = scim_user.version + 1`,
		int64(tenant), id, l.UserName, strings.ToLower(l.UserName), l.External, l.Active, string(text), l.in, s.now().UnixMicro())
	return err
}

// Reprovision changes somebody as the directory says: change is given what it said last.
func (s *Service) Reprovision(ctx context.Context, tenant uint32, id string, change func(*Listed) error) (out *Listed, err error) {
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		l, err := s.known(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		was, kept := l.UserName, l.offByHand()
		if err := change(l); err != nil {
			return err
		}
		if err := l.check(); err != nil {
			return err
		}
		if l.Active {
			if err := s.rename(ctx, tx, tenant, id, l); err != nil {
				return err
			}
		} else if err := s.keepName(ctx, tx, tenant, l, was); err != nil {
			return err
		}
		if err := s.writeListed(ctx, tx, tenant, id, l); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE account_member SET origin = 'scim', external = $1 WHERE tenant = $2 AND user_id = $3`, l.External, int64(tenant), id); err != nil {
			return err
		}
		if err := s.settle(ctx, tx, tenant, directoryActor, id); err != nil {
			return err
		}
		if kept && l.Active {
			if err := s.keepOff(ctx, tx, tenant, id); err != nil {
				return err
			}
		}
		out, err = s.known(ctx, tx, tenant, id)
		return err
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, doubled("userName")
	}
	return out, fault.Wrap("change a person of a directory", err)
}

// offByHand tells whether an Admin switched somebody off before the directory spoke of them,
// and takes it that the directory thinks them active, as of those whom it knows: what they
// are is not its word.
func (l *Listed) offByHand() bool {
	off := l.Version == 0 && !l.Active
	l.Active = l.Active || off
	return off
}

// keepOff sees to it that the directory's first word of somebody who is off by hand counts
// as one that lets them in, also where no group does yet: it has taken nobody out.
func (s *Service) keepOff(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	_, err := sqldb.Exec(ctx, tx, `UPDATE scim_user SET let_in = TRUE WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	return err
}

// keepName leaves somebody who is switched off the name that the directory knew them by,
// where it gives them one that another person has: a name never stops that.
func (s *Service) keepName(ctx context.Context, tx *sqldb.DB, tenant uint32, l *Listed, was string) error {
	n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM scim_user WHERE tenant = $1 AND user_key = $2 AND id <> $3`, int64(tenant), strings.ToLower(l.UserName), l.ID)
	if err == nil && n > 0 {
		l.UserName = was
	}
	return err
}

// rename gives an account name and address as the directory says, where no other tenant
// knows it: not even as somebody whom only its provider lets in, since an account's mail
// goes to its address. The API keys that they made stay theirs, and others' invitations,
// which were for the address, end. An address that another account has is left where it is.
func (s *Service) rename(ctx context.Context, tx *sqldb.DB, tenant uint32, id string, l *Listed) error {
	email, err := l.email()
	if err != nil {
		return err
	}
	members, err := membersOf(ctx, tx, id)
	if err != nil || slices.ContainsFunc(members, func(m Member) bool { return m.Tenant != tenant && m.Status != Invited }) {
		return err
	}
	u, err := userByID(ctx, tx, id)
	if err != nil {
		return err
	}
	name := l.name(email)
	// On PostgreSQL a violation would lose the transaction.
	if other, err := userByEmail(ctx, tx, email); err == nil && other.ID != id {
		email = u.Email
	} else if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	if u.Email == email && u.Name == name {
		return nil
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE account_user SET email = $1, name = $2, version = version + 1 WHERE id = $3`, email, name, id); err != nil {
		return err
	}
	if u.Email != email {
		for i := range members {
			if members[i].Tenant == tenant {
				continue
			}
			if err := s.withdraw(ctx, tx, &members[i], u.Email); err != nil {
				return err
			}
		}
		if s.CarryKeys != nil {
			if err := withDemo(ctx, tx, tenant, func(number uint32) error { return s.CarryKeys(ctx, tx, number, Actor(u.Email), Actor(email)) }); err != nil {
				return err
			}
		}
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: directoryActor, Action: "user.rename", Object: id, Detail: map[string]any{"email": []string{u.Email, email}, "name": []string{u.Name, name}}})
}

// withdraw takes back an invitation of another tenant, since the account has another address
// now than the one that it was for.
func (s *Service) withdraw(ctx context.Context, tx *sqldb.DB, m *Member, email string) error {
	for _, query := range []string{`DELETE FROM account_link WHERE user_id = $1 AND tenant = $2`, `DELETE FROM account_member WHERE user_id = $1 AND tenant = $2`} {
		if _, err := sqldb.Exec(ctx, tx, query, m.UserID, int64(m.Tenant)); err != nil {
			return err
		}
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: m.Tenant, At: s.now(), Actor: directoryActor, Action: "user.delete", Object: m.UserID, Detail: map[string]any{"email": email, "role": m.Role, "reason": "the account has another address now"}})
}

// Deprovision takes the place of somebody away as the directory asks: they are switched
// off, and their sessions and keys end. What they did stays theirs.
func (s *Service) Deprovision(ctx context.Context, tenant uint32, id string) error {
	return fault.Wrap("deprovision", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		l, err := s.known(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		l.Active = false
		if err := s.writeListed(ctx, tx, tenant, id, l); err != nil {
			return err
		}
		if err := s.settle(ctx, tx, tenant, directoryActor, id); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM scim_user WHERE tenant = $1 AND id = $2`, int64(tenant), id); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE account_member SET origin = 'scim', external = '' WHERE tenant = $1 AND user_id = $2`, int64(tenant), id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: directoryActor, Action: "user.deprovision", Object: id, Detail: map[string]any{"userName": l.UserName}})
	}))
}

// settle gives people the place that the directory's word and groups make: on, with a
// role, or off. Whom it switches off loses sessions and keys at once, also whom an Admin has
// switched off by hand before. Those it switches on only where it did not let them in when
// it was last settled: what it says of names and titles is no word on that.
func (s *Service) settle(ctx context.Context, tx *sqldb.DB, tenant uint32, actor string, ids ...string) error {
	// Of two changes at once the later one has to see what the earlier one made of people:
	// on PostgreSQL both would read what was before. It begins anew.
	if _, err := sqldb.Exec(ctx, tx, `UPDATE scim_setting SET changed_at = $1 WHERE tenant = $2`, s.now().UnixMicro(), int64(tenant)); err != nil {
		return err
	}
	p, err := s.provisioning(ctx, tx, tenant)
	if err != nil {
		return err
	}
	for _, id := range ids {
		who, err := s.person(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		l, err := s.known(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		names := make([]string, 0, len(l.Groups))
		for _, g := range l.Groups {
			names = append(names, g.Name)
		}
		role, status := RoleOf(p.Roles, names, p.DefaultRole), Active
		in := l.Active && role != ""
		switch {
		case !in:
			role, status = who.Role, Disabled
		case l.in && who.Status == Disabled:
			status = Disabled
		}
		if in != l.in {
			if _, err := sqldb.Exec(ctx, tx, `UPDATE scim_user SET let_in = $1 WHERE tenant = $2 AND id = $3`, in, int64(tenant), id); err != nil {
				return err
			}
		}
		if status == Disabled || role != identity.Admin {
			if fixed, err := s.fixed(ctx, tx, who); err != nil {
				return err
			} else if fixed && l.Active {
				continue // groups must not lock all out
			} else if fixed {
				return fault.New(fault.Conflict, "%s has to stay an Admin: it is the last one, or the one who may come in without the identity provider", who.Email)
			}
		}
		if err := s.place(ctx, tx, actor, who, role, status); err != nil { // where it changes anything
			return err
		}
		if !in && s.EndKeys != nil {
			if err := withDemo(ctx, tx, tenant, func(number uint32) error { return s.EndKeys(ctx, tx, number, actor, Actor(who.Email)) }); err != nil {
				return err
			}
		}
	}
	return nil
}
