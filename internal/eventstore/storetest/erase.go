package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

func testEraseMatching(t *testing.T, s *suite) {
	var events []event.Event
	for i := range 300 {
		e := fields(fmt.Sprint("e ", i))
		e.Add(event.User, []string{"Ann", "bob", "ann b"}[i%3])
		e.Add("n", fmt.Sprint(i))
		events = append(events, e)
	}
	events = s.put(t, events...)
	mine, other := s.tenant, s.tenant+3000
	s.tenant = other
	theirs := fields("theirs")
	theirs.Add(event.User, "ann")
	s.put(t, theirs)
	s.tenant = mine
	user := query.NewField(event.User)
	erase := func(name string, f query.Node, from, to, want int64) {
		t.Helper()
		n, err := s.EraseMatching(t.Context(), mine, f, from, to)
		if err != nil || n != want {
			t.Errorf("%s: erased %d, %v, want %d", name, n, err, want)
		}
	}
	left := uint64(300)
	check := func(name string, less uint64) {
		t.Helper()
		left -= less
		if got := s.search(t, eventstore.Request{}); got.Total != left {
			t.Errorf("%s: %d are left, want %d", name, got.Total, left)
		}
	}

	id := func(i int) query.Node {
		return query.Equal{Field: query.NewField(event.EventID), Value: events[i].ID.String()}
	}
	byIDs := query.Or{Nodes: []query.Node{id(1), id(2), id(4), id(299)}}
	erase("by ids, some out of the time", byIDs, base, base+200*second, 3)
	check("by ids", 3)
	for _, i := range []int{1, 2, 4} {
		if _, err := s.Get(t.Context(), mine, events[i].ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("event %d is still there: %v", i, err)
		}
	}
	if _, err := s.Get(t.Context(), mine, events[299].ID); err != nil {
		t.Errorf("event 299, outside of the time: %v", err)
	}
	erase("by ids, again", byIDs, base, base+200*second, 0)

	// All of one person and nobody else: 100 of Ann, whatever the case; index 4 is bob's.
	erase("a person", query.Equal{Field: user, Value: "ann"}, base, base+300*second, 100)
	check("a person", 100)
	got := s.search(t, eventstore.Request{Limit: 1000})
	for i := range got.Events {
		e := &got.Events[i]
		if u := e.Get(event.User); u == "Ann" || e.ID.Index%3 == 0 {
			t.Fatalf("an event of %s is left: %+v", u, *e)
		}
	}

	odd, err := query.Parse(`n:/[13579]$/ AND NOT user:bob`)
	if err != nil {
		t.Fatal(err)
	}
	want := uint64(0)
	for i := range got.Events {
		if odd.Match(&got.Events[i]) {
			want++
		}
	}
	erase("a pattern", odd, base, base+300*second, int64(want))
	check("a pattern", want)

	erase("at the edge", query.All{}, base, base, 0)
	erase("before all", query.All{}, base-second, base, 0)
	if got, err := s.Search(t.Context(), eventstore.Request{Tenant: other, From: eventstore.MinTime, To: eventstore.MaxTime + 1}); err != nil || got.Total != 1 {
		t.Errorf("another tenant has %v left, %v, want 1", got, err)
	}
	if _, err := s.EraseMatching(t.Context(), mine, nil, base, base+second); !errors.Is(err, fault.Invalid) {
		t.Errorf("without a filter: %v, want Invalid", err)
	}
	erase("all", query.All{}, eventstore.MinTime, eventstore.MaxTime+1, int64(left))
	check("all", left)
}
