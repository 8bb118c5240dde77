package api

import (
	"context"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

type (
	testRuleIn struct {
		Body struct {
			RuleSubject
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
		Matches  []string       `json:"matches" nullable:"false" doc:"Titles of the rules that match it, those that a correlation counts included."`
		Excepted []string       `json:"excepted" nullable:"false" doc:"Those of them that an exception keeps from counting."`
		Fields   map[string]any `json:"fields" doc:"What the parser read."`

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
	subject, err := in.Body.read()
	if err != nil {
		return nil, err
	}
	out := &testRuleOut{}
	out.Body.Problems, out.Body.Events, out.Body.Findings = []ruleProblem{}, []testedEvent{}, []testFinding{}
	p, err := a.Workbench.Program(ctx, c.Tenant.Number, subject)
	if err != nil {
		return nil, err
	}
	if out.Body.Problems = problemsOf(p); len(out.Body.Problems) > 0 {
		return out, nil
	}
	out.Body.Valid = true
	records := make([]string, len(in.Body.Events))
	for i, given := range in.Body.Events {
		var ok bool
		if records[i], ok = recordText(given); !ok {
			return nil, invalid(fmt.Sprintf("events[%d]", i), "Allowed: a text or an object")
		}
	}
	trial, err := a.Workbench.Try(ctx, c.Tenant.Number, p, records, in.Body.Source)
	if err != nil {
		return nil, err
	}
	for i := range trial.Records {
		r := &trial.Records[i]
		out.Body.Events = append(out.Body.Events, testedEvent{Matches: orEmpty(r.Matches), Excepted: orEmpty(r.Excepted), Fields: fieldsOfEvent(&r.Event)})
	}
	for i := range trial.Findings {
		out.Body.Findings = append(out.Body.Findings, testFindingOf(&trial.Findings[i]))
	}
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

// problemsOf tells all that is wrong with a rule's text.
func problemsOf(p *workbench.Program) []ruleProblem {
	problems := []ruleProblem{}
	for _, x := range p.Problems {
		problems = append(problems, ruleProblem{Line: x.Line, Column: x.Column, Message: capital(x.Message)})
	}
	return problems
}
