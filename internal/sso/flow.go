package sso

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// FlowFor is how long somebody may take at the provider.
const FlowFor = 10 * time.Minute

// Fields of refusals, for those who word them; account has more.
const (
	Lost    = "ssoLost"    // the answer does not belong to a sign-in that this browser has begun
	Denied  = "ssoDenied"  // the provider or the person said no
	Failed  = "ssoFailed"  // the provider's answer cannot be trusted, or it does not answer
	Domain  = "ssoDomain"  // the address is of no domain that may come in
	Missing = "ssoMissing" // there is no such provider
)

// way is what the browser holds, sealed, while somebody is at the provider.
type way struct {
	Provider string    `json:"p"` // id
	Slug     string    `json:"g"`
	Issuer   string    `json:"i"`
	Version  int64     `json:"r"` // of the provider
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // PKCE
	To       string    `json:"t"`
	Ends     time.Time `json:"e"`
}

const sealedFor = "sso on the way"

func refused(field, says string, args ...any) *fault.Error {
	return fault.New(fault.Unauthenticated, says, args...).In(field)
}

// localPath is an address within the console; anything else leads home.
var localPath = regexp.MustCompile(`^/(?:[^/\\\x00-\x20][^\\\x00-\x20]*)?$`)

// Start begins a sign-in at a provider: the address to send the browser to, and what it has
// to hold until it comes back.
func (s *Service) Start(ctx context.Context, slug, to string) (address, held string, err error) {
	p, err := sqldb.One(ctx, s.DB, scan, columns+` WHERE slug = $1 AND enabled`, slug)
	if errors.Is(err, fault.NotFound) {
		return "", "", refused(Missing, "there is no identity provider of that name")
	}
	if err != nil {
		return "", "", fault.Wrap("read an identity provider", err)
	}
	d, err := s.discover(ctx, p.Issuer, false)
	if err != nil {
		s.Log.WarnContext(ctx, "identity provider does not answer", "provider", p.ID, "err", err)
		return "", "", refused(Failed, "%s does not answer: %s", p.Name, why(err))
	}
	if !localPath.MatchString(to) {
		to = "/"
	}
	w := way{
		Provider: p.ID, Slug: p.Slug, Issuer: p.Issuer, Version: p.Version, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), To: to, Ends: s.now().Add(FlowFor),
	}
	text, err := json.Marshal(w)
	if err != nil {
		return "", "", err
	}
	address = s.oauth(&p, d, "").AuthCodeURL(w.State, oidc.Nonce(w.Nonce), oauth2.S256ChallengeOption(w.Verifier))
	return address, base64.RawURLEncoding.EncodeToString(s.Sealer.Seal(0, sealedFor, text)), nil
}

func (s *Service) oauth(p *Provider, d *discovered, secret string) *oauth2.Config {
	e := d.Endpoint()
	e.AuthStyle = oauth2.AuthStyleInHeader
	// RFC 6749 2.3.1 prefers the header, and every server takes it that does not say otherwise.
	if p.secret == nil || len(d.Methods) > 0 && !slices.Contains(d.Methods, "client_secret_basic") {
		e.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: secret, Endpoint: e, RedirectURL: s.Redirect(p.Slug), Scopes: p.Scopes}
}

// An Answer is what the provider sends a browser back with.
type Answer struct {
	Slug        string // of the address that it came back to
	Code, State string
	Issuer      string // RFC 9207, "" where it says none
	Error       string // instead of a code
	Description string
}

// Finish ends a sign-in: held is what the browser has held since Start. It returns the
// token of a session, and where in the console to go on.
func (s *Service) Finish(ctx context.Context, held string, a *Answer, from account.From) (token, to string, err error) {
	w, err := s.heldWay(held)
	if err != nil {
		return "", "", err
	}
	lost := refused(Lost, "this answer does not belong to a sign-in that was begun here: begin again")
	if subtle.ConstantTimeCompare([]byte(a.State), []byte(w.State)) != 1 || a.Slug != w.Slug {
		return "", "", lost
	}
	p, err := sqldb.One(ctx, s.DB, scan, columns+` WHERE id = $1 AND enabled`, w.Provider)
	if errors.Is(err, fault.NotFound) {
		return "", "", refused(Missing, "the identity provider has been removed or switched off")
	}
	if err != nil {
		return "", "", fault.Wrap("read an identity provider", err)
	}
	if p.Version != w.Version { // it may be another issuer by now
		return "", "", lost
	}
	refuse := func(subject string, f *fault.Error) error {
		return s.Accounts.RefuseSSO(ctx, p.Tenant, p.ID, subject, f)
	}
	d, err := s.discover(ctx, p.Issuer, false)
	if err != nil {
		return "", "", refuse("", refused(Failed, "%s does not answer: %s", p.Name, why(err)))
	}
	if a.Issuer != "" && a.Issuer != p.Issuer || a.Issuer == "" && d.SaysIssuer {
		return "", "", refuse("", refused(Failed, "the answer is of another identity provider than the one that was asked"))
	}
	if a.Error != "" || a.Code == "" {
		return "", "", refuse("", refused(Denied, "%s refused: %s", p.Name, plain(a.Error+" "+a.Description)))
	}
	claims, subject, err := s.exchange(ctx, &p, d, &w, a.Code)
	if err != nil {
		// What is wrong with a token is for the log: the page says that it is.
		s.Log.WarnContext(ctx, "sign-in at an identity provider refused", "provider", p.ID, "err", err)
		return "", "", refuse(subject, refused(Failed, "%s answered with something that cannot be trusted: %s", p.Name, reason(err)))
	}
	arrival, err := s.arrival(&p, claims, subject)
	if err != nil {
		f, _ := errors.AsType[*fault.Error](err)
		return "", "", refuse(subject, f)
	}
	token, err = s.Accounts.SignInBySSO(ctx, arrival, from)
	return token, w.To, err
}

func (s *Service) heldWay(held string) (w way, err error) {
	lost := refused(Lost, "this browser has begun no sign-in, or it took longer than %d minutes: begin again", int(FlowFor.Minutes()))
	sealed, err := base64.RawURLEncoding.DecodeString(held)
	if err != nil || held == "" {
		return w, lost
	}
	text, err := s.Sealer.Open(0, sealedFor, sealed)
	if err != nil || json.Unmarshal(text, &w) != nil || !s.now().Before(w.Ends) {
		return w, lost
	}
	return w, nil
}

// fail is a reason that may be shown.
type fail string

func (f fail) Error() string { return string(f) }

// reason is what of an error may be shown to somebody who is not known yet.
func reason(err error) string {
	if f, ok := errors.AsType[fail](err); ok {
		return string(f)
	}
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return "its token has expired: compare the clocks"
	}
	if r, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		if r.ErrorCode != "" {
			return "its token endpoint says " + plain(r.ErrorCode+" "+r.ErrorDescription)
		}
		return "its token endpoint answers " + r.Response.Status
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return outbound.Reason(err)
	}
	return "its token is not valid here (audience, issuer or signature)"
}

// plain is foreign text as one line that may be shown.
func plain(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "")))
	const most = 200
	if r := []rune(text); len(r) > most {
		return string(r[:most])
	}
	return text
}

// exchange turns a code into claims that the provider has signed.
func (s *Service) exchange(ctx context.Context, p *Provider, d *discovered, w *way, code string) (claims map[string]any, subject string, err error) {
	secret := ""
	if p.secret != nil {
		b, err := s.Sealer.Open(p.Tenant, purpose(p.ID), p.secret)
		if err != nil {
			return nil, "", err
		}
		secret = string(b)
	}
	ctx = oidc.ClientContext(ctx, s.client)
	got, err := s.oauth(p, d, secret).Exchange(ctx, code, oauth2.VerifierOption(w.Verifier))
	if err != nil {
		return nil, "", err
	}
	raw, ok := got.Extra("id_token").(string)
	if !ok {
		return nil, "", fail("there is no ID token in its answer")
	}
	algs := algorithms
	if len(d.Algorithms) > 0 {
		algs = slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool { return !slices.Contains(d.Algorithms, a) })
	}
	id, err := d.Verifier(&oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algs, Now: s.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, "", err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(w.Nonce)) != 1 {
		return nil, id.Subject, fail("its token was made for another sign-in (nonce)")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(got.AccessToken); err != nil {
			return nil, id.Subject, err
		}
	}
	claims = map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return nil, id.Subject, err
	}
	// OpenID Connect Core 3.1.3.7: a token for several is for us only where we asked.
	if azp, ok := claims["azp"].(string); len(id.Audience) > 1 && !ok || ok && azp != p.ClientID {
		return nil, id.Subject, fail("its token was issued to another application (azp)")
	}
	const maxSubject = 255 // OpenID Connect Core 2
	if id.Subject == "" || len(id.Subject) > maxSubject {
		return nil, "", fail("its token names nobody")
	}
	return claims, id.Subject, s.more(ctx, p, d, got, id.Subject, claims)
}

// more asks the provider for claims that the token does not have. What is in the token
// counts more.
func (s *Service) more(ctx context.Context, p *Provider, d *discovered, got *oauth2.Token, subject string, claims map[string]any) error {
	_, mail := claims["email"]
	if d.Info == "" || mail && (p.RoleClaim == "" || claimed(claims, p.RoleClaim) != nil) {
		return nil
	}
	info, err := d.UserInfo(ctx, oauth2.StaticTokenSource(got))
	if err != nil {
		return fmt.Errorf("%w: %w", fail("its user info cannot be read"), err)
	}
	if info.Subject != subject {
		return fail("its user info is of somebody else")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return err
	}
	_, ours := claims["email"]
	for k, v := range more {
		// Whether an address is verified is said of the address beside it.
		if _, has := claims[k]; !has && (!ours || k != "email_verified") {
			claims[k] = v
		}
	}
	return nil
}

// claimed returns a claim by its name, or by a path of names with dots.
func claimed(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	head, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, ok := claims[head].(map[string]any)
	if !ok {
		return nil
	}
	return claimed(inner, rest)
}

// texts returns the texts of a claim, which is one or a list.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, x := range v {
			if t, ok := x.(string); ok {
				all = append(all, t)
			}
		}
		return all
	}
	return nil
}

func text(claims map[string]any, name string) string {
	t, _ := claimed(claims, name).(string)
	return t
}

// truth tells whether a claim is true, which some write as a text or number.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true") || v == "1"
	case float64:
		return v == 1
	}
	return false
}

// arrival is who has come, in the words of accounts. Its errors are fault.Error.
func (s *Service) arrival(p *Provider, claims map[string]any, subject string) (*account.Arrival, error) {
	email := strings.ToLower(strings.TrimSpace(text(claims, "email")))
	if len(p.Domains) > 0 && !slices.Contains(p.Domains, domainOf(email)) {
		return nil, refused(Domain, "your address %s is of no domain that may sign in here", plain(email))
	}
	a := &account.Arrival{
		Tenant: p.Tenant, Provider: p.ID, ProviderName: p.Name, Issuer: p.Issuer, Subject: subject, Directory: text(claims, p.LinkClaim),
		Email: email, Name: text(claims, "name"), Creates: p.Creates, Role: p.DefaultRole, Governs: p.RoleClaim != "",
		// xms_edov is how Entra ID says that the domain's owner has verified the address.
		Verified: truth(claims["email_verified"]) || truth(claims["xms_edov"]),
		Strong:   p.SecondFactor || slices.Contains(texts(claims["amr"]), "mfa"), // RFC 8176
	}
	a.Language, _, _ = strings.Cut(text(claims, "locale"), "-")
	if p.RoleClaim != "" {
		values := texts(claimed(claims, p.RoleClaim))
		if elsewhere, ok := claims["_claim_names"].(map[string]any); ok && len(values) == 0 && elsewhere[p.RoleClaim] != nil {
			return nil, refused(account.SSONoRole, "you are in more groups than %s puts into a token: an Admin can map app roles instead", p.Name)
		}
		a.Role = account.RoleOf(p.Roles, values, p.DefaultRole)
	}
	return a, nil
}
