package rule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// filterType is the type of a rule whose text is a Sigma filter: it raises nothing and
// silences others, as an exception does.
const filterType = "filter"

// maxFiltered bounds how many rules with true positives one filter is tried on.
const maxFiltered = 50

// filterHarmless refuses a filter that would hide an alert marked true positive, as it
// is refused of an exception.
func (s *Service) filterHarmless(ctx context.Context, tenant uint32, yaml string) error {
	if s.outcomes == nil || s.silences == nil {
		return nil // nothing is known of alerts here
	}
	filters, err := sigma.Parse([]byte(yaml))
	if err != nil {
		return fault.New(fault.Invalid, "%s", err.Error()).In("yaml")
	}
	outcomes, err := s.outcomes(ctx, tenant, nil)
	if err != nil {
		return fmt.Errorf("get outcomes of rules: %w", err)
	}
	tried := 0
	for _, id := range slices.Sorted(maps.Keys(outcomes)) {
		if outcomes[id].TruePositives == 0 {
			continue
		}
		d, err := s.Get(ctx, tenant, id)
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !reaches(filters, d.YAML, id) {
			continue
		}
		if tried++; tried > maxFiltered {
			return fault.New(fault.Conflict, "the filter reaches more than %d rules with true positives: name the rules that it is for", maxFiltered).In("yaml")
		}
		p, err := s.silences(ctx, tenant, id, d.YAML, yaml)
		if err != nil {
			return fmt.Errorf("try filter on rule %s: %w", id, err)
		}
		if refused := p.refusal("the filter", "yaml"); refused != nil {
			return refused
		}
	}
	return nil
}

// reaches tells whether one of the filters is for the rule of that text.
func reaches(filters []*sigma.Document, yaml, id string) bool {
	docs, err := sigma.Parse([]byte(yaml))
	if err != nil {
		return false // nor does the engine take it
	}
	for _, f := range filters {
		if f.Filter == nil {
			continue
		}
		named := f.Filter.Rules
		if slices.Contains(named, id) {
			return true
		}
		for _, d := range docs {
			switch {
			case len(named) > 0 && !slices.Contains(named, d.ID) && (d.Name == "" || !slices.Contains(named, d.Name)):
			case d.Correlation != nil && len(named) == 0: // it has no log source
			case d.Correlation == nil && !f.LogSource.Covers(d.LogSource):
			default:
				return true
			}
		}
	}
	return false
}
