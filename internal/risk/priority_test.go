package risk_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/risk"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestPriority(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.risk.Confidence = func(context.Context, uint32, []string) (map[string]float64, error) {
			return map[string]float64{"noisy": 0.2}, nil
		}
		w.risk.SetWorth(func(_ context.Context, _ *sqldb.DB, _ uint32, keys []risk.Key) (map[risk.Key]risk.Worth, error) {
			out := map[risk.Key]risk.Worth{}
			for _, k := range keys {
				if k.Value == "vault" {
					out[k] = risk.Worth{Factor: 1.6, Reason: "criticality critical"}
				}
			}
			return out, nil
		})
		waits := w.raise("waits", "medium", 1, "host", "a")
		w.clock = w.clock.Add(48 * time.Hour)
		w.raise("high", "high", 1, "host", "b")
		w.raise("noisy", "high", 1, "host", "c")
		w.raise("jewel", "medium", 1, "host", "Vault")
		taken := w.raise("taken", "low", 1, "host", "d")
		if _, err := w.alerts.Patch(t.Context(), tenant, "t", taken.ID, alert.Patch{AssignedTo: new("kim")}); err != nil {
			t.Fatal(err)
		}
		list := func(q alert.Query) (out []string) {
			t.Helper()
			p, err := w.risk.Queue(t.Context(), tenant, q)
			if err != nil {
				t.Fatal(err)
			}
			if p.Total != 5 {
				t.Errorf("total %d", p.Total)
			}
			if len(p.Priorities) != len(p.Alerts) {
				t.Fatalf("%d priorities of %d alerts", len(p.Priorities), len(p.Alerts))
			}
			for i, a := range p.Alerts {
				// What it was ordered by is what it is shown with.
				if one, err := w.risk.Weigh(t.Context(), tenant, &alert.Page{Alerts: p.Alerts[i : i+1]}); err != nil || one.Priorities[0].Score != p.Priorities[i].Score {
					t.Errorf("%s is weighed %+v, alone %+v, %v", a.Title, p.Priorities[i], one, err)
				}
				out = append(out, a.Title)
			}
			return out
		}
		if got := fmt.Sprint(list(alert.Query{Size: 20})); got != "[high waits jewel noisy taken]" {
			t.Errorf("order %s", got)
		}
		if got := fmt.Sprint(list(alert.Query{Size: 2, Page: 2})); got != "[taken]" {
			t.Errorf("third page %s", got)
		}
		if got := fmt.Sprint(list(alert.Query{Size: 20, Ascending: true})); got != "[taken noisy jewel waits high]" {
			t.Errorf("least urgent first: %s", got)
		}
		if got := list(alert.Query{Size: 20, Page: 60}); len(got) != 0 {
			t.Errorf("behind the window: %v", got)
		}
		got, err := w.risk.Weigh(t.Context(), tenant, &alert.Page{Alerts: []alert.Alert{waits}})
		if err != nil {
			t.Fatal(err)
		}
		// 26 for its severity, all 14 for twice the day in which it should have been seen.
		if p := got.Priorities[0]; p.Score != 40 || len(p.Parts) != 2 || p.Parts[1].Reason != "nobody has taken it for 2 d" {
			t.Errorf("%+v", p)
		}
	})
}
