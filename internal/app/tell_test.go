package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// TestWhatHappensIsTold follows an alert and its incident through their lives: each
// change of a status is told once, in order, and nothing else is.
func TestWhatHappensIsTold(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, now := t.Context(), time.Now()
		alerts := alert.New(db)
		incidents := incident.New(db, alerts, incident.SLA{})
		tellOf(alerts, incidents)
		record := func(tx *sqldb.DB, key string) ([]alert.Outcome, error) {
			outcomes, err := alerts.Record(ctx, tx, now, []alert.Finding{{
				Tenant: 1, Rule: alert.RuleRef{ID: "r1", Name: "Brute force", Version: 1}, Title: "Brute force", Severity: "high", Source: "sshd",
				Description: "{count} failures", Key: key, First: now.UnixNano(), Last: now.UnixNano(), Count: 5,
			}})
			if err != nil {
				return nil, err
			}
			return outcomes, errors.Join(tellCreated(ctx, tx, outcomes), incidents.FromAlerts(ctx, tx, now, outcomes))
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		undo := errors.New("undo")
		if err := db.Tx(ctx, func(tx *sqldb.DB) error {
			_, err := record(tx, "lost")
			return errors.Join(err, undo)
		}); !errors.Is(err, undo) {
			t.Fatal(err)
		}
		var a alert.Alert
		for range 2 { // the second one only lets it grow
			must(db.Tx(ctx, func(tx *sqldb.DB) error {
				out, err := record(tx, "k")
				if err == nil {
					a = out[0].Alert
				}
				return err
			}))
		}
		d, err := alerts.Get(ctx, 1, a.ID)
		must(err)
		taken, resolved := alert.InProgress, alert.Resolved
		who := "kim"
		for _, p := range []alert.Patch{{AssignedTo: &who}, {Status: &taken}, {Status: &taken}, {Note: "looked"}} {
			_, err = alerts.Patch(ctx, 1, "kim", a.ID, p)
			must(err)
		}
		_, err = alerts.Bulk(ctx, 1, "kim", []string{a.ID, "unknown"}, alert.Patch{Status: &resolved})
		must(err)
		contained, title := incident.Contained, "Renamed"
		_, err = incidents.Patch(ctx, 1, "kim", d.IncidentID, incident.Patch{Title: &title})
		must(err)
		_, err = incidents.Patch(ctx, 1, "kim", d.IncidentID, incident.Patch{Status: &contained})
		must(err)
		other, err := incidents.Create(ctx, 1, "kim", incident.Draft{Title: "By hand", Severity: "low"})
		must(err)
		_, err = incidents.Merge(ctx, 1, "kim", d.IncidentID, []string{other.ID})
		must(err)
		_, err = incidents.Unmerge(ctx, 1, "kim", other.ID)
		must(err)

		type told struct{ Event, Object, Title, Severity, Text string }
		var got []told
		_, err = outbox.Dispatch(ctx, db, now, 100, func(_ context.Context, _ *sqldb.DB, messages []outbox.Message) error {
			for _, m := range messages {
				got = append(got, told{m.Event, m.Object, m.Title, m.Severity, m.Text})
			}
			return nil
		})
		must(err)
		want := []told{
			{"alert.created", a.ID, "Brute force", "high", "5 failures"},
			{"incident.created", d.IncidentID, "[Auto] Brute force", "high", "Status OPEN"},
			{"alert.updated", a.ID, "Brute force", "high", "Status IN_PROGRESS"},
			{"alert.updated", a.ID, "Brute force", "high", "Status RESOLVED"},
			{"incident.updated", d.IncidentID, "Renamed", "high", "Status CONTAINED"},
			{"incident.created", other.ID, "By hand", "low", "Status OPEN"},
			{"incident.updated", other.ID, "By hand", "low", "Status CLOSED"},
			{"incident.updated", other.ID, "By hand", "low", "Status OPEN"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
