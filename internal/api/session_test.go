package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/identity"
	sealing "github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// cheap is a hash for tests: what it costs is not what they are about.
var cheap = account.HashCost{Memory: 64, Passes: 1, Threads: 1}

const password = "four words about rain"

func newAccounts(tb testing.TB, s *server) *account.Service {
	tb.Helper()
	sealer, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	return account.New(account.Config{DB: s.db, Tenants: s.tenantSvc, Sealer: sealer, Owner: s.a.Number, Hash: cheap, Log: s.cfg.Log, Now: s.now})
}

// person makes a person of a tenant and returns their session as a header.
func (s *server) person(t *tenant.Tenant, role identity.Role) string {
	s.t.Helper()
	email := strings.ToLower(string(role)) + "@" + strings.ToLower(t.Name) + ".example"
	if _, err := s.cfg.Accounts.Add(s.t.Context(), "test", t.Number, account.Draft{Email: email, Name: string(role), Password: password, Role: role}); err != nil {
		s.t.Fatal(err)
	}
	return s.signIn(email)
}

func (s *server) signIn(email string) string {
	s.t.Helper()
	return cookieOf(s.do("", "POST", "/api/v1/session", `{"email":"`+email+`","password":"`+password+`"}`).want(200))
}

// cookieOf is the session that an answer set, as a header.
func cookieOf(a *answerTo) string {
	a.t.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if strings.HasSuffix(c.Name, "kyra") {
			return "Cookie: " + c.Name + "=" + c.Value
		}
	}
	a.t.Fatalf("%s: no cookie in %v", a.request, a.header)
	return ""
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.person(s.a, identity.Analyst)
	a := s.do("", "POST", "/api/v1/session", `{"email":" Analyst@A.example","password":"`+password+`"}`, "User-Agent: Firefox").want(200)
	a.is("role", "Analyst").is("tenant.name", "A").is("user.email", "analyst@a.example")
	if set := a.header.Get("Set-Cookie"); !strings.Contains(set, "; HttpOnly") || !strings.Contains(set, "SameSite=Strict") || !strings.Contains(set, "Path=/") || strings.Contains(set, "Secure") {
		t.Errorf("cookie is %q", set)
	}
	me := cookieOf(a)
	got := s.do("", "GET", "/api/v1/session", "", me).want(200).is("user.name", "Analyst")
	if !strings.Contains(got.body, `"alerts:write"`) || strings.Contains(got.body, `"users:write"`) {
		t.Errorf("rights: %s", got.body)
	}
	s.do("", "GET", "/api/v1/alerts", "", me).want(200)
	s.do("", "DELETE", "/api/v1/session", "", me).want(204)
	gone := s.do("", "GET", "/api/v1/alerts", "", me)
	gone.problem(401, "Unauthorized", "The session has ended: sign in again")
	if !strings.Contains(gone.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Error("the ended cookie stays")
	}
	log := s.do(s.ro, "GET", "/api/v1/audit-logs?actor=user:analyst@a.example", "").want(200).is("totalElements", 3)
	log.is("content.0.action", "session.end").is("content.0.address", "192.0.2.1")
}

func TestWrongSignInsAreAlike(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.person(s.a, identity.Viewer)
	for _, body := range []string{
		`{"email":"viewer@a.example","password":"another long password"}`,
		`{"email":"nobody@a.example","password":"` + password + `"}`,
		`{"email":"no address","password":"x"}`,
		`{"email":"viewer@a.example","password":""}`,
	} {
		s.do("", "POST", "/api/v1/session", body).problem(401, "Unauthorized", "The address, the password or the code is wrong")
	}
	s.do("", "GET", "/api/v1/session", "").problem(401, "Unauthorized", "Missing or invalid API key")
	s.do(s.rw, "GET", "/api/v1/session", "").problem(403, "Forbidden", "")
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	me := s.person(s.a, identity.Viewer)
	for range 3 {
		s.pass(11 * time.Hour)
		s.do("", "GET", "/api/v1/alerts", "", me).want(200)
	}
	s.pass(12*time.Hour + time.Minute)
	s.do("", "GET", "/api/v1/alerts", "", me).want(401)

	me = s.signIn("viewer@a.example")
	for range 15 {
		s.pass(11 * time.Hour)
		s.do("", "GET", "/api/v1/alerts", "", me).want(200)
	}
	s.pass(11 * time.Hour)
	s.do("", "GET", "/api/v1/alerts", "", me).want(401)
}

func TestCrossOriginRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) { c.Origins = []string{"https://kyra.example.com"} })
	me := s.person(s.a, identity.Admin)
	for _, c := range []struct {
		header string
		status int
	}{
		{"Sec-Fetch-Site: cross-site", 403},
		{"Sec-Fetch-Site: same-site", 403},
		{"Sec-Fetch-Site: same-origin", 201},
		{"Origin: https://evil.example", 403},
		{"Origin: null", 403},
		{"Origin: http://example.com", 201},
		{"Origin: https://kyra.example.com", 201},
	} {
		s.do("", "POST", "/api/v1/api-keys", `{"name":"x","scope":"read-only"}`, me, c.header).want(c.status)
		s.do(s.rw, "POST", "/api/v1/api-keys", `{"name":"x","scope":"read-only"}`, c.header).want(201)
	}
	s.do("", "GET", "/api/v1/alerts", "", me, "Sec-Fetch-Site: cross-site").want(200)
	s.do("", "POST", "/api/v1/session", `{"email":"admin@a.example","password":"`+password+`"}`, "Sec-Fetch-Site: cross-site").want(403)
}

func TestSessionsHaveTheirOwnLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) { c.SessionPerMinute = 2 })
	me := s.person(s.a, identity.Viewer)
	s.do("", "GET", "/api/v1/alerts", "", me).want(200)
	if a := s.do("", "GET", "/api/v1/alerts", "", me).want(200); a.exact("X-RateLimit-Limit") != "2" {
		t.Errorf("limit %s", a.exact("X-RateLimit-Limit"))
	}
	s.do("", "GET", "/api/v1/alerts", "", me).want(429)
	s.do(s.ro, "GET", "/api/v1/alerts", "").want(200)
}

func TestSetUpOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) { c.Secure = true })
	token, err := s.cfg.Accounts.SetupToken(t.Context())
	if err != nil || token == "" {
		t.Fatalf("%q, %v", token, err)
	}
	body := func(token string) string {
		return `{"token":"` + token + `","name":"Hana Kim","email":"hana@example.com","password":"` + password + `","tenantName":"Han River Bank"}`
	}
	founded := 0
	s.cfg.Accounts.Founded = func(context.Context) { founded++ }
	s.do("", "POST", "/api/v1/setup", body("wrong")).want(403)
	s.do("", "POST", "/api/v1/setup", strings.Replace(body(token), password, "short", 1)).problem(400, "Invalid password value", "Allowed: 12 to 256 characters")
	a := s.do("", "POST", "/api/v1/setup", body(token)).want(201).is("role", "Admin").is("tenant.name", "Han River Bank")
	if set := a.header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-kyra=") || !strings.Contains(set, "; Secure") {
		t.Errorf("cookie is %q", set)
	}
	if !strings.Contains(a.body, `"provider:write"`) {
		t.Error("the Admin of the installation's own tenant may not make tenants")
	}
	s.do("", "GET", "/api/v1/session", "", cookieOf(a)).want(200)
	s.do("", "POST", "/api/v1/setup", body(token)).want(403)
	if founded != 1 {
		t.Errorf("it was told %d times that the link is used, want once", founded)
	}
	if token, err := s.cfg.Accounts.SetupToken(t.Context()); err != nil || token != "" {
		t.Errorf("another link: %q, %v", token, err)
	}
}

// A key that is kept for a safe retry belongs to the person, and opens only with the session.
func TestSafeRetryBySession(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	me := s.person(s.a, identity.Admin)
	first := s.do("", "POST", "/api/v1/api-keys", `{"name":"x","scope":"read-only"}`, me, "Idempotency-Key: 1").want(201)
	again := s.do("", "POST", "/api/v1/api-keys", `{"name":"x","scope":"read-only"}`, me, "Idempotency-Key: 1").want(201)
	if first.text("id") != again.text("id") {
		t.Error("two keys for one request")
	}
}
