package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func TestRuleVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	path := s.post("/api/v1/siem/rules?reason=first+try", sshRule, "Content-Type: application/yaml").want(201).header.Get("Location")
	text, _ := json.Marshal(strings.Replace(sshRule, "level: high", "level: low", 1))
	s.do(s.rw, "PATCH", path, `{"yaml":`+string(text)+`,"status":"draft","staged":true,"reason":"too loud"}`).want(200).
		is("version", 2).is("severity", "low").is("status", "DRAFT").is("staged", true)

	a := s.get(path+"/versions").want(200).is("totalElements", 2).is("content.0.version", 2).is("content.0.reason", "too loud").
		is("content.0.actor", "key:A read-write").is("content.1.reason", "first try")
	exactly(t, "a version", a.at("content.0"), "version", "at", "actor", "reason")
	s.get(path+"/versions?size=1&page=1").is("content.0.version", 1).is("totalPages", 2)
	s.get(path+"/versions/1").want(200).is("yaml", sshRule)
	s.get(path+"/versions/2/diff").want(200).is("from", 1).is("to", 2).
		is("diff", "--- version 1\n+++ version 2\n@@ -3,7 +3,7 @@\n description: Many failed logons\n status: test\n author: KYRA\n-level: high\n+level: low\n logsource:\n   product: linux\n   service: sshd\n")
	s.get(path+"/versions/1/diff?from=2").want(200).is("from", 2)
	s.post(path+"/versions/1/restore", `{"reason":"it was right"}`).want(200).is("version", 3).is("severity", "high").is("yaml", sshRule)
	s.post(path+"/versions/2/restore", "").want(200).is("version", 4)
	s.get(path+"/versions").is("content.0.reason", "Version 2 restored").is("content.1.reason", "it was right")
	for _, sub := range []string{"/versions/9", "/versions/x", "/versions/0", "/versions/-1", "/versions/9/diff", "/versions/1/diff?from=9"} {
		s.get(path+sub).problem(404, "Not found", "Resource not found")
	}
	for _, sub := range []string{"/versions", "/versions/1", "/versions/1/diff", "/history", "/staged"} {
		s.do(s.foreign, "GET", path+sub, "").problem(404, "Not found", "Resource not found")
	}
	s.do(s.foreign, "POST", path+"/versions/1/restore", "").problem(404, "Not found", "Resource not found")
	s.do(s.ro, "POST", path+"/versions/1/restore", "").problem(403, "Forbidden", "")

	s.get(path+"/history").want(200).is("totalElements", 5).is("content.0.action", "rule.update").is("content.0.detail.reason", "Version 2 restored").
		is("content.4.action", "rule.create").is("content.4.actor", "key:A read-write")
}

func TestStagedRule(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.post("/api/v1/siem/rules?staged=true", sshRule, "Content-Type: application/yaml").problem(400, "Invalid staged value", "Only a DRAFT can be staged: give status DRAFT with it")
	path := s.post("/api/v1/siem/rules?status=draft&staged=true", sshRule, "Content-Type: application/yaml").want(201).is("staged", true).header.Get("Location")
	s.get(path+"/staged").want(200).is("staged", true).is("count", 0).is("first", nil).is("byDay", []any{}).is("byEntity", []any{}).is("samples", []any{})
	id := s.event(s.a, noon, "source", "sshd", "message", "Failed password for root")
	f := rule.Staged{
		Tenant: s.a.Number, RuleID: "7f3c1f3e-0b7a-4a54-9d53-111111111111", Key: "user=root", Count: 4, First: noon.UnixNano(), Last: noon.Add(time.Minute).UnixNano(),
		Events: []event.ID{id},
	}
	if err := s.db.Tx(t.Context(), func(tx *sqldb.DB) error { return s.cfg.Rules.RecordStaged(t.Context(), tx, []rule.Staged{f}) }); err != nil {
		t.Fatal(err)
	}
	a := s.get(path+"/staged").want(200).is("count", 4).is("alerts", 1).is("keys", 1).is("unkept", 0).is("first", "2026-04-22T12:00:00Z").is("last", "2026-04-22T12:01:00Z").
		is("byDay", []any{map[string]any{"day": "2026-04-22", "count": 4, "alerts": 1}}).is("byEntity.0.key", "user=root").is("byEntity.0.eventIds.0", id.String()).
		is("samples.0.id", id.String())
	exactly(t, "the report", a.json(), "staged", "since", "count", "alerts", "keys", "unkept", "first", "last", "byDay", "byEntity", "samples")
	// Going live ends it.
	s.post(path+"/enable", "").want(200).is("staged", false)
	s.get(path+"/staged").want(200).is("staged", false).is("count", 4)
}

func TestSeverityAndBulk(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	list := []rule.Builtin{
		{Meta: rule.Meta{ID: "builtin-1", Name: "N", Severity: "high", Type: "detection"}, YAML: "title: x\n"},
		{Meta: rule.Meta{ID: "builtin-2", Name: "M", Severity: "high", Type: "detection"}, YAML: "title: y\n"},
	}
	if _, err := s.cfg.Rules.Sync(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	s.do(s.rw, "PATCH", "/api/v1/siem/rules/builtin-1", `{"severity":"LOW","reason":"a test host"}`).want(200).is("severity", "low").is("textSeverity", "high").is("pack", "kyra").is("version", 1)
	s.get("/api/v1/siem/rules?severity=low").is("totalElements", 1)
	s.do(s.foreign, "GET", "/api/v1/siem/rules/builtin-1", "").is("severity", "high")
	s.do(s.rw, "PATCH", "/api/v1/siem/rules/builtin-1", `{"severity":null}`).want(200).is("severity", "high")
	s.do(s.rw, "PATCH", "/api/v1/siem/rules/builtin-1", `{"severity":"urgent"}`).problem(400, "Invalid severity value", "Allowed: critical, high, medium, low, info")

	a := s.post("/api/v1/siem/rules/bulk", `{"ids":["builtin-1","none","builtin-2"],"status":"inactive","reason":"quiet night"}`).want(200).
		is("changed", 2).is("failed", 1).is("results.0.status", 200).is("results.1.status", 404)
	exactly(t, "the answer", a.json(), "results", "changed", "failed")
	s.get("/api/v1/siem/rules?status=INACTIVE").is("totalElements", 2)
	s.post("/api/v1/siem/rules/bulk", `{"ids":["builtin-1"]}`).problem(400, "Invalid rule", "Give at least one of status, staged, severity, yaml")
	s.post("/api/v1/siem/rules/bulk", `{"ids":[],"status":"ACTIVE"}`).problem(400, "Invalid ids value", "Allowed: 1 to 1000 ids")
	s.do(s.ro, "POST", "/api/v1/siem/rules/bulk", `{"ids":["builtin-1"],"status":"ACTIVE"}`).problem(403, "Forbidden", "")
	s.do(s.foreign, "GET", "/api/v1/siem/rules?status=INACTIVE", "").is("totalElements", 0)
}
