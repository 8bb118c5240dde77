package pipeline

import (
	"slices"

	"github.com/kyra-mdr/kyra/internal/alert"
)

// A gathering makes the findings that one batch's events give one by one into one for
// each tenant, rule and key: a batch may have thousands of events with one indicator.
type gathering struct {
	batch *batch
	at    map[gathered]int     // index into the batch's findings
	emit  func(*alert.Finding) // made once, so that no event pays for it
}

type gathered struct {
	tenant    uint32
	rule, key string
	severity  string
	staged    bool
}

// begin gathers for another batch.
func (g *gathering) begin(b *batch) {
	g.batch = b
	clear(g.at)
	if g.emit == nil {
		g.at, g.emit = map[gathered]int{}, g.add
	}
}

func (g *gathering) add(f *alert.Finding) {
	key := gathered{f.Tenant, f.Rule.ID, f.Key, f.Severity, f.Staged}
	i, ok := g.at[key]
	if !ok {
		g.at[key] = len(g.batch.findings)
		g.batch.findings = append(g.batch.findings, *f)
		return
	}
	have := &g.batch.findings[i]
	have.Count += f.Count
	have.First, have.Last = min(have.First, f.First), max(have.Last, f.Last)
	have.Events = append(have.Events, f.Events...)
	for field, values := range f.Values {
		for _, v := range values {
			if all := have.Values[field]; len(all) < alert.MaxValues && !slices.Contains(all, v) {
				have.Values[field] = append(all, v)
			}
		}
	}
	for _, e := range f.Entities {
		if len(have.Entities) < alert.MaxValues && !slices.Contains(have.Entities, e) {
			have.Entities = append(have.Entities, e)
		}
	}
}
