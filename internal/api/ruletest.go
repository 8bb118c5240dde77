package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

type (
	testRuleIn struct {
		Body struct {
			Rule   string `json:"rule,omitempty" doc:"The rule's text: Sigma YAML."`
			RuleID string `json:"ruleId,omitempty" doc:"Or a rule of the catalogue."`
			Events []any  `json:"events" nullable:"false" minItems:"1" maxItems:"1000" doc:"Log records in their order: texts as received, or JSON objects."`
			Source string `json:"source,omitempty" doc:"What the records are; found out when left out."`
		}
	}
	testRuleOut struct {
		Body struct {
			Valid    bool          `json:"valid"`
			Problems []ruleProblem `json:"problems" nullable:"false"`
			Events   []testedEvent `json:"events" nullable:"false" doc:"One for each record, in their order."`
			Findings []testFinding `json:"findings" nullable:"false" doc:"What would raise alerts."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	testedEvent struct {
		Matches []string       `json:"matches" nullable:"false" doc:"Titles of the rules that match it, those that a correlation counts included."`
		Fields  map[string]any `json:"fields" doc:"What the parser read."`

		_ struct{} `additionalProperties:"true"`
	}
	testFinding struct {
		Title     string       `json:"title"`
		Severity  string       `json:"severity"`
		Key       string       `json:"key" doc:"What tells entities of one rule apart."`
		Count     int64        `json:"count"`
		FirstSeen time.Time    `json:"firstSeen"`
		LastSeen  time.Time    `json:"lastSeen"`
		Entities  []entityItem `json:"entities" nullable:"false"`
		Events    []uint32     `json:"events" nullable:"false" doc:"Indexes of the records that made it."`

		_ struct{} `additionalProperties:"true"`
	}
)

// testRule runs records through parser, rule and correlation exactly as they come in
// live, and keeps nothing.
func (a *api) testRule(ctx context.Context, c *call, in *testRuleIn) (*testRuleOut, error) {
	text := in.Body.Rule
	switch {
	case (text == "") == (in.Body.RuleID == ""):
		return nil, badRequest("Invalid body", "Give rule or ruleId")
	case text == "":
		d, err := a.Rules.Get(ctx, c.Tenant.Number, in.Body.RuleID)
		if err != nil {
			return nil, err
		}
		text = d.YAML
	}
	out := &testRuleOut{}
	out.Body.Problems, out.Body.Events, out.Body.Findings = []ruleProblem{}, []testedEvent{}, []testFinding{}
	set, _, problems := compileRule([]byte(text))
	if len(problems) > 0 {
		out.Body.Problems = problems
		return out, nil
	}
	out.Body.Valid = true
	parser, matcher := parse.New(parse.Options{}), set.NewMatcher()
	detector := detect.New(func(uint32) *detect.Ruleset { return set })
	emit := func(f *alert.Finding) { out.Body.Findings = append(out.Body.Findings, testFindingOf(f)) }
	var hits []detect.Hit
	now := a.Now()
	for i, given := range in.Body.Events {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		raw, ok := given.(string)
		if !ok {
			text, err := json.Marshal(given)
			if err != nil {
				return nil, invalid(fmt.Sprintf("events[%d]", i), "Allowed: a text or an object")
			}
			raw = string(text)
		}
		var e event.Event
		record := parse.Record{Tenant: c.Tenant.Number, Raw: raw, Arrived: now.Add(time.Duration(i) * time.Millisecond).UnixNano(), Source: in.Body.Source, Input: "http"}
		parser.Parse(&record, &e)
		e.ID = event.ID{Index: uint32(i)} //nolint:gosec // at most 1,000
		hits = matcher.Match(&e, hits[:0])
		tested := testedEvent{Matches: make([]string, len(hits)), Fields: fieldsOfEvent(&e)}
		for j, h := range hits {
			tested.Matches[j] = h.Document().Title
		}
		out.Body.Events = append(out.Body.Events, tested)
		detector.Apply(&e, hits, emit)
	}
	detector.EndBatch(emit)
	return out, nil
}

func testFindingOf(f *alert.Finding) testFinding {
	t := testFinding{
		Title: f.Title, Severity: f.Severity, Key: f.Key, Count: f.Count,
		FirstSeen: time.Unix(0, f.First).UTC(), LastSeen: time.Unix(0, f.Last).UTC(), Entities: entitiesOf(f.Entities), Events: make([]uint32, len(f.Events)),
	}
	for i, id := range f.Events {
		t.Events[i] = id.Index
	}
	return t
}

// fieldsOfEvent is what eventItem writes as fields, for few events.
func fieldsOfEvent(e *event.Event) map[string]any {
	all := map[string]any{event.Timestamp: time.Unix(0, e.Time).UTC()}
	for _, f := range e.Fields {
		switch had := all[f.Name].(type) {
		case string:
			all[f.Name] = []string{had, f.Value}
		case []string:
			all[f.Name] = append(had, f.Value)
		default:
			all[f.Name] = f.Value
		}
	}
	return all
}

// compileRule reads a rule's text and tells all that is wrong with it.
func compileRule(text []byte) (*detect.Ruleset, []*sigma.Document, []ruleProblem) {
	docs, err := sigma.Parse(text)
	if err != nil {
		p := ruleProblem{Message: capital(err.Error())}
		if e, ok := errors.AsType[*sigma.Error](err); ok {
			p = ruleProblem{Line: e.Line, Column: e.Column, Message: capital(e.Message)}
		}
		return nil, nil, []ruleProblem{p}
	}
	rules := make([]detect.Rule, len(docs))
	for i, d := range docs {
		rules[i] = detect.Rule{Document: d, Version: 1}
	}
	set, found := detect.Compile(rules)
	problems := []ruleProblem{}
	for _, p := range found {
		problems = append(problems, ruleProblem{Line: docs[p.Index].Line, Column: 1, Message: capital(p.Message)})
	}
	return set, docs, problems
}
