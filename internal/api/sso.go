package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sso"
)

type (
	// RoleMapping gives a role to those in a group.
	RoleMapping struct {
		Value string `json:"value" doc:"Of the claim, or the group's name; its case does not matter." example:"soc-analysts"`
		Role  string `json:"role" enum:"Admin,Analyst,Viewer,Auditor"`
	}
	// SSOProvider is an identity provider (OpenID Connect) that people of the tenant sign in at.
	SSOProvider struct {
		ID                     string        `json:"id" format:"uuid"`
		Slug                   string        `json:"slug" doc:"In its addresses."`
		Name                   string        `json:"name" doc:"As the sign-in page shows it."`
		Issuer                 string        `json:"issuer"`
		ClientID               string        `json:"clientId"`
		HasSecret              bool          `json:"hasSecret" doc:"The secret itself is never shown."`
		Scopes                 []string      `json:"scopes" nullable:"false"`
		RoleClaim              string        `json:"roleClaim" doc:"Whose values give roles anew with each sign-in; empty: roles are given here."`
		Roles                  []RoleMapping `json:"roles" nullable:"false"`
		DefaultRole            string        `json:"defaultRole" doc:"Of those whom the mapping says nothing of; empty: refused."`
		Domains                []string      `json:"domains" nullable:"false" doc:"Of mail addresses that may come in; empty: all."`
		LinkClaim              string        `json:"linkClaim" doc:"That equals the externalId which a directory (SCIM) knows people by."`
		CreateUsers            bool          `json:"createUsers" doc:"Whoever is new gets an account."`
		SecondFactorAtProvider bool          `json:"secondFactorAtProvider" doc:"Every sign-in there has shown a second factor, also where its token does not say so."`
		Listed                 bool          `json:"listed" doc:"Shown to everybody who opens the sign-in page, which only providers of the installation's own tenant can be; else to addresses of its domains."`
		Enabled                bool          `json:"enabled"`
		RedirectURI            string        `json:"redirectUri" doc:"To enter at the provider."`
		SignInURI              string        `json:"signInUri" doc:"Begins a sign-in there; for a tile in the provider's own portal."`
		CreatedAt              time.Time     `json:"createdAt"`
		CreatedBy              string        `json:"createdBy"`
		UpdatedAt              time.Time     `json:"updatedAt"`

		_ struct{} `additionalProperties:"true"`
	}
	ssoProviderOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     SSOProvider
	}
	ssoSettingsOut struct {
		Body struct {
			Only             bool          `json:"only" doc:"People come from a provider: passwords and passkeys open nothing here."`
			BreakGlassUserID string        `json:"breakGlassUserId" doc:"The Admin who may still use them; empty where everybody may."`
			Providers        []SSOProvider `json:"providers" nullable:"false"`
			RedirectBase     string        `json:"redirectBase" doc:"Redirect addresses are this and the slug."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	ssoOnlyIn struct {
		Body struct {
			Only             bool   `json:"only"`
			BreakGlassUserID string `json:"breakGlassUserId,omitempty" doc:"An active Admin with a password or passkey; needed with only."`
		}
	}
	ssoProviderBody struct {
		Slug                   *string        `json:"slug,omitempty" example:"acme-okta"`
		Name                   *string        `json:"name,omitempty" example:"Okta"`
		Issuer                 *string        `json:"issuer,omitempty" example:"https://acme.okta.com"`
		ClientID               *string        `json:"clientId,omitempty"`
		ClientSecret           *string        `json:"clientSecret,omitempty" doc:"Empty: a public client. Left out: as it is."`
		Scopes                 *[]string      `json:"scopes,omitempty" doc:"openid profile email when left out."`
		RoleClaim              *string        `json:"roleClaim,omitempty" example:"groups"`
		Roles                  *[]RoleMapping `json:"roles,omitempty"`
		DefaultRole            *string        `json:"defaultRole,omitempty" doc:"Admin, Analyst, Viewer, Auditor, or empty to refuse."`
		Domains                *[]string      `json:"domains,omitempty"`
		LinkClaim              *string        `json:"linkClaim,omitempty" doc:"sub when left out."`
		CreateUsers            *bool          `json:"createUsers,omitempty"`
		SecondFactorAtProvider *bool          `json:"secondFactorAtProvider,omitempty"`
		Listed                 *bool          `json:"listed,omitempty"`
		Enabled                *bool          `json:"enabled,omitempty"`
	}
	createSSOProviderIn struct{ Body ssoProviderBody }
	updateSSOProviderIn struct {
		ID   string `path:"id"`
		Body ssoProviderBody
	}
	testSSOIn struct {
		Body struct {
			Issuer string   `json:"issuer"`
			Scopes []string `json:"scopes,omitempty"`
		}
	}
	ssoCheck struct {
		Name    string `json:"name" enum:"discovery,keys,pkce,scopes"`
		OK      bool   `json:"ok"`
		Message string `json:"message"`
	}
	testSSOOut struct {
		Body struct {
			OK                    bool       `json:"ok" doc:"People can be sent there. Whether client and secret fit shows the first sign-in."`
			AuthorizationEndpoint string     `json:"authorizationEndpoint"`
			TokenEndpoint         string     `json:"tokenEndpoint"`
			Keys                  int        `json:"keys" doc:"That signatures can be checked with."`
			Checks                []ssoCheck `json:"checks" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}

	offeredIn struct {
		Body struct {
			Email string `json:"email,omitempty" doc:"Providers of its domain come first."`
		}
	}
	offeredProvider struct {
		Slug string `json:"slug"`
		Name string `json:"name"`

		_ struct{} `additionalProperties:"true"`
	}
	offeredOut struct {
		Body struct {
			Providers []offeredProvider `json:"providers" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	startSSOIn struct {
		Body struct {
			Slug string `json:"slug"`
			To   string `json:"to,omitempty" doc:"Where in the console to go on."`
		}
	}
	startSSOOut struct {
		Cookie []http.Cookie `header:"Set-Cookie"`
		Body   struct {
			URL string `json:"url" doc:"To send the browser to, within ten minutes."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	finishSSOIn struct {
		Agent  string `header:"User-Agent" hidden:"true"`
		Plain  string `cookie:"kyra-sso" hidden:"true"`
		Secure string `cookie:"__Host-kyra-sso" hidden:"true"`
		Body   struct {
			Slug             string `json:"slug" doc:"Of the address that the browser came back to."`
			State            string `json:"state"`
			Code             string `json:"code,omitempty"`
			Issuer           string `json:"iss,omitempty" doc:"RFC 9207."`
			Error            string `json:"error,omitempty"`
			ErrorDescription string `json:"errorDescription,omitempty"`
		}
	}
	finishSSOOut struct {
		Cookie []http.Cookie `header:"Set-Cookie"`
		Body   struct {
			To string `json:"to" doc:"Where in the console to go on."`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

// ssoTag is the tag of what Admins set about single sign-on.
const ssoTag = "Single sign-on"

func (a *api) singleSignOn() {
	handle(a, operation{id: "getSingleSignOn", method: http.MethodGet, path: "/settings/sso", tag: ssoTag, summary: "Get single sign-on and its identity providers"}, a.getSSO)
	handle(a, operation{
		id: "setSingleSignOn", method: http.MethodPut, path: "/settings/sso", tag: ssoTag, summary: "Set whether people have to come from an identity provider",
		doc: "One Admin keeps password and passkey, for the day when the provider is out of reach. Sessions that are no longer allowed end.",
	}, a.setSSO)
	handle(a, operation{
		id: "testSSOProvider", method: http.MethodPost, path: "/settings/sso/test", tag: ssoTag, summary: "Test an issuer", doc: "Reads its metadata and fetches its keys; nothing is stored.",
	}, a.testSSO)
	handle(a, operation{
		id: "createSSOProvider", method: http.MethodPost, path: "/settings/sso/providers", tag: ssoTag, summary: "Add an identity provider", status: http.StatusCreated,
		doc: "Its issuer must answer. Internal addresses have to be allowed by the operator, as for webhooks.",
	}, a.createSSOProvider)
	handle(a, operation{id: "getSSOProvider", method: http.MethodGet, path: "/settings/sso/providers/{id}", uuid: true, tag: ssoTag, summary: "Get an identity provider", single: true}, a.getSSOProvider)
	handle(a, operation{
		id: "updateSSOProvider", method: http.MethodPatch, path: "/settings/sso/providers/{id}", uuid: true, tag: ssoTag, summary: "Change an identity provider", single: true,
		doc: "Another issuer knows nobody yet. Switched off, the sessions that it vouches for end.",
	}, a.updateSSOProvider)
	handle(a, operation{
		id: "deleteSSOProvider", method: http.MethodDelete, path: "/settings/sso/providers/{id}", uuid: true, tag: ssoTag, summary: "Remove an identity provider", status: http.StatusNoContent,
		doc: "The sessions that it vouches for end.",
	}, a.deleteSSOProvider)
	handle(a, operation{
		id: "listSignInProviders", method: http.MethodPost, path: "/session/sso/providers", tag: sessionTag, summary: "List where one can sign in", public: true,
		doc: "A POST, so that the address stands in no log.",
	}, a.offeredSSO)
	handle(a, operation{
		id: "startSSO", method: http.MethodPost, path: "/session/sso/start", tag: sessionTag, summary: "Begin to sign in at an identity provider", public: true,
		doc: "Authorization code flow with PKCE (S256). The cookie that it sets belongs to the answer.",
	}, a.startSSO)
	handle(a, operation{
		id: "finishSSO", method: http.MethodPost, path: "/session/sso", tag: sessionTag, summary: "Sign in with an identity provider's answer", public: true,
		doc: "Refusals are 401 with an error such as ssoNoRole, ssoUnverified, ssoUnknown, ssoDisabled, ssoDomain, ssoDenied, ssoLost, ssoFailed.",
	}, a.finishSSO)
}

func mappingsOf(all []account.Mapping) []RoleMapping {
	out := make([]RoleMapping, len(all))
	for i, m := range all {
		out[i] = RoleMapping{m.Value, string(m.Role)}
	}
	return out
}

func toMappings(all []RoleMapping) []account.Mapping {
	out := make([]account.Mapping, len(all))
	for i, m := range all {
		out[i] = account.Mapping{Value: m.Value, Role: identity.Role(m.Role)}
	}
	return out
}

func (a *api) providerOf(p *sso.Provider) SSOProvider {
	return SSOProvider{
		ID: p.ID, Slug: p.Slug, Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, HasSecret: p.HasSecret, Scopes: orEmpty(p.Scopes), RoleClaim: p.RoleClaim, Roles: mappingsOf(p.Roles),
		DefaultRole: string(p.DefaultRole), Domains: orEmpty(p.Domains), LinkClaim: p.LinkClaim, CreateUsers: p.Creates, SecondFactorAtProvider: p.SecondFactor, Listed: p.Listed, Enabled: p.Enabled,
		RedirectURI: a.SSO.Redirect(p.Slug), SignInURI: a.URL() + "/signin?sso=" + p.Slug, CreatedAt: p.CreatedAt, CreatedBy: p.CreatedBy, UpdatedAt: p.ChangedAt,
	}
}

func (b *ssoProviderBody) patch(version int64) *sso.Patch {
	p := &sso.Patch{
		Slug: b.Slug, Name: b.Name, Issuer: b.Issuer, ClientID: b.ClientID, Secret: b.ClientSecret, Scopes: b.Scopes, Domains: b.Domains, RoleClaim: b.RoleClaim, LinkClaim: b.LinkClaim,
		Creates: b.CreateUsers, SecondFactor: b.SecondFactorAtProvider, Listed: b.Listed, Enabled: b.Enabled, Version: version,
	}
	if b.Roles != nil {
		p.Roles = new(toMappings(*b.Roles))
	}
	if b.DefaultRole != nil {
		p.DefaultRole = new(identity.Role(*b.DefaultRole))
	}
	return p
}

// withSSO refuses where this server has no single sign-on.
func (a *api) withSSO() error {
	if a.SSO == nil {
		return fault.New(fault.Unavailable, "this server has no single sign-on")
	}
	return nil
}

func (a *api) getSSO(ctx context.Context, c *call, _ *none) (*ssoSettingsOut, error) {
	if err := a.withSSO(); err != nil {
		return nil, err
	}
	policy, err := a.Accounts.PolicyOf(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	all, err := a.SSO.List(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	out := &ssoSettingsOut{}
	b := &out.Body
	b.Only, b.BreakGlassUserID, b.RedirectBase = policy.SSOOnly, policy.BreakGlass, a.SSO.Redirect("")
	b.Providers = make([]SSOProvider, len(all))
	for i := range all {
		b.Providers[i] = a.providerOf(&all[i])
	}
	return out, nil
}

func (a *api) setSSO(ctx context.Context, c *call, in *ssoOnlyIn) (*ssoSettingsOut, error) {
	if err := a.withSSO(); err != nil { // before anything is set
		return nil, err
	}
	if err := a.Accounts.SetSSOOnly(ctx, c.Tenant.Number, c.Actor, in.Body.Only, in.Body.BreakGlassUserID); err != nil {
		return nil, err
	}
	return a.getSSO(ctx, c, nil)
}

func (a *api) testSSO(ctx context.Context, _ *call, in *testSSOIn) (*testSSOOut, error) {
	if err := a.withSSO(); err != nil {
		return nil, err
	}
	t, err := a.SSO.Test(ctx, in.Body.Issuer, in.Body.Scopes)
	if err != nil {
		return nil, err
	}
	out := &testSSOOut{}
	b := &out.Body
	b.OK, b.AuthorizationEndpoint, b.TokenEndpoint, b.Keys = t.OK, t.Authorization, t.Token, t.Keys
	b.Checks = make([]ssoCheck, len(t.Checks))
	for i, x := range t.Checks {
		b.Checks[i] = ssoCheck(x)
	}
	return out, nil
}

func (a *api) createSSOProvider(ctx context.Context, c *call, in *createSSOProviderIn) (*ssoProviderOut, error) {
	if err := a.withSSO(); err != nil {
		return nil, err
	}
	p, err := a.SSO.Create(ctx, c.Tenant.Number, c.Actor, in.Body.patch(0))
	if err != nil {
		return nil, err
	}
	return &ssoProviderOut{Location: base + "/settings/sso/providers/" + p.ID, Body: a.providerOf(p)}, nil
}

func (a *api) getSSOProvider(ctx context.Context, c *call, in *byID) (*ssoProviderOut, error) {
	if err := a.withSSO(); err != nil {
		return nil, err
	}
	p, err := a.SSO.Get(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return &ssoProviderOut{Revision: p.Version, Body: a.providerOf(p)}, nil
}

func (a *api) updateSSOProvider(ctx context.Context, c *call, in *updateSSOProviderIn) (*ssoProviderOut, error) {
	if err := a.withSSO(); err != nil {
		return nil, err
	}
	p, err := a.SSO.Change(ctx, c.Tenant.Number, c.Actor, in.ID, in.Body.patch(c.version))
	if err != nil {
		return nil, c.condition(err)
	}
	return &ssoProviderOut{Revision: p.Version, Body: a.providerOf(p)}, nil
}

func (a *api) deleteSSOProvider(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	if err := a.withSSO(); err != nil {
		return nil, err
	}
	return nil, a.SSO.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
}

func (a *api) offeredSSO(ctx context.Context, _ *call, in *offeredIn) (*offeredOut, error) {
	out := &offeredOut{}
	out.Body.Providers = []offeredProvider{}
	if a.SSO == nil {
		return out, nil
	}
	all, err := a.SSO.Offered(ctx, in.Body.Email)
	if err != nil {
		return nil, err
	}
	for i := range all {
		out.Body.Providers = append(out.Body.Providers, offeredProvider{Slug: all[i].Slug, Name: all[i].Name})
	}
	return out, nil
}

// wayCookie is what the browser holds while somebody is at a provider. The console's own
// page brings the answer, so that no other site's request ever needs the cookie.
func (a *api) wayCookie(held string) http.Cookie {
	name := "kyra-sso"
	if a.Secure {
		name = "__Host-kyra-sso"
	}
	c := http.Cookie{Name: name, Value: held, Path: "/", HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteStrictMode, MaxAge: int(sso.FlowFor.Seconds())}
	if held == "" {
		c.MaxAge = -1
	}
	return c
}

func (a *api) startSSO(ctx context.Context, _ *call, in *startSSOIn) (*startSSOOut, error) {
	if err := a.withSSO(); err != nil {
		return nil, err
	}
	address, held, err := a.SSO.Start(ctx, in.Body.Slug, in.Body.To)
	if err != nil {
		return nil, err
	}
	out := &startSSOOut{Cookie: []http.Cookie{a.wayCookie(held)}}
	out.Body.URL = address
	return out, nil
}

func (a *api) finishSSO(ctx context.Context, c *call, in *finishSSOIn) (*finishSSOOut, error) {
	if err := a.withSSO(); err != nil {
		return nil, err
	}
	held := in.Plain
	if a.Secure {
		held = in.Secure
	}
	b := &in.Body
	token, to, err := a.SSO.Finish(ctx, held, &sso.Answer{Slug: b.Slug, Code: b.Code, State: b.State, Issuer: b.Issuer, Error: b.Error, Description: b.ErrorDescription}, account.From{Address: c.from, Agent: in.Agent})
	if err != nil {
		return nil, err
	}
	out := &finishSSOOut{Cookie: []http.Cookie{a.cookie(token), a.wayCookie("")}}
	out.Body.To = to
	return out, nil
}
