package api

import "testing"

func TestIngestTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	made := s.post("/api/v1/ingest-tokens", `{"name":"Web servers","source":"nginx"}`).want(201)
	made.is("name", "Web servers").is("source", "nginx").is("status", "active").is("revokedAt", nil)
	id, secret := made.text("id"), made.text("token")
	exactly(t, "the new token", made.json(), "id", "name", "source", "prefix", "status", "createdAt", "createdBy", "expiresAt", "lastUsedAt", "revokedAt", "token")

	// It opens the doors of ingest alone, and is shown once.
	s.do(secret, "GET", "/api/v1/alerts", "").want(401)
	s.do(secret, "POST", "/api/v1/ingest", "x").want(401)
	got := s.get("/api/v1/ingest-tokens/" + id).want(200)
	exactly(t, "the token", got.json(), "id", "name", "source", "prefix", "status", "createdAt", "createdBy", "expiresAt", "lastUsedAt", "revokedAt")
	s.get("/api/v1/ingest-tokens").want(200).is("totalElements", 1).is("content.0.id", id)

	s.do(s.foreign, "GET", "/api/v1/ingest-tokens/"+id, "").want(404)
	s.do(s.foreign, "DELETE", "/api/v1/ingest-tokens/"+id, "").want(404)
	s.do(s.foreign, "GET", "/api/v1/ingest-tokens", "").is("content", []any{})
	s.post("/api/v1/ingest-tokens", `{"name":"x","source":"a b"}`).problem(400, "Invalid source value", "Allowed: one name of at most 64 letters, digits, and the characters - _ .")
	s.post("/api/v1/ingest-tokens", `{"name":""}`).want(400)
	s.do(s.rw, "DELETE", "/api/v1/ingest-tokens/"+id, "").want(204)
	s.get("/api/v1/ingest-tokens/"+id).is("status", "revoked")
}
