package workbench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/query"
)

// A BacktestRequest asks what a rule would have given.
type BacktestRequest struct {
	Subject
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Query string    `json:"query,omitempty"` // only the events that it finds
}

// Check tells what is wrong with r before it becomes a job.
func (s *Service) Check(ctx context.Context, tenant uint32, r BacktestRequest) error {
	if !r.From.Before(r.To) {
		return fault.New(fault.Invalid, "Allowed: a time before toTime").In("fromTime")
	}
	if _, err := query.Parse(r.Query); err != nil {
		if e, ok := errors.AsType[*query.Error](err); ok {
			return fault.New(fault.Invalid, "At character %d: %s", e.Pos+1, e.Message).In("query")
		}
		return fmt.Errorf("parse query: %w", err)
	}
	p, err := s.Program(ctx, tenant, r.Subject)
	if err != nil {
		return err
	}
	return p.unusable()
}

func (s *Service) backtestJob(ctx context.Context, t *job.Task) (any, error) {
	var r BacktestRequest
	if err := t.Read(&r); err != nil {
		return nil, err
	}
	return s.Backtest(ctx, t.Tenant, r, t.Progress)
}

// Backtest runs a rule over the stored events of a time, in the order of their times
// and as if each had come then, and says what it would have given. It holds few
// events at a time. told hears of its progress in events.
func (s *Service) Backtest(ctx context.Context, tenant uint32, r BacktestRequest, told func(done, total int64, note string)) (*BacktestResult, error) {
	p, err := s.Program(ctx, tenant, r.Subject)
	if err != nil {
		return nil, err
	}
	if err := p.unusable(); err != nil {
		return nil, err
	}
	only, err := query.Parse(r.Query)
	if err != nil {
		return nil, fmt.Errorf("parse query: %w", err)
	}
	b := &backtest{service: s, tenant: tenant, player: newPlayer(p), tally: newTally(), filter: both(p.set.Narrow(), only), told: told}
	from, to := eventstore.Clamp(r.From.UnixNano(), r.To.UnixNano())
	if b.total, err = s.count(ctx, tenant, b.filter, from, to); err != nil {
		return nil, err
	}
	if err := b.stretch(ctx, from, to); err != nil {
		return nil, err
	}
	return b.result(r.Subject, r.From, r.To), nil
}

// both joins two filters, either of which may be nil or everything.
func both(a, b query.Node) query.Node {
	if _, all := b.(query.All); all || b == nil {
		return a
	}
	if a == nil {
		return b
	}
	return query.And{Nodes: []query.Node{a, b}}
}

// count returns how many stored events there are.
func (s *Service) count(ctx context.Context, tenant uint32, filter query.Node, from, to int64) (int64, error) {
	if from >= to {
		return 0, nil
	}
	res, err := s.Events.Search(ctx, eventstore.Request{Tenant: tenant, Filter: filter, From: from, To: to})
	if err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	return int64(res.Total), nil //nolint:gosec // far below 2^63
}

// A backtest is one run over stored events.
type backtest struct {
	service *Service
	tenant  uint32
	player  *player
	tally   *tally
	filter  query.Node
	told    func(done, total int64, note string)
	total   int64

	reading time.Duration
	begun   int64                 // time of the first event of the batch
	at      int64                 // time of the last event
	same    map[event.ID]struct{} // the events of just that time
}

// together is how long, by event time, events are judged as one batch. Live it is
// about that, and what a finding gathers decides into which alert it merges.
const together = int64(time.Second)

// attempts is how often a store that went away is asked again.
const attempts = 5

// stretch runs the events of from ≤ t < to. When the store goes away for good, what
// was read until then counts and the result says so; that is no error unless nothing
// was read.
func (b *backtest) stretch(ctx context.Context, from, to int64) error {
	b.at, b.same = from, map[event.ID]struct{}{}
	for attempt := 1; ; attempt++ {
		before := b.tally.result.EventsRead
		begun := time.Now()
		engine := b.player.nanos
		err := b.service.Events.Walk(ctx, eventstore.WalkRequest{Tenant: b.tenant, Filter: b.filter, From: b.at, To: to}, b.batch)
		b.reading += time.Since(begun) - time.Duration(b.player.nanos-engine)
		switch {
		case err == nil:
			b.close(to)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, fault.Unavailable):
			return fmt.Errorf("read stored events: %w", err)
		}
		if b.tally.result.EventsRead > before {
			attempt = 1
		}
		if attempt >= attempts {
			if b.tally.result.EventsRead == 0 {
				return fmt.Errorf("read stored events: %w", err)
			}
			b.tally.result.Partial = fmt.Sprintf("events after %s could not be read: %s", time.Unix(0, b.at).UTC().Format(time.RFC3339), messageOf(err))
			b.close(b.at)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(b.service.pause):
		}
	}
}

func messageOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Message
	}
	return "the event store does not answer"
}

// batch runs events that the store handed over, but for those that it had handed
// over before it went away.
func (b *backtest) batch(events []event.Event) error {
	begun := time.Now()
	for i := range events {
		e := &events[i]
		if e.Time == b.at {
			if _, seen := b.same[e.ID]; seen {
				continue
			}
		} else {
			b.at = e.Time
			clear(b.same)
		}
		b.same[e.ID] = struct{}{}
		b.tally.result.EventsRead++
		if e.Time-b.begun >= together {
			b.player.detector.EndBatch(b.finding)
			b.begun = e.Time
		}
		e.Arrived = e.Time
		if hits := b.player.event(e); len(hits) > 0 {
			b.tally.match(e, hits)
		}
	}
	b.player.detector.EndBatch(b.finding)
	b.player.nanos += int64(time.Since(begun))
	if b.told != nil {
		b.told(b.tally.result.EventsRead, max(b.total, b.tally.result.EventsRead), "read up to "+time.Unix(0, b.at).UTC().Format(time.RFC3339))
	}
	return nil
}

func (b *backtest) finding(f *alert.Finding) {
	if b.player.program.own[f.Rule.ID] {
		b.tally.finding(f)
	}
}

// close judges the windows that have ended by a time.
func (b *backtest) close(at int64) {
	b.player.end(b.tenant, at)
	b.player.detector.EndBatch(b.finding)
}

func (b *backtest) result(subject Subject, from, to time.Time) *BacktestResult {
	r := b.tally.done()
	p := b.player.program
	r.Rule, r.From, r.To = RuleName{subject.ID, p.Title()}, from.UTC(), to.UTC()
	if p.Borrowed != nil {
		r.Borrowed = p.Borrowed
	}
	for _, s := range p.set.Stats() {
		if d := p.document(s.ID); d != nil && d.Correlation == nil {
			r.Cost.Evaluations += s.Evaluations
		}
	}
	r.Cost.Nanoseconds, r.Cost.ReadNanoseconds = b.player.nanos, int64(b.reading)
	if r.EventsRead > 0 {
		r.Cost.PerEventNanos = r.Cost.Nanoseconds / r.EventsRead
	}
	return r
}
