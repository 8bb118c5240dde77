// Package exception tells what an exception would have silenced: it reads the alerts
// that a rule raised, takes their events from the store and runs rule and exception
// over them with the very engine that runs live. It changes nothing and keeps nothing.
package exception

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Bounds of one preview.
const (
	maxNewest        = 200 // of the rule's alerts
	maxTruePositives = 500 // beside them
	maxEvents        = 100 // of an alert marked true positive
	maxEventsOfRest  = 50  // of another
	maxTime          = 30 * time.Second
)

// Previews are the use cases. They are safe for use by several goroutines.
type Previews struct {
	alerts *alert.Service
	events eventstore.Store
	rules  *rule.Service
}

// New returns the use cases over alerts and their stored events. rules serves
// correlations whose rules stand in other texts.
func New(alerts *alert.Service, events eventstore.Store, rules *rule.Service) *Previews {
	return &Previews{alerts, events, rules}
}

// Silences is a rule.SilencesFunc: it tries filter on the alerts of the rule with the
// text yaml that are marked true positive, and then, as far as there is time, on the
// newest others.
//
// An alert would be hidden if the rule raises nothing from its events once the filter
// has taken some. Where the events that are still stored do not make the rule fire
// any more, the answer is careful: a correlation's alert counts as hidden as soon as
// one event is taken, another's when all are.
func (p *Previews) Silences(ctx context.Context, tenant uint32, ruleID, yaml, filter string) (*rule.Preview, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	trial, err := p.newTrial(ctx, tenant, ruleID, yaml, filter)
	if err != nil {
		return nil, err
	}
	examined, err := p.alerts.TruePositivesOf(ctx, tenant, ruleID, maxTruePositives)
	if err != nil {
		return nil, err
	}
	marked := len(examined)
	have := map[string]bool{}
	for i := range examined {
		have[examined[i].ID] = true
	}
	const atOnce = 100
	for n := range maxNewest / atOnce {
		page, err := p.alerts.List(ctx, tenant, alert.Query{Filter: alert.Filter{RuleID: ruleID}, Size: atOnce, Page: n})
		if err != nil {
			return nil, err
		}
		for _, a := range page.Alerts {
			if !have[a.ID] {
				examined = append(examined, a)
			}
		}
		if len(page.Alerts) < atOnce {
			break
		}
	}
	counts, err := p.alerts.ByRule(ctx, tenant, []string{ruleID})
	if err != nil {
		return nil, err
	}
	out := &rule.Preview{Alerts: counts[ruleID].Alerts}
	for i := range examined {
		a, err := p.examine(ctx, trial, &examined[i])
		if late := errors.Is(ctx.Err(), context.DeadlineExceeded); late && i >= marked {
			break
		} else if late {
			return nil, fault.New(fault.Unavailable, "the rule's true positives could not be looked through in %s", maxTime)
		}
		if err != nil {
			return nil, err
		}
		out.Examined++
		out.Events += a.Events
		out.EventsSilenced += a.EventsSilenced
		switch {
		case a.Hidden:
			out.Hidden++
		case a.EventsSilenced > 0:
			out.Reduced++
		default:
			continue
		}
		out.List = append(out.List, a)
	}
	slices.SortStableFunc(out.List, func(a, b rule.SilencedAlert) int {
		rank := func(x *rule.SilencedAlert) int {
			if x.TruePositive {
				return 0
			}
			return 1
		}
		return cmp.Or(rank(&a)-rank(&b), b.CreatedAt.Compare(a.CreatedAt))
	})
	return out, nil
}

// examine tries the exception on one alert.
func (p *Previews) examine(ctx context.Context, t *trial, a *alert.Alert) (rule.SilencedAlert, error) {
	out := rule.SilencedAlert{
		ID: a.ID, Title: a.Title, Severity: a.Severity, Status: string(a.Status), Verdict: string(a.Verdict), CreatedAt: a.CreatedAt,
		TruePositive: a.Verdict == alert.TruePositive,
	}
	size := maxEventsOfRest
	if out.TruePositive {
		size = maxEvents
	}
	refs, err := p.alerts.References(ctx, a.Tenant, a.ID, "", size)
	if err != nil {
		return out, err
	}
	events, err := p.stored(ctx, a.Tenant, refs)
	if err != nil {
		return out, err
	}
	if len(events) > 0 {
		out.Hidden, out.EventsSilenced = t.run(events)
		out.Events = int64(len(events))
		return out, nil
	}
	d, err := p.alerts.Get(ctx, a.Tenant, a.ID)
	if err != nil {
		return out, err
	}
	out.ByEntities = true
	out.Hidden = t.takes(&d.Alert, d.Entities)
	return out, nil
}

// stored reads events, the oldest first. Those that are no longer stored are left out.
func (p *Previews) stored(ctx context.Context, tenant uint32, refs *alert.References) ([]event.Event, error) {
	const atOnce = 100
	var all []event.Event
	for ids := range slices.Chunk(refs.Events, atOnce) {
		texts := make([]string, len(ids))
		for i, id := range ids {
			texts[i] = "id:" + id.String()
		}
		filter, err := query.Parse(strings.Join(texts, " OR "))
		if err != nil {
			return nil, fmt.Errorf("name the alert's events: %w", err)
		}
		res, err := p.events.Search(ctx, eventstore.Request{
			Tenant: tenant, Filter: filter, Limit: len(ids), NoTotal: true,
			// Alerts keep microseconds, events have nanoseconds.
			From: refs.First.UnixNano(), To: refs.Last.Add(time.Microsecond).UnixNano(),
		})
		if err != nil {
			return nil, fmt.Errorf("read the alert's events: %w", err)
		}
		if res.Partial != "" {
			return nil, fault.New(fault.Unavailable, "only a part of the events can be read: %s", res.Partial)
		}
		all = append(all, res.Events...)
	}
	slices.SortStableFunc(all, func(a, b event.Event) int { return cmp.Compare(a.Time, b.Time) })
	return all, nil
}

// takes tells whether the filter would take an event that has the alert's entities.
func (t *trial) takes(a *alert.Alert, entities []alert.Entity) bool {
	e := event.Event{Tenant: a.Tenant, Time: a.FirstSeen.UnixNano()}
	e.Add(event.Source, a.Source)
	for _, x := range entities {
		e.Add(x.Field, x.Value)
	}
	fields := func(name string) []string { return []string{name, event.Resolve(name)} }
	view := sigma.ViewOf(&e, sigma.Options{Fields: fields})
	return slices.ContainsFunc(t.filters, func(f *sigma.Document) bool { return sigma.Eval(f, view) })
}
