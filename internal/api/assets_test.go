package api

import (
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// observed lets both inventories see one event of a tenant.
func (s *server) observed(number uint32, fields ...string) {
	s.t.Helper()
	e := event.Event{Tenant: number, Time: noon.UnixNano(), Arrived: noon.UnixNano()}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	a, p := (&Config{DB: s.db, Log: s.cfg.Log, Now: s.now}), &Config{DB: s.db, Log: s.cfg.Log, Now: s.now}
	a.openAssets()
	p.openIdentities()
	a.Assets.Observe(&e)
	p.Principals.Observe(&e)
	if err := a.Assets.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if err := p.Principals.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.get("/api/v1/assets").is("content", []any{}).is("totalElements", 0)
	s.observed(s.a.Number, "source", "sshd", "host", "web-01", "host_ip", "10.0.0.5", "user", "root", "action", "login", "outcome", "success", "src_ip", "10.0.0.9")
	s.observed(s.a.Number, "source", "nginx", "host", "web-02")
	s.record(noon, bruteForce(s.a, "10.0.0.5"))
	s.get("/api/v1/assets?search=10.0.0.0/29&type=SERVER&sort=name&direction=asc").is("totalElements", 1).is("content.0.name", "web-01").is("content.0.os", "Linux").is("content.0.criticality", "medium").is("content.0.sources", []string{"sshd"})
	s.get("/api/v1/assets?sort=colour").problem(400, "Invalid sort value", "")
	web := s.get("/api/v1/assets?search=web-01").text("content.0.id")
	two := s.get("/api/v1/assets?search=web-02").text("content.0.id")
	d := s.get("/api/v1/assets/"+web).want(200).is("identities.0.key", "root").is("mergedInto", nil)
	d.is("alerts.0.title", "Brute Force Authentication Attempt")
	s.do(s.foreign, "GET", "/api/v1/assets/"+web, "").problem(404, "Not found", "Resource not found")
	tag := d.header.Get("ETag")
	s.do(s.rw, "PATCH", "/api/v1/assets/"+web, `{"owner":"anna","criticality":"critical","tags":["pci"]}`, "If-Match: "+tag).want(200).is("owner", "anna").is("version", 2)
	s.do(s.rw, "PATCH", "/api/v1/assets/"+web, `{"owner":"bob"}`, "If-Match: "+tag).problem(412, "Precondition failed", "")
	s.do(s.rw, "PATCH", "/api/v1/assets/"+web, `{"type":"spaceship"}`).problem(400, "Invalid type value", "")
	s.do(s.ro, "PATCH", "/api/v1/assets/"+web, `{"owner":"bob"}`).problem(403, "", "")
	s.post("/api/v1/assets/"+web+"/merge", `{"assets":["`+two+`"],"reason":"renamed"}`).want(200).is("merges.0.reason", "renamed")
	s.get("/api/v1/assets?tag=pci&owner=anna&criticality=critical&source=nginx").is("totalElements", 1)
	s.post("/api/v1/assets/"+two+"/unmerge", `{"reason":"no"}`).want(200).is("mergedInto", nil)
	csv := "name,owner\nweb-02,carl\n,x\n"
	s.post("/api/v1/assets/import", csv, "Content-Type: text/csv").want(200).is("errors.0.line", 3).is("created", 0)
	s.post("/api/v1/assets/import", csv[:len(csv)-len(",x\n")], "Content-Type: text/csv").want(200).is("updated", 1).is("dryRun", false)
	s.get("/api/v1/assets/"+two).is("owner", "carl")
	if body := s.get("/api/v1/export/assets?format=csv&search=web-01").want(200).body; !strings.HasPrefix(body, "id,name,type,os,addresses,") || !strings.Contains(body, "web-01,server,Linux") {
		t.Errorf("export: %s", body)
	}
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.get("/api/v1/identities").is("content", []any{}).is("totalElements", 0)
	s.observed(s.a.Number, "host", "web-01", "user", `CORP\bob`, "action", "login", "outcome", "success", "src_ip", "10.0.0.9")
	s.observed(s.a.Number, "host", "web-01", "user", `CORP\bob`, "action", "login", "outcome", "failure", "src_ip", "203.0.113.9")
	list := s.get("/api/v1/identities?privileged=false&dormant=false&domain=CORP&search=BOB&sort=failedSignIns24h").is("totalElements", 1).
		is("content.0.key", `corp\bob`).is("content.0.failedSignIns24h", 1).is("content.0.usualSources", []string{"10.0.0.9"}).is("content.0.lastSignInFrom", "10.0.0.9")
	bob := "/api/v1/identities/" + list.text("content.0.id")
	s.get(bob).want(200).is("hosts.0.value", "web-01")
	s.do(s.foreign, "GET", bob, "").problem(404, "Not found", "Resource not found")
	s.do(s.rw, "PATCH", bob, `{"privileged":"yes","status":"watched"}`).want(200).is("privileged", true).is("privilegedOverride", true).is("status", "watched")
	s.do(s.rw, "PATCH", bob, `{"status":"asleep"}`).problem(400, "Invalid status value", "")
	s.do(s.rw, "PUT", "/api/v1/identities/settings", `{"dormantDays":0}`).problem(400, "Invalid dormantDays value", "")
	s.do(s.rw, "PUT", "/api/v1/identities/settings", `{"dormantDays":30}`).want(200)
	s.get("/api/v1/identities/settings").is("dormantDays", 30)
	if body := s.get("/api/v1/export/identities?format=json").want(200).body; !strings.Contains(body, `"key":"corp\\bob"`) {
		t.Errorf("export: %s", body)
	}
}
