package assess

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

// age is a variant with its latest result.
type age struct {
	Variant string             `json:"variant"`
	At      *time.Time         `json:"evaluatedAt"`
	Outcome compliance.Outcome `json:"outcome"`
	Cadence time.Duration      `json:"-"`
}

func evidenceFresh(ctx context.Context, q *inquiry) (*finding, error) {
	variants, err := q.Compliance.Variants(ctx, q.tenant)
	if err != nil {
		return nil, err
	}
	latest, err := q.Compliance.Results(ctx, q.tenant)
	if err != nil {
		return nil, err
	}
	q.note("the latest result of every variant of a check that the tenant's frameworks ask for, those of this round included")
	for _, r := range q.fresh {
		latest[r.Variant] = r
	}
	var all []age
	for i := range variants {
		if variants[i].Check == "evidence-fresh" {
			continue // it is being found out
		}
		a := age{Variant: variants[i].Key(), Outcome: compliance.NoData}
		if c := q.Compliance.Catalogue.Check(variants[i].Check); c != nil {
			a.Cadence = c.Cadence
		}
		if r := latest[a.Variant]; r != nil {
			a.At, a.Outcome = new(r.CollectedAt), r.Outcome
		}
		all = append(all, a)
	}
	return judgeFreshness(all, q.p, q.now), nil
}

func judgeFreshness(all []age, p compliance.Params, now time.Time) *finding {
	f := &finding{population: "variants of checks that the frameworks ask for, but for this one", size: int64(len(all)), from: now, to: now, resources: []string{"results of checks"}}
	if len(all) == 0 {
		return f.nothing("No framework asks for a check.")
	}
	list := &table{}
	var good, empty int64
	var old []string
	for _, want := range []bool{false, true} {
		for _, a := range all {
			fresh := a.At != nil && now.Sub(*a.At) <= a.Cadence
			if fresh != want {
				continue
			}
			list.add(a.Variant, a)
			if !fresh {
				old = append(old, a.Variant)
				continue
			}
			good++
			if a.Outcome == compliance.NoData {
				empty++
			}
		}
	}
	f.facts = map[string]any{"variants": list, "fresh": good, "freshWithoutData": empty}
	if f.ratio(good, f.size, p); good == 0 {
		f.outcome = compliance.Fail
	}
	return f.remedied(say("%s checks were evaluated within their cadence, %d of them without data", of(good, f.size), empty),
		say("let kyra serve run without a break, or collect evidence now (POST /compliance/evidence/collect): %s", few(old)))
}
