package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// Builder gathers what compliance reports tell.
type Builder struct {
	Tenants    *tenant.Service
	Compliance *compliance.Service
	Evidence   *evidence.Service
	Incidents  *incident.Service
	// Notices lists what had to be told of incidents that became known within [from, to),
	// as it stood at the time at; nil: that is kept nowhere.
	Notices func(ctx context.Context, tenant uint32, from, to, at time.Time) ([]Notice, error)
	Version string // of the program
}

// Wish is what somebody wants a compliance report of; zero fields mean the usual.
type Wish struct {
	Profile  compliance.Profile
	From, To time.Time      // zero: the twelve months that end with the state
	Zone     *time.Location // nil: UTC
}

// scopeChecks count the estate.
var scopeChecks = []string{"asset-inventory", "log-source-coverage", "collector-online", "rules-active", "attack-coverage", "log-retention", "time-sync"}

// Model gathers the state of a framework at the time now.
func (b *Builder) Model(ctx context.Context, number uint32, f *compliance.Framework, wish Wish, now time.Time) (*Model, error) {
	m, err := b.model(ctx, number, f, wish, now)
	if err != nil {
		return nil, fmt.Errorf("gather report: %w", err)
	}
	return m, nil
}

func (b *Builder) model(ctx context.Context, number uint32, f *compliance.Framework, wish Wish, now time.Time) (*Model, error) {
	t, err := b.Tenants.ByNumber(ctx, number)
	if err != nil {
		return nil, err
	}
	v, err := b.Compliance.View(ctx, number, f, wish.Profile, now)
	if err != nil {
		return nil, err
	}
	all, err := b.exceptions(ctx, number, f)
	if err != nil {
		return nil, err
	}
	m := &Model{
		Organisation: t.Name, Zone: wish.Zone, View: v, Checks: b.Compliance.Catalogue.Check, Version: b.Version,
		AsOf: asOf(v, b.Compliance, all, t.CreatedAt),
	}
	if m.Zone == nil {
		m.Zone = time.UTC
	}
	if err := b.deadlines(ctx, number, m); err != nil {
		return nil, err
	}
	if m.To = wish.To; m.To.IsZero() {
		m.To = m.AsOf
	}
	if m.From = wish.From; m.From.IsZero() {
		m.From = m.To.AddDate(-1, 0, 0)
	}
	if !m.From.Before(m.To) {
		return nil, fault.New(fault.Invalid, "Must be before to").In("from")
	}
	for i := range all {
		e := &all[i]
		end := e.EndsAt
		if e.EndedAt != nil {
			end = *e.EndedAt
		}
		if e.At.Before(m.To.Add(1)) && end.After(m.From) {
			m.Exceptions = append(m.Exceptions, *e)
		}
	}
	slices.SortFunc(m.Exceptions, func(a, b compliance.Exception) int { return cmp.Compare(a.ID, b.ID) })
	for _, add := range []func(context.Context, uint32, *Model) error{b.history, b.scope, b.outcomes, b.items, b.cases} {
		if err := add(ctx, number, m); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// exceptions are all that were ever recorded for the framework.
func (b *Builder) exceptions(ctx context.Context, number uint32, f *compliance.Framework) (all []compliance.Exception, err error) {
	for page := 0; ; page++ {
		part, total, err := b.Compliance.Exceptions(ctx, number, compliance.ExceptionFilter{Framework: f}, compliance.Slice{Page: page, Size: 100})
		if err != nil {
			return nil, err
		}
		if all = append(all, part...); len(part) == 0 || int64(len(all)) >= total {
			return all, nil
		}
	}
}

func (b *Builder) history(ctx context.Context, number uint32, m *Model) (err error) {
	to := m.To
	if m.AsOf.Before(to) { // later days only repeat it
		to = m.AsOf
	}
	m.Days, err = b.Compliance.History(ctx, number, m.View.Framework, m.View.Profile, m.From, to)
	if err != nil {
		return err
	}
	at := *m.View
	at.At = m.AsOf
	m.Retention, err = b.Compliance.LogRetention(ctx, number, &at)
	return err
}

func (b *Builder) scope(ctx context.Context, number uint32, m *Model) error {
	found, err := b.Compliance.Results(ctx, number)
	if err != nil {
		return err
	}
	for _, id := range scopeChecks {
		if r := found[id]; r != nil {
			m.Scope = append(m.Scope, *r)
		}
	}
	return nil
}

// outcomes sums up by check how the days of the period went.
func (b *Builder) outcomes(ctx context.Context, number uint32, m *Model) error {
	to := m.To
	if m.AsOf.Before(to) {
		to = m.AsOf
	}
	wanted := map[string]bool{} // variants
	var checks []string
	for i := range m.View.Controls {
		for _, l := range m.View.Controls[i].Control.Checks {
			wanted[l.Key] = true
			if !slices.Contains(checks, l.Check) {
				checks = append(checks, l.Check)
			}
		}
	}
	for _, id := range checks {
		days, err := b.Compliance.Outcomes(ctx, number, id, m.From, to)
		if err != nil {
			return err
		}
		worst := map[time.Time]compliance.Outcome{}
		for i := range days {
			d := &days[i]
			if !wanted[d.Variant] {
				continue
			}
			if had, ok := worst[d.Day]; !ok || rank(d.Worst) > rank(had) {
				worst[d.Day] = d.Worst
			}
		}
		if len(worst) == 0 {
			continue
		}
		sum := CheckDays{Check: id, Days: len(worst)}
		for _, o := range worst {
			switch o {
			case compliance.Pass:
				sum.Passed++
			case compliance.Partly:
				sum.Partly++
			case compliance.Fail:
				sum.Failed++
			case compliance.NoData:
				sum.Not++
			}
		}
		m.Outcomes = append(m.Outcomes, sum)
	}
	return nil
}

// rank puts the worse outcome higher.
func rank(o compliance.Outcome) int {
	return slices.Index([]compliance.Outcome{compliance.Pass, compliance.NoData, compliance.Partly, compliance.Fail}, o)
}

// items reads the evidence that the standings name, and what was handed in.
func (b *Builder) items(ctx context.Context, number uint32, m *Model) error {
	seen := map[string]bool{}
	for i := range m.View.Controls {
		s := &m.View.Controls[i]
		for _, id := range s.Evidence() {
			if seen[id] {
				continue
			}
			seen[id] = true
			k, err := b.Evidence.Get(ctx, number, id)
			if errors.Is(err, fault.NotFound) {
				continue // the report says that it cannot be read
			}
			if err != nil {
				return err
			}
			m.Evidence = append(m.Evidence, *k)
		}
	}
	const most = 500
	given, total, err := b.Evidence.List(ctx, number, evidence.Filter{Kind: evidence.Manual, Framework: m.View.Framework.ID, From: m.From, To: m.To.Add(time.Microsecond), Ascending: true, Size: most})
	m.Uploaded, m.UploadedMore = given, total-int64(len(given))
	return err
}

func (b *Builder) cases(ctx context.Context, number uint32, m *Model) (err error) {
	if m.Incidents, err = b.Incidents.Figures(ctx, number, m.From, m.To, m.AsOf); err != nil || b.Notices == nil {
		return err
	}
	m.Notifies = true
	// A deadline that has passed since is a change of the state: see deadlines.
	m.Notices, err = b.Notices(ctx, number, m.From, m.To.Add(time.Microsecond), m.View.At)
	return err
}

// deadlines lets what had to be told, and when, count as a change of the state.
func (b *Builder) deadlines(ctx context.Context, number uint32, m *Model) error {
	if b.Notices == nil {
		return nil
	}
	now := m.View.At
	all, err := b.Notices(ctx, number, now.AddDate(-1, 0, 0), now.Add(time.Microsecond), now)
	for i := range all {
		n := &all[i]
		for _, t := range []*time.Time{&n.AwareAt, &n.DueAt, n.SentAt} {
			if t != nil && t.After(m.AsOf) && !t.After(now) {
				m.AsOf = t.UTC()
			}
		}
	}
	return err
}

// FileName is what a report is called: "ismsp-core-2026-09-30.pdf".
func (m *Model) FileName(extension string) string {
	return strings.ToLower(m.View.Framework.ID) + "-" + string(m.View.Profile) + "-" + m.AsOf.Format(time.DateOnly) + "." + extension
}
