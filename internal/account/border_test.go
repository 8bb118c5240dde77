package account

import (
	"errors"
	"testing"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func (b *bench) remove(tenant uint32, id string) {
	b.t.Helper()
	if err := b.Remove(b.t.Context(), tenant, "x", id); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) passkeys(id string) int {
	b.t.Helper()
	all, err := b.Passkeys(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return len(all)
}

// A's provider brings an address of B's people, and whoever that is gives the account a
// passkey. However B's own person comes to the account later, the passkey does not open B.
func TestAnotherTenantsPasskeyOpensNothing(t *testing.T) {
	const email = "newhire@bank-b.com"
	follow := func(t *testing.T, b *bench, id string) {
		t.Helper()
		ctx := t.Context()
		_, link, err := b.NewLink(ctx, b.b, "x", id)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := b.Look(ctx, link); err != nil || l.Known {
			t.Fatalf("%+v, %v", l, err)
		}
		if _, err := b.Follow(ctx, link, "", good, home); err != nil {
			t.Fatal(err)
		}
		if p, err := b.Get(ctx, b.b, id); err != nil || p.Vouched || p.Status != Active || p.Factor {
			t.Errorf("%+v, %v", p, err)
		}
		if n := b.passkeys(id); n != 0 {
			t.Errorf("%d passkeys open B", n)
		}
	}
	each(t, func(t *testing.T, b *bench) { // the account was A's
		mallory := b.arrive(b.a, email)
		b.key(mallory)
		b.arrive(b.b, email)
		b.remove(b.a, mallory.UserID)
		hana := b.arrive(b.b, email)
		if n := b.passkeys(hana.UserID); hana.UserID != mallory.UserID || n != 0 {
			t.Errorf("%d passkeys", n)
		}
		if err := b.ChangePassword(t.Context(), &hana.Caller, "", good); err != nil {
			t.Errorf("theirs alone now: %v", err)
		}
	})
	each(t, func(t *testing.T, b *bench) { // the account was B's, and comes back
		mallory := b.arrive(b.b, email)
		b.arrive(b.a, email)
		b.remove(b.b, mallory.UserID)
		b.key(b.arrive(b.a, email))
		if _, _, err := b.Invite(t.Context(), b.b, "x", Draft{Email: email, Name: "New", Role: identity.Analyst}); err != nil {
			t.Fatal(err)
		}
		follow(t, b, mallory.UserID)
	})
	each(t, func(t *testing.T, b *bench) { // it is neither's
		ctx := t.Context()
		mallory := b.arrive(b.a, email)
		b.arrive(b.b, email)
		b.remove(b.a, mallory.UserID)
		for _, tenant := range []uint32{b.a, b.b} {
			s := b.arrive(tenant, email)
			if _, err := b.StartPasskey(ctx, &s.Caller, ""); !errors.Is(err, fault.Forbidden) {
				t.Errorf("one provider speaks for both: %v", err)
			}
		}
		follow(t, b, mallory.UserID)                                                                                          // B's from now on
		if _, err := b.StartPasskey(ctx, &b.arrive(b.b, email).Caller, good); err == nil || !errors.Is(err, fault.Conflict) { // the bench has no address
			t.Errorf("%v", err)
		}
	})
}

// A link for another password that an Admin made while the account was theirs alone does not
// open what it has come to open since.
func TestOldResetLinkOpensNoOtherTenant(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		u := b.add(b.b, "hana@example.com", identity.Analyst)
		_, link, err := b.NewLink(ctx, b.b, "x", u.ID)
		if err != nil {
			t.Fatal(err)
		}
		b.add(b.a, "hana@example.com", identity.Viewer)
		if _, err := b.Follow(ctx, link, "", "another good password", home); !errors.Is(err, fault.Forbidden) {
			t.Errorf("followed: %v", err)
		}
		b.in("hana@example.com", "")
		b.remove(b.a, u.ID)
		if _, err := b.Follow(ctx, link, "", "another good password", home); err != nil {
			t.Errorf("theirs alone again: %v", err)
		}
	})
}

// Wrong sign-ins stand in the log of a tenant that the password opens, not in that of whoever
// has invited the address.
func TestWrongSignInsAreNotedWhereTheyWouldOpen(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		first, second := min(b.a, b.b), max(b.a, b.b)
		b.add(second, "hana@example.com", identity.Analyst)
		refused := func(tenant uint32) int {
			t.Helper()
			if _, err := b.SignIn(ctx, Proof{Email: "hana@example.com", Password: "wrong"}, home); !errors.Is(err, errRefused) {
				t.Fatal(err)
			}
			list, _, err := audit.List(ctx, b.db, tenant, audit.Filter{Action: "session.refuse"})
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if _, _, err := b.Invite(ctx, first, "x", Draft{Email: "hana@example.com", Name: "Hana", Role: identity.Viewer}); err != nil {
			t.Fatal(err)
		}
		if n := refused(second); n != 1 {
			t.Errorf("beside an invitation: %d", n)
		}
		b.arrive(first, "hana@example.com")
		if n := refused(second); n != 2 {
			t.Errorf("beside a place that a provider opens: %d", n)
		}
	})
}

// Another tenant's open invitation is no reason to keep a password from opening the place of
// whoever came by the provider: it sets none after that.
func TestAnotherInvitationChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		draft := Draft{Email: "jun@example.com", Name: "Jun", Role: identity.Viewer}
		_, foreign, err := b.Invite(ctx, b.a, "x", draft)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Invite(ctx, b.b, "x", draft); err != nil {
			t.Fatal(err)
		}
		s := b.arrive(b.b, draft.Email)
		if p, err := b.Get(ctx, b.b, s.UserID); err != nil || p.Vouched {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := b.Follow(ctx, foreign, "", "another good password", home); !errors.Is(err, fault.Invalid) {
			t.Errorf("A sets the password of B's account: %v", err)
		}
		if err := b.ChangePassword(ctx, &s.Caller, "", good); err != nil {
			t.Fatal(err)
		}
		if s := b.in(draft.Email, ""); s.Tenant.Number != b.b {
			t.Errorf("%+v", s.Caller)
		}
	})
}

// While B's Admin lets somebody in who was invited, A's invitation sets a password: one of
// the two sees the other.
func TestPasswordSetWhileAnAdminLetsIn(t *testing.T) {
	b := newBench(t, sqldbtest.Postgres(t))
	ctx := t.Context()
	draft := Draft{Email: "jun@example.com", Name: "Jun", Role: identity.Viewer}
	invited, foreign, err := b.Invite(ctx, b.a, "x", draft)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Invite(ctx, b.b, "x", draft); err != nil {
		t.Fatal(err)
	}
	followed := false
	if err := b.db.Tx(ctx, func(tx *sqldb.DB) error {
		p, err := b.person(ctx, tx, b.b, invited.ID)
		if err != nil {
			return err
		}
		if !followed {
			followed = true
			if _, err := b.Follow(ctx, foreign, "", good, home); err != nil {
				return err
			}
		}
		return b.place(ctx, tx, "x", p, p.Role, Active)
	}); err != nil {
		t.Fatal(err)
	}
	if p, err := b.Get(ctx, b.b, invited.ID); err != nil || p.Status != Active || !p.Vouched {
		t.Errorf("A's password opens B: %+v, %v", p, err)
	}
}

// An invitation is for an address: it does not follow the account to another one that its own
// tenant's directory gives it, whose mail it would go to.
func TestInvitationStaysWithItsAddress(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		l, err := b.Provision(ctx, b.a, &Listed{UserName: "hana@bank-b.com", Active: true})
		if err != nil {
			t.Fatal(err)
		}
		draft := Draft{Email: "hana@bank-b.com", Name: "Hana", Role: identity.Admin}
		p, link, err := b.Invite(ctx, b.b, "x", draft)
		if err != nil || p.ID != l.ID {
			t.Fatalf("%+v, %v", p, err)
		}
		if _, err := b.Reprovision(ctx, b.a, l.ID, func(l *Listed) error { l.Details.Display = "Hana Kim"; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Look(ctx, link); err != nil {
			t.Errorf("another name: %v", err)
		}
		if _, err := b.Reprovision(ctx, b.a, l.ID, func(l *Listed) error { l.UserName = "mallory@a.com"; return nil }); err != nil {
			t.Fatal(err)
		}
		if p, _, err := b.NewLink(ctx, b.b, "x", l.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("B's invitation goes to %s: %v", p.Email, err)
		}
		if _, err := b.Look(ctx, link); !errors.Is(err, errLink) {
			t.Errorf("the link before: %v", err)
		}
		if list, _, err := audit.List(ctx, b.db, b.b, audit.Filter{Action: "user.delete"}); err != nil || len(list) != 1 || list[0].Object != l.ID {
			t.Errorf("%+v, %v", list, err)
		}
		if p, _, err := b.Invite(ctx, b.b, "x", draft); err != nil || p.ID == l.ID {
			t.Errorf("once more: %+v, %v", p, err)
		}
		if p, err := b.Get(ctx, b.a, l.ID); err != nil || p.Email != "mallory@a.com" {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
