package app

import (
	"context"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/canary"
	"github.com/kyra-mdr/kyra/internal/intel"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// record writes findings as alerts, incidents and counters of their rules; those of
// staged rules only as what they would have been.
func (d *detection) record(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error {
	if d.canary != nil {
		d.canary.Saw(findings)
	}
	findings, sighted := intel.Apart(findings) // what is only counted raises nothing
	live, staged := apart(findings)
	outcomes, err := d.alerts.Record(ctx, tx, now, live)
	if err != nil {
		return err
	}
	if err := tellCreated(ctx, tx, outcomes); err != nil {
		return err
	}
	if err := d.incidents.FromAlerts(ctx, tx, now, outcomes); err != nil {
		return err
	}
	if err := d.rules.RecordStaged(ctx, tx, staged); err != nil {
		return err
	}
	if err := intel.Record(ctx, tx, live, outcomes, sighted); err != nil {
		return err
	}
	return d.rules.RecordMatches(ctx, tx, now, matchesOf(slices.DeleteFunc(slices.Clone(findings), func(f alert.Finding) bool { return f.Rule.ID == canary.RuleID })))
}

func apart(findings []alert.Finding) (live []alert.Finding, staged []rule.Staged) {
	for i := range findings {
		f := &findings[i]
		if !f.Staged {
			live = append(live, *f)
			continue
		}
		staged = append(staged, rule.Staged{
			Tenant: f.Tenant, RuleID: f.Rule.ID, Key: f.Key, Count: f.Count, First: f.First, Last: f.Last, Events: f.Events[:min(len(f.Events), alert.MaxEvents)],
		})
	}
	return live, staged
}

// matchesOf counts the events of each rule.
func matchesOf(findings []alert.Finding) []rule.Match {
	type key struct {
		tenant uint32
		rule   string
	}
	var matches []rule.Match
	at := map[key]int{}
	for i := range findings {
		f := &findings[i]
		k := key{f.Tenant, f.Rule.ID}
		n, ok := at[k]
		if !ok {
			n = len(matches)
			at[k] = n
			matches = append(matches, rule.Match{Tenant: f.Tenant, RuleID: f.Rule.ID})
		}
		matches[n].Count += f.Count
	}
	return matches
}

// outcomesOf tells what became of the alerts of rules.
func outcomesOf(alerts *alert.Service) rule.OutcomesFunc {
	return func(ctx context.Context, tenant uint32, ids []string) (map[string]rule.Outcomes, error) {
		counts, err := alerts.ByRule(ctx, tenant, ids)
		if err != nil {
			return nil, err
		}
		out := make(map[string]rule.Outcomes, len(counts))
		for id, c := range counts {
			out[id] = rule.Outcomes{Alerts: c.Alerts, TruePositives: c.TruePositives, FalsePositives: c.FalsePositives, Open: c.Open, Alerts7d: c.Week}
		}
		return out, nil
	}
}
