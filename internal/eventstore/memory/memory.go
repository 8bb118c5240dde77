// Package memory keeps events in a slice and finds them by query.Node.Match. It
// is what the real store is compared with, and the store of small tests; it
// keeps nothing on disk.
package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

// Store is an eventstore.Store in memory. Its zero value is empty and ready.
type Store struct {
	mu     sync.RWMutex
	events []event.Event // newest first, as Search returns them
	bytes  uint64
}

var _ eventstore.Store = (*Store)(nil)

func order(a, b event.Event) int {
	return cmp.Or(cmp.Compare(b.Time, a.Time), strings.Compare(b.ID.String(), a.ID.String()))
}

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, events []event.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		fit, _ := eventstore.Fit(&events[i], eventstore.MaxEventBytes)
		e := clone(fit)
		e.Time = min(max(e.Time, eventstore.MinTime), eventstore.MaxTime)
		e.Arrived -= e.Arrived % 1000
		if query.IsJSON(e.Raw) {
			if _, ok := e.Lookup(event.Message); ok {
				e.Raw = ""
			}
		}
		slices.SortStableFunc(e.Fields, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
		s.bytes += uint64(eventstore.Size(&e))
		s.events = append(s.events, e)
	}
	slices.SortStableFunc(s.events, order)
	return nil
}

func clone(e *event.Event) event.Event {
	c := *e
	c.Raw = strings.Clone(e.Raw)
	c.Fields = make([]event.Field, len(e.Fields))
	for i, f := range e.Fields {
		c.Fields[i] = event.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)}
	}
	return c
}

// Sync implements eventstore.Store; there is nothing to wait for.
func (s *Store) Sync(ctx context.Context) error { return ctx.Err() }

// Epoch implements eventstore.Store.
func (s *Store) Epoch() uint64 { return 1 }

// Present implements eventstore.Store.
func (s *Store) Present(ctx context.Context, tenant uint32, partition uint16, seq uint64, from, to int64) (map[uint32]struct{}, error) {
	found := map[uint32]struct{}{}
	err := s.each(ctx, tenant, nil, from, to+1, func(e *event.Event) {
		if e.ID.Partition == partition && e.ID.Seq == seq {
			found[e.ID.Index] = struct{}{}
		}
	})
	return found, err
}

// each calls f for the matching events, newest first.
func (s *Store) each(ctx context.Context, tenant uint32, filter query.Node, from, to int64, f func(*event.Event)) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range s.events {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := &s.events[i]
		if e.Tenant == tenant && e.Time >= from && e.Time < to && (filter == nil || filter.Match(e)) {
			f(e)
		}
	}
	return ctx.Err()
}

// Search implements eventstore.Store.
func (s *Store) Search(ctx context.Context, r eventstore.Request) (*eventstore.Result, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	var after eventstore.Position
	if r.Cursor != "" {
		var err error
		if after, err = eventstore.ParseCursor(r.Cursor); err != nil {
			return nil, err
		}
	}
	from, to := eventstore.Clamp(r.From, r.To)
	res := &eventstore.Result{}
	if r.Histogram {
		res.Step = eventstore.Step(from, to)
		res.Buckets = eventstore.Buckets(from, to, res.Step)
	}
	err := s.each(ctx, r.Tenant, r.Filter, from, to, func(e *event.Event) {
		if !r.NoTotal {
			res.Total++
		}
		if r.Histogram {
			eventstore.Count(res.Buckets, res.Step, e.Time, e.Get(event.Severity), 1)
		}
		switch {
		case r.Cursor != "" && !after.After(e.Time, e.ID.String()):
		case len(res.Events) < r.Limit:
			res.Events = append(res.Events, clone(e))
		case res.Next == "" && r.Limit > 0:
			last := &res.Events[r.Limit-1]
			res.Next = eventstore.Position{Time: last.Time, ID: last.ID.String()}.String()
		}
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// Walk implements eventstore.Store. It looks at what there is when it begins; f may
// use the store.
func (s *Store) Walk(ctx context.Context, r eventstore.WalkRequest, f func([]event.Event) error) error {
	if err := r.Check(); err != nil {
		return err
	}
	from, to := eventstore.Clamp(r.From, r.To)
	var all []event.Event
	if err := s.each(ctx, r.Tenant, r.Filter, from, to, func(e *event.Event) { all = append(all, clone(e)) }); err != nil {
		return err
	}
	slices.Reverse(all)
	const batch = 1000
	for part := range slices.Chunk(all, batch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(part); err != nil {
			return err
		}
	}
	return nil
}

// Get implements eventstore.Store.
func (s *Store) Get(ctx context.Context, tenant uint32, id event.ID) (*event.Event, error) {
	var found *event.Event
	err := s.each(ctx, tenant, nil, eventstore.MinTime, eventstore.MaxTime+1, func(e *event.Event) {
		if e.ID == id {
			c := clone(e)
			found = &c
		}
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fault.New(fault.NotFound, "there is no event %s", id)
	}
	return found, nil
}

// Fields implements eventstore.Store.
func (s *Store) Fields(ctx context.Context, r eventstore.FieldsRequest) ([]eventstore.FieldInfo, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	from, to := eventstore.Clamp(r.From, r.To)
	counts := eventstore.NewFieldCounts(r)
	if err := s.each(ctx, r.Tenant, r.Filter, from, to, counts.Add); err != nil {
		return nil, err
	}
	return counts.Result(), nil
}

// Erase implements eventstore.Store.
func (s *Store) Erase(ctx context.Context, tenant uint32, arrivedBefore int64) (int64, error) {
	return s.remove(ctx, func(e event.Event) bool { return e.Tenant == tenant && e.Arrived < arrivedBefore })
}

// EraseMatching implements eventstore.Store.
func (s *Store) EraseMatching(ctx context.Context, tenant uint32, filter query.Node, from, to int64) (int64, error) {
	r := eventstore.WalkRequest{Tenant: tenant, Filter: filter, From: from, To: to}
	if err := r.CheckErase(); err != nil {
		return 0, err
	}
	from, to = eventstore.Clamp(from, to)
	return s.remove(ctx, func(e event.Event) bool {
		return e.Tenant == tenant && e.Time >= from && e.Time < to && filter.Match(&e)
	})
}

// DropDay implements eventstore.Store.
func (s *Store) DropDay(ctx context.Context, day string) error {
	if _, err := time.Parse("20060102", day); err != nil {
		return fault.New(fault.Invalid, "a day is YYYYMMDD, not %q", day).In("day")
	}
	_, err := s.remove(ctx, func(e event.Event) bool { return dayOf(e) == day })
	return err
}

func (s *Store) remove(ctx context.Context, which func(event.Event) bool) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.events)
	s.events = slices.DeleteFunc(s.events, which)
	return int64(before - len(s.events)), nil
}

func dayOf(e event.Event) string { return time.Unix(0, e.Time).UTC().Format("20060102") }

// Usage implements eventstore.Store.
func (s *Store) Usage(ctx context.Context) (eventstore.Usage, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	u := eventstore.Usage{Rows: uint64(len(s.events)), Bytes: s.bytes}
	for i := range s.events {
		u.Days = append(u.Days, dayOf(s.events[i]))
	}
	slices.Sort(u.Days)
	u.Days = slices.Compact(u.Days)
	return u, ctx.Err()
}

// Close implements eventstore.Store.
func (s *Store) Close() error { return nil }
