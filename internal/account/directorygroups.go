package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Group is one of a directory.
type Group struct {
	ID, Name, External   string
	Members              []Ref // nil where they were not asked for
	CreatedAt, ChangedAt time.Time
	Version              int64
}

const groupColumns = `SELECT g.id, g.name, g.external, g.created_at, g.changed_at, g.version FROM scim_group g`

func scanGroup(rows *sql.Rows, g *Group) error {
	return rows.Scan(&g.ID, &g.Name, &g.External, sqldb.Micros(&g.CreatedAt), sqldb.Micros(&g.ChangedAt), &g.Version)
}

// Groups returns a page of the directory's groups; members tells whether to read them, too.
// Then the page ends once as many as one group may have were read.
func (s *Service) Groups(ctx context.Context, tenant uint32, w Wanted, from, size int, members bool) (list []Group, total int64, err error) {
	where, args := ` WHERE g.tenant = $1`, []any{int64(tenant)}
	switch w.Attribute {
	case "displayName":
		where, args = where+` AND g.name_key = $2`, append(args, strings.ToLower(w.Value))
	case "externalId":
		where, args = where+` AND g.external = $2`, append(args, w.Value)
	case "id":
		where, args = where+` AND g.id = $2`, append(args, w.Value)
	case "member":
		where, args = where+` AND EXISTS (SELECT 1 FROM scim_group_member x WHERE x.tenant = g.tenant AND x.group_id = g.id AND x.user_id = $2)`, append(args, w.Value)
	}
	if w.Member != "" {
		where += fmt.Sprintf(` AND EXISTS (SELECT 1 FROM scim_group_member x WHERE x.tenant = g.tenant AND x.group_id = g.id AND x.user_id = $%d)`, len(args)+1)
		args = append(args, w.Member)
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM scim_group g`+where, args...); err != nil || size == 0 {
			return err
		}
		list, err = sqldb.All(ctx, tx, scanGroup, groupColumns+where+fmt.Sprintf(` ORDER BY g.created_at, g.id LIMIT $%d OFFSET $%d`, len(args)+1, len(args)+2), append(args, size, from)...)
		read := 0
		for i := range list {
			if !members || err != nil {
				break
			}
			if read >= maxGroupMembers {
				list = list[:i]
				break
			}
			list[i].Members, err = membersIn(ctx, tx, tenant, list[i].ID)
			read += len(list[i].Members)
		}
		return err
	})
	return list, total, fault.Wrap("list groups", err)
}

func membersIn(ctx context.Context, db *sqldb.DB, tenant uint32, group string) ([]Ref, error) {
	return sqldb.All(ctx, db, func(rows *sql.Rows, r *Ref) error { return rows.Scan(&r.ID, &r.Name) }, `
		SELECT x.user_id, d.user_name FROM scim_group_member x JOIN scim_user d ON d.tenant = x.tenant AND d.id = x.user_id WHERE x.tenant = $1 AND x.group_id = $2 ORDER BY d.user_name, x.user_id`, int64(tenant), group)
}

// Group returns one group with its members, or fault.NotFound.
func (s *Service) Group(ctx context.Context, tenant uint32, id string) (*Group, error) {
	return s.group(ctx, s.db, tenant, id)
}

func (s *Service) group(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Group, error) {
	g, err := sqldb.One(ctx, db, scanGroup, groupColumns+` WHERE g.tenant = $1 AND g.id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such group")
	}
	if err != nil {
		return nil, fault.Wrap("read a group", err)
	}
	g.Members, err = membersIn(ctx, db, tenant, id)
	return &g, fault.Wrap("read the members of a group", err)
}

const (
	maxGroupMembers = 10_000
	maxGroups       = 1_000 // of a tenant
)

func (g *Group) check() error {
	g.Name = strings.TrimSpace(g.Name)
	if g.Name == "" || len(g.Name) > maxUserName || len(g.External) > maxUserName {
		return fault.New(fault.Invalid, "displayName and externalId have at most %d characters, and displayName at least one", maxUserName).In("displayName")
	}
	if len(g.Members) > maxGroupMembers {
		return fault.New(fault.TooLarge, "a group has at most %d members", maxGroupMembers)
	}
	if !storable(g.Name, g.External) {
		return unstorable("displayName")
	}
	for i := range g.Members {
		if !storable(g.Members[i].ID) {
			return unstorable("members")
		}
	}
	return nil
}

// AddGroup makes a group as the directory says.
func (s *Service) AddGroup(ctx context.Context, tenant uint32, g *Group) (out *Group, err error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	if g.ID, err = newID(); err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM scim_group WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxGroups {
			return fault.New(fault.Conflict, "there are %d groups, and no more are allowed: push only those that give roles", n)
		}
		now := s.now()
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO scim_group (tenant, id, name, name_key, external, created_at, changed_at, version) VALUES ($1, $2, $3, $4, $5, $6, $6, 0)`,
			int64(tenant), g.ID, g.Name, strings.ToLower(g.Name), g.External, now.UnixMicro()); err != nil {
			return err
		}
		if err := s.writeGroup(ctx, tx, tenant, &Group{}, g); err != nil {
			return err
		}
		if out, err = s.group(ctx, tx, tenant, g.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: directoryActor, Action: "group.create", Object: g.ID, Detail: map[string]any{"name": g.Name, "members": len(g.Members)}})
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, doubled("displayName")
	}
	return out, fault.Wrap("add a group", err)
}

// ChangeGroup changes a group as the directory says: change is given what it is now.
func (s *Service) ChangeGroup(ctx context.Context, tenant uint32, id string, change func(*Group) error) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		had, err := s.group(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		g := *had
		g.Members = slices.Clone(had.Members)
		if err := change(&g); err != nil {
			return err
		}
		if err := g.check(); err != nil {
			return err
		}
		if err := s.writeGroup(ctx, tx, tenant, had, &g); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: directoryActor, Action: "group.update", Object: id, Detail: map[string]any{"name": g.Name, "members": []int{len(had.Members), len(idsOf(g.Members))}}})
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return doubled("displayName")
	}
	return fault.Wrap("change a group", err)
}

// idsOf are the members, each once.
func idsOf(all []Ref) map[string]bool {
	m := make(map[string]bool, len(all))
	for _, r := range all {
		m[r.ID] = true
	}
	return m
}

// writeGroup stores a group as it is to be, and gives all whom that touches their roles.
func (s *Service) writeGroup(ctx context.Context, tx *sqldb.DB, tenant uint32, had, g *Group) error {
	if _, err := sqldb.Exec(ctx, tx, `UPDATE scim_group SET name = $1, name_key = $2, external = $3, changed_at = $4, version = version + 1 WHERE tenant = $5 AND id = $6`,
		g.Name, strings.ToLower(g.Name), g.External, s.now().UnixMicro(), int64(tenant), g.ID); err != nil {
		return err
	}
	before, after := idsOf(had.Members), idsOf(g.Members)
	touched := map[string]bool{}
	var off []string // by hand, before the directory came
	for id := range before {
		if after[id] {
			if had.Name != g.Name {
				touched[id] = true
			}
			continue
		}
		touched[id] = true
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM scim_group_member WHERE tenant = $1 AND group_id = $2 AND user_id = $3`, int64(tenant), g.ID, id); err != nil {
			return err
		}
	}
	for id := range after {
		if before[id] {
			continue
		}
		touched[id] = true
		l, err := s.known(ctx, tx, tenant, id)
		if errors.Is(err, fault.NotFound) {
			return fault.New(fault.Invalid, "there is no user %q", id).In("members")
		}
		if err != nil {
			return err
		}
		if l.Version == 0 { // here before the directory, which speaks of them for the first time
			if l.offByHand() {
				off = append(off, id)
			}
			if err := s.writeListed(ctx, tx, tenant, id, l); err != nil {
				return err
			}
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO scim_group_member (tenant, group_id, user_id) VALUES ($1, $2, $3)`, int64(tenant), g.ID, id); err != nil {
			return err
		}
	}
	ids := make([]string, 0, len(touched))
	for id := range touched {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if err := s.settle(ctx, tx, tenant, directoryActor, ids...); err != nil {
		return err
	}
	for _, id := range off {
		if err := s.keepOff(ctx, tx, tenant, id); err != nil {
			return err
		}
	}
	return nil
}

// RemoveGroup removes a group; its members lose the role that it gave.
func (s *Service) RemoveGroup(ctx context.Context, tenant uint32, id string) error {
	return fault.Wrap("remove a group", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		g, err := s.group(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM scim_group WHERE tenant = $1 AND id = $2`, int64(tenant), id); err != nil {
			return err
		}
		ids := make([]string, len(g.Members))
		for i, m := range g.Members {
			ids[i] = m.ID
		}
		if err := s.settle(ctx, tx, tenant, directoryActor, ids...); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: directoryActor, Action: "group.delete", Object: id, Detail: map[string]any{"name": g.Name}})
	}))
}
