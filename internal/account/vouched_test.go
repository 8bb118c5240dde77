package account

import (
	"errors"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// arrive signs somebody in by the tenant's identity provider.
func (b *bench) arrive(tenant uint32, email string) *Signed {
	b.t.Helper()
	ctx := b.t.Context()
	provider := "p" + string(rune('0'+tenant%10))
	if _, err := sqldb.Exec(ctx, b.db, `INSERT INTO sso_provider (id, tenant, slug, name, issuer, client_id, scopes, role_claim, roles, default_role, domains, link_claim, creates, second_factor, listed, enabled,
		created_at, created_by, changed_at, version) VALUES ($1, $2, $1, 'P', 'https://idp.example.com', 'c', '[]', '', '[]', '', '[]', 'sub', TRUE, FALSE, FALSE, TRUE, 0, 'x', 0, 1) ON CONFLICT (id) DO NOTHING`,
		provider, int64(tenant)); err != nil {
		b.t.Fatal(err)
	}
	token, err := b.SignInBySSO(ctx, &Arrival{
		Tenant: tenant, Provider: provider, ProviderName: "P", Issuer: "https://idp.example.com", Subject: "of " + email, Email: email, Verified: true, Name: "Hana Kim", Role: identity.Analyst, Creates: true,
	}, home)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := b.Authenticate(ctx, token)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// An Admin of A makes an account of an address of B's, with a password that they know.
// Whichever way B gives it a place, the password does not open it.
func TestAnotherTenantsPasswordOpensNothing(t *testing.T) {
	const email = "newhire@bank-b.com"
	ways := map[string]func(t *testing.T, b *bench, id string){
		"single sign-on": func(_ *testing.T, b *bench, _ string) { b.arrive(b.b, email) },
		"directory": func(t *testing.T, b *bench, _ string) {
			if _, err := b.Provision(t.Context(), b.b, &Listed{UserName: email, Active: true}); err != nil {
				t.Fatal(err)
			}
		},
		"invited, then single sign-on": func(t *testing.T, b *bench, _ string) {
			if _, _, err := b.Invite(t.Context(), b.b, "x", Draft{Email: email, Name: "New", Role: identity.Analyst}); err != nil {
				t.Fatal(err)
			}
			b.arrive(b.b, email)
		},
		"invited, then directory": func(t *testing.T, b *bench, id string) {
			if _, _, err := b.Invite(t.Context(), b.b, "x", Draft{Email: email, Name: "New", Role: identity.Analyst}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Reprovision(t.Context(), b.b, id, func(l *Listed) error { l.Active = true; return nil }); err != nil {
				t.Fatal(err)
			}
		},
		"invited, then switched off and on": func(t *testing.T, b *bench, id string) {
			if _, _, err := b.Invite(t.Context(), b.b, "x", Draft{Email: email, Name: "New", Role: identity.Analyst}); err != nil {
				t.Fatal(err)
			}
			for _, status := range []Status{Disabled, Active} {
				if _, err := b.Change(t.Context(), b.b, "x", id, Patch{Status: &status}); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b *bench) {
				ctx := t.Context()
				_, link, err := b.Invite(ctx, b.a, "user:mallory@a.com", Draft{Email: email, Name: "New", Role: identity.Viewer})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.Follow(ctx, link, "", good, home); err != nil {
					t.Fatal(err)
				}
				mallory := b.in(email, "")
				way(t, b, mallory.UserID)
				if p, err := b.Get(ctx, b.b, mallory.UserID); err != nil || p.Status != Active {
					t.Fatalf("%+v, %v", p, err)
				}

				if p, err := b.Get(ctx, b.b, mallory.UserID); err != nil || (p.LastSignIn() != nil) != strings.HasSuffix(name, "sign-on") {
					t.Errorf("B learns when they sign in to A: %v, %v", p.LastSignIn(), err)
				}
				if err := b.Switch(ctx, &mallory.Caller, b.b); !errors.Is(err, fault.NotFound) {
					t.Errorf("switched: %v", err)
				}
				if places, err := b.Places(ctx, &mallory.Caller); err != nil || len(places) != 1 || places[0].Tenant.Number != b.a {
					t.Errorf("places: %+v, %v", places, err)
				}
				// A session that looks there all the same ends.
				if _, err := sqldb.Exec(ctx, b.db, `UPDATE account_session SET tenant = $1 WHERE id = $2`, int64(b.b), mallory.SessionID); err != nil {
					t.Fatal(err)
				}
				if _, err := b.Session(ctx, mallory.SessionID); !errors.Is(err, fault.Unauthenticated) {
					t.Errorf("the session: %v", err)
				}
				if s := b.in(email, ""); s.Tenant.Number != b.a {
					t.Error("the password opens B")
				}
				// Also where B's is the only place.
				if err := b.Remove(ctx, b.a, "x", mallory.UserID); err != nil {
					t.Fatal(err)
				}
				if _, err := b.SignIn(ctx, Proof{Email: email, Password: good}, home); !errors.Is(err, fault.Unauthenticated) {
					t.Errorf("signed in: %v", err)
				}
				if err := b.SetSSOOnly(ctx, b.b, "x", true, mallory.UserID); !errors.Is(err, fault.Invalid) {
					t.Errorf("they stand in for the identity provider: %v", err)
				}
				// The provider opens it, and so does an invitation of B's; what Mallory knows went with A.
				if s := b.arrive(b.b, email); s.Tenant.Number != b.b || s.UserID != mallory.UserID {
					t.Errorf("%+v", s)
				}
				p, link, err := b.NewLink(ctx, b.b, "x", mallory.UserID)
				if err != nil || !p.Vouched {
					t.Fatalf("%+v, %v", p, err)
				}
				if l, err := b.Look(ctx, link); err != nil || l.Kind != linkInvite || l.Known {
					t.Errorf("%+v, %v", l, err)
				}
				if _, err := b.Follow(ctx, link, "", good, home); err != nil {
					t.Fatal(err)
				}
				if s := b.in(email, ""); s.Tenant.Number != b.b {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// Whose account the tenant's provider has made is its own: a password opens the place once
// there is one. Another tenant's invitation does not set it.
func TestAnotherTenantsInvitationSetsNoPassword(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		hana := b.arrive(b.b, "hana@bank-b.com")
		_, link, err := b.Invite(ctx, b.a, "x", Draft{Email: "hana@bank-b.com", Name: "Hana", Role: identity.Viewer})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Follow(ctx, link, "", good, home); !errors.Is(err, fault.Invalid) {
			t.Errorf("followed: %v", err)
		}
		if _, err := b.SignIn(ctx, Proof{Email: "hana@bank-b.com", Password: good}, home); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("signed in: %v", err)
		}
		// An invitation that nobody has accepted makes nobody answerable for the account: B may
		// still do what it may for its own people.
		if err := b.ResetFactor(ctx, b.b, "x", hana.UserID); err != nil {
			t.Errorf("B's Admin, beside an invitation of A's: %v", err)
		}
		hana = b.arrive(b.b, "hana@bank-b.com")
		if err := b.ChangePassword(ctx, &hana.Caller, "", good); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Follow(ctx, link, "", good, home); err != nil {
			t.Fatal(err)
		}
		b.in("hana@bank-b.com", "")
		if err := b.ChangePassword(ctx, &hana.Caller, good, "rain on a tin roof"); !errors.Is(err, fault.Forbidden) {
			t.Errorf("B's provider speaks for A: %v", err)
		}
		if _, err := b.ConfirmTOTP(ctx, &hana.Caller, "000000"); !errors.Is(err, fault.Conflict) {
			t.Errorf("%v", err)
		}
		e, err := b.StartTOTP(ctx, &b.in("hana@bank-b.com", "").Caller, good)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ConfirmTOTP(ctx, &hana.Caller, b.code(e.Secret)); !errors.Is(err, fault.Forbidden) {
			t.Errorf("B's provider confirms a second factor for A: %v", err)
		}
		b.URL = func() string { return "https://kyra.example.com" }
		asked, err := b.StartPasskey(ctx, &b.in("hana@bank-b.com", "").Caller, good)
		if err != nil {
			t.Fatal(err)
		}
		answer := newAuthenticator(t, "https://kyra.example.com", "kyra.example.com").create(asked)
		if _, _, err := b.FinishPasskey(ctx, &hana.Caller, asked.Token, "Laptop", answer); !errors.Is(err, fault.Forbidden) {
			t.Errorf("B's provider adds a passkey for A: %v", err)
		}
		if _, _, err := b.FinishPasskey(ctx, &b.in("hana@bank-b.com", "").Caller, asked.Token, "Laptop", answer); err != nil {
			t.Errorf("their own password does not: %v", err)
		}
	})
}

// Nobody else has ever known what opens the account: an invited person who comes by the
// provider may set a password afterwards.
func TestInvitedComeByTheProvider(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		if _, _, err := b.Invite(ctx, b.b, "x", Draft{Email: "jun@example.com", Name: "Jun", Role: identity.Viewer}); err != nil {
			t.Fatal(err)
		}
		s := b.arrive(b.b, "jun@example.com")
		if err := b.ChangePassword(ctx, &s.Caller, "", good); err != nil {
			t.Fatal(err)
		}
		b.in("jun@example.com", "")
	})
}
