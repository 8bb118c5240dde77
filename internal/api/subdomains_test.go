package api

import (
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/exposure"
	"github.com/kyra-mdr/kyra/internal/risk"
)

func (s *server) risk() *risk.Service {
	return risk.New(risk.Config{DB: s.db, Alerts: s.cfg.Alerts, Log: s.cfg.Log, Now: s.now})
}

func TestSubdomains(t *testing.T) {
	var found *exposure.Service
	s := newServer(t, func(c *Config) {
		found = exposure.New(exposure.Config{DB: c.DB, Log: c.Log, Now: c.Now})
		c.Exposure = found
	})
	made := s.post("/api/v1/domains", `{"name":"Example.com","goneAfterDays":30}`).want(201)
	d := made.header.Get("Location")
	if made.text("name") != "example.com" || made.text("verification.name") != "_kyra-verify.example.com" || !strings.HasPrefix(made.text("verification.value"), "kyra-verify=") {
		t.Fatal(made.body)
	}
	golden(t, "domains.json", steady(t, strings.ReplaceAll(s.get("/api/v1/domains").want(200).body, made.text("verification.value"), "kyra-verify=token")))
	s.post("/api/v1/domains", `{"name":"example.com"}`).want(409)
	s.post("/api/v1/domains", `{"name":"co.uk"}`).want(400)
	s.post("/api/v1/domains", `{"name":"example.org","activeChecks":true}`).want(409)
	s.post(d+"/check", "").want(409)
	s.do(s.rw, "PATCH", d, `{"activeChecks":true}`).want(409)
	s.do(s.rw, "PATCH", d, `{"learningHours":0}`, "If-Match: "+s.get(d).header.Get("ETag")).want(200)
	s.do(s.foreign, "GET", d, "").want(404)

	e := &event.Event{Tenant: s.a.Number, Time: noon.UnixNano(), Arrived: noon.UnixNano()}
	e.Add(event.TLSSNI, "VPN.example.com")
	e.Add(event.DstIP, "203.0.113.7")
	found.Observe(e)
	if err := found.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := s.get("/api/v1/subdomains?domain=example.com&state=new&source=tls&search=203.0").want(200)
	golden(t, "subdomains.json", steady(t, list.body))
	one := "/api/v1/subdomains/" + list.text("content.0.id")
	detail := s.get(one).want(200)
	golden(t, "subdomain.json", steady(t, detail.body))
	s.do(s.foreign, "GET", one, "").want(404)
	s.do(s.ro, "PATCH", one, `{"state":"known"}`).want(403)
	s.do(s.rw, "PATCH", one, `{"state":"KNOWN","notes":"the gate"}`, "If-Match: "+detail.header.Get("ETag")).want(200)
	s.do(s.rw, "PATCH", one, `{"state":"new"}`, "If-Match: "+detail.header.Get("ETag")).want(412)
	s.do(s.rw, "PATCH", one, `{"state":"lost"}`).want(400)
	for _, bad := range []string{"state=lost", "source=rumour", "sort=colour", "colour=red"} {
		s.get("/api/v1/subdomains?" + bad).want(400)
	}

	if got := s.post("/api/v1/subdomains/import?dryRun=true", "a.example.com\nb.example.com\n", "Content-Type: text/plain").want(200); got.text("created") != "2" {
		t.Fatal(got.body)
	}
	if got := s.post("/api/v1/subdomains/import", "name,state\na.example.com,ignored\n", "Content-Type: text/csv").want(200); got.text("created") != "1" {
		t.Fatal(got.body)
	}
	if got := s.post("/api/v1/subdomains/import", "www.example.org\n", "Content-Type: text/plain").want(200); got.text("errors.0.line") != "1" || got.text("created") != "0" {
		t.Fatal(got.body)
	}
	if got := s.get("/api/v1/export/subdomains?format=csv&sort=name").status; got != 400 {
		t.Fatalf("sort is none of the filters: %d", got)
	}
	if got := s.get("/api/v1/export/subdomains?format=csv&state=known").want(200).body; !strings.Contains(got, ",vpn.example.com,example.com,known,") {
		t.Fatalf("export: %s", got)
	}
	s.do(s.rw, "DELETE", d, "").want(204)
	if got := s.get("/api/v1/subdomains").want(200).text("totalElements"); got != "0" {
		t.Fatalf("%s names of no domain", got)
	}
}
