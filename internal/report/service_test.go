package report_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/report"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// post is where letters of tests go.
type post struct {
	sync.Mutex
	letters []mail.Letter
	fail    error
}

func (p *post) mail(_ context.Context, _ uint32, _ string, l *mail.Letter) error {
	p.Lock()
	defer p.Unlock()
	p.letters = append(p.letters, *l)
	return p.fail
}

// server is one of several on a database.
func (w *world) server(t *testing.T, p *post) *report.Service {
	t.Helper()
	files, err := vault.Open(filepath.Join(t.TempDir(), "reports"))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return w.clock }
	s := report.New(report.Config{
		DB: w.db, Builder: w.builder, Alerts: alert.New(w.db), Files: files, Mail: p.mail, Now: now, Link: "https://kyra.example.com/reports",
		Channel: func(_ context.Context, _ uint32, id string) error {
			if id != "mail" {
				return fault.New(fault.Invalid, "no such channel").In("channel")
			}
			return nil
		},
		Coverage: func(context.Context, uint32) ([]report.Tactic, error) {
			return []report.Tactic{{Name: "Initial access", Rules: 12, Blind: 3, Techniques: 7, Alerted: 2}, {Name: "Credential access", Rules: 31, Blind: 0, Techniques: 14, Alerted: 5}}, nil
		},
		Sources: func(context.Context, uint32) (report.Sources, error) {
			return report.Sources{Active: 412, Silent: 3, Other: 1, PerHour: 1_234_567, Top: []report.SourceCount{{Name: "sshd", Sources: 211, PerHour: 99_000}, {Name: "Palo Alto Networks PAN-OS", Sources: 4, PerHour: 1_000_000}}}, nil
		},
	})
	s.Jobs = job.New(w.db, job.Config{Poll: 20 * time.Millisecond}, s.Kinds())
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := s.Jobs.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); wait.Wait() })
	return s
}

// busy records alerts of a month, of all severities.
func (w *world) busy() {
	w.Helper()
	alerts := alert.New(w.db)
	for i := range 60 {
		at := noon.Add(-time.Duration(60-i) * 11 * time.Hour) // creation never goes back
		f := alert.Finding{
			Tenant: w.owner.Number, Rule: alert.RuleRef{ID: []string{"ssh-brute-force", "web-shell", "impossible-travel"}[i%3], Name: []string{"Brute force over SSH", "Web shell on a server", "Impossible travel of an account"}[i%3], Author: "KYRA", Version: 1},
			Title: "A finding", Severity: event.Severities[i%5], Source: []string{"sshd", "nginx", "Microsoft 365"}[i%3], Tactic: "credential-access", Technique: []string{"T1110", "T1505.003", "T1078"}[i%3],
			Key: at.String(), Count: 1, First: at.UnixNano(), Last: at.UnixNano(), Entities: []alert.Entity{{Type: "ip", Value: "203.0.113.9"}},
		}
		err := w.db.Tx(w.Context(), func(tx *sqldb.DB) error {
			_, err := alerts.Record(w.Context(), tx, at, []alert.Finding{f})
			return err
		})
		if err != nil {
			w.Fatal(err)
		}
	}
}

func finished(t *testing.T, s *report.Service, tenant uint32, id string) *report.Run {
	t.Helper()
	for range 600 {
		r, err := s.Made(t.Context(), tenant, id)
		if err != nil {
			t.Fatal(err)
		}
		if r.State.Ended() {
			return r
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the report is not made")
	return nil
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newWorld(t, db)) })
}

func TestMadeAndMailed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.measured()
		w.busy()
		p := &post{}
		s := w.server(t, p)
		for _, kind := range report.Kinds {
			for _, l := range []report.Language{report.English, report.Korean} {
				made, err := s.Create(t.Context(), w.owner.Number, "ann", report.Schedule{Name: string(kind) + " " + string(l), Kind: kind, Enabled: true, Settings: report.Settings{
					Zone: "Asia/Seoul", Language: l, Formats: []string{"csv", "pdf"}, Framework: "isms-p", Channel: "mail",
				}})
				if err != nil {
					t.Fatal(err)
				}
				run, j, err := s.Start(t.Context(), w.owner.Number, "ann", made.ID, time.Time{}, time.Time{})
				if err != nil || j.ID == "" {
					t.Fatal(err)
				}
				r := finished(t, s, w.owner.Number, run.ID)
				if r.State != job.Done || r.Delivery != "sent" || len(r.Files) != 2 || r.Files[0].Format != "pdf" {
					t.Fatalf("%s: %+v", kind, r)
				}
				for _, format := range report.Formats {
					f, in, err := s.Open(t.Context(), w.owner.Number, run.ID, format)
					if err != nil {
						t.Fatal(err)
					}
					content, err := io.ReadAll(in)
					if err != nil || int64(len(content)) != f.Bytes || in.Close() != nil {
						t.Fatal(err, len(content), f.Bytes)
					}
					if format == "pdf" {
						w.leave(string(kind)+"-"+string(l)+".pdf", content)
						if text := extracted(t, content); !strings.Contains(text, squeezed(w.owner.Name)) {
							t.Error("the report does not name the organisation")
						}
					} else if lines := strings.Count(string(content), "\r\n"); lines < 1 || kind == report.Executive && lines != 31 {
						t.Errorf("%s: %d lines of CSV", kind, lines)
					}
				}
			}
		}
		p.Lock()
		defer p.Unlock()
		if len(p.letters) != 2*len(report.Kinds) || len(p.letters[0].Files) != 2 || !strings.Contains(p.letters[0].Text, "Alerts: 60") {
			t.Errorf("%d letters: %q", len(p.letters), p.letters[0].Text)
		}
	})
}

// Several servers find the same report due: it is made once, and for the last time only
// that it was due.
func TestDueOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := &post{}
		a, b := w.server(t, p), w.server(t, p)
		made, err := a.Create(t.Context(), w.owner.Number, "ann", report.Schedule{Name: "Morning", Kind: report.Executive, Enabled: true, Settings: report.Settings{Every: report.Daily, At: "07:30", Zone: "Asia/Seoul", Channel: "mail"}})
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Date(2026, 9, 30, 22, 30, 0, 0, time.UTC); made.NextAt == nil || !made.NextAt.Equal(want) {
			t.Fatal(made.NextAt)
		}
		w.clock = noon.AddDate(0, 0, 3) // three were missed
		var wait sync.WaitGroup
		for range 4 {
			for _, s := range []*report.Service{a, b} {
				wait.Go(func() {
					if err := s.Round(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wait.Wait()
		runs, total, err := a.Runs(t.Context(), w.owner.Number, report.RunFilter{Report: made.ID}, report.Slice{Size: 20})
		if err != nil || total != 1 {
			t.Fatal(total, err)
		}
		r := finished(t, a, w.owner.Number, runs[0].ID)
		seoul, _ := time.LoadLocation("Asia/Seoul")
		if from, to := r.From.In(seoul).Format(time.DateTime), r.To.In(seoul).Format(time.DateTime); from != "2026-10-02 00:00:00" || to != "2026-10-03 00:00:00" || r.State != job.Done {
			t.Error(from, to, r.State, r.Reason)
		}
		if len(p.letters) != 1 {
			t.Errorf("%d letters", len(p.letters))
		}
		after, err := a.Get(t.Context(), w.owner.Number, made.ID)
		if err != nil || !after.NextAt.Equal(time.Date(2026, 10, 3, 22, 30, 0, 0, time.UTC)) {
			t.Error(after.NextAt, err)
		}
	})
}

// A letter that cannot be sent does not lose the report.
func TestUndeliverable(t *testing.T) {
	w := newWorld(t, sqlite(t))
	s := w.server(t, &post{fail: fault.New(fault.Invalid, "the channel sends no mail")})
	run, _, err := s.Once(t.Context(), w.owner.Number, "ann", report.Schedule{Name: "Now", Kind: report.Incident, Settings: report.Settings{Channel: "mail"}}, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if r := finished(t, s, w.owner.Number, run.ID); r.State != job.Done || r.Delivery != "failed" || r.DeliveryError != "the channel sends no mail" || len(r.Files) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestSchedules(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, ctx, me := w.server(t, &post{}), t.Context(), w.owner.Number
		for field, r := range map[string]report.Schedule{
			"name": {Kind: report.Executive}, "kind": {Name: "a", Kind: "x"}, "framework": {Name: "a", Kind: report.Compliance},
			"every": {Name: "a", Kind: report.Threat, Settings: report.Settings{Every: "hourly"}}, "at": {Name: "a", Kind: report.Threat, Settings: report.Settings{At: "25:00"}},
			"timeZone": {Name: "a", Kind: report.Threat, Settings: report.Settings{Zone: "Mars"}}, "language": {Name: "a", Kind: report.Threat, Settings: report.Settings{Language: "fr"}},
			"formats": {Name: "a", Kind: report.Threat, Settings: report.Settings{Formats: []string{"doc"}}}, "channel": {Name: "a", Kind: report.Threat, Settings: report.Settings{Channel: "x"}},
			"weekday": {Name: "a", Kind: report.Threat, Settings: report.Settings{Weekday: 8}}, "dayOfMonth": {Name: "a", Kind: report.Threat, Settings: report.Settings{DayOfMonth: 29}},
		} {
			if _, err := s.Create(ctx, me, "ann", r); !errors.Is(err, fault.Invalid) || fieldOf(err) != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		r, err := s.Create(ctx, me, "ann", report.Schedule{Name: "Weekly", Kind: report.Threat, Enabled: true, Settings: report.Settings{Every: report.Weekly, Zone: "Europe/Berlin", At: "02:30", Weekday: 7}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(ctx, me, "ann", report.Schedule{Name: "WEEKLY", Kind: report.Threat}); !errors.Is(err, fault.Conflict) {
			t.Error(err)
		}
		if _, err := s.Get(ctx, me+1, r.ID); !errors.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if _, err := s.Change(ctx, me, "ann", r.ID, 7, func(*report.Schedule) {}); fieldOf(err) != "version" {
			t.Error(err)
		}
		// On 2027-03-28 there is no 02:30 in Berlin: it is made at the next that there is.
		w.clock = time.Date(2027, 3, 27, 12, 0, 0, 0, time.UTC)
		if r, err = s.Change(ctx, me, "ann", r.ID, r.Version, func(r *report.Schedule) { r.Name = "Sunday" }); err != nil || r.NextAt == nil || r.NextAt.Before(w.clock) || r.NextAt.After(w.clock.AddDate(0, 0, 1)) {
			t.Error(r, err)
		}
		if r, err = s.Change(ctx, me, "ann", r.ID, 0, func(r *report.Schedule) { r.Enabled = false }); err != nil || r.NextAt != nil {
			t.Error(r, err)
		}
		if err := s.Delete(ctx, me, "ann", r.ID); err != nil {
			t.Error(err)
		}
		if err := s.Delete(ctx, me, "ann", r.ID); !errors.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func fieldOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Field
	}
	return ""
}
