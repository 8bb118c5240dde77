package rule

import "context"

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
