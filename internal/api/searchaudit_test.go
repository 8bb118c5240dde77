package api

import (
	"testing"
	"time"
)

func TestSearchesStandInTheAuditLog(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.event(s.a, s.now().Add(-time.Hour), "user", "kim")
	log := "/api/v1/audit-logs?action="
	const search = `{"query":"user:kim","reason":"case 4711"}`
	s.post("/api/v1/siem/search", search).want(200).is("total", 1)
	s.get(log+"search.events").want(200).is("totalElements", 1).is("content.0.object", "events").is("content.0.detail.query", "user:kim").is("content.0.detail.reason", "case 4711").is("content.0.detail.total", 1)
	// Asked again while nothing is new, it is the same search.
	s.pass(time.Minute)
	s.post("/api/v1/siem/search", search).want(200)
	s.get(log+"search.events").is("totalElements", 1)
	// Another query, a wider time, another person or a later hour are others.
	s.post("/api/v1/siem/search", `{"query":"user:lee","reason":"case 4711"}`).want(200)
	s.post("/api/v1/siem/search", `{"query":"user:kim","reason":"case 4711","fromTime":"2020-01-01T00:00:00Z"}`).want(200)
	s.do(s.ro, "POST", "/api/v1/siem/search", search).want(200)
	s.pass(sameSearch)
	s.post("/api/v1/siem/search", search).want(200)
	s.get(log+"search.events").is("totalElements", 5)
	s.post("/api/v1/siem/search/fields", `{"query":"user:kim","names":["user"]}`).want(200)
	s.get(log+"search.fields").is("totalElements", 1).is("content.0.detail.names.0", "user")
	// Other names are another question, the same ones are not.
	s.post("/api/v1/siem/search/fields", `{"query":"user:kim","names":["user"]}`).want(200)
	s.post("/api/v1/siem/search/fields", `{"query":"user:kim","names":["src_ip"]}`).want(200)
	s.post("/api/v1/siem/search/fields", `{"query":"user:kim"}`).want(200)
	s.get(log+"search.fields").is("totalElements", 3).is("content.1.detail.names.0", "src_ip")
	// So is an event that is opened.
	id := s.post("/api/v1/siem/search", search).want(200).at("events.0.id").(string)
	s.get("/api/v1/siem/events/" + id).want(200)
	s.get("/api/v1/siem/events/" + id).want(200)
	s.get("/api/v1/siem/events/e0-00000000ffff-00000").want(404)
	s.get(log+"search.event").is("totalElements", 1).is("content.0.object", id)
	// What finds nothing out is none.
	s.post("/api/v1/siem/search", `{"query":"user:("}`).problem(400, "", "")
	s.get(log+"search.events").is("totalElements", 5)
	s.do(s.foreign, "GET", log+"search", "").want(200).is("totalElements", 0)
}

func TestExportsTellWhy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.get("/api/v1/export/alerts?reason=quarterly+review").want(200)
	s.get("/api/v1/export/alerts").want(200)
	s.get("/api/v1/audit-logs?action=export.create").want(200).is("totalElements", 2).is("content.1.detail.reason", "quarterly review").is("content.0.detail.query", "")
}
