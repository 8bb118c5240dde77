package alerttest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/alert/alerttest"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// What Seed stores must be what the service would have stored, as far as lists,
// stats and search can tell; and the service must be able to go on from there.
func TestSeed(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, now := t.Context(), time.Now()
		const n = 3000
		alerttest.Seed(t, db, 7, n, now)
		s := alert.New(db)
		out, err := s.Record(ctx, db, now, []alert.Finding{{Tenant: 7, Rule: alert.RuleRef{ID: "r"}, Title: "One more", Severity: "high", Description: "from 10.0.1.55", First: now.UnixNano(), Last: now.UnixNano(), Count: 1}})
		if err != nil || !out[0].Created {
			t.Fatalf("Record = %+v, %v", out, err)
		}
		if st, err := s.Stats(ctx, 7, now, nil); err != nil || st.Total != n+1 || st.Resolved != 3 {
			t.Errorf("Stats = %+v, %v", st, err)
		}
		seen := map[string]bool{}
		for a, err := range s.Stream(ctx, 7, alert.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			seen[a.ID] = true
		}
		if len(seen) != n+1 {
			t.Errorf("%d different ids, want %d", len(seen), n+1)
		}
		for _, search := range []string{"10.0.1.55", "user-42 ", "syn scan", "랜섬", "from 10.0.5", "absent", "47 failed", "one more"} {
			want := int64(0)
			for _, err := range s.Stream(ctx, 7, alert.Filter{Search: search}) {
				if err != nil {
					t.Fatal(err)
				}
				want++
			}
			p, err := s.List(ctx, 7, alert.Query{Filter: alert.Filter{Search: search}})
			if err != nil || p.Total != want {
				t.Errorf("search %q: total %d, %v; want %d", search, p.Total, err, want)
			}
		}
		if d, err := s.Get(ctx, 7, out[0].Alert.ID); err != nil || fmt.Sprint(d.Events) != "[]" {
			t.Errorf("Get = %+v, %v", d, err)
		}
	})
}
