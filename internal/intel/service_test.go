package intel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

var noon = time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)

func service(db *sqldb.DB) *Service {
	return New(db, slog.New(slog.DiscardHandler), func() time.Time { return noon })
}

func upsert(t *testing.T, s *Service, tenant uint32, drafts ...Draft) []Upserted {
	t.Helper()
	out, err := s.Upsert(t.Context(), tenant, "ann", drafts)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUpsertIsIdempotent(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := service(db)
		d := func() []Draft {
			return []Draft{
				{Value: "203.0.113[.]7", Confidence: new(90), Severity: "HIGH", Tags: []string{"c2", "c2", " bot "}},
				{Value: "203.0.113.7", Source: "other"},
				{Value: "203.0.113.7", Confidence: new(90), Severity: "high"}, // the first once more
				{Value: "no indicator"},
				{Value: "evil.example", Confidence: new(101)},
			}
		}
		out := upsert(t, s, 1, d()...)
		if !out[0].Created || !out[1].Created || out[2].Created || out[2].Indicator.ID != out[0].Indicator.ID {
			t.Errorf("created %v %v %v", out[0], out[1], out[2])
		}
		for _, i := range []int{3, 4} {
			if !errors.Is(out[i].Err, fault.Invalid) {
				t.Errorf("draft %d: %v", i, out[i].Err)
			}
		}
		again := upsert(t, s, 1, d()[:2]...)
		if again[0].Created || again[0].Changed || again[0].Indicator.ID != out[0].Indicator.ID || again[0].Indicator.Version != 1 {
			t.Errorf("again: %+v %+v", again[0], again[0].Indicator)
		}
		if got := again[0].Indicator.Tags; strings.Join(got, ",") != "bot,c2" {
			t.Errorf("tags %q", got)
		}
		changedOne := upsert(t, s, 1, Draft{Value: "203.0.113.7", Confidence: new(10)})
		if !changedOne[0].Changed || changedOne[0].Indicator.Confidence != 10 || changedOne[0].Indicator.Version != 2 {
			t.Errorf("changed: %+v", changedOne[0].Indicator)
		}
		if _, total, err := s.List(t.Context(), 1, Query{Sort: "createdAt", Size: 20}); total != 2 || err != nil {
			t.Errorf("%d indicators, %v", total, err)
		}
		if _, err := s.Get(t.Context(), 2, out[0].Indicator.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant: %v", err)
		}
		if err := s.Delete(t.Context(), 2, "eve", out[0].Indicator.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant deletes: %v", err)
		}
		if _, err := s.Change(t.Context(), 2, "eve", out[0].Indicator.ID, Patch{Active: new(false)}); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant changes: %v", err)
		}
	})
}

func TestListFilters(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := service(db)
		past := noon.Add(-time.Hour)
		out := upsert(
			t, s, 1, Draft{Value: "203.0.113.7", Source: "a", Confidence: new(90), Tags: []string{"c2"}}, Draft{Value: "evil.example", Source: "b", Confidence: new(20)},
			Draft{Value: "hxxp://evil[.]example/100%_x", Source: "b", Tags: []string{"c2-old"}}, Draft{Value: "old.example", Source: "a", ValidUntil: &past})
		if _, err := s.Change(t.Context(), 1, "ann", out[1].Indicator.ID, Patch{Active: new(false)}); err != nil {
			t.Fatal(err)
		}
		upsert(t, s, 2, Draft{Value: "203.0.113.7", Source: "a"})
		for _, c := range []struct {
			f    Filter
			want string
		}{
			{Filter{}, "old.example http://evil.example/100%_x evil.example 203.0.113.7"},
			{Filter{Types: []Type{IPv4, URL}}, "http://evil.example/100%_x 203.0.113.7"},
			{Filter{Sources: []string{"b"}}, "http://evil.example/100%_x evil.example"},
			{Filter{Value: "EVIL[.]example."}, "evil.example"},
			{Filter{Search: "evil"}, "http://evil.example/100%_x evil.example"},
			{Filter{Search: "0%_"}, "http://evil.example/100%_x"},
			{Filter{Search: "0_%"}, ""},
			{Filter{Tags: []string{"c2"}}, "203.0.113.7"},
			{Filter{MinConfidence: 75}, "old.example http://evil.example/100%_x 203.0.113.7"},
			{Filter{Active: new(true)}, "http://evil.example/100%_x 203.0.113.7"},
			{Filter{Active: new(false)}, "old.example evil.example"},
			{Filter{Sighted: new(true)}, ""},
		} {
			list, total, err := s.List(t.Context(), 1, Query{Filter: c.f, Sort: "createdAt", Size: 20})
			var got []string
			for _, i := range list {
				got = append(got, i.Value)
			}
			if err != nil || strings.Join(got, " ") != c.want || int(total) != len(got) {
				t.Errorf("%+v: %q (%d), %v; want %q", c.f, got, total, err, c.want)
			}
			n := 0
			for _, err := range s.Stream(t.Context(), 1, c.f) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != len(got) {
				t.Errorf("%+v: the stream has %d, the list %d", c.f, n, len(got))
			}
		}
	})
}

func TestLookup(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := service(db)
		upsert(t, s, 1, Draft{Value: "203.0.113.0/24"}, Draft{Value: "203.0.113.7"}, Draft{Value: "evil.example"}, Draft{Value: "https://www.evil.example/a"}, Draft{Value: "x@evil.example"})
		if _, err := s.Allow(t.Context(), 1, "ann", "", "good.evil.example", "ours"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Allow(t.Context(), 1, "ann", "", "good.evil.example.", ""); !errors.Is(err, fault.Conflict) {
			t.Errorf("the same again: %v", err)
		}
		for value, want := range map[string]int{"203.0.113.7": 2, "203.0.113.8": 1, "203.0.114.8": 0, "a.b.evil.example": 1, "http://www.evil.example/a": 2, "http://203.0.113.9:8080/x": 1, "x@evil.example": 2, "example": -1, "a.good.evil.example": 1} {
			list, allowed, err := s.Lookup(t.Context(), 1, value)
			if want < 0 {
				if !errors.Is(err, fault.Invalid) {
					t.Errorf("%s: %v", value, err)
				}
				continue
			}
			if err != nil || len(list) != want || (allowed != nil) != strings.Contains(value, "good") {
				t.Errorf("%s: %d found, allowed %v, %v; want %d", value, len(list), allowed, err, want)
			}
		}
	})
}

// recorder writes findings as app does.
func recorder(alerts *alert.Service) RecordFunc {
	return func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error {
		raised, counted := Apart(findings)
		out, err := alerts.Record(ctx, tx, now, raised)
		if err != nil {
			return err
		}
		return Record(ctx, tx, raised, out, counted)
	}
}

func keep(t *testing.T, store *memory.Store, seq uint64, fields ...string) {
	t.Helper()
	e := eventOf(fields...)
	e.ID, e.Tenant, e.Time, e.Arrived = event.ID{Seq: seq}, 1, noon.Add(-time.Duration(seq)*time.Hour).UnixNano(), noon.UnixNano()
	if err := errors.Join(store.Append(t.Context(), []event.Event{*e}), store.Sync(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func TestSightingsRaiseAlertsAndAreCounted(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, alerts := service(db), alert.New(db)
		out := upsert(t, s, 1, Draft{Value: "203.0.113.7", Severity: "high"}, Draft{Value: "quiet.example", Severity: "low", Confidence: new(10)})
		m, err := NewMatcher(t.Context(), db, slog.New(slog.DiscardHandler), func() time.Time { return noon })
		if err != nil {
			t.Fatal(err)
		}
		var findings []alert.Finding
		for i := range 3 {
			e := eventOf(event.Host, "web-01", event.DstIP, "203.0.113.7", event.DNSQuery, "quiet.example")
			e.Tenant, e.Time, e.Arrived, e.ID.Seq = 1, noon.Add(time.Duration(i)*time.Minute).UnixNano(), noon.UnixNano(), uint64(i)
			m.Enrich(e, func(f *alert.Finding) { findings = append(findings, *f) })
			e.Tenant = 2
			m.Enrich(e, func(*alert.Finding) { t.Error("another tenant's indicator") })
		}
		if err := db.Tx(t.Context(), func(tx *sqldb.DB) error { return recorder(alerts)(t.Context(), tx, noon, findings) }); err != nil {
			t.Fatal(err)
		}
		for i, wantAlert := range []bool{true, false} {
			got, err := s.Get(t.Context(), 1, out[i].Indicator.ID)
			if err != nil || got.Sightings != 3 || got.LastSighted == nil {
				t.Errorf("%+v, %v", got, err)
			}
			list, total, err := s.Sightings(t.Context(), 1, got.ID, 0, 20)
			if err != nil || total != 1 || list[0].Events != 3 || list[0].Entity != "web-01" || (list[0].AlertID != "") != wantAlert {
				t.Errorf("%s: %+v, %v", got.Value, list, err)
			}
		}
		if _, err := s.SetThresholds(t.Context(), 1, "ann", Thresholds{"low": 0}); err != nil {
			t.Fatal(err)
		}
		m.compiled = map[uint32]compilation{} // it has rested
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := m.Snapshot(1).thresholds["low"]; got != 0 {
			t.Errorf("the matcher has %d", got)
		}
	})
}

func TestRetro(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, alerts, store := service(db), alert.New(db), &memory.Store{}
		keep(t, store, 1, event.Host, "web-01", event.DstIP, "203.0.113.7")
		keep(t, store, 2, event.Host, "web-02", event.DNSQuery, "a.evil.example")
		keep(t, store, 3, event.Host, "web-02", event.DNSQuery, "notevil.example")
		keep(t, store, 4, event.Host, "web-01", event.DstIP, "203.0.113.7", FieldName, "203.0.113.7") // it was matched when it came
		keep(t, store, 5, event.Host, "web-01", event.SrcIP, "198.51.100.9")
		keep(t, store, 6, event.Host, "web-01", event.URL, "/x?y", event.Domain, "shop.example")
		keep(t, store, 100, event.Host, "web-01", event.DstIP, "203.0.113.7") // too long ago
		upsert(t, s, 1, Draft{Value: "203.0.113.7", Severity: "high"}, Draft{Value: "evil.example", Severity: "high"}, Draft{Value: "198.51.100.0/24", Severity: "high"}, Draft{Value: "http://shop.example/x?y", Severity: "high"}, Draft{Value: "absent.example"})
		r := NewRetro(s, store, recorder(alerts))
		var last string
		told := func(done, total int64, _ string) { last = fmt.Sprint(done, "/", total) }
		for _, fresh := range []int64{4, 0} { // and a second time nothing is new
			res, err := r.Run(t.Context(), 1, RetroRequest{Days: 3}, told)
			if err != nil {
				t.Fatal(err)
			}
			if res.Indicators != 5 || res.Events != 5 || res.NewEvents != fresh || len(res.Hits) != 4 || len(res.Alerts) != 4 || last != "5/5" {
				t.Errorf("%+v, progress %s", res, last)
			}
		}
		if res, err := r.Run(t.Context(), 2, RetroRequest{Days: 3}, told); err != nil || res.Events != 0 {
			t.Errorf("another tenant: %+v, %v", res, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Run(ctx, 1, RetroRequest{Days: 3}, told); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}
