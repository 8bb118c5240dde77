package api

import (
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

func TestRiskIntelligence(t *testing.T) {
	s := newServer(t)
	f := bruteForce(s.a, "10.0.1.55", event.ID{})
	f.First, f.Last = noon.UnixNano(), noon.UnixNano()
	s.record(noon, f)
	if err := s.risk().Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := s.get("/api/v1/risk-intelligence?entityType=address&level=low,medium&minScore=1&search=10.0&sort=trend").want(200)
	golden(t, "risks.json", steady(t, list.body))
	id := list.text("content.0.id")
	detail := s.get("/api/v1/risk-intelligence/" + id).want(200)
	golden(t, "risk.json", steady(t, detail.body))
	golden(t, "risksettings.json", steady(t, s.get("/api/v1/risk-intelligence/settings").want(200).body))

	s.do(s.foreign, "GET", "/api/v1/risk-intelligence/"+id, "").want(404)
	s.do(s.ro, "PATCH", "/api/v1/risk-intelligence/"+id, `{"watched":true}`).want(403)
	s.do(s.rw, "PATCH", "/api/v1/risk-intelligence/"+id, `{}`).want(400)
	s.do(s.rw, "PATCH", "/api/v1/risk-intelligence/"+id, `{"watched":true,"notes":"a lab"}`, "If-Match: "+detail.header.Get("ETag")).want(200)
	s.do(s.rw, "PATCH", "/api/v1/risk-intelligence/"+id, `{"watched":false}`, "If-Match: "+detail.header.Get("ETag")).want(412)
	if got := s.get("/api/v1/risk-intelligence?watched=true").want(200).text("content.0.id"); got != id {
		t.Fatalf("watched: %s", got)
	}
	for _, bad := range []string{"entityType=printer", "level=huge", "minScore=101", "sort=name", "colour=red"} {
		s.get("/api/v1/risk-intelligence?" + bad).want(400)
	}

	s.do(s.rw, "PATCH", "/api/v1/risk-intelligence/settings", `{"halfLifeHours":24,"severity":{"high":50},"rules":[{"name":"Any risk","when":"reaches","score":1,"severity":"low"}]}`).want(200)
	s.do(s.rw, "PATCH", "/api/v1/risk-intelligence/settings", `{"levels":{"medium":90}}`).want(400)
	s.do(s.rw, "PATCH", "/api/v1/risk-intelligence/settings", `{"rules":[{"name":"x","when":"rises","score":5,"severity":"low"}]}`).want(400)
	if got := s.do(s.foreign, "GET", "/api/v1/risk-intelligence/settings", "").want(200).body; !strings.Contains(got, `"halfLifeHours":168`) {
		t.Fatalf("another tenant's settings: %s", got)
	}
	s.post("/api/v1/risk-intelligence/recompute", "").want(202)
	s.pass(time.Hour)
	if err := s.risk().Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.get("/api/v1/export/risk-intelligence?format=csv&entityType=address").want(200).body; !strings.Contains(got, "address,10.0.1.55,") {
		t.Fatalf("export: %s", got)
	}
}
