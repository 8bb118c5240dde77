package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/source"
)

var (
	uuids  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	clocks = regexp.MustCompile(`"20\d\d-\d\d-\d\dT[0-9:.]+Z"`)
	keyed  = regexp.MustCompile(`kyra_[0-9A-Za-z]+`)
	sinces = regexp.MustCompile(`no match since \d{4}-\d{2}-\d{2}`)
	millis = regexp.MustCompile(`"queryTime": \d+`)
	holes  = regexp.MustCompile(`,?\{"time":"[^"]*","count":0,"breakdown":\{\}\},?`)
)

// steady replaces what differs from run to run: ids by their order of appearance,
// times that are not the test's, keys.
func steady(t *testing.T, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	body = holes.ReplaceAllString(strings.TrimSpace(body), "") // how many is the store's choice
	if err := json.Indent(&b, []byte(body), "", "  "); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	text := uuids.ReplaceAllStringFunc(b.String(), func(id string) string {
		if seen[id] == "" {
			seen[id] = fmt.Sprintf("uuid-%d", len(seen)+1)
		}
		return seen[id]
	})
	text = clocks.ReplaceAllStringFunc(text, func(at string) string {
		if strings.HasPrefix(at, `"2026-04`) {
			return at
		}
		return `"now"`
	})
	text = keyed.ReplaceAllString(text, "kyra_key")
	text = sinces.ReplaceAllString(text, "no match since today")
	return []byte(millis.ReplaceAllString(text, `"queryTime": 0`) + "\n")
}

// The exact shape of an answer of each kind: a change of a key, a type or an order
// shows in review.
func TestWireShapes(t *testing.T) {
	s := newServer(t)
	at := time.Date(2026, 4, 22, 8, 15, 0, 0, time.UTC)
	id := s.event(s.a, at, "source", "sshd", "host", "web-01", "severity", "medium", "message", "Failed password for root", "user", "root", "tags", "a", "tags", "b")
	f := bruteForce(s.a, "10.0.1.55", id)
	f.First, f.Last = at.UnixNano(), at.UnixNano()
	alert := s.record(noon, f)[0]
	incident := s.get("/api/v1/incidents").text("content.0.id")
	s.post("/api/v1/incidents/"+incident+"/comments", `{"content":"Isolated host from network."}`).want(201)
	if err := s.cfg.Sources.Heartbeat(t.Context(), s.db, source.Beat{Tenant: s.a.Number, Name: source.Server, Hostname: "collector-01", Version: "0.1.0", OSFamily: "linux"}); err != nil {
		t.Fatal(err)
	}
	rule := s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").want(201).header.Get("Location")
	exception := s.post(rule+"/exceptions", `{"scope":{"entity":{"type":"ip","field":"src_ip","value":"10.0.1.9"}},"reason":"The scanner."}`).want(201)
	for name, a := range map[string]*answerTo{
		"alerts":    s.get("/api/v1/alerts"),
		"alert":     s.get("/api/v1/alerts/" + alert),
		"stats":     s.get("/api/v1/alerts/stats"),
		"bulk":      s.post("/api/v1/alerts/bulk", `{"ids":["x"],"status":"OPEN"}`),
		"incidents": s.get("/api/v1/incidents"),
		"incident":  s.get("/api/v1/incidents/" + incident),
		"comment":   s.post("/api/v1/incidents/"+incident+"/comments", `{"content":"Investigating root cause."}`),
		"search":    s.do(s.ro, "POST", "/api/v1/siem/search", `{"query":"user:root","fromTime":"2026-04-22T08:00:00Z","toTime":"2026-04-22T09:00:00Z"}`),
		"fields":    s.do(s.ro, "POST", "/api/v1/siem/search/fields", `{"names":["user"]}`),
		"event":     s.get("/api/v1/siem/events/" + id.String()),
		"rules":     s.get("/api/v1/siem/rules"),
		"rule":      s.get(rule),
		"versions":  s.get(rule + "/versions"),
		"staged":    s.get(rule + "/staged"),
		"exception": exception,
		"preview":   s.post(rule+"/exceptions/preview", `{"scope":{"entity":{"type":"ip","value":"10.0.1.55"}}}`),
		"validate":  s.do(s.ro, "POST", "/api/v1/siem/rules/validate", "title: [", "Content-Type: application/yaml"),
		"collector": s.get("/api/v1/collectors"),
		"key":       s.post("/api/v1/api-keys", `{"name":"SIEM Integration","scope":"read-only"}`),
		"error":     s.get("/api/v1/alerts?severity=urgent"),
		"empty":     s.do(s.foreign, "GET", "/api/v1/alerts", ""),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name+".json", steady(t, a.body)) })
	}
}
