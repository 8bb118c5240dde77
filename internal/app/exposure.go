package app

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/exposure"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/outbound"
)

// openExposure adds the job that checks a domain. It needs the database; the guard of
// calls is asked for when one is made.
func (s *Server) openExposure(ctx context.Context, kinds map[string]job.Kind, now func() time.Time) error {
	s.exposure = exposure.New(exposure.Config{
		DB: s.db, Log: s.log, Now: now, Record: s.detection.record,
		Guard: func() *outbound.Guard { return s.telling.guard },
		StartCheck: func(ctx context.Context, tenant uint32, domain string) error {
			_, err := s.detection.jobs.Start(ctx, tenant, audit.System, job.Draft{Kind: exposure.Kind, Subject: domain, Params: exposure.Params{Domain: domain}})
			return err
		},
	})
	kinds[exposure.Kind] = job.Kind{Work: s.exposure.Work, Attempts: 3, Time: 2 * time.Hour}
	return s.exposure.Load(ctx)
}

// Settle has what was seen of names written down and the risk scores brought up to date
// now, which else happens within seconds.
func (s *Server) Settle(ctx context.Context) error {
	if err := s.exposure.Flush(ctx); err != nil {
		return err
	}
	return s.risk.Step(ctx)
}
