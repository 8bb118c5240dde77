package api

import (
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/rule"
)

// failedLogin stores an event that sshRule matches and raises the alert that it makes.
func (s *server) failedLogin(at time.Time, user, src string) string {
	s.t.Helper()
	id := s.event(s.a, at, "source", "sshd", "program", "sshd", "message", "Failed password for "+user+" from "+src, "user", user, "src_ip", src)
	f := bruteForce(s.a, src, id)
	f.Rule = alert.RuleRef{ID: "7f3c1f3e-0b7a-4a54-9d53-111111111111", Name: "SSH password guessing", Version: 1}
	f.First, f.Last, f.Count, f.Severity = at.UnixNano(), at.UnixNano(), 1, "low"
	f.Entities = []alert.Entity{{Type: "ip", Field: "src_ip", Value: src}, {Type: "user", Field: "user", Value: user}}
	return s.record(noon, f)[0]
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	path := s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").want(201).header.Get("Location")
	ann, bob := s.failedLogin(noon, "ann", "10.0.1.55"), s.failedLogin(noon.Add(time.Second), "bob", "10.0.1.56")
	s.do(s.rw, "PATCH", "/api/v1/alerts/"+bob, `{"verdict":"TRUE_POSITIVE"}`).want(200)

	const forAnn = `{"scope":{"entity":{"type":"user","field":"user","value":"ann"}},"reason":"tests logons","expiresAt":"2036-01-01T00:00:00+09:00"}`
	p := s.do(s.ro, "POST", path+"/exceptions/preview", `{"scope":{"entity":{"type":"user","field":"user","value":"ANN"}}}`).want(200).
		is("allowed", true).is("alerts", 2).is("examined", 2).is("hidden", 1).is("reduced", 0).is("events", 2).is("eventsSilenced", 1).
		is("silenced.0.id", ann).is("silenced.0.hidden", true).is("silenced.0.verdict", nil).is("silenced.0.basis", "events")
	exactly(t, "the preview", p.json(), "sigma", "allowed", "alerts", "examined", "hidden", "reduced", "events", "eventsSilenced", "silenced")
	exactly(t, "a silenced alert", p.at("silenced.0"), "id", "title", "severity", "status", "verdict", "createdAt", "hidden", "events", "eventsSilenced", "basis")
	s.do(s.ro, "POST", path+"/exceptions/preview", `{"scope":{"entity":{"type":"ip","value":"10.0.1.0/24"}}}`).want(200).
		is("allowed", false).is("hidden", 2).is("silenced.0.id", bob).is("silenced.0.verdict", "TRUE_POSITIVE")

	refused := s.post(path+"/exceptions", `{"scope":{"filter":"s:\n  user|startswith: [a, b]\ncondition: s"},"reason":"noise"}`).want(409)
	if !strings.Contains(refused.text("message"), bob+" (Brute Force Authentication Attempt)") {
		t.Errorf("the refusal does not name the alert: %s", refused.body)
	}
	s.get(path+"/exceptions").want(200).is("totalElements", 0)

	s.do(s.ro, "POST", path+"/exceptions", forAnn).problem(403, "Forbidden", "")
	a := s.post(path+"/exceptions", forAnn).want(201).is("kind", "entity").is("owner", "key:A read-write").is("createdBy", "key:A read-write").is("state", "active").
		is("expiresAt", "2035-12-31T15:00:00Z").is("hits", 0).is("lastHitAt", nil).is("ruleName", "SSH password guessing").is("scope.entity.value", "ann").is("version", 1)
	exactly(t, "the exception", a.json(), "id", "ruleId", "ruleName", "kind", "scope", "sigma", "reason", "owner", "createdBy", "createdAt", "updatedAt", "expiresAt", "state", "hits", "lastHitAt", "version")
	at := a.header.Get("Location")
	if at != "/api/v1/siem/exceptions/"+a.text("id") {
		t.Errorf("Location is %q", at)
	}
	s.get(path).is("exceptions", 1)
	tag := s.get(at).want(200).is("reason", "tests logons").header.Get("ETag")
	if err := s.cfg.Rules.RecordExceptionHits(t.Context(), s.db, []rule.ExceptionHits{{Tenant: s.a.Number, ID: a.text("id"), Hits: 2, Last: noon.UnixNano()}}); err != nil {
		t.Fatal(err)
	}
	// Hits do not refuse a person's change.
	s.do(s.rw, "PATCH", at, `{"expiresAt":null,"owner":"soc"}`, "If-Match: "+tag).want(200).is("expiresAt", nil).is("owner", "soc").is("hits", 2).is("lastHitAt", "2026-04-22T12:00:00Z").is("version", 2)
	s.do(s.rw, "PATCH", at, `{"reason":"x"}`, "If-Match: "+tag).problem(412, "Precondition failed", "")
	s.do(s.rw, "PATCH", at, `{"scope":{"fields":{"src_ip":["10.0.1.56"]}}}`).problem(409, "Conflict", "")
	s.do(s.rw, "PATCH", at, `{"scope":{"fields":{"src_ip":["10.0.1.55"]}}}`).want(200).is("kind", "fields").is("scope", map[string]any{"fields": map[string]any{"src_ip": []string{"10.0.1.55"}}})
	s.do(s.rw, "PATCH", at, `{}`).problem(400, "Bad request", "Give at least one of scope, reason, owner, expiresAt")
	s.do(s.rw, "PATCH", at, `{"expiresAt":"tomorrow"}`).problem(400, "Invalid expiresAt value", "")

	for query, want := range map[string]int{"": 1, "?kind=fields": 1, "?kind=FILTER": 0, "?state=active": 1, "?state=expired": 0, "?state=expiring": 0, "?owner=SOC": 1, "?search=logons": 1, "?search=zzz": 0} {
		s.get(path+"/exceptions"+query).want(200).is("totalElements", want)
		s.get("/api/v1/siem/exceptions"+query).want(200).is("totalElements", want)
	}
	s.get("/api/v1/siem/exceptions?ruleId=7f3c1f3e-0b7a-4a54-9d53-111111111111&sort=hits").want(200).is("content.0.hits", 2)
	s.get("/api/v1/siem/exceptions?ruleId=none").problem(404, "Not found", "Resource not found")
	s.get(path+"/history").is("content.0.action", "rule.exception.update").is("content.2.action", "rule.exception.create")

	for body, field := range map[string]string{
		`{"scope":{},"reason":"x"}`:                                                        "scope",
		`{"scope":{"filter":"s: {a: b}\ncondition: t"},"reason":"x"}`:                      "scope.filter",
		`{"scope":{"entity":{"type":"moon","value":"x"}},"reason":"x"}`:                    "scope.entity.type",
		`{"scope":{"fields":{"a|re":["x"]}},"reason":"x"}`:                                 "scope.fields",
		`{"scope":{"fields":{"a":["x"]}},"reason":" "}`:                                    "reason",
		`{"scope":{"fields":{"a":["x"]}},"reason":"x","expiresAt":"2020-01-01T00:00:00Z"}`: "expiresAt",
	} {
		s.post(path+"/exceptions", body).problem(400, "Invalid "+field+" value", "")
	}
	s.post(path+"/exceptions", `{"scope":{"fields":{"a":["x"]}}}`).problem(400, "Missing reason", "")
	for _, r := range [][2]string{{"GET", at}, {"GET", path + "/exceptions"}, {"DELETE", at}} {
		s.do(s.foreign, r[0], r[1], "").problem(404, "Not found", "Resource not found")
	}
	s.do(s.foreign, "PATCH", at, `{"reason":"x"}`).problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "POST", path+"/exceptions", forAnn).problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "POST", path+"/exceptions/preview", `{"scope":{"fields":{"a":["x"]}}}`).problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "GET", "/api/v1/siem/exceptions", "").is("totalElements", 0)
	s.do(s.rw, "DELETE", at, "").want(204)
	s.get(at).problem(404, "Not found", "Resource not found")
}
