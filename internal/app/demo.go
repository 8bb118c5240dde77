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
	const patient = 10 // attempts: what is begun of a removal must be brought to its end
	return map[string]job.Kind{
		api.DemoJobs[0]: {Work: func(ctx context.Context, t *job.Task) (any, error) { return s.loadDemo(ctx, tenants, t) }},
		api.DemoJobs[1]: {Work: func(ctx context.Context, t *job.Task) (any, error) { return s.removeDemo(ctx, tenants, t) }, Attempts: patient},
	}
}

// startDemo makes the demo tenant, which everybody of the tenant may look at as what they
// are there, and starts to fill it. Where that cannot be started, nothing stays.
func (s *Server) startDemo(tenants *tenant.Service) func(ctx context.Context, actor string, of *tenant.Tenant) (*job.Job, error) {
	return func(ctx context.Context, actor string, of *tenant.Tenant) (*job.Job, error) {
		t, err := tenants.CreateDemo(ctx, actor, of)
		if err != nil {
			return nil, err
		}
		j, err := s.fillDemo(ctx, actor, of.Number, t)
		if err == nil {
			return j, nil
		}
		undo := context.WithoutCancel(ctx)
		if failed := tenants.RemoveDemo(undo, actor, &tenant.Demo{Number: t.Number, Of: of.Number}); failed != nil {
			s.log.ErrorContext(ctx, "a demo tenant that could not be filled is left: the next start fills it", "tenant", t.Number, "err", failed)
		}
		return nil, err
	}
}

func (s *Server) fillDemo(ctx context.Context, actor string, of uint32, t *tenant.Tenant) (*job.Job, error) {
	if err := s.tenants.load(ctx); err != nil {
		return nil, err
	}
	return s.detection.jobs.Start(ctx, of, actor, job.Draft{Kind: api.DemoJobs[0], Subject: t.ID, Params: demoWork{t.Number, of, time.Now().UTC().Truncate(time.Second)}})
}

// resumeDemos starts to fill demo tenants of a process that ended before it could.
func (s *Server) resumeDemos(ctx context.Context, tenants *tenant.Service) error {
	const lately = 24 * time.Hour // the jobs of older ones may be forgotten
	all, err := tenants.Demos(ctx)
	if err != nil {
		return err
	}
	for number, d := range all {
		if time.Since(d.CreatedAt) > lately {
			continue
		}
		t, err := tenants.ByNumber(ctx, number)
		if err != nil {
			return err
		}
		if _, err := s.detection.jobs.Latest(ctx, d.Of, api.DemoJobs[0], t.ID); !isNotFound(err) {
			if err != nil {
				return err
			}
			continue
		}
		if _, err := s.fillDemo(ctx, d.CreatedBy, d.Of, t); err != nil {
			return err
		}
	}
	return nil
}

// endDemo starts the removal. A recording that is still being played is broken off.
func (s *Server) endDemo(ctx context.Context, actor string, d *tenant.Demo) (*job.Job, error) {
	loading, err := s.demoLoads(ctx, d.Of)
	if err != nil {
		return nil, err
	}
	for i := range loading {
		if _, err := s.detection.jobs.Cancel(ctx, d.Of, actor, loading[i].ID); err != nil && !errors.Is(err, fault.Conflict) { // it has ended meanwhile
			return nil, err
		}
	}
	return s.detection.jobs.Start(ctx, d.Of, actor, job.Draft{Kind: api.DemoJobs[1], Subject: strconv.Itoa(int(d.Number)), Params: demoWork{Tenant: d.Number, Of: d.Of}})
}

// demoLoads returns the jobs that fill the demo tenant of a tenant and have not ended.
func (s *Server) demoLoads(ctx context.Context, of uint32) ([]job.Job, error) {
	p, err := s.detection.jobs.List(ctx, of, job.Query{Filter: job.Filter{Kinds: api.DemoJobs[:1], States: []job.State{job.Queued, job.Running}}, Size: 100})
	if err != nil {
		return nil, err
	}
	return p.Jobs, nil
}

// isDemo tells whether the work's tenant is still there.
func (w *demoWork) isDemo(ctx context.Context, tenants *tenant.Service) (*tenant.Demo, bool, error) {
	d, err := tenants.DemoOf(ctx, w.Of)
	if isNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return d, d.Number == w.Tenant, nil
}

// loadDemo plays the recording into the queue and waits until it can be searched. Run
// again it makes no second event, since every line has a name.
func (s *Server) loadDemo(ctx context.Context, tenants *tenant.Service, t *job.Task) (any, error) {
	const (
		atATime = 500
		longest = 5 * time.Minute
	)
	var w demoWork
	if err := t.Read(&w); err != nil {
		return nil, err
	}
	if _, there, err := w.isDemo(ctx, tenants); err != nil {
		return nil, err
	} else if !there {
		return nil, fault.New(fault.NotFound, "the demo data was removed meanwhile")
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

// removeDemo takes a demo tenant away: first its rows, so that nothing writes to it any
// more, then what is under way, events and archive, and at last the tenant itself: until then
// it is known that there is something to remove. It bears being run again at any point.
func (s *Server) removeDemo(ctx context.Context, tenants *tenant.Service, t *job.Task) (any, error) {
	var w demoWork
	if err := t.Read(&w); err != nil {
		return nil, err
	}
	d, there, err := w.isDemo(ctx, tenants)
	if err != nil {
		return nil, err
	}
	n := int64(0)
	if there {
		if n, err = s.emptyDemo(ctx, tenants, d, t); err != nil {
			return nil, err
		}
		if err := tenants.RemoveDemo(ctx, t.Actor, d); err != nil {
			return nil, err
		}
	}
	if err := s.tenants.load(ctx); err != nil {
		return nil, err
	}
	t.Progress(4, 4, "what came last") // by a key that was made while the rest was removed
	last, err := s.eraseDemo(ctx, w.Tenant)
	return map[string]int64{"events": n + last}, err
}

// emptyDemo removes what is in a demo tenant.
func (s *Server) emptyDemo(ctx context.Context, tenants *tenant.Service, d *tenant.Demo, t *job.Task) (events int64, err error) {
	t.Progress(0, 4, "waiting for the recording to end")
	err = until(ctx, func() (bool, error) {
		loading, err := s.demoLoads(ctx, d.Of)
		for i := range loading {
			if loading[i].State == job.Running {
				return false, err
			}
		}
		return true, err
	})
	if err != nil {
		return 0, err
	}
	t.Progress(1, 4, "alerts, incidents and settings")
	if err := tenants.EmptyDemo(ctx, d); err != nil {
		return 0, err
	}
	t.Progress(2, 4, "events")
	return s.eraseDemo(ctx, d.Number)
}

// eraseDemo removes the events and the archive of a demo tenant, also what waits in the queue.
func (s *Server) eraseDemo(ctx context.Context, number uint32) (events int64, err error) {
	last, err := s.queue.LastSeq(ctx, s.queue.Partition(number))
	if err != nil {
		return 0, err
	}
	err = until(ctx, func() (bool, error) {
		stored, err := s.arrivals().Stored(ctx, number)
		return stored >= last, err
	})
	if err != nil {
		return 0, err
	}
	found, err := s.store.Search(ctx, eventstore.Request{Tenant: number, From: eventstore.MinTime, To: eventstore.MaxTime + 1})
	if err != nil {
		return 0, err
	}
	if found.Total > 0 || found.Partial != "" {
		if events, err = s.store.Erase(ctx, number, time.Now().Add(time.Hour).UnixNano()); err != nil {
			return 0, fmt.Errorf("erase the demo's events: %w", err)
		}
	}
	return events, s.archive.Forget(number)
}

// until waits for what the server does beside it.
func until(ctx context.Context, ok func() (bool, error)) error {
	const patience = 5 * time.Minute
	for over := time.Now().Add(patience); ; {
		if done, err := ok(); done || err != nil {
			return err
		}
		if time.Now().After(over) {
			return fault.New(fault.Unavailable, "the pipeline has not caught up")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
