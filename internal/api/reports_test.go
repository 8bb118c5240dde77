package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/report"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// reporting is a server that makes reports.
func reporting(t *testing.T) *server {
	t.Helper()
	var made *report.Service
	s := newServer(t)
	files, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	judge := compliance.New(compliance.Config{DB: s.db, Now: s.now})
	made = report.New(report.Config{
		DB: s.db, Alerts: s.cfg.Alerts, Files: files, Now: s.now,
		Builder: &report.Builder{Tenants: s.tenantSvc, Compliance: judge, Evidence: evidence.New(evidence.Config{DB: s.db, Compliance: judge, Now: s.now}), Incidents: s.cfg.Incidents, Version: "0.1.0"},
	})
	made.Jobs = job.New(s.db, job.Config{Now: s.now, Poll: 20 * time.Millisecond}, made.Kinds())
	s.cfg.Reports, s.cfg.Jobs, s.cfg.Compliance = made, made.Jobs, judge
	if s.h, err = New(s.cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestComplianceReport(t *testing.T) {
	s := reporting(t)
	const path = "/api/v1/compliance/isms-p/report"
	a := s.get(path).want(200)
	if !strings.HasPrefix(a.body, "%PDF-") || a.header.Get("Content-Type") != "application/pdf" || a.header.Get("Content-Language") != "ko" || !strings.Contains(a.header.Get("Content-Disposition"), "ismsp-core-") {
		t.Errorf("%v", a.header)
	}
	s.pass(time.Minute)
	b := s.get(path).want(200)
	if a.body != b.body || a.header.Get("ETag") != b.header.Get("ETag") || a.header.Get("ETag") == "" {
		t.Error("the same state gives another report")
	}
	if c := s.do(s.ro, http.MethodGet, path, "", "If-None-Match: "+a.header.Get("ETag")).want(304); c.body != "" {
		t.Error("304 with a body")
	}
	if c := s.get(path + "?lang=en&profile=full").want(200); c.header.Get("Content-Language") != "en" || c.header.Get("ETag") == a.header.Get("ETag") {
		t.Error("another language and profile is the same report")
	}
	page := s.do(s.ro, http.MethodGet, path, "", "Accept: text/html", "Accept-Language: en").want(200)
	if !strings.HasPrefix(page.body, "<!DOCTYPE html>") || !strings.Contains(page.body, `<html lang="en">`) || strings.Contains(page.body, "<script") || strings.Contains(page.body, "http://") && strings.Contains(page.body, "src=") {
		t.Errorf("%.300s", page.body)
	}
	if got := page.header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") {
		t.Error(got)
	}
	s.get("/api/v1/compliance/nothing/report").problem(404, "", "")
	s.get(path+"?timeZone=Mars").problem(400, "", "")
	s.get(path+"?from=2026-05-01T00:00:00Z&to=2026-04-01T00:00:00Z").problem(400, "", "")
	s.get(path+"?format=doc").problem(400, "", "")
}

func TestReports(t *testing.T) {
	s := reporting(t)
	s.post("/api/v1/reports", `{"name":"Week","kind":"nothing"}`).want(400)
	s.post("/api/v1/reports", `{"name":"Week","kind":"compliance","framework":"XYZ"}`).want(400)
	made := s.post("/api/v1/reports", `{"name":"Week","kind":"executive","every":"weekly","timeZone":"Asia/Seoul","formats":["pdf","csv"],"language":"ko"}`).want(201)
	made.is("nextAt", "2026-04-26T22:00:00Z").is("enabled", true).is("weekday", 1.0).is("channelId", nil)
	path := made.header.Get("Location")
	s.post("/api/v1/reports", `{"name":"week","kind":"executive"}`).want(409)
	s.get("/api/v1/reports").want(200).is("totalElements", 1.0)
	s.do(s.foreign, "GET", path, "").want(404)
	one := s.get(path).want(200)
	s.do(s.rw, "PATCH", path, `{"every":"monthly","dayOfMonth":5}`, "If-Match: "+one.header.Get("ETag")).want(200).is("nextAt", "2026-05-04T22:00:00Z")
	s.do(s.rw, "PATCH", path, `{"every":"daily"}`, "If-Match: "+one.header.Get("ETag")).want(412)
	s.do(s.ro, "POST", path+"/run", "").want(403)
	begun := s.do(s.rw, "POST", path+"/run", `{"from":"2026-04-01T00:00:00+09:00","to":"2026-04-08T00:00:00+09:00"}`).want(202).is("kind", "report")
	run := "/api/v1/report-runs/" + begun.text("subject")
	s.get(run).want(200).is("state", "QUEUED").is("from", "2026-03-31T15:00:00Z")
	s.get(run + "/file").want(409)
	s.get("/api/v1/report-runs?kind=executive&state=QUEUED").want(200).is("totalElements", 1.0)
	s.do(s.rw, "DELETE", begun.header.Get("Location"), "").want(204)
	s.get(run).want(200).is("state", "CANCELLED")
	s.do(s.foreign, "GET", run, "").want(404)
	s.post("/api/v1/report-runs", `{"name":"Once","kind":"threatLandscape"}`).want(202)
	s.do(s.rw, "DELETE", path, "").want(204)
	s.get(path).want(404)
}
