package app

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/report"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// openReports adds the kinds of jobs of reports. It needs compliance and evidence; jobs
// and what sends mail are opened later: equipReports hands them over.
func (s *Server) openReports(kinds map[string]job.Kind, now func() time.Time) error {
	files, err := vault.Open(s.folder.in("reports"))
	if err != nil {
		return err
	}
	s.proof.reports = report.New(report.Config{
		DB: s.db, Alerts: s.detection.alerts, Files: files, Log: s.log, Now: now,
		Builder: &report.Builder{Tenants: tenant.New(s.db), Compliance: s.proof.service, Evidence: s.proof.evidence, Incidents: s.detection.incidents, Notices: s.dueNotices, Version: Version()},
		Mail: func(ctx context.Context, tenant uint32, channel string, l *mail.Letter) error {
			return s.telling.notifier.Mail(ctx, tenant, channel, l)
		},
		Channel: s.mailChannel, Coverage: s.attackCoverage, Sources: s.sendingSources,
	})
	maps.Copy(kinds, s.proof.reports.Kinds())
	return nil
}

func (s *Server) equipReports() {
	s.proof.reports.Jobs = s.detection.jobs
	s.proof.reports.Link = s.URL() + "/reports"
}

// dueNotices lists what had to be told of incidents that became known in a period.
func (s *Server) dueNotices(ctx context.Context, tenant uint32, from, to, at time.Time) ([]report.Notice, error) {
	f, err := s.detection.incidents.NoticeFigures(ctx, tenant, from, to, at, 0, 0)
	if err != nil {
		return nil, err
	}
	states := map[incident.ClockState]string{incident.Running: "running", incident.Late: "overdue", incident.Notified: "sent", incident.TooLate: "late"}
	out := make([]report.Notice, len(f.Clocks))
	for i := range f.Clocks {
		c := &f.Clocks[i]
		out[i] = report.Notice{Incident: c.Incident, Title: c.Name, Recipient: c.Recipient, Law: c.Law, AwareAt: c.AwareAt, DueAt: c.DueAt, SentAt: c.NotifiedAt, State: states[c.State(at)]}
	}
	return out, nil
}

// mailChannel refuses what is no channel of the tenant that sends mail.
func (s *Server) mailChannel(ctx context.Context, tenant uint32, id string) error {
	c, err := s.telling.notices.Channel(ctx, tenant, id)
	if errors.Is(err, fault.NotFound) || err == nil && c.Kind != notice.Email {
		return fault.New(fault.Invalid, "There is no notification channel of kind email with this id").In("channelId")
	}
	return err
}

func (s *Server) attackCoverage(ctx context.Context, tenant uint32) ([]report.Tactic, error) {
	c, err := s.detection.workbench.Coverage(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var out []report.Tactic
	for i := range c.Tactics {
		t := &c.Tactics[i]
		x := report.Tactic{Name: t.Title, Rules: t.Rules, Blind: t.BlindRules}
		for j := range t.Techniques {
			if t.Techniques[j].Rules > 0 {
				x.Techniques++
			}
			if t.Techniques[j].Alerts > 0 {
				x.Alerted++
			}
		}
		out = append(out, x)
	}
	return out, nil
}

func (s *Server) sendingSources(ctx context.Context, tenant uint32) (report.Sources, error) {
	const page, top = 1000, 10
	var out report.Sources
	products := map[string]*report.SourceCount{}
	for n := 0; ; n++ {
		list, total, err := s.logs.List(ctx, tenant, logsource.Query{Page: n, Size: page})
		if err != nil {
			return out, err
		}
		for i := range list {
			x := &list[i]
			switch x.Status {
			case logsource.StatusActive:
				out.Active++
			case logsource.StatusSilent:
				out.Silent++
			default:
				out.Other++
			}
			p := products[x.Name]
			if p == nil {
				p = &report.SourceCount{Name: x.Name}
				products[x.Name] = p
			}
			p.Sources++
			p.PerHour += x.PerHour
			out.PerHour += x.PerHour
		}
		if int64((n+1)*page) >= total {
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(products)) {
		out.Top = append(out.Top, *products[name])
	}
	slices.SortStableFunc(out.Top, func(a, b report.SourceCount) int { return cmp.Compare(b.PerHour, a.PerHour) })
	out.Top = out.Top[:min(len(out.Top), top)]
	return out, nil
}
