package api

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestIdempotency(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServerOn(t, db)
		const key = "Idempotency-Key: 7e0f-1"
		body := `{"title":"Once","severity":"low"}`
		first := s.post("/api/v1/incidents", body, key).want(201)
		again := s.post("/api/v1/incidents", body, key).want(201)
		if first.body != again.body || first.header.Get("Location") != again.header.Get("Location") {
			t.Errorf("replayed %s at %q, want %s at %q", again.body, again.header.Get("Location"), first.body, first.header.Get("Location"))
		}
		if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
			t.Error("Idempotency-Replayed does not tell the two apart")
		}
		s.get("/api/v1/incidents").is("totalElements", 1)
		s.post("/api/v1/incidents", `{"title":"Twice","severity":"low"}`, key).problem(409, "Conflict", "This Idempotency-Key was used for another request")
		s.post("/api/v1/alerts/bulk", body, key).problem(409, "Conflict", "")

		// Another caller's key is another key, also within the tenant.
		other := s.key(s.a, identity.ReadWrite)
		s.do(other, "POST", "/api/v1/incidents", body, key).want(201)
		s.do(s.foreign, "POST", "/api/v1/incidents", body, key).want(201)
		s.get("/api/v1/incidents").is("totalElements", 2)

		// An error is an answer too.
		for range 2 {
			s.post("/api/v1/incidents", `{"title":"","severity":"low"}`, "Idempotency-Key: bad").problem(400, "Invalid title value", "")
		}
		s.post("/api/v1/incidents", body, "Idempotency-Key: bad").problem(409, "Conflict", "")

		s.pass(24*time.Hour + time.Second)
		s.post("/api/v1/incidents", body, key).want(201)
		s.get("/api/v1/incidents").is("totalElements", 3)

		for _, bad := range []string{"", strings.Repeat("k", 256), "ключ", "tab\tkey"} {
			s.post("/api/v1/incidents", body, "Idempotency-Key: "+bad).problem(400, "Invalid Idempotency-Key value", "")
		}
	})
}

// A replayed answer may hold a secret: who reads the database must not find it.
func TestIdempotencyKeepsNoSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	body := `{"name":"k","scope":"read-only"}`
	a := s.post("/api/v1/api-keys", body, "Idempotency-Key: k").want(201)
	s.post("/api/v1/api-keys", body, "Idempotency-Key: k").want(201).is("key", a.at("key"))
	kept, err := sqldb.All(t.Context(), s.db, sqldb.Value[[]byte], `SELECT answer FROM api_once`)
	if err != nil || len(kept) != 1 || len(kept[0]) < 100 {
		t.Fatalf("%d answers kept, %v", len(kept), err)
	}
	if strings.Contains(string(kept[0]), a.text("key")[5:15]) || strings.Contains(string(kept[0]), "status") {
		t.Error("the kept answer can be read")
	}
}

func TestIdempotencyUnderConcurrency(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServerOn(t, db)
		var wg sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for range 8 {
			wg.Go(func() {
				a := s.post("/api/v1/incidents", `{"title":"Once","severity":"low"}`, "Idempotency-Key: race")
				mu.Lock()
				defer mu.Unlock()
				codes[a.status]++
			})
		}
		wg.Wait()
		if codes[201] == 0 || codes[201]+codes[409] != 8 {
			t.Errorf("answers are %v, want 201 and, while the first was under way, 409", codes)
		}
		s.get("/api/v1/incidents").is("totalElements", 1)
	})
}

func TestIdempotencyAfterACrash(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.api()
	caller := identity.Caller{KeyID: "k"}
	for _, want := range []claim{first, underway} {
		if got, _, err := a.claim(t.Context(), caller.KeyID, "n", "r"); err != nil || got != want {
			t.Errorf("claim is %d, %v; want %d", got, err, want)
		}
	}
	if got, _, _ := a.claim(t.Context(), caller.KeyID, "n", "other"); got != differs {
		t.Errorf("another request claims %d", got)
	}
	s.pass(onceAbandoned)
	if got, _, err := a.claim(t.Context(), caller.KeyID, "n", "r"); err != nil || got != first {
		t.Errorf("after its process died: %d, %v; want the first again", got, err)
	}
}

func (s *server) api() *api { return s.h.(*api) }

func TestIdempotencyForgetsFailures(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.api()
	calls := 0
	run := func(status int) int {
		r := reqAs(s, "POST", "/x")
		w := newRecorded()
		a.once(w, r, nil, func(w http.ResponseWriter, _ *http.Request) { calls++; w.WriteHeader(status) })
		return w.status
	}
	if got := run(503); got != 503 || calls != 1 {
		t.Errorf("first: %d, %d calls", got, calls)
	}
	if got := run(201); got != 201 || calls != 2 {
		t.Errorf("after a failure of ours: %d, %d calls; want another try", got, calls)
	}
	if got := run(500); got != 201 || calls != 2 {
		t.Errorf("after success: %d, %d calls; want the replay", got, calls)
	}
	func() {
		defer func() { _ = recover() }()
		r := reqAs(s, "POST", "/y")
		a.once(newRecorded(), r, nil, func(http.ResponseWriter, *http.Request) { panic("x") })
	}()
	r := reqAs(s, "POST", "/y")
	w := newRecorded()
	a.once(w, r, nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	if w.status != 204 && w.status != 409 {
		t.Errorf("after a panic: %d", w.status)
	}
}

// reqAs is a request as route hands it on.
func reqAs(s *server, method, path string) *http.Request {
	r, err := http.NewRequestWithContext(s.t.Context(), method, path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.rw)
	r.Header.Set("Idempotency-Key", fmt.Sprintf("key of %s", path))
	out, ok := s.api().admit(newRecorded(), r, s.cfg.Log)
	if !ok {
		s.t.Fatal("not admitted")
	}
	return out
}

func TestConditionalGet(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id := s.record(noon, bruteForce(s.a, "10.0.1.55"))[0]
	event := s.event(s.a, noon, "source", "x").String()
	rule := s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").header.Get("Location")
	key := s.post("/api/v1/api-keys", `{"name":"k","scope":"read-only"}`).header.Get("Location")
	incident := "/api/v1/incidents/" + s.get("/api/v1/incidents").text("content.0.id")
	for _, path := range []string{"/api/v1/alerts/" + id, incident, rule, key, "/api/v1/siem/events/" + event} {
		a := s.get(path).want(200)
		tag := a.header.Get("ETag")
		if tag == "" || strings.HasPrefix(tag, "W/") || a.header.Get("X-Revision") != "" {
			t.Errorf("%s: ETag is %q, X-Revision %q", path, tag, a.header.Get("X-Revision"))
		}
		for _, given := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if not := s.do(s.ro, "GET", path, "", "If-None-Match: "+given).want(304); not.body != "" || not.header.Get("ETag") != tag {
				t.Errorf("%s: 304 with %q, ETag %q", path, not.body, not.header.Get("ETag"))
			}
		}
		s.do(s.ro, "GET", path, "", `If-None-Match: "x"`).want(200)
	}
	tag := s.get("/api/v1/alerts/" + id).header.Get("ETag")
	s.record(noon.Add(time.Minute), bruteForce(s.a, "10.0.1.55")) // it grows
	s.do(s.ro, "GET", "/api/v1/alerts/"+id, "", "If-None-Match: "+tag).want(200).is("occurrences", 94)
}

func TestConditionalChange(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alert := "/api/v1/alerts/" + s.record(noon, bruteForce(s.a, "10.0.1.55"))[0]
	incident := "/api/v1/incidents/" + s.get("/api/v1/incidents").text("content.0.id")
	rule := s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").header.Get("Location")
	for path, change := range map[string][2]string{
		alert:    {`{"status":"RESOLVED"}`, `{"status":"OPEN"}`},
		incident: {`{"status":"CONTAINED"}`, `{"title":"x"}`},
		rule:     {`{"status":"INACTIVE"}`, `{"status":"ACTIVE"}`},
	} {
		tag := s.get(path).header.Get("ETag")
		a := s.do(s.rw, "PATCH", path, change[0], "If-Match: "+tag).want(200)
		if got := s.get(path).header.Get("ETag"); got != a.header.Get("ETag") || got == tag {
			t.Errorf("%s: the change answers %s, reading %s, before it was %s", path, a.header.Get("ETag"), got, tag)
		}
		for _, stale := range []string{tag, `"x"`, "W/" + a.header.Get("ETag"), ""} {
			s.do(s.rw, "PATCH", path, change[1], "If-Match: "+stale).problem(412, "Precondition failed", "")
		}
		s.do(s.rw, "PATCH", path, change[1], "If-Match: *").want(200)
	}
	s.do(s.rw, "PATCH", "/api/v1/alerts/"+someID, `{"status":"OPEN"}`, `If-Match: "x"`).problem(404, "Not found", "Resource not found")
	s.do(s.rw, "DELETE", rule, "", `If-Match: "x"`).problem(412, "Precondition failed", "")
	s.do(s.rw, "DELETE", rule, "", "If-Match: "+s.get(rule).header.Get("ETag")).want(204)

	// Growth of an alert is not a clash with another person.
	tag := s.get(alert).header.Get("ETag")
	s.record(noon.Add(time.Minute), bruteForce(s.a, "10.0.1.55"), bruteForce(s.a, "10.0.1.55"))
	s.do(s.rw, "PATCH", alert, `{"status":"IN_PROGRESS"}`, "If-Match: "+tag).want(200)
}

// Of many who change the same version, one wins.
func TestConditionalChangeUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	path := "/api/v1/alerts/" + s.record(noon, bruteForce(s.a, "10.0.1.55"))[0]
	tag := s.get(path).header.Get("ETag")
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for i := range 8 {
		wg.Go(func() {
			a := s.do(s.rw, "PATCH", path, fmt.Sprintf(`{"assignedTo":"p%d"}`, i), "If-Match: "+tag)
			mu.Lock()
			defer mu.Unlock()
			codes[a.status]++
		})
	}
	wg.Wait()
	if codes[200] != 1 || codes[412] != 7 {
		t.Errorf("answers are %v, want one 200 and seven 412", codes)
	}
}
