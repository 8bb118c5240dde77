package sso

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/pquerna/otp/totp"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/sso/ssotest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

const password = "four words about rain"

var home = account.From{Address: netip.MustParseAddr("192.0.2.7"), Agent: "Firefox"}

// bench is a service with two tenants and a clock; a runs the installation.
type bench struct {
	*Service
	t    *testing.T
	a, b uint32

	mu    sync.Mutex
	clock time.Time
}

func (b *bench) time() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
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
	for i, number := range []*uint32{&b.a, &b.b} { // in this order: sessions by password begin in the first
		x, err := tenants.Create(t.Context(), audit.System, tenant.Draft{Name: string(rune('A' + i))})
		if err != nil {
			t.Fatal(err)
		}
		*number = x.Number
	}
	sealer, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	guard, err := outbound.NewGuard([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	accounts := account.New(account.Config{DB: db, Tenants: tenants, Sealer: sealer, Owner: b.a, Hash: account.HashCost{Memory: 64, Passes: 1, Threads: 1}, Log: log, Now: b.time})
	b.Service = New(Config{DB: db, Accounts: accounts, Sealer: sealer, Guard: guard, Owner: b.a, URL: func() string { return "https://kyra.example.com" }, Log: log, Now: b.time})
	return b
}

func each(t *testing.T, f func(t *testing.T, b *bench)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newBench(t, db)) })
}

// provider adds one of the tenant that gives roles by groups.
func (b *bench) provider(tenant uint32, slug string, at *ssotest.IDP, change func(*Patch)) *Provider {
	b.t.Helper()
	c := &Patch{
		Slug: &slug, Name: new("Provider " + slug), Issuer: &at.URL, ClientID: &at.Client, Secret: &at.Secret, Creates: new(true), RoleClaim: new("groups"),
		Roles: &[]account.Mapping{{Value: "soc", Role: identity.Analyst}, {Value: "soc-admins", Role: identity.Admin}, {Value: "audit", Role: identity.Auditor}}, DefaultRole: new(identity.Viewer),
	}
	if change != nil {
		change(c)
	}
	p, err := b.Create(b.t.Context(), tenant, "test", c)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// go to the provider as a browser does, and come back with its answer.
func (b *bench) visit(slug string) (held string, a *Answer) {
	b.t.Helper()
	address, held, err := b.Start(b.t.Context(), slug, "/alerts?x=1")
	if err != nil {
		b.t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || back.Host != "kyra.example.com" || res.StatusCode != http.StatusFound {
		b.t.Fatalf("%s: %s %s %v", address, res.Status, back, err)
	}
	q := back.Query()
	return held, &Answer{Slug: strings.TrimPrefix(back.Path, "/signin/sso/"), Code: q.Get("code"), State: q.Get("state"), Issuer: q.Get("iss"), Error: q.Get("error")}
}

// in signs somebody in and returns what stands behind their session.
func (b *bench) in(slug string) (*account.Signed, error) {
	b.t.Helper()
	held, a := b.visit(slug)
	token, to, err := b.Finish(b.t.Context(), held, a, home)
	if err != nil {
		return nil, err
	}
	if to != "/alerts?x=1" {
		b.t.Errorf("goes on to %q", to)
	}
	s, err := b.Accounts.Authenticate(b.t.Context(), token)
	if err != nil {
		b.t.Fatal(err)
	}
	return s, nil
}

func (b *bench) mustIn(slug string) *account.Signed {
	b.t.Helper()
	s, err := b.in(slug)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func wantField(t *testing.T, what string, err error, field string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Unauthenticated || f.Field != field {
		t.Errorf("%s: %v, want %s", what, err, field)
	}
}

func TestSignInMakesAPlaceAndRolesFollowGroups(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		at := ssotest.New(t, b.time)
		p := b.provider(b.b, "acme", at, nil)
		at.Claims["groups"] = []string{"SOC", "other"}
		at.Claims["locale"] = "ko-KR"
		s := b.mustIn("acme")
		if s.Role != identity.Analyst || s.Tenant.Number != b.b || s.Session.Method != "sso" || s.Session.Strong || s.Name != "Hana Kim" || s.User.Language != "ko" || !s.Bound {
			t.Errorf("%+v", s)
		}
		// The next sign-in finds them by their subject, whatever address they have by then, and
		// their groups count anew: the sessions before end.
		at.Claims["email"], at.Claims["email_verified"], at.Claims["groups"] = "hana.kim@example.com", false, []string{"soc-admins", "soc"}
		again := b.mustIn("acme")
		if again.UserID != s.UserID || again.Role != identity.Admin || again.User.Email != "hana@example.com" {
			t.Errorf("%+v", again)
		}
		if _, err := b.Accounts.Session(t.Context(), s.SessionID); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("the session of the other role: %v", err)
		}
		// The last Admin stays one, and is not locked out either.
		at.Claims["groups"] = []string{"audit"}
		if s := b.mustIn("acme"); s.Role != identity.Admin {
			t.Errorf("the last Admin has become %s", s.Role)
		}
		b.join(b.b, "boss@example.com", identity.Admin)
		if s := b.mustIn("acme"); s.Role != identity.Auditor {
			t.Errorf("role %s, want Auditor", s.Role)
		}
		delete(at.Claims, "groups")
		at.Info = map[string]any{"sub": "s-1", "groups": []any{"soc"}, "email": "other@example.com", "email_verified": true}
		if s := b.mustIn("acme"); s.Role != identity.Analyst { // from user info
			t.Errorf("role %s, want Analyst", s.Role)
		}
		at.Info["sub"] = "s-2"
		_, err := b.in("acme")
		wantField(t, "user info of somebody else", err, Failed)
		at.Info = map[string]any{"sub": "s-1"}
		if s := b.mustIn("acme"); s.Role != identity.Viewer {
			t.Errorf("role %s, want Viewer", s.Role)
		}
		if _, err := b.Change(t.Context(), b.b, "test", p.ID, &Patch{DefaultRole: new(identity.Role(""))}); err != nil {
			t.Fatal(err)
		}
		_, err = b.in("acme")
		wantField(t, "no group", err, account.SSONoRole)
		at.Claims["_claim_names"], at.Claims["_claim_sources"] = map[string]any{"groups": "src1"}, map[string]any{"src1": map[string]any{"endpoint": "https://graph.example.com/groups"}}
		_, err = b.in("acme")
		wantField(t, "too many groups", err, account.SSONoRole)
	})
}

func (b *bench) join(tenant uint32, email string, role identity.Role) *account.User {
	b.t.Helper()
	u, err := b.Accounts.Add(b.t.Context(), "test", tenant, account.Draft{Email: email, Name: "Somebody", Password: password, Role: role})
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// TestForgedTokens goes through what an attacker could change about a token.
func TestForgedTokens(t *testing.T) {
	b := newBench(t, sqldbtest.SQLite(t))
	at := ssotest.New(t, b.time)
	b.provider(b.a, "acme", at, nil)
	b.mustIn("acme")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(key jose.SigningKey) func([]byte) string {
		return func(payload []byte) string {
			s, err := jose.NewSigner(key, nil)
			if err != nil {
				t.Error(err)
				return ""
			}
			jws, err := s.Sign(payload)
			if err != nil {
				t.Error(err)
				return ""
			}
			out, _ := jws.CompactSerialize()
			return out
		}
	}
	for what, change := range map[string]func(*ssotest.IDP){
		"wrong nonce":    func(p *ssotest.IDP) { p.Change = func(c map[string]any) { c["nonce"] = "another" } },
		"no nonce":       func(p *ssotest.IDP) { p.Change = func(c map[string]any) { delete(c, "nonce") } },
		"wrong audience": func(p *ssotest.IDP) { p.Change = func(c map[string]any) { c["aud"] = "another application" } },
		"two audiences":  func(p *ssotest.IDP) { p.Change = func(c map[string]any) { c["aud"] = []string{"kyra", "another"} } },
		"issued to another": func(p *ssotest.IDP) {
			p.Change = func(c map[string]any) { c["aud"], c["azp"] = []string{"kyra", "another"}, "another" }
		},
		"expired": func(p *ssotest.IDP) {
			p.Change = func(c map[string]any) { c["exp"] = b.time().Add(-time.Second).Unix() }
		},
		"another issuer":       func(p *ssotest.IDP) { p.Change = func(c map[string]any) { c["iss"] = "https://login.example.net" } },
		"nobody":               func(p *ssotest.IDP) { p.Change = func(c map[string]any) { c["sub"] = "" } },
		"another access token": func(p *ssotest.IDP) { p.Change = func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" } },
		"another key": func(p *ssotest.IDP) {
			p.Sign = signed(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: other, KeyID: p.KID}})
		},
		"the secret as key": func(p *ssotest.IDP) {
			p.Sign = signed(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat(p.Secret, 2))})
		},
		"no signature": func(p *ssotest.IDP) {
			p.Sign = func(payload []byte) string {
				return "eyJhbGciOiJub25lIn0." + jsonPart(payload) + "."
			}
		},
	} {
		at.Mu.Lock()
		change(at)
		at.Mu.Unlock()
		_, err := b.in("acme")
		wantField(t, what, err, Failed)
		at.Change, at.Sign = nil, nil
	}
	at.Change = func(c map[string]any) { c["aud"], c["azp"] = []string{"kyra", "another"}, "kyra" }
	b.mustIn("acme")
	at.Change = nil
	at.Secret = "changed there"
	_, err = b.in("acme")
	wantField(t, "a client secret that no longer fits", err, Failed)
	if !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("%v does not say why", err)
	}
}

func TestKeysAreRotated(t *testing.T) {
	b := newBench(t, sqldbtest.SQLite(t))
	at := ssotest.New(t, b.time)
	b.provider(b.a, "acme", at, nil)
	b.mustIn("acme")
	b.mustIn("acme")
	at.Mu.Lock()
	before := at.KeysGot
	at.Mu.Unlock()
	at.Rotate()
	b.mustIn("acme")
	b.mustIn("acme")
	at.Mu.Lock()
	defer at.Mu.Unlock()
	if at.KeysGot != before+1 {
		t.Errorf("keys were fetched %d times after one rotation", at.KeysGot-before)
	}
}

func TestAnswersBelongToOneSignIn(t *testing.T) {
	b := newBench(t, sqldbtest.SQLite(t))
	at := ssotest.New(t, b.time)
	p := b.provider(b.a, "acme", at, nil)
	ctx := t.Context()
	finish := func(change func(held *string, a *Answer)) error {
		held, a := b.visit("acme")
		change(&held, a)
		_, _, err := b.Finish(ctx, held, a, home)
		return err
	}
	if err := finish(func(*string, *Answer) {}); err != nil {
		t.Fatal(err)
	}
	wantField(t, "another state", finish(func(_ *string, a *Answer) { a.State = "AAAA" }), Lost)
	wantField(t, "no state", finish(func(_ *string, a *Answer) { a.State = "" }), Lost)
	wantField(t, "no cookie", finish(func(held *string, _ *Answer) { *held = "" }), Lost)
	wantField(t, "a made-up cookie", finish(func(held *string, _ *Answer) { *held = "eyJzIjoiIn0" }), Lost)
	wantField(t, "another browser's cookie", finish(func(held *string, _ *Answer) { *held, _ = b.visit("acme") }), Lost)
	wantField(t, "too late", finish(func(*string, *Answer) { b.pass(FlowFor) }), Lost)
	wantField(t, "refused there", finish(func(_ *string, a *Answer) { a.Code, a.Error = "", "access_denied" }), Denied)
	wantField(t, "a made-up code", finish(func(_ *string, a *Answer) { a.Code = "AAAA" }), Failed)
	wantField(t, "another code: its challenge is of another verifier", finish(func(_ *string, a *Answer) {
		_, other := b.visit("acme")
		a.Code = other.Code
	}), Failed)
	wantField(t, "changed meanwhile", finish(func(*string, *Answer) {
		if _, err := b.Change(ctx, b.a, "test", p.ID, &Patch{Name: new("Acme")}); err != nil {
			t.Fatal(err)
		}
	}), Lost)
	held, a := b.visit("acme")
	if _, _, err := b.Finish(ctx, held, a, home); err != nil {
		t.Fatal(err)
	}
	_, _, err := b.Finish(ctx, held, a, home)
	wantField(t, "the same answer twice", err, Failed)
	for to, want := range map[string]string{"/alerts": "/alerts", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "": "/", "/a\nb": "/", "javascript:alert(1)": "/"} {
		_, held, err := b.Start(ctx, "acme", to)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := b.heldWay(held); err != nil || w.To != want {
			t.Errorf("%q goes to %q, %v", to, w.To, err)
		}
	}
	n := entries(t, b, "session.refuse")
	if n < 4 {
		t.Errorf("%d refusals in the audit log", n)
	}
}

func entries(t *testing.T, b *bench, action string) int64 {
	t.Helper()
	n, err := sqldb.One(t.Context(), b.DB, sqldb.Value[int64], `SELECT count(*) FROM audit_entry WHERE action = $1`, action)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMixUp sends what one issuer answered to the place of another (RFC 9700 4.4).
func TestMixUp(t *testing.T) {
	b := newBench(t, sqldbtest.SQLite(t))
	honest, evil := ssotest.New(t, b.time), ssotest.New(t, b.time)
	honest.Extra = map[string]any{"authorization_response_iss_parameter_supported": true}
	b.provider(b.a, "honest", honest, nil)
	b.provider(b.b, "evil", evil, nil)
	ctx := t.Context()

	_, theirs := b.visit("honest")
	held, a := b.visit("evil")
	a.Code = theirs.Code // the state is right: the attacker has seen it
	_, _, err := b.Finish(ctx, held, a, home)
	wantField(t, "a code of the honest one at the evil one", err, Failed)
	evil.Mu.Lock()
	if len(honest.Codes) == 0 {
		t.Error("the honest one's code was redeemed")
	}
	evil.Mu.Unlock()

	a.Slug = "honest"
	_, _, err = b.Finish(ctx, held, a, home)
	wantField(t, "back at another address", err, Lost)

	held, a = b.visit("honest")
	a.Issuer = evil.URL
	_, _, err = b.Finish(ctx, held, a, home)
	wantField(t, "of another issuer", err, Failed)
	held, a = b.visit("honest")
	a.Issuer = ""
	_, _, err = b.Finish(ctx, held, a, home)
	wantField(t, "of no issuer", err, Failed)
	b.mustIn("honest")

	// Somebody else's subject at another issuer is somebody else.
	evil.Claims["email"] = "mallory@example.net"
	if x, y := b.mustIn("honest"), b.mustIn("evil"); x.UserID == y.UserID {
		t.Error("the same subject at two issuers is one person")
	}
	evil.Change = func(c map[string]any) { c["iss"] = honest.URL }
	_, err = b.in("evil")
	wantField(t, "an evil token in an honest name", err, Failed)
}

func TestOnlyVerifiedAddressesLink(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		at := ssotest.New(t, b.time)
		p := b.provider(b.a, "acme", at, func(c *Patch) { c.Creates = new(false); c.RoleClaim = new(""); c.Roles = nil })
		_, err := b.in("acme")
		wantField(t, "unknown", err, account.SSOUnknown)
		u := b.join(b.a, "hana@example.com", identity.Analyst)
		for what, v := range map[string]any{"false": false, "nothing": nil, "a text": "no"} {
			at.Claims["email_verified"] = v
			_, err := b.in("acme")
			wantField(t, "verified "+what, err, account.SSOUnverified)
		}
		at.Claims["xms_edov"] = "1"
		if s := b.mustIn("acme"); s.UserID != u.ID || s.Role != identity.Analyst {
			t.Errorf("%+v", s)
		}
		delete(at.Claims, "xms_edov") // known by the subject from now on
		b.mustIn("acme")
		at.Claims["sub"] = "s-2"
		_, err = b.in("acme")
		wantField(t, "another subject of that address", err, account.SSOUnverified)

		at.Claims["sub"] = "s-1"
		if _, err := b.Change(t.Context(), b.a, "test", p.ID, &Patch{Domains: &[]string{"@Example.net"}}); err != nil {
			t.Fatal(err)
		}
		_, err = b.in("acme")
		wantField(t, "another domain", err, Domain)
		at.Claims["email"] = "hana@example.net"
		b.mustIn("acme")
		at.Claims["email"] = "hana@sub.example.net"
		_, err = b.in("acme")
		wantField(t, "below the domain", err, Domain)
	})
}

func TestTenantBorder(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		at := ssotest.New(t, b.time)
		// The person works for A with a password; B's provider vouches for the same address.
		u := b.join(b.a, "hana@example.com", identity.Admin)
		b.provider(b.b, "acme", at, nil)
		s := b.mustIn("acme")
		if s.UserID != u.ID || s.Tenant.Number != b.b || s.Role != identity.Viewer || s.Provider {
			t.Fatalf("%+v", s)
		}
		places, err := b.Accounts.Places(ctx, &s.Caller)
		if err != nil || len(places) != 1 || places[0].Tenant.Number != b.b {
			t.Errorf("%+v, %v", places, err)
		}
		if err := b.Accounts.Switch(ctx, &s.Caller, b.a); !errors.Is(err, fault.NotFound) {
			t.Errorf("switches to the other tenant: %v", err)
		}
		// What the account rests on is not B's to change.
		if _, err := b.Accounts.SetProfile(ctx, &s.Caller, account.Profile{Name: new("Mallory")}); !errors.Is(err, fault.Forbidden) {
			t.Errorf("renames: %v", err)
		}
		if _, err := b.Accounts.StartTOTP(ctx, &s.Caller, password); !errors.Is(err, fault.Forbidden) {
			t.Errorf("adds a factor: %v", err)
		}
		if err := b.Accounts.RemovePasskey(ctx, &s.Caller, u.ID); !errors.Is(err, fault.Forbidden) {
			t.Errorf("removes a passkey: %v", err)
		}
		token, err := b.Accounts.SignIn(ctx, account.Proof{Email: "hana@example.com", Password: password}, home)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := b.Accounts.Authenticate(ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := b.Accounts.Sessions(ctx, &s.Caller); err != nil || len(all) != 1 || all[0].ID != s.SessionID {
			t.Errorf("%+v, %v", all, err)
		}
		if err := b.Accounts.EndSession(ctx, &s.Caller, ours.SessionID); !errors.Is(err, fault.NotFound) {
			t.Errorf("ends a session elsewhere: %v", err)
		}
		if err := b.Accounts.EndSession(ctx, &s.Caller, ""); err != nil {
			t.Error(err)
		}
		if _, err := b.Accounts.Session(ctx, ours.SessionID); err != nil {
			t.Errorf("ending all has reached the other tenant: %v", err)
		}
		// The other tenant's provider is nobody else's.
		if _, err := b.Get(ctx, b.a, s.Session.Provider); !errors.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		if _, err := b.Change(ctx, b.a, "test", s.Session.Provider, &Patch{Name: new("x")}); !errors.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		if err := b.Delete(ctx, b.a, "test", s.Session.Provider); !errors.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		_, err = b.Create(ctx, b.a, "test", &Patch{Slug: new("acme"), Name: new("x"), Issuer: &at.URL, ClientID: new("x")})
		if !errors.Is(err, fault.Conflict) {
			t.Errorf("the same short name: %v", err)
		}
	})
}

func TestSwitchedOff(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		at := ssotest.New(t, b.time)
		p := b.provider(b.b, "acme", at, nil)
		boss := b.join(b.b, "boss@example.com", identity.Admin)
		s := b.mustIn("acme")
		if _, err := b.Accounts.Change(ctx, b.b, "test", s.UserID, account.Patch{Status: new(account.Disabled)}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Accounts.Session(ctx, s.SessionID); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("the session goes on: %v", err)
		}
		_, err := b.in("acme")
		wantField(t, "disabled", err, account.SSODisabled)
		if _, err := b.Accounts.Change(ctx, b.b, "test", s.UserID, account.Patch{Status: new(account.Active)}); err != nil {
			t.Fatal(err)
		}

		// Single sign-on alone: passwords open nothing but for the one in the glass box.
		signIn := func(email string) error {
			token, err := b.Accounts.SignIn(ctx, account.Proof{Email: email, Password: password}, home)
			if err == nil {
				_, err = b.Accounts.Authenticate(ctx, token)
			}
			return err
		}
		other := b.join(b.b, "jun@example.com", identity.Analyst)
		if err := b.Accounts.SetSSOOnly(ctx, b.b, "test", true, other.ID); !errors.Is(err, fault.Invalid) {
			t.Errorf("an Analyst in the glass box: %v", err)
		}
		if err := b.Accounts.SetSSOOnly(ctx, b.b, "test", true, s.UserID); !errors.Is(err, fault.Invalid) {
			t.Errorf("somebody without a password in the glass box: %v", err)
		}
		before, err := b.Accounts.SignIn(ctx, account.Proof{Email: "jun@example.com", Password: password}, home)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Accounts.SetSSOOnly(ctx, b.b, "test", true, boss.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Accounts.Authenticate(ctx, before); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a session of before goes on: %v", err)
		}
		wantField(t, "a password", signIn("jun@example.com"), account.SSORequired)
		if err := signIn("boss@example.com"); err != nil {
			t.Errorf("the one in the glass box: %v", err)
		}
		if _, err := b.Accounts.Change(ctx, b.b, "test", boss.ID, account.Patch{Role: new(identity.Viewer)}); !errors.Is(err, fault.Conflict) {
			t.Errorf("takes the glass box away: %v", err)
		}
		if err := b.Accounts.Remove(ctx, b.b, "test", boss.ID); !errors.Is(err, fault.Conflict) {
			t.Errorf("removes the glass box: %v", err)
		}
		if _, err := b.Change(ctx, b.b, "test", p.ID, &Patch{Enabled: new(false)}); !errors.Is(err, fault.Conflict) {
			t.Errorf("switches the last provider off: %v", err)
		}
		if err := b.Delete(ctx, b.b, "test", p.ID); !errors.Is(err, fault.Conflict) {
			t.Errorf("removes the last provider: %v", err)
		}
		in := b.mustIn("acme")
		if err := b.Accounts.SetSSOOnly(ctx, b.b, "test", false, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Change(ctx, b.b, "test", p.ID, &Patch{Enabled: new(false)}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Accounts.Session(ctx, in.SessionID); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a session of a provider that is off: %v", err)
		}
		_, _, err = b.Start(ctx, "acme", "/")
		wantField(t, "a provider that is off", err, Missing)
		if err := b.Delete(ctx, b.b, "test", p.ID); err != nil {
			t.Fatal(err)
		}
		if n, err := sqldb.One(ctx, b.DB, sqldb.Value[int64], `SELECT count(*) FROM sso_identity`); err != nil || n != 0 {
			t.Errorf("%d identities, %v", n, err)
		}
	})
}

func TestSecondFactorThere(t *testing.T) {
	b := newBench(t, sqldbtest.SQLite(t))
	at := ssotest.New(t, b.time)
	p := b.provider(b.a, "acme", at, nil)
	policy, err := b.Accounts.PolicyOf(t.Context(), b.a)
	if err != nil {
		t.Fatal(err)
	}
	policy.SecondFactor = true
	if err := b.Accounts.SetPolicy(t.Context(), b.a, "test", policy); err != nil {
		t.Fatal(err)
	}
	s := b.mustIn("acme")
	if !s.Weak {
		t.Error("no second factor was shown")
	}
	// They can set one up here: there is no password, so a sign-in of just now confirms it.
	ctx := t.Context()
	e, err := b.Accounts.StartTOTP(ctx, &s.Caller, "")
	if err != nil {
		t.Fatal(err)
	}
	codes, err := b.Accounts.ConfirmTOTP(ctx, &s.Caller, code(t, e.Secret, b.time()))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := b.Accounts.Session(ctx, s.SessionID); err != nil || s.Weak {
		t.Errorf("%+v, %v", s, err)
	}
	b.pass(time.Hour)
	if err := b.Accounts.RemoveTOTP(ctx, &s.Caller, ""); !errors.Is(err, fault.Forbidden) {
		t.Errorf("an old sign-in confirms: %v", err)
	}
	// The next session shows it by a code, or a recovery code, each once.
	for _, shown := range []string{code(t, e.Secret, b.time()), codes[0]} {
		s := b.mustIn("acme")
		if !s.Weak {
			t.Error("strong before it was shown")
		}
		if err := b.Accounts.Prove(ctx, &s.Caller, "000000"); !errors.Is(err, fault.Invalid) {
			t.Errorf("a wrong code: %v", err)
		}
		if err := b.Accounts.Prove(ctx, &s.Caller, shown); err != nil {
			t.Fatal(err)
		}
		if err := b.Accounts.Prove(ctx, &s.Caller, shown); !errors.Is(err, fault.Invalid) {
			t.Errorf("a code twice: %v", err)
		}
		if now, err := b.Accounts.Session(ctx, s.SessionID); err != nil || now.Weak {
			t.Errorf("%+v, %v", now, err)
		}
	}
	at.Claims["amr"] = []string{"pwd", "mfa"}
	if s := b.mustIn("acme"); s.Weak || !s.Session.Strong {
		t.Error("the provider says that a second factor was shown")
	}
	delete(at.Claims, "amr")
	if _, err := b.Change(t.Context(), b.a, "test", p.ID, &Patch{SecondFactor: new(true)}); err != nil {
		t.Fatal(err)
	}
	if s := b.mustIn("acme"); s.Weak {
		t.Error("the provider is trusted to ask for one")
	}
}

func code(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProvidersAreChecked(t *testing.T) {
	b := newBench(t, sqldbtest.SQLite(t))
	ctx := t.Context()
	at := ssotest.New(t, b.time)
	p := b.provider(b.a, "acme", at, nil)
	for field, change := range map[string]*Patch{
		"name": {Name: new("")}, "slug": {Slug: new("Not A Slug")}, "clientId": {ClientID: new(" ")}, "scopes": {Scopes: &[]string{"a b"}}, "domains": {Domains: &[]string{"nothing"}},
		"roleClaim": {RoleClaim: new("a b")}, "linkClaim": {LinkClaim: new("")}, "defaultRole": {DefaultRole: new(identity.Role("King"))}, "roles": {Roles: &[]account.Mapping{{Value: "x", Role: "King"}}},
	} {
		_, err := b.Change(ctx, b.a, "test", p.ID, change)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, issuer := range []string{"ftp://127.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/", at.URL + "?x=1", at.URL + "#x", "https://u:p@login.example.com/", at.URL + "/other", "nothing", "http://login.example.com"} {
		_, err := b.Change(ctx, b.a, "test", p.ID, &Patch{Issuer: &issuer})
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Field != "issuer" {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	tested, err := b.Test(ctx, at.URL, []string{"openid", "offline"})
	if err != nil || !tested.OK || tested.Keys != 1 || tested.Authorization != at.URL+"/authorize" || len(tested.Checks) != 4 || tested.Checks[3].OK {
		t.Errorf("%+v, %v", tested, err)
	}
	at.Extra = map[string]any{"issuer": "https://login.example.com"}
	if tested, err := b.Test(ctx, at.URL, nil); err != nil || tested.OK || tested.Checks[0].OK {
		t.Errorf("metadata of another issuer: %+v, %v", tested, err)
	}
	at.Extra = map[string]any{"jwks_uri": at.URL + "/nothing"}
	if tested, err := b.Test(ctx, at.URL, nil); err != nil || tested.OK || !tested.Checks[0].OK {
		t.Errorf("without keys: %+v, %v", tested, err)
	}
	at.Extra = nil

	// The secret is sealed, and kept where a change says nothing of it.
	raw, err := sqldb.One(ctx, b.DB, sqldb.Value[[]byte], `SELECT secret FROM sso_provider WHERE id = $1`, p.ID)
	if err != nil || strings.Contains(string(raw), at.Secret) {
		t.Errorf("%q, %v", raw, err)
	}
	if _, err := b.Change(ctx, b.a, "test", p.ID, &Patch{Name: new("Acme"), Version: p.Version}); err != nil {
		t.Fatal(err)
	}
	b.mustIn("acme")
	_, err = b.Change(ctx, b.a, "test", p.ID, &Patch{Name: new("Acme"), Version: p.Version})
	if !errors.Is(err, fault.Conflict) {
		t.Errorf("a change on an old version: %v", err)
	}
	// A public client has none.
	at.Secret = ""
	if _, err := b.Change(ctx, b.a, "test", p.ID, &Patch{Secret: new("")}); err != nil {
		t.Fatal(err)
	}
	b.mustIn("acme")

	b.provider(b.b, "han-river", at, func(c *Patch) { c.Domains = &[]string{"hanriver.example"} })
	for email, want := range map[string][]string{"": {"acme"}, "jun@HanRiver.example": {"han-river", "acme"}, "jun@example.com": {"acme"}, "hanriver.example": {"acme"}} {
		all, err := b.Offered(ctx, email)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for i := range all {
			got = append(got, all[i].Slug)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", email, got, want)
		}
	}
}

// What everybody sees on the sign-in page is the installation's, and a domain is one
// tenant's.
func TestSignInPageIsNotForEveryTenant(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		at := ssotest.New(t, b.time)
		ours := b.provider(b.a, "ours", at, func(c *Patch) { c.Domains = &[]string{"bank-a.example"} })
		theirs := b.provider(b.b, "theirs", at, nil)
		refused := func(what, field string, kind fault.Kind, err error) {
			t.Helper()
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != kind || f.Field != field {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err := b.Change(ctx, b.b, "test", theirs.ID, &Patch{Listed: new(true)})
		refused("listed", "listed", fault.Invalid, err)
		_, err = b.Change(ctx, b.b, "test", theirs.ID, &Patch{Domains: &[]string{"hanriver.example", "Bank-A.example"}})
		refused("another's domain", "domains", fault.Conflict, err)
		_, err = b.Create(ctx, b.b, "test", &Patch{
			Slug: new("more"), Name: new("More"), Issuer: &at.URL, ClientID: &at.Client, DefaultRole: new(identity.Viewer), Creates: new(true), Domains: &[]string{"bank-a.example"},
		})
		refused("a new one of another's domain", "domains", fault.Conflict, err)
		for _, id := range []string{"a\x00b", "a\xffb"} {
			_, err = b.Change(ctx, b.b, "test", theirs.ID, &Patch{ClientID: &id})
			refused("client id", "clientId", fault.Invalid, err)
		}
		if _, err := b.Change(ctx, b.a, "test", ours.ID, &Patch{Domains: &[]string{"bank-a.example", "bank-a.test"}, Secret: new("another")}); err != nil {
			t.Errorf("its own domain: %v", err)
		}
		detail, err := sqldb.One(ctx, b.DB, sqldb.Value[string], `SELECT detail FROM audit_entry WHERE action = 'sso.update' AND object = $1`, ours.ID)
		if err != nil || !strings.Contains(detail, `"secret":"changed"`) || strings.Contains(detail, "another") || !strings.Contains(detail, `"linkClaim":"sub"`) || !strings.Contains(detail, `"listed":true`) {
			t.Errorf("%s, %v", detail, err)
		}
		// One that was listed before is not any more.
		if _, err := sqldb.Exec(ctx, b.DB, `UPDATE sso_provider SET listed = TRUE WHERE id = $1`, theirs.ID); err != nil {
			t.Fatal(err)
		}
		if all, err := b.Offered(ctx, ""); err != nil || len(all) != 1 || all[0].Slug != "ours" {
			t.Errorf("%+v, %v", all, err)
		}
		if p, err := b.Change(ctx, b.b, "test", theirs.ID, &Patch{Name: new("Theirs")}); err != nil || p.Listed {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// Nobody comes into a demo tenant but the people of the tenant that it is of: it has no
// provider, which would keep a short name and a domain for nothing.
func TestDemoHasNoProvider(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		at := ssotest.New(t, b.time)
		of, err := b.Accounts.Tenants.ByNumber(ctx, b.b)
		if err != nil {
			t.Fatal(err)
		}
		demo, err := b.Accounts.Tenants.CreateDemo(ctx, "test", of)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Create(ctx, demo.Number, "test", &Patch{Slug: new("demo"), Name: new("Demo"), Issuer: &at.URL, ClientID: &at.Client, DefaultRole: new(identity.Viewer), Creates: new(true)})
		if !errors.Is(err, fault.Conflict) {
			t.Errorf("%v", err)
		}
		b.provider(b.b, "demo", at, nil)
	})
}

// TestDirectoryKnowsThem links by what a directory has said, with no address at all.
func TestDirectoryKnowsThem(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := context.WithoutCancel(t.Context())
		at := ssotest.New(t, b.time)
		b.provider(b.b, "acme", at, func(c *Patch) { c.LinkClaim, c.Creates, c.RoleClaim, c.Roles = new("oid"), new(false), new(""), nil })
		l, err := b.Accounts.Provision(ctx, b.b, &account.Listed{UserName: "jun@example.com", External: "o-7", Active: true})
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(at.Claims, map[string]any{"sub": "pairwise", "oid": "o-7", "email": nil, "email_verified": nil})
		if s := b.mustIn("acme"); s.UserID != l.ID || s.Role != identity.Viewer {
			t.Errorf("%+v", s)
		}
		if err := b.Accounts.Deprovision(ctx, b.b, l.ID); err != nil {
			t.Fatal(err)
		}
		_, err = b.in("acme")
		wantField(t, "deprovisioned", err, account.SSODisabled)
		maps.Copy(at.Claims, map[string]any{"sub": "another", "oid": "o-8"})
		_, err = b.in("acme")
		wantField(t, "not provisioned", err, account.SSOUnverified)
	})
}

func jsonPart(payload []byte) string { return base64.RawURLEncoding.EncodeToString(payload) }
