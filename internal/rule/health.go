package rule

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Health says in one word how a rule fares.
type Health string

// The healths, the gravest first: a rule has the first that fits.
const (
	Failing    Health = "failing"    // it runs, but the engine does not take it
	Blind      Health = "blind"      // nothing that arrives can feed it
	Noisy      Health = "noisy"      // it raises too much, or mostly what is false
	NeverFired Health = "neverFired" // it runs and has not matched once
	Well       Health = "ok"
)

// Healths lists the healths.
var Healths = []Health{Failing, Blind, Noisy, NeverFired, Well}

// When a rule is noisy.
const (
	noisyAlerts   = 50 // in 7 days; more are too many
	noisyVerdicts = 5  // true and false positives, from which on their ratio counts
)

// sightPeriod is what blindness is judged by: a rule that matched within it is not
// blind, whatever the sample of what arrived may say.
const sightPeriod = 7 * 24 * time.Hour

// A HealthFunc tells which of the rules nothing that arrives can feed, and why: the
// missing source, field or list by the rule's id.
type HealthFunc func(ctx context.Context, tenant uint32, rules []Active) (map[string]string, error)

// A ProblemFunc tells which of the tenant's running rules could not be compiled, and
// why, by the rule's id.
type ProblemFunc func(tenant uint32) map[string]string

// Outcomes are what came of a rule's matches.
type Outcomes struct {
	Alerts, TruePositives, FalsePositives, Open int64
	Alerts7d                                    int64 // created in the last 7 days
}

// An OutcomesFunc counts what came of rules, by their ids; ids nil asks for all that
// ever raised an alert.
type OutcomesFunc func(ctx context.Context, tenant uint32, ids []string) (map[string]Outcomes, error)

// SetBlind says how to learn which rules are blind. Call it before the service is
// used; without it none is.
func (s *Service) SetBlind(f HealthFunc) { s.blind = f }

// SetProblems says how to learn which rules fail. Call it before the service is used;
// without it none does.
func (s *Service) SetProblems(f ProblemFunc) { s.problems = f }

// SetOutcomes says how to learn what came of a rule's matches. Call it before the
// service is used; without it they are all zero.
func (s *Service) SetOutcomes(f OutcomesFunc) { s.outcomes = f }

func (s *Service) judgeOne(ctx context.Context, tenant uint32, d *Detail) error {
	one := []Detail{*d}
	err := s.judge(ctx, tenant, one)
	*d = one[0]
	return err
}

// judge fills in what came of the rules and how they fare.
func (s *Service) judge(ctx context.Context, tenant uint32, rules []Detail) error {
	if len(rules) == 0 {
		return nil
	}
	var outcomes map[string]Outcomes
	if s.outcomes != nil {
		const many = 500 // then asking for all costs less
		var ids []string
		for i := 0; i < len(rules) && len(rules) <= many; i++ {
			ids = append(ids, rules[i].ID)
		}
		var err error
		if outcomes, err = s.outcomes(ctx, tenant, ids); err != nil {
			return fmt.Errorf("get outcomes of rules: %w", err)
		}
	}
	var blind, problems map[string]string
	if s.blind != nil {
		texts := make([]Active, len(rules))
		for i := range rules {
			d := &rules[i]
			texts[i] = Active{ID: d.ID, Version: d.Version, YAML: d.YAML, Builtin: d.Builtin, Staged: d.Staged}
		}
		var err error
		if blind, err = s.blind(ctx, tenant, texts); err != nil {
			return fmt.Errorf("find blind rules: %w", err)
		}
	}
	if s.problems != nil {
		problems = s.problems(tenant)
	}
	for i := range rules {
		d := &rules[i]
		d.Outcomes = outcomes[d.ID]
		d.Health, d.HealthReason = d.health(problems[d.ID], blind[d.ID])
	}
	return nil
}

// health judges a rule of which problem and blind are known, "" where there is none.
func (r *Rule) health(problem, blind string) (Health, string) {
	runs := r.Status == On || r.Staged
	o := &r.Outcomes
	verdicts := o.TruePositives + o.FalsePositives
	switch {
	case runs && problem != "":
		return Failing, problem
	case blind != "" && (r.LastMatchAt == nil || time.Since(*r.LastMatchAt) > sightPeriod):
		return Blind, blind
	case o.Alerts7d > noisyAlerts:
		return Noisy, fmt.Sprintf("%d alerts in the last 7 days", o.Alerts7d)
	case verdicts >= noisyVerdicts && 2*o.FalsePositives >= verdicts:
		return Noisy, fmt.Sprintf("%d of its %d verdicts are false positives", o.FalsePositives, verdicts)
	case runs && r.LastMatchAt == nil:
		return NeverFired, "no match since " + r.CreatedAt.Format("2006-01-02")
	}
	return Well, ""
}

func joined[S ~string](list []S) string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = string(s)
	}
	return strings.Join(all, ", ")
}
