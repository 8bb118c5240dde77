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
)

// RuleItem is one rule of a list. It is exported, as every embedded shape is, since
// huma leaves out the others.
type RuleItem struct {
	ID              string     `json:"id"`
	Name            string     `json:"name"`
	Description     string     `json:"description"`
	Severity        string     `json:"severity" enum:"critical,high,medium,low,info"`
	Status          string     `json:"status" enum:"ACTIVE,INACTIVE,DRAFT"`
	Type            string     `json:"type" enum:"detection,correlation"`
	Source          string     `json:"source" doc:"What it looks at; empty: anything."`
	MitreTactics    []string   `json:"mitreTactics" nullable:"false"`
	MitreTechniques []string   `json:"mitreTechniques" nullable:"false"`
	Version         int64      `json:"version"`
	CreatedAt       time.Time  `json:"createdAt"`
	UpdatedAt       time.Time  `json:"updatedAt"`
	LastMatchAt     *time.Time `json:"lastMatchAt" nullable:"true"`
	Matches24h      int64      `json:"matches24h" doc:"In the last 24 hours."`
	Builtin         bool       `json:"builtin" doc:"It comes with KYRA and can be turned off, but not changed."`

	_ struct{} `additionalProperties:"true"`
}

func ruleOf(r *rule.Rule) RuleItem {
	return RuleItem{
		ID: r.ID, Name: r.Name, Description: r.Description, Severity: r.Severity, Status: string(r.Status), Type: r.Type, Source: r.Source,
		MitreTactics: orEmpty(r.Tactics), MitreTechniques: orEmpty(r.Techniques), Version: r.Version,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, LastMatchAt: r.LastMatchAt, Matches24h: r.Matches24h, Builtin: r.Builtin,
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
	Author string `json:"author"`
	YAML   string `json:"yaml" doc:"The rule's text: Sigma."`

	_ struct{} `additionalProperties:"true"`
}

type (
	ruleOut struct {
		Location string `header:"Location"`
		Revision string `header:"X-Revision"`
		Body     ruleDetail
	}
	ruleTextIn struct {
		RawBody []byte `contentType:"application/yaml"`
	}
	patchRuleIn struct {
		ID   string `path:"id"`
		Body struct {
			Status word   `json:"status,omitzero" enum:"ACTIVE,INACTIVE,DRAFT"`
			YAML   string `json:"yaml,omitempty" doc:"A new text, for rules of your own."`
		}
	}
	validateOut struct {
		Body struct {
			Valid    bool          `json:"valid"`
			Problems []ruleProblem `json:"problems" nullable:"false"`
			Rules    []ruleFacts   `json:"rules" nullable:"false" doc:"What was read, where it could be read."`

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
		params: append(paging(rule.Sorts...),
			param{name: "search", doc: "Search in name, description, MITRE tactic/technique."},
			param{name: "severity", doc: "Filter by severity.", kind: enum, values: severities(), many: true},
			param{name: "status", doc: "Filter by status.", kind: enum, values: asTexts(rule.Statuses), many: true},
			param{name: "mitre", doc: "Filter by MITRE tactic or technique ID; T1110 also finds T1110.001."},
			param{name: "source", doc: "Filter by source."},
			param{name: "builtin", doc: "Only those that come with KYRA, or only your own.", kind: enum, values: []string{"true", "false"}}),
	}, a.listRules)
	handle(a, operation{
		id: "getRule", method: http.MethodGet, path: "/siem/rules/{id}", tag: tag, summary: "Get a rule with its text", single: true,
	}, a.getRule)
	handle(a, operation{
		id: "createRule", method: http.MethodPost, path: "/siem/rules", tag: tag, summary: "Create a rule", status: http.StatusCreated, media: ruleTypes(),
		doc:    "The body is a Sigma rule, as YAML or as JSON of the same structure. It works within seconds, unless status says otherwise.",
		params: []param{{name: "status", doc: "The rule's status.", kind: enum, values: asTexts(rule.Statuses), standard: string(rule.On)}},
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
		id: "updateRule", method: http.MethodPatch, path: "/siem/rules/{id}", tag: tag, summary: "Turn a rule on or off, or change its text", single: true,
	}, a.patchRule)
	for _, turn := range []struct {
		verb, summary string
		to            rule.Status
	}{{"enable", "Turn a rule on", rule.On}, {"disable", "Turn a rule off", rule.Off}} {
		handle(a, operation{
			id: turn.verb + "Rule", method: http.MethodPost, path: "/siem/rules/{id}/" + turn.verb, tag: tag, summary: turn.summary,
		}, func(ctx context.Context, c *call, in *byID) (*ruleOut, error) {
			return outOfRule(a.Rules.SetStatus(ctx, c.Tenant.Number, c.Actor, in.ID, turn.to))
		})
	}
	handle(a, operation{
		id: "deleteRule", method: http.MethodDelete, path: "/siem/rules/{id}", tag: tag, summary: "Delete a rule of your own", status: http.StatusNoContent,
	}, a.deleteRule)
}

func (a *api) listRules(ctx context.Context, c *call, _ *none) (*pageOut[RuleItem], error) {
	q, asked := c.query, c.query.paging(rule.Sorts[0])
	f := rule.Filter{
		Search: q.one("search"), Severities: q.all("severity"), Statuses: words[rule.Status](q.all("status")), Mitre: q.one("mitre"), Source: q.one("source"),
	}
	if b := q.one("builtin"); b != "" {
		f.Builtin = new(b == "true")
	}
	p, err := a.Rules.List(ctx, c.Tenant.Number, rule.Query{Filter: f, Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, p.Total, p.Rules, ruleOf), nil
}

// outOfRule maps what a use case of a rule returned. The revision leaves out what
// matching changes.
func outOfRule(d *rule.Detail, err error) (*ruleOut, error) {
	if err != nil {
		return nil, err
	}
	return &ruleOut{
		Revision: fmt.Sprintf("%d-%d", d.Version, d.UpdatedAt.UnixMicro()),
		Body:     ruleDetail{RuleItem: ruleOf(&d.Rule), Author: d.Author, YAML: d.YAML},
	}, nil
}

func (a *api) getRule(ctx context.Context, c *call, in *byID) (*ruleOut, error) {
	return outOfRule(a.Rules.Get(ctx, c.Tenant.Number, in.ID))
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
	status := rule.On
	if s := c.query.one("status"); s != "" {
		status = rule.Status(s)
	}
	out, err := outOfRule(a.Rules.Create(ctx, c.Tenant.Number, c.Actor, text, status))
	if err != nil {
		return nil, ruleFault(err)
	}
	out.Location = base + "/siem/rules/" + out.Body.ID
	return out, nil
}

// ruleFault words a fault of a rule's text as one of the rule.
func ruleFault(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Invalid && f.Field == "" {
		return badRequest("Invalid rule", capital(f.Message))
	}
	return err
}

func (a *api) validateRule(_ context.Context, _ *call, in *ruleTextIn) (*validateOut, error) {
	text, err := ruleText(in.RawBody)
	if err != nil {
		return nil, err
	}
	out := &validateOut{}
	out.Body.Rules = []ruleFacts{}
	_, docs, problems := compileRule(text)
	for _, d := range docs {
		kind := "detection"
		if d.Correlation != nil {
			kind = "correlation"
		}
		out.Body.Rules = append(out.Body.Rules, ruleFacts{
			ID: d.ID, Name: d.Title, Severity: d.Severity(), Type: kind, LogSource: d.LogSource.String(),
			MitreTactics: orEmpty(d.Tactics()), MitreTechniques: orEmpty(d.Techniques()),
		})
	}
	out.Body.Problems, out.Body.Valid = problems, len(problems) == 0
	return out, nil
}

func (a *api) patchRule(ctx context.Context, c *call, in *patchRuleIn) (*ruleOut, error) {
	if !in.Body.Status.set && in.Body.YAML == "" {
		return nil, badRequest("Invalid body", "Give at least one of status, yaml")
	}
	status := ""
	if in.Body.Status.set {
		var p *problem
		if status, p = in.Body.Status.among("status", asTexts(rule.Statuses)); p != nil {
			return nil, p
		}
	}
	var d *rule.Detail
	var err error
	if in.Body.YAML != "" {
		if d, err = a.Rules.Update(ctx, c.Tenant.Number, c.Actor, in.ID, []byte(in.Body.YAML), c.version); err != nil {
			return nil, c.condition(ruleFault(err))
		}
	}
	if status != "" {
		if d, err = a.Rules.SetStatus(ctx, c.Tenant.Number, c.Actor, in.ID, rule.Status(status)); err != nil {
			return nil, err
		}
	}
	return outOfRule(d, nil)
}

func (a *api) deleteRule(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Rules.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
}
