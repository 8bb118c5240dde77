package pipeline

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// An index that is built anew has the events that the pipeline made, by the same
// settings: their zone, their aliases, the door and the token that they are for.
func TestReindexReadsBySettings(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		set := parse.NewSettings([]parse.Setting{
			{ID: "zone", Match: parse.Match{Host: "seoul*"}, Zone: time.FixedZone("+09:00", 9*3600)},
			{ID: "alias", Match: parse.Match{Key: "token-1", Input: "http"}, Aliases: []parse.Alias{{From: "who", To: event.User}}, NewName: "shop"},
		})
		b.settings = func(_ context.Context, tenant uint32) (*parse.Settings, error) {
			if tenant == 2 {
				return set, nil
			}
			return nil, nil
		}
		stop := b.start()
		records := []string{
			"Nov 25 10:00:00 seoul-1 sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2",
			`{"who":"mallory","what":"refund"}`,
			"Nov 25 10:00:00 berlin-1 sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2",
		}
		arrived := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixNano()
		for tenant := range uint32(3) {
			if err := b.q.Append(t.Context(), &queue.Chunk{Tenant: tenant, Input: "http", Key: "token-1", Arrived: arrived, Records: records}); err != nil {
				t.Fatal(err)
			}
		}
		events := func(s eventstore.Store, tenant uint32) map[string]event.Event {
			found, err := s.Search(t.Context(), eventstore.Request{Tenant: tenant, To: eventstore.MaxTime, Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			all := map[string]event.Event{}
			for _, e := range found.Events {
				all[e.ID.String()] = e
			}
			return all
		}
		b.await("all stored", func() bool {
			return len(events(b.store, 0))+len(events(b.store, 1))+len(events(b.store, 2)) == 9
		})
		stop()
		if err := b.archive.Sync(); err != nil {
			t.Fatal(err)
		}
		read := 0
		for _, e := range events(b.store, 2) {
			if e.Get(event.User) == "mallory" && e.Get(event.Source) == "shop" || e.Time == arrived-11*int64(time.Hour) {
				read++
			}
		}
		if read != 2 {
			t.Fatalf("%d records were read by the settings, want 2: %+v", read, events(b.store, 2))
		}
		var anew memory.Store
		if _, err := Reindex(t.Context(), b.dir, &anew, Reading{Zone: time.UTC, Settings: b.settings}, nil); err != nil {
			t.Fatal(err)
		}
		for tenant := range uint32(3) {
			if d := cmp.Diff(events(b.store, tenant), events(&anew, tenant)); d != "" {
				t.Errorf("tenant %d: the archive makes other events: %s", tenant, d)
			}
		}
	})
}
