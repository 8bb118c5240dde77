package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const (
	alertSorts    = "Allowed: createdAt, updatedAt, lastSeen, severity, status, title, priority"
	severityList  = "Allowed: critical, high, medium, low, info"
	momentMessage = "Allowed: a time in RFC 3339 with its zone, such as 2026-04-24T00:00:00Z"
)

// Every bad input gets the documented error, leaves the process alive, and changes
// nothing.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServerOn(t, db)
		own := s.record(noon, bruteForce(s.a, "10.0.1.55"))[0]
		theirs := s.record(noon, bruteForce(s.b, "10.0.1.55"))[0]
		incident := s.get("/api/v1/incidents").text("content.0.id")
		theirIncident := s.do(s.foreign, "GET", "/api/v1/incidents", "").text("content.0.id")
		before := s.get("/api/v1/alerts/"+own).body + s.do(s.foreign, "GET", "/api/v1/alerts/"+theirs, "").body

		deep := strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33)
		big := `{"content":"` + strings.Repeat("x", 1<<20) + `"}`
		for _, c := range []struct {
			name, method, path, body string
			status                   int
			err, message             string
			header                   string
		}{
			// Query parameters.
			{"page below 0", "GET", "/alerts?page=-1", "", 400, "Invalid page value", "Allowed: a whole number from 0", ""},
			{"page no number", "GET", "/alerts?page=one", "", 400, "Invalid page value", "", ""},
			{"page empty", "GET", "/alerts?page=", "", 400, "Invalid page value", "", ""},
			{"page with a fraction", "GET", "/alerts?page=1.5", "", 400, "Invalid page value", "", ""},
			{"page beyond numbers", "GET", "/alerts?page=99999999999999999999", "", 400, "Invalid page value", "", ""},
			{"page twice", "GET", "/alerts?page=1&page=2", "", 400, "Invalid page value", "Give it once", ""},
			{"size 0", "GET", "/alerts?size=0", "", 400, "Invalid size value", "Allowed: 1 to 100", ""},
			{"size 101", "GET", "/alerts?size=101", "", 400, "Invalid size value", "Allowed: 1 to 100", ""},
			{"size below 0", "GET", "/incidents?size=-5", "", 400, "Invalid size value", "Allowed: 1 to 100", ""},
			{"sort by nothing known", "GET", "/alerts?sort=DROP", "", 400, "Invalid sort value", alertSorts, ""},
			{"sort with SQL", "GET", "/alerts?sort=createdAt;DROP", "", 400, "Invalid query string", "", ""},
			{"sort with SQL, encoded", "GET", "/alerts?sort=createdAt%3B+DROP+TABLE+alert", "", 400, "Invalid sort value", alertSorts, ""},
			{"sort empty", "GET", "/siem/rules?sort=", "", 400, "Invalid sort value", "", ""},
			{"direction", "GET", "/alerts?direction=down", "", 400, "Invalid direction value", "Allowed: asc, desc", ""},
			{"severity", "GET", "/alerts?severity=urgent", "", 400, "Invalid severity value", severityList, ""},
			{"severity among good ones", "GET", "/alerts?severity=high,urgent", "", 400, "Invalid severity value", severityList, ""},
			{"severity empty", "GET", "/alerts?severity=", "", 400, "Invalid severity value", severityList, ""},
			{"severity of incidents", "GET", "/incidents?severity=5", "", 400, "Invalid severity value", severityList, ""},
			{"severity of rules", "GET", "/siem/rules?severity=informational", "", 400, "Invalid severity value", severityList, ""},
			{"status", "GET", "/alerts?status=DONE", "", 400, "Invalid status value", "Allowed: OPEN, IN_PROGRESS, RESOLVED, FALSE_POSITIVE", ""},
			{"an incident's status for alerts", "GET", "/alerts?status=CONTAINED", "", 400, "Invalid status value", "", ""},
			{"status of incidents", "GET", "/incidents?status=RESOLVED", "", 400, "Invalid status value", "Allowed: OPEN, CONTAINED, ERADICATED, RECOVERED, CLOSED", ""},
			{"status of rules", "GET", "/siem/rules?status=ON", "", 400, "Invalid status value", "Allowed: ACTIVE, INACTIVE, DRAFT", ""},
			{"unknown parameter", "GET", "/alerts?severty=high", "", 400, `Unknown parameter "severty"`, "", ""},
			{"parameter in another case", "GET", "/alerts?Severity=high", "", 400, `Unknown parameter "Severity"`, "", ""},
			{"parameter where none is", "GET", "/collectors?page=1", "", 400, `Unknown parameter "page"`, "This call has no parameters", ""},
			{"parameter of a detail", "GET", "/alerts/" + own + "?full=1", "", 400, `Unknown parameter "full"`, "This call has no parameters", ""},
			{"parameter without a name", "GET", "/alerts?=x", "", 400, `Unknown parameter ""`, "", ""},
			{"broken percent encoding", "GET", "/alerts?search=%zz", "", 400, "Invalid query string", "", ""},
			{"text that is no UTF-8", "GET", "/alerts?search=%ff%fe", "", 400, "Invalid search value", "Allowed: UTF-8 text without NUL", ""},
			{"text with NUL", "GET", "/alerts?search=a%00b", "", 400, "Invalid search value", "Allowed: UTF-8 text without NUL", ""},
			{"text too long", "GET", "/alerts?search=" + strings.Repeat("x", 257), "", 400, "Invalid search value", "Allowed: at most 256 characters", ""},
			{"time without zone", "GET", "/alerts?createdFrom=2026-04-22T12:00:00", "", 400, "Invalid createdFrom value", momentMessage, ""},
			{"time without time", "GET", "/alerts?createdTo=2026-04-22", "", 400, "Invalid createdTo value", momentMessage, ""},
			{"time in seconds", "GET", "/incidents?updatedSince=1700000060", "", 400, "Invalid updatedSince value", momentMessage, ""},
			{"time of no calendar", "GET", "/alerts?createdFrom=2026-02-30T00:00:00Z", "", 400, "Invalid createdFrom value", momentMessage, ""},
			{"time before numbers", "GET", "/alerts?createdFrom=0001-01-01T00:00:00Z", "", 400, "Invalid createdFrom value", "Allowed: years from 1678 to 2260", ""},

			// Ids.
			{"unknown id", "GET", "/alerts/" + someID, "", 404, "Not found", "Resource not found", ""},
			{"malformed id", "GET", "/alerts/1", "", 404, "Not found", "Resource not found", ""},
			{"id in braces", "GET", "/alerts/%7B" + own + "%7D", "", 404, "Not found", "Resource not found", ""},
			{"id with NUL", "GET", "/alerts/" + own[:35] + "%00", "", 404, "Not found", "Resource not found", ""},
			{"id that is no UTF-8", "GET", "/siem/rules/%ff", "", 404, "Not found", "Resource not found", ""},
			{"rule id with NUL", "GET", "/siem/rules/a%00b", "", 404, "Not found", "Resource not found", ""},
			{"rule id with SQL", "GET", "/siem/rules/'%20OR%201=1", "", 404, "Not found", "Resource not found", ""},
			{"another tenant's alert", "GET", "/alerts/" + theirs, "", 404, "Not found", "Resource not found", ""},
			{"change another tenant's alert", "PATCH", "/alerts/" + theirs, `{"status":"RESOLVED"}`, 404, "Not found", "Resource not found", ""},
			{"escalate another tenant's alert", "POST", "/alerts/" + theirs + "/escalate", ``, 404, "Not found", "Resource not found", ""},
			{"another tenant's incident", "GET", "/incidents/" + theirIncident, "", 404, "Not found", "Resource not found", ""},
			{"comment another tenant's incident", "POST", "/incidents/" + theirIncident + "/comments", `{"content":"x"}`, 404, "Not found", "Resource not found", ""},
			{"the example's shortened id", "POST", "/incidents/7c9e6679-a1f4/comments", `{"content":"x"}`, 404, "Not found", "Resource not found", ""},
			{"malformed event id", "GET", "/siem/events/e0-1-1", "", 404, "Not found", "Resource not found", ""},
			{"unknown key", "DELETE", "/api-keys/" + someID, "", 404, "Not found", "Resource not found", ""},
			{"malformed key id", "GET", "/api-keys/%00", "", 404, "Not found", "Resource not found", ""},
			{"merge with another tenant's incident", "POST", "/incidents/" + incident + "/merge", fmt.Sprintf(`{"incidentIds":[%q]}`, theirIncident), 404, "Not found", "Resource not found", ""},
			{"merge with itself", "POST", "/incidents/" + incident + "/merge", fmt.Sprintf(`{"incidentIds":[%q]}`, incident), 400, "Invalid incidentIds value", "", ""},

			// Bodies.
			{"no body", "PATCH", "/alerts/" + own, "", 400, "Missing body", "Send a JSON object", ""},
			{"broken JSON", "PATCH", "/alerts/" + own, `{"status":`, 400, "Invalid body", "The JSON ends early", ""},
			{"broken JSON inside", "PATCH", "/alerts/" + own, `{"status" "OPEN"}`, 400, "Invalid body", "The JSON is broken at byte 11", ""},
			{"two JSON values", "PATCH", "/alerts/" + own, `{"note":"a"}{"note":"b"}`, 400, "Invalid body", "", ""},
			{"JSON with a comment", "PATCH", "/alerts/" + own, `{/* */"note":"a"}`, 400, "Invalid body", "", ""},
			{"an array", "PATCH", "/alerts/" + own, `[]`, 400, "Invalid body", "Expected object", ""},
			{"a text", "PATCH", "/alerts/" + own, `"RESOLVED"`, 400, "Invalid body", "Expected object", ""},
			{"null", "PATCH", "/alerts/" + own, `null`, 400, "Invalid body", "Expected object", ""},
			{"an unknown key", "PATCH", "/alerts/" + own, `{"state":"RESOLVED"}`, 400, "Unknown body key", `The body has no key "state"; see /api/v1/docs`, ""},
			{"a wrong type", "PATCH", "/alerts/" + own, `{"status":7}`, 400, "Invalid status value", "Expected string", ""},
			{"null for a status", "PATCH", "/alerts/" + own, `{"status":null}`, 400, "Invalid status value", "", ""},
			{"an empty status", "PATCH", "/alerts/" + own, `{"status":""}`, 400, "Invalid status value", "", ""},
			{"a note too long", "PATCH", "/alerts/" + own, `{"note":"` + strings.Repeat("x", 10_001) + `"}`, 400, "Invalid note value", "Allowed: up to 10000 characters", ""},
			{"NUL in JSON", "PATCH", "/alerts/" + own, `{"note":"a\u0000b"}`, 400, "Invalid body", "The body holds a NUL character", ""},
			{"no UTF-8", "PATCH", "/alerts/" + own, "{\"note\":\"\xff\xfe\"}", 400, "Invalid body", "The body is not UTF-8", ""},
			{"UTF-16", "PATCH", "/alerts/" + own, "\xff\xfe{\x00}\x00", 400, "Invalid body", "The body is not UTF-8", ""},
			{"too deep", "POST", "/siem/search", deep, 400, "Invalid body", "Allowed: at most 32 levels of nesting", ""},
			{"too large", "POST", "/incidents/" + incident + "/comments", big, 413, "Payload too large", "Allowed: at most 1 MiB", ""},
			{"form data", "POST", "/siem/search", "query=x", 400, "Invalid Content-Type", "Allowed: application/json", "Content-Type: application/x-www-form-urlencoded"},
			{"XML", "POST", "/siem/search", "<a/>", 400, "Invalid Content-Type", "Allowed: application/json", "Content-Type: text/xml"},
			{"JSON in Latin-1", "POST", "/siem/search", `{}`, 400, "Invalid Content-Type", "Allowed: application/json", "Content-Type: application/json; charset=iso-8859-1"},
			{"a broken type", "POST", "/siem/search", `{}`, 400, "Invalid Content-Type", "", "Content-Type: application/"},
			{"a compressed body", "POST", "/siem/search", "\x1f\x8b", 400, "Invalid Content-Encoding", "Allowed: identity", "Content-Encoding: gzip"},
			{"a body for a GET", "GET", "/alerts", `{}`, 400, "Invalid body", "This call takes no body", ""},
			{"no comment", "POST", "/incidents/" + incident + "/comments", `{}`, 400, "Missing content", `The key "content" is required`, ""},
			{"an empty comment", "POST", "/incidents/" + incident + "/comments", `{"content":" "}`, 400, "Invalid content value", "Allowed: 1 to 10000 characters", ""},
			{"no ids", "POST", "/alerts/bulk", `{"status":"OPEN"}`, 400, "Missing ids", `The key "ids" is required`, ""},
			{"empty ids", "POST", "/alerts/bulk", `{"ids":[],"status":"OPEN"}`, 400, "Invalid ids value", "Allowed: 1 to 1000 ids", ""},
			{"ids of a wrong type", "POST", "/alerts/bulk", `{"ids":[1],"status":"OPEN"}`, 400, "Invalid ids[0] value", "Expected string", ""},
			{"an incident without title", "POST", "/incidents", `{"severity":"high"}`, 400, "Missing title", "", ""},
			{"an incident of unknown severity", "POST", "/incidents", `{"title":"x","severity":"urgent"}`, 400, "Invalid severity value", severityList, ""},
			{"an incident of another tenant's alert", "POST", "/incidents", fmt.Sprintf(`{"title":"x","severity":"low","alertIds":[%q]}`, theirs), 404, "Not found", "Resource not found", ""},
			{"a key without scope", "POST", "/api-keys", `{"name":"x"}`, 400, "Missing scope", "", ""},
			{"a key of unknown scope", "POST", "/api-keys", `{"name":"x","scope":"admin"}`, 400, "Invalid scope value", "Allowed: read-only, read-write", ""},
			{"a key that has expired", "POST", "/api-keys", `{"name":"x","scope":"read-only","expiresAt":"2020-01-01T00:00:00Z"}`, 400, "Invalid expiresAt value", "Allowed: a time in the future", ""},
			{"a key for no network", "POST", "/api-keys", `{"name":"x","scope":"read-only","allowedCidrs":["10.0.0.0/99"]}`, 400, "Invalid allowedCidrs value", "", ""},
			{"a rule that is none", "POST", "/siem/rules", "just text", 400, "Invalid rule", "", "Content-Type: application/yaml"},
			{"an empty rule", "POST", "/siem/rules", "", 400, "Missing body", "", "Content-Type: application/yaml"},
			{"a rule with NUL", "POST", "/siem/rules", "title: \x00", 400, "Invalid body", "The body holds a NUL character", "Content-Type: application/yaml"},
			{"a rule of unknown status", "POST", "/siem/rules?status=ON", sshRule, 400, "Invalid status value", "", "Content-Type: application/yaml"},

			// Event search.
			{"an open bracket", "POST", "/siem/search", `{"query":"a AND (b"}`, 400, "Invalid query", "", ""},
			{"an open quote", "POST", "/siem/search", `{"query":"\"abc"}`, 400, "Invalid query", "", ""},
			{"an open range", "POST", "/siem/search", `{"query":"src_port:[1 TO"}`, 400, "Invalid query", "", ""},
			{"a query of a wrong type", "POST", "/siem/search", `{"query":["a"]}`, 400, "Invalid query value", "Expected string", ""},
			{"from after to", "POST", "/siem/search", `{"fromTime":"2026-04-25T00:00:00Z","toTime":"2026-04-24T00:00:00Z"}`, 400, "Invalid fromTime value", "Allowed: a time before toTime", ""},
			{"from equal to", "POST", "/siem/search", `{"fromTime":"2026-04-24T00:00:00Z","toTime":"2026-04-24T00:00:00Z"}`, 400, "Invalid fromTime value", "Allowed: a time before toTime", ""},
			{"from without zone", "POST", "/siem/search", `{"fromTime":"2026-04-24T00:00:00"}`, 400, "Invalid fromTime value", momentMessage, ""},
			{"to no time", "POST", "/siem/search", `{"toTime":"now"}`, 400, "Invalid toTime value", momentMessage, ""},
			{"limit 0", "POST", "/siem/search", `{"limit":0}`, 400, "Invalid limit value", "", ""},
			{"limit 10001", "POST", "/siem/search", `{"limit":10001}`, 400, "Invalid limit value", "Allowed: at most 10000", ""},
			{"limit with a fraction", "POST", "/siem/search", `{"limit":1.5}`, 400, "Invalid limit value", "", ""},
			{"limit as text", "POST", "/siem/search", `{"limit":"50"}`, 400, "Invalid limit value", "", ""},
			{"a made-up cursor", "POST", "/siem/search", `{"cursor":"abc"}`, 400, "Invalid cursor value", "", ""},
			{"unknown search key", "POST", "/siem/search", `{"q":"x"}`, 400, "Unknown body key", `The body has no key "q"; see /api/v1/docs`, ""},
			{"values beyond the limit", "POST", "/siem/search/fields", `{"values":101}`, 400, "Invalid values value", "", ""},
		} {
			headers := []string{}
			if c.header != "" {
				headers = append(headers, c.header)
			}
			a := s.do(s.rw, c.method, "/api/v1"+c.path, c.body, headers...)
			a.request = c.name + ": " + a.request[:min(len(a.request), 120)]
			a.problem(c.status, c.err, c.message)
		}
		if after := s.get("/api/v1/alerts/"+own).body + s.do(s.foreign, "GET", "/api/v1/alerts/"+theirs, "").body; after != before {
			t.Errorf("something was changed:\n%s\n%s", before, after)
		}
		s.get("/api/v1/incidents").is("totalElements", 1)
		s.get("/api/v1/siem/rules").is("totalElements", 0)
		s.get("/api/v1/api-keys").is("totalElements", 2)
	})
}

// The position in a query's error counts characters, as people do.
func TestQueryErrorHasItsPosition(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.post("/api/v1/siem/search", `{"query":"é:1 AND )"}`).problem(400, "Invalid query", "")
	if body := s.post("/api/v1/siem/search", `{"query":"é:1 AND )"}`).body; !strings.Contains(body, "At character 9: ") {
		t.Errorf("no position 9 in %s", body)
	}
}

func TestUnknownParameterNamesTheKnown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.get("/api/v1/incidents?foo=1&bar=2").problem(400, `Unknown parameter "bar"`,
		"Known: page, size, sort, direction, severity, status, search, assignedTo, alertId, createdFrom, createdTo, updatedSince, include")
}

// A body that lies about its length ends early, and a huge one is not read.
func TestTornBody(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/siem/search", tornReader{})
	r.Header.Set("Authorization", "Bearer "+s.ro)
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "ended early") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type tornReader struct{}

func (tornReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// brokenStore fails every search in its way.
type brokenStore struct {
	eventstore.Store
	err  error
	wait bool
}

func (b brokenStore) Search(ctx context.Context, _ eventstore.Request) (*eventstore.Result, error) {
	if b.wait {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, b.err
}

func TestSearchFailures(t *testing.T) {
	t.Parallel()
	const body = `{"query":"a"}`
	for _, c := range []struct {
		name    string
		store   brokenStore
		status  int
		message string
		retry   string
	}{
		{"a dead node", brokenStore{err: fault.New(fault.Unavailable, "the event store is starting")}, 503, "The event store is starting", "5"},
		{"a filter it cannot take", brokenStore{err: fault.New(fault.Invalid, "this expression is too dear")}, 400, "This expression is too dear", ""},
		{"an unknown fault", brokenStore{err: errors.New("secret path /data")}, 500, "Server error — contact support", ""},
		{"too slow", brokenStore{wait: true}, 503, "The search took longer than 20ms: narrow the time range, or ask for a field by name", "5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(cfg *Config) { cfg.Events, cfg.SearchTime = c.store, 20*time.Millisecond })
			a := s.do(s.ro, "POST", "/api/v1/siem/search", body)
			a.problem(c.status, "", c.message)
			if got := a.header.Get("Retry-After"); got != c.retry {
				t.Errorf("Retry-After is %q, want %q", got, c.retry)
			}
		})
	}
}

// A caller that hangs up stops its query, and a heavy one does not stop the others.
func TestSearchesAreBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(cfg *Config) { cfg.Events, cfg.Searches = brokenStore{wait: true}, 1 })
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/siem/search", strings.NewReader(`{}`))
		r.Header.Set("Authorization", "Bearer "+s.ro)
		s.h.ServeHTTP(httptest.NewRecorder(), r)
	}()
	for deadline := time.Now().Add(10 * time.Second); len(s.api().searching) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the first search does not start")
		}
		time.Sleep(time.Millisecond)
	}
	// The same turns, with less patience.
	hasty := &api{Config: Config{SearchTime: 10 * time.Millisecond}, searching: s.api().searching}
	_, err := inTurn(t.Context(), hasty, func(context.Context) (bool, error) { return true, nil })
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Unavailable || f.Message != "too many searches are running, try again" {
		t.Errorf("a second search: %v", err)
	}
	hangUp()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the search goes on after its caller hung up")
	}
	if n := len(s.api().searching); n != 0 {
		t.Errorf("%d searches are counted as running", n)
	}
}

// An alert can be read while the event store cannot.
func TestAlertWithoutItsEvents(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id := s.record(noon, bruteForce(s.a, "10.0.1.55", s.event(s.a, noon, "message", "x")))[0]
	s.api().Events = brokenStore{err: fault.New(fault.Unavailable, "the event store is starting")}
	s.get("/api/v1/alerts/"+id).want(200).is("events", []any{}).is("eventsError", "The event store is starting")
}

func TestKeysCannotBeCheckedWithoutDatabase(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	s := newServerOn(t, db)
	key := s.key(s.a, identity.ReadOnly)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	a := s.do(key, http.MethodGet, "/api/v1/collectors", "")
	a.problem(503, "Service unavailable", "Keys cannot be checked now, try again")
}
