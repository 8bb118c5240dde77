package account

import (
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func TestLastPasswordsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "hana@example.com", identity.Admin)
		s := b.in("hana@example.com", "")
		now := good
		change := func(next string) error {
			b.pass(time.Minute)
			err := b.ChangePassword(ctx, &s.Caller, now, next)
			if err == nil {
				now = next
			}
			return err
		}
		refused := func(what string, err error) {
			t.Helper()
			if f, ok := asFault(err); !ok || f.Kind != fault.Invalid || f.Field != "password" {
				t.Errorf("%s: %v", what, err)
			}
		}
		refused("the present one", change(good))
		for i := range 3 {
			if err := change(fmt.Sprintf("grey heron number %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		refused("the fourth last", change(good))
		// A link does not get round it.
		_, token, err := b.NewLink(ctx, b.a, "test", s.UserID)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Follow(ctx, token, "", good, home)
		refused("the fourth last by a link", err)
		_, err = b.Follow(ctx, token, "", now, home)
		refused("the present one by a link", err)
		if err := change("grey heron number 3"); err != nil {
			t.Fatal(err)
		}
		if err := change(good); err != nil {
			t.Errorf("the fifth last: %v", err)
		}

		// The strictest tenant of a person counts.
		if _, err := b.Add(ctx, "test", b.b, Draft{Email: "hana@example.com", Role: identity.Viewer}); err != nil {
			t.Fatal(err)
		}
		p, err := b.PolicyOf(ctx, b.b)
		if err != nil || p.History != DefaultHistory {
			t.Fatalf("%+v, %v", p, err)
		}
		p.History, p.Kinds = 6, true
		if err := b.SetPolicy(ctx, b.b, "test", p); err != nil {
			t.Fatal(err)
		}
		refused("the sixth last", change("grey heron number 0"))
		refused("no digits", change("grey heron of the lake"))
		refused("no letters", change("5820 1957 3314 8"))
		if err := change("grey heron number 9"); err != nil {
			t.Error(err)
		}
	})
}

func TestLockoutIsThatOfTheTenant(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "hana@example.com", identity.Admin)
		b.add(b.b, "jun@example.net", identity.Admin)
		p, err := b.PolicyOf(ctx, b.a)
		if err != nil {
			t.Fatal(err)
		}
		p.Idle, p.LockAttempts, p.LockFor = 15*time.Minute, 4, 30*time.Minute
		if err := b.SetPolicy(ctx, b.a, "test", p); err != nil {
			t.Fatal(err)
		}
		got, err := b.PolicyOf(ctx, b.a)
		if err != nil || got != p {
			t.Errorf("%+v, %v, want %+v", got, err, p)
		}
		for _, bad := range []func(*Policy){
			func(p *Policy) { p.LockFor = 2 * time.Hour }, func(p *Policy) { p.LockAttempts = 6 }, func(p *Policy) { p.LockAttempts = 2 }, func(p *Policy) { p.History = 25 },
		} {
			x := p
			bad(&x)
			wantKind(t, b.SetPolicy(ctx, b.a, "test", x), fault.Invalid)
		}
		address := byte(0)
		// Whoever has the domain of a colleague waits as they do, whether they exist or not.
		for email, want := range map[string]struct {
			tries int
			wait  time.Duration
		}{"hana@example.com": {4, 30 * time.Minute}, "nobody@example.com": {4, 30 * time.Minute}, "jun@example.net": {5, 30 * time.Second}, "nobody@example.net": {5, 30 * time.Second}} {
			for range want.tries {
				address++
				from := From{Address: netip.AddrFrom4([4]byte{198, 51, 100, address})}
				if _, err := b.SignIn(ctx, Proof{Email: email, Password: "wrong wrong wrong"}, from); !errors.Is(err, errRefused) {
					t.Fatalf("%s: %v", email, err)
				}
			}
			_, err := b.SignIn(ctx, Proof{Email: email, Password: good}, home)
			if l, ok := errors.AsType[*Locked](err); !ok || l.Wait != want.wait {
				t.Errorf("%s: %v, want %s", email, err, want.wait)
			}
		}
		b.pass(31 * time.Minute)
		s := b.in("hana@example.com", "")
		b.pass(15 * time.Minute)
		if _, err := b.Session(ctx, s.SessionID); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("after 15 minutes: %v", err)
		}
	})
}

// Only a tenant whose doors a password of the domain opens says how its addresses wait: not
// one that has invited or listed somebody of it.
func TestLockoutIsThatOfWhomThePasswordOpens(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "hana@example.com", identity.Admin)
		p, err := b.PolicyOf(ctx, b.b)
		if err != nil {
			t.Fatal(err)
		}
		p.LockAttempts, p.LockFor = 3, time.Hour
		if err := b.SetPolicy(ctx, b.b, "test", p); err != nil {
			t.Fatal(err)
		}
		free := func(what, email string, want int64) {
			t.Helper()
			if got, err := b.lockOf(ctx, b.db, email); err != nil || got.free != want {
				t.Errorf("%s: %d wrong ones are free, want %d, %v", what, got.free, want, err)
			}
		}
		free("before", "hana@example.com", 5)
		invited, link, err := b.Invite(ctx, b.b, "x", Draft{Email: "jun@example.com", Name: "Jun", Role: identity.Viewer})
		if err != nil {
			t.Fatal(err)
		}
		free("invited", "hana@example.com", 5)
		if _, err := b.Provision(ctx, b.b, &Listed{UserName: "hana@example.com", Active: true}); err != nil { // as A knows her
			t.Fatal(err)
		}
		free("listed", "hana@example.com", 5)
		if _, err := b.Follow(ctx, link, "", good, home); err != nil {
			t.Fatal(err)
		}
		for _, email := range []string{"jun@example.com", "hana@example.com", "nobody@example.com", `"a@b"@example.com`} {
			free("accepted, "+email, email, 3)
		}
		for _, email := range []string{"x@sub.example.com", "x@notexample.com", "x@ex_mple.com", "x@%", "example.com", ""} {
			free("another domain, "+email, email, 5)
		}
		disabled := Disabled
		if _, err := b.Change(ctx, b.b, "x", invited.ID, Patch{Status: &disabled}); err != nil {
			t.Fatal(err)
		}
		free("switched off", "hana@example.com", 5)

		if b.db.Dialect() != sqldb.SQLite { // PostgreSQL reads a table of this size as a whole
			return
		}
		plan, err := sqldb.All(ctx, b.db, func(rows *sql.Rows, s *string) error { var n int; return rows.Scan(&n, &n, &n, s) }, `EXPLAIN QUERY PLAN `+lockQuery, 5, "example.com", string(Active))
		if got := strings.Join(plan, "; "); err != nil || !strings.Contains(got, "account_user_domain") || strings.Contains(got, "SCAN u") || strings.Contains(got, "SCAN m") {
			t.Errorf("the plan is %s, %v", got, err)
		}
	})
}
