package alert

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestPatch(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a := record(t, s, server, bruteForce(attack, 1, "10.0.1.55", "root"))[0].Alert
		d, err := s.Patch(ctx, 1, "ann", a.ID, Patch{Status: new(Status("in_progress")), AssignedTo: new("bob"), Verdict: new(TruePositive), Note: "looks\nreal", Version: 1})
		if err != nil {
			t.Fatal(err)
		}
		if d.Status != InProgress || d.AssignedTo != "bob" || d.Verdict != TruePositive || d.Version != 2 || !d.UpdatedAt.After(a.UpdatedAt) {
			t.Errorf("alert is %+v", d.Alert)
		}
		var history []string
		for _, c := range d.History {
			history = append(history, fmt.Sprintf("%s %s %s>%s %q", c.Actor, c.Action, c.Old, c.New, c.Note))
		}
		want := []string{`system created >OPEN ""`, `ann status OPEN>IN_PROGRESS "looks\nreal"`, `ann assignedTo >bob ""`, `ann verdict >TRUE_POSITIVE ""`}
		if fmt.Sprint(history) != fmt.Sprint(want) {
			t.Errorf("history is %q, want %q", history, want)
		}
		if _, err := s.Patch(ctx, 1, "ann", a.ID, Patch{Status: new(Resolved), Version: 1}); !errors.Is(err, fault.Conflict) {
			t.Errorf("Patch on an old version = %v, want Conflict", err)
		}
		if fe, ok := errors.AsType[*fault.Error](err); ok && fe.Field != "version" {
			t.Errorf("conflict is in field %q", fe.Field)
		}
		if d, err := s.Patch(ctx, 1, "ann", a.ID, Patch{Status: new(InProgress), AssignedTo: new("bob")}); err != nil || d.Version != 2 || len(d.History) != 4 {
			t.Errorf("a patch that changes nothing: version %d, %v", d.Version, err)
		}
		if d, err := s.Patch(ctx, 1, "ann", a.ID, Patch{AssignedTo: new(""), Verdict: new(Undecided)}); err != nil || d.AssignedTo != "" || d.Verdict != Undecided {
			t.Errorf("taken back: %+v, %v", d, err)
		}
		if d, err := s.Patch(ctx, 1, "ann", a.ID, Patch{Note: "only a note"}); err != nil || d.History[len(d.History)-1].Action != "note" {
			t.Errorf("note: %+v, %v", d, err)
		}
		entries, total, err := audit.List(ctx, db, 1, audit.Filter{Action: "alert.update"})
		if err != nil || total != 3 || entries[0].Object != a.ID || entries[0].Actor != "ann" {
			t.Errorf("audit is %v of %d, %v", entries, total, err)
		}
	})
}

func TestPatchFaults(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a := record(t, s, server, bruteForce(attack, 1, "10.0.1.55", "root"))[0].Alert
		for name, p := range map[string]Patch{
			"nothing":  {},
			"status":   {Status: new(Status("DONE"))},
			"verdict":  {Verdict: new(Verdict("MAYBE"))},
			"assignee": {AssignedTo: new(strings.Repeat("x", 201))},
			"note":     {Note: strings.Repeat("x", 10_001)},
		} {
			if _, err := s.Patch(ctx, 1, "ann", a.ID, p); !errors.Is(err, fault.Invalid) {
				t.Errorf("%s: %v, want Invalid", name, err)
			}
		}
		for name, id := range map[string]string{"unknown": "550e8400-e29b-41d4-a716-446655440000", "malformed": "x", "empty": "", "NUL": "550e8400-e29b-41d4-a716-44665544000\x00", "bad UTF-8": strings.Repeat("\xff", 36), "prefix": a.ID[:13], "upper": strings.ToUpper(a.ID)} {
			if _, err := s.Patch(ctx, 1, "ann", id, Patch{Note: "x"}); !errors.Is(err, fault.NotFound) {
				t.Errorf("Patch of %s id = %v, want NotFound", name, err)
			}
			if _, err := s.Get(ctx, 1, id); !errors.Is(err, fault.NotFound) {
				t.Errorf("Get of %s id = %v, want NotFound", name, err)
			}
		}
		if _, err := s.Get(ctx, 2, a.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("Get by another tenant = %v, want NotFound", err)
		}
		if _, err := s.Patch(ctx, 2, "eve", a.ID, Patch{Note: "x"}); !errors.Is(err, fault.NotFound) {
			t.Errorf("Patch by another tenant = %v, want NotFound", err)
		}
	})
}

func TestBulk(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		var ids []string
		for i := range 3 {
			ids = append(ids, record(t, s, server, bruteForce(attack, 1, fmt.Sprint(i)))[0].Alert.ID)
		}
		results, err := s.Bulk(ctx, 1, "ann", append(ids, "nope", ids[0]), Patch{Status: new(FalsePositive)})
		if err != nil || len(results) != 5 {
			t.Fatalf("Bulk = %v, %v", results, err)
		}
		for i, r := range results {
			if want := i == 3; errors.Is(r.Err, fault.NotFound) != want || (r.Err != nil) != want {
				t.Errorf("result %d is %+v", i, r)
			}
		}
		st, err := s.Stats(ctx, 1, server, nil)
		if err != nil || st.FalsePositive != 3 || st.Open != 0 || st.Total != 3 {
			t.Errorf("Stats = %+v, %v", st, err)
		}
		for _, ids := range [][]string{nil, make([]string, MaxBulk+1)} {
			if _, err := s.Bulk(ctx, 1, "ann", ids, Patch{Note: "x"}); !errors.Is(err, fault.Invalid) {
				t.Errorf("Bulk of %d = %v, want Invalid", len(ids), err)
			}
		}
	})
}

func TestSetIncident(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a := record(t, s, server, bruteForce(attack, 1, "x"))[0].Alert
		if err := s.SetIncident(ctx, db, time.Now(), "ann", &a, "inc"); err != nil {
			t.Fatal(err)
		}
		p, err := s.List(ctx, 1, Query{Filter: Filter{Incident: "inc"}})
		if err != nil || p.Total != 1 || p.Alerts[0].IncidentID != "inc" {
			t.Errorf("List = %+v, %v", p, err)
		}
	})
}
