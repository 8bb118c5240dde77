package account

import (
	"context"
	"errors"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// A Place is a tenant that a person may look at. A demo tenant has no people of its own: it
// is a place of whoever has one in the tenant that it is of, with the role that they have
// there, by whatever opens that.
type Place struct {
	Tenant tenant.Tenant
	Role   identity.Role
	Weak   bool // it asks for a second factor, and the session has shown none
}

// Home gives SQL the tenant whose people come into the tenant $1: of a demo tenant the one
// that it is of.
const Home = `COALESCE((SELECT d.of_tenant FROM tenant_demo d WHERE d.number = $1), $1)`

func homeOf(ctx context.Context, db *sqldb.DB, tenant uint32) (uint32, error) {
	n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT CAST(`+Home+` AS BIGINT)`, int64(tenant))
	return uint32(n), err
}

// withDemo does something in the tenant, and in its demo tenant where it has one.
func withDemo(ctx context.Context, db *sqldb.DB, tenant uint32, do func(number uint32) error) error {
	demos, err := sqldb.All(ctx, db, sqldb.Value[int64], `SELECT number FROM tenant_demo WHERE of_tenant = $1`, int64(tenant))
	if err != nil {
		return err
	}
	for _, number := range append(demos, int64(tenant)) {
		if err := do(uint32(number)); err != nil {
			return err
		}
	}
	return nil
}

// NoDemo refuses what would part a demo tenant's people from those of the tenant that it
// is of.
func NoDemo(ctx context.Context, db *sqldb.DB, tenant uint32) error {
	home, err := homeOf(ctx, db, tenant)
	if err == nil && home != tenant {
		return fault.New(fault.Conflict, "demo data has no people of its own: switch to the tenant that it belongs to, and do it there")
	}
	return err
}

// reaches tells whether the caller's session opens an active place of theirs, and whether it
// is weak there.
func (s *Service) reaches(ctx context.Context, db *sqldb.DB, c *identity.Caller, m *Member) (ok, weak bool, err error) {
	if c.Bound { // its provider speaks for its own tenant alone
		return m.Tenant == c.Home, c.Weak, nil
	}
	policy, err := s.policy(ctx, db, m.Tenant)
	return err == nil && policy.opens(m, byPassword), policy.SecondFactor && !c.Strong, err
}

// Places returns the tenants that the caller may look at, by number, and behind each its
// demo tenant: with a session that an identity provider vouches for its own alone, with
// others those that their password opens.
func (s *Service) Places(ctx context.Context, c *identity.Caller) ([]Place, error) {
	members, err := membersOf(ctx, s.db, c.UserID)
	if err != nil {
		return nil, fault.Wrap("list places", err)
	}
	all := []Place{}
	add := func(number uint32, role identity.Role, weak bool) error {
		t, err := s.Tenants.ByNumber(ctx, number)
		if err == nil {
			all = append(all, Place{Tenant: *t, Role: role, Weak: weak})
		}
		return err
	}
	for i := range members {
		m := &members[i]
		if m.Status != Active {
			continue
		}
		ok, weak, err := s.reaches(ctx, s.db, c, m)
		if err != nil {
			return nil, fault.Wrap("list places", err)
		}
		if !ok {
			continue
		}
		if err := add(m.Tenant, m.Role, weak); err != nil {
			return nil, fault.Wrap("list places", err)
		}
		demo, err := s.Tenants.DemoOf(ctx, m.Tenant)
		if err == nil {
			err = add(demo.Number, m.Role, weak)
		}
		if err != nil && !errors.Is(err, fault.NotFound) { // there is none, or it is just going
			return nil, fault.Wrap("list places", err)
		}
	}
	return all, nil
}
