package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// Demo fills a tenant of its own with a recorded attack, and empties it again.
type Demo struct {
	// Load makes the demo tenant of a tenant, and starts the job that plays the recording.
	Load func(ctx context.Context, actor string, of *tenant.Tenant) (*job.Job, error)
	// Remove starts the job that removes it, and breaks off the one that fills it.
	Remove func(ctx context.Context, actor string, d *tenant.Demo) (*job.Job, error)
}

// DemoJobs lists the kinds of jobs of the demo data.
var DemoJobs = []string{"demo.load", "demo.remove"}

type demoOut struct {
	Body struct {
		On        bool       `json:"on" doc:"There is a demo tenant."`
		TenantID  *string    `json:"tenantId" nullable:"true" format:"uuid" doc:"The tenant that holds the data: switch to it to look at it."`
		Name      *string    `json:"name" nullable:"true"`
		Of        *string    `json:"of" nullable:"true" format:"uuid" doc:"The tenant whose people may look at it."`
		Events    int64      `json:"events" doc:"Events in it that can be searched."`
		JobID     *string    `json:"jobId" nullable:"true" format:"uuid" doc:"The job that loads or removes it now."`
		Removing  bool       `json:"removing" doc:"That job removes it."`
		CreatedAt *time.Time `json:"createdAt" nullable:"true"`
		CreatedBy *string    `json:"createdBy" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
}

func (a *api) demo() {
	const tag, path = "Settings", "/demo"
	handle(a, operation{
		id: "getDemo", method: http.MethodGet, path: path, tag: tag, summary: "Get the state of the demo data",
	}, func(ctx context.Context, c *call, _ *none) (*demoOut, error) { return a.demoOf(ctx, &c.Tenant, nil) })
	handle(a, operation{
		id: "loadDemo", method: http.MethodPost, path: path, tag: tag, summary: "Load demo data", status: http.StatusAccepted,
		doc: "Plays a recorded day of a small estate with an attack in it into a tenant of its own, which everybody of this tenant may switch to. " +
			"Nothing real is touched: no count, score, notification or evidence of this tenant knows of it.",
	}, a.loadDemo)
	handle(a, operation{
		id: "removeDemo", method: http.MethodDelete, path: path, tag: tag, summary: "Remove the demo data", status: http.StatusAccepted,
		doc: "Removes the demo tenant with its events, alerts and all else; only its audit log and the chain of its evidence, which are append-only, stay where nobody can open them. Who looks at it is brought back. A recording that is still being played is broken off.",
	}, a.removeDemo)
}

var errNoDemos = fault.New(fault.Unavailable, "this process loads no demo data: call the server")

func (a *api) loadDemo(ctx context.Context, c *call, _ *none) (*demoOut, error) {
	if a.Demo.Load == nil {
		return nil, errNoDemos
	}
	switch working, err := a.demoJob(ctx, c.Tenant.Number, DemoJobs...); {
	case err != nil:
		return nil, err
	case working != nil:
		return nil, fault.New(fault.Conflict, "the demo data is being loaded or removed: wait for it")
	}
	j, err := a.Demo.Load(ctx, c.Actor, &c.Tenant)
	if err != nil {
		return nil, err
	}
	return a.demoOf(ctx, &c.Tenant, j)
}

func (a *api) removeDemo(ctx context.Context, c *call, _ *none) (*demoOut, error) {
	if a.Demo.Remove == nil {
		return nil, errNoDemos
	}
	d, err := a.Tenants.DemoOf(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	switch working, err := a.demoJob(ctx, d.Of, DemoJobs[1]); {
	case err != nil:
		return nil, err
	case working != nil:
		return nil, fault.New(fault.Conflict, "the demo data is being removed already: wait for it")
	}
	j, err := a.Demo.Remove(ctx, c.Actor, d)
	if err != nil {
		return nil, err
	}
	of, err := a.Tenants.ByNumber(ctx, d.Of)
	if err != nil {
		return nil, err
	}
	return a.demoOf(ctx, of, j)
}

// demoJob returns the newest job of the demo data, of those kinds, that has not ended; nil
// for none.
func (a *api) demoJob(ctx context.Context, number uint32, kinds ...string) (*job.Job, error) {
	p, err := a.Jobs.List(ctx, number, job.Query{Filter: job.Filter{Kinds: kinds, States: []job.State{job.Queued, job.Running}}, Size: 1})
	if err != nil || len(p.Jobs) == 0 {
		return nil, err
	}
	return &p.Jobs[0], nil
}

func (a *api) demoOf(ctx context.Context, t *tenant.Tenant, j *job.Job) (*demoOut, error) {
	out := &demoOut{}
	b := &out.Body
	d, err := a.Tenants.DemoOf(ctx, t.Number)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	of := t.Number
	if err == nil {
		of = d.Of
		demo, err := a.Tenants.ByNumber(ctx, d.Number)
		if err != nil {
			return nil, err
		}
		whose, err := a.Tenants.ByNumber(ctx, d.Of)
		if err != nil {
			return nil, err
		}
		b.On, b.TenantID, b.Name, b.Of, b.CreatedAt, b.CreatedBy = true, &demo.ID, &demo.Name, &whose.ID, &d.CreatedAt, &d.CreatedBy
		found, err := a.searchStore(ctx, eventstore.Request{Tenant: d.Number, From: eventstore.MinTime, To: eventstore.MaxTime + 1})
		if err != nil {
			return nil, err
		}
		b.Events = int64(found.Total) //nolint:gosec // far from the end of the type
	}
	if j == nil {
		if j, err = a.demoJob(ctx, of, DemoJobs...); err != nil {
			return nil, err
		}
	}
	if j != nil {
		b.JobID, b.Removing = &j.ID, j.Kind == DemoJobs[1]
	}
	return out, nil
}
