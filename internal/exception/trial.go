package exception

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A trial is a rule with and without an exception.
type trial struct {
	filters       []*sigma.Document
	without, with *detect.Ruleset
	correlation   bool
}

func (p *Previews) newTrial(ctx context.Context, tenant uint32, ruleID, yaml, filter string) (*trial, error) {
	filters, err := sigma.Parse([]byte(filter))
	if err != nil || slices.ContainsFunc(filters, func(d *sigma.Document) bool { return d.Filter == nil }) {
		return nil, fault.New(fault.Invalid, "no Sigma filter").In("scope").Because(err)
	}
	docs, err := sigma.Parse([]byte(yaml))
	if err != nil {
		return nil, fmt.Errorf("read rule %s: %w", ruleID, err)
	}
	t := &trial{filters: filters}
	counts := false // the text has what its correlations count
	for _, d := range docs {
		t.correlation = t.correlation || d.Correlation != nil
		counts = counts || d.Correlation == nil
	}
	var plain, excepted []detect.Rule
	for _, d := range docs {
		plain = append(plain, detect.Rule{Document: d, Version: 1})
		r := detect.Rule{Document: d, Version: 1}
		// As it runs live: what is taken from the rules that a correlation counts is
		// taken from the correlation.
		if d.Correlation == nil || !counts {
			for _, f := range filters {
				r.Exceptions = append(r.Exceptions, detect.Exception{ID: "preview", Filter: f})
			}
		}
		excepted = append(excepted, r)
	}
	others, err := p.counted(ctx, tenant, docs)
	if err != nil {
		return nil, err
	}
	for _, d := range others {
		r := detect.Rule{Document: d, Version: 1}
		plain, excepted = append(plain, r), append(excepted, r)
	}
	// What cannot be compiled fires in neither; alerts are then judged with care.
	t.without, _ = detect.Compile(plain)
	t.with, _ = detect.Compile(excepted)
	return t, nil
}

// counted returns the active rules that the correlations among docs count and that
// stand in other texts, and so on.
func (p *Previews) counted(ctx context.Context, tenant uint32, docs []*sigma.Document) ([]*sigma.Document, error) {
	have, want := map[string]bool{}, []string{}
	take := func(docs []*sigma.Document) {
		for _, d := range docs {
			have[d.ID], have[d.Name] = true, true
		}
		for _, d := range docs {
			if d.Correlation != nil {
				want = append(want, d.Correlation.Rules...)
			}
		}
	}
	take(docs)
	missing := func(name string) bool { return !have[name] }
	if !slices.ContainsFunc(want, missing) {
		return nil, nil
	}
	active, _, err := p.rules.Active(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var others []*sigma.Document
	for len(want) > 0 {
		name := want[0]
		want = want[1:]
		if have[name] {
			continue
		}
		have[name] = true
		for i := range active {
			if !strings.Contains(active[i].YAML, name) {
				continue
			}
			found, err := sigma.Parse([]byte(active[i].YAML))
			if err != nil || !slices.ContainsFunc(found, func(d *sigma.Document) bool { return d.ID == name || d.Name == name }) {
				continue
			}
			others = append(others, found...)
			take(found)
			break
		}
	}
	return others, nil
}

// run plays the events, the oldest first. It tells whether nothing would be raised
// from them any more, and how many the filter takes.
func (t *trial) run(events []event.Event) (hidden bool, taken int64) {
	before, _ := play(t.without, events)
	after, taken := play(t.with, events)
	switch {
	case before > 0:
		return after == 0, taken
	case t.correlation:
		return taken > 0, taken
	}
	return taken > 0 && taken == int64(len(events)), taken
}

// play counts the findings of set over events, and the events that an exception took.
func play(set *detect.Ruleset, events []event.Event) (findings, taken int64) {
	matcher, detector := set.NewMatcher(), detect.New(func(uint32) *detect.Ruleset { return set })
	emit := func(*alert.Finding) { findings++ }
	var hits []detect.Hit
	had := exempted(set) // by what was played before
	for i := range events {
		hits = matcher.Match(&events[i], hits[:0])
		detector.Apply(&events[i], hits, emit)
		n := exempted(set)
		if n > had {
			taken++
		}
		had = n
	}
	detector.EndBatch(emit)
	return findings, taken
}

// exempted counts what exceptions of the set have taken so far.
func exempted(set *detect.Ruleset) (n uint64) {
	for _, x := range set.ExceptionStats() {
		n += x.Hits
	}
	return n
}
