package sso

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
)

// algorithms are those that a signature may be of: none with a shared secret, and not
// "none" (RFC 8725 3.1).
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// discovered is what a provider says about itself.
type discovered struct {
	*oidc.Provider
	metadata
	at time.Time
}

type metadata struct {
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Info          string   `json:"userinfo_endpoint"`
	Keys          string   `json:"jwks_uri"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	PKCE          []string `json:"code_challenge_methods_supported"`
	Scopes        []string `json:"scopes_supported"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	SaysIssuer    bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
}

// anewEvery is how long metadata is kept. Keys are fetched anew whenever a signature is by
// one that is not known.
const anewEvery = time.Hour

// discover returns what the issuer says about itself; fresh asks it anew and keeps nothing,
// so that the next sign-in asks as well.
func (s *Service) discover(ctx context.Context, issuer string, fresh bool) (*discovered, error) {
	now := s.now()
	s.mu.Lock()
	d := s.known[issuer]
	s.mu.Unlock()
	if d != nil && !fresh && now.Sub(d.at) < anewEvery {
		return d, nil
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), issuer)
	if err != nil {
		return nil, err
	}
	d = &discovered{Provider: p, at: now}
	if err := p.Claims(&d.metadata); err != nil {
		return nil, err
	}
	for _, endpoint := range []string{d.Authorization, d.Token, d.Keys} {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !strings.HasPrefix(issuer, "http://")) {
			return nil, fmt.Errorf("the metadata names an endpoint that is not an https address: %.200q", endpoint)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fresh {
		delete(s.known, issuer)
		return d, nil
	}
	const most = 1000
	if len(s.known) >= most {
		clear(s.known)
	}
	s.known[issuer] = d
	return d, nil
}

// A Check is one thing that a test looked at.
type Check struct {
	Name    string // discovery, keys, pkce, scopes
	OK      bool
	Message string
}

// Tested is what a test of an issuer found.
type Tested struct {
	OK                   bool // people can be sent there
	Authorization, Token string
	Keys                 int
	Checks               []Check
}

// Test looks at what an issuer says about itself, and fetches its keys. It sends nobody
// there: whether client and secret are right shows the first sign-in.
func (s *Service) Test(ctx context.Context, issuer string, scopes []string) (*Tested, error) {
	issuer = strings.TrimSpace(issuer)
	if err := s.checkIssuer(issuer); err != nil {
		return nil, err
	}
	t := &Tested{}
	note := func(name string, ok bool, says string, args ...any) {
		t.Checks = append(t.Checks, Check{name, ok, fmt.Sprintf(says, args...)})
	}
	d, err := s.discover(ctx, issuer, true)
	if err != nil {
		note("discovery", false, "%s", why(err))
		return t, nil
	}
	t.Authorization, t.Token = d.Authorization, d.Token
	note("discovery", true, "%s/.well-known/openid-configuration answers for this issuer", strings.TrimSuffix(issuer, "/"))
	if t.Keys, err = s.keys(ctx, d.Keys); err != nil {
		note("keys", false, "%s", why(err))
	} else {
		note("keys", t.Keys > 0, "%d keys that signatures can be checked with", t.Keys)
	}
	t.OK = t.Keys > 0
	switch {
	case len(d.PKCE) == 0:
		note("pkce", true, "The metadata does not mention PKCE; KYRA uses it (S256) anyway")
	default:
		note("pkce", slices.Contains(d.PKCE, "S256"), "PKCE methods: %s", strings.Join(d.PKCE, ", "))
	}
	var missing []string
	for _, x := range scopes {
		if len(d.Scopes) > 0 && !slices.Contains(d.Scopes, x) {
			missing = append(missing, x)
		}
	}
	if len(missing) > 0 {
		note("scopes", false, "The metadata does not list %s: sign-in may be refused there", strings.Join(missing, ", "))
	}
	return t, nil
}

// answers refuses an issuer that nobody could be sent to.
func (s *Service) answers(ctx context.Context, issuer string) error {
	t, err := s.Test(ctx, issuer, nil)
	if err != nil {
		return err
	}
	for _, c := range t.Checks {
		if !c.OK && (c.Name == "discovery" || c.Name == "keys") {
			return fault.New(fault.Invalid, "The issuer cannot be used: %s", c.Message).In("issuer")
		}
	}
	return nil
}

// keys counts those that a signature can be checked with.
func (s *Service) keys(ctx context.Context, address string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }() // only read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answers %s", address, res.Status)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		return 0, fmt.Errorf("%s does not hold keys: %w", address, err)
	}
	n := 0
	for _, k := range set.Keys {
		if k.IsPublic() && k.Valid() && k.Use != "enc" {
			n++
		}
	}
	return n, nil
}

func why(err error) string {
	const most = 300
	text := outbound.Reason(err)
	if len(text) > most {
		text = text[:most]
	}
	return text
}
