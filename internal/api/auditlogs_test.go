package api

import (
	"testing"
	"time"
)

func TestAuditLogs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alerts := s.record(noon, bruteForce(s.a, "10.0.1.1"))
	changed := s.do(s.rw, "PATCH", "/api/v1/alerts/"+alerts[0], `{"status":"IN_PROGRESS"}`).want(200)
	a := s.get("/api/v1/audit-logs?action=alert&object="+alerts[0]).want(200).is("totalElements", 1).
		is("content.0.action", "alert.update").is("content.0.actor", "key:A read-write").is("content.0.address", "192.0.2.1").
		is("content.0.requestId", changed.header.Get("X-Request-Id")).is("content.0.detail.status.from", "OPEN")
	exactly(t, "an entry", a.at("content.0"), "id", "seq", "at", "actor", "action", "object", "address", "keyId", "requestId", "detail", "hash")
	one := "/api/v1/audit-logs/" + a.text("content.0.id")
	s.get(one).want(200).is("hash", a.at("content.0.hash"))
	s.do(s.foreign, "GET", one, "").problem(404, "", "")
	for query, want := range map[string]float64{"keyId=" + a.text("content.0.keyId"): 1, "address=192.0.2.9": 0, "actor=system&action=alert.create": 1, "from=2199-01-01T00:00:00Z": 0, "action=ale": 0} {
		if got := s.get("/api/v1/audit-logs?" + query).want(200).at("totalElements"); got != want {
			t.Errorf("%s finds %v, want %v", query, got, want)
		}
	}
	s.get("/api/v1/audit-logs?direction=asc").want(200).is("content.0.seq", 1)
	v := s.get("/api/v1/audit-logs/verify").want(200).is("intact", true).is("brokenAt", nil).is("entries", s.get("/api/v1/audit-logs").at("totalElements"))
	exactly(t, "the verdict", v.json(), "intact", "entries", "seals", "brokenAt", "why", "checkedAt", "headSeq", "headHash", "publicKey", "keyId")
	if _, err := s.cfg.Signer.SealDay(t.Context(), s.db, s.a.Number, time.Now().AddDate(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	sealed := s.get("/api/v1/audit-logs/verify").want(200).is("seals", 1).is("lastSeal.seq", v.at("headSeq")).is("lastSeal.hash", v.at("headHash"))
	exactly(t, "a seal", sealed.at("lastSeal"), "day", "seq", "hash", "at", "keyId", "message", "signature")
	s.do(s.rw, "DELETE", one, "").problem(405, "", "")
}
