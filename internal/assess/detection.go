package assess

import (
	"context"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

func rulesActive(ctx context.Context, q *inquiry) (*finding, error) {
	rules, err := q.activeRules(ctx)
	if err != nil {
		return nil, err
	}
	return judgeRules(rules, q.p, q.now), nil
}

func judgeRules(rules []watcher, p compliance.Params, now time.Time) *finding {
	f := &finding{population: "rules of the tenant that are ACTIVE", from: now.Add(-day), to: now, resources: []string{"rules"}}
	list := &table{}
	healthy, blind := int64(0), 0
	var failing []string
	for _, bad := range []bool{true, false} {
		for i := range rules {
			w := &rules[i]
			if (w.Failing != "") != bad {
				continue
			}
			state := "runs"
			switch {
			case w.Failing != "":
				state = "fails: " + text(w.Failing)
				failing = append(failing, w.Name)
			case w.Blind != "":
				state = "runs, blind: " + text(w.Blind)
			}
			if w.Failing == "" {
				healthy++
			}
			if w.Blind != "" {
				blind++
			}
			list.add(w.ID, map[string]any{"id": w.ID, "name": text(w.Name), "state": state})
		}
	}
	active := int64(len(rules))
	need := int64(p.Int("minRules"))
	f.facts = map[string]any{"rules": list, "active": active, "healthy": healthy, "blind": blind}
	if active == 0 {
		f.absent = true
		f.reason = say("No rule is active: switch on the built-in ones.")
		return f
	}
	ratio := share(healthy, active)
	f.value, f.unit, f.size = new(ratio), "ratio", active
	f.threshold = fmt.Sprintf("active rules >= %d AND healthy >= %s", need, decimal(p.Float("passRatio")))
	switch {
	case active >= need && ratio >= p.Float("passRatio")-near:
		f.outcome = compliance.Pass
	case 2*active >= need && ratio >= p.Float("partialRatio")-near:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("%s active, %s of them run without error; %d cannot see anything of what arrives", plural(active, "rule is", "rules are"), percent(ratio), blind)
	remedy := say("switch on or import rules: %d are asked for", need)
	if len(failing) > 0 {
		remedy = say("mend %s", few(failing))
	}
	return f.remedied(found, remedy)
}

func attackCoverage(ctx context.Context, q *inquiry) (*finding, error) {
	if q.Coverage == nil {
		return missing("tactics of ATT&CK", "This server does not know what its rules cover."), nil
	}
	q.note("ATT&CK matrix of the tenant's active rules that something can feed, as GET /siem/rules/coverage shows it")
	c, err := q.Coverage(ctx, q.tenant)
	if err != nil {
		return nil, err
	}
	return judgeAttack(c, q.p, q.now), nil
}

func judgeAttack(c *workbench.Coverage, p compliance.Params, now time.Time) *finding {
	f := &finding{population: "tactics of ATT&CK " + c.AttackVersion, from: now.Add(-7 * day), to: now, resources: []string{"rules", "log sources"}}
	list := &table{}
	covered := int64(0)
	var open []string
	for i := range c.Tactics {
		t := &c.Tactics[i]
		ok := t.Rules >= p.Int("minRules")
		if ok {
			covered++
		} else {
			open = append(open, t.Title)
		}
		list.add(t.ID, map[string]any{"id": t.ID, "tactic": t.Title, "rules": t.Rules, "blindRules": t.BlindRules, "covered": ok})
	}
	f.facts = map[string]any{"attackVersion": c.AttackVersion, "tactics": list, "rules": c.Rules, "blindRules": c.BlindRules, "unmappedRules": c.UnmappedRules}
	if list.count == 0 || c.Rules+c.BlindRules == 0 {
		f.absent = true
		f.reason = say("No rule is active: switch on the built-in ones.")
		return f
	}
	f.ratio(covered, list.count, p)
	return f.remedied(say("%s tactics have at least %s that what arrives can feed; %s blind", of(covered, list.count), plural(int64(p.Int("minRules")), "rule", "rules"), plural(int64(c.BlindRules), "rule is", "rules are")),
		say("connect the log sources that blind rules wait for, for %s", few(open)))
}
