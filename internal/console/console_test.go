package console

import (
	"compress/gzip"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func handler(t *testing.T) http.Handler {
	t.Helper()
	h, err := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const browser = "text/html,application/xhtml+xml,*/*;q=0.8"

func TestWhoGetsThePage(t *testing.T) {
	h := handler(t)
	for _, c := range []struct {
		name, method, path string
		headers            []string
		page               bool
	}{
		{"the root", "GET", "/", []string{"Accept", browser}, true},
		{"a deep link", "GET", "/alerts/9a1e4e7c-3b7b-4a29-8a3e-0d3fb7f0a001", []string{"Accept", browser}, true},
		{"with a query", "GET", "/search?q=user:root", []string{"Accept", browser}, true},
		{"only its head", "HEAD", "/incidents", []string{"Accept", browser}, true},
		{"curl", "GET", "/", []string{"Accept", "*/*"}, false},
		{"a shipper that asks for the product", "GET", "/", []string{"Accept", "application/json", "Authorization", "ApiKey x"}, false},
		{"a key with any accept", "GET", "/", []string{"Accept", browser, "Authorization", "Bearer x"}, false},
		{"the API", "GET", "/api/v1/alerts", []string{"Accept", browser}, false},
		{"the API's documentation", "GET", "/api/v1/docs", []string{"Accept", browser}, false},
		{"a door", "GET", "/ingest/elastic/", []string{"Accept", browser}, false},
		{"what only begins like one", "GET", "/apiary", []string{"Accept", browser}, true},
		{"a form", "POST", "/alerts", []string{"Accept", browser}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := get(t, h, c.method, c.path, c.headers...)
			if page := r.Code == http.StatusOK && r.Header().Get("Content-Type") == "text/html; charset=utf-8"; page != c.page {
				t.Errorf("%s %s: status %d, type %q", c.method, c.path, r.Code, r.Header().Get("Content-Type"))
			}
		})
	}
}

func TestSecurityHeaders(t *testing.T) {
	h := handler(t)
	page := get(t, h, "GET", "/", "Accept", browser)
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control": "no-cache", "Strict-Transport-Security": "",
	} {
		if got := page.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := page.Header().Get("Content-Security-Policy")
	for _, must := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, must) {
			t.Errorf("policy lacks %s: %s", must, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
		t.Errorf("policy allows too much: %s", policy)
	}

	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Header.Set("Accept", browser)
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security over TLS")
	}
}

// The page must hold to its own policy: nothing inline, nothing from elsewhere.
func TestPageKeepsThePolicy(t *testing.T) {
	page := get(t, handler(t), "GET", "/", "Accept", browser).Body.String()
	if m := regexp.MustCompile(`<script[^>]*>[^<]|<style|\son[a-z]+=|style=`).FindString(page); m != "" {
		t.Errorf("something inline: %s", m)
	}
	if m := regexp.MustCompile(`(?:src|href)="(?:https?:)?//[^"]*"`).FindString(page); m != "" {
		t.Errorf("something from another host: %s", m)
	}
}

func TestCaching(t *testing.T) {
	h := handler(t)
	page := get(t, h, "GET", "/", "Accept", browser)
	tag := page.Header().Get("ETag")
	if again := get(t, h, "GET", "/", "Accept", browser, "If-None-Match", `"other", `+tag); again.Code != http.StatusNotModified {
		t.Errorf("same ETag: status %d", again.Code)
	}
	if other := get(t, h, "GET", "/", "Accept", browser, "If-None-Match", `"other"`); other.Code != http.StatusOK {
		t.Errorf("other ETag: status %d", other.Code)
	}
	script := regexp.MustCompile(`src="(/assets/[^"]+\.js)"`).FindStringSubmatch(page.Body.String())
	if script == nil {
		t.Fatal("the page names no script")
	}
	asset := get(t, h, "GET", script[1], "Accept-Encoding", "br, gzip")
	if got := asset.Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("Cache-Control of a hashed file: %q", got)
	}
	if asset.Header().Get("Content-Encoding") != "gzip" || asset.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("not packed: %v", asset.Header())
	}
	z, err := gzip.NewReader(asset.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	plain := get(t, h, "GET", script[1], "Accept-Encoding", "gzip;q=0")
	if plain.Header().Get("Content-Encoding") != "" || plain.Body.String() != string(unpacked) {
		t.Error("packed and plain differ, or gzip;q=0 was packed")
	}
	if kind := plain.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/javascript") {
		t.Errorf("Content-Type: %q", kind)
	}
	if gone := get(t, h, "GET", "/assets/index-0.js", "Accept", browser); gone.Code != http.StatusNotFound {
		t.Errorf("a file of another version: status %d", gone.Code)
	}
}
