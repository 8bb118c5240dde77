package incident_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func TestClocks(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		f.found(server, scan(attack, "high", "10.0.0.1"))
		id := f.list()[0].ID
		now := time.Now().UTC()
		aware := now.Add(-30 * time.Hour)
		clocks, err := f.incidents.MarkReportable(ctx, 1, "ann", id, []incident.Obligation{{ID: "kisa"}, {ID: "GDPR", Recipient: "CNIL"}, {ID: "Insurer", Hours: 100}}, aware)
		if err != nil || len(clocks) != 3 {
			f.Fatal(clocks, err)
		}
		clocks, err = f.incidents.MarkReportable(ctx, 1, "ann", id, []incident.Obligation{{ID: "GDPR"}}, now) // runs already
		if err != nil || len(clocks) != 3 {
			f.Fatal(clocks, err)
		}
		kisa, gdpr, own := clocks[0], clocks[1], clocks[2]
		if kisa.Law != "KISA" || kisa.DueAt.Sub(kisa.AwareAt) != 24*time.Hour || kisa.State(now) != incident.Late || kisa.Personal ||
			gdpr.DueAt.Sub(gdpr.AwareAt) != 72*time.Hour || gdpr.State(now) != incident.Running || !gdpr.Personal || gdpr.Recipient != "CNIL" || own.Law != "Insurer" || own.Within != 100*time.Hour {
			f.Errorf("clocks are %+v", clocks)
		}
		// What is late is told, once.
		for want := range []int{1, 0} {
			if n, err := f.incidents.TellLateNotices(ctx, now); err != nil || n != 1-want {
				f.Errorf("told %d, %v; want %d", n, err, 1-want)
			}
		}
		text, err := sqldb.One(ctx, f.db, sqldb.Value[string], `SELECT text FROM outbox_message WHERE event = 'incident.noticeOverdue'`)
		if err != nil || !strings.Contains(text, "KISA") {
			f.Errorf("it is told %q, %v", text, err)
		}
		figures := func(deadline, pii time.Duration) incident.NoticeFigures {
			f.Helper()
			n, err := f.incidents.NoticeFigures(ctx, 1, now.AddDate(0, -1, 0), now.Add(time.Hour), now, deadline, pii)
			if err != nil {
				f.Fatal(err)
			}
			return *n
		}
		if n := figures(72*time.Hour, 0); n.Incidents != 1 || n.Notices != 3 || n.Late != 1 || n.Running != 2 || n.WithoutDraft != 2 || n.InTime != 0 {
			f.Errorf("figures are %+v", n)
		}
		if n := figures(24*time.Hour, 0); n.Late != 2 { // what people set themselves counts no longer than the control allows
			f.Errorf("with a tighter deadline figures are %+v", n)
		}
		c, err := f.incidents.NoteNotified(ctx, 1, "ann", id, gdpr.ID, incident.Notification{At: now.Add(-time.Hour), Reference: "2026-17"})
		if err != nil || c.State(now) != incident.Notified || c.NotifiedTo != "CNIL" || c.NotifiedBy != "ann" {
			f.Errorf("clock is %+v, %v", c, err)
		}
		if c, err = f.incidents.NoteNotified(ctx, 1, "ann", id, kisa.ID, incident.Notification{To: "KISA"}); err != nil || c.State(now) != incident.TooLate {
			f.Errorf("clock is %+v, %v", c, err)
		}
		if c, err = f.incidents.WithdrawClock(ctx, 1, "ann", id, own.ID, "not covered"); err != nil || c.State(now) != incident.Withdrawn {
			f.Errorf("clock is %+v, %v", c, err)
		}
		if n := figures(0, 0); n.Notices != 2 || n.InTime != 1 || n.Late != 1 {
			f.Errorf("figures are %+v", n)
		}
		for name, err := range map[string]error{
			"told twice":     second(f.incidents.NoteNotified(ctx, 1, "ann", id, gdpr.ID, incident.Notification{})),
			"told after all": second(f.incidents.NoteNotified(ctx, 1, "ann", id, own.ID, incident.Notification{})),
			"withdrawn late": second(f.incidents.WithdrawClock(ctx, 1, "ann", id, gdpr.ID, "x")),
		} {
			if !errors.Is(err, fault.Conflict) {
				f.Errorf("%s: %v, want Conflict", name, err)
			}
		}
		for name, o := range map[string]incident.Obligation{"longer than the law": {ID: "GDPR", Hours: 96}, "no hours": {ID: "Insurer 2"}, "no name": {Hours: 3}, "too long": {ID: "x", Hours: 10_000}} {
			if _, err := f.incidents.MarkReportable(ctx, 1, "ann", id, []incident.Obligation{o}, time.Time{}); !errors.Is(err, fault.Invalid) {
				f.Errorf("%s: %v, want Invalid", name, err)
			}
		}
		if _, err := f.incidents.MarkReportable(ctx, 1, "ann", id, []incident.Obligation{{ID: "PIPA"}}, now.Add(time.Hour)); !errors.Is(err, fault.Invalid) {
			f.Errorf("aware tomorrow: %v, want Invalid", err)
		}
		if _, err := f.incidents.WithdrawClock(ctx, 1, "ann", id, gdpr.ID, " "); !errors.Is(err, fault.Invalid) {
			f.Errorf("no reason: %v, want Invalid", err)
		}
		// Others see nothing.
		for name, err := range map[string]error{
			"clocks": second(f.incidents.Clocks(ctx, 2, id)), "mark": second(f.incidents.MarkReportable(ctx, 2, "eve", id, []incident.Obligation{{ID: "GDPR"}}, time.Time{})),
			"notify": second(f.incidents.NoteNotified(ctx, 2, "eve", id, kisa.ID, incident.Notification{})), "draft": second(f.incidents.DraftNotice(ctx, 2, "eve", id, kisa.ID, true)),
			"unknown": second(f.incidents.NoteNotified(ctx, 1, "ann", id, "nope", incident.Notification{})),
		} {
			if !errors.Is(err, fault.NotFound) {
				f.Errorf("%s: %v, want NotFound", name, err)
			}
		}
		if got := steps(f.get(id)); !strings.HasSuffix(got, "reportable reportable noticeOverdue notified notified notReportable") {
			f.Errorf("timeline is %s", got)
		}
		if _, err := audit.Verify(ctx, f.db, 1); err != nil {
			f.Error(err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestDraftNotice(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		finding := scan(attack, "high", "10.0.0.1")
		finding.Title = "Scan <script> of [x](http://evil)"
		f.found(server, finding)
		id := f.list()[0].ID
		clocks, err := f.incidents.MarkReportable(ctx, 1, "ann", id, []incident.Obligation{{ID: "GDPR"}}, server)
		if err != nil {
			f.Fatal(err)
		}
		f.done(f.incidents.Patch(ctx, 1, "ann", id, incident.Patch{Status: new(incident.Contained)}))
		if _, err := f.incidents.DraftNotice(ctx, 1, "ann", id, clocks[0].ID, false); err != nil {
			f.Fatal(err)
		}
		if c, err := f.incidents.Clocks(ctx, 1, id); err != nil || c[0].DraftedAt != nil {
			f.Errorf("looking made a draft: %+v, %v", c, err)
		}
		n, err := f.incidents.DraftNotice(ctx, 1, "ann", id, clocks[0].ID, true)
		if err != nil || n.Clock.DraftedAt == nil || n.Alerts != 1 || n.FirstSeen == nil || !n.FirstSeen.Equal(attack) || n.Contained == nil {
			f.Fatalf("notice is %+v, %v", n, err)
		}
		en, ko := n.Markdown("en"), n.Markdown("ko")
		for _, want := range []string{"# Draft notice", "GDPR article 33", "the supervisory authority", "T1046", "10.0.0.1", "2011-05-06 07:08:09 UTC", "CONTAINED", "[to be completed by a person]", `Scan \<script\> of \[x\]\(http`} {
			if !strings.Contains(en, want) {
				f.Errorf("it does not say %q:\n%s", want, en)
			}
		}
		for _, want := range []string{"침해사고 통지서 초안", "제33조", "담당자", "T1046"} {
			if !strings.Contains(ko, want) {
				f.Errorf("it does not say %q:\n%s", want, ko)
			}
		}
	})
}
