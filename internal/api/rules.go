package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// RuleItem is one rule of a list. It is exported, as every embedded shape is, since
// huma leaves out the others.
type RuleItem struct {
	ID              string     `json:"id"`
	Name            string     `json:"name"`
	Description     string     `json:"description"`
	Severity        string     `json:"severity" enum:"critical,high,medium,low,info"`
	Status          string     `json:"status" enum:"ACTIVE,INACTIVE,DRAFT"`
	Type            string     `json:"type" enum:"detection,correlation,filter"`
	Source          string     `json:"source" doc:"What it looks at; empty: anything."`
	MitreTactics    []string   `json:"mitreTactics" nullable:"false"`
	MitreTechniques []string   `json:"mitreTechniques" nullable:"false"`
	Version         int64      `json:"version"`
	CreatedAt       time.Time  `json:"createdAt"`
	UpdatedAt       time.Time  `json:"updatedAt"`
	LastMatchAt     *time.Time `json:"lastMatchAt" nullable:"true"`
	Matches24h      int64      `json:"matches24h" doc:"In the last 24 hours."`
	Builtin         bool       `json:"builtin" doc:"It comes with KYRA and can be turned off, but not changed."`
	Staged          bool       `json:"staged" doc:"A draft that runs and raises nothing: see /siem/rules/{id}/staged."`
	License         string     `json:"license"`
	Origin          string     `json:"origin" doc:"Where it came from; empty: written here."`
	Pack            string     `json:"pack" doc:"What it came with: kyra, or the name of an import; empty: written here."`
	Matches7d       int64      `json:"matches7d"`
	Matches30d      int64      `json:"matches30d"`
	Alerts          int64      `json:"alerts" doc:"That it raised, all that are kept."`
	TruePositives   int64      `json:"truePositives" doc:"Alerts of that verdict."`
	FalsePositives  int64      `json:"falsePositives" doc:"Alerts of that verdict or status."`
	Exceptions      int64      `json:"exceptions" doc:"That hold now; see /siem/rules/{id}/exceptions."`
	Cost            ruleCost   `json:"cost"`
	Health          string     `json:"health" enum:"failing,blind,noisy,neverFired,ok" doc:"The gravest that fits. failing: it runs, but the engine does not take it; blind: nothing that arrives can feed it; noisy: more than 50 alerts in 7 days, or at least 5 verdicts of which half or more are false positives; neverFired: it runs and has not matched once."`
	HealthReason    string     `json:"healthReason" doc:"For people; empty where health is ok."`

	_ struct{} `additionalProperties:"true"`
}

type ruleCost struct {
	Evaluations24h  int64   `json:"evaluations24h" doc:"Events that were looked at for this rule in the last 24 hours."`
	Microseconds24h float64 `json:"microseconds24h" doc:"What that took of one core, extrapolated from a sample."`

	_ struct{} `additionalProperties:"true"`
}

func ruleOf(r *rule.Rule) RuleItem {
	return RuleItem{
		ID: r.ID, Name: r.Name, Description: r.Description, Severity: r.Severity, Status: string(r.Status), Type: r.Type, Source: r.Source,
		MitreTactics: orEmpty(r.Tactics), MitreTechniques: orEmpty(r.Techniques), Version: r.Version,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, LastMatchAt: r.LastMatchAt, Matches24h: r.Matches24h, Builtin: r.Builtin,
		Staged: r.Staged, License: r.License, Origin: r.Origin, Pack: r.Pack, Matches7d: r.Matches7d, Matches30d: r.Matches30d,
		Alerts: r.Outcomes.Alerts, TruePositives: r.Outcomes.TruePositives, FalsePositives: r.Outcomes.FalsePositives,
		Exceptions: r.Exceptions, Cost: ruleCost{Evaluations24h: r.Evaluations, Microseconds24h: float64(r.CostNanos) / 1000}, Health: string(r.Health), HealthReason: r.HealthReason,
	}
}

// orEmpty keeps null out of arrays.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type ruleDetail struct {
	RuleItem
	Author       string `json:"author"`
	TextSeverity string `json:"textSeverity" doc:"That the rule's text gives; severity is the one that holds."`
	YAML         string `json:"yaml" doc:"The rule's text: Sigma."`

	Forecast lastForecast `json:"forecast" doc:"The last one that was asked for; null where none was."`

	_ struct{} `additionalProperties:"true"`
}

type (
	ruleOut struct {
		Location string `header:"Location"`
		Link     string `header:"Link"`
		Revision string `header:"X-Revision"`
		Body     ruleDetail
	}
	ruleTextIn struct {
		RawBody []byte `contentType:"application/yaml"`
	}
	// RuleChange is what can be asked of one rule or of many.
	RuleChange struct {
		Status   word     `json:"status,omitzero" enum:"ACTIVE,INACTIVE,DRAFT"`
		Staged   *bool    `json:"staged,omitempty" doc:"A staged draft runs and raises nothing."`
		Severity nullText `json:"severity,omitzero" enum:"critical,high,medium,low,info" doc:"For your tenant, built-in rules too; null gives the rule its own again."`
		Reason   string   `json:"reason,omitempty" doc:"Kept with the version and in the audit log; up to 1,000 characters."`
	}
	patchRuleIn struct {
		ID   string `path:"id"`
		Body struct {
			RuleChange
			YAML string `json:"yaml,omitempty" doc:"A new text, for rules of your own."`
		}
	}
	bulkRulesIn struct {
		Body struct {
			IDs []string `json:"ids" nullable:"false" doc:"1 to 1,000 rules."`
			RuleChange
		}
	}
	validateOut struct {
		Body struct {
			Valid    bool          `json:"valid"`
			Problems []ruleProblem `json:"problems" nullable:"false"`
			Rules    []ruleFacts   `json:"rules" nullable:"false" doc:"What was read, where it could be read."`
			Blind    string        `json:"blind" doc:"Of a valid rule: what is missing of what it needs, so that nothing that arrives can feed it; empty where something can."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	ruleProblem struct {
		Line    int    `json:"line" doc:"From 1; 0: the whole text."`
		Column  int    `json:"column"`
		Message string `json:"message"`

		_ struct{} `additionalProperties:"true"`
	}
	ruleFacts struct {
		ID              string   `json:"id"`
		Name            string   `json:"name"`
		Severity        string   `json:"severity"`
		Type            string   `json:"type"`
		LogSource       string   `json:"logSource" doc:"product/category/service"`
		MitreTactics    []string `json:"mitreTactics" nullable:"false"`
		MitreTechniques []string `json:"mitreTechniques" nullable:"false"`

		_ struct{} `additionalProperties:"true"`
	}
)

func ruleTypes() []string { return []string{"application/yaml", "application/x-yaml", "text/yaml"} }

func (a *api) rules() {
	const tag = "Detection rules"
	handle(a, operation{
		id: "listRules", method: http.MethodGet, path: "/siem/rules", tag: tag, summary: "List rules",
		params: append(paging(rule.Sorts...), ruleFilters()...),
	}, a.listRules)
	handle(a, operation{
		id: "getRule", method: http.MethodGet, path: "/siem/rules/{id}", tag: tag, summary: "Get a rule with its text", single: true,
	}, a.getRule)
	handle(a, operation{
		id: "createRule", method: http.MethodPost, path: "/siem/rules", tag: tag, summary: "Create a rule", status: http.StatusCreated, media: ruleTypes(),
		doc: "The body is a Sigma rule, as YAML or as JSON of the same structure. It works within seconds, unless status says otherwise.",
		params: []param{
			{name: "status", doc: "The rule's status.", kind: enum, values: asTexts(rule.Statuses), standard: string(rule.On)},
			{name: "staged", doc: "With status DRAFT: it runs and raises nothing.", kind: enum, values: []string{"true", "false"}, standard: "false"},
			{name: "reason", doc: "Kept with the version."},
			forecastParam(),
		},
	}, a.createRule)
	handle(a, operation{
		id: "validateRule", method: http.MethodPost, path: "/siem/rules/validate", tag: tag, summary: "Check a rule without keeping it", safe: true, media: ruleTypes(),
		doc: "The body is as for creation. What is wrong with the rule is the answer, not an error.",
	}, a.validateRule)
	handle(a, operation{
		id: "testRule", method: http.MethodPost, path: "/siem/rules/test", tag: tag, summary: "Try a rule on log records", safe: true,
		doc: "The records go through parser, rule and correlation as they would live; nothing is kept.",
	}, a.testRule)
	handle(a, operation{
		id: "updateRule", method: http.MethodPatch, path: "/siem/rules/{id}", tag: tag, summary: "Turn a rule on or off, stage it, give it another severity, or change its text", single: true,
		doc:    "All of it or nothing. Status, stage and severity are your tenant's: built-in rules have them too.",
		params: []param{forecastParam()},
	}, a.patchRule)
	handle(a, operation{
		id: "updateRules", method: http.MethodPost, path: "/siem/rules/bulk", tag: tag, summary: "Change status, stage or severity of several rules",
		doc: "Each id gets a result; those that fail do not hinder the others.",
	}, a.bulkRules)
	for _, turn := range []struct {
		verb, summary string
		to            rule.Status
	}{{"enable", "Turn a rule on", rule.On}, {"disable", "Turn a rule off", rule.Off}} {
		handle(a, operation{
			id: turn.verb + "Rule", method: http.MethodPost, path: "/siem/rules/{id}/" + turn.verb, tag: tag, summary: turn.summary,
		}, func(ctx context.Context, c *call, in *byID) (*ruleOut, error) {
			return a.outOfRule(ctx, c)(a.Rules.Change(ctx, c.Tenant.Number, c.Actor, in.ID, rule.Change{Status: turn.to}))
		})
	}
	handle(a, operation{
		id: "deleteRule", method: http.MethodDelete, path: "/siem/rules/{id}", tag: tag, summary: "Delete a rule of your own", status: http.StatusNoContent,
	}, a.deleteRule)
	a.exceptions()
}

func ruleFilters() []param {
	return []param{
		{name: "search", doc: "Search in name, description, MITRE tactic/technique."},
		{name: "severity", doc: "Filter by severity.", kind: enum, values: severities(), many: true},
		{name: "status", doc: "Filter by status.", kind: enum, values: asTexts(rule.Statuses), many: true},
		{name: "mitre", doc: "Filter by MITRE tactic or technique ID; T1110 also finds T1110.001."},
		{name: "source", doc: "Filter by source."},
		{name: "builtin", doc: "Only those that come with KYRA, or only your own.", kind: enum, values: []string{"true", "false"}},
		{name: "health", doc: "Filter by health.", kind: enum, values: asTexts(rule.Healths), many: true},
		{name: "staged", doc: "Only staged drafts, or only others.", kind: enum, values: []string{"true", "false"}},
		{name: "license", doc: "Filter by licence."},
		{name: "pack", doc: "Filter by what they came with: kyra, or the name of an import."},
	}
}

func ruleFilter(q given) rule.Filter {
	f := rule.Filter{
		Search: q.one("search"), Severities: q.all("severity"), Statuses: words[rule.Status](q.all("status")), Mitre: q.one("mitre"), Source: q.one("source"),
		Healths: words[rule.Health](q.all("health")), License: q.one("license"), Pack: q.one("pack"),
	}
	if b := q.one("builtin"); b != "" {
		f.Builtin = new(b == "true")
	}
	if b := q.one("staged"); b != "" {
		f.Staged = new(b == "true")
	}
	return f
}

func (a *api) listRules(ctx context.Context, c *call, _ *none) (*pageOut[RuleItem], error) {
	asked := c.query.paging(rule.Sorts[0])
	p, err := a.Rules.List(ctx, c.Tenant.Number, rule.Query{Filter: ruleFilter(c.query), Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, p.Total, p.Rules, ruleOf), nil
}

// outOfRule maps what a use case of a rule returned. The revision leaves out what
// matching changes.
func (a *api) outOfRule(ctx context.Context, c *call) func(*rule.Detail, error) (*ruleOut, error) {
	return func(d *rule.Detail, err error) (*ruleOut, error) {
		if err != nil {
			return nil, err
		}
		return &ruleOut{
			Revision: fmt.Sprintf("%d-%d", d.Version, d.UpdatedAt.UnixMicro()),
			Body: ruleDetail{
				RuleItem: ruleOf(&d.Rule), Author: d.Author, TextSeverity: d.TextSeverity, YAML: d.YAML, Forecast: a.forecastOf(ctx, c, d.ID),
			},
		}, nil
	}
}

func (a *api) getRule(ctx context.Context, c *call, in *byID) (*ruleOut, error) {
	return a.outOfRule(ctx, c)(a.Rules.Get(ctx, c.Tenant.Number, in.ID))
}

// ruleText returns the rule as YAML. JSON is rewritten: the same rule then looks
// the same to who reads it later.
func ruleText(body []byte) ([]byte, error) {
	text := bytes.TrimSpace(body)
	if len(text) == 0 {
		return nil, badRequest("Missing body", "Send a Sigma rule as YAML or JSON")
	}
	if text[0] != '{' || !json.Valid(text) {
		return body, nil
	}
	out, err := yaml.JSONToYAML(text)
	if err != nil {
		return nil, badRequest("Invalid rule", "The JSON cannot be read as a rule")
	}
	return out, nil
}

func (a *api) createRule(ctx context.Context, c *call, in *ruleTextIn) (*ruleOut, error) {
	text, err := ruleText(in.RawBody)
	if err != nil {
		return nil, err
	}
	q := c.query
	change := rule.Change{YAML: text, Status: rule.Status(q.one("status")), Reason: q.one("reason")}
	if q.one("staged") == "true" {
		change.Staged = new(true)
	}
	out, err := a.outOfRule(ctx, c)(a.Rules.Create(ctx, c.Tenant.Number, c.Actor, change))
	if err != nil {
		return nil, ruleFault(err)
	}
	out.Location = base + "/siem/rules/" + out.Body.ID
	a.forecast(ctx, c, out)
	return out, nil
}

// ruleFault words a fault of a rule's text as one of the rule.
func ruleFault(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Invalid && f.Field == "" {
		return badRequest("Invalid rule", capital(f.Message))
	}
	return err
}

func (a *api) validateRule(ctx context.Context, c *call, in *ruleTextIn) (*validateOut, error) {
	text, err := ruleText(in.RawBody)
	if err != nil {
		return nil, err
	}
	out := &validateOut{}
	out.Body.Rules = []ruleFacts{}
	p, err := a.Workbench.Program(ctx, c.Tenant.Number, workbench.Subject{Text: string(text)})
	if err != nil {
		return nil, err
	}
	for _, d := range p.Documents {
		kind := "detection"
		switch {
		case d.Correlation != nil:
			kind = "correlation"
		case d.Filter != nil:
			kind = "filter"
		}
		out.Body.Rules = append(out.Body.Rules, ruleFacts{
			ID: d.ID, Name: d.Title, Severity: d.Severity(), Type: kind, LogSource: d.LogSource.String(),
			MitreTactics: orEmpty(d.Tactics()), MitreTechniques: orEmpty(d.Techniques()),
		})
	}
	out.Body.Problems, out.Body.Valid = problemsOf(p), len(p.Problems) == 0
	if out.Body.Valid {
		verdicts, err := a.Sight.Judge(ctx, c.Tenant.Number, [][]*sigma.Document{p.Documents})
		if err != nil {
			return nil, err
		}
		out.Body.Blind = verdicts[0].Reason
	}
	return out, nil
}

// change is what the body asks for, on the version that the caller has seen.
func (r *RuleChange) change() (rule.Change, error) {
	out := rule.Change{Staged: r.Staged, Reason: r.Reason}
	if r.Status.set {
		status, p := r.Status.among("status", asTexts(rule.Statuses))
		if p != nil {
			return out, p
		}
		out.Status = rule.Status(status)
	}
	if r.Severity.set {
		severity := ""
		if r.Severity.text != "" {
			var p *problem
			if severity, p = r.Severity.among("severity", severities()); p != nil {
				return out, p
			}
		}
		out.Severity = &severity
	}
	return out, nil
}

func (a *api) patchRule(ctx context.Context, c *call, in *patchRuleIn) (*ruleOut, error) {
	change, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	change.Version = c.version
	if in.Body.YAML != "" {
		change.YAML = []byte(in.Body.YAML)
	}
	if change.YAML == nil && change.Status == "" && change.Staged == nil && change.Severity == nil {
		return nil, badRequest("Invalid body", "Give at least one of status, staged, severity, yaml")
	}
	out, err := a.outOfRule(ctx, c)(a.Rules.Change(ctx, c.Tenant.Number, c.Actor, in.ID, change))
	if err != nil {
		return nil, c.condition(ruleFault(err))
	}
	a.forecast(ctx, c, out)
	return out, nil
}

func (a *api) bulkRules(ctx context.Context, c *call, in *bulkRulesIn) (*bulkOut, error) {
	change, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	results, err := a.Rules.Bulk(ctx, c.Tenant.Number, c.Actor, in.Body.IDs, change)
	if err != nil {
		return nil, ruleFault(err)
	}
	out := &bulkOut{}
	out.Body.Results = make([]bulkItem, len(results))
	for i, r := range results {
		out.Body.Results[i] = a.bulkItemOf(ctx, r.ID, r.Err)
		if r.Err == nil {
			out.Body.Changed++
		} else {
			out.Body.Failed++
		}
	}
	return out, nil
}

func (a *api) bulkItemOf(ctx context.Context, id string, err error) bulkItem {
	item := bulkItem{ID: id, Status: http.StatusOK}
	if err != nil {
		bad := problemFor(ctx, a.log, err)
		item.Status, item.Error, item.Message = bad.Status, bad.Err, bad.Message
	}
	return item
}

func (a *api) deleteRule(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Rules.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
}
