package api

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func TestInviteAndManagePeople(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) { c.URL = func() string { return "https://kyra.example.com" } })
	admin := s.person(s.a, identity.Admin)
	made := s.do("", "POST", "/api/v1/users", `{"email":"jun@example.com","name":"Jun","role":"analyst"}`, admin).want(201).is("status", "invited").is("role", "Analyst").is("createdBy", "user:admin@a.example")
	link := made.text("link")
	token, ok := strings.CutPrefix(link, "https://kyra.example.com/invitation#")
	if !ok {
		t.Fatalf("link is %q", link)
	}
	s.do("", "POST", "/api/v1/users", `{"email":"jun@example.com","name":"Jun","role":"Analyst"}`, admin).want(409)
	s.do("", "POST", "/api/v1/users", `{"email":"no address","name":"Jun","role":"Analyst"}`, admin).problem(400, "Invalid email value", "")
	s.do("", "POST", "/api/v1/session/link", `{"token":"`+token+`"}`).want(200).is("email", "jun@example.com").is("known", false).is("tenant", "A")
	s.do("", "POST", "/api/v1/session/link", `{"token":"x"}`).problem(400, "Invalid token value", "The link is used up, wrong or too old: ask for another one")
	s.do("", "POST", "/api/v1/session/link/follow", `{"token":"`+token+`","password":"`+password+`","name":"Jun Park"}`).want(200)
	jun := s.signIn("jun@example.com")

	where := made.header.Get("Location")
	got := s.do("", "GET", where, "", admin).want(200).is("status", "active").is("sessions", 1)
	if strings.Contains(got.body, "link") || strings.Contains(got.body, "argon") {
		t.Errorf("secrets in %s", got.body)
	}
	s.do(s.foreign, "GET", where, "").want(404)
	s.do("", "GET", "/api/v1/users", "", jun).problem(403, "Forbidden", "The role Analyst does not allow this")
	s.do("", "GET", "/api/v1/team", "", jun).want(200).is("members.1.name", "Jun Park")
	s.do("", "GET", "/api/v1/users?role=analyst,viewer&search=jun", "", admin).want(200).is("totalElements", 1)
	s.do("", "PATCH", where, `{"role":"Auditor"}`, admin).want(200).is("role", "Auditor")
	s.do("", "GET", "/api/v1/session", "", jun).want(401)
	jun = s.signIn("jun@example.com")
	s.do("", "GET", "/api/v1/audit-logs", "", jun).want(200)
	s.do("", "GET", "/api/v1/alerts", "", jun).want(403)
	s.do("", "GET", "/api/v1/export/audit-logs", "", jun).want(200)
	s.do("", "GET", "/api/v1/export/alerts", "", jun).want(403)
	s.do("", "POST", where+"/end-sessions", "", admin).want(204)
	s.do("", "GET", "/api/v1/session", "", jun).want(401)
	s.do("", "DELETE", where, "", admin).want(204)
	s.do("", "GET", where, "", admin).want(404)
	s.do("", "GET", "/api/v1/audit-logs?action=user", "", admin).want(200).is("content.0.actor", "user:admin@a.example").is("content.0.action", "user.delete")
}

func TestSecondFactorAtTheDoor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	me := s.person(s.a, identity.Admin)
	secret := s.do("", "POST", "/api/v1/session/second-factor", `{"password":"`+password+`"}`, me).want(200).text("secret")
	code := func() string {
		c, err := totp.GenerateCode(secret, s.now())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	recovery := s.do("", "POST", "/api/v1/session/second-factor/confirm", `{"code":"`+code()+`"}`, me).want(200).text("recoveryCodes.0")
	s.pass(time.Minute)
	plain := `{"email":"admin@a.example","password":"` + password + `"`
	s.do("", "POST", "/api/v1/session", plain+`}`).problem(401, "codeRequired", "Enter the code of your authenticator app, or a recovery code")
	s.do("", "POST", "/api/v1/session", plain+`,"code":"`+code()+`"}`).want(200)
	s.do("", "POST", "/api/v1/session", plain+`,"code":"`+code()+`"}`).problem(401, "Unauthorized", "")
	s.do("", "POST", "/api/v1/session", plain+`,"code":"`+recovery+`"}`).want(200)
	s.do("", "GET", "/api/v1/session/security", "", me).want(200).is("secondFactor", true).is("recoveryCodesLeft", 9)
	s.do("", "GET", "/api/v1/session/sessions", "", me).want(200).is("sessions.0.secondFactor", true)
	s.do("", "PATCH", "/api/v1/session/user", `{"language":"ko","theme":"dark"}`, me).want(200).is("language", "ko")
	s.do("", "PATCH", "/api/v1/session/user", `{"theme":"pink"}`, me).want(400)
	s.do("", "PUT", "/api/v1/settings/sign-in", `{"secondFactorRequired":true,"idleMinutes":60,"longestHours":12}`, me).want(200)
	s.person(s.a, identity.Viewer)
	viewer := s.signIn("viewer@a.example")
	s.do("", "GET", "/api/v1/session", "", viewer).want(200).is("secondFactorMissing", true).is("rights", []string{"own:read", "own:write"})
	s.do("", "GET", "/api/v1/alerts", "", viewer).problem(403, "Forbidden", "This tenant asks for a second factor: set one up first")
}

func TestLockedOutSaysHowLong(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for range 5 {
		s.do("", "POST", "/api/v1/session", `{"email":"nobody@a.example","password":"x"}`).want(401)
	}
	a := s.do("", "POST", "/api/v1/session", `{"email":"nobody@a.example","password":"x"}`).want(429)
	if a.header.Get("Retry-After") != "30" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
}

func TestSeveralTenants(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	admin := s.person(s.a, identity.Admin)
	s.record(s.now(), bruteForce(s.a, "198.51.100.1"), bruteForce(s.b, "198.51.100.2"))
	low := bruteForce(s.b, "198.51.100.3")
	low.Severity = "low"
	s.record(s.now(), low)

	s.do("", "GET", "/api/v1/provider/alerts", "", admin).want(200).is("totalElements", 1).is("content.0.tenant.name", "A")
	made := s.do("", "POST", "/api/v1/tenants", `{"name":"C","plan":"mdr"}`, admin).want(201).is("limits.requestsPerMinute", 300)
	s.do("", "GET", "/api/v1/tenants", "", admin).want(200).is("totalElements", 3).is("content.2.name", "C")
	s.do(s.rw, "GET", "/api/v1/tenants", "").want(403)
	s.do("", "PATCH", made.header.Get("Location"), `{"plan":"PRO"}`, admin).want(200).is("limits.eventsPerSecond", 2000)
	s.do("", "PUT", "/api/v1/session/tenant", `{"tenantId":"`+s.b.ID+`"}`, admin).want(404)

	analyst := s.person(s.b, identity.Analyst)
	s.do("", "GET", "/api/v1/tenants", "", analyst).want(403)
	s.do("", "PATCH", "/api/v1/tenant", `{"name":"B2"}`, analyst).want(403)
	if _, err := s.cfg.Accounts.Add(t.Context(), "test", s.b.Number, account.Draft{Email: "admin@a.example", Role: identity.Viewer}); err != nil {
		t.Fatal(err)
	}
	s.do("", "GET", "/api/v1/provider/alerts", "", admin).want(200).is("totalElements", 3).is("content.0.severity", "high").is("content.2.severity", "low").is("content.2.tenant.role", "Viewer")
	s.do("", "GET", "/api/v1/provider/alerts?severity=low&size=1", "", admin).want(200).is("totalElements", 1)

	// Demo data waits for nobody, and says whose people it is for.
	demo, err := s.cfg.Tenants.CreateDemo(t.Context(), "test", s.a)
	if err != nil {
		t.Fatal(err)
	}
	s.record(s.now(), bruteForce(demo, "198.51.100.4"))
	s.do("", "GET", "/api/v1/provider/alerts", "", admin).want(200).is("totalElements", 3)
	s.do("", "PUT", "/api/v1/session/tenant", `{"tenantId":"`+demo.ID+`"}`, admin).want(200).is("tenant.demo", true).is("tenant.demoOf", s.a.ID).is("role", "Admin")
	s.do("", "GET", "/api/v1/tenants", "", admin).want(403) // it runs no installation
	s.do("", "GET", "/api/v1/team", "", admin).want(200).is("members.0.email", "admin@a.example")
	s.do("", "POST", "/api/v1/users", `{"email":"x@example.com","name":"X","role":"Viewer"}`, admin).want(409)
	s.do("", "GET", "/api/v1/alerts", "", admin).want(200).is("totalElements", 1)
	s.do("", "PUT", "/api/v1/session/tenant", `{"tenantId":"`+s.a.ID+`"}`, admin).want(200).is("tenant.demo", false)
	s.do("", "PUT", "/api/v1/session/tenant", `{"tenantId":"`+s.b.ID+`"}`, admin).want(200).is("tenant.name", "B").is("role", "Viewer")
	s.do("", "GET", "/api/v1/alerts", "", admin).want(200).is("totalElements", 2)
	s.do("", "GET", "/api/v1/tenants", "", admin).want(403)
	s.do("", "POST", "/api/v1/users", `{"email":"x@example.com","name":"X","role":"Viewer"}`, admin).want(403)
	s.do("", "GET", "/api/v1/tenant", "", admin).want(200).is("name", "B").is("usage.people", 2)

	owner := s.signIn("admin@a.example")
	s.do("", "PATCH", "/api/v1/tenant", `{"retentionDays":30}`, owner).want(200).is("retentionDays", 30)
	s.do("", "PATCH", "/api/v1/tenant", `{"name":"c"}`, owner).want(409)
	s.do("", "GET", "/api/v1/tenant", "", owner).want(200).is("retentionDays", 30)
}

// The queue over tenants shows nothing of one that asks for a second factor to a session that
// has shown none.
func TestQueueAsksForTheSecondFactorOfEachTenant(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	admin := s.person(s.a, identity.Admin)
	s.record(s.now(), bruteForce(s.a, "198.51.100.1"), bruteForce(s.b, "198.51.100.2"))
	if _, err := s.cfg.Accounts.Add(t.Context(), "test", s.b.Number, account.Draft{Email: "admin@a.example", Role: identity.Viewer}); err != nil {
		t.Fatal(err)
	}
	s.do("", "GET", "/api/v1/provider/alerts", "", admin).want(200).is("totalElements", 2)
	policy, err := s.cfg.Accounts.PolicyOf(t.Context(), s.b.Number)
	if err != nil {
		t.Fatal(err)
	}
	policy.SecondFactor = true
	if err := s.cfg.Accounts.SetPolicy(t.Context(), s.b.Number, "test", policy); err != nil {
		t.Fatal(err)
	}
	s.do("", "GET", "/api/v1/provider/alerts", "", admin).want(200).is("totalElements", 1).is("content.0.tenant.name", "A")
	secret := s.do("", "POST", "/api/v1/session/second-factor", `{"password":"`+password+`"}`, admin).want(200).text("secret")
	code, err := totp.GenerateCode(secret, s.now())
	if err != nil {
		t.Fatal(err)
	}
	s.do("", "POST", "/api/v1/session/second-factor/confirm", `{"code":"`+code+`"}`, admin).want(200)
	s.do("", "GET", "/api/v1/provider/alerts", "", admin).want(200).is("totalElements", 2)
}

// Whom only the identity provider lets in makes no tenant: their password, which others may
// know, would open it.
func TestTenantOfWhomOnlyTheProviderLetsIn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	admin := s.person(s.a, identity.Admin)
	for _, query := range []string{`UPDATE account_session SET method = 'sso'`, `UPDATE account_member SET vouched = TRUE`} {
		if _, err := sqldb.Exec(t.Context(), s.db, query); err != nil {
			t.Fatal(err)
		}
	}
	s.do("", "POST", "/api/v1/tenants", `{"name":"C","plan":"MDR"}`, admin).want(409)
	s.do("", "GET", "/api/v1/tenants", "", admin).want(200).is("totalElements", 2)
	if _, err := sqldb.Exec(t.Context(), s.db, `UPDATE account_member SET vouched = FALSE`); err != nil {
		t.Fatal(err)
	}
	s.do("", "POST", "/api/v1/tenants", `{"name":"C","plan":"MDR"}`, admin).want(201)
}

// Whoever invites an address does not learn when its account signs in to other tenants.
func TestInvitationTellsNothingOfOtherTenants(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mallory := s.person(s.a, identity.Admin)
	s.person(s.b, identity.Analyst)
	made := s.do("", "POST", "/api/v1/users", `{"email":"analyst@b.example","name":"X","role":"Viewer"}`, mallory).want(201).is("lastSignInAt", nil)
	at := "/api/v1/users/" + made.text("id")
	s.do("", "GET", at, "", mallory).want(200).is("lastSignInAt", nil)
	s.do("", "PATCH", at, `{"status":"disabled"}`, mallory).want(200).is("lastSignInAt", nil)
}

// What a browser needs to be told stands in every answer.
func TestAnswersAreNotKeptOrGuessed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	me := s.person(s.a, identity.Viewer)
	for _, path := range []string{"/api/v1/session", "/api/v1/alerts", "/api/v1/users", "/api/v1/nothing", "/api/v1/docs"} {
		h := s.do("", "GET", path, "", me).header
		if h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Cache-Control"), "no-") || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") ||
			!strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, h)
		}
	}
}
