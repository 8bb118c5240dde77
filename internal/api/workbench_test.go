package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// working makes a server whose jobs are run until the test ends.
func working(t *testing.T) *server {
	t.Helper()
	s := newServer(t, func(c *Config) {
		c.Workbench = workbench.New(workbench.Config{
			Events: c.Events, Rules: c.Rules, Log: c.Log, Now: c.Now, Alerts: c.Alerts.ByTechnique,
			Blind: func(_ context.Context, _ uint32, rules []rule.Active) (map[string]string, error) {
				blind := map[string]string{}
				for _, r := range rules {
					if strings.Contains(r.YAML, "product: windows") {
						blind[r.ID] = "no events of windows have arrived in the last 7 days"
					}
				}
				return blind, nil
			},
		})
		c.Jobs = job.New(c.DB, job.Config{Log: c.Log, Now: c.Now, Poll: 5 * time.Millisecond}, c.Workbench.Kinds())
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.cfg.Jobs.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// ended waits for a job to end.
func (s *server) ended(path string) *answerTo {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		a := s.get(path).want(200)
		if job.State(a.text("state")).Ended() {
			return a
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the job does not end: %s", a.body)
		}
	}
}

const bruteForceRule = `title: Failed login
name: failed
logsource: {product: linux, service: sshd}
detection:
  failed: {action: login, outcome: failure}
  condition: failed
---
title: Brute force
level: high
tags: [attack.credential_access, attack.t1110.001]
correlation:
  type: event_count
  rules: [failed]
  group-by: [src_ip]
  timespan: 5m
  condition: {gte: 5}
`

// failures stores failed logins of tenant a, one each second up to a time.
func (s *server) failures(n int, end time.Time, src string) []event.ID {
	s.t.Helper()
	var ids []event.ID
	for i := range n {
		ids = append(ids, s.event(s.a, end.Add(time.Duration(i-n)*time.Second), "source", "sshd", "program", "sshd", "host", "web-01", "action", "login", "outcome", "failure",
			"src_ip", src, "user", "root", "message", "Failed password for root from "+src+" port 22 ssh2"))
	}
	return ids
}

func body(t *testing.T, pairs ...any) string {
	t.Helper()
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBacktestRule(t *testing.T) {
	t.Parallel()
	s := working(t)
	s.failures(7, noon.Add(-time.Hour), "203.0.113.9")
	s.failures(3, noon.Add(-26*time.Hour), "203.0.113.8")
	s.failures(9, noon.Add(-9*24*time.Hour), "203.0.113.7") // before the last 7 days
	a := s.post("/api/v1/siem/rules/backtest", body(t, "rule", bruteForceRule)).want(202)
	path := a.header.Get("Location")
	if path != "/api/v1/jobs/"+a.text("id") {
		t.Errorf("Location is %q", path)
	}
	a.is("kind", "backtest").is("subject", "").is("createdBy", "key:A read-write").is("result", nil)
	a = s.ended(path)
	a.is("state", "DONE").is("reason", "").is("progress.done", 10).is("progress.total", 10).is("attempt", 1).
		is("result.matches", 10).is("result.alerts", 1).is("result.eventsRead", 10).is("result.partial", "").
		is("result.rule", map[string]string{"id": "", "title": "Brute force"}).
		is("result.byDay", []any{map[string]any{"day": "2026-04-21", "matches": 3, "alerts": 0}, map[string]any{"day": "2026-04-22", "matches": 7, "alerts": 1}}).
		is("result.byUser", []any{map[string]any{"value": "root", "matches": 10}}).is("result.alertSamples.0.count", 7).is("result.cost.evaluations", 10)
	exactly(t, "a job", a.json(), "id", "kind", "subject", "state", "reason", "cancelling", "progress", "attempt", "createdBy", "createdAt", "startedAt", "endedAt", "result")
	s.get("/api/v1/siem/events/" + a.text("result.samples.0.id")).want(200)

	s.ended(s.post("/api/v1/siem/rules/backtest", body(t, "rule", bruteForceRule, "fromTime", "2026-04-01T00:00:00Z", "toTime", "2026-04-20T00:00:00+09:00", "query", "src_ip:203.0.113.7")).want(202).header.Get("Location")).
		is("result.matches", 9).is("result.from", "2026-04-01T00:00:00Z").is("result.to", "2026-04-19T15:00:00Z")

	list := s.get("/api/v1/jobs?kind=backtest&state=done").want(200).is("totalElements", 2)
	if _, has := list.at("content.0").(map[string]any)["result"]; has {
		t.Error("a list carries results")
	}
	s.get("/api/v1/jobs?state=failed,running").is("totalElements", 0)
	s.get("/api/v1/jobs?state=gone").problem(400, "Invalid state value", "Allowed: QUEUED, RUNNING, DONE, FAILED, CANCELLED")
	s.do(s.foreign, "GET", "/api/v1/jobs", "").is("totalElements", 0)
	s.do(s.foreign, "GET", path, "").problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "DELETE", path, "").problem(404, "Not found", "Resource not found")
	s.do(s.ro, "DELETE", path, "").problem(403, "Forbidden", "")
	s.do(s.rw, "DELETE", path, "").problem(409, "Conflict", "The job has ended: it is DONE")
	s.get("/api/v1/jobs/"+someID).problem(404, "Not found", "Resource not found")
	s.get("/api/v1/jobs/x").problem(404, "Not found", "Resource not found")

	for given, want := range map[string][2]string{
		body(t):                                       {"Invalid body", "Give rule or ruleId"},
		body(t, "rule", "a", "ruleId", "b"):           {"Invalid body", "Give rule or ruleId"},
		body(t, "rule", "title: ["):                   {"Invalid rule value", ""},
		body(t, "rule", bruteForceRule, "query", "("): {"Invalid query", ""},
		body(t, "rule", bruteForceRule, "fromTime", "2026-04-22T12:00:00Z"): {"Invalid fromTime value", "Allowed: a time before toTime"},
		body(t, "rule", bruteForceRule, "toTime", "yesterday"):              {"Invalid toTime value", ""},
	} {
		s.post("/api/v1/siem/rules/backtest", given).problem(400, want[0], want[1])
	}
	s.post("/api/v1/siem/rules/backtest", body(t, "ruleId", "nope")).problem(404, "Not found", "Resource not found")
	s.do(s.ro, "POST", "/api/v1/siem/rules/backtest", body(t, "rule", bruteForceRule)).problem(403, "Forbidden", "")
}

func TestCancelJob(t *testing.T) {
	t.Parallel()
	s := newServer(t) // no process runs its jobs
	path := s.post("/api/v1/siem/rules/backtest", body(t, "rule", bruteForceRule)).want(202).header.Get("Location")
	s.get(path).is("state", "QUEUED")
	s.do(s.rw, "DELETE", path, "").want(204)
	s.get(path).is("state", "CANCELLED").is("reason", "cancelled by key:A read-write")
	s.do(s.rw, "DELETE", path, "").want(204)
	for range 20 {
		s.post("/api/v1/siem/rules/backtest", body(t, "rule", bruteForceRule)).want(202)
	}
	s.post("/api/v1/siem/rules/backtest", body(t, "rule", bruteForceRule)).problem(429, "Too many requests", "")
}

func TestForecastOnSave(t *testing.T) {
	t.Parallel()
	s := working(t)
	s.failures(7, noon.Add(-13*24*time.Hour), "203.0.113.9")
	a := s.post("/api/v1/siem/rules?forecast=true", bruteForceRule, "Content-Type: application/yaml").want(201)
	link := regexp.MustCompile(`^<(/api/v1/jobs/[0-9a-f-]{36})>; rel="forecast"$`).FindStringSubmatch(a.header.Get("Link"))
	if link == nil {
		t.Fatalf("Link is %q", a.header.Get("Link"))
	}
	path := a.header.Get("Location")
	s.ended(link[1]).is("kind", "forecast").is("subject", a.at("id")).is("state", "DONE").is("result.matches", 7).is("result.alerts", 1)
	s.get(path).is("forecast.matches", 7).is("forecast.alerts", 1).is("forecast.estimated", false).is("forecast.state", "DONE")

	changed := strings.Replace(bruteForceRule, "gte: 5", "gte: 50", 1)
	a = s.do(s.rw, "PATCH", path+"?forecast=true", body(t, "yaml", changed)).want(200)
	next := strings.TrimPrefix(strings.SplitN(a.header.Get("Link"), ">", 2)[0], "<")
	s.ended(next).is("result.alerts", 0)
	s.get(path).is("forecast.alerts", 0).is("forecast.jobId", strings.TrimPrefix(next, "/api/v1/jobs/"))
	if a = s.do(s.rw, "PATCH", path, `{"status":"INACTIVE"}`).want(200); a.header.Get("Link") != "" {
		t.Error("a forecast that nobody asked for")
	}
	s.do(s.foreign, "PATCH", path+"?forecast=true", `{"status":"INACTIVE"}`).problem(404, "Not found", "Resource not found")

	s.ended(s.post("/api/v1/siem/rules/forecast", body(t, "rule", bruteForceRule)).want(202).header.Get("Location")).is("result.alerts", 1)
	s.ended(s.post("/api/v1/siem/rules/forecast", body(t, "ruleId", strings.TrimPrefix(path, "/api/v1/siem/rules/"))).want(202).header.Get("Location")).is("result.alerts", 0)
	s.post("/api/v1/siem/rules/forecast", `{"rule":"x"}`).problem(400, "Invalid rule value", "")
	s.get("/api/v1/jobs?kind=forecast").is("totalElements", 4)
}

func TestExplainRule(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ids := s.failures(3, noon.Add(-time.Hour), "203.0.113.9")
	explain := func(pairs ...any) *answerTo {
		t.Helper()
		return s.do(s.ro, "POST", "/api/v1/siem/rules/explain", body(t, pairs...))
	}
	a := explain("rule", bruteForceRule, "eventId", ids[1].String()).want(200)
	exactly(t, "an explanation", a.json(), "fires", "reason", "rule", "documents", "windows", "event")
	a.is("fires", false).is("reason", `“Brute force” is 2 short: within 5m of src_ip "203.0.113.9" 3 events count, and it fires at gte 5`).
		is("windows.0.measured", 3).is("windows.0.events.1.this", true).is("documents.0.matches", true).is("documents.0.condition.holds", true).
		is("event.id", ids[1].String()).is("event.fields.user", "root")
	const raw = "Apr 22 10:59:59 web-01 sshd[1]: Accepted password for root from 203.0.113.9 port 22 ssh2"
	explain("rule", bruteForceRule, "event", raw).want(200).is("fires", false).is("event.id", nil).is("windows", []any{}).
		is("reason", `selection “failed” does not hold: outcome wants "failure", and the event has "success"`)
	explain("rule", bruteForceRule, "event", map[string]any{"a": 1}).want(200).is("documents.0.logSource.holds", false).is("event.fields.a", "1")

	explain("rule", bruteForceRule).problem(400, "Invalid body", "Give event or eventId")
	explain("rule", bruteForceRule, "event", 1).problem(400, "Invalid event value", "Allowed: a text or an object")
	explain("event", raw).problem(400, "Invalid body", "Give rule or ruleId")
	explain("rule", "title: [", "event", raw).problem(400, "Invalid rule value", "")
	for _, id := range []string{"x", "e0-000000000fff-00000"} {
		explain("rule", bruteForceRule, "eventId", id).problem(404, "Not found", "Resource not found")
	}
	s.do(s.foreign, "POST", "/api/v1/siem/rules/explain", body(t, "rule", bruteForceRule, "eventId", ids[1].String())).problem(404, "Not found", "Resource not found")
}

func TestRuleCoverage(t *testing.T) {
	t.Parallel()
	s := working(t)
	s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").want(201)
	windows := "title: W\nlogsource: {product: windows}\ntags: [attack.t1110]\ndetection: {s: {a: b}, condition: s}\n"
	s.post("/api/v1/siem/rules", windows, "Content-Type: application/yaml").want(201)
	s.record(noon, bruteForce(s.a, "10.0.1.1"))
	a := s.get("/api/v1/siem/rules/coverage").want(200)
	a.is("rules", 1).is("blindRules", 1).is("tactics.7.name", "credential-access").is("tactics.7.techniques.0.id", "T1110").is("tactics.7.techniques.0.rules", 1).
		is("tactics.7.techniques.0.blindRules", 1).is("tactics.7.techniques.0.alerts", 1).is("tactics.7.techniques.0.name", "Brute Force")
	layer := s.get("/api/v1/siem/rules/coverage?format=Navigator").want(200)
	layer.is("versions.layer", "4.5").is("domain", "enterprise-attack").is("techniques.0.techniqueID", "T1110").is("techniques.0.score", 1)
	if got := layer.header.Get("Content-Disposition"); got != `attachment; filename="kyra-coverage-layer.json"` {
		t.Errorf("Content-Disposition is %q", got)
	}
	s.get("/api/v1/siem/rules/coverage?format=csv").problem(400, "Invalid format value", "Allowed: json, navigator")
	s.do(s.foreign, "GET", "/api/v1/siem/rules/coverage", "").is("rules", 0)
	if etag := a.header.Get("ETag"); etag == "" {
		t.Error("no ETag")
	}
}

// A correlation may count rules of the catalogue, when it is checked and tried too.
func TestValidateAgainstTheCatalogue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	over := strings.SplitN(bruteForceRule, "---\n", 2)
	text := strings.Replace(over[1], "gte: 5", "gte: 2", 1)
	validate := func() *answerTo {
		return s.do(s.ro, "POST", "/api/v1/siem/rules/validate", text, "Content-Type: application/yaml").want(200)
	}
	validate().is("valid", false)
	s.post("/api/v1/siem/rules", over[0], "Content-Type: application/yaml").want(201)
	validate().is("valid", true).is("rules.0.id", "")
	const event = "Apr 22 08:15:30 web-01 sshd[123]: Failed password for root from 10.0.1.55 port 22 ssh2"
	s.do(s.ro, "POST", "/api/v1/siem/rules/test", body(t, "rule", text, "events", []string{event, event})).want(200).
		is("events.0.matches", []string{"Failed login"}).is("events.0.excepted", []any{}).is("findings.0.title", "Brute force").is("findings.0.count", 2)
}

var costs = regexp.MustCompile(`("(?:nanoseconds|perEventNanos|readNanoseconds)": )\d+`)

func TestWorkbenchShapes(t *testing.T) {
	s := working(t)
	ids := s.failures(5, noon.Add(-time.Hour), "203.0.113.9")
	job := s.ended(s.post("/api/v1/siem/rules/backtest", body(t, "rule", bruteForceRule)).want(202).header.Get("Location"))
	s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").want(201)
	for name, a := range map[string]*answerTo{
		"job":      job,
		"jobs":     s.get("/api/v1/jobs"),
		"explain":  s.do(s.ro, "POST", "/api/v1/siem/rules/explain", body(t, "rule", bruteForceRule, "eventId", ids[0].String())),
		"coverage": s.get("/api/v1/siem/rules/coverage"),
		"layer":    s.get("/api/v1/siem/rules/coverage?format=navigator"),
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".json", costs.ReplaceAll(steady(t, a.want(200).body), []byte("${1}0")))
		})
	}
	if got := slices.Sorted(maps.Keys(keys(job.at("result")))); len(got) < 15 {
		t.Errorf("the result has only %v", fmt.Sprint(got))
	}
}
