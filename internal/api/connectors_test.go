package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestConnectors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var mu sync.Mutex
	var got []string
	rc := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Authorization")+" "+string(body))
		if r.Header.Get("Authorization") == "Bearer wrong" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer rc.Close()
	conf := `"kind":"HTTP","config":{"url":"` + rc.URL + `/in","auth":"bearer","secret":"s3cret","severity":["High"]}`
	s.post("/api/v1/connectors/test", `{`+conf+`}`).want(200).is("success", true).is("checks.0.name", "connectivity").is("checks.1.status", "ok")
	s.post("/api/v1/connectors/test", `{"kind":"http","config":{"url":"`+rc.URL+`","auth":"bearer","secret":"wrong"}}`).want(200).is("success", false).is("checks.0.status", "ok").is("checks.1.status", "failed")
	made := s.post("/api/v1/connectors", `{"name":"SIEM",`+conf+`}`).want(201)
	if strings.Contains(made.body, "s3cret") {
		t.Errorf("the secret is shown: %s", made.body)
	}
	golden(t, "connector.json", steady(t, strings.ReplaceAll(made.body, strings.TrimPrefix(rc.URL, "http://"), "siem.example")))
	id := made.text("id")
	path := "/api/v1/connectors/" + id
	made.is("config.severity.0", "high").is("config.method", "POST").is("secrets.0", "secret").is("health", "unknown")
	s.get("/api/v1/connectors?kind=http&enabled=true&health=unknown&search=sie").want(200).is("totalElements", 1)
	s.get("/api/v1/connectors/kinds").want(200)

	s.happen(s.alertMessage("quiet", "low"), s.alertMessage("loud", "high"))
	log := s.get(path+"/deliveries").want(200).is("totalElements", 1)
	if !strings.Contains(log.body, "loud") {
		t.Errorf("log %s", log.body)
	}
	s.post(path+"/test", "").want(200).is("success", true)
	s.get(path+"/health").want(200).is("status", "ok").is("history.0.status", "ok")
	s.get(path+"/metrics").want(200).is("windows.0.window", "1m").is("windows.3.window", "1h").is("windows.3.sent", 0)

	// Where the target changes, no stored secret goes along.
	s.do(s.rw, "PATCH", path, `{"config":{"url":"`+rc.URL+`/other","auth":"bearer"}}`).want(400).is("error", "Invalid config.secret value")
	s.do(s.rw, "PATCH", path, `{"config":{"url":"`+rc.URL+`/in","auth":"bearer","method":"put"}}`).want(200).is("config.method", "PUT").is("secrets.0", "secret")
	s.do(s.rw, "PATCH", path, `{"config":{"url":"`+rc.URL+`/in","secret":null}}`).want(200).is("secrets", []any{}).is("config.auth", "none")
	s.do(s.ro, "PATCH", path, `{"enabled":false}`).want(403)
	s.do(s.foreign, "PATCH", path, `{"enabled":false}`).want(404)
	for _, call := range []string{"/health", "/metrics", "/deliveries"} {
		s.do(s.foreign, "GET", path+call, "").want(404)
	}
	s.do(s.foreign, "POST", path+"/test", "").want(404)
	s.do(s.rw, "DELETE", path, "").want(204)
	s.get(path).want(404)
}

func TestConnectorFaults(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, c := range []struct{ body, fault string }{
		{`{"name":"X","kind":"ftp","config":{}}`, "Invalid kind value"},
		{`{"name":"X","kind":"smtp","config":{"host":"mail.example.com"}}`, "Invalid config.from value"},
		{`{"name":"X","kind":"smtp","config":{"host":"mail.example.com","from":"a@example.com","username":"u"}}`, "Invalid config.password value"},
		{`{"name":"X","kind":"smtp","config":{"host":"mail.example.com","from":"a@example.com\r\nBcc: x"}}`, "Invalid config.from value"},
		{`{"name":"X","kind":"smtp","config":{"host":"a b","from":"a@example.com"}}`, "Invalid config.host value"},
		{`{"name":"X","kind":"smtp","config":{"host":"mail.example.com","from":"a@example.com","port":0}}`, "Invalid config.port value"},
		{`{"name":"X","kind":"smtp","config":{"host":"mail.example.com","from":"a@example.com","port":"25"}}`, "Invalid config.port value"},
		{`{"name":"X","kind":"smtp","config":{"host":"mail.example.com","from":"a@example.com","smtp":1}}`, "Invalid config.smtp value"},
		{`{"name":"X","kind":"slack","config":{}}`, "Invalid config.url value"},
		{`{"name":"X","kind":"slack","config":{"url":"https://169.254.169.254/"}}`, "Invalid config.url value"},
		{`{"name":"X","kind":"http","config":{"url":"https://example.com","events":["alert.created","no.such"]}}`, "Invalid config.events value"},
		{`{"name":"X","kind":"http","config":{"url":"https://example.com","auth":"header","secret":"x","header":"Host"}}`, "Invalid config.header value"},
		{`{"name":"X","kind":"syslog","config":{"host":"log.example.com","ca":"no certificate"}}`, "Invalid config.ca value"},
		{`{"name":"X","kind":"s3","config":{"endpoint":"https://s3.example.com","bucket":"B","accessKey":"k","secretKey":"s"}}`, "Invalid config.bucket value"},
		{`{"name":"X","kind":"s3","config":{"endpoint":"https://s3.example.com","bucket":"bucket","accessKey":"k","secretKey":"s","query":"user:("}}`, "Invalid config.query value"},
		{`{"name":"X","kind":"syslog","config":{"host":"siem.example.com","query":"user:("}}`, "Invalid config.query value"},
		{`{"name":"X","kind":"syslog","config":{"host":"siem.example.com","eventFormat":"xml"}}`, "Invalid config.eventFormat value"},
		{`{"name":"","kind":"slack","config":{"url":"https://hooks.slack.com/x"}}`, "Invalid name value"},
	} {
		s.post("/api/v1/connectors", c.body).want(400).is("error", c.fault)
	}
}
