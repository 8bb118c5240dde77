package account

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

const good = "four words about rain"

var home = From{Address: netip.MustParseAddr("192.0.2.7"), Agent: "Firefox"}

// bench is a service with two tenants, of which a runs the installation, and a clock.
type bench struct {
	*Service
	t    *testing.T
	a, b uint32

	mu    sync.Mutex
	clock time.Time
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

func newBench(t *testing.T, db *sqldb.DB) *bench {
	t.Helper()
	tenants := tenant.New(db)
	b := &bench{t: t, clock: time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)}
	for name, number := range map[string]*uint32{"A": &b.a, "B": &b.b} {
		x, err := tenants.Create(t.Context(), audit.System, tenant.Draft{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		*number = x.Number
	}
	sealer, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	b.Service = New(Config{DB: db, Tenants: tenants, Sealer: sealer, Owner: b.a, Hash: HashCost{Memory: 64, Passes: 1, Threads: 1}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.clock
	}})
	return b
}

func each(t *testing.T, f func(t *testing.T, b *bench)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newBench(t, db)) })
}

func (b *bench) add(tenant uint32, email string, role identity.Role) *User {
	b.t.Helper()
	u, err := b.Add(b.t.Context(), "test", tenant, Draft{Email: email, Name: "Hana Kim", Password: good, Role: role})
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// demo makes the demo tenant of a tenant.
func (b *bench) demo(of uint32) uint32 {
	b.t.Helper()
	t, err := b.Tenants.ByNumber(b.t.Context(), of)
	if err != nil {
		b.t.Fatal(err)
	}
	d, err := b.Tenants.CreateDemo(b.t.Context(), "test", t)
	if err != nil {
		b.t.Fatal(err)
	}
	return d.Number
}

func (b *bench) in(email, code string) *Signed {
	b.t.Helper()
	token, err := b.SignIn(b.t.Context(), Proof{email, good, code}, home)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := b.Authenticate(b.t.Context(), token)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) code(secret string) string {
	b.t.Helper()
	c, err := totp.GenerateCode(secret, b.now())
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want %s", err, kind)
	}
}

func TestWrongSignInsLockAlikeWhetherTheAccountExists(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "hana@example.com", identity.Admin)
		for _, email := range []string{"hana@example.com", "nobody@example.com"} {
			for i := range 5 {
				from := From{Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})}
				if _, err := b.SignIn(ctx, Proof{Email: email, Password: "wrong wrong wrong"}, from); !errors.Is(err, errRefused) {
					t.Fatalf("%s, %d: %v", email, i, err)
				}
			}
			_, err := b.SignIn(ctx, Proof{Email: email, Password: good}, home)
			l, ok := errors.AsType[*Locked](err)
			if !ok || l.Wait != 30*time.Second {
				t.Fatalf("%s: %v, want 30 s", email, err)
			}
		}
		// Another process, or a restart, knows as well.
		again := New(b.Config)
		if _, err := again.SignIn(ctx, Proof{Email: "hana@example.com", Password: good}, home); !errors.Is(err, fault.Limited) {
			t.Errorf("after a restart: %v", err)
		}
		b.pass(31 * time.Second)
		if _, err := b.SignIn(ctx, Proof{Email: "hana@example.com", Password: "wrong"}, home); !errors.Is(err, errRefused) {
			t.Errorf("after the wait: %v", err)
		}
		if _, err := b.SignIn(ctx, Proof{Email: "hana@example.com", Password: good}, home); err.(*Locked).Wait != time.Minute { //nolint:errorlint,forcetypeassert // panics where it is not
			t.Errorf("the next wait is %v", err)
		}
		b.pass(2 * time.Minute)
		b.in("hana@example.com", "")
		for range 4 { // forgiven
			_, err := b.SignIn(ctx, Proof{Email: "hana@example.com", Password: "wrong"}, home)
			wantKind(t, err, fault.Unauthenticated)
		}
		list, _, err := audit.List(ctx, b.db, b.a, audit.Filter{Action: "session.lock"})
		if err != nil || len(list) != 1 || list[0].Actor != "user:hana@example.com" {
			t.Errorf("lockouts in the log: %+v, %v", list, err)
		}
	})
}

func TestOneAddressIsSlowedDown(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.add(b.a, "hana@example.com", identity.Admin)
		for i := range 20 {
			_, err := b.SignIn(t.Context(), Proof{Email: strings.Repeat("x", i+1) + "@example.com", Password: "wrong"}, home)
			wantKind(t, err, fault.Unauthenticated)
		}
		_, err := b.SignIn(t.Context(), Proof{Email: "hana@example.com", Password: good}, home)
		wantKind(t, err, fault.Limited)
		if _, err := b.SignIn(t.Context(), Proof{Email: "hana@example.com", Password: good}, From{Address: netip.MustParseAddr("192.0.2.8")}); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
	})
}

// Guesses at the same time do not share one count.
func TestGuessesAtTheSameTime(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.add(b.a, "hana@example.com", identity.Admin)
		var all sync.WaitGroup
		var mu sync.Mutex
		checked := 0
		for range 20 {
			all.Go(func() {
				_, err := b.SignIn(t.Context(), Proof{Email: "hana@example.com", Password: "wrong"}, home)
				if errors.Is(err, fault.Unauthenticated) {
					mu.Lock()
					checked++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if checked > 5 {
			t.Errorf("%d guesses were checked, want at most 5", checked)
		}
	})
}

func TestSecondFactor(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "hana@example.com", identity.Admin)
		s := b.in("hana@example.com", "")
		_, err := b.StartTOTP(ctx, &s.Caller, "not the password")
		wantKind(t, err, fault.Invalid)
		e, err := b.StartTOTP(ctx, &s.Caller, good)
		if err != nil || !strings.HasPrefix(e.URI, "otpauth://totp/KYRA:hana@example.com?") || !strings.HasPrefix(e.QR, "data:image/png;base64,") {
			t.Fatalf("%+v, %v", e, err)
		}
		b.in("hana@example.com", "") // it does not count yet
		_, err = b.ConfirmTOTP(ctx, &s.Caller, "000000")
		wantKind(t, err, fault.Invalid)
		codes, err := b.ConfirmTOTP(ctx, &s.Caller, b.code(e.Secret))
		if err != nil || len(codes) != 10 {
			t.Fatalf("%v, %v", codes, err)
		}
		if row, err := userByEmail(ctx, b.db, "hana@example.com"); err != nil || strings.Contains(string(row.totp), e.Secret) {
			t.Errorf("the secret lies open: %v", err)
		}

		try := func(code string) error {
			_, err := b.SignIn(ctx, Proof{"hana@example.com", good, code}, home)
			return err
		}
		if f, ok := errors.AsType[*fault.Error](try("")); !ok || f.Field != CodeRequired || f.Kind != fault.Unauthenticated {
			t.Errorf("without a code: %v", f)
		}
		if err := try(b.code(e.Secret)); !errors.Is(err, errRefused) {
			t.Errorf("the code that confirmed works again: %v", err)
		}
		b.pass(31 * time.Second)
		if s := b.in("hana@example.com", b.code(e.Secret)); !s.Session.Strong {
			t.Error("the session is not strong")
		}
		if err := try(b.code(e.Secret)); !errors.Is(err, errRefused) {
			t.Errorf("a code works twice: %v", err)
		}
		b.in("hana@example.com", strings.ToLower(strings.ReplaceAll(codes[3], "-", " ")))
		if err := try(codes[3]); !errors.Is(err, errRefused) {
			t.Errorf("a recovery code works twice: %v", err)
		}
		if sec, err := b.SecurityOf(ctx, &s.Caller); err != nil || sec.RecoveryLeft != 9 || !sec.TOTP {
			t.Errorf("%+v, %v", sec, err)
		}
		b.pass(5 * time.Minute)
		if err := b.RemoveTOTP(ctx, &s.Caller, good); err != nil {
			t.Fatal(err)
		}
		b.in("hana@example.com", "")
	})
}

func TestPolicyAsksForASecondFactor(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "hana@example.com", identity.Admin)
		if err := b.SetPolicy(ctx, b.a, "test", Policy{SecondFactor: true, Idle: time.Hour, Longest: 8 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		wantKind(t, b.SetPolicy(ctx, b.a, "test", Policy{Idle: time.Minute, Longest: time.Hour}), fault.Invalid)
		token, err := b.SignIn(ctx, Proof{Email: "hana@example.com", Password: good}, home)
		if err != nil {
			t.Fatal(err)
		}
		s, err := b.Authenticate(ctx, token)
		if err != nil || !s.Weak || s.Can(identity.Alerts.Read()) || !s.Can(identity.Own.Write()) {
			t.Fatalf("%+v, %v", s, err)
		}
		e, err := b.StartTOTP(ctx, &s.Caller, good)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ConfirmTOTP(ctx, &s.Caller, b.code(e.Secret)); err != nil {
			t.Fatal(err)
		}
		if s, err = b.Authenticate(ctx, token); err != nil || s.Weak || !s.Can(identity.Alerts.Read()) {
			t.Errorf("with a second factor: %+v, %v", s, err)
		}
		b.pass(61 * time.Minute)
		_, err = b.Authenticate(ctx, token)
		wantKind(t, err, fault.Unauthenticated)
	})
}

func TestInvitation(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "admin@example.com", identity.Admin)
		p, token, err := b.Invite(ctx, b.a, "user:admin@example.com", Draft{Email: "Jun@example.com", Name: "Jun", Role: identity.Analyst})
		if err != nil || p.Status != Invited || p.Email != "jun@example.com" {
			t.Fatalf("%+v, %v", p, err)
		}
		_, _, err = b.Invite(ctx, b.a, "x", Draft{Email: "jun@example.com", Name: "Jun", Role: identity.Analyst})
		wantKind(t, err, fault.Conflict)
		_, err = b.SignIn(ctx, Proof{Email: "jun@example.com", Password: good}, home)
		wantKind(t, err, fault.Unauthenticated)
		if l, err := b.Look(ctx, token); err != nil || l.Kind != "invite" || l.Known || l.Email != "jun@example.com" || l.Tenant != "A" {
			t.Errorf("%+v, %v", l, err)
		}
		_, err = b.Follow(ctx, token, "", "password1234", home)
		wantKind(t, err, fault.Invalid)
		if _, err := b.Follow(ctx, token, "Jun Park", good, home); err != nil {
			t.Fatal(err)
		}
		_, err = b.Follow(ctx, token, "", good, home)
		wantKind(t, err, fault.Invalid)
		if s := b.in("jun@example.com", ""); s.Role != identity.Analyst || s.Name != "Jun Park" {
			t.Errorf("%+v", s.Caller)
		}

		// Invited elsewhere as well: the account's own password, and no other one.
		_, token, err = b.Invite(ctx, b.b, "x", Draft{Email: "jun@example.com", Name: "Somebody", Role: identity.Viewer})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Follow(ctx, token, "Mallory", "another good password", home)
		wantKind(t, err, fault.Invalid)
		if _, err := b.Follow(ctx, token, "Mallory", good, home); err != nil {
			t.Fatal(err)
		}
		s := b.in("jun@example.com", "")
		places, err := b.Places(ctx, &s.Caller)
		if err != nil || len(places) != 2 || s.Name != "Jun Park" {
			t.Errorf("%+v, %v, %q", places, err, s.Name)
		}
		other := b.a
		if s.Tenant.Number == b.a {
			other = b.b
		}
		if err := b.Switch(ctx, &s.Caller, other); err != nil {
			t.Fatal(err)
		}
		if now, err := b.Session(ctx, s.SessionID); err != nil || now.Tenant.Number != other {
			t.Errorf("%+v, %v", now, err)
		}
		// An Admin of B may not reset what opens A as well; A runs the installation.
		wantKind(t, b.ResetFactor(ctx, b.b, "x", s.UserID), fault.Forbidden)
		_, _, err = b.NewLink(ctx, b.b, "x", s.UserID)
		wantKind(t, err, fault.Forbidden)
		_, token, err = b.NewLink(ctx, b.a, "x", s.UserID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Follow(ctx, token, "", "another good password", home); err != nil {
			t.Fatal(err)
		}
		_, err = b.Session(ctx, s.SessionID)
		wantKind(t, err, fault.Unauthenticated)
		_, token, err = b.Invite(ctx, b.a, "x", Draft{Email: "late@example.com", Name: "Late", Role: identity.Viewer})
		if err != nil {
			t.Fatal(err)
		}
		b.pass(7*24*time.Hour + time.Second)
		_, err = b.Look(ctx, token)
		wantKind(t, err, fault.Invalid)
	})
}

func TestPlacesChange(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		admin := b.add(b.a, "admin@example.com", identity.Admin)
		jun := b.add(b.a, "jun@example.com", identity.Viewer)
		change := func(id string, role identity.Role, status Status) error {
			_, err := b.Change(ctx, b.a, "test", id, Patch{Role: &role, Status: &status})
			return err
		}
		wantKind(t, change(admin.ID, identity.Viewer, Active), fault.Conflict)
		wantKind(t, change(admin.ID, identity.Admin, Disabled), fault.Conflict)
		wantKind(t, b.Remove(ctx, b.a, "test", admin.ID), fault.Conflict)
		wantKind(t, change(jun.ID, "Boss", Active), fault.Invalid)
		_, err := b.Change(ctx, b.b, "test", jun.ID, Patch{})
		wantKind(t, err, fault.NotFound)

		s := b.in("jun@example.com", "")
		if err := change(jun.ID, identity.Admin, Active); err != nil {
			t.Fatal(err)
		}
		_, err = b.Session(ctx, s.SessionID)
		wantKind(t, err, fault.Unauthenticated)
		s = b.in("jun@example.com", "")
		if err := change(jun.ID, identity.Admin, Disabled); err != nil {
			t.Fatal(err)
		}
		_, err = b.Session(ctx, s.SessionID)
		wantKind(t, err, fault.Unauthenticated)
		_, err = b.SignIn(ctx, Proof{Email: "jun@example.com", Password: good}, home)
		wantKind(t, err, fault.Unauthenticated)
		list, total, err := b.List(ctx, b.a, Filter{Statuses: []Status{Disabled}, Search: "JUN@"})
		if err != nil || total != 1 || list[0].ID != jun.ID {
			t.Errorf("%+v, %d, %v", list, total, err)
		}
		if err := b.Remove(ctx, b.a, "test", jun.ID); err != nil {
			t.Fatal(err)
		}
		b.add(b.b, "jun@example.com", identity.Viewer) // the account went with its last place
	})
}

func TestOwnSessions(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.add(b.a, "hana@example.com", identity.Viewer)
		first, second, third := b.in("hana@example.com", ""), b.in("hana@example.com", ""), b.in("hana@example.com", "")
		if err := b.EndSession(ctx, &first.Caller, second.SessionID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, b.EndSession(ctx, &first.Caller, second.SessionID), fault.NotFound)
		if all, err := b.Sessions(ctx, &first.Caller); err != nil || len(all) != 2 || all[0].Agent != "Firefox" || all[0].Address != "192.0.2.7" {
			t.Errorf("%+v, %v", all, err)
		}
		wantKind(t, b.ChangePassword(ctx, &first.Caller, "wrong wrong wrong", "rain on a tin roof"), fault.Invalid)
		if err := b.ChangePassword(ctx, &first.Caller, good, "rain on a tin roof"); err != nil {
			t.Fatal(err)
		}
		_, err := b.Session(ctx, third.SessionID)
		wantKind(t, err, fault.Unauthenticated)
		if _, err := b.Session(ctx, first.SessionID); err != nil {
			t.Errorf("the own session ended: %v", err)
		}
		seoul, nowhere := "Asia/Seoul", "Mars/Olympus"
		if u, err := b.SetProfile(ctx, &first.Caller, Profile{TimeZone: &seoul}); err != nil || u.TimeZone != seoul || u.Name != "Hana Kim" {
			t.Errorf("%+v, %v", u, err)
		}
		_, err = b.SetProfile(ctx, &first.Caller, Profile{TimeZone: &nowhere})
		wantKind(t, err, fault.Invalid)
		for range 60 {
			if _, err := b.SignIn(ctx, Proof{"hana@example.com", "rain on a tin roof", ""}, home); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := sqldb.One(ctx, b.db, sqldb.Value[int64], `SELECT count(*) FROM account_session`); err != nil || n != maxSessions {
			t.Errorf("%d sessions, %v", n, err)
		}
	})
}

func TestHashesAreBounded(t *testing.T) {
	h := newHasher(HashCost{Memory: 64, Passes: 1, Threads: 1})
	hash, err := h.hash(t.Context(), good)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("%s, %v", hash, err)
	}
	if ok, stale, err := h.matches(t.Context(), good, hash); !ok || stale || err != nil {
		t.Errorf("%v %v %v", ok, stale, err)
	}
	if ok, _, err := h.matches(t.Context(), good, ""); ok || err != nil {
		t.Errorf("no hash: %v, %v", ok, err)
	}
	if ok, stale, _ := newHasher(HashCost{Memory: 128, Passes: 1, Threads: 1}).matches(t.Context(), good, hash); !ok || !stale {
		t.Error("another cost is not noticed")
	}
	for _, broken := range []string{"x", "$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA"} {
		if _, _, err := h.matches(t.Context(), good, broken); err == nil {
			t.Errorf("%q is taken", broken)
		}
	}
	// While all places are taken, callers wait, and too many are sent away.
	for range hashAtOnce {
		h.slots <- struct{}{}
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range hashWaiting {
		all.Go(func() { _, _ = h.hash(ctx, good) })
	}
	for len(h.waiting) < hashWaiting {
		time.Sleep(time.Millisecond)
	}
	_, err = h.hash(t.Context(), good)
	wantKind(t, err, fault.Unavailable)
	stop()
	all.Wait()
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		cost, salt, sum, err := parseHash(s)
		if err == nil && (cost.Memory > 256<<10 || cost.Passes == 0 || cost.Passes > 16 || cost.Threads == 0 || len(salt) == 0 || len(sum) < 16) {
			t.Errorf("%q: %+v", s, cost)
		}
	})
}
