package app

import (
	"context"
	"os"
	"time"

	"github.com/kyra-mdr/kyra/internal/intel"
	"github.com/kyra-mdr/kyra/internal/job"
)

// indicators is everything that threat intelligence needs while the server runs.
type indicators struct {
	service *intel.Service
	matcher *intel.Matcher
	retro   *intel.Retro
	feeds   *intel.Feeds
}

// openIndicators adds the kinds of jobs of threat intelligence. It needs database and
// event store.
func (s *Server) openIndicators(ctx context.Context, kinds map[string]job.Kind, now func() time.Time) error {
	i := &s.indicators
	i.service = intel.New(s.db, s.log, now)
	var err error
	if i.matcher, err = intel.NewMatcher(ctx, s.db, s.log, now); err != nil {
		return err
	}
	i.retro = intel.NewRetro(i.service, s.store, s.detection.record)
	kinds[intel.RetroKind] = job.Kind{Work: i.retro.Work, Attempts: 2, Time: 6 * time.Hour}
	s.metrics.NewGauge("kyra_intel_indicators", func() float64 { return float64(i.matcher.Total()) })
	s.metrics.NewGauge("kyra_intel_sightings_total", func() float64 { return float64(i.matcher.Seen()) })
	return nil
}

// openFeeds needs the guard of calls and the sealer of secrets.
func (s *Server) openFeeds(now func() time.Time) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	s.indicators.feeds = intel.NewFeeds(intel.FeedsConfig{
		DB: s.db, Service: s.indicators.service, Sealer: s.telling.sealer, Guard: s.telling.guard, Folder: s.folder.in("intel"), Holder: host + ":" + s.folder.path, Version: Version(), Log: s.log, Now: now,
	})
}

// RefreshIndicators has events that arrive from now on matched by what was changed
// before, without the second that it takes otherwise.
func (s *Server) RefreshIndicators(ctx context.Context) error {
	return s.indicators.matcher.Refresh(ctx)
}
