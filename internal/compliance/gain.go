package compliance

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Gain is what would be better if one check passed.
type Gain struct {
	Check   *Check
	Outcome Outcome // the worst of its variants now
	Result  *Result // that result: its reason says what was found and what to do; nil for none
	By      []FrameworkGain
	// Controls are those whose status would be better, Ready those that would then only
	// wait for a person; over all frameworks.
	Controls, Ready int
}

// A FrameworkGain is what one framework would gain.
type FrameworkGain struct {
	Framework *Framework
	Better    []string // ids of controls whose status would be better
	Ready     []string // ids of controls that would be ready to attest
	Compliant int      // more of them
	Score     int64    // more hundredths of a percent point
}

// String is the gain in short: "+3 ISMS-P, +2 PCI DSS".
func (g *Gain) String() string {
	var parts []string
	for _, f := range g.By {
		if n := len(f.Better) + len(f.Ready); n > 0 {
			parts = append(parts, "+"+strconv.Itoa(n)+" "+f.Framework.Name)
		}
	}
	return strings.Join(parts, ", ")
}

// Gains says for every check that does not pass what would be better if it did, over all
// frameworks of the tenant in the profile ("": as chosen), the greatest gain first.
func (s *Service) Gains(ctx context.Context, tenant uint32, p Profile, now time.Time) ([]Gain, error) {
	st, err := s.state(ctx, tenant)
	if err != nil {
		return nil, fault.Wrap("compute gains", err)
	}
	frameworks := s.chosen(st.settings)
	views := make([]*View, len(frameworks))
	for i, f := range frameworks {
		views[i] = s.view(st, f, p, now)
	}
	variants := s.Catalogue.Variants(frameworks)
	out := []Gain{}
	for i := range s.Catalogue.Checks {
		c := &s.Catalogue.Checks[i]
		if g := s.gain(st, views, variants, c, now); g != nil {
			out = append(out, *g)
		}
	}
	slices.SortStableFunc(out, func(a, b Gain) int {
		return cmp.Or(cmp.Compare(b.Controls+b.Ready, a.Controls+a.Ready), cmp.Compare(b.Controls, a.Controls))
	})
	return out, nil
}

// gain is that of one check; nil where every variant of it passes, or nobody asks for it.
func (s *Service) gain(st *state, views []*View, variants []Variant, c *Check, now time.Time) *Gain {
	better := *st
	better.results = maps.Clone(st.results)
	g := &Gain{Check: c, Outcome: Pass, By: []FrameworkGain{}}
	for i := range variants {
		v := &variants[i]
		if v.Check != c.ID {
			continue
		}
		r, found := st.results[v.Key()], NoData
		if r != nil && !now.After(r.validUntil(c)) {
			found = r.Outcome
		}
		if found == Pass {
			continue
		}
		// What fails asks for more than what has no data.
		if g.Outcome == Pass || found == Fail || found == Partly && g.Outcome == NoData {
			g.Outcome, g.Result = found, r
		}
		better.results[v.Key()] = &Result{Variant: v.Key(), Check: c.ID, Outcome: Pass, CollectedAt: now}
	}
	if g.Outcome == Pass {
		return nil
	}
	for _, v := range views {
		f := FrameworkGain{Framework: v.Framework, Better: []string{}, Ready: []string{}}
		after := slices.Clone(v.Controls)
		for i := range after {
			x := &after[i]
			if !slices.ContainsFunc(x.Control.Checks, func(l Link) bool { return l.Check == c.ID }) {
				continue
			}
			at := place{v.Framework.ID, v.Framework.Edition, x.Control.ID}
			j := s.Catalogue.StatusOf(x.Control, better.results, st.approved[at], st.exceptions[at], st.settings.Strict, now)
			switch {
			case j.Ready && !x.Ready:
				f.Ready = append(f.Ready, x.Control.ID)
			case improves(x.Status, j.Status):
				f.Better = append(f.Better, x.Control.ID)
			}
			x.Judgement = j
		}
		if len(f.Better)+len(f.Ready) == 0 {
			continue
		}
		c := coverageOf(after, st.settings.weight())
		f.Compliant, f.Score = c.Compliant-v.Coverage.Compliant, c.Score-v.Coverage.Score
		g.Controls, g.Ready = g.Controls+len(f.Better), g.Ready+len(f.Ready)
		g.By = append(g.By, f)
	}
	return g
}

// improves tells whether to is better than from. Not assessed is better than what does
// not comply, and worse than what does in part.
func improves(from, to Status) bool {
	rank := map[Status]int{NonCompliant: 0, NotAssessed: 1, Partial: 2, Compliant: 3}
	a, known := rank[from]
	b, also := rank[to]
	return known && also && b > a
}
