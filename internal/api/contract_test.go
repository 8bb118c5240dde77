package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// The examples are those of the public reference, as printed there. Each is asked
// for as printed and the answer compared key by key and type by type.

func example(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// exactly checks that v has these keys and no others.
func exactly(t testing.TB, where string, v any, want ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(keys(v)))
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("keys of %s (-want +got):\n%s", where, d)
	}
}

const listAlertsExample = `{
"content": [
{
"id": "550e8400-e29b-41d4-a716-446655440000",
"title": "Brute Force Authentication Attempt",
"severity": "high",
"status": "OPEN",
"source": "sshd",
"mitreTactic": "credential-access",
"mitreTechnique": "T1110",
"createdAt": "2026-04-22T08:15:30Z",
"description": "47 failed logon attempts from 10.0.1.55 targeting root account"
}
],
"totalElements": 232695,
"totalPages": 11635,
"number": 0,
"size": 20
}`

func TestListAlertsExample(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.record(time.Date(2026, 4, 22, 8, 15, 30, 0, time.UTC), bruteForce(s.a, "10.0.1.55"))
	a := s.get("/api/v1/alerts").want(200)
	like(t, "alerts", example(t, listAlertsExample), a.json())
	exactly(t, "the list", a.json(), "content", "totalElements", "totalPages", "number", "size")
	exactly(t, "an item", a.at("content.0"), "id", "title", "severity", "status", "source", "mitreTactic", "mitreTechnique", "createdAt", "description")
	want := example(t, listAlertsExample).(map[string]any)["content"].([]any)[0].(map[string]any)
	for key, v := range want {
		if key != "id" {
			a.is("content.0."+key, v)
		}
	}
	a.is("totalElements", 1).is("totalPages", 1).is("number", 0).is("size", 20)

	// curl …/alerts?severity=critical&status=OPEN&size=5
	s.get("/api/v1/alerts?severity=critical&status=OPEN&size=5").want(200).is("content", []any{}).is("totalElements", 0).is("totalPages", 0).is("size", 5)
	s.get("/api/v1/alerts?severity=High,critical&status=open&size=5").want(200).is("totalElements", 1)
	s.get("/api/v1/alerts?severity=low&severity=HIGH").want(200).is("totalElements", 1)
	s.get("/api/v1/alerts?page=7").want(200).is("content", []any{}).is("totalElements", 1).is("number", 7)
	s.do(s.foreign, "GET", "/api/v1/alerts", "").want(200).is("totalElements", 0)

	queue := s.get("/api/v1/alerts?include=triage").want(200)
	queue.is("content.0.triage.occurrences", 47).is("content.0.triage.assignedTo", nil).is("content.0.triage.entities.0.value", "10.0.1.55")
	exactly(t, "what triage adds", queue.at("content.0.triage"), "ruleId", "ruleName", "occurrences", "firstSeen", "lastSeen", "updatedAt", "assignedTo", "incidentId", "verdict", "entities", "priority")
	s.get("/api/v1/alerts?include=everything").want(400)
}

func TestAlertFilters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	two := bruteForce(s.a, "10.0.1.56")
	two.Title, two.Source, two.Technique, two.Severity = "Port 100% scanned_x", "ufw", "T1110.001", "low"
	two.Rule.ID = "other"
	ids := s.record(noon, bruteForce(s.a, "10.0.1.55"), two)
	for query, want := range map[string]int{
		"search=brute+force": 1, "search=10.0.1.5": 2, "search=%25": 1, "search=scanned_x": 1, "search=d_x": 1, "search=a_b": 0,
		"source=sshd": 1, "source=sshd,ufw": 2, "mitre=T1110": 2, "mitre=T1110.001": 1, "mitre=credential-access": 2, "mitre=T9": 0,
		"ruleId=other": 1, "entity=10.0.1.56": 1, "entity=root": 2, "assignedTo=kim": 0, "tag=vip": 0,
		"createdFrom=2026-04-22T12:00:00Z": 2, "createdTo=2026-04-22T12:00:00Z": 0, "createdFrom=2026-04-22T21:00:00%2B09:00": 2,
		"updatedSince=2026-04-22T12:00:01Z": 0, "search=": 2, "sort=severity&direction=asc": 2, "sort=TITLE": 2,
	} {
		a := s.get("/api/v1/alerts?" + query).want(200)
		if got := a.at("totalElements"); got != float64(want) {
			t.Errorf("%s finds %v, want %d", query, got, want)
		}
	}
	s.get("/api/v1/alerts?sort=severity&direction=asc").is("content.0.id", ids[1])
	s.get("/api/v1/alerts?sort=severity&size=1&page=1").is("content.0.id", ids[1]).is("totalPages", 2)
}

func TestAlertDetail(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	at := time.Date(2026, 4, 22, 8, 15, 30, 123456789, time.UTC)
	first := s.event(s.a, at, "source", "sshd", "host", "web-01", "severity", "medium", "message", "Failed password for root", "user", "root", "related_ip", "10.0.1.55", "related_ip", "10.0.1.56")
	second := s.event(s.a, at.Add(time.Second), "source", "sshd", "message", "Failed again")
	f := bruteForce(s.a, "10.0.1.55", first, second)
	f.First, f.Last = at.UnixNano(), at.Add(time.Second).UnixNano()
	f.Rule.License, f.Rule.Origin = "DRL 1.1", "https://example.org/rules/brute_force.yml"
	id := s.record(noon, f)[0]
	a := s.get("/api/v1/alerts/" + id).want(200)
	exactly(t, "the detail", a.json(), "id", "title", "severity", "status", "source", "mitreTactic", "mitreTechnique", "createdAt", "description",
		"rule", "occurrences", "firstSeen", "lastSeen", "entities", "incidentId", "assignedTo", "verdict", "updatedAt", "events", "eventsTotal", "history", "tags")
	a.is("rule.id", f.Rule.ID).is("rule.name", "brute_force").is("rule.version", 1).is("occurrences", 47).
		is("rule.author", "KYRA").is("rule.license", "DRL 1.1").is("rule.origin", "https://example.org/rules/brute_force.yml").
		is("firstSeen", "2026-04-22T08:15:30.123456Z").is("assignedTo", nil).is("verdict", nil).
		is("entities.0", map[string]any{"type": "ip", "field": "src_ip", "value": "10.0.1.55"}).
		is("events.0.id", first.String()).is("events.1.id", second.String()).is("events.0.timestamp", "2026-04-22T08:15:30.123456789Z").
		is("events.0.fields.user", "root").is("events.0.fields.related_ip", []string{"10.0.1.55", "10.0.1.56"}).is("events.1.host", "").
		is("history.0.action", "created")
	if _, ok := a.at("incidentId").(string); !ok {
		t.Errorf("a high alert has no incident: %v", a.at("incidentId"))
	}
	s.get("/api/v1/alerts/" + strings.ToUpper(id)).want(200)

	for _, other := range []string{someID, "not-an-id", "550e8400-e29b", "%00", "%ff", strings.Repeat("a", 300)} {
		s.get("/api/v1/alerts/"+other).problem(404, "Not found", "Resource not found")
	}
	if got, want := s.do(s.foreign, "GET", "/api/v1/alerts/"+id, "").want(404).body, s.get("/api/v1/alerts/"+someID).body; got != want {
		t.Errorf("another tenant's id says %s, an unknown one %s", got, want)
	}
}

func TestAlertStatsExample(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	documented := example(t, `{
"total_alerts": 232695,
"open_alerts": 232685,
"critical_alerts": 60,
"high_alerts": 2359,
"alerts_today": 33,
"alerts_this_week": 586,
"resolved_alerts": 2,
"false_positive_alerts": 3
}`)
	s.record(noon.Add(-15*time.Hour), bruteForce(s.a, "10.0.1.1"), bruteForce(s.a, "10.0.1.2")) // Tuesday 21:00
	ids := s.record(noon, bruteForce(s.a, "10.0.1.3"), bruteForce(s.a, "10.0.1.4"))
	s.do(s.rw, "PATCH", "/api/v1/alerts/"+ids[0], `{"status":"RESOLVED"}`).want(200)
	s.do(s.rw, "PATCH", "/api/v1/alerts/"+ids[1], `{"status":"false_positive"}`).want(200)
	a := s.get("/api/v1/alerts/stats").want(200)
	like(t, "stats", documented, a.json())
	exactly(t, "stats", a.json(), slices.Collect(maps.Keys(keys(documented)))...)
	a.is("total_alerts", 4).is("open_alerts", 2).is("high_alerts", 4).is("critical_alerts", 0).
		is("alerts_today", 2).is("alerts_this_week", 4).is("resolved_alerts", 1).is("false_positive_alerts", 1)
	// 21:00 UTC is the next morning in Seoul.
	s.get("/api/v1/alerts/stats?tz=Asia/Seoul").is("alerts_today", 4)
	s.get("/api/v1/alerts/stats?tz=Mars").problem(400, "Invalid tz value", "")
	s.get("/api/v1/alerts/stats?tz=Local").problem(400, "Invalid tz value", "")
}

func TestPatchAlert(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id := s.record(noon, bruteForce(s.a, "10.0.1.55"))[0]
	path := "/api/v1/alerts/" + id
	a := s.do(s.rw, "PATCH", path, `{"status":"in_progress","assignedTo":"kim@example.org","verdict":"true_positive","note":"looking"}`).want(200)
	a.is("status", "IN_PROGRESS").is("assignedTo", "kim@example.org").is("verdict", "TRUE_POSITIVE")
	s.get("/api/v1/alerts?assignedTo=kim@example.org&status=IN_PROGRESS").is("totalElements", 1)
	s.do(s.rw, "PATCH", path, `{"assignedTo":null,"verdict":null}`).want(200).is("assignedTo", nil).is("verdict", nil).is("status", "IN_PROGRESS")
	s.do(s.rw, "PATCH", path, `{"note":"only a note"}`).want(200)
	s.do(s.rw, "PATCH", path, `{}`).problem(400, "Bad request", "Give at least one of status, assignedTo, verdict, note")
	s.do(s.rw, "PATCH", path, `{"status":"DONE"}`).problem(400, "Invalid status value", "Allowed: OPEN, IN_PROGRESS, RESOLVED, FALSE_POSITIVE")
	s.do(s.rw, "PATCH", path, `{"verdict":"MAYBE"}`).problem(400, "Invalid verdict value", "Allowed: TRUE_POSITIVE, FALSE_POSITIVE, BENIGN, INCONCLUSIVE")
	s.do(s.foreign, "PATCH", path, `{"status":"RESOLVED"}`).problem(404, "Not found", "Resource not found")
	h := s.get(path).at("history").([]any)
	last := h[len(h)-1].(map[string]any)
	if last["actor"] != "key:A read-write" || last["note"] != "only a note" {
		t.Errorf("the last of the history is %v", last)
	}
}

func TestBulkAlerts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ids := s.record(noon, bruteForce(s.a, "10.0.1.1"), bruteForce(s.a, "10.0.1.2"))
	foreign := s.record(noon, bruteForce(s.b, "10.0.1.1"))[0]
	a := s.post("/api/v1/alerts/bulk", fmt.Sprintf(`{"ids":[%q,%q,%q,"x"],"status":"RESOLVED","note":"noise"}`, ids[0], foreign, ids[1])).want(200)
	a.is("changed", 2).is("failed", 2).is("results.0", map[string]any{"id": ids[0], "status": 200}).
		is("results.1", map[string]any{"id": foreign, "status": 404, "error": "Not found", "message": "Resource not found"}).
		is("results.2.status", 200).is("results.3.status", 404)
	s.get("/api/v1/alerts?status=RESOLVED").is("totalElements", 2)
	s.do(s.foreign, "GET", "/api/v1/alerts?status=OPEN", "").is("totalElements", 1)
}

const searchExample = `{
"events": [
{
"timestamp": "2026-04-24T14:22:10Z",
"source": "sshd",
"host": "10.0.1.55",
"severity": "high",
"message": "Failed password for root from 192.168.1.100 port 22 ssh2"
}
],
"total": 342,
"histogram": [
{ "time": "2026-04-24T00:00:00Z", "count": 28, "breakdown": {"high": 5, "medium": 23} }
],
"queryTime": 684
}`

func TestSearchExample(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	at := time.Date(2026, 4, 24, 14, 22, 10, 0, time.UTC)
	for i := range 342 {
		severity := "medium"
		if i%5 == 0 {
			severity = "high"
		}
		s.event(s.a, at.Add(time.Duration(-i)*time.Minute), "source", "sshd", "host", "10.0.1.55", "severity", severity,
			"message", "Failed password for root from 192.168.1.100 port 22 ssh2", "program", "sshd", "user", "root")
	}
	s.event(s.a, at, "source", "nginx", "program", "nginx", "user", "root", "severity", "low")
	s.event(s.b, at, "source", "sshd", "program", "sshd", "user", "root", "severity", "low")
	a := s.do(s.ro, "POST", "/api/v1/siem/search", `{
"query": "program:sshd AND user:root",
"fromTime": "2026-04-24T00:00:00Z",
"toTime": "2026-04-25T00:00:00Z",
"limit": 50
}`).want(200)
	like(t, "search", example(t, searchExample), withoutHoles(a.json()))
	exactly(t, "the answer", a.json(), "events", "total", "histogram", "queryTime", "nextCursor")
	exactly(t, "an event", a.at("events.0"), "id", "timestamp", "source", "host", "severity", "message", "fields")
	for key, v := range example(t, searchExample).(map[string]any)["events"].([]any)[0].(map[string]any) {
		a.is("events.0."+key, v)
	}
	a.is("total", 342)
	if n := len(a.at("events").([]any)); n != 50 {
		t.Errorf("%d events, want 50", n)
	}
	if ms, ok := a.at("queryTime").(float64); !ok || ms != float64(int64(ms)) || ms < 0 {
		t.Errorf("queryTime is %v", a.at("queryTime"))
	}
	buckets := a.at("histogram").([]any)
	if len(buckets) < 20 || len(buckets) > 120 {
		t.Errorf("%d buckets", len(buckets))
	}
	sum, before := 0.0, ""
	for _, b := range buckets {
		b := b.(map[string]any)
		sum += b["count"].(float64)
		parts := 0.0
		for _, n := range b["breakdown"].(map[string]any) {
			parts += n.(float64)
		}
		if parts != b["count"] || b["time"].(string) <= before {
			t.Errorf("bucket %v after %s", b, before)
		}
		before = b["time"].(string)
	}
	if sum != 342 {
		t.Errorf("the buckets count %v, want 342", sum)
	}

	// All pages, by the cursor.
	seen := map[string]bool{}
	body := `{"query":"program:sshd AND user:root","fromTime":"2026-04-24T00:00:00Z","toTime":"2026-04-25T00:00:00Z","limit":100%s}`
	next := ""
	for pages := 0; ; pages++ {
		a := s.do(s.ro, "POST", "/api/v1/siem/search", fmt.Sprintf(body, next)).want(200).is("total", 342)
		for _, e := range a.at("events").([]any) {
			seen[e.(map[string]any)["id"].(string)] = true
		}
		if a.at("nextCursor") == nil {
			break
		}
		if pages > 4 {
			t.Fatal("the pages do not end")
		}
		next = fmt.Sprintf(`,"cursor":%q`, a.text("nextCursor"))
	}
	if len(seen) != 342 {
		t.Errorf("the pages hold %d events, want 342", len(seen))
	}
	for _, bad := range []string{`,"cursor":"x"`, strings.Replace(next, `cursor":"`, `cursor":"A`, 1)} {
		s.do(s.ro, "POST", "/api/v1/siem/search", fmt.Sprintf(body, bad)).problem(400, "Invalid cursor value", "")
	}
	other := strings.Replace(fmt.Sprintf(body, next), "sshd AND", "sshd OR", 1)
	s.do(s.ro, "POST", "/api/v1/siem/search", other).problem(400, "Invalid cursor value", "The cursor belongs to a search with another query or other times")
}

// withoutHoles leaves the bars that count something, which have a breakdown like
// the example's.
func withoutHoles(v any) any {
	m := v.(map[string]any)
	m["histogram"] = slices.DeleteFunc(m["histogram"].([]any), func(b any) bool {
		breakdown := b.(map[string]any)["breakdown"].(map[string]any)
		return breakdown["high"] == nil || breakdown["medium"] == nil
	})
	return m
}

func TestSearchDefaults(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.event(s.a, noon.Add(-24*time.Hour), "message", "first of the last 24 hours")
	s.event(s.a, noon.Add(-24*time.Hour-1), "message", "before them")
	s.event(s.a, noon, "message", "now is outside")
	for range 60 {
		s.event(s.a, noon.Add(-time.Hour), "message", "inside")
	}
	a := s.do(s.ro, "POST", "/api/v1/siem/search", `{}`).want(200).is("total", 61)
	if n := len(a.at("events").([]any)); n != 50 {
		t.Errorf("%d events without a limit, want 50", n)
	}
	s.do(s.ro, "POST", "/api/v1/siem/search", `{"query":"absent:yes"}`).want(200).is("total", 0).is("events", []any{}).is("nextCursor", nil)
	s.do(s.ro, "POST", "/api/v1/siem/search", `{"toTime":"2011-04-01T00:00:00Z"}`).want(200).is("total", 0)
	s.do(s.ro, "POST", "/api/v1/siem/search", `{"fromTime":"2026-04-22T20:00:00+09:00","limit":10000}`).want(200).is("total", 60)
}

func TestEventAndFields(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id := s.event(s.a, noon.Add(-time.Hour), "source", "sshd", "message", "tab\there \"quoted\" \\ \u2028 \x01 \xff é", "user", "root", "b", "1", "b", "2").String()
	s.event(s.a, noon.Add(-time.Hour), "source", "sshd", "user", "kim")
	s.event(s.a, noon.Add(-time.Hour), "source", "nginx")
	a := s.get("/api/v1/siem/events/" + id).want(200)
	a.is("id", id).is("message", "tab\there \"quoted\" \\ \u2028 \x01 \ufffd é").is("fields.b", []string{"1", "2"}).is("fields.user", "root").
		is("fields.ingest_time", "2026-04-22T11:00:01Z").is("timestamp", "2026-04-22T11:00:00Z")
	for _, other := range []string{"x", "e0-000000000fff-00000", strings.ToUpper(id), someID} {
		s.get("/api/v1/siem/events/"+other).problem(404, "Not found", "Resource not found")
	}
	s.do(s.foreign, "GET", "/api/v1/siem/events/"+id, "").problem(404, "Not found", "Resource not found")

	f := s.do(s.ro, "POST", "/api/v1/siem/search/fields", `{"query":"source:*","names":["source","user"],"values":1}`).want(200)
	f.is("fields.0", map[string]any{"name": "source", "count": 3, "topValues": []any{map[string]any{"value": "sshd", "count": 2}}}).
		is("fields.1.name", "user").is("fields.1.count", 2)
	if n := len(s.do(s.ro, "POST", "/api/v1/siem/search/fields", `{"values":0}`).want(200).at("fields").([]any)); n < 4 {
		t.Errorf("all fields are %d", n)
	}
}

const collectorsExample = `[
{
"id": "d353abff-db8b-483b-9b77-67638402544b",
"hostname": "collector-01",
"status": "online",
"version": "0.1.0",
"osFamily": "linux",
"lastHeartbeat": "2026-04-25T09:00:15Z",
"eventsIngested": 1261953
}
]`

func TestCollectorsExample(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if a := s.get("/api/v1/collectors").want(200); strings.TrimSpace(a.body) != "[]" || a.header.Get("X-Total-Count") != "0" {
		t.Errorf("without collectors: %s, %v", a.body, a.header)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.cfg.Sources.Heartbeat(t.Context(), s.db, source.Beat{Tenant: s.a.Number, Name: source.Server, Hostname: "collector-01", Version: "0.1.0", OSFamily: "linux"}))
	must(s.db.Tx(t.Context(), func(tx *sqldb.DB) error {
		return s.cfg.Sources.Record(t.Context(), tx, []source.Count{{Tenant: s.a.Number, Source: "sshd", Arrived: noon.UnixNano(), Received: 1261953, Stored: 1261953}})
	}))
	a := s.get("/api/v1/collectors").want(200)
	like(t, "collectors", example(t, collectorsExample), a.json())
	exactly(t, "a collector", a.at("0"), "id", "hostname", "status", "version", "osFamily", "lastHeartbeat", "eventsIngested")
	a.is("0.hostname", "collector-01").is("0.status", "online").is("0.version", "0.1.0").is("0.osFamily", "linux").
		is("0.lastHeartbeat", "2026-04-22T12:00:00Z").is("0.eventsIngested", 1261953)
	if got := a.header.Get("X-Total-Count"); got != "1" {
		t.Errorf("X-Total-Count is %q", got)
	}
	id := a.text("0.id")
	s.get("/api/v1/collectors/"+id).want(200).is("id", id)
	s.do(s.foreign, "GET", "/api/v1/collectors/"+id, "").problem(404, "Not found", "")
	s.get("/api/v1/collectors/%00").problem(404, "Not found", "")
	s.pass(time.Hour)
	s.get("/api/v1/collectors").is("0.status", "offline")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.post("/api/v1/api-keys", `{"name":"SIEM Integration","scope":"read-only"}`).want(201)
	exactly(t, "a new key", a.json(), "id", "name", "scope", "prefix", "status", "allowedCidrs", "createdAt", "createdBy", "expiresAt", "lastUsedAt", "revokedAt", "key")
	a.is("name", "SIEM Integration").is("scope", "read-only").is("status", "active").is("allowedCidrs", []any{}).is("expiresAt", nil).
		is("createdAt", "2026-04-22T12:00:00Z").is("createdBy", "key:A read-write")
	where := a.header.Get("Location")
	if where != "/api/v1/api-keys/"+a.text("id") {
		t.Errorf("Location is %q", where)
	}
	got := s.get(where).want(200)
	if strings.Contains(got.body, a.text("key")) || keys(got.json())["key"] {
		t.Errorf("the key is shown again: %s", got.body)
	}
	list := s.get("/api/v1/api-keys?search=siem").want(200).is("totalElements", 1).is("content.0.prefix", a.text("key")[:9])
	exactly(t, "a key", list.at("content.0"), "id", "name", "scope", "prefix", "status", "allowedCidrs", "createdAt", "createdBy", "expiresAt", "lastUsedAt", "revokedAt")
	s.get("/api/v1/api-keys?scope=read-only&status=active").is("totalElements", 2)
	s.do(s.foreign, "GET", where, "").problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "DELETE", where, "").problem(404, "Not found", "Resource not found")
	s.do(s.rw, "DELETE", where, "").want(204)
	s.do(s.rw, "DELETE", where, "").want(204)
	s.get("/api/v1/api-keys?status=revoked").is("totalElements", 1)
}

func TestErrorExample(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.get("/api/v1/alerts?severity=urgent").want(400)
	want := example(t, `{
"error": "Invalid severity value",
"message": "Allowed: critical, high, medium, low, info",
"status": 400
}`)
	if d := cmp.Diff(want, a.json()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
