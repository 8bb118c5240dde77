package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

type (
	// SessionUser is the person who has signed in.
	SessionUser struct {
		ID       string `json:"id" format:"uuid"`
		Name     string `json:"name"`
		Email    string `json:"email"`
		Language string `json:"language" enum:"en,ko,ja"`
		TimeZone string `json:"timeZone" example:"Asia/Seoul"`
		Theme    string `json:"theme" enum:"auto,light,dark"`

		_ struct{} `additionalProperties:"true"`
	}
	// SessionTenant is a tenant that the person may look at.
	SessionTenant struct {
		ID   string `json:"id" format:"uuid"`
		Name string `json:"name"`
		Plan string `json:"plan" enum:"FREE,MDR,PRO,CUSTOM"`
		Role string `json:"role" enum:"Admin,Analyst,Viewer,Auditor" doc:"Of the person in it."`
		Demo bool   `json:"demo" doc:"It holds demo data only."`
		// Where the way back from a demo leads.
		DemoOf string `json:"demoOf,omitempty" format:"uuid" doc:"Of a demo tenant: whose people it is for."`

		_ struct{} `additionalProperties:"true"`
	}
	sessionBody struct {
		User    SessionUser     `json:"user"`
		Tenant  SessionTenant   `json:"tenant" doc:"The one that calls are about."`
		Tenants []SessionTenant `json:"tenants" nullable:"false" doc:"All that the person may switch to."`
		Role    string          `json:"role" enum:"Admin,Analyst,Viewer,Auditor"`
		Rights  []string        `json:"rights" nullable:"false" doc:"What the role allows in the tenant, as area:read and area:write." example:"[\"alerts:read\",\"alerts:write\"]"`

		SecondFactorMissing bool `json:"secondFactorMissing" doc:"The tenant asks for a second factor: until one is set up, that is all the session may do."`

		SessionID string    `json:"sessionId" format:"uuid"`
		EndsAt    time.Time `json:"endsAt" doc:"When the session ends, whatever happens; it ends earlier where it is not used."`

		_ struct{} `additionalProperties:"true"`
	}
	sessionOut struct {
		Cookie []http.Cookie `header:"Set-Cookie"`
		Body   sessionBody
	}
	endedOut struct {
		Cookie []http.Cookie `header:"Set-Cookie"`
	}
	signInIn struct {
		Agent string `header:"User-Agent" hidden:"true"`
		Body  struct {
			Email    string `json:"email" example:"hana@example.com"`
			Password string `json:"password"`
			Code     string `json:"code,omitempty" doc:"Of the authenticator app, or a recovery code; asked for by 401 with the error codeRequired or passkeyRequired. With ssoRequired sign in at the identity provider."`
		}
	}
	setUpIn struct {
		Agent string `header:"User-Agent" hidden:"true"`
		Body  struct {
			Token      string `json:"token" doc:"What stands behind # in the set-up link."`
			Name       string `json:"name" doc:"1 to 100 characters."`
			Email      string `json:"email"`
			Password   string `json:"password" doc:"12 to 256 characters."`
			TenantName string `json:"tenantName,omitempty" doc:"New name of the installation's own tenant."`
		}
	}
)

const sessionTag = "Session"

func (a *api) sessions() {
	handle(a, operation{
		id: "signIn", method: http.MethodPost, path: "/session", tag: sessionTag, summary: "Sign in", public: true,
		doc: "Begins a session and sets its cookie, which every other call takes instead of an API key. Wrong sign-ins are all answered alike.",
	}, a.signIn)
	handle(a, operation{
		id: "getSession", method: http.MethodGet, path: "/session", tag: sessionTag, summary: "Who am I", single: true,
	}, a.getSession)
	handle(a, operation{
		id: "signOut", method: http.MethodDelete, path: "/session", tag: sessionTag, summary: "Sign out", status: http.StatusNoContent,
	}, a.signOut)
	handle(a, operation{
		id: "setUp", method: http.MethodPost, path: "/setup", tag: sessionTag, summary: "Set up the installation", status: http.StatusCreated, public: true,
		doc: "Makes the first Admin, with the one-time link that the first start prints, and signs them in.",
	}, a.setUp)
}

// The names of the session's cookie. __Host- lets a browser keep it only from this very
// host, over TLS and for all paths.
const (
	cookiePlain  = "kyra"
	cookieSecure = "__Host-kyra"
)

func (a *api) cookieName() string {
	if a.Secure {
		return cookieSecure
	}
	return cookiePlain
}

// cookie is the one that begins a session, or ends it where token is "".
func (a *api) cookie(token string) http.Cookie {
	c := http.Cookie{Name: a.cookieName(), Value: token, Path: "/", HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteStrictMode}
	if token == "" {
		c.MaxAge = -1
	}
	return c
}

// sessionToken returns the token of the session's cookie, "" for none.
func (a *api) sessionToken(r *http.Request) string {
	c, err := r.Cookie(a.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

func (a *api) signIn(ctx context.Context, c *call, in *signInIn) (*sessionOut, error) {
	b := &in.Body
	token, err := a.Accounts.SignIn(ctx, account.Proof{Email: b.Email, Password: b.Password, Code: b.Code}, account.From{Address: c.from, Agent: in.Agent})
	if err != nil {
		return nil, err
	}
	return a.begun(ctx, token)
}

func (a *api) setUp(ctx context.Context, c *call, in *setUpIn) (*sessionOut, error) {
	b := &in.Body
	token, err := a.Accounts.SetUp(ctx, account.Founder{Token: b.Token, Name: b.Name, Email: b.Email, Password: b.Password, Tenant: b.TenantName}, account.From{Address: c.from, Agent: in.Agent})
	if err != nil {
		return nil, err
	}
	return a.begun(ctx, token)
}

// begun answers who has just signed in.
func (a *api) begun(ctx context.Context, token string) (*sessionOut, error) {
	s, err := a.Accounts.Authenticate(ctx, token)
	if err != nil {
		return nil, err
	}
	body, err := a.sessionOf(ctx, s)
	if err != nil {
		return nil, err
	}
	return &sessionOut{Cookie: []http.Cookie{a.cookie(token)}, Body: *body}, nil
}

func (a *api) getSession(ctx context.Context, c *call, _ *none) (*sessionOut, error) {
	body, err := a.sessionOf(ctx, c.signed)
	if err != nil {
		return nil, err
	}
	return &sessionOut{Body: *body}, nil
}

func (a *api) signOut(ctx context.Context, c *call, _ *none) (*endedOut, error) {
	if err := a.Accounts.SignOut(ctx, &c.Caller); err != nil {
		return nil, err
	}
	return &endedOut{Cookie: []http.Cookie{a.cookie("")}}, nil
}

func (a *api) sessionOf(ctx context.Context, s *account.Signed) (*sessionBody, error) {
	places, err := a.Accounts.Places(ctx, &s.Caller)
	if err != nil {
		return nil, err
	}
	demos, err := a.Tenants.Demos(ctx)
	if err != nil {
		return nil, err
	}
	b := &sessionBody{
		User:   sessionUserOf(&s.User),
		Tenant: sessionTenantOf(&s.Tenant, s.Role), Tenants: make([]SessionTenant, len(places)), Role: string(s.Role),
		SecondFactorMissing: s.Weak, SessionID: s.Session.ID, EndsAt: s.Session.EndsAt,
	}
	ids := make(map[uint32]string, len(places))
	for i := range places {
		ids[places[i].Tenant.Number] = places[i].Tenant.ID
	}
	mark := func(t *SessionTenant, number uint32) {
		if d, ok := demos[number]; ok {
			t.Demo, t.DemoOf = true, ids[d.Of]
		}
	}
	for i := range places {
		b.Tenants[i] = sessionTenantOf(&places[i].Tenant, places[i].Role)
		mark(&b.Tenants[i], places[i].Tenant.Number)
	}
	mark(&b.Tenant, s.Tenant.Number)
	for _, r := range s.Rights() {
		b.Rights = append(b.Rights, string(r))
	}
	return b, nil
}

func sessionUserOf(u *account.User) SessionUser {
	return SessionUser{ID: u.ID, Name: u.Name, Email: u.Email, Language: u.Language, TimeZone: u.TimeZone, Theme: u.Theme}
}

func sessionTenantOf(t *tenant.Tenant, role identity.Role) SessionTenant {
	return SessionTenant{ID: t.ID, Name: t.Name, Plan: string(t.Plan), Role: string(role)}
}
