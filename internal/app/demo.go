package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/api"
	"github.com/kyra-mdr/kyra/internal/demo"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// demoWork is what jobs of the demo data are given.
type demoWork struct {
	Tenant uint32    `json:"tenant"` // that holds the data
	Of     uint32    `json:"of"`
	End    time.Time `json:"end"` // of the recording
}

// demoKinds are the jobs that fill a demo tenant and remove it. Queue and archive are
// opened later.
func (s *Server) demoKinds(tenants *tenant.Service) map[string]job.Kind {
	return map[string]job.Kind{
		api.DemoJobs[0]: {Work: s.loadDemo},
		api.DemoJobs[1]: {Work: func(ctx context.Context, t *job.Task) (any, error) { return s.removeDemo(ctx, tenants, t) }},
	}
}

// startDemo makes the demo tenant, which everybody of the tenant may look at as what they
// are there, and starts to fill it.
func (s *Server) startDemo(tenants *tenant.Service) func(ctx context.Context, actor string, of *tenant.Tenant) (*job.Job, error) {
	return func(ctx context.Context, actor string, of *tenant.Tenant) (*job.Job, error) {
		t, err := tenants.CreateDemo(ctx, actor, of)
		if err != nil {
			return nil, err
		}
		if err := s.tenants.load(ctx); err != nil {
			return nil, err
		}
		return s.detection.jobs.Start(ctx, of.Number, actor, job.Draft{Kind: api.DemoJobs[0], Subject: t.ID, Params: demoWork{t.Number, of.Number, time.Now().UTC().Truncate(time.Second)}})
	}
}

func (s *Server) endDemo(ctx context.Context, actor string, d *tenant.Demo) (*job.Job, error) {
	return s.detection.jobs.Start(ctx, d.Of, actor, job.Draft{Kind: api.DemoJobs[1], Subject: strconv.Itoa(int(d.Number)), Params: demoWork{Tenant: d.Number, Of: d.Of}})
}

// loadDemo plays the recording into the queue and waits until it can be searched. Run
// again it makes no second event, since every line has a name.
func (s *Server) loadDemo(ctx context.Context, t *job.Task) (any, error) {
	const (
		atATime = 500
		longest = 5 * time.Minute
	)
	var w demoWork
	if err := t.Read(&w); err != nil {
		return nil, err
	}
	var lines []string
	for l := range demo.Recording(w.End) {
		lines = append(lines, l.Text)
	}
	total := int64(len(lines))
	into := s.disk.guarded(s.queue.Append)
	for first := 0; first < len(lines); first += atATime {
		last := min(first+atATime, len(lines))
		c := &queue.Chunk{Tenant: w.Tenant, Input: "demo", Source: "linux", Key: "demo", Arrived: time.Now().UnixNano(), Records: lines[first:last]}
		for i := first; i < last; i++ {
			c.IDs = append(c.IDs, "demo:"+strconv.Itoa(i))
		}
		if err := into(ctx, c); err != nil {
			return nil, err
		}
		t.Progress(int64(first)/2, total, "sending")
	}
	for until := time.Now().Add(longest); ; {
		r, err := s.store.Search(ctx, eventstore.Request{Tenant: w.Tenant, From: eventstore.MinTime, To: eventstore.MaxTime + 1})
		if err != nil {
			return nil, err
		}
		if n := int64(r.Total); n >= total { //nolint:gosec // far from the end of the type
			return map[string]int64{"lines": total, "events": n}, nil
		}
		if time.Now().After(until) {
			return nil, fault.New(fault.Unavailable, "of %d lines %d are processed: the rest follows when the pipeline has caught up", total, r.Total)
		}
		t.Progress(total/2+int64(r.Total)/2, total, "parsing and detecting") //nolint:gosec // as above
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// removeDemo takes a demo tenant away: first its rows, so that nobody looks at it and
// nothing writes to it any more, then events and archive. It bears being run again at any point.
func (s *Server) removeDemo(ctx context.Context, tenants *tenant.Service, t *job.Task) (any, error) {
	var w demoWork
	if err := t.Read(&w); err != nil {
		return nil, err
	}
	d, err := tenants.DemoOf(ctx, w.Of)
	switch {
	case err == nil && d.Number == w.Tenant:
		t.Progress(0, 3, "alerts, incidents and settings")
		if err := tenants.RemoveDemo(ctx, t.Actor, d); err != nil {
			return nil, err
		}
	case err == nil || !errors.Is(err, fault.NotFound):
		return nil, errors.Join(fault.New(fault.Conflict, "the demo data was loaded anew"), err)
	}
	if err := s.tenants.load(ctx); err != nil {
		return nil, err
	}
	t.Progress(1, 3, "events")
	n, err := s.store.Erase(ctx, w.Tenant, time.Now().Add(time.Hour).UnixNano())
	if err != nil {
		return nil, fmt.Errorf("erase the demo's events: %w", err)
	}
	t.Progress(2, 3, "archive")
	if err := s.archive.Forget(w.Tenant); err != nil {
		return nil, err
	}
	return map[string]int64{"events": n}, nil
}
