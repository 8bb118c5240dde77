package app

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/intel"
	"github.com/kyra-mdr/kyra/internal/risk"
)

// openRisk needs database and detection.
func (s *Server) openRisk(now func() time.Time) {
	d := &s.detection
	s.risk = risk.New(risk.Config{
		DB: s.db, Alerts: d.alerts, Log: s.log, Now: now, Record: d.record, Indicator: intel.IsRule,
		// What people found of a rule's alerts tells how far it is to be believed; two that
		// were right are taken for granted, so that one false alarm does not damn a rule.
		Confidence: func(ctx context.Context, tenant uint32, rules []string) (map[string]float64, error) {
			const granted = 2
			counts, err := d.alerts.ByRule(ctx, tenant, rules)
			out := make(map[string]float64, len(counts))
			for id, c := range counts {
				out[id] = float64(c.TruePositives+granted) / float64(c.TruePositives+c.FalsePositives+granted)
			}
			return out, err
		},
	})
}
