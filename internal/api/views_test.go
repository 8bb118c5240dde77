package api

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func TestSavedViews(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	admin, analyst, auditor, other := s.person(s.a, identity.Admin), s.person(s.a, identity.Analyst), s.person(s.a, identity.Auditor), s.person(s.b, identity.Admin)
	const path = "/api/v1/views"
	made := s.do("", "POST", path, `{"kind":"ALERTS","name":"Night","query":"?severity=high","shared":true}`, analyst).want(201).is("query", "severity=high").is("own", true).is("kind", "alerts")
	where := made.header.Get("Location")
	s.do("", "POST", path, `{"kind":"search","name":"ssh","query":"q=program:sshd"}`, analyst).want(201)
	s.do("", "POST", path, `{"kind":"alerts","name":"night","query":""}`, analyst).problem(409, "Conflict", `You have a view named "night" already`)
	s.do("", "POST", path, `{"kind":"walls","name":"x","query":""}`, analyst).want(400)
	s.do("", "GET", path, "", analyst).want(200).is("views.0.name", "Night").is("views.1.name", "ssh")
	s.do("", "GET", path+"?kind=alerts", "", admin).want(200).is("views.0.owner", "Analyst").is("views.0.own", false)
	s.do("", "GET", path, "", auditor).want(200).is("views", []any{}) // may not read alerts
	s.do("", "GET", path, "", other).want(200).is("views", []any{})
	s.do("", "PATCH", where, `{"shared":false}`, other).want(404)
	s.do("", "PATCH", where, `{"name":"Late"}`, admin, `If-Match: "7"`).want(412)
	s.do("", "PATCH", where, `{"name":"Late"}`, admin, `If-Match: "1"`).want(200).is("name", "Late").is("version", 2)
	s.do("", "PATCH", where, `{"shared":false}`, analyst).want(200)
	s.do("", "PATCH", where, `{"name":"mine now"}`, admin).want(404)
	s.do("", "DELETE", where, "", analyst).want(204)
	s.do(s.rw, "GET", path, "").want(403) // of people, not of keys
	s.get("/api/v1/audit-logs?action=view").want(200).is("content.0.action", "view.delete").is("totalElements", 5)
}

func TestRetentionIsTried(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, ago := range []int{1, 40, 80} {
		s.event(s.a, noon.AddDate(0, 0, -ago), "program", "sshd")
	}
	s.get("/api/v1/tenant/retention").want(200).is("eventDays", 90).is("days", 90).is("events", 3).is("removes", 0).is("alerts", "forever").is("appliedAt", nil).is("held", false)
	s.get("/api/v1/tenant/retention?days=30").want(200).is("removes", 2)
	s.get("/api/v1/tenant/retention").want(200).is("events", 3)
	s.get("/api/v1/tenant/retention?days=-1").want(400)
	s.get("/api/v1/tenant").want(200).is("usage.apiKeys", 2).is("usage.collectors", 0).is("usage.logSources", 0)
}

func TestAlertsByPriority(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	finding := func(title, severity string) alert.Finding {
		return alert.Finding{Tenant: s.a.Number, Rule: alert.RuleRef{ID: title, Name: title, Version: 1}, Title: title, Severity: severity, Key: title, First: noon.UnixNano(), Last: noon.UnixNano(), Count: 1}
	}
	s.record(noon.Add(-72*time.Hour), finding("old", "high"))
	s.record(noon, finding("new", "critical"), finding("low", "low"), finding("fresh", "high"))
	got := s.get("/api/v1/alerts?sort=priority&include=triage").want(200)
	for i, want := range []string{"new", "old", "fresh", "low"} {
		got.is("content."+string(rune('0'+i))+".title", want)
	}
	got.is("content.1.triage.priority.score", 56).is("content.1.triage.priority.parts.0.name", "severity").is("content.1.triage.priority.parts.1.reason", "nobody has taken it for 3 d")
	s.get("/api/v1/alerts?sort=priority&direction=asc&size=1").want(200).is("content.0.title", "low").is("totalElements", 4)
	s.get("/api/v1/alerts?sort=Priority&size=3&page=1").want(200).is("content.0.title", "low")
}

func TestDemoSwitch(t *testing.T) {
	t.Parallel()
	var s *server
	var of, removed *tenant.Tenant
	start := func(ctx context.Context, number uint32, kind string) (*job.Job, error) {
		return s.cfg.Jobs.Start(ctx, number, "test", job.Draft{Kind: kind, Subject: "demo"})
	}
	s = newServer(t, func(c *Config) {
		kinds := map[string]job.Kind{}
		for _, k := range DemoJobs {
			kinds[k] = job.Kind{Work: func(context.Context, *job.Task) (any, error) { return nil, nil }}
		}
		c.Jobs = job.New(c.DB, job.Config{Log: c.Log}, kinds)
		c.Demo = Demo{
			Load: func(ctx context.Context, actor string, t *tenant.Tenant) (*job.Job, error) {
				of = t
				if _, err := c.Tenants.CreateDemo(ctx, actor, t); err != nil {
					return nil, err
				}
				return start(ctx, t.Number, DemoJobs[0])
			},
			Remove: func(ctx context.Context, actor string, d *tenant.Demo) (*job.Job, error) {
				removed, _ = c.Tenants.ByNumber(ctx, d.Number)
				return start(ctx, d.Of, DemoJobs[1])
			},
		}
	})
	const path = "/api/v1/demo"
	admin, analyst := s.person(s.a, identity.Admin), s.person(s.a, identity.Analyst)
	s.do("", "GET", path, "", admin).want(200).is("on", false).is("tenantId", nil).is("jobId", nil)
	s.do("", "DELETE", path, "", admin).want(404)
	s.do("", "POST", path, "", analyst).want(403)
	made := s.do("", "POST", path, "", admin).want(202).is("on", true).is("name", "Demo: A").is("of", s.a.ID).is("events", 0)
	if of.Number != s.a.Number || made.text("jobId") == "" {
		t.Errorf("loaded for %+v: %s", of, made.body)
	}
	s.do("", "POST", path, "", admin).want(409)   // it is being loaded
	s.do("", "DELETE", path, "", admin).want(202) // which ends that
	if removed == nil || !strings.HasPrefix(removed.Name, "Demo") {
		t.Errorf("removed %+v", removed)
	}
	s.do("", "DELETE", path, "", admin).want(409) // it is being removed
	s.do(s.foreign, "GET", path, "").want(200).is("on", false)

	if _, err := (&api{}).loadDemo(t.Context(), nil, nil); !errors.Is(err, errNoDemos) {
		t.Errorf("another process: %v", err)
	}
}
