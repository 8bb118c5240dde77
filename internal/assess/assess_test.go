package assess

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// noon is when all tests look.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// A house is an assessor with everything around it.
type house struct {
	*Assessor
	t      *testing.T
	now    time.Time
	number uint32
	saved  []compliance.Result
	store  *memory.Store
}

func each(t *testing.T, f func(t *testing.T, h *house)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newHouse(t, db)) })
}

func newHouse(t testing.TB, db *sqldb.DB) *house {
	t.Helper()
	h := &house{now: noon, store: &memory.Store{}}
	if t, ok := t.(*testing.T); ok {
		h.t = t
	}
	made, err := tenant.New(db).Create(t.Context(), "test", tenant.Draft{Name: "shop", RetentionDays: 365})
	if err != nil {
		t.Fatal(err)
	}
	h.number = made.Number
	exec(t, db, `UPDATE tenant SET created_at = $1`, noon.AddDate(0, 0, -100).UnixMicro())
	clock := func() time.Time { return h.now }
	service := compliance.New(compliance.Config{DB: db, Now: clock})
	logs, err := logsource.New(t.Context(), db, logsource.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	h.Assessor = New(Config{
		DB: db, Compliance: service, Now: clock, Events: h.store, Logs: logs, Tenants: func() []uint32 { return []uint32{h.number} },
		Rules: rule.New(db, func(text []byte) (rule.Meta, error) { return rule.Meta{}, nil }),
		Save: func(ctx context.Context, tenant uint32, results []compliance.Result) error {
			h.saved = append(h.saved, results...)
			return db.Tx(ctx, func(tx *sqldb.DB) error { return service.SaveResults(ctx, tx, tenant, results) })
		},
		Coverage: func(context.Context, uint32) (*workbench.Coverage, error) {
			return &workbench.Coverage{AttackVersion: "18"}, nil
		},
		Platform: func(context.Context) (*Platform, error) {
			return &Platform{Version: "v1.2.3", CanaryEvery: 15 * time.Minute}, nil
		},
	})
	return h
}

func exec(t testing.TB, db *sqldb.DB, text string, args ...any) {
	t.Helper()
	if _, err := sqldb.Exec(t.Context(), db, text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// reload lets the log sources that stand in the database be known.
func (h *house) reload() {
	h.t.Helper()
	logs, err := logsource.New(h.t.Context(), h.DB, logsource.Options{Now: func() time.Time { return h.now }})
	if err != nil {
		h.t.Fatal(err)
	}
	h.Logs = logs
}

// evaluate returns the result of a check as it stands in the catalogue.
func (h *house) evaluate(check string, own ...compliance.Params) compliance.Result {
	h.t.Helper()
	c := h.Compliance.Catalogue.Check(check)
	v := compliance.Variant{Check: check, Params: compliance.Merge(c.Params, nil), Absence: c.Absence}
	for _, p := range own {
		v.Params, v.Own = compliance.Merge(v.Params, p), p
	}
	r, err := h.Evaluate(h.t.Context(), h.number, v)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func TestEveryCheckHasAnEvaluator(t *testing.T) {
	checks := compliance.Builtin().Checks
	if len(checks) != 64 {
		t.Fatalf("%d checks", len(checks))
	}
	family := 0
	for i := range checks {
		c := &checks[i]
		if evaluatorOf(c) == nil {
			t.Errorf("%s has no evaluator", c.ID)
		}
		if c.Evaluator != "monitored" {
			continue
		}
		family++
		k := classes()[c.Params.String("sourceClass")]
		if k == nil {
			t.Errorf("%s: there is no class %q", c.ID, c.Params.String("sourceClass"))
			continue
		}
		if _, err := query.Parse(k.Events); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		if len(k.Sources) == 0 || len(k.Rules) == 0 {
			t.Errorf("%s names no sources or no rules", k.Name)
		}
	}
	if family != 20 || len(classes()) != 20 || len(evaluators) != 44 {
		t.Errorf("%d monitored checks, %d classes, %d evaluators of their own", family, len(classes()), len(evaluators))
	}
	for id := range evaluators {
		if compliance.Builtin().Check(id) == nil {
			t.Errorf("there is no check %s", id)
		}
	}
	for _, text := range []string{attributed, complete} {
		if _, err := query.Parse(text); err != nil {
			t.Error(err)
		}
	}
}

// An estate that nobody has looked at passes nothing, and says what to do.
func TestNothingKnownPassesNothing(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		s, err := h.Collect(t.Context(), h.number, compliance.Selection{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Evaluated != len(h.saved) || s.Evaluated < 64 {
			t.Fatalf("%+v, %d saved", s, len(h.saved))
		}
		checks := map[string]bool{}
		for _, r := range h.saved {
			checks[r.Check] = true
			if strings.Contains(r.Reason, "could not be evaluated") {
				t.Errorf("%s: %s", r.Variant, r.Reason)
			}
			// The one thing that is known: that every check was evaluated just now, and that
			// the server runs one release.
			if r.Outcome == compliance.Pass && r.Check != "evidence-fresh" && r.Check != "platform-patch" {
				t.Errorf("%s passes: %s", r.Variant, r.Reason)
			}
			if r.Reason == "" || !strings.HasSuffix(r.Reason, ".") || r.Method == "" || r.Threshold == "" || r.Population.Definition == "" {
				t.Errorf("%s lacks something: %+v", r.Variant, r)
			}
			if !json.Valid(r.Facts) || len(r.Facts) < 10 {
				t.Errorf("%s: facts %s", r.Variant, r.Facts)
			}
			if r.Outcome == compliance.Pass && r.Population.Size == 0 {
				t.Errorf("%s passes with an empty population", r.Variant)
			}
		}
		if len(checks) != 64 {
			t.Errorf("%d checks were evaluated", len(checks))
		}
	})
}

func TestOneThatFailsStopsNoOther(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.Platform = func(context.Context) (*Platform, error) { panic("no disk") }
		h.Archived = func(uint32) (time.Time, error) { return time.Time{}, errors.New("broken") }
		s, err := h.Collect(t.Context(), h.number, compliance.Selection{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		failed := 0
		for _, r := range h.saved {
			if strings.Contains(r.Reason, "could not be evaluated") {
				failed++
				if r.Outcome != compliance.NoData || strings.Contains(r.Reason, "broken") || strings.Contains(r.Reason, "no disk") {
					t.Errorf("%s: %s %s", r.Variant, r.Outcome, r.Reason)
				}
			}
		}
		if failed < 5 || failed > s.Evaluated/2 {
			t.Errorf("%d of %d could not be evaluated", failed, s.Evaluated)
		}
	})
}

func TestCancelKeepsNothing(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		told := int64(0)
		_, err := h.Collect(ctx, h.number, compliance.Selection{}, func(done, total int64, _ string) {
			if told = done; done == 10 {
				cancel()
			}
			if total < 64 {
				t.Errorf("%d of %d", done, total)
			}
		})
		if !errors.Is(err, context.Canceled) || len(h.saved) != 0 || told < 10 {
			t.Errorf("%v, %d saved, told %d", err, len(h.saved), told)
		}
	})
}

func TestSelectionIsHeeded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		s, err := h.Collect(t.Context(), h.number, compliance.Selection{Checks: []string{"log-retention"}}, nil)
		if err != nil || s.Evaluated == 0 || s.Evaluated > 6 {
			t.Fatalf("%+v %v", s, err)
		}
		for _, r := range h.saved {
			if r.Check != "log-retention" {
				t.Error(r.Variant)
			}
		}
	})
}

func TestStepsByCadence(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		step := func() *Summary {
			t.Helper()
			h.saved = nil
			s, err := h.Step(t.Context(), h.number)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		first := step()
		if first == nil || first.Evaluated < 64 {
			t.Fatalf("%+v", first)
		}
		if s := step(); s != nil {
			t.Fatalf("nothing is due: %+v", s)
		}
		// After an hour: what is due each hour, and another look at what had no data, which
		// is not kept again.
		h.now = h.now.Add(time.Hour)
		s := step()
		if s == nil || s.Unchanged == 0 || s.Evaluated == first.Evaluated || len(h.saved) != s.Evaluated-s.Unchanged {
			t.Fatalf("%+v, %d saved", s, len(h.saved))
		}
		for _, r := range h.saved {
			if c := h.Compliance.Catalogue.Check(r.Check); c.Cadence > time.Hour && r.Outcome == compliance.NoData {
				t.Errorf("%s is kept again", r.Variant)
			}
		}
		if s := step(); s != nil {
			t.Fatalf("nothing is due: %+v", s)
		}
		h.now = h.now.Add(24 * time.Hour)
		if s := step(); s == nil || s.Evaluated < first.Evaluated-20 {
			t.Fatalf("a day later: %+v", s)
		}
		// Another server has the turn.
		h.now = h.now.Add(24 * time.Hour)
		exec(t, h.DB, `UPDATE assess_turn SET holder = 'another', lease_until = $1`, h.now.Add(time.Minute).UnixMicro())
		if s := step(); s != nil {
			t.Fatalf("another server has the turn: %+v", s)
		}
		h.now = h.now.Add(2 * time.Minute) // it died
		if s := step(); s == nil {
			t.Fatal("its turn was not taken over")
		}
	})
}
