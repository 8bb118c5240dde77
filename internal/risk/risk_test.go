package risk_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/risk"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const tenant = 1

var noon = time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)

type world struct {
	*testing.T
	db     *sqldb.DB
	alerts *alert.Service
	risk   *risk.Service
	clock  time.Time
}

func newWorld(t *testing.T, db *sqldb.DB) *world {
	w := &world{T: t, db: db, alerts: alert.New(db), clock: noon}
	w.risk = risk.New(risk.Config{
		DB: db, Alerts: w.alerts, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.clock },
		Record: func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error {
			_, err := w.alerts.Record(ctx, tx, now, findings)
			return err
		},
		Indicator: func(id string) bool { return id == "intel" },
	})
	return w
}

// raise makes an alert of a rule about entities given as type and value in turn.
func (w *world) raise(rule, severity string, count int64, entities ...string) alert.Alert {
	w.Helper()
	f := alert.Finding{
		Tenant: tenant, Rule: alert.RuleRef{ID: rule, Name: rule}, Title: rule, Severity: severity, Description: rule,
		Key: fmt.Sprint(entities), First: w.clock.UnixNano(), Last: w.clock.UnixNano(), Count: count,
	}
	for i := 0; i < len(entities); i += 2 {
		f.Entities = append(f.Entities, alert.Entity{Type: entities[i], Field: entities[i], Value: entities[i+1]})
	}
	var out []alert.Outcome
	err := w.db.Tx(w.Context(), func(tx *sqldb.DB) (err error) {
		out, err = w.alerts.Record(w.Context(), tx, w.clock, []alert.Finding{f})
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return out[0].Alert
}

func (w *world) verdict(a alert.Alert, v alert.Verdict) {
	w.Helper()
	if _, err := w.alerts.Patch(w.Context(), tenant, "tester", a.ID, alert.Patch{Verdict: &v}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) step() {
	w.Helper()
	if err := w.risk.Step(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// all returns every entity with its explanation, by kind and label.
func (w *world) all() map[string]*risk.Detail {
	w.Helper()
	out := map[string]*risk.Detail{}
	for e, err := range w.risk.Stream(w.Context(), tenant, risk.Filter{}) {
		if err != nil {
			w.Fatal(err)
		}
		d, err := w.risk.Get(w.Context(), tenant, e.ID)
		if err != nil {
			w.Fatal(err)
		}
		out[string(e.Kind)+" "+e.Label] = d
		sum := d.Others.Points
		for _, p := range d.Parts {
			sum += p.Points
		}
		if sum != d.Score {
			w.Fatalf("%s %s: contributions add up to %d, the score is %d", e.Kind, e.Label, sum, d.Score)
		}
	}
	return out
}

func (w *world) score(name string) int64 {
	w.Helper()
	d := w.all()[name]
	if d == nil {
		w.Fatalf("no %s", name)
	}
	return d.Score
}

func TestScoresExplainThemselves(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		a := w.raise("brute", "high", 1, "ip", "203.0.113.9", "user", "Root", "host", "web1.example.com")
		w.step()
		if n := len(w.all()); n != 3 {
			t.Fatalf("%d entities, want 3", n)
		}
		// 100 × (1 − e^(−25/50)) = 39.3469
		if s := w.score("address 203.0.113.9"); s != 3935 {
			t.Fatalf("one high alert scores %d, want 3935", s)
		}
		w.verdict(a, alert.TruePositive)
		w.step()
		if s := w.score("identity Root"); s != 5276 { // 25 × 1.5 = 37.5
			t.Fatalf("a true positive scores %d, want 5276", s)
		}
		w.verdict(a, alert.FalseAlarm)
		w.step()
		if s := w.score("asset web1.example.com"); s != 0 {
			t.Fatalf("a false positive scores %d, want 0", s)
		}
		w.raise("intel", "medium", 8, "ip", "203.0.113.9")
		w.step()
		d := w.all()["address 203.0.113.9"]
		// 10 × 1.3 × (1 + 0.1 × 3) = 16.9
		if d.Score != 2868 || !d.Parts[0].Hit || d.Parts[0].Points != 2868 || d.Contributions != 2 {
			t.Fatalf("a sighting scores %+v", d)
		}
		w.clock = w.clock.Add(7 * 24 * time.Hour)
		w.step()
		d = w.all()["address 203.0.113.9"]
		if d.Score != 1555 || d.Parts[0].Decay != 0.5 || d.Trend != 1555-2868 || len(d.History) != 2 || d.History[1].Last != 2868 || d.History[1].Highest != 3935+1341 && d.History[1].Highest < 2868 {
			t.Fatalf("after a half-life: %+v", d)
		}
	})
}

func TestFromScratchGivesTheSame(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		rng := rand.New(rand.NewPCG(1, 2))
		var alerts []alert.Alert
		for i := range 120 {
			w.clock = w.clock.Add(time.Duration(rng.IntN(90)) * time.Minute)
			alerts = append(alerts, w.raise(fmt.Sprintf("rule%d", rng.IntN(5)), []string{"critical", "high", "medium", "low", "info"}[rng.IntN(5)], 1+rng.Int64N(50),
				"ip", fmt.Sprintf("10.0.0.%d", rng.IntN(4)), "user", fmt.Sprintf("user%d", rng.IntN(3)), "host", fmt.Sprintf("host%d", rng.IntN(2))))
			if rng.IntN(3) == 0 {
				w.verdict(alerts[rng.IntN(len(alerts))], alert.Verdicts[rng.IntN(len(alert.Verdicts))])
			}
			if i%7 == 0 {
				w.step()
			}
		}
		w.clock = w.clock.Add(2 * time.Hour)
		w.step()
		have := w.all()
		for _, q := range []string{`DELETE FROM risk_contribution`, `DELETE FROM risk_hour`, `DELETE FROM risk_day`, `DELETE FROM risk_raised`, `DELETE FROM risk_explanation`, `DELETE FROM risk_entity`} {
			if _, err := sqldb.Exec(t.Context(), db, q); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.risk.Recompute(t.Context(), tenant, "tester"); err != nil {
			t.Fatal(err)
		}
		w.step()
		again := w.all()
		if len(have) != 9 || len(again) != len(have) {
			t.Fatalf("%d entities, %d from scratch, want 9", len(have), len(again))
		}
		for name, a := range have {
			b := again[name]
			if a.Score != b.Score || a.Total != b.Total || !slices.Equal(a.Parts, b.Parts) {
				t.Errorf("%s: %d followed, %d from scratch", name, a.Score, b.Score)
			}
		}
	})
}

// TestKilledBetween has the follower fail after it has worked: nothing may be lost, and
// doing it again may not count twice.
func TestKilledBetween(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.raise("brute", "critical", 1, "ip", "203.0.113.9")
		w.raise("other", "critical", 1, "ip", "203.0.113.9")
		w.raise("third", "critical", 1, "ip", "203.0.113.9")
		died := errors.New("killed")
		broken := risk.New(risk.Config{DB: db, Alerts: w.alerts, Log: w.risk.Log, Now: w.risk.Now, Record: func(context.Context, *sqldb.DB, time.Time, []alert.Finding) error { return died }})
		if err := broken.Step(t.Context()); !errors.Is(err, died) {
			t.Fatalf("err %v, want the kill: three critical alerts reach a line", err)
		}
		if n := len(w.all()); n != 0 {
			t.Fatalf("%d entities of a transaction that did not commit", n)
		}
		w.step()
		want := int64(9093) // 100 × (1 − e^(−120/50))
		if s := w.score("address 203.0.113.9"); s != want {
			t.Fatalf("score %d, want %d", s, want)
		}
		if err := w.risk.Recompute(t.Context(), tenant, "tester"); err != nil {
			t.Fatal(err)
		}
		w.step()
		if s := w.score("address 203.0.113.9"); s != want {
			t.Fatalf("score %d after doing it again, want %d", s, want)
		}
	})
}

func TestRiskRulesRaiseAlertsThatFeedNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		if _, err := w.risk.Change(t.Context(), tenant, "tester", 0, func(s *risk.Settings) { s.Rules[1].Watched = false }); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			w.raise(fmt.Sprint("rule", i), "critical", 1, "host", "db1")
		}
		w.step()
		before := w.score("asset db1")
		raised := func() (names []string, occurrences int64) {
			for a, err := range w.alerts.Stream(t.Context(), tenant, alert.Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				if a.Rule.Origin == risk.Origin {
					names = append(names, a.Rule.Name)
					occurrences += a.Occurrences
				}
			}
			slices.Sort(names)
			return names, occurrences
		}
		if names, n := raised(); !slices.Equal(names, []string{"Risk is critical", "Risk of a watched entity rises fast"}) || n != 2 {
			t.Fatalf("raised %v, %d times", names, n)
		}
		w.clock = w.clock.Add(time.Minute)
		w.step() // takes up the alerts that it has raised
		w.raise("rule9", "critical", 1, "host", "db1")
		w.step()
		if _, n := raised(); n != 2 {
			t.Fatalf("raised %d times: a score that stays above a line says nothing new", n)
		}
		d := w.all()["asset db1"]
		if d.Contributions != 5 || d.Score <= before {
			t.Fatalf("%d contributions, want the 5 of other rules", d.Contributions)
		}
	})
}

func TestSettingsChangeEveryScore(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.raise("brute", "high", 1, "user", "root")
		w.step()
		set, err := w.risk.Change(t.Context(), tenant, "tester", 0, func(s *risk.Settings) { s.Severity["high"] = 50; s.Levels.Medium = 60; s.Levels.High = 70 })
		if err != nil || set.Version != 1 {
			t.Fatal(set, err)
		}
		w.step()
		d := w.all()["identity root"]
		if d.Score != 6321 || d.Level != "medium" {
			t.Fatalf("score %d, level %s", d.Score, d.Level)
		}
		if _, err := w.risk.Change(t.Context(), tenant, "tester", 7, func(*risk.Settings) {}); !errors.Is(err, fault.Conflict) {
			t.Fatalf("another version: %v", err)
		}
		for name, edit := range map[string]func(*risk.Settings){
			"half-life": func(s *risk.Settings) { s.HalfLifeHours = 0 },
			"levels":    func(s *risk.Settings) { s.Levels.Medium = 90 },
			"severity":  func(s *risk.Settings) { s.Severity["urgent"] = 3 },
			"rule": func(s *risk.Settings) {
				s.Rules = append(s.Rules, risk.Rule{Name: "x", When: "sinks", Score: 3, Severity: "low"})
			},
		} {
			if _, err := w.risk.Change(t.Context(), tenant, "tester", 0, edit); !errors.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if other, err := w.risk.Settings(t.Context(), 2); err != nil || other.Version != 0 || other.Severity["high"] != 25 {
			t.Fatalf("another tenant's settings: %+v, %v", other, err)
		}
	})
}

func TestListPatchAndTenants(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.raise("a", "critical", 1, "host", "db1", "user", "Root")
		w.raise("b", "low", 1, "ip", "2001:DB8::1")
		w.step()
		p, err := w.risk.List(t.Context(), tenant, risk.Query{Filter: risk.Filter{Kinds: []risk.Kind{risk.Asset, risk.Identity}, MinScore: 5000, Search: "ROO"}})
		if err != nil || p.Total != 1 || p.Entities[0].Label != "Root" || p.Entities[0].Level != "medium" {
			t.Fatalf("%+v, %v", p, err)
		}
		id := p.Entities[0].ID
		d, err := w.risk.Patch(t.Context(), tenant, "tester", id, risk.Patch{Watched: new(true), Notes: new("look"), Version: 1})
		if err != nil || !d.Watched || d.Notes != "look" || d.Version != 2 {
			t.Fatalf("%+v, %v", d, err)
		}
		if _, err := w.risk.Patch(t.Context(), tenant, "tester", id, risk.Patch{Notes: new("x"), Version: 1}); !errors.Is(err, fault.Conflict) {
			t.Fatalf("old version: %v", err)
		}
		if _, err := w.risk.Get(t.Context(), 2, id); !errors.Is(err, fault.NotFound) {
			t.Fatalf("another tenant's: %v", err)
		}
		if p, err := w.risk.List(t.Context(), 2, risk.Query{}); err != nil || p.Total != 0 {
			t.Fatalf("another tenant's list: %+v, %v", p, err)
		}
		if p, err := w.risk.List(t.Context(), tenant, risk.Query{Filter: risk.Filter{Watched: new(true)}, Sort: "lastSeen", Ascending: true}); err != nil || p.Total != 1 {
			t.Fatalf("watched: %+v, %v", p, err)
		}
		if _, n, err := audit.List(t.Context(), db, tenant, audit.Filter{Action: "risk.update"}); err != nil || n != 1 {
			t.Fatalf("%d entries in the audit log, %v", n, err)
		}
	})
}
