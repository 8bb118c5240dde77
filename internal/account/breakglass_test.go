package account

import (
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// key gives somebody who has just signed in a passkey.
func (b *bench) key(s *Signed) *Passkey {
	b.t.Helper()
	b.URL = func() string { return "https://kyra.example.com" }
	asked, err := b.StartPasskey(b.t.Context(), &s.Caller, "")
	if err != nil {
		b.t.Fatal(err)
	}
	k, _, err := b.FinishPasskey(b.t.Context(), &s.Caller, asked.Token, "Laptop", newAuthenticator(b.t, "https://kyra.example.com", "kyra.example.com").create(asked))
	if err != nil {
		b.t.Fatal(err)
	}
	return k
}

// Whom single sign-on alone leaves password and passkeys keeps one of them.
func TestBreakGlassKeepsAWayIn(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		// An Admin who came by the provider and has a passkey, but no password.
		s := b.arrive(b.b, "hana@example.com")
		role := identity.Admin
		if _, err := b.Change(ctx, b.b, "x", s.UserID, Patch{Role: &role}); err != nil {
			t.Fatal(err)
		}
		s = b.arrive(b.b, "hana@example.com")
		k := b.key(s)
		if err := b.SetSSOOnly(ctx, b.b, "x", true, s.UserID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, b.RemovePasskey(ctx, &s.Caller, k.ID), fault.Conflict)
		wantKind(t, b.ResetFactor(ctx, b.b, "x", s.UserID), fault.Conflict)
		if keys, err := b.Passkeys(ctx, s.UserID); err != nil || len(keys) != 1 {
			t.Fatalf("%+v, %v", keys, err)
		}
		if _, err := b.Session(ctx, s.SessionID); err != nil {
			t.Errorf("a refused reset ended the session: %v", err)
		}
		// With a password it is not the last one; and where everybody may use theirs neither.
		if err := b.ChangePassword(ctx, &s.Caller, "", good); err != nil {
			t.Fatal(err)
		}
		if err := b.ResetFactor(ctx, b.b, "x", s.UserID); err != nil {
			t.Errorf("beside a password: %v", err)
		}
		other := b.arrive(b.b, "jun@example.com")
		k = b.key(other)
		if err := b.RemovePasskey(ctx, &other.Caller, k.ID); err != nil {
			t.Errorf("of somebody else: %v", err)
		}
	})
}

// Whose groups give no role is refused, but for whoever has to stay an Admin.
func TestLastAdminComesWithoutAGroup(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		arrival := func(email string) *Arrival {
			b.arrive(b.b, email) // known from then on
			return &Arrival{Tenant: b.b, Provider: "p" + string(rune('0'+b.b%10)), ProviderName: "P", Issuer: "https://idp.example.com", Subject: "of " + email, Governs: true}
		}
		boss, other := arrival("boss@example.com"), arrival("other@example.com")
		role := identity.Admin
		p, err := b.ByEmail(ctx, b.b, "boss@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Change(ctx, b.b, "x", p.ID, Patch{Role: &role}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.SignInBySSO(ctx, boss, home); err != nil {
			t.Errorf("the last Admin: %v", err)
		}
		if p, err = b.ByEmail(ctx, b.b, "boss@example.com"); err != nil || p.Role != identity.Admin {
			t.Errorf("%+v, %v", p, err)
		}
		_, err = b.SignInBySSO(ctx, other, home)
		if f, ok := asFault(err); !ok || f.Kind != fault.Unauthenticated || f.Field != SSONoRole {
			t.Errorf("somebody else: %v", err)
		}
	})
}

// What nobody else has seen goes with whose it is; what the team shares stays.
func TestOwnViewsGoWithTheirOwner(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		u := b.add(b.a, "hana@example.com", identity.Viewer)
		b.add(b.a, "boss@example.com", identity.Admin)
		if _, err := b.Add(ctx, "x", b.b, Draft{Email: "hana@example.com", Role: identity.Viewer}); err != nil {
			t.Fatal(err)
		}
		demo := b.demo(b.a)
		view := func(id string, tenant uint32, shared bool) {
			if _, err := sqldb.Exec(ctx, b.db, `INSERT INTO saved_view (id, tenant, owner, kind, name, query, shared, created_at, updated_at, version) VALUES ($1, $2, $3, 'alerts', $1, '', $4, 0, 0, 1)`, id, int64(tenant), u.ID, shared); err != nil {
				t.Fatal(err)
			}
		}
		view("own", b.a, false)
		view("own demo", demo, false)
		view("shared", b.a, true)
		view("own in B", b.b, false)
		if err := b.Remove(ctx, b.a, "x", u.ID); err != nil {
			t.Fatal(err)
		}
		left, err := sqldb.All(ctx, b.db, sqldb.Value[string], `SELECT id FROM saved_view ORDER BY id`)
		if got := strings.Join(left, ", "); err != nil || got != "own in B, shared" {
			t.Errorf("left are %s, %v", got, err)
		}
	})
}
