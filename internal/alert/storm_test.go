package alert

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// flood finds n addresses from the first on, one event each.
func flood(rule string, first, n int) []Finding {
	var out []Finding
	for i := range n {
		f := bruteForce(attack, 1, fmt.Sprintf("10.1.%d.%d", (first+i)/250, (first+i)%250), "root")
		f.Rule.ID = rule
		f.Events = []event.ID{{Seq: uint64(first + i), Index: 7}} //nolint:gosec // small
		out = append(out, f)
	}
	return out
}

func allOf(t *testing.T, s *Service, f Filter) []Alert {
	t.Helper()
	var all []Alert
	for a, err := range s.Stream(t.Context(), 1, f) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// referred reads every reference of an alert, page by page.
func referred(t *testing.T, s *Service, id string, size int) []event.ID {
	t.Helper()
	var ids []event.ID
	for cursor := ""; ; {
		p, err := s.References(t.Context(), 1, id, cursor, size)
		if err != nil {
			t.Fatal(err)
		}
		if ids = append(ids, p.Events...); p.Next == "" {
			if p.Total != int64(len(ids)) {
				t.Errorf("alert %s: %d references, total %d", id, len(ids), p.Total)
			}
			return ids
		}
		if len(p.Events) != size {
			t.Errorf("alert %s: a page of %d with another behind it", id, len(p.Events))
		}
		cursor = p.Next
	}
}

func TestStorm(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := NewWithStorms(db, 5)
		start := server.Truncate(time.Hour).Add(10 * time.Minute)
		out := record(t, s, start, flood("r", 0, 4)...)
		out = append(out, record(t, s, start.Add(time.Minute), flood("r", 4, 6)...)...)
		for i := range out {
			if want := i < 5 || i == 5; out[i].Created != want {
				t.Errorf("finding %d: created = %v", i, out[i].Created)
			}
			if out[i].Alert.Storm != (i >= 5) {
				t.Errorf("finding %d: storm = %v", i, out[i].Alert.Storm)
			}
		}
		storm := out[5].Alert
		// A restart: nothing is remembered but what is stored. Known entities grow their own
		// alert, another rule is not concerned.
		s = NewWithStorms(db, 5)
		out = record(t, s, start.Add(2*time.Minute), append(append(flood("r", 3, 4), flood("other", 0, 2)...), flood("r", 9, 2)...)...)
		for i, want := range []bool{false, false, true, true, false, false, true, true} {
			if out[i].Alert.Storm != want || want && out[i].Alert.ID != storm.ID || !want && out[i].Created != (i >= 4) {
				t.Errorf("finding %d: %+v", i, out[i])
			}
		}
		d, err := s.Get(t.Context(), 1, storm.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d.Title != storm.Rule.Name || !strings.HasPrefix(d.Description, "storm: 6 more entities with 9 events") || d.Occurrences != 9 || d.Referred != 9 {
			t.Errorf("storm is %+v", d)
		}
		hour := start.Truncate(time.Hour)
		// Eleven entities would have had an alert: the storm goes on through the next hour.
		want := &Storm{Limit: 5, Began: start.Add(time.Minute), Until: hour.Add(2 * time.Hour), Entities: 6}
		top := []string{"src_ip=10.1.0.5", "src_ip=10.1.0.6", "src_ip=10.1.0.9", "src_ip=10.1.0.10", "src_ip=10.1.0.7", "src_ip=10.1.0.8"}
		for i, e := range d.Folded.Top {
			if i >= len(top) || e.Key != top[i] || e.Occurrences != map[bool]int64{true: 2, false: 1}[i < 3] || !e.FirstSeen.Equal(attack) {
				t.Errorf("top entity %d is %+v", i, e)
			}
		}
		d.Folded.Top = nil
		if diff := cmp.Diff(want, d.Folded); diff != "" {
			t.Error(diff)
		}
		// Every entity leads to the storm.
		for _, ip := range []string{"10.1.0.5", "10.1.0.10"} {
			if found := allOf(t, s, Filter{Entity: ip, RuleID: "r"}); len(found) != 1 || found[0].ID != storm.ID {
				t.Errorf("entity %s finds %+v", ip, found)
			}
		}
		if p, err := s.List(t.Context(), 1, Query{Filter: Filter{Search: "more entities"}}); err != nil || p.Total != 1 {
			t.Errorf("search finds %+v, %v", p, err)
		}
	})
}

// A storm goes on while more entities are seen in an hour than are allowed, known ones
// too, and ends after an hour with fewer.
func TestStormEnds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := NewWithStorms(db, 3)
		hour := server.Truncate(time.Hour)
		at := func(hours int, findings ...Finding) []Outcome {
			return record(t, s, hour.Add(time.Duration(hours)*time.Hour+5*time.Minute), findings...)
		}
		storm := at(0, flood("r", 0, 10)...)[9].Alert
		for h := 1; h <= 2; h++ { // no new entity, and yet a storm: 4 and again the same 4 of those it took
			for i, o := range at(h, append(flood("r", 4, 4), flood("r", 4, 4)...)...) {
				if o.Alert.ID != storm.ID || o.Created {
					t.Fatalf("hour %d, finding %d went elsewhere: %+v", h, i, o)
				}
			}
		}
		if o := at(3, flood("r", 20, 2)...); o[1].Alert.ID != storm.ID { // fewer, in the last hour
			t.Errorf("the storm ended early: %+v", o[1])
		}
		d, err := s.Get(t.Context(), 1, storm.ID)
		if err != nil || !d.Folded.Until.Equal(hour.Add(4*time.Hour)) || d.Folded.Entities != 9 {
			t.Errorf("storm is %+v, %v", d.Folded, err)
		}
		if o := at(4, flood("r", 30, 2)...); !o[0].Created || !o[1].Created || o[0].Alert.Storm || o[1].Alert.Storm {
			t.Errorf("the storm did not end: %+v", o)
		}
		// A pause of more than an hour ends a storm too; the next is another alert.
		second := at(5, flood("r", 40, 6)...)[5].Alert
		if !second.Storm || second.ID == storm.ID {
			t.Errorf("second storm: %+v", second)
		}
		if o := at(7, flood("r", 50, 1)...); o[0].Alert.Storm {
			t.Errorf("the second storm did not end: %+v", o)
		}
	})
}

// What people decided holds: a resolved storm takes no more, one that is a false
// positive swallows; and after a day a storm has a new alert.
func TestStormAndTriage(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := NewWithStorms(db, 2)
		last := func(now time.Time, first int) Alert { return record(t, s, now, flood("r", first, 5)...)[4].Alert }
		first := last(server, 0)
		if _, err := s.Patch(t.Context(), 1, "kim", first.ID, Patch{Status: new(Resolved)}); err != nil {
			t.Fatal(err)
		}
		second := last(server, 10)
		if !second.Storm || second.ID == first.ID {
			t.Errorf("a resolved storm took more: %+v", second)
		}
		if _, err := s.Patch(t.Context(), 1, "kim", second.ID, Patch{Status: new(FalsePositive)}); err != nil {
			t.Fatal(err)
		}
		if third := last(server, 20); third.ID != second.ID || third.Status != FalsePositive {
			t.Errorf("a false positive did not swallow: %+v", third)
		}
		for h := range 25 {
			third := last(server.Add(time.Duration(h)*time.Hour), 1000+10*h)
			if same := third.ID == second.ID; same != (h < 24) || !third.Storm {
				t.Errorf("after %d hours: same alert = %v, %+v", h, same, third)
			}
		}
	})
}

// Whatever comes, in whatever batches: counts and references over all alerts are those
// of the findings, and no rule opens more than its limit and a storm in an hour.
func TestNothingIsLostInStorms(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		const limit = 4
		for seed := range uint64(12) {
			rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // reproducible
			rule := func() string { return fmt.Sprintf("rule-%d-%d", seed, rng.IntN(2)) }
			var count int64
			want := map[event.ID]int{}
			opened := map[string]int{}
			now := server.Add(time.Duration(seed) * 24 * time.Hour)
			for range 12 {
				s := NewWithStorms(db, limit) // each batch after a restart
				var batch []Finding
				for range rng.IntN(15) {
					f := bruteForce(attack.Add(time.Duration(rng.IntN(30))*time.Hour), 1+rng.Int64N(3), fmt.Sprintf("10.0.0.%d", rng.IntN(40)), "root")
					f.Rule.ID, f.Events = rule(), nil
					for range rng.IntN(4) {
						id := event.ID{Partition: uint16(rng.IntN(3)), Seq: rng.Uint64N(1 << 40), Index: rng.Uint32()} //nolint:gosec // small
						f.Events = append(f.Events, id)
						want[id]++
					}
					count += f.Count
					batch = append(batch, f)
				}
				for _, o := range record(t, s, now, batch...) {
					if o.Created {
						opened[fmt.Sprint(o.Alert.Rule.ID, now.Truncate(time.Hour))]++
					}
				}
				now = now.Add(time.Duration(rng.IntN(50)) * time.Minute)
			}
			s := NewWithStorms(db, limit)
			var gotCount, entities int64
			got := map[event.ID]int{}
			for _, a := range allOf(t, s, Filter{}) {
				if !strings.HasPrefix(a.Rule.ID, fmt.Sprintf("rule-%d-", seed)) {
					continue
				}
				gotCount += a.Occurrences
				for _, id := range referred(t, s, a.ID, 1+rng.IntN(5)) {
					got[id]++
				}
				if d, err := s.Get(t.Context(), 1, a.ID); err != nil {
					t.Fatal(err)
				} else if a.Storm {
					entities += d.Folded.Entities
					var sum int64
					for _, e := range d.Folded.Top {
						sum += e.Occurrences
					}
					if d.Folded.Entities <= topEntities && sum != a.Occurrences {
						t.Errorf("seed %d: storm of %d events, entities have %d", seed, a.Occurrences, sum)
					}
				}
			}
			if gotCount != count || !maps.Equal(got, want) {
				t.Errorf("seed %d: alerts count %d events and refer to %d, findings %d and %d", seed, gotCount, len(got), count, len(want))
			}
			for hour, n := range opened {
				if n > limit+1 {
					t.Errorf("seed %d: %s opened %d alerts", seed, hour, n)
				}
			}
			if entities == 0 {
				t.Logf("seed %d made no storm", seed)
			}
		}
	})
}

// Alerts that were made before references had a table show what they had, and keep it
// when they grow.
func TestReferencesOfOldAlerts(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		f := bruteForce(attack, 3, "10.0.1.55", "root")
		f.Events = []event.ID{{Seq: 1}, {Seq: 2}, {Seq: 3}}
		id := record(t, s, server, f)[0].Alert.ID
		for _, q := range []string{`DELETE FROM alert_event`, `UPDATE alert_detail SET blocks = 0, referred = 0`} {
			if _, err := sqldb.Exec(t.Context(), db, q); err != nil {
				t.Fatal(err)
			}
		}
		if got := referred(t, s, id, 2); !slices.Equal(got, f.Events) {
			t.Errorf("old alert refers to %v", got)
		}
		p, err := s.References(t.Context(), 1, id, "", 2)
		if err != nil {
			t.Fatal(err)
		}
		g := f
		g.First, g.Last, g.Events = f.First+1e9, f.Last+1e9, []event.ID{{Seq: 9}}
		record(t, s, server, g)
		if got := referred(t, s, id, 2); !slices.Equal(got, append(slices.Clone(f.Events), g.Events...)) {
			t.Errorf("grown, it refers to %v", got)
		}
		// The cursor from before still leads on.
		if next, err := s.References(t.Context(), 1, id, p.Next, 10); err != nil || !slices.Equal(next.Events, []event.ID{{Seq: 3}, {Seq: 9}}) {
			t.Errorf("behind the old cursor: %+v, %v", next, err)
		}
		for _, cursor := range []string{"x", "1", "-1-0", "0--1", "00-0", "1-2-3", "99999999999999999999-0"} {
			if _, err := s.References(t.Context(), 1, id, cursor, 10); !errors.Is(err, fault.Invalid) {
				t.Errorf("cursor %q: %v", cursor, err)
			}
		}
		if _, err := s.References(t.Context(), 2, id, "", 10); !errors.Is(err, fault.NotFound) {
			t.Error("another tenant reads the references")
		}
	})
}

func FuzzPackedIDs(f *testing.F) {
	f.Add(packIDs([]event.ID{{}, {Partition: 1, Seq: 1 << 63, Index: 1<<32 - 1}, {Partition: 65535, Seq: 0, Index: 0}}))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, packed []byte) {
		ids, err := unpackIDs(packed)
		if err != nil {
			return
		}
		again, err := unpackIDs(packIDs(ids))
		if err != nil || !slices.Equal(ids, again) {
			t.Errorf("%v became %v, %v", ids, again, err)
		}
	})
}
