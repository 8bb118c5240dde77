package app

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/assess"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/report"
)

// proof is everything that judges compliance.
type proof struct {
	service  *compliance.Service
	evidence *evidence.Service
	assessor *assess.Assessor
	reports  *report.Service
}

// openCompliance adds the kinds of jobs of compliance. It needs the database; what else
// is asked for evidence may be opened later.
func (s *Server) openCompliance(kinds map[string]job.Kind, now func() time.Time) error {
	catalogue, err := compliance.Load(s.cfg.Compliance.Catalogues)
	if err != nil {
		return err
	}
	s.proof.service = compliance.New(compliance.Config{
		DB: s.db, Catalogue: catalogue, Log: s.log, Now: now, Evidence: evidence.Known,
		Tenants: func(context.Context) ([]uint32, error) { return s.tenants.numbers(), nil },
		Kept: func(_ context.Context, tenant uint32) (compliance.Kept, error) {
			oldest, err := s.archive.Oldest(tenant)
			return compliance.Kept{ConfiguredDays: (*s.tenants.known.Load())[tenant].RetentionDays, Oldest: oldest}, err
		},
	})
	if err := s.openEvidence(now); err != nil {
		return err
	}
	s.openAssessment(kinds, now)
	return s.openReports(kinds, now)
}
