package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/rule"
)

const sshRule = `title: SSH password guessing
id: 7f3c1f3e-0b7a-4a54-9d53-111111111111
description: Many failed logons
status: test
author: KYRA
level: high
logsource:
  product: linux
  service: sshd
tags:
  - attack.credential_access
  - attack.t1110.001
detection:
  selection:
    message|contains: Failed password
  condition: selection
`

func TestListRules(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, err := s.cfg.Rules.Sync(t.Context(), []rule.Builtin{{
		Meta: rule.Meta{
			ID: "builtin-1", Name: "TCP SYN Scan Detection", Description: "Many ports", Severity: "high", Type: "correlation", Source: "iptables",
			Tactics: []string{"discovery"}, Techniques: []string{"T1046"},
		}, YAML: "title: x\n",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").want(201)

	// curl …/siem/rules?mitre=T1110&size=5
	a := s.get("/api/v1/siem/rules?mitre=T1110&size=5").want(200)
	exactly(t, "the list", a.json(), "content", "totalElements", "totalPages", "number", "size")
	exactly(t, "an item", a.at("content.0"), "id", "name", "description", "severity", "status", "type", "source", "mitreTactics", "mitreTechniques", "version",
		"createdAt", "updatedAt", "lastMatchAt", "matches24h", "builtin", "staged", "license", "origin", "pack", "matches7d", "matches30d", "alerts", "truePositives", "falsePositives", "exceptions", "cost", "health", "healthReason")
	a.is("totalElements", 1).is("size", 5).is("content.0.name", "SSH password guessing").is("content.0.severity", "high").is("content.0.status", "ACTIVE").
		is("content.0.type", "detection").is("content.0.mitreTactics", []string{"credential-access"}).is("content.0.mitreTechniques", []string{"T1110.001"}).
		is("content.0.version", 1).is("content.0.lastMatchAt", nil).is("content.0.matches24h", 0)
	for query, want := range map[string]int{
		"": 2, "search=guess": 1, "search=T1046": 1, "search=credential": 1, "search=%25": 0, "severity=HIGH": 2, "severity=low": 0, "status=active": 2, "status=DRAFT,inactive": 0,
		"mitre=TA0007": 1, "mitre=discovery": 1, "mitre=Credential+Access": 1, "mitre=T11": 0, "builtin=true": 1, "builtin=false": 1, "source=sshd": 1, "sort=name&direction=asc": 2,
	} {
		if got := s.get("/api/v1/siem/rules?" + query).want(200).at("totalElements"); got != float64(want) {
			t.Errorf("%s finds %v, want %d", query, got, want)
		}
	}
	s.do(s.foreign, "GET", "/api/v1/siem/rules", "").is("totalElements", 1) // the built-in one
}

func TestRuleEconomics(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const id = "7f3c1f3e-0b7a-4a54-9d53-111111111111"
	path := s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").want(201).header.Get("Location")
	s.get(path).is("health", "neverFired").is("alerts", 0).is("cost", map[string]any{"evaluations24h": 0, "microseconds24h": 0})
	var noise []string
	for i := range 6 {
		noise = append(noise, s.failedLogin(noon, "ann", fmt.Sprintf("10.0.9.%d", i)))
	}
	for i, id := range noise {
		verdict := "FALSE_POSITIVE"
		if i == 0 {
			verdict = "TRUE_POSITIVE"
		}
		s.do(s.rw, "PATCH", "/api/v1/alerts/"+id, `{"verdict":"`+verdict+`"}`).want(200)
	}
	ctx, now := t.Context(), time.Now()
	if err := s.cfg.Rules.RecordMatches(ctx, s.db, now.Add(-50*time.Hour), []rule.Match{{Tenant: s.a.Number, RuleID: id, Count: 7}}); err != nil {
		t.Fatal(err)
	}
	if err := s.cfg.Rules.RecordCost(ctx, s.db, []rule.Cost{{Tenant: s.a.Number, RuleID: id, Hour: now.Unix() / 3600, Evaluations: 40, Nanos: 12_345}}); err != nil {
		t.Fatal(err)
	}
	s.get(path).want(200).is("matches24h", 0).is("matches7d", 7).is("matches30d", 7).is("alerts", 6).is("truePositives", 1).is("falsePositives", 5).
		is("cost", map[string]any{"evaluations24h": 40, "microseconds24h": 12.345}).is("health", "noisy").is("healthReason", "5 of its 6 verdicts are false positives")
	for query, want := range map[string]int{
		"health=noisy": 1, "health=NOISY,blind": 1, "health=ok": 0, "health=neverFired": 0, "staged=false": 1, "staged=true": 0, "pack=kyra": 0, "license=MIT": 0,
		"sort=cost": 1, "sort=matches30d&direction=asc": 1, "sort=matches7d": 1,
	} {
		s.get("/api/v1/siem/rules?"+query).want(200).is("totalElements", want)
	}
	s.get("/api/v1/siem/rules?health=fine").problem(400, "Invalid health value", "Allowed: failing, blind, noisy, neverFired, ok")
}

func TestCreateAndChangeRule(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.post("/api/v1/siem/rules?status=draft", sshRule, "Content-Type: text/yaml; charset=utf-8").want(201)
	path := a.header.Get("Location")
	if path != "/api/v1/siem/rules/7f3c1f3e-0b7a-4a54-9d53-111111111111" {
		t.Errorf("Location is %q", path)
	}
	a.is("status", "DRAFT").is("yaml", sshRule).is("author", "KYRA").is("builtin", false)
	s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").problem(409, "Conflict", "")
	s.get(path).want(200).is("id", "7f3c1f3e-0b7a-4a54-9d53-111111111111")
	s.do(s.foreign, "GET", path, "").problem(404, "Not found", "Resource not found")

	s.post(path+"/enable", "").want(200).is("status", "ACTIVE")
	s.post(path+"/disable", "").want(200).is("status", "INACTIVE")
	s.do(s.rw, "PATCH", path, `{"status":"Active"}`).want(200).is("status", "ACTIVE").is("version", 1)
	changed := strings.Replace(sshRule, "Many failed", "Very many failed", 1)
	text, _ := json.Marshal(changed)
	s.do(s.rw, "PATCH", path, `{"yaml":`+string(text)+`}`).want(200).is("version", 2).is("description", "Very many failed logons")
	s.do(s.rw, "PATCH", path, `{"status":"ON"}`).problem(400, "Invalid status value", "Allowed: ACTIVE, INACTIVE, DRAFT")
	s.do(s.rw, "PATCH", path, `{}`).problem(400, "Invalid body", "Give at least one of status, staged, severity, yaml")
	s.do(s.rw, "PATCH", path, `{"yaml":"title: ["}`).problem(400, "Invalid rule", "")
	s.do(s.foreign, "PATCH", path, `{"status":"DRAFT"}`).problem(404, "Not found", "Resource not found")
	s.do(s.foreign, "DELETE", path, "").problem(404, "Not found", "Resource not found")
	s.do(s.rw, "DELETE", path, "").want(204)
	s.get(path).problem(404, "Not found", "Resource not found")
}

func TestBuiltinRuleCannotBeChanged(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	meta := rule.Meta{ID: "builtin-1", Name: "N", Severity: "high", Type: "detection"}
	if _, err := s.cfg.Rules.Sync(t.Context(), []rule.Builtin{{Meta: meta, YAML: "title: x\n"}}); err != nil {
		t.Fatal(err)
	}
	s.do(s.rw, "DELETE", "/api/v1/siem/rules/builtin-1", "").problem(403, "Forbidden", "A built-in rule cannot be changed: turn it off and create your own")
	s.post("/api/v1/siem/rules/builtin-1/disable", "").want(200).is("status", "INACTIVE")
	s.do(s.foreign, "GET", "/api/v1/siem/rules/builtin-1", "").is("status", "ACTIVE")
}

func TestRuleAsJSON(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.post("/api/v1/siem/rules", `{"title":"From JSON","level":"low","logsource":{"product":"linux"},
		"detection":{"sel":{"message|contains":["a: b","- c","'d'"]},"condition":"sel"},"tags":["attack.t1110"]}`).want(201)
	a.is("name", "From JSON").is("severity", "low").is("mitreTechniques", []string{"T1110"})
	if yaml := a.text("yaml"); !strings.HasPrefix(yaml, "title: From JSON") {
		t.Errorf("kept as %s", yaml)
	}
	if id := a.text("id"); len(id) != 36 {
		t.Errorf("a rule without an id got %q", id)
	}
}

func TestValidateRule(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	validate := func(text string) *answerTo {
		t.Helper()
		return s.do(s.ro, "POST", "/api/v1/siem/rules/validate", text, "Content-Type: application/yaml").want(200)
	}
	a := validate(sshRule).is("valid", true).is("problems", []any{}).is("blind", "no events of linux/sshd have arrived in the last 7 days")
	a.is("rules.0.name", "SSH password guessing").is("rules.0.logSource", "linux/*/sshd").is("rules.0.mitreTechniques", []string{"T1110.001"})
	for _, bad := range []string{"title: [", "a", "title: x\ndetection:\n  sel:\n    a|nosuch: 1\n  condition: sel\n", strings.Replace(sshRule, "condition: selection", "condition: nothing", 1)} {
		a := validate(bad).is("valid", false)
		if message := a.text("problems.0.message"); message == "" {
			t.Errorf("%q: no message", bad)
		}
		if _, ok := a.at("problems.0.line").(float64); !ok {
			t.Errorf("%q: no line", bad)
		}
	}
	s.get("/api/v1/siem/rules").is("totalElements", 0)
	s.do(s.ro, "POST", "/api/v1/siem/rules/validate", "", "Content-Type: application/yaml").problem(400, "", "")
}

func TestTestRule(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	rule, err := json.Marshal(sshRule)
	if err != nil {
		t.Fatal(err)
	}
	const events = `["Apr 22 08:15:30 web-01 sshd[123]: Failed password for root from 10.0.1.55 port 22 ssh2", "Apr 22 08:15:31 web-01 sshd[123]: Accepted password for root from 10.0.1.55 port 22 ssh2"]`
	a := s.do(s.ro, "POST", "/api/v1/siem/rules/test", `{"rule":`+string(rule)+`,"events":`+events+`}`).want(200)
	a.is("valid", true).is("events.0.matches", []string{"SSH password guessing"}).is("events.1.matches", []any{}).
		is("events.0.fields.src_ip", "10.0.1.55").is("findings.0.title", "SSH password guessing").is("findings.0.events", []int{0}).is("findings.0.count", 1)
	if n := len(a.at("findings").([]any)); n != 1 {
		t.Errorf("%d findings, want 1", n)
	}
	s.post("/api/v1/siem/rules", sshRule, "Content-Type: application/yaml").want(201)
	s.do(s.ro, "POST", "/api/v1/siem/rules/test", `{"ruleId":"7f3c1f3e-0b7a-4a54-9d53-111111111111","events":[{"a":1}]}`).want(200).is("events.0.matches", []any{}).is("findings", []any{})
	s.do(s.ro, "POST", "/api/v1/siem/rules/test", `{"rule":"title: [","events":["x"]}`).want(200).is("valid", false).is("events", []any{})
	s.do(s.ro, "POST", "/api/v1/siem/rules/test", `{"events":["x"]}`).problem(400, "Invalid body", "Give rule or ruleId")
	s.do(s.ro, "POST", "/api/v1/siem/rules/test", `{"ruleId":"none","events":["x"]}`).problem(404, "Not found", "")
	s.do(s.ro, "POST", "/api/v1/siem/rules/test", `{"ruleId":"none","events":[]}`).problem(400, "Invalid events value", "")
	s.get("/api/v1/alerts").is("totalElements", 0)
}
