package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/outbound"
	sealing "github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sso"
	"github.com/kyra-mdr/kyra/internal/sso/ssotest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func newSSO(tb testing.TB, s *server) *sso.Service {
	tb.Helper()
	sealer, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	guard, err := outbound.NewGuard([]string{"127.0.0.1"})
	if err != nil {
		tb.Fatal(err)
	}
	return sso.New(sso.Config{DB: s.db, Accounts: s.cfg.Accounts, Sealer: sealer, Guard: guard, Owner: s.a.Number, URL: func() string { return "https://kyra.example.com" }, Log: s.cfg.Log, Now: s.now})
}

// visit goes to a provider as the console does: it returns the cookie and the body of the
// answer that the console's page brings.
func (s *server) visit(slug string) (cookie, body string) {
	s.t.Helper()
	begun := s.do("", "POST", "/api/v1/session/sso/start", `{"slug":"`+slug+`","to":"/incidents"}`).want(200)
	set := begun.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Max-Age=600", "Path=/"} {
		if !strings.Contains(set, want) {
			s.t.Errorf("cookie %q has no %s", set, want)
		}
	}
	cookie, _, _ = strings.Cut(set, ";")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, begun.text("url"), http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), "https://kyra.example.com/signin/sso/"+slug+"?") {
		s.t.Fatalf("%v %v", back, err)
	}
	return "Cookie: " + cookie, `{"slug":"` + slug + `","state":"` + back.Query().Get("state") + `","code":"` + back.Query().Get("code") + `"}`
}

func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	at := ssotest.New(t, s.now)
	admin := s.person(s.b, identity.Admin)
	s.do("", "POST", "/api/v1/settings/sso/test", `{"issuer":"`+at.URL+`","scopes":["openid","email"]}`, admin).want(200).is("ok", true).is("keys", 1).is("checks.0.name", "discovery").is("checks.0.ok", true)
	s.do("", "POST", "/api/v1/settings/sso/test", `{"issuer":"https://10.0.0.1/"}`, admin).want(400)
	draft := `{"slug":"acme","name":"Acme","issuer":"` + at.URL + `","clientId":"kyra","clientSecret":"a secret of the client","roleClaim":"groups","roles":[{"value":"soc","role":"Analyst"}],"createUsers":true}`
	made := s.do("", "POST", "/api/v1/settings/sso/providers", draft, admin).want(201).is("hasSecret", true).is("redirectUri", "https://kyra.example.com/signin/sso/acme").is("listed", false)
	if strings.Contains(made.body, "a secret of") {
		t.Error("the secret is shown")
	}
	path := "/api/v1/settings/sso/providers/" + made.text("id")
	s.do("", "POST", "/api/v1/settings/sso/providers", draft, admin).want(409)
	s.do(s.rw, "GET", path, "").want(404) // another tenant's
	s.do(s.rw, "PATCH", path, `{"name":"x"}`).want(404)
	s.do(s.rw, "DELETE", path, "").want(404)
	for _, role := range []identity.Role{identity.Analyst, identity.Viewer, identity.Auditor} {
		s.do("", "GET", "/api/v1/settings/sso", "", s.person(s.b, role)).want(403)
	}

	// Whose group gives no role is told so, on the sign-in page.
	cookie, body := s.visit("acme")
	s.do("", "POST", "/api/v1/session/sso", body, cookie).problem(401, account.SSONoRole, "Acme gives you no role here: ask an Admin which group you have to be in")
	at.Claims["groups"] = []string{"soc"}
	cookie, body = s.visit("acme")
	s.do("", "POST", "/api/v1/session/sso", body).want(401).is("error", sso.Lost) // without the cookie
	s.do("", "POST", "/api/v1/session/sso", body, cookie, "Sec-Fetch-Site: cross-site").want(403)
	in := s.do("", "POST", "/api/v1/session/sso", body, cookie).want(200).is("to", "/incidents")
	me := cookieOf(in)
	s.do("", "GET", "/api/v1/session", "", me).want(200).is("role", "Analyst").is("tenant.name", "B").is("user.email", "hana@example.com")
	s.do("", "GET", "/api/v1/session/sessions", "", me).want(200).is("sessions.0.method", "sso")
	s.do("", "GET", "/api/v1/session/security", "", me).want(200).is("passwordChangedAt", nil).is("passkeys", 0)
	s.do("", "GET", "/api/v1/users?search=hana", "", admin).want(200).is("content.0.origin", "sso").is("content.0.createdBy", "sso:Acme")

	// The sign-in page lists those of its domain, and such as are shown to everybody.
	s.do("", "POST", "/api/v1/session/sso/providers", `{}`).want(200).is("providers", []any{})
	got := s.do("", "GET", path, "", admin).want(200)
	tag := got.header.Get("ETag")
	s.do("", "PATCH", path, `{"domains":["example.com"],"defaultRole":"Viewer"}`, admin, "If-Match: "+tag).want(200).is("defaultRole", "Viewer").is("roles.0.role", "Analyst")
	s.do("", "PATCH", path, `{"name":"x"}`, admin, "If-Match: "+tag).want(412)
	s.do("", "POST", "/api/v1/session/sso/providers", `{"email":"jun@Example.com"}`).want(200).is("providers.0.slug", "acme").is("providers.0.name", "Acme")

	// People have to come from it, but for one.
	glass := s.do("", "GET", "/api/v1/session", "", admin).want(200).text("user.id")
	s.do("", "PUT", "/api/v1/settings/sso", `{"only":true}`, admin).want(400)
	s.do("", "PUT", "/api/v1/settings/sso", `{"only":true,"breakGlassUserId":"`+glass+`"}`, admin).want(200).is("only", true).is("providers.0.slug", "acme")
	s.do("", "POST", "/api/v1/session", `{"email":"viewer@b.example","password":"`+password+`"}`).problem(401, account.SSORequired, "Your organisation asks you to sign in at its identity provider")
	s.signIn("admin@b.example")
	s.do("", "DELETE", path, "", admin).want(409)
	s.do("", "PUT", "/api/v1/settings/sso", `{"only":false}`, admin).want(200).is("only", false).is("breakGlassUserId", "")
	s.do("", "DELETE", path, "", admin).want(204)
	s.do("", "GET", "/api/v1/alerts", "", me).want(401)
	s.do("", "POST", "/api/v1/session/sso/start", `{"slug":"acme"}`).want(401).is("error", sso.Missing)

	log := s.do(s.foreign, "GET", "/api/v1/audit-logs?size=100", "").want(200).body
	for _, action := range []string{"sso.create", "sso.update", "sso.delete", "settings.sso", "user.identity.link", "session.refuse"} {
		if !strings.Contains(log, `"`+action+`"`) {
			t.Errorf("the audit log does not tell %s", action)
		}
	}
}

// Who came by single sign-on looks at the demo data of their tenant as what they are in it.
func TestDemoBySingleSignOn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	at := ssotest.New(t, s.now)
	admin := s.person(s.b, identity.Admin)
	s.do("", "POST", "/api/v1/settings/sso/providers", `{"slug":"river","name":"River","issuer":"`+at.URL+`","clientId":"kyra","clientSecret":"a secret of the client","createUsers":true,"defaultRole":"Viewer"}`, admin).want(201)
	cookie, body := s.visit("river")
	me := cookieOf(s.do("", "POST", "/api/v1/session/sso", body, cookie).want(200))
	demo, err := s.cfg.Tenants.CreateDemo(t.Context(), "test", s.b)
	if err != nil {
		t.Fatal(err)
	}
	others, err := s.cfg.Tenants.CreateDemo(t.Context(), "test", s.a)
	if err != nil {
		t.Fatal(err)
	}
	s.record(s.now(), bruteForce(demo, "198.51.100.4"), bruteForce(s.b, "198.51.100.5"), bruteForce(s.b, "198.51.100.6"))
	s.do("", "GET", "/api/v1/session", "", me).want(200).is("tenants.0.name", "B").is("tenants.1.id", demo.ID).is("tenants.1.role", "Viewer").is("tenants.1.demoOf", s.b.ID)
	if n := len(s.do("", "GET", "/api/v1/session", "", me).at("tenants").([]any)); n != 2 { //nolint:forcetypeassert // panics where it is not
		t.Errorf("%d places", n)
	}
	look := func(id string) *answerTo {
		return s.do("", "PUT", "/api/v1/session/tenant", `{"tenantId":"`+id+`"}`, me)
	}
	look(others.ID).want(404)
	look(s.a.ID).want(404)
	look(demo.ID).want(200).is("tenant.demo", true).is("role", "Viewer").is("tenants.0.id", s.b.ID)
	id := s.do("", "GET", "/api/v1/alerts", "", me).want(200).is("totalElements", 1).text("content.0.id")
	s.do("", "PATCH", "/api/v1/alerts/"+id, `{"status":"closed"}`, me).want(403)
	s.do("", "GET", "/api/v1/session/sessions", "", me).want(200).is("sessions.0.method", "sso")
	// What they do with their account stands in the log of the tenant that stays.
	s.do("", "PATCH", "/api/v1/session/user", `{"theme":"dark"}`, me).want(200)
	s.do("", "GET", "/api/v1/audit-logs?action=user.profile", "", admin).want(200).is("totalElements", 1)
	look(s.b.ID).want(200).is("tenant.demo", false)
	s.do("", "GET", "/api/v1/alerts", "", me).want(200).is("totalElements", 2)
	look(demo.ID).want(200)
	if err := s.cfg.Tenants.RemoveDemo(t.Context(), "test", &tenant.Demo{Number: demo.Number, Of: s.b.Number}); err != nil {
		t.Fatal(err)
	}
	s.do("", "GET", "/api/v1/session", "", me).want(200).is("tenant.name", "B")
}

func TestCookiesOfSingleSignOnOverTLS(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) { c.Secure = true })
	at := ssotest.New(t, s.now)
	s.do(s.rw, "POST", "/api/v1/settings/sso/providers", `{"slug":"acme","name":"Acme","issuer":"`+at.URL+`","clientId":"kyra","clientSecret":"a secret of the client","createUsers":true,"defaultRole":"Viewer"}`).want(201).is("listed", true)
	cookie, body := s.visit("acme")
	if !strings.HasPrefix(cookie, "Cookie: __Host-kyra-sso=") {
		t.Errorf("%s", cookie)
	}
	s.do("", "POST", "/api/v1/session/sso", body, strings.Replace(cookie, "__Host-", "", 1)).want(401).is("error", sso.Lost)
	in := s.do("", "POST", "/api/v1/session/sso", body, cookie).want(200)
	set := in.header.Values("Set-Cookie")
	if len(set) != 2 || !strings.HasPrefix(set[0], "__Host-kyra=") || !strings.Contains(set[0], "; Secure") || !strings.HasPrefix(set[1], "__Host-kyra-sso=;") || !strings.Contains(set[1], "Max-Age=0") {
		t.Errorf("%q", set)
	}
}

func TestDirectorySettings(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) { c.URL = func() string { return "https://kyra.example.com" } })
	s.do(s.rw, "GET", "/api/v1/settings/scim", "").want(200).is("hasToken", false).is("defaultRole", "Viewer").is("roles", []any{}).is("url", "https://kyra.example.com/scim/v2")
	made := s.do(s.rw, "POST", "/api/v1/settings/scim/token", "").want(201)
	if n, err := s.cfg.Accounts.ByDirectoryToken(t.Context(), made.text("token")); err != nil || n != s.a.Number {
		t.Errorf("%d, %v", n, err)
	}
	s.do(made.text("token"), "GET", "/api/v1/alerts", "").want(401) // it opens SCIM and nothing else
	s.do(s.rw, "PUT", "/api/v1/settings/scim", `{"defaultRole":"","roles":[{"value":"soc","role":"Analyst"}]}`).want(200).is("hasToken", true).is("defaultRole", "").is("roles.0.value", "soc")
	s.do(s.rw, "PUT", "/api/v1/settings/scim", `{"defaultRole":"King","roles":[]}`).want(400)
	s.do(s.foreign, "GET", "/api/v1/settings/scim", "").want(200).is("hasToken", false)
	s.do(s.rw, "DELETE", "/api/v1/settings/scim/token", "").want(204)
	if _, err := s.cfg.Accounts.ByDirectoryToken(t.Context(), made.text("token")); err == nil {
		t.Error("an ended token works")
	}
}

func TestSignInPolicy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.do(s.rw, "GET", "/api/v1/settings/sign-in", "").want(200).is("passwordHistory", 4).is("passwordKinds", false).is("lockAttempts", 5).is("lockMinutes", 0)
	s.do(s.rw, "PUT", "/api/v1/settings/sign-in", `{"secondFactorRequired":false,"idleMinutes":15,"longestHours":12,"passwordKinds":true,"lockMinutes":30}`).want(200).
		is("idleMinutes", 15).is("passwordKinds", true).is("lockMinutes", 30).is("passwordHistory", 4)
	s.do(s.rw, "PUT", "/api/v1/settings/sign-in", `{"secondFactorRequired":false,"idleMinutes":15,"longestHours":12}`).want(200).is("lockMinutes", 30)
	s.do(s.rw, "PUT", "/api/v1/settings/sign-in", `{"secondFactorRequired":false,"idleMinutes":15,"longestHours":12,"lockMinutes":90}`).want(400)
	me := s.person(s.a, identity.Viewer)
	s.do("", "PUT", "/api/v1/session/password", `{"currentPassword":"`+password+`","password":"four words without any"}`, me).problem(400, "Invalid password value", "Allowed: with letters and digits")
	s.do("", "PUT", "/api/v1/session/password", `{"currentPassword":"`+password+`","password":"four words and 1 digit"}`, me).want(204)
	s.do("", "PUT", "/api/v1/session/password", `{"currentPassword":"four words and 1 digit","password":"four words and 1 digit"}`, me).problem(400, "Invalid password value", "This is one of your last 4 passwords: take another")
}
