package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/vault"
)

func TestIncidentWork(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.Incidents.SetVault(v)
	path := s.post("/api/v1/incidents", `{"title":"Phishing","severity":"high"}`).want(201).header.Get("Location")

	task := s.post(path+"/tasks", `{"title":"Reset the password","assignedTo":"kim","dueAt":"2036-01-01T00:00:00+09:00"}`).want(201).
		is("status", "TODO").is("assignedTo", "kim").is("dueAt", "2035-12-31T15:00:00Z").is("doneAt", nil).is("note", "")
	exactly(t, "a task", task.json(), "id", "title", "note", "status", "assignedTo", "dueAt", "doneAt", "createdBy", "createdAt", "updatedAt")
	at := task.header.Get("Location")
	s.do(s.rw, "PATCH", at, `{"status":"done","assignedTo":null,"dueAt":null}`).want(200).is("status", "DONE").is("assignedTo", nil).is("dueAt", nil).is("title", "Reset the password")
	s.do(s.rw, "PATCH", at, `{"status":"later"}`).problem(400, "Invalid status value", "Allowed: TODO, DOING, DONE, SKIPPED")
	s.do(s.foreign, "PATCH", at, `{"status":"done"}`).problem(404, "", "")
	s.do(s.ro, "PATCH", at, `{"status":"done"}`).problem(403, "Forbidden", "")

	file := s.post(path+"/evidence?name=mail.eml&note=hers", "From: x", "Content-Type: application/octet-stream").want(201).
		is("name", "mail.eml").is("size", 7).is("note", "hers").is("mediaType", "text/plain; charset=utf-8")
	exactly(t, "evidence", file.json(), "id", "name", "mediaType", "size", "sha256", "note", "addedBy", "addedAt")
	got := s.get(file.header.Get("Location")).want(200)
	if got.body != "From: x" || got.header.Get("Content-Type") != "application/octet-stream" || got.header.Get("Content-Disposition") != "attachment; filename=mail.eml" || !strings.HasPrefix(got.header.Get("Repr-Digest"), "sha-256=:") {
		t.Errorf("the file is %q with %v", got.body, got.header)
	}
	form := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhello\r\n--b--\r\n"
	s.post(path+"/evidence", form, "Content-Type: multipart/form-data; boundary=b").want(201).is("name", "a.txt").is("size", 5)
	s.post(path+"/evidence?name=x", "", "Content-Type: application/octet-stream").problem(400, "", "")
	s.do(s.foreign, "GET", file.header.Get("Location"), "").problem(404, "", "")
	s.get(path).want(200).is("tasks.0.status", "DONE").is("evidence.0.name", "mail.eml").is("splitFrom", nil).is("overdueAt", nil)
	s.do(s.rw, "DELETE", file.header.Get("Location"), "").want(204)
	s.get(file.header.Get("Location")).problem(404, "", "")
}

func TestSplitAndRelated(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alerts := s.record(noon, bruteForce(s.a, "10.0.1.1"), bruteForce(s.a, "10.0.1.2"))
	list := s.get("/api/v1/incidents").want(200)
	path := "/api/v1/incidents/" + list.text("content.0.id")
	made := s.post(path+"/split", fmt.Sprintf(`{"alertIds":[%q],"title":"apart"}`, alerts[1])).want(201).is("title", "apart").is("alertCount", 1).is("splitFrom", list.text("content.0.id"))
	s.get(path).want(200).is("alertCount", 1)
	s.post(path+"/split", fmt.Sprintf(`{"alertIds":[%q]}`, alerts[0])).problem(400, "", "These are all alerts of the incident: leave at least one in it")
	s.get(path + "/related").want(200)
	s.post(path+"/merge", fmt.Sprintf(`{"incidentIds":[%q]}`, made.text("id"))).want(200).is("alertCount", 2)
}

func TestIncidentFiguresAndSettings(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.record(noon, bruteForce(s.a, "10.0.1.1"))
	f := s.get("/api/v1/incidents/stats").want(200).is("open", 1).is("unassigned", 1).is("mttr.count", 0).is("mttr.meanSeconds", nil).is("sla.percent", nil).is("bySeverity.0.severity", "critical")
	exactly(t, "figures", f.json(), "from", "to", "created", "closed", "open", "unassigned", "overdue", "createdToday", "mtta", "mttc", "mttr", "sla", "bySeverity")
	s.get("/api/v1/incidents/stats?from=2026-04-22T00:00:00Z&to=2026-04-22T00:00:00Z").problem(400, "Invalid from value", "Allowed: a time before to")

	set := s.get("/api/v1/incident-settings").want(200).is("slaMinutes.critical", 240).is("grouping", "rule")
	changed := s.do(s.rw, "PATCH", "/api/v1/incident-settings", `{"slaMinutes":{"critical":30,"high":60,"medium":600,"low":6000},"grouping":"entity"}`, "If-Match: "+set.header.Get("ETag")).want(200).
		is("slaMinutes.critical", 30).is("grouping", "entity")
	s.do(s.rw, "PATCH", "/api/v1/incident-settings", `{"grouping":"rule"}`, "If-Match: "+set.header.Get("ETag")).problem(412, "", "")
	s.do(s.rw, "PATCH", "/api/v1/incident-settings", `{"grouping":"rule"}`, "If-Match: "+changed.header.Get("ETag")).want(200).is("slaMinutes.high", 60)
	s.do(s.rw, "PATCH", "/api/v1/incident-settings", `{"slaMinutes":{"critical":0,"high":60,"medium":600,"low":6000}}`).problem(400, "Invalid slaMinutes.critical value", "Allowed: 1 to 525600 minutes")
	s.do(s.foreign, "GET", "/api/v1/incident-settings", "").want(200).is("slaMinutes.critical", 240)
	s.post("/api/v1/incidents", `{"title":"x","severity":"critical"}`).want(201)
}

func TestChangesAreAFeed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	begin := s.get("/api/v1/changes").want(200).is("changes", []any{}).is("more", false).text("next")
	alerts := s.record(noon, bruteForce(s.a, "10.0.1.1"))
	s.do(s.rw, "PATCH", "/api/v1/alerts/"+alerts[0], `{"status":"IN_PROGRESS"}`).want(200)
	all := s.get("/api/v1/changes?after="+begin+"&kind=alert").want(200).
		is("changes.0.kind", "alert").is("changes.0.action", "create").is("changes.0.id", alerts[0]).is("changes.0.actor", "system").
		is("changes.1.action", "update").is("changes.1.id", alerts[0])
	exactly(t, "a change", all.at("changes.0"), "seq", "kind", "id", "action", "actor", "at")
	s.get("/api/v1/changes?after="+all.text("next")).want(200).is("changes", []any{}).is("next", all.at("next"))
	one := s.get("/api/v1/changes?limit=1&after="+begin).want(200).is("more", true)
	s.get("/api/v1/changes?after="+one.text("next")).want(200).is("more", false)
	s.do(s.foreign, "GET", "/api/v1/changes?after=0&kind=alert", "").want(200).is("changes", []any{})
	s.get("/api/v1/changes?after=-2").problem(400, "Invalid after value", "")
}
