package incident_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

func TestTasks(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		d := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "Phishing", Severity: "high"}))
		due := time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC)
		task, err := f.incidents.AddTask(ctx, 1, "ann", d.ID, incident.TaskPatch{Title: new(" Reset the password "), AssignedTo: new("bob"), DueAt: &due})
		if err != nil || task.Title != "Reset the password" || task.Status != incident.Todo || task.AssignedTo != "bob" || !task.DueAt.Equal(due) || task.CreatedBy != "ann" {
			f.Fatalf("task is %+v, %v", task, err)
		}
		done, err := f.incidents.PatchTask(ctx, 1, "bob", d.ID, task.ID, incident.TaskPatch{Status: new(incident.Done), Note: new("done by phone"), DueAt: new(time.Time)})
		if err != nil || done.DoneAt == nil || done.DueAt != nil || done.Note != "done by phone" || done.Title != task.Title {
			f.Errorf("task is %+v, %v", done, err)
		}
		again, err := f.incidents.PatchTask(ctx, 1, "bob", d.ID, task.ID, incident.TaskPatch{Status: new(incident.Doing)})
		if err != nil || again.DoneAt != nil {
			f.Errorf("task is %+v, %v", again, err)
		}
		if got := f.get(d.ID); len(got.Tasks) != 1 || steps(got) != "created task task task" || got.Timeline[2].Old != "TODO" || got.Timeline[2].New != "DONE" || got.Timeline[2].Note != "Reset the password" {
			f.Errorf("tasks %+v, timeline %+v", got.Tasks, got.Timeline)
		}
		for name, bad := range map[string]func() error{
			"no title": func() error { _, err := f.incidents.AddTask(ctx, 1, "ann", d.ID, incident.TaskPatch{}); return err },
			"empty title": func() error {
				_, err := f.incidents.AddTask(ctx, 1, "ann", d.ID, incident.TaskPatch{Title: new(" ")})
				return err
			},
			"status": func() error {
				_, err := f.incidents.PatchTask(ctx, 1, "ann", d.ID, task.ID, incident.TaskPatch{Status: new(incident.TaskStatus("x"))})
				return err
			},
			"nothing at all": func() error {
				_, err := f.incidents.PatchTask(ctx, 1, "ann", d.ID, task.ID, incident.TaskPatch{})
				return err
			},
		} {
			if err := bad(); !errors.Is(err, fault.Invalid) {
				f.Errorf("%s: %v, want Invalid", name, err)
			}
		}
		for name, missing := range map[string]func() error{
			"another tenant": func() error {
				_, err := f.incidents.AddTask(ctx, 2, "eve", d.ID, incident.TaskPatch{Title: new("x")})
				return err
			},
			"unknown task": func() error {
				_, err := f.incidents.PatchTask(ctx, 1, "ann", d.ID, "a\x00b", incident.TaskPatch{Title: new("x")})
				return err
			},
		} {
			if err := missing(); !errors.Is(err, fault.NotFound) {
				f.Errorf("%s: %v, want NotFound", name, err)
			}
		}
	})
}

func TestEvidence(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		v, err := vault.Open(f.TempDir())
		if err != nil {
			f.Fatal(err)
		}
		f.incidents.SetVault(v)
		d := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "Malware", Severity: "high"}))
		e, err := f.incidents.AddEvidence(ctx, 1, "ann", d.ID, `C:\Users\ann\mail.eml`, "what she got", []byte("From: x\r\n\r\nhello"))
		if err != nil || e.Name != "mail.eml" || e.Size != 16 || !strings.HasPrefix(e.MediaType, "text/plain") || len(e.SHA256) != 64 {
			f.Fatalf("evidence is %+v, %v", e, err)
		}
		_, r, err := f.incidents.OpenEvidence(ctx, 1, d.ID, e.ID)
		if err != nil {
			f.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || string(content) != "From: x\r\n\r\nhello" {
			f.Errorf("content is %q, %v", content, err)
		}
		for name, missing := range map[string]func() error{
			"another tenant reads": func() error { _, _, err := f.incidents.OpenEvidence(ctx, 2, d.ID, e.ID); return err },
			"another tenant adds":  func() error { _, err := f.incidents.AddEvidence(ctx, 2, "eve", d.ID, "x", "", []byte("x")); return err },
			"unknown":              func() error { _, _, err := f.incidents.OpenEvidence(ctx, 1, d.ID, "nope"); return err },
		} {
			if err := missing(); !errors.Is(err, fault.NotFound) {
				f.Errorf("%s: %v, want NotFound", name, err)
			}
		}
		for _, name := range []string{"", "/", "..", strings.Repeat("x", 256)} {
			if _, err := f.incidents.AddEvidence(ctx, 1, "ann", d.ID, name, "", []byte("x")); name != ".." && !errors.Is(err, fault.Invalid) {
				f.Errorf("file name %q: %v, want Invalid", name, err)
			}
		}
		if err := f.incidents.RemoveEvidence(ctx, 1, "ann", d.ID, e.ID); err != nil {
			f.Fatal(err)
		}
		got := f.get(d.ID)
		last := got.Timeline[len(got.Timeline)-1]
		if last.Action != "evidenceRemoved" || last.Old != e.SHA256 || last.Note != "mail.eml" {
			f.Errorf("last step is %+v", last)
		}
	})
}

func TestSplitAndMergeBack(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		alerts := f.found(server, scan(attack, "low", "a"), scan(attack, "medium", "b"), scan(attack, "low", "c"))
		old := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "both", Severity: "high", AssignedTo: "bob", AlertIDs: ids(alerts)}))
		made := f.done(f.incidents.Split(ctx, 1, "ann", old.ID, "", ids(alerts[1:])))
		if made.Title != "Split: both" || made.SplitFrom != old.ID || made.AlertCount != 2 || made.Severity != "medium" || made.AssignedTo != "bob" {
			f.Errorf("new incident is %+v", made.Incident)
		}
		if got := f.get(old.ID); got.AlertCount != 1 || got.Alerts[0].ID != alerts[0].ID {
			f.Errorf("old incident has %v", ids(got.Alerts))
		}
		if a, _ := f.alerts.Get(ctx, 1, alerts[1].ID); a.IncidentID != made.ID {
			f.Errorf("alert belongs to %s", a.IncidentID)
		}
		if back := f.done(f.incidents.Merge(ctx, 1, "ann", old.ID, []string{made.ID})); back.AlertCount != 3 {
			f.Errorf("merged back it has %d alerts", back.AlertCount)
		}
		for name, ids := range map[string][]string{"all": ids(alerts), "none": nil, "a foreign one": {"550e8400-e29b-41d4-a716-446655440000"}} {
			if _, err := f.incidents.Split(ctx, 1, "ann", old.ID, "", ids); !errors.Is(err, fault.Invalid) {
				f.Errorf("splitting off %s: %v, want Invalid", name, err)
			}
		}
	})
}

// found by another rule on the same host.
func beacon(at time.Time, severity, host, user string) alert.Finding {
	f := scan(at, severity, host+"/"+user)
	f.Rule, f.Title = alert.RuleRef{ID: "beacon", Name: "Beacon", Version: 1}, "Beacon"
	f.Entities = []alert.Entity{{Type: "user", Field: "user", Value: user}}
	if host != "" {
		f.Entities = append(f.Entities, alert.Entity{Type: "ip", Field: event.SrcIP, Value: host})
	}
	return f
}

func TestRelatedAndGroupedByEntity(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		f.found(server, scan(attack, "high", "10.0.0.1"))
		f.found(server, beacon(attack.Add(time.Hour), "high", "10.0.0.1", "root"))
		all := f.list()
		if len(all) != 2 {
			f.Fatalf("by rule there are %d incidents, want 2", len(all))
		}
		related, err := f.incidents.Related(ctx, 1, all[0].ID)
		if err != nil || len(related) != 1 || related[0].Incident.ID != all[1].ID || related[0].Text() != "ip 10.0.0.1" || related[0].Weight != 2 || related[0].Alerts != 1 {
			f.Errorf("related are %+v, %v", related, err)
		}
		if related, err := f.incidents.Related(ctx, 2, all[0].ID); !errors.Is(err, fault.NotFound) {
			f.Errorf("another tenant sees %v, %v", related, err)
		}

		set, err := f.incidents.Settings(ctx, 1)
		if err != nil {
			f.Fatal(err)
		}
		set.Grouping = incident.ByEntity
		if set, err = f.incidents.SetSettings(ctx, 1, "ann", set, false); err != nil {
			f.Fatal(err)
		}
		stale := set
		stale.Version--
		if _, err := f.incidents.SetSettings(ctx, 1, "ann", stale, false); !errors.Is(err, fault.Conflict) {
			f.Errorf("settings on an old version: %v, want Conflict", err)
		}
		other := beacon(attack.Add(2*time.Hour), "critical", "10.0.0.1", "root")
		other.Rule = alert.RuleRef{ID: "exfil", Name: "Exfil", Version: 1}
		grouped := f.found(server.Add(time.Minute), other)[0]
		if n := len(f.list()); n != 2 {
			f.Fatalf("by entity there are %d incidents, want 2", n)
		}
		a, err := f.alerts.Get(ctx, 1, grouped.ID)
		if err != nil {
			f.Fatal(err)
		}
		d := f.get(a.IncidentID)
		last := d.Timeline[len(d.Timeline)-1]
		if last.Action != "grouped" || last.New != grouped.ID || !strings.Contains(last.Note, "ip 10.0.0.1, user root") || d.Severity != "critical" || !d.SLADueAt.Equal(d.CreatedAt.Add(4*time.Hour)) {
			f.Errorf("incident %+v, last step %+v", d.Incident, last)
		}
		// It can be undone, and what a user alone shares binds nothing.
		f.done(f.incidents.Unlink(ctx, 1, "ann", d.ID, []string{grouped.ID}))
		lone := beacon(attack.Add(3*time.Hour), "high", "", "root")
		lone.Rule.ID = "lone"
		f.found(server.Add(2*time.Minute), lone)
		if n := len(f.list()); n != 3 {
			f.Errorf("there are %d incidents, want 3", n)
		}
	})
}

func TestOverdueIsToldOnce(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		told := map[incident.News]int{}
		f.incidents.SetTell(func(_ context.Context, _ *sqldb.DB, in *incident.Incident, news incident.News) error {
			if news == incident.Overdue && in.OverdueAt == nil {
				f.Error("it is told as overdue and is not")
			}
			told[news]++
			return nil
		})
		f.found(server, scan(attack, "high", "10.0.0.1"))
		in := f.list()[0]
		for _, x := range []struct {
			at   time.Time
			want int
		}{{server.Add(8*time.Hour - time.Second), 0}, {server.Add(8 * time.Hour), 1}, {server.Add(9 * time.Hour), 0}} {
			if n, err := f.incidents.NoteOverdue(ctx, x.at); err != nil || n != x.want {
				f.Errorf("at %s: %d overdue, %v; want %d", x.at, n, err, x.want)
			}
		}
		d := f.get(in.ID)
		if told[incident.Overdue] != 1 || d.OverdueAt == nil || d.Timeline[len(d.Timeline)-1].Action != "overdue" {
			f.Errorf("told %v, incident %+v", told, d.Incident)
		}
		f.done(f.incidents.Patch(ctx, 1, "ann", in.ID, incident.Patch{Status: new(incident.Closed), Reason: "test"}))
		if n, err := f.incidents.NoteOverdue(ctx, server.Add(99*time.Hour)); err != nil || n != 0 {
			f.Errorf("a closed one is overdue: %d, %v", n, err)
		}
	})
}

func TestFigures(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		// Creation is the pipeline's time, what people do is now: the spans are known to a minute.
		now := time.Now().UTC()
		f.found(now.Add(-2*time.Hour), scan(attack, "high", "10.0.0.1"))
		other := scan(attack, "critical", "10.0.0.2")
		other.Rule.ID = "other"
		f.found(now.Add(-6*time.Hour), other)
		third := scan(attack, "high", "10.0.0.3")
		third.Rule.ID = "third"
		f.found(now.Add(-time.Hour), third)
		for _, in := range f.list() {
			switch in.RuleID {
			case "scan": // acknowledged, not closed
				if _, err := f.incidents.Comment(ctx, 1, "ann", in.ID, "looking"); err != nil {
					f.Fatal(err)
				}
			case "other": // closed, two hours late
				f.done(f.incidents.Patch(ctx, 1, "ann", in.ID, incident.Patch{Status: new(incident.Closed), Reason: "test"}))
			}
		}
		g, err := f.incidents.Figures(ctx, 1, now.AddDate(0, 0, -1), now.Add(time.Minute), now)
		if err != nil {
			f.Fatal(err)
		}
		about := func(d, want time.Duration) bool { return (d - want).Abs() < time.Minute }
		if g.Created != 3 || g.Closed != 1 || g.Open != 2 || g.Unassigned != 2 || g.Overdue != 0 || g.SLAMet != 0 {
			f.Errorf("figures are %+v", g)
		}
		if g.Acknowledge.Count != 2 || !about(g.Acknowledge.Mean, 4*time.Hour) || !about(g.Acknowledge.P50, 2*time.Hour) || !about(g.Acknowledge.P90, 6*time.Hour) {
			f.Errorf("acknowledged after %+v", g.Acknowledge)
		}
		if g.Resolve.Count != 1 || !about(g.Resolve.Mean, 6*time.Hour) || g.Contain.Count != 1 {
			f.Errorf("resolved after %+v, contained after %+v", g.Resolve, g.Contain)
		}
		if c := g.BySeverity[0]; c.Severity != "critical" || c.Created != 1 || c.Closed != 1 || c.Open != 0 || c.Acknowledge.Count != 1 {
			f.Errorf("critical: %+v", c)
		}
		if g, err := f.incidents.Figures(ctx, 2, now.AddDate(0, 0, -1), now, now); err != nil || g.Created != 0 || g.Open != 0 || g.Resolve != (incident.Durations{}) {
			f.Errorf("another tenant's figures are %+v, %v", g, err)
		}
	})
}

func TestWorkIsAudited(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		d := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "x", Severity: "low"}))
		if _, err := f.incidents.AddTask(ctx, 1, "ann", d.ID, incident.TaskPatch{Title: new("y")}); err != nil {
			f.Fatal(err)
		}
		all, err := audit.After(ctx, f.db, 1, 0, 10)
		if err != nil || len(all) != 2 || all[0].Action != "incident.create" || all[1].Action != "incident.task" || all[1].Object != d.ID || all[1].Seq != 2 {
			f.Errorf("audit has %+v, %v", all, err)
		}
		if rest, err := audit.After(ctx, f.db, 1, 1, 10); err != nil || len(rest) != 1 {
			f.Errorf("behind the first: %d, %v", len(rest), err)
		}
	})
}
