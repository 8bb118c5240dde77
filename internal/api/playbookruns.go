package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/playbook"
)

type (
	// PlaybookRunItem is one run of a list.
	PlaybookRunItem struct {
		ID         string     `json:"id" format:"uuid"`
		PlaybookID string     `json:"playbookId" format:"uuid"`
		Playbook   string     `json:"playbook" doc:"Its name."`
		Version    int64      `json:"version"`
		Trigger    string     `json:"trigger"`
		AlertID    *string    `json:"alertId" nullable:"true"`
		IncidentID *string    `json:"incidentId" nullable:"true"`
		Status     string     `json:"status" enum:"QUEUED,RUNNING,WAITING,ASKING,DONE,FAILED,DENIED,CANCELLED" doc:"ASKING waits for approve or deny."`
		Reason     string     `json:"reason" doc:"What it asks or waits for, or why it ended."`
		Cancelling bool       `json:"cancelling"`
		StartedBy  string     `json:"startedBy"`
		CreatedAt  time.Time  `json:"createdAt"`
		StartedAt  *time.Time `json:"startedAt" nullable:"true"`
		EndedAt    *time.Time `json:"endedAt" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	playbookRunDetail struct {
		PlaybookRunItem
		Steps []playbookStepLog `json:"steps" nullable:"false" doc:"Those that were begun, in order."`
	}
	playbookStepLog struct {
		ID        string     `json:"id"`
		Action    string     `json:"action"`
		Status    string     `json:"status" enum:"RUNNING,WAITING,ASKING,DONE,SKIPPED,FAILED,DENIED,UNKNOWN" doc:"UNKNOWN: the server ended while it acted."`
		Attempt   int        `json:"attempt"`
		Input     freely     `json:"input" doc:"Values filled in; secrets stand by their names."`
		Result    freely     `json:"result"`
		Error     string     `json:"error"`
		DecidedBy *string    `json:"decidedBy" nullable:"true"`
		Note      *string    `json:"note" nullable:"true"`
		Until     *time.Time `json:"until" nullable:"true"`
		StartedAt time.Time  `json:"startedAt"`
		EndedAt   *time.Time `json:"endedAt" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	runOut struct {
		Location string `header:"Location"`
		Body     playbookRunDetail
	}
	answerRunIn struct {
		ID   string `path:"id"`
		Body *struct {
			Note   string `json:"note,omitempty" doc:"Up to 2,000 characters."`
			Repeat bool   `json:"repeat,omitempty" doc:"Do a step whose outcome is unknown again; with approve only."`
		}
	}
	secretItem struct {
		Name      string    `json:"name"`
		UpdatedAt time.Time `json:"updatedAt"`
		UpdatedBy string    `json:"updatedBy"`

		_ struct{} `additionalProperties:"true"`
	}
	secretIn struct {
		Name string `path:"name"`
		Body struct {
			Value string `json:"value" doc:"4 to 8,192 bytes. It is sealed, and never shown again."`
		}
	}
	secretOut struct{ Body secretItem }
)

func runOf(r *playbook.Run) PlaybookRunItem {
	item := PlaybookRunItem{
		ID: r.ID, PlaybookID: r.PlaybookID, Playbook: r.Name, Version: r.Number, Trigger: r.Event, Status: string(r.State), Reason: r.Reason, Cancelling: r.Cancelling && r.EndedAt == nil, StartedBy: r.Actor,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt,
	}
	alertID, incidentID := r.About()
	item.AlertID, item.IncidentID = orNull(alertID), orNull(incidentID)
	return item
}

func outOfRun(r *playbook.Run, steps []playbook.StepLog, err error) (*runOut, error) {
	if err != nil {
		return nil, err
	}
	out := &runOut{Body: playbookRunDetail{PlaybookRunItem: runOf(r), Steps: []playbookStepLog{}}}
	for i := range steps {
		st := &steps[i]
		out.Body.Steps = append(out.Body.Steps, playbookStepLog{
			ID: st.Step, Action: st.Action, Status: string(st.State), Attempt: st.Attempt, Input: freely(st.Input), Result: freely(st.Result), Error: st.Error,
			DecidedBy: orNull(st.DecidedBy), Note: orNull(st.Note), Until: st.Until, StartedAt: st.BegunAt, EndedAt: st.EndedAt,
		})
	}
	return out, nil
}

func (a *api) playbookRuns(tag string) {
	handle(a, operation{
		id: "listPlaybookRuns", method: http.MethodGet, path: "/playbook-runs", tag: tag, summary: "List runs",
		params: append(paging("createdAt"),
			param{name: "status", doc: "Filter by status.", kind: enum, values: asTexts(playbook.States), many: true},
			param{name: "playbookId", doc: "Filter by playbook."},
			param{name: "objectId", doc: "Filter by the alert or incident that they are on."}),
	}, a.listPlaybookRuns)
	handle(a, operation{
		id: "getPlaybookRun", method: http.MethodGet, path: "/playbook-runs/{id}", tag: tag, summary: "Get a run with its step log", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*runOut, error) {
		return outOfRun(a.Playbooks.GetRun(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "cancelPlaybookRun", method: http.MethodPost, path: "/playbook-runs/{id}/cancel", tag: tag, summary: "Cancel a run", uuid: true,
		doc: "At once, or after the step that acts now. One that has ended is 409.",
	}, func(ctx context.Context, c *call, in *byID) (*runOut, error) {
		return outOfRun(a.Playbooks.Cancel(ctx, c.Tenant.Number, c.Actor, in.ID))
	})
	for _, approve := range []bool{true, false} {
		op := operation{
			id: "denyPlaybookRun", method: http.MethodPost, path: "/playbook-runs/{id}/deny", tag: tag, summary: "Deny what a run asks", uuid: true,
			doc: "It ends, unless the step says onError: continue. One that asks nothing is 409.",
		}
		if approve {
			op.id, op.path, op.summary = "approvePlaybookRun", "/playbook-runs/{id}/approve", "Approve what a run asks"
			op.doc = "It goes on: behind the question, or behind the step whose outcome is unknown. One that asks nothing is 409."
		}
		handle(a, op, func(ctx context.Context, c *call, in *answerRunIn) (*runOut, error) {
			d := playbook.Decision{Approve: approve}
			if in.Body != nil {
				d.Note, d.Repeat = in.Body.Note, in.Body.Repeat
			}
			return outOfRun(a.Playbooks.Decide(ctx, c.Tenant.Number, c.Actor, in.ID, d))
		})
	}
}

func (a *api) listPlaybookRuns(ctx context.Context, c *call, _ *none) (*pageOut[PlaybookRunItem], error) {
	q, asked := c.query, c.query.paging("createdAt")
	list, total, err := a.Playbooks.Runs(ctx, c.Tenant.Number, playbook.RunQuery{
		States: words[playbook.State](q.all("status")), Playbook: q.one("playbookId"), Object: q.one("objectId"), Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, runOf), nil
}

func secretOf(s *playbook.Secret) secretItem {
	return secretItem{Name: s.Name, UpdatedAt: s.UpdatedAt, UpdatedBy: s.UpdatedBy}
}

func (a *api) playbookSecrets(tag string) {
	handle(a, operation{
		id: "listPlaybookSecrets", method: http.MethodGet, path: "/playbook-secrets", tag: tag, summary: "List the names of secrets", params: paging("name"),
	}, func(ctx context.Context, c *call, _ *none) (*pageOut[secretItem], error) {
		asked := c.query.paging("name")
		list, err := a.Playbooks.Secrets(ctx, c.Tenant.Number)
		if err != nil {
			return nil, err
		}
		from := min(asked.page*asked.size, len(list))
		return pageOf(asked, int64(len(list)), list[from:min(from+asked.size, len(list))], secretOf), nil
	})
	handle(a, operation{
		id: "setPlaybookSecret", method: http.MethodPut, path: "/playbook-secrets/{name}", tag: tag, summary: "Set a secret", doc: "HTTP steps use it as {{secret.name}}. Nobody can read it again.",
	}, func(ctx context.Context, c *call, in *secretIn) (*secretOut, error) {
		s, err := a.Playbooks.SetSecret(ctx, c.Tenant.Number, c.Actor, in.Name, in.Body.Value)
		if err != nil {
			return nil, err
		}
		return &secretOut{secretOf(s)}, nil
	})
	handle(a, operation{
		id: "deletePlaybookSecret", method: http.MethodDelete, path: "/playbook-secrets/{name}", tag: tag, summary: "Delete a secret", status: http.StatusNoContent,
	}, func(ctx context.Context, c *call, in *byName) (*struct{}, error) {
		return nil, a.Playbooks.DeleteSecret(ctx, c.Tenant.Number, c.Actor, in.Name)
	})
}
