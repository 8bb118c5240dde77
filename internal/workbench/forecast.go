package workbench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/job"
)

// ForecastSpan is what a forecast looks back on.
const ForecastSpan = 14 * 24 * time.Hour

// slice is how much of the time a forecast reads at a stretch where it takes samples:
// long enough for what correlations count.
const slice = time.Hour

func (s *Service) forecastJob(ctx context.Context, t *job.Task) (any, error) {
	var subject Subject
	if err := t.Read(&subject); err != nil {
		return nil, err
	}
	return s.Forecast(ctx, t.Tenant, subject, t.Progress)
}

// Forecast says what a rule would have given in the last 14 days. Where these hold
// more events than a forecast may read, it reads hours spread evenly over them, and
// reckons.
func (s *Service) Forecast(ctx context.Context, tenant uint32, subject Subject, told func(done, total int64, note string)) (*BacktestResult, error) {
	to := s.Now().UTC()
	from := to.Add(-ForecastSpan)
	p, err := s.Program(ctx, tenant, subject)
	if err != nil {
		return nil, err
	}
	if err := p.unusable(); err != nil {
		return nil, err
	}
	b := &backtest{service: s, tenant: tenant, player: newPlayer(p), tally: newTally(), filter: p.set.Narrow(), told: told}
	begin, end := eventstore.Clamp(from.UnixNano(), to.UnixNano())
	if b.total, err = s.count(ctx, tenant, b.filter, begin, end); err != nil {
		return nil, err
	}
	if b.total <= s.ForecastEvents {
		if err := b.stretch(ctx, begin, end); err != nil {
			return nil, err
		}
		return b.result(subject, from, to), nil
	}
	all := int(ForecastSpan / slice)
	n := max(1, int(float64(all)*float64(s.ForecastEvents)/float64(b.total)))
	b.total = b.total * int64(n) / int64(all)
	for i := range n {
		at := begin + int64(spread(i, n, all))*int64(slice)
		if err := b.stretch(ctx, at, at+int64(slice)); err != nil {
			return nil, err
		}
		if b.tally.result.Partial != "" {
			break
		}
	}
	r := b.result(subject, from, to)
	r.estimate(n, all)
	return r, nil
}

// spread returns the i-th of n different places among all, in order, evenly apart and
// not at the same hour of each day.
func spread(i, n, all int) int {
	width := float64(all) / float64(n)
	const golden = 0.6180339887498949
	_, part := math.Modf(float64(i) * golden)
	return int(float64(i)*width) + int(part*(width-1))
}

// estimate scales what was found in n of all slices.
func (r *BacktestResult) estimate(n, all int) {
	share := float64(n) / float64(all)
	scale := func(v int64) int64 { return int64(math.Round(float64(v) / share)) }
	r.Estimate = &Estimate{
		Share: share, Slices: n, FoundMatches: r.Matches, FoundAlerts: r.Alerts,
		Method: fmt.Sprintf("%d of %d hours were read, spread evenly over the time; matches and alerts, those of days too, are what they held times %d/%d. "+
			"Alerts that grow over many hours count once for each hour read: their number is an upper bound. Samples, hosts and users are those that were found.", n, all, all, n),
	}
	r.Matches, r.Alerts, r.Excepted = scale(r.Matches), scale(r.Alerts), scale(r.Excepted)
	for i := range r.ByDay {
		r.ByDay[i].Matches, r.ByDay[i].Alerts = scale(r.ByDay[i].Matches), scale(r.ByDay[i].Alerts)
	}
}
