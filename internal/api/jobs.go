package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/job"
)

// JobItem is one job of a list.
type JobItem struct {
	ID         string      `json:"id" format:"uuid"`
	Kind       string      `json:"kind" doc:"What it does: backtest, forecast." example:"backtest"`
	Subject    string      `json:"subject" doc:"What it is about, such as a rule's id; empty: nothing that has a name."`
	State      string      `json:"state" enum:"QUEUED,RUNNING,DONE,FAILED,CANCELLED"`
	Reason     string      `json:"reason" doc:"Why it failed or was cancelled, or what it waits for."`
	Cancelling bool        `json:"cancelling" doc:"It was asked to stop and has not yet."`
	Progress   jobProgress `json:"progress"`
	Attempt    int         `json:"attempt" doc:"How often it was begun: a job of a server that ended is begun anew."`
	CreatedBy  string      `json:"createdBy"`
	CreatedAt  time.Time   `json:"createdAt"`
	StartedAt  *time.Time  `json:"startedAt" nullable:"true"`
	EndedAt    *time.Time  `json:"endedAt" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

type jobProgress struct {
	Done  int64  `json:"done" doc:"In the unit of its kind: events that were read, for backtest and forecast."`
	Total int64  `json:"total" doc:"0: not known."`
	Note  string `json:"note"`

	_ struct{} `additionalProperties:"true"`
}

type jobDetail struct {
	JobItem
	Result jobResult `json:"result" nullable:"true" doc:"What came of it, in the form of its kind; null before it is done."`

	_ struct{} `additionalProperties:"true"`
}

func jobOf(j *job.Job) JobItem {
	return JobItem{
		ID: j.ID, Kind: j.Kind, Subject: j.Subject, State: string(j.State), Reason: j.Reason, Cancelling: j.Cancelling,
		Progress: jobProgress{Done: j.Done, Total: j.Total, Note: j.Note}, Attempt: j.Attempt, CreatedBy: j.Actor,
		CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, EndedAt: j.EndedAt,
	}
}

type (
	jobOut     struct{ Body jobDetail }
	startedOut struct {
		Location string `header:"Location"`
		Body     jobDetail
	}
)

func detailOfJob(j *job.Job) jobDetail {
	return jobDetail{JobItem: jobOf(j), Result: jobResult(j.Result)}
}

func (a *api) jobs() {
	const tag = "Jobs"
	handle(a, operation{
		id: "listJobs", method: http.MethodGet, path: "/jobs", tag: tag, summary: "List jobs", doc: "Work that outlives a request, and what became of it. The newest 200 that have ended are kept, for up to 30 days.",
		params: append(paging("createdAt"),
			param{name: "state", doc: "Filter by state.", kind: enum, values: asTexts(job.States), many: true},
			param{name: "kind", doc: "Filter by kind.", many: true},
			param{name: "subject", doc: "Filter by what they are about."}),
	}, a.listJobs)
	handle(a, operation{
		id: "getJob", method: http.MethodGet, path: "/jobs/{id}", tag: tag, summary: "Get a job with its result", single: true, uuid: true,
		doc: "Callers who may not read all jobs have those that they began.",
	}, a.getJob)
	handle(a, operation{
		id: "cancelJob", method: http.MethodDelete, path: "/jobs/{id}", tag: tag, summary: "Cancel a job", status: http.StatusNoContent, uuid: true,
		doc: "One that waits is cancelled at once, one that runs within seconds. One that has ended otherwise is 409.",
	}, a.cancelJob)
}

func (a *api) listJobs(ctx context.Context, c *call, _ *none) (*pageOut[JobItem], error) {
	q, asked := c.query, c.query.paging("createdAt")
	p, err := a.Jobs.List(ctx, c.Tenant.Number, job.Query{
		Filter:    job.Filter{States: words[job.State](q.all("state")), Kinds: q.all("kind"), Subject: q.one("subject")},
		Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, p.Total, p.Jobs, jobOf), nil
}

// job returns a job of the tenant; who may not read all of them has those that they began.
func (a *api) job(ctx context.Context, c *call, id string) (*job.Job, error) {
	j, err := a.Jobs.Get(ctx, c.Tenant.Number, id)
	if err == nil && j.Actor != c.Actor && !c.Can(identity.Jobs.Read()) {
		return nil, fault.New(fault.NotFound, "no such job")
	}
	return j, err
}

func (a *api) getJob(ctx context.Context, c *call, in *byID) (*jobOut, error) {
	j, err := a.job(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	return &jobOut{detailOfJob(j)}, nil
}

func (a *api) cancelJob(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	_, err := a.Jobs.Cancel(ctx, c.Tenant.Number, c.Actor, in.ID)
	return nil, err
}

// started answers 202 for a job that was begun.
func started(j *job.Job, err error) (*startedOut, error) {
	if err != nil {
		return nil, err
	}
	return &startedOut{Location: base + "/jobs/" + j.ID, Body: detailOfJob(j)}, nil
}
