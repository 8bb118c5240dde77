package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// RuleSubject is the rule that a call of the workbench is about.
type RuleSubject struct {
	Rule   string `json:"rule,omitempty" doc:"The rule's text: Sigma YAML."`
	RuleID string `json:"ruleId,omitempty" doc:"Or a rule of the catalogue, with its exceptions."`
}

func (r *RuleSubject) read() (workbench.Subject, error) {
	if (r.Rule == "") == (r.RuleID == "") {
		return workbench.Subject{}, badRequest("Invalid body", "Give rule or ruleId")
	}
	return workbench.Subject{Text: r.Rule, ID: r.RuleID}, nil
}

type (
	backtestIn struct {
		Body struct {
			RuleSubject
			Span
		}
	}
	forecastIn struct {
		Body struct{ RuleSubject }
	}
	explainIn struct {
		Body struct {
			RuleSubject
			Event   any    `json:"event,omitempty" doc:"A log record: text as received, or a JSON object."`
			EventID string `json:"eventId,omitempty" doc:"Or a stored event."`
			Source  string `json:"source,omitempty" doc:"What the record is; found out when left out."`
		}
	}
	explainOut struct {
		Body struct {
			workbench.Explanation
			Event explainedEvent `json:"event"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	explainedEvent struct {
		ID        *string        `json:"id" nullable:"true" doc:"Of a stored one."`
		Timestamp time.Time      `json:"timestamp"`
		Fields    map[string]any `json:"fields" doc:"What the rule sees."`

		_ struct{} `additionalProperties:"true"`
	}
)

// openWorkbench makes what New was not given.
func (c *Config) openWorkbench() {
	if c.Workbench == nil {
		c.Workbench = workbench.New(workbench.Config{Events: c.Events, Rules: c.Rules, Log: c.Log, Now: c.Now, Alerts: c.Alerts.ByTechnique})
	}
}

const backtestSpan = 7 * 24 * time.Hour

const resultHelp = `The answer is a job: its progress counts events, and its result says how many events matched and how many alerts that would have been, by day, by host and by user, with sample events, sample alerts and the cost. ` +
	`Events are run in the order of their times through the engine that runs live, correlations, exceptions and filters included.`

func (a *api) workbench() {
	const tag = "Rule workbench"
	handle(a, operation{
		id: "backtestRule", method: http.MethodPost, path: "/siem/rules/backtest", tag: tag, summary: "Run a rule over stored events", status: http.StatusAccepted,
		doc: resultHelp + " Times default to the last 7 days; a query narrows the events further.",
	}, a.backtestRule)
	handle(a, operation{
		id: "forecastRule", method: http.MethodPost, path: "/siem/rules/forecast", tag: tag, summary: "Tell what a rule would have given in the last 14 days", status: http.StatusAccepted,
		doc: resultHelp + " Where 14 days hold too many events, hours spread evenly over them are read, and estimate says how the numbers were reckoned.",
	}, a.forecastRule)
	handle(a, operation{
		id: "explainRule", method: http.MethodPost, path: "/siem/rules/explain", tag: tag, summary: "Tell why a rule fires for an event, or does not", safe: true,
		doc: "The log source, the condition part by part with the event's values, exceptions, and for a correlation what its window holds: the stored events of the event's group are run through the engine.",
	}, a.explainRule)
	handle(a, operation{
		id: "getRuleCoverage", method: http.MethodGet, path: "/siem/rules/coverage", tag: tag, summary: "Get the ATT&CK matrix of the active rules", single: true,
		doc:    "Only rules whose log source arrives and whose fields are filled count; those that are blind stand beside them. Rules of older and newer names of tactics meet in one column.",
		params: []param{{name: "format", doc: "navigator: a layer for the ATT&CK Navigator (format 4.5), as a file.", kind: enum, values: []string{"json", "navigator"}, standard: "json"}},
	}, a.ruleCoverage)
	a.letGrow()
}

// letGrow says of shapes that come from below that they may gain keys, as all answers
// may.
func (a *api) letGrow() {
	shapes := a.huma.OpenAPI().Components.Schemas.Map()
	for _, t := range []reflect.Type{
		reflect.TypeFor[workbench.BacktestResult](), reflect.TypeFor[workbench.Explanation](), reflect.TypeFor[workbench.Coverage](), reflect.TypeFor[workbench.Layer](),
	} {
		grow(shapes, t, map[reflect.Type]bool{})
	}
}

func grow(shapes map[string]*huma.Schema, t reflect.Type, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	if s := shapes[t.Name()]; s != nil {
		s.AdditionalProperties = true
	}
	for f := range t.Fields() {
		grow(shapes, f.Type, seen)
	}
}

type coverageOut struct {
	Disposition string `header:"Content-Disposition"`
	Body        coverageBody
}

// coverageBody is one of two forms.
type coverageBody struct{ any }

// MarshalJSON implements json.Marshaler.
func (b coverageBody) MarshalJSON() ([]byte, error) { return json.Marshal(b.any) }

// Schema implements huma.SchemaProvider.
func (coverageBody) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{AnyOf: []*huma.Schema{r.Schema(reflect.TypeFor[workbench.Coverage](), true, ""), r.Schema(reflect.TypeFor[workbench.Layer](), true, "")}}
}

func (a *api) ruleCoverage(ctx context.Context, c *call, _ *none) (*coverageOut, error) {
	matrix, err := a.Workbench.Coverage(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	if c.query.one("format") == "navigator" {
		return &coverageOut{Disposition: `attachment; filename="kyra-coverage-layer.json"`, Body: coverageBody{matrix.Navigator()}}, nil
	}
	return &coverageOut{Body: coverageBody{matrix}}, nil
}

func (a *api) backtestRule(ctx context.Context, c *call, in *backtestIn) (*startedOut, error) {
	subject, err := in.Body.RuleSubject.read()
	if err != nil {
		return nil, err
	}
	if in.Body.FromTime == "" {
		end := a.Now()
		if in.Body.ToTime != "" {
			var wrong string
			if end, wrong = parseMoment(in.Body.ToTime); wrong != "" {
				return nil, invalid("toTime", wrong)
			}
		}
		in.Body.FromTime = end.Add(-backtestSpan).Format(time.RFC3339Nano)
	}
	_, from, to, err := in.Body.Span.read(a.Now())
	if err != nil {
		return nil, err
	}
	r := workbench.BacktestRequest{Subject: subject, From: time.Unix(0, from).UTC(), To: time.Unix(0, to).UTC(), Query: in.Body.Query}
	if err := a.Workbench.Check(ctx, c.Tenant.Number, r); err != nil {
		return nil, err
	}
	return started(a.Jobs.Start(ctx, c.Tenant.Number, c.Actor, job.Draft{Kind: workbench.BacktestJob, Subject: subject.ID, Params: r}))
}

func (a *api) forecastRule(ctx context.Context, c *call, in *forecastIn) (*startedOut, error) {
	subject, err := in.Body.read()
	if err != nil {
		return nil, err
	}
	now := a.Now()
	if err := a.Workbench.Check(ctx, c.Tenant.Number, workbench.BacktestRequest{Subject: subject, From: now.Add(-workbench.ForecastSpan), To: now}); err != nil {
		return nil, err
	}
	return started(a.Jobs.Start(ctx, c.Tenant.Number, c.Actor, job.Draft{Kind: workbench.ForecastJob, Subject: subject.ID, Params: subject, Replace: subject.ID != ""}))
}

func (a *api) explainRule(ctx context.Context, c *call, in *explainIn) (*explainOut, error) {
	subject, err := in.Body.read()
	if err != nil {
		return nil, err
	}
	if (in.Body.Event == nil) == (in.Body.EventID == "") {
		return nil, badRequest("Invalid body", "Give event or eventId")
	}
	out := &explainOut{}
	var e *event.Event
	if in.Body.Event != nil {
		raw, ok := recordText(in.Body.Event)
		if !ok {
			return nil, invalid("event", "Allowed: a text or an object")
		}
		e = a.Workbench.Read(c.Tenant.Number, raw, in.Body.Source)
	} else {
		id, err := event.ParseID(in.Body.EventID)
		if err != nil {
			return nil, notFound()
		}
		if e, err = inTurn(ctx, a, func(ctx context.Context) (*event.Event, error) { return a.Events.Get(ctx, c.Tenant.Number, id) }); err != nil {
			return nil, err
		}
		out.Body.Event.ID = &in.Body.EventID
	}
	x, err := inTurn(ctx, a, func(ctx context.Context) (*workbench.Explanation, error) {
		return a.Workbench.Explain(ctx, c.Tenant.Number, subject, e)
	})
	if err != nil {
		return nil, err
	}
	out.Body.Explanation = *x
	out.Body.Event.Timestamp, out.Body.Event.Fields = time.Unix(0, e.Time).UTC(), fieldsOfEvent(e)
	return out, nil
}

// recordText is a log record as it came in: a text, or the text of a JSON object.
func recordText(given any) (string, bool) {
	if raw, ok := given.(string); ok {
		return raw, true
	}
	if _, ok := given.(map[string]any); !ok {
		return "", false
	}
	text, err := json.Marshal(given)
	return string(text), err == nil
}

// jobResult is the result of a job, in the form of its kind.
type jobResult json.RawMessage

// MarshalJSON implements json.Marshaler.
func (r jobResult) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("null"), nil
	}
	return r, nil
}

// Schema implements huma.SchemaProvider.
func (jobResult) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{AnyOf: []*huma.Schema{r.Schema(reflect.TypeFor[workbench.BacktestResult](), true, ""), {Type: "null"}}}
}

// RuleForecast is the last forecast of a rule.
type RuleForecast struct {
	JobID     string    `json:"jobId" format:"uuid"`
	State     string    `json:"state" enum:"QUEUED,RUNNING,DONE,FAILED,CANCELLED"`
	CreatedAt time.Time `json:"createdAt"`
	Matches   *int64    `json:"matches" nullable:"true" doc:"In 14 days; null before it is done."`
	Alerts    *int64    `json:"alerts" nullable:"true"`
	Estimated bool      `json:"estimated" doc:"Reckoned from samples: the job's result says how."`

	_ struct{} `additionalProperties:"true"`
}

// lastForecast is a RuleForecast or null.
type lastForecast struct{ *RuleForecast }

// MarshalJSON implements json.Marshaler.
func (f lastForecast) MarshalJSON() ([]byte, error) { return json.Marshal(f.RuleForecast) }

// Schema implements huma.SchemaProvider.
func (lastForecast) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{AnyOf: []*huma.Schema{r.Schema(reflect.TypeFor[RuleForecast](), true, ""), {Type: "null"}}}
}

// forecastOf returns the last forecast of a rule.
func (a *api) forecastOf(ctx context.Context, c *call, id string) lastForecast {
	j, err := a.Jobs.Latest(ctx, c.Tenant.Number, workbench.ForecastJob, id)
	if err != nil {
		return lastForecast{} // it is shown beside the rule: the rule matters more
	}
	f := &RuleForecast{JobID: j.ID, State: string(j.State), CreatedAt: j.CreatedAt}
	var r workbench.BacktestResult
	if j.Result != nil && json.Unmarshal(j.Result, &r) == nil {
		f.Matches, f.Alerts, f.Estimated = &r.Matches, &r.Alerts, r.Estimate != nil
	}
	return lastForecast{f}
}

// forecast starts a forecast of a rule that was saved, if the caller asks for one, and
// links to it. That it cannot be started does not undo the saving.
func (a *api) forecast(ctx context.Context, c *call, out *ruleOut) {
	if c.query.one("forecast") != "true" {
		return
	}
	id := out.Body.ID
	j, err := a.Jobs.Start(ctx, c.Tenant.Number, c.Actor, job.Draft{Kind: workbench.ForecastJob, Subject: id, Params: workbench.Subject{ID: id}, Replace: true})
	if err != nil {
		a.log.WarnContext(ctx, "no forecast for a saved rule", "rule", id, "err", err)
		return
	}
	out.Link = fmt.Sprintf("<%s/jobs/%s>; rel=\"forecast\"", base, j.ID)
	out.Body.Forecast = a.forecastOf(ctx, c, id)
}

func forecastParam() param {
	return param{
		name: "forecast", doc: "Also start a job that tells what the rule would have given in the last 14 days; the header Link leads to it.", kind: enum,
		values: []string{"true", "false"}, standard: "false",
	}
}
