package account

import (
	"errors"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// Whoever is signed in to a tenant may look at its demo, by whatever method, as what they
// are in the tenant, for as long as they are.
func TestDemoIsAPlaceOfTheTenantsPeople(t *testing.T) {
	ways := map[string]func(b *bench) *Signed{
		"password": func(b *bench) *Signed {
			b.add(b.b, "hana@example.com", identity.Analyst)
			return b.in("hana@example.com", "")
		},
		"single sign-on": func(b *bench) *Signed { return b.arrive(b.b, "hana@example.com") },
	}
	for name, come := range ways {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b *bench) {
				ctx := t.Context()
				demo, foreign := b.demo(b.b), b.demo(b.a)
				b.add(b.b, "boss@example.com", identity.Admin)
				s := come(b) // after the demo was made
				places, err := b.Places(ctx, &s.Caller)
				if err != nil || len(places) != 2 || places[1].Tenant.Number != demo || places[1].Role != identity.Analyst {
					t.Fatalf("%+v, %v", places, err)
				}
				if err := b.Switch(ctx, &s.Caller, foreign); !errors.Is(err, fault.NotFound) {
					t.Errorf("another tenant's demo: %v", err)
				}
				look := func() *Signed {
					t.Helper()
					if err := b.Switch(ctx, &s.Caller, demo); err != nil {
						t.Fatal(err)
					}
					now, err := b.Session(ctx, s.SessionID)
					if err != nil || now.Tenant.Number != demo || now.Home != b.b {
						t.Fatalf("%+v, %v", now, err)
					}
					return now
				}
				now := look()
				if now.Role != identity.Analyst || now.Provider {
					t.Errorf("%+v", now.Caller)
				}
				if places, err := b.Places(ctx, &now.Caller); err != nil || len(places) != 2 || places[0].Tenant.Number != b.b {
					t.Errorf("no way back: %+v, %v", places, err)
				}
				// It has no people of its own: those of the tenant are there, and are changed there.
				if team, err := b.Team(ctx, demo); err != nil || len(team) != 2 {
					t.Errorf("%+v, %v", team, err)
				}
				if list, n, err := b.List(ctx, demo, Filter{Search: "hana@"}); err != nil || n != 1 || list[0].Sessions != 1 {
					t.Errorf("%+v, %v", list, err)
				}
				if p, err := b.Get(ctx, demo, s.UserID); err != nil || p.Role != identity.Analyst {
					t.Errorf("%+v, %v", p, err)
				}
				disabled, active := Disabled, Active
				_, err = b.Change(ctx, demo, "x", s.UserID, Patch{Status: &disabled})
				wantKind(t, err, fault.Conflict)
				wantKind(t, b.Remove(ctx, demo, "x", s.UserID), fault.Conflict)
				_, _, err = b.Invite(ctx, demo, "x", Draft{Email: "jun@example.com", Name: "Jun", Role: identity.Admin})
				wantKind(t, err, fault.Conflict)
				wantKind(t, b.SetPolicy(ctx, demo, "x", b.standard()), fault.Conflict)
				_, err = b.NewDirectoryToken(ctx, demo, "x")
				wantKind(t, err, fault.Conflict)
				// It opens nothing more to anybody: the tenant's Admin still answers for its people.
				if err := b.answerable(ctx, b.db, b.b, s.UserID); err != nil {
					t.Errorf("%v", err)
				}

				// The tenant's word holds in its demo.
				role := identity.Viewer
				if _, err := b.Change(ctx, b.b, "x", s.UserID, Patch{Role: &role}); err != nil {
					t.Fatal(err)
				}
				if _, err := b.Session(ctx, s.SessionID); !errors.Is(err, fault.Unauthenticated) {
					t.Errorf("another role: %v", err)
				}
				if _, err := b.Change(ctx, b.b, "x", s.UserID, Patch{Status: &disabled}); err != nil {
					t.Fatal(err)
				}
				if _, err := b.SignIn(ctx, Proof{Email: "hana@example.com", Password: good}, home); !errors.Is(err, errRefused) {
					t.Errorf("switched off: %v", err)
				}
				if _, err := b.Change(ctx, b.b, "x", s.UserID, Patch{Status: &active}); err != nil {
					t.Fatal(err)
				}
				if name == "password" {
					s = b.in("hana@example.com", "")
				} else {
					s = b.arrive(b.b, "hana@example.com")
				}
				if now := look(); now.Role != identity.Viewer {
					t.Errorf("%s", now.Role)
				}

				// A demo that goes leaves whoever looks at it in the tenant, and so does the next one.
				if err := b.Tenants.RemoveDemo(ctx, "x", &tenant.Demo{Number: demo, Of: b.b}); err != nil {
					t.Fatal(err)
				}
				b.demo(b.b)
				if now, err := b.Session(ctx, s.SessionID); err != nil || now.Tenant.Number != b.b {
					t.Errorf("%+v, %v", now, err)
				}
			})
		})
	}
}

// The demo of the installation's own tenant gives no rights over the installation.
func TestDemoOfTheInstallation(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "hana@example.com", identity.Admin)
		demo := b.demo(b.a)
		s := b.in("hana@example.com", "")
		if err := b.Switch(ctx, &s.Caller, demo); err != nil {
			t.Fatal(err)
		}
		if now, err := b.Session(ctx, s.SessionID); err != nil || now.Role != identity.Admin || now.Provider || now.Tenant.Number != demo {
			t.Errorf("%+v, %v", now, err)
		}
	})
}
