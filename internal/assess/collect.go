package assess

import (
	"context"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/job"
)

// Kind is the kind of jobs that collect evidence.
const Kind = "evidence-collect"

// Kinds returns the kinds of jobs of this package.
func (a *Assessor) Kinds() map[string]job.Kind {
	return map[string]job.Kind{Kind: {Time: 15 * time.Minute, Work: func(ctx context.Context, t *job.Task) (any, error) {
		var selection compliance.Selection
		if err := t.Read(&selection); err != nil {
			return nil, err
		}
		return a.Collect(ctx, t.Tenant, selection, t.Progress)
	}}}
}

// Draft is the job that collects what is selected. Another one of the same kind that has
// not ended gives way.
func Draft(selection compliance.Selection) job.Draft {
	return job.Draft{Kind: Kind, Params: selection, Replace: true}
}

// A Summary tells how a round went.
type Summary struct {
	Evaluated int `json:"evaluated"` // variants of checks
	Pass      int `json:"pass"`
	Partial   int `json:"partial"`
	Fail      int `json:"fail"`
	NoData    int `json:"noData"`
	// Unchanged are results without data as before, which were not kept again.
	Unchanged int     `json:"unchanged"`
	Seconds   float64 `json:"seconds"`
}

// Collect evaluates what is selected, due or not, and hands the results on to be kept.
// Where ctx ends before, nothing is kept.
func (a *Assessor) Collect(ctx context.Context, tenant uint32, selection compliance.Selection, progress func(done, total int64, note string)) (*Summary, error) {
	variants, err := a.Compliance.Select(ctx, tenant, selection)
	if err != nil {
		return nil, err
	}
	return a.collect(ctx, tenant, variants, nil, progress)
}

// collect evaluates variants and keeps the results but for those that skip names.
func (a *Assessor) collect(ctx context.Context, tenant uint32, variants []compliance.Variant, skip func(*compliance.Result) bool, progress func(done, total int64, note string)) (*Summary, error) {
	begun := time.Now()
	var tell func(done, total int, check string)
	if progress != nil {
		tell = func(done, total int, check string) { progress(int64(done), int64(total), check) }
	}
	results, err := a.evaluateAll(ctx, tenant, variants, tell)
	if err != nil {
		return nil, fmt.Errorf("evaluate checks: %w", err)
	}
	s := &Summary{Evaluated: len(results)}
	kept := results[:0]
	for i := range results {
		switch results[i].Outcome {
		case compliance.Pass:
			s.Pass++
		case compliance.Partly:
			s.Partial++
		case compliance.Fail:
			s.Fail++
		default:
			s.NoData++
		}
		if skip != nil && skip(&results[i]) {
			s.Unchanged++
			continue
		}
		kept = append(kept, results[i])
	}
	if len(kept) > 0 {
		if err := a.Save(ctx, tenant, kept); err != nil {
			return nil, fmt.Errorf("keep results of checks: %w", err)
		}
	}
	s.Seconds = time.Since(begun).Seconds()
	return s, nil
}
