package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
)

func (s *suite) walk(t *testing.T, r eventstore.WalkRequest) []event.Event {
	t.Helper()
	r.Tenant = s.tenant
	if r.To == 0 {
		r.From, r.To = eventstore.MinTime, eventstore.MaxTime+1
	}
	var all []event.Event
	err := s.Walk(t.Context(), r, func(events []event.Event) error {
		if len(events) == 0 || len(events) > 20_000 {
			t.Errorf("a batch of %d events", len(events))
		}
		all = append(all, events...)
		return nil
	})
	if err != nil {
		t.Fatalf("walk %v: %v", r.Filter, err)
	}
	return all
}

func testWalk(t *testing.T, s *suite) {
	random := rand.New(rand.NewPCG(15, 16))
	var events []event.Event
	for i := range 30_000 {
		e := fields(fmt.Sprint("w ", i), "k", fmt.Sprint(i%3), "r", fmt.Sprintf("%d.%d", i%7, i%11), "source", "walk")
		switch {
		case i < 14_000:
			e.Time = base // more at one time than are held at a time
		case i < 26_000:
			e.Time = base - 1000*second + random.Int64N(2000) // within two microseconds
		default:
			e.Time = base - random.Int64N(40)*random.Int64N(40)*random.Int64N(2000)*second
		}
		events = append(events, e)
	}
	random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	other := fields("other", "k", "1")
	other.Tenant = s.tenant + 5000
	events = s.put(t, append(events, other)...)
	events = slices.DeleteFunc(events, func(e event.Event) bool { return e.Tenant != s.tenant })
	slices.SortFunc(events, func(a, b event.Event) int {
		if a.Time != b.Time {
			return int(min(max(a.Time-b.Time, -1), 1))
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	})
	for _, tt := range []struct {
		query    string
		from, to int64
	}{{}, {query: "k:1"}, {query: "r:>=3.5"}, {query: "w"}, {query: "nothing"}, {from: base, to: base + 1}, {from: base - 1000*second + 7, to: base}, {from: base, to: base}} {
		n := parse(t, tt.query)
		var want []event.Event
		for i := range events {
			if e := &events[i]; n.Match(e) && (tt.to == 0 || e.Time >= tt.from && e.Time < tt.to) {
				want = append(want, *e)
			}
		}
		equal(t, s.walk(t, eventstore.WalkRequest{Filter: n, From: tt.from, To: tt.to}), want)
	}

	stop := errors.New("enough")
	seen := 0
	err := s.Walk(t.Context(), eventstore.WalkRequest{Tenant: s.tenant, To: eventstore.MaxTime}, func(part []event.Event) error {
		seen += len(part)
		return stop
	})
	if !errors.Is(err, stop) || seen == 0 || seen >= len(events) {
		t.Errorf("a walk that f ends: %v after %d events", err, seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = s.Walk(ctx, eventstore.WalkRequest{Tenant: s.tenant, To: eventstore.MaxTime}, func([]event.Event) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled walk: %v", err)
	}
	if err := s.Walk(t.Context(), eventstore.WalkRequest{Tenant: s.tenant, From: 2, To: 1}, nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("a range that ends before it begins: %v", err)
	}
}

// testWalkLarge has more bytes in few events than are held at a time, partly at one
// moment.
func testWalkLarge(t *testing.T, s *suite) {
	filler := strings.Repeat("0123456789abcdef", 1<<16/16)
	var want []event.Event
	for round := range 4 {
		var events []event.Event
		for i := range 20 {
			e := fields("large", "n", fmt.Sprint(i))
			for j := range 16 {
				e.Add(fmt.Sprint("f", j), fmt.Sprint(round, i, j, filler[:60_000]))
			}
			e.Time = base + int64(i%2)*int64(i)*second
			events = append(events, e)
		}
		want = append(want, s.put(t, events...)...)
	}
	slices.SortFunc(want, func(a, b event.Event) int {
		if a.Time != b.Time {
			return int(min(max(a.Time-b.Time, -1), 1))
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	})
	equal(t, s.walk(t, eventstore.WalkRequest{}), want)
}
