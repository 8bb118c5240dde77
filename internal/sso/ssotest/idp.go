// Package ssotest is an OpenID Connect server for tests: discovery, keys, authorization
// codes with PKCE, tokens signed with RS256, user info.
package ssotest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// An IDP is an identity provider. Whoever comes is signed in as what Claims says.
type IDP struct {
	*httptest.Server
	t testing.TB

	Mu      sync.Mutex // of all below, while somebody may be there
	Client  string
	Secret  string // "" for a public client
	KID     string // of the key that it signs with
	Claims  map[string]any
	Info    map[string]any              // of the user info endpoint; nil: the subject alone
	Change  func(claims map[string]any) // of a token, last
	Sign    func(payload []byte) string // instead of the key
	Codes   map[string]Asked            // that were not redeemed yet
	KeysGot int                         // how often the keys were fetched
	Extra   map[string]any              // of the metadata

	now func() time.Time
	key *rsa.PrivateKey
}

// Asked is what an authorization code was given for.
type Asked struct{ redirect, nonce, challenge string }

// New starts one that ends with the test.
func New(t testing.TB, now func() time.Time) *IDP {
	t.Helper()
	p := &IDP{t: t, now: now, Client: "kyra", Secret: "a secret of the client", Codes: map[string]Asked{}, Claims: map[string]any{"sub": "s-1", "email": "hana@example.com", "email_verified": true, "name": "Hana Kim"}}
	p.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.jwks)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /info", p.userInfo)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// Rotate makes another key; the one before is no longer published.
func (p *IDP) Rotate() {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	p.key, p.KID = key, rand.Text()
}

func (p *IDP) discovery(w http.ResponseWriter, _ *http.Request) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	m := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys", "userinfo_endpoint": p.URL + "/info",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"}, "response_types_supported": []string{"code"},
		"scopes_supported": []string{"openid", "profile", "email", "groups"},
	}
	maps.Copy(m, p.Extra)
	answer(w, m)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (p *IDP) jwks(w http.ResponseWriter, _ *http.Request) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.KeysGot++
	answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: p.KID, Algorithm: "RS256", Use: "sig"}}})
}

func (p *IDP) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != p.Client || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" || q.Get("state") == "" {
		http.Error(w, "invalid_request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.Mu.Lock()
	p.Codes[code] = Asked{q.Get("redirect_uri"), q.Get("nonce"), q.Get("code_challenge")}
	p.Mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}}
	if p.Extra["authorization_response_iss_parameter_supported"] == true {
		back.Set("iss", p.URL)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func refuse(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
}

func (p *IDP) token(w http.ResponseWriter, r *http.Request) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	_ = r.ParseForm()
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	unescaped, _ := url.QueryUnescape(secret) // RFC 6749 2.3.1
	if id != p.Client || basic && unescaped != p.Secret || !basic && secret != p.Secret {
		refuse(w, "invalid_client")
		return
	}
	code := r.PostForm.Get("code")
	a, ok := p.Codes[code]
	delete(p.Codes, code) // once
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || r.PostForm.Get("redirect_uri") != a.redirect || base64.RawURLEncoding.EncodeToString(sum[:]) != a.challenge {
		refuse(w, "invalid_grant")
		return
	}
	claims := map[string]any{"iss": p.URL, "aud": p.Client, "nonce": a.nonce, "iat": p.now().Unix(), "exp": p.now().Add(5 * time.Minute).Unix()}
	maps.Copy(claims, p.Claims)
	access := rand.Text()
	half := sha256.Sum256([]byte(access))
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(half[:16])
	if p.Change != nil {
		p.Change(claims)
	}
	payload, _ := json.Marshal(claims)
	answer(w, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": p.signed(payload)})
}

func (p *IDP) signed(payload []byte) string {
	if p.Sign != nil {
		return p.Sign(payload)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.key, KeyID: p.KID}}, nil)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		p.t.Error(err)
	}
	return out
}

func (p *IDP) userInfo(w http.ResponseWriter, r *http.Request) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "):
		w.WriteHeader(http.StatusUnauthorized)
	case p.Info == nil:
		answer(w, map[string]any{"sub": p.Claims["sub"]})
	default:
		answer(w, p.Info)
	}
}
