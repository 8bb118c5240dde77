package tenant_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func TestCreateAndGet(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), tenant.New(db)
		if _, err := s.Default(ctx); !errors.Is(err, fault.NotFound) {
			t.Errorf("Default before the first = %v, want NotFound", err)
		}
		first, err := s.Create(ctx, audit.System, tenant.Draft{Name: " " + tenant.DefaultName + " "})
		if err != nil {
			t.Fatal(err)
		}
		if first.Number != 1 || first.Plan != tenant.CUSTOM || first.RetentionDays != tenant.DefaultRetentionDays || first.Limits() != (tenant.Limits{}) || first.Name != tenant.DefaultName {
			t.Errorf("first tenant is %+v", first)
		}
		second, err := s.Create(ctx, audit.System, tenant.Draft{Name: "Acme 주식회사", Plan: tenant.CUSTOM, RequestsPerMinute: 7, RetentionDays: 30})
		if err != nil {
			t.Fatal(err)
		}
		if second.Number != 2 || second.Limits().RequestsPerMinute != 7 {
			t.Errorf("second tenant is %+v", second)
		}
		for name, get := range map[string]func() (*tenant.Tenant, error){
			"Get":      func() (*tenant.Tenant, error) { return s.Get(ctx, second.ID) },
			"ByNumber": func() (*tenant.Tenant, error) { return s.ByNumber(ctx, 2) },
			"ByName":   func() (*tenant.Tenant, error) { return s.ByName(ctx, "ACME 주식회사") },
		} {
			got, err := get()
			if diff := cmp.Diff(second, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", name, err, diff)
			}
		}
		if got, err := s.Default(ctx); err != nil || got.ID != first.ID {
			t.Errorf("Default = %v, %v", got, err)
		}
		if _, err := s.Get(ctx, "no-id"); !errors.Is(err, fault.NotFound) {
			t.Errorf("Get of a malformed id = %v, want NotFound", err)
		}
		if _, err := s.Create(ctx, audit.System, tenant.Draft{Name: "DEFAULT"}); !errors.Is(err, fault.Conflict) {
			t.Errorf("Create of a taken name = %v, want Conflict", err)
		}
		all, err := s.List(ctx)
		if err != nil || len(all) != 2 || all[1].ID != second.ID {
			t.Errorf("List = %v, %v", all, err)
		}
		if n, err := audit.Verify(ctx, db, 2); err != nil || n != 1 {
			t.Errorf("audit of tenant 2: %d entries, %v", n, err)
		}
	})
}

func TestCreateFaults(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for _, d := range []tenant.Draft{
			{},
			{Name: " "},
			{Name: "x", Plan: "GOLD"},
			{Name: "x", Plan: tenant.FREE, RequestsPerMinute: 1},
			{Name: "x", RequestsPerMinute: -1},
			{Name: "x", RetentionDays: -1},
		} {
			if _, err := tenant.New(db).Create(t.Context(), audit.System, d); !errors.Is(err, fault.Invalid) {
				t.Errorf("Create(%+v) = %v, want Invalid", d, err)
			}
		}
	})
}

func TestLimits(t *testing.T) {
	for plan, want := range map[tenant.Plan]tenant.Limits{
		tenant.FREE: {60, 50}, tenant.MDR: {300, 500}, tenant.PRO: {1000, 2000}, tenant.CUSTOM: {0, 0},
	} {
		if got := (&tenant.Tenant{Plan: plan}).Limits(); got != want {
			t.Errorf("%s: %v, want %v", plan, got, want)
		}
	}
}

// Numbers stay apart when tenants are made at once.
func TestCreateAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := tenant.New(db)
		var all sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "d"} {
			all.Go(func() {
				if _, err := s.Create(t.Context(), audit.System, tenant.Draft{Name: name}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		list, err := s.List(t.Context())
		if err != nil || len(list) != 4 || list[3].Number != 4 {
			t.Errorf("List = %v, %v", list, err)
		}
	})
}
