package api

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/dsr"
	sealing "github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/vault"
)

func newRequests(tb testing.TB, s *server) *dsr.Service {
	tb.Helper()
	sealer, err := sealing.New(bytes.Repeat([]byte{9}, sealing.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	files, err := vault.Open(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	r, err := dsr.New(dsr.Config{DB: s.db, Events: s.cfg.Events, Sealer: sealer, Vault: files, Log: s.cfg.Log, Now: s.now})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestDataSubjectRequest(t *testing.T) {
	s := newServer(t)
	created := s.post("/api/v1/dsr", `{"kind":"erasure","law":"GDPR","name":"Anna Kim","identifiers":[{"type":"email","value":"anna@example.com"}]}`).want(201)
	if strings.Contains(created.body, "anna@") || strings.Contains(created.body, "Anna Kim") {
		t.Errorf("who asks is shown: %s", created.body)
	}
	path := "/api/v1/dsr/" + created.text("id")
	s.post(path+"/erase", `{"confirm":"erase"}`).want(409)
	s.do(s.rw, "PATCH", path, `{"verification":"verified","verifiedHow":"passport"}`).want(200).is("status", "VERIFIED").is("dueOn", "2026-05-22")
	s.post(path+"/erase", `{"confirm":"yes"}`).want(400)
	s.post(path+"/erase/preview", ``).want(200).is("approved", true)
	s.post(path+"/erase", `{"confirm":"erase"}`).want(202)
	s.post(path+"/reveal", ``).want(200).is("name", "Anna Kim")
	s.do(s.ro, "POST", path+"/reveal", ``).want(403)
	s.do(s.foreign, "GET", path, ``).want(404)
	s.get("/api/v1/dsr?search=anna@example.com&kind=erasure&overdue=false").want(200).is("totalElements", 1.0)
	hold := s.post("/api/v1/dsr/holds", `{"name":"case 7","reason":"court","owner":"legal"}`).want(201)
	s.do(s.rw, "DELETE", "/api/v1/dsr/holds/"+hold.text("id"), ``).want(204)
	s.get("/api/v1/export/dsr?format=json").want(200)

	set := s.get("/api/v1/dsr/settings").want(200).is("law", nil).is("timeZone", "UTC")
	s.do(s.rw, "PATCH", "/api/v1/dsr/settings", `{"holidays":["25.12.2026"]}`).problem(400, "Invalid holidays value", "Allowed: days such as 2026-12-25")
	s.do(s.ro, "PATCH", "/api/v1/dsr/settings", `{"law":"PIPA"}`).want(403)
	s.do(s.rw, "PATCH", "/api/v1/dsr/settings", `{"law":"PIPA","timeZone":"Asia/Seoul","holidays":["2026-05-05"]}`, "If-Match: "+set.header.Get("ETag")).want(200).is("law", "PIPA")
	s.do(s.rw, "PATCH", "/api/v1/dsr/settings", `{"law":"GDPR"}`, "If-Match: "+set.header.Get("ETag")).problem(412, "", "")
	second := "/api/v1/dsr/" + s.post("/api/v1/dsr", `{"kind":"access","name":"Anna Kim","identifiers":[{"type":"user","value":"akim"}]}`).want(201).is("law", "PIPA").text("id")
	s.do(s.rw, "PATCH", second, `{"extension":"archives abroad"}`).want(400)
	s.do(s.rw, "PATCH", second, `{"extension":"archives abroad","extensionToldOn":"2026-04-22"}`).want(200).is("extensionToldOn", "2026-04-22")
}
