package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/playbook"
)

type (
	// PlaybookItem is one playbook of a list.
	PlaybookItem struct {
		ID           string          `json:"id" format:"uuid"`
		Handle       string          `json:"handle" doc:"The id that its document names." example:"brute-force"`
		Name         string          `json:"name"`
		Description  string          `json:"description"`
		Origin       string          `json:"origin" enum:"builtin,custom"`
		Status       string          `json:"status" enum:"enabled,disabled"`
		Trigger      playbookTrigger `json:"trigger"`
		Condition    string          `json:"condition" doc:"In the query language; empty: always."`
		AllowOutside bool            `json:"allowOutside" doc:"Whether its steps that leave the house may run. Built-in playbooks begin without."`
		OutsideSteps []string        `json:"outsideSteps" nullable:"false" doc:"Ids of the steps that leave the house."`
		Version      int64           `json:"version"`
		Runs         int64           `json:"runs" doc:"Of the last 90 days."`
		LastRunAt    *time.Time      `json:"lastRunAt" nullable:"true"`
		NextRunAt    *time.Time      `json:"nextRunAt" nullable:"true" doc:"Of one on a schedule."`
		CreatedAt    time.Time       `json:"createdAt"`
		CreatedBy    string          `json:"createdBy"`
		UpdatedAt    time.Time       `json:"updatedAt"`

		_ struct{} `additionalProperties:"true"`
	}
	playbookTrigger struct {
		Event string `json:"event" enum:"alert.created,alert.updated,incident.created,incident.updated,manual,schedule"`
		Every string `json:"every,omitempty" doc:"Of a schedule."`
	}
	playbookDetail struct {
		PlaybookItem
		Timeout string         `json:"timeout"`
		Steps   []playbookStep `json:"steps" nullable:"false"`
		YAML    string         `json:"yaml"`
	}
	playbookStep struct {
		ID      string `json:"id"`
		Action  string `json:"action" enum:"comment,set,create-incident,escalate,add-task,tag,notify,http,search,wait,ask"`
		When    string `json:"when"`
		OnError string `json:"onError" enum:"stop,continue"`
		Retries int    `json:"retries"`
		Timeout string `json:"timeout"`
		With    freely `json:"with"`
	}
	playbookOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     playbookDetail
	}
	playbookTextIn struct {
		RawBody []byte `contentType:"application/yaml"`
	}
	patchPlaybookIn struct {
		ID   string `path:"id"`
		Body struct {
			Enabled      *bool   `json:"enabled,omitempty"`
			AllowOutside *bool   `json:"allowOutside,omitempty" doc:"Let steps that leave the house run."`
			YAML         *string `json:"yaml,omitempty" doc:"A new version, for playbooks of your own. Runs that have begun go on with theirs."`
		}
	}
	playbookVersion struct {
		Version   int64     `json:"version"`
		YAML      string    `json:"yaml"`
		CreatedAt time.Time `json:"createdAt"`
		CreatedBy string    `json:"createdBy"`

		_ struct{} `additionalProperties:"true"`
	}
	validPlaybookOut struct {
		Body struct {
			Valid        bool          `json:"valid"`
			Problems     []ruleProblem `json:"problems" nullable:"false"`
			OutsideSteps []string      `json:"outsideSteps" nullable:"false" doc:"Of a valid one: steps that leave the house."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	playbookTargetIn struct {
		ID   string `path:"id"`
		Body *struct {
			AlertID    string `json:"alertId,omitempty"`
			IncidentID string `json:"incidentId,omitempty" doc:"Or an alert's; neither: on nothing."`
		}
	}
	playbookTrialOut struct {
		Body struct {
			ConditionHolds bool                `json:"conditionHolds"`
			Steps          []playbookTrialStep `json:"steps" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	playbookTrialStep struct {
		ID      string `json:"id"`
		Action  string `json:"action"`
		Outside bool   `json:"outside" doc:"It leaves the house."`
		Would   string `json:"would" enum:"run,skip,fail,depends"`
		Why     string `json:"why"`
		Input   freely `json:"input" doc:"Values filled in; what steps bring, and secrets, stand by their names."`
	}
)

// freely is JSON of any shape.
type freely json.RawMessage

// Schema implements huma.SchemaProvider.
func (freely) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

// MarshalJSON implements json.Marshaler.
func (f freely) MarshalJSON() ([]byte, error) {
	if len(f) == 0 {
		return []byte("null"), nil
	}
	return f, nil
}

func freelyOf(v any) freely {
	text, err := json.Marshal(v)
	if err != nil {
		return nil // made of what JSON can hold
	}
	return freely(text)
}

func playbookOf(p *playbook.Playbook) PlaybookItem {
	d := p.Document
	item := PlaybookItem{
		ID: p.ID, Handle: p.Handle, Name: p.Name, Description: d.Description, Origin: p.Origin, Status: "disabled", Trigger: playbookTrigger{Event: d.Event}, Condition: d.Condition,
		AllowOutside: p.Outside, OutsideSteps: d.Outside(), Version: p.Number, Runs: p.Runs, LastRunAt: p.LastRun, NextRunAt: p.NextAt, CreatedAt: p.CreatedAt, CreatedBy: p.CreatedBy, UpdatedAt: p.UpdatedAt,
	}
	if p.Enabled {
		item.Status = "enabled"
	}
	if d.Every > 0 {
		item.Trigger.Every = d.Every.String()
	}
	return item
}

func outOfPlaybook(p *playbook.Playbook, err error) (*playbookOut, error) {
	if err != nil {
		return nil, err
	}
	out := &playbookOut{Revision: p.Revision, Body: playbookDetail{PlaybookItem: playbookOf(p), Timeout: p.Document.Timeout.String(), Steps: []playbookStep{}, YAML: p.Text}}
	for i := range p.Document.Steps {
		st := &p.Document.Steps[i]
		out.Body.Steps = append(out.Body.Steps, playbookStep{
			ID: st.ID, Action: st.Action, When: st.When, OnError: st.OnError, Retries: st.Retry.Times, Timeout: st.Timeout.String(), With: freelyOf(st.With),
		})
	}
	return out, nil
}

func (a *api) playbooks() {
	const tag = "Playbooks"
	handle(a, operation{
		id: "listPlaybooks", method: http.MethodGet, path: "/playbooks", tag: tag, summary: "List playbooks",
		params: append(paging("name", "createdAt", "updatedAt"), playbookFilters()...),
	}, a.listPlaybooks)
	handle(a, operation{
		id: "createPlaybook", method: http.MethodPost, path: "/playbooks", tag: tag, summary: "Create a playbook", status: http.StatusCreated, media: ruleTypes(),
		doc:    "The body is the document, as YAML or JSON. A fault names line, column and remedy.",
		params: []param{{name: "status", doc: "enabled when left out.", kind: enum, values: []string{"enabled", "disabled"}}},
	}, a.createPlaybook)
	handle(a, operation{
		id: "validatePlaybook", method: http.MethodPost, path: "/playbooks/validate", tag: tag, summary: "Check a playbook without keeping it", safe: true, media: ruleTypes(),
	}, func(_ context.Context, _ *call, in *playbookTextIn) (*validPlaybookOut, error) {
		return validatePlaybook(in.RawBody)
	})
	handle(a, operation{
		id: "getPlaybook", method: http.MethodGet, path: "/playbooks/{id}", tag: tag, summary: "Get a playbook", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*playbookOut, error) {
		return outOfPlaybook(a.Playbooks.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updatePlaybook", method: http.MethodPatch, path: "/playbooks/{id}", tag: tag, summary: "Switch a playbook, or give it a new version", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *patchPlaybookIn) (*playbookOut, error) {
		b := &in.Body
		p, err := a.Playbooks.Change(ctx, c.Tenant.Number, c.Actor, in.ID, playbook.Patch{Enabled: b.Enabled, Outside: b.AllowOutside, Text: b.YAML, Revision: c.version})
		return outOfPlaybook(p, c.condition(err))
	})
	handle(a, operation{
		id: "deletePlaybook", method: http.MethodDelete, path: "/playbooks/{id}", tag: tag, summary: "Delete a playbook of your own, with its runs", status: http.StatusNoContent, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Playbooks.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
	handle(a, operation{
		id: "listPlaybookVersions", method: http.MethodGet, path: "/playbooks/{id}/versions", tag: tag, summary: "List the versions of a playbook", uuid: true, params: paging("version"),
	}, a.listPlaybookVersions)
	handle(a, operation{
		id: "dryRunPlaybook", method: http.MethodPost, path: "/playbooks/{id}/dry-run", tag: tag, summary: "Show what a playbook would do", safe: true, uuid: true,
		doc: "On an alert or incident: which steps would run, with which values. Nothing changes and nobody is called.",
	}, a.dryRunPlaybook)
	handle(a, operation{
		id: "runPlaybook", method: http.MethodPost, path: "/playbooks/{id}/run", tag: tag, summary: "Run a playbook", status: http.StatusAccepted, uuid: true,
		doc: "On an alert, an incident, or nothing. Neither its trigger nor its condition are asked, nor whether it is enabled.",
	}, a.runPlaybook)
	a.playbookRuns(tag)
	a.playbookSecrets(tag)
}

func playbookFilters() []param {
	return []param{
		{name: "status", doc: "Filter by status.", kind: enum, values: []string{"enabled", "disabled"}},
		{name: "trigger", doc: "Filter by what they begin on.", kind: enum, values: playbook.Triggers, many: true},
		{name: "origin", doc: "Filter by origin.", kind: enum, values: []string{playbook.Builtin, playbook.Custom}},
		{name: "search", doc: "Search in id, name and description."},
	}
}

func playbookFilter(q given) playbook.Filter {
	f := playbook.Filter{Events: q.all("trigger"), Origin: q.one("origin"), Search: q.one("search")}
	if s := q.one("status"); s != "" {
		f.Enabled = new(s == "enabled")
	}
	return f
}

func (a *api) listPlaybooks(ctx context.Context, c *call, _ *none) (*pageOut[PlaybookItem], error) {
	q, asked := c.query, c.query.paging("name")
	query := playbook.Query{Filter: playbookFilter(q), Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size}
	list, total, err := a.Playbooks.List(ctx, c.Tenant.Number, query)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, playbookOf), nil
}

func (a *api) createPlaybook(ctx context.Context, c *call, in *playbookTextIn) (*playbookOut, error) {
	p, err := a.Playbooks.Create(ctx, c.Tenant.Number, c.Actor, string(in.RawBody), c.query.one("status") != "disabled")
	out, err := outOfPlaybook(p, err)
	if err != nil {
		return nil, err
	}
	out.Location = base + "/playbooks/" + p.ID
	return out, nil
}

func validatePlaybook(text []byte) (*validPlaybookOut, error) {
	out := &validPlaybookOut{}
	out.Body.Problems, out.Body.OutsideSteps = []ruleProblem{}, []string{}
	d, err := playbook.Parse(text)
	if wrong := playbook.Wrong(err); wrong != nil {
		out.Body.Problems = append(out.Body.Problems, ruleProblem{Line: wrong.Line, Column: wrong.Column, Message: wrong.Message})
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.Body.Valid, out.Body.OutsideSteps = true, d.Outside()
	return out, nil
}

func (a *api) listPlaybookVersions(ctx context.Context, c *call, in *byID) (*pageOut[playbookVersion], error) {
	asked := c.query.paging("version")
	list, err := a.Playbooks.Versions(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	if asked.ascending {
		for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
			list[i], list[j] = list[j], list[i]
		}
	}
	from := min(asked.page*asked.size, len(list))
	return pageOf(asked, int64(len(list)), list[from:min(from+asked.size, len(list))], func(v *playbook.Version) playbookVersion {
		return playbookVersion{Version: v.Number, YAML: v.Text, CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy}
	}), nil
}

func (in *playbookTargetIn) target() (alertID, incidentID string) {
	if in.Body == nil {
		return "", ""
	}
	return in.Body.AlertID, in.Body.IncidentID
}

func (a *api) dryRunPlaybook(ctx context.Context, c *call, in *playbookTargetIn) (*playbookTrialOut, error) {
	alertID, incidentID := in.target()
	t, err := a.Playbooks.DryRun(ctx, c.Tenant.Number, in.ID, alertID, incidentID)
	if err != nil {
		return nil, err
	}
	out := &playbookTrialOut{}
	out.Body.ConditionHolds, out.Body.Steps = t.Condition, []playbookTrialStep{}
	for i := range t.Steps {
		st := &t.Steps[i]
		out.Body.Steps = append(out.Body.Steps, playbookTrialStep{ID: st.Step, Action: st.Action, Outside: st.Outside, Would: st.Would, Why: st.Why, Input: freelyOf(st.Input)})
	}
	return out, nil
}

func (a *api) runPlaybook(ctx context.Context, c *call, in *playbookTargetIn) (*runOut, error) {
	alertID, incidentID := in.target()
	r, err := a.Playbooks.Start(ctx, c.Tenant.Number, c.Actor, in.ID, alertID, incidentID)
	out, err := outOfRun(r, nil, err)
	if err != nil {
		return nil, err
	}
	out.Location = base + "/playbook-runs/" + r.ID
	return out, nil
}
