package api

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func TestUnauthenticated(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, c := range []struct{ name, path, header string }{
		{"no key", "/api/v1/alerts", ""},
		{"no key for an unknown path", "/api/v1/nothing", ""},
		{"no scheme", "/api/v1/alerts", "Authorization: " + s.rw},
		{"another scheme", "/api/v1/alerts", "Authorization: Basic " + s.rw},
		{"an unknown key", "/api/v1/alerts", "Authorization: Bearer kyra_0000000000000000000000000000000000000000"},
		{"a word", "/api/v1/alerts", "Authorization: Bearer YOUR_API_KEY"},
		{"an empty key", "/api/v1/alerts", "Authorization: Bearer "},
		{"missing feature", "/api/v1/compliance/frameworks", ""},
	} {
		headers := []string{}
		if c.header != "" {
			headers = append(headers, c.header)
		}
		a := s.do("", http.MethodGet, c.path, "", headers...)
		a.problem(401, "Unauthorized", "Missing or invalid API key")
		if got := a.header.Get("WWW-Authenticate"); got != "Bearer" {
			t.Errorf("%s: WWW-Authenticate is %q", c.name, got)
		}
	}
	s.do("", http.MethodGet, "/api/v1/alerts", "", "Authorization: bearer "+s.ro).want(200)
}

func TestRevokedExpiredAndForeignAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	made := s.post("/api/v1/api-keys", `{"name":"short","scope":"READ-ONLY","expiresAt":"2026-04-22T13:00:00Z"}`).want(201)
	short := made.text("key")
	s.do(short, "GET", "/api/v1/alerts", "").want(200)
	s.pass(time.Hour)
	s.do(short, "GET", "/api/v1/alerts", "").problem(401, "Unauthorized", "")

	made = s.post("/api/v1/api-keys", `{"name":"gone","scope":"read-only"}`).want(201)
	gone := made.text("key")
	s.do(gone, "GET", "/api/v1/alerts", "").want(200)
	s.do(s.rw, "DELETE", made.header.Get("Location"), "").want(204)
	s.do(gone, "GET", "/api/v1/alerts", "").problem(401, "Unauthorized", "Missing or invalid API key")
	s.get(made.header.Get("Location")).want(200).is("status", "revoked")

	made = s.post("/api/v1/api-keys", `{"name":"office","scope":"read-only","allowedCidrs":["198.51.100.0/24"]}`).want(201)
	office := made.text("key")
	s.do(office, "GET", "/api/v1/alerts", "").problem(401, "Unauthorized", "")
	s.remote = "198.51.100.7:99"
	s.do(office, "GET", "/api/v1/alerts", "").want(200)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/api/v1/siem/search", `{"query":"*"}`, 200},
		{"POST", "/api/v1/siem/search/fields", `{}`, 200},
		{"GET", "/api/v1/alerts", "", 200},
		{"PATCH", "/api/v1/alerts/" + someID, `{"status":"RESOLVED"}`, 403},
		{"POST", "/api/v1/alerts/bulk", `{"ids":["x"],"status":"RESOLVED"}`, 403},
		{"POST", "/api/v1/alerts/" + someID + "/escalate", ``, 403},
		{"POST", "/api/v1/api-keys", `{"name":"x","scope":"read-write"}`, 403},
		{"DELETE", "/api/v1/api-keys/" + someID, ``, 403},
		{"POST", "/api/v1/webhooks", `{}`, 403},
		{"POST", "/api/v1/ingest", `x`, 403},
	} {
		a := s.do(s.ro, c.method, c.path, c.body)
		if c.status == 403 {
			a.problem(403, "Forbidden", "API key lacks required permissions")
		} else {
			a.want(c.status)
		}
	}
	if len(s.ingested) > 0 {
		t.Error("a read-only key reached the door for ingest")
	}
}

// someID is well formed and nobody's.
const someID = "0192f0c0-1111-7222-8333-444444444444"

func TestRouting(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/api/v1/nothing", 404, ""},
		{"GET", "/api/v1/", 404, ""},
		{"GET", "/api/v1/alerts/", 404, ""},
		{"GET", "/api/v1//alerts", 404, ""},
		{"GET", "/api/v1/x/../alerts", 404, ""},
		{"GET", "/api/v1/alerts/a/b/c", 404, ""},
		{"PUT", "/api/v1/alerts", 405, "GET, HEAD"},
		{"DELETE", "/api/v1/alerts/stats", 405, "GET, HEAD, PATCH"},
		{"GET", "/api/v1/siem/search", 405, "POST"},
		{"OPTIONS", "/api/v1/collectors", 405, "GET, HEAD"},
		{"GET", "/api/v1/ingest", 405, "POST"},
	} {
		a := s.do(s.rw, c.method, c.path, "")
		if c.status == 404 {
			a.problem(404, "Not found", "Resource not found")
		} else {
			a.problem(405, "Method not allowed", "Allowed: "+c.allow)
			if got := a.header.Get("Allow"); got != c.allow {
				t.Errorf("%s %s: Allow is %q, want %q", c.method, c.path, got, c.allow)
			}
		}
	}
	s.do(s.ro, "HEAD", "/api/v1/alerts", "").want(200)
	// Outside of the API there is nothing that a key would open.
	for _, path := range []string{"/", "/favicon.ico", "/api/v2/alerts", "/api/v1"} {
		s.do("", "GET", path, "").problem(404, "Not found", "Resource not found")
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.pass(10 * time.Second)
	for plan, limit := range map[tenant.Plan]int{tenant.FREE: 60, tenant.MDR: 300, tenant.PRO: 1000} {
		customer := s.tenant(string(plan), plan)
		one, two := s.key(customer, identity.ReadWrite), s.key(customer, identity.ReadOnly)
		for i := range limit {
			token := one
			if i%2 == 1 {
				token = two // the limit is the tenant's, whichever key
			}
			path := "/api/v1/collectors"
			if i == 3 {
				path = "/api/v1/nothing"
			}
			a := s.do(token, "GET", path, "")
			if want := strconv.Itoa(limit - 1 - i); a.exact(headerLimit) != strconv.Itoa(limit) || a.exact(headerRemaining) != want {
				t.Fatalf("%s, request %d: limit %s, remaining %s", plan, i+1, a.exact(headerLimit), a.exact(headerRemaining))
			}
		}
		a := s.do(one, "GET", "/api/v1/alerts", "")
		a.problem(429, "Too many requests", "Rate limit exceeded")
		if got := a.header.Get("Retry-After"); got != "50" {
			t.Errorf("%s: Retry-After is %q, want 50", plan, got)
		}
		if got, want := a.exact(headerReset), strconv.FormatInt(noon.Unix()+60, 10); got != want || a.exact(headerRemaining) != "0" {
			t.Errorf("%s: reset %s, want %s; remaining %s", plan, got, want, a.exact(headerRemaining))
		}
		s.do(one, "POST", "/api/v1/ingest", "line", "Content-Type: text/plain").want(200)
	}
	s.pass(50 * time.Second)
	s.do(s.rw, "GET", "/api/v1/collectors", "").want(200)
	if got := s.get("/api/v1/collectors").exact(headerLimit); got != "2147483647" {
		t.Errorf("a custom plan without limit shows %s", got)
	}
}

func TestIngestIsNotCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	free := s.key(s.tenant("Free", tenant.FREE), identity.ReadWrite)
	for range 70 {
		a := s.do(free, "POST", "/api/v1/ingest?source=sshd", "line").want(200)
		if a.exact(headerRemaining) != "60" {
			t.Fatalf("remaining is %s", a.exact(headerRemaining))
		}
	}
	if len(s.ingested) != 70 || s.ingested[0] != "Free read-write" {
		t.Errorf("ingest saw %d callers, the first %v", len(s.ingested), s.ingested[:1])
	}
}

func TestAnonymousLimitIsByAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) { c.AnonymousPerMinute = 5 })
	for i := range 5 {
		path, status := "/api/v1/alerts", 401
		if i%2 == 0 {
			path, status = "/api/v1/openapi.json", 200
		}
		s.do("", "GET", path, "").want(status)
	}
	for _, path := range []string{"/api/v1/alerts", "/api/v1/openapi.json"} {
		a := s.do("", "GET", path, "")
		a.problem(429, "Too many requests", "Rate limit exceeded")
		if a.header.Get("Retry-After") != "60" || a.exact(headerLimit) != "5" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
	s.do(s.ro, "GET", "/api/v1/alerts", "").want(200) // a good key is not hurt by its neighbours
	s.remote = "192.0.2.2:1"
	s.do("", "GET", "/api/v1/alerts", "").want(401)
}

func TestHeadersOnTheWire(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	srv := httptest.NewServer(s.h)
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET /api/v1/collectors HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", s.ro); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for sc := bufio.NewScanner(conn); sc.Scan(); {
		lines = append(lines, sc.Text())
	}
	answer := strings.Join(lines, "\n")
	for _, want := range []string{"HTTP/1.1 200 OK", "X-RateLimit-Limit: ", "X-RateLimit-Remaining: ", "X-RateLimit-Reset: ", "RateLimit-Policy: ", "RateLimit: "} {
		if !strings.Contains(answer, want) {
			t.Errorf("no %q in\n%s", want, answer)
		}
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) {
		c.Ingest = func(http.ResponseWriter, *http.Request, identity.Caller) { panic("secret detail") }
	})
	a := s.post("/api/v1/ingest", "x")
	a.problem(500, "Internal server error", "Server error — contact support")
	if strings.Contains(a.body, "secret") {
		t.Errorf("the panic's text reached the caller: %s", a.body)
	}
}

func TestTornAnswerEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) {
		c.Ingest = func(w http.ResponseWriter, _ *http.Request, _ identity.Caller) {
			w.WriteHeader(200)
			panic("late")
		}
	})
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want http.ErrAbortHandler", err)
		}
	}()
	s.post("/api/v1/ingest", "x")
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if got := s.do(s.ro, "GET", "/api/v1/alerts", "", "X-Request-Id: abc-1.2_3").header["X-Request-Id"][0]; got != "abc-1.2_3" {
		t.Errorf("the caller's id became %q", got)
	}
	for _, bad := range []string{"a b", "a\"b", strings.Repeat("x", 65), "é"} {
		got := s.do(s.ro, "GET", "/api/v1/alerts", "", "X-Request-Id: "+bad).header["X-Request-Id"][0]
		if got == bad || len(got) != 36 {
			t.Errorf("the id %q became %q", bad, got)
		}
	}
}

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ids := s.record(noon, bruteForce(s.a, "10.0.1.55"), bruteForce(s.a, "10.0.1.56"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 6 {
				switch (i + j) % 6 {
				case 0:
					s.get("/api/v1/alerts?severity=high").want(200)
				case 1:
					s.do(s.rw, "PATCH", "/api/v1/alerts/"+ids[0], fmt.Sprintf(`{"note":"n%d.%d"}`, i, j)).want(200)
				case 2:
					s.do(s.ro, "POST", "/api/v1/siem/search", `{"query":"*"}`).want(200)
				case 3:
					s.get("/api/v1/alerts/stats").want(200)
				case 4:
					made := s.post("/api/v1/api-keys", `{"name":"k","scope":"read-only"}`).want(201)
					s.do(s.rw, "DELETE", made.header.Get("Location"), "").want(204)
				case 5:
					s.get("/api/v1/alerts/" + ids[1]).want(200)
				}
			}
		})
	}
	wg.Wait()
}
