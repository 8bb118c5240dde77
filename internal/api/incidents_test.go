package api

import (
	"fmt"
	"strings"
	"testing"
)

const listIncidentsExample = `{
"content": [
{
"id": "7c9e6679-a1f4-4b3c-80ba-e44f95541174",
"title": "[Auto] TCP SYN Scan Detection",
"severity": "high",
"status": "OPEN",
"alertCount": 5,
"createdAt": "2026-04-22T07:00:00Z",
"assignedTo": null,
"mitreTactic": "discovery",
"mitreTechnique": "T1046"
}
],
"totalElements": 127,
"totalPages": 7
}`

func TestListIncidentsExample(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	at := noon.Add(-5 * 3600e9)
	for i := range 5 {
		f := bruteForce(s.a, fmt.Sprintf("10.0.1.%d", i))
		f.Title, f.Source, f.Tactic, f.Technique, f.Rule.ID = "TCP SYN Scan Detection", "iptables", "discovery", "T1046", "scan"
		s.record(at, f)
	}
	a := s.get("/api/v1/incidents?status=OPEN").want(200)
	like(t, "incidents", example(t, listIncidentsExample), a.json())
	exactly(t, "the list", a.json(), "content", "totalElements", "totalPages", "number", "size")
	exactly(t, "an item", a.at("content.0"), "id", "title", "severity", "status", "alertCount", "createdAt", "assignedTo", "mitreTactic", "mitreTechnique")
	for key, v := range example(t, listIncidentsExample).(map[string]any)["content"].([]any)[0].(map[string]any) {
		if key != "id" {
			a.is("content.0."+key, v)
		}
	}
	a.is("totalElements", 1).is("totalPages", 1).is("number", 0).is("size", 20)
	board := s.get("/api/v1/incidents?include=triage").want(200).is("content.0.triage.origin", "auto").is("content.0.triage.closedAt", nil)
	exactly(t, "what triage adds", board.at("content.0.triage"), "origin", "slaDueAt", "overdueAt", "closedAt", "mergedInto", "updatedAt")
	for query, want := range map[string]int{
		"severity=high": 1, "severity=critical,low": 0, "status=closed": 0, "status=OPEN,CLOSED": 1, "search=syn+scan": 1, "search=%25": 0,
		"page=3": 1, "createdFrom=2026-04-22T07:00:00Z": 1, "createdTo=2026-04-22T07:00:00Z": 0, "assignedTo=kim": 0, "sort=alertCount&direction=asc": 1,
	} {
		if got := s.get("/api/v1/incidents?" + query).want(200).at("totalElements"); got != float64(want) {
			t.Errorf("%s finds %v, want %d", query, got, want)
		}
	}
	s.do(s.foreign, "GET", "/api/v1/incidents", "").is("content", []any{})
}

func TestIncidentDetailAndChanges(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alerts := s.record(noon, bruteForce(s.a, "10.0.1.55"))
	id := s.get("/api/v1/incidents").text("content.0.id")
	path := "/api/v1/incidents/" + id
	a := s.get(path).want(200)
	exactly(t, "the detail", a.json(), "id", "title", "severity", "status", "alertCount", "createdAt", "assignedTo", "mitreTactic", "mitreTechnique",
		"origin", "slaDueAt", "closedAt", "mergedInto", "updatedAt", "alerts", "entities", "comments", "timeline", "tasks", "evidence", "acknowledgedAt", "containedAt", "overdueAt", "splitFrom")
	a.is("title", "[Auto] Brute Force Authentication Attempt").is("alerts.0.id", alerts[0]).is("closedAt", nil).is("comments", []any{}).
		is("entities.0.value", "10.0.1.55").is("timeline.0.action", "created").is("slaDueAt", "2026-04-22T20:00:00Z")
	s.get("/api/v1/incidents?alertId="+strings.ToUpper(alerts[0])).is("totalElements", 1)

	// The next step needs no reason, a skip or a way back does.
	s.do(s.rw, "PATCH", path, `{"status":"contained"}`).want(200).is("status", "CONTAINED")
	s.do(s.rw, "PATCH", path, `{"status":"CLOSED"}`).problem(400, "Invalid reason value", "")
	s.do(s.rw, "PATCH", path, `{"status":"CLOSED","reason":"false alarm"}`).want(200).is("status", "CLOSED")
	s.do(s.rw, "PATCH", path, `{"status":"OPEN","reason":"it came back","assignedTo":"kim","title":"T","severity":"Critical"}`).want(200).
		is("closedAt", nil).is("assignedTo", "kim").is("title", "T").is("severity", "critical").is("slaDueAt", "2026-04-22T16:00:00Z")
	s.do(s.rw, "PATCH", path, `{"assignedTo":null}`).want(200).is("assignedTo", nil)
	for body, field := range map[string]string{
		`{"status":"DONE"}`: "status", `{"status":""}`: "status", `{"severity":"urgent"}`: "severity", `{"title":""}`: "title",
	} {
		s.do(s.rw, "PATCH", path, body).problem(400, "Invalid "+field+" value", "")
	}
	s.do(s.rw, "PATCH", path, `{}`).problem(400, "Bad request", "")
	s.do(s.foreign, "PATCH", path, `{"title":"x"}`).problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "GET", path, "").problem(404, "Not found", "Resource not found")
}

func TestCommentExample(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.record(noon, bruteForce(s.a, "10.0.1.55"))
	path := "/api/v1/incidents/" + s.get("/api/v1/incidents").text("content.0.id")
	a := s.post(path+"/comments", `{"content": "Isolated host from network. Investigating root cause."}`).want(201)
	exactly(t, "a comment", a.json(), "id", "content", "author", "createdAt")
	a.is("content", "Isolated host from network. Investigating root cause.").is("author", "key:A read-write")
	if a.header.Get("Location") != path+"/comments" {
		t.Errorf("Location is %q", a.header.Get("Location"))
	}
	s.get(path).is("comments.0.id", a.at("id"))
	s.get(path+"/comments?size=1").want(200).is("totalElements", 1).is("content.0.id", a.at("id"))
	s.get(path+"/comments?sort=createdAt").problem(400, `Unknown parameter "sort"`, "Known: page, size")

	for _, content := range []string{``, ` `, strings.Repeat("é", 10_001)} {
		s.post(path+"/comments", fmt.Sprintf(`{"content":%q}`, content)).problem(400, "Invalid content value", "Allowed: 1 to 10000 characters")
	}
	s.post(path+"/comments", fmt.Sprintf(`{"content":%q}`, strings.Repeat("é", 10_000))).want(201)
	// The example's shortened id is no prefix match.
	s.post("/api/v1/incidents/7c9e6679-a1f4/comments", `{"content": "x"}`).problem(404, "Not found", "Resource not found")
	s.post("/api/v1/incidents/"+someID+"/comments", `{"content": "x"}`).problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "POST", path+"/comments", `{"content": "x"}`).problem(404, "Not found", "Resource not found")
}

func TestCreateLinkMerge(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	low := func(src string) string {
		f := bruteForce(s.a, src)
		f.Severity = "low"
		return s.record(noon, f)[0]
	}
	one, two := low("10.0.1.1"), low("10.0.1.2")
	foreign := s.record(noon, bruteForce(s.b, "10.0.1.3"))[0]
	a := s.post("/api/v1/incidents", fmt.Sprintf(`{"title":"Odd nights","severity":"Medium","alertIds":[%q]}`, one)).want(201)
	path := a.header.Get("Location")
	a.is("alertCount", 1).is("origin", "manual").is("severity", "medium").is("assignedTo", nil)
	s.get(path).want(200).is("id", a.at("id"))

	s.post(path+"/link", fmt.Sprintf(`{"alertIds":[%q,%q]}`, one, strings.ToUpper(two))).want(200).is("alertCount", 2)
	s.get("/api/v1/alerts/"+two).is("incidentId", a.at("id"))
	s.post(path+"/unlink", fmt.Sprintf(`{"alertIds":[%q]}`, two)).want(200).is("alertCount", 1)
	s.get("/api/v1/alerts/"+two).is("incidentId", nil)
	s.post(path+"/link", fmt.Sprintf(`{"alertIds":[%q]}`, foreign)).problem(404, "Not found", "Resource not found")
	s.post(path+"/link", `{"alertIds":[]}`).problem(400, "Invalid alertIds value", "Allowed: 1 to 1000")

	b := s.post("/api/v1/incidents", fmt.Sprintf(`{"title":"Other","severity":"low","alertIds":[%q]}`, two)).want(201)
	s.post(path+"/merge", fmt.Sprintf(`{"incidentIds":[%q]}`, b.text("id"))).want(200).is("alertCount", 2)
	other := b.header.Get("Location")
	s.get(other).is("status", "CLOSED").is("mergedInto", a.at("id"))
	s.do(s.rw, "PATCH", other, `{"title":"x"}`).problem(409, "Conflict", "")
	s.post(other+"/unmerge", "").want(200).is("mergedInto", nil).is("status", "OPEN")
	s.post(other+"/unmerge", "").problem(409, "Conflict", "")
	s.get(path).is("alertCount", 1)
}

func TestEscalate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := bruteForce(s.a, "10.0.1.55")
	f.Severity = "low"
	id := s.record(noon, f)[0]
	a := s.post("/api/v1/alerts/"+id+"/escalate", "").want(201)
	a.is("title", "Escalated: Brute Force Authentication Attempt").is("alertCount", 1).is("alerts.0.id", id)
	s.get(a.header.Get("Location")).want(200)
	s.get("/api/v1/alerts/"+id).is("incidentId", a.at("id"))
	s.post("/api/v1/alerts/"+id+"/escalate", "").problem(409, "Conflict", "")
	s.post("/api/v1/alerts/"+someID+"/escalate", "").problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "POST", "/api/v1/alerts/"+id+"/escalate", "").problem(404, "Not found", "Resource not found")
}
