package api

import "testing"

func TestMaskingRules(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	made := s.post("/api/v1/masking-rules", `{"name":"Cards","action":"mask","patterns":["card","email"],"source":"nginx"}`).want(201)
	made.is("name", "Cards").is("enabled", true).is("action", "mask").is("fields", []any{}).is("source", "nginx").is("version", 1)
	exactly(t, "the new rule", made.json(), "id", "name", "enabled", "action", "patterns", "fields", "source", "host", "createdAt", "createdBy", "updatedAt", "updatedBy", "version")
	at := "/api/v1/masking-rules/" + made.text("id")
	s.get(at).want(200).is("patterns", []any{"card", "email"})
	s.get("/api/v1/masking-rules?sort=name").want(200).is("totalElements", 1).is("content.0.name", "Cards")

	s.do(s.rw, "PATCH", at, `{"enabled":false,"fields":["user.name"],"source":""}`).want(200).is("enabled", false).is("source", "").is("fields.0", "user.name").is("version", 2)
	s.do(s.rw, "PATCH", at, `{"patterns":[],"fields":[]}`).problem(400, "Invalid patterns value", "A rule needs patterns or fields")
	s.post("/api/v1/masking-rules", `{"name":"x","action":"burn","patterns":["card"]}`).want(400)
	s.post("/api/v1/masking-rules", `{"name":"x","action":"mask","fields":["message"]}`).want(400)
	s.do(s.ro, "POST", "/api/v1/masking-rules", `{"name":"x","action":"mask","patterns":["card"]}`).want(403)

	tried := s.post("/api/v1/masking-rules/preview", `{"rules":[{"action":"mask","patterns":["card"]}],"lines":["pay 4111 1111 1111 1111","x"]}`).want(200)
	tried.is("lines.0.masked", "pay **** **** **** 1111").is("lines.0.found.card", 1).is("lines.1.masked", "x").is("lines.1.missed", 0)
	s.post("/api/v1/masking-rules/preview", `{"lines":["kim@example.com"]}`).want(200).is("lines.0.masked", "kim@example.com") // the rule is off
	s.post("/api/v1/masking-rules/preview", `{"lines":[]}`).want(400)
	s.get("/api/v1/masking-rules/stats").want(200).is("masked.email", 0).is("missed", 0)

	s.do(s.foreign, "GET", at, "").want(404)
	s.do(s.foreign, "PATCH", at, `{"enabled":true}`).want(404)
	s.do(s.foreign, "DELETE", at, "").want(404)
	s.do(s.rw, "DELETE", at, "").want(204)
	s.get(at).want(404)
}
