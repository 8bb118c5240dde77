package assess

import (
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/incident"
)

func TestNoticesOfRealIncidents(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		s := incident.New(h.DB, alert.New(h.DB), incident.SLA{})
		h.now = time.Now().UTC().Truncate(time.Microsecond) // clocks are recorded now
		want := func(o compliance.Outcome, size int64) {
			t.Helper()
			if r := h.evaluate("incident-notify"); r.Outcome != o || r.Population.Size != size || r.Reason == "" {
				t.Errorf("%s of %d, want %s of %d: %s", r.Outcome, r.Population.Size, o, size, r.Reason)
			}
		}
		want(compliance.NoData, 0)
		d, err := s.Create(ctx, h.number, "ann", incident.Draft{Title: "Leak", Severity: "high"})
		if err != nil {
			t.Fatal(err)
		}
		mark := func(law string, ago time.Duration) string {
			t.Helper()
			all, err := s.MarkReportable(ctx, h.number, "ann", d.ID, []incident.Obligation{{ID: law}}, h.now.Add(-ago))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				if c.Law == law {
					return c.ID
				}
			}
			return ""
		}
		gdpr := mark("GDPR", 10*time.Hour)
		want(compliance.Partly, 1) // no draft yet
		if _, err := s.DraftNotice(ctx, h.number, "ann", d.ID, gdpr, true); err != nil {
			t.Fatal(err)
		}
		want(compliance.NoData, 0) // still running
		if _, err := s.NoteNotified(ctx, h.number, "ann", d.ID, gdpr, incident.Notification{At: h.now.Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		want(compliance.Pass, 1)
		kisa := mark("KISA", 30*time.Hour)
		want(compliance.Fail, 2)
		if _, err := s.WithdrawClock(ctx, h.number, "ann", d.ID, kisa, "no intrusion"); err != nil {
			t.Fatal(err)
		}
		want(compliance.Pass, 1)
	})
}
