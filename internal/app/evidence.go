package app

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// openEvidence needs compliance. Bundles are signed with what is opened later:
// equipEvidence hands it over.
func (s *Server) openEvidence(now func() time.Time) error {
	files, err := vault.Open(s.folder.in("evidence"))
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // evidence names the version at least
	}
	s.proof.evidence = evidence.New(evidence.Config{DB: s.db, Files: files, Compliance: s.proof.service, Log: s.log, Now: now, Version: Version(), Host: host})
	return nil
}

func (s *Server) equipEvidence() { s.proof.evidence.Signer = s.signer }

// watchEvidence looks every night whether all evidence is as it was kept, and raises an
// alert where it is not.
func (s *Server) watchEvidence(ctx context.Context) error {
	const lookEvery = 10 * time.Minute // what was looked at since midnight is not again
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for _, tenant := range s.tenants.numbers() {
			if err := s.evidenceOnce(ctx, tenant, time.Now()); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "evidence was not looked at: tried again later", "tenant", tenant, "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) evidenceOnce(ctx context.Context, tenant uint32, now time.Time) error {
	v, fresh, err := s.proof.evidence.Nightly(ctx, tenant, now, func(ctx context.Context, tx *sqldb.DB, v *evidence.Health) error {
		if err := s.detection.record(ctx, tx, now, []alert.Finding{damagedEvidence(tenant, v)}); err != nil {
			return fmt.Errorf("raise an alert: %w", err)
		}
		return nil
	})
	if err == nil && fresh {
		s.log.ErrorContext(ctx, "evidence was changed", "tenant", tenant, "record", v.First.Seq, "why", v.First.What, "flaws", v.Flaws)
	}
	return err
}

func damagedEvidence(tenant uint32, v *evidence.Health) alert.Finding {
	return alert.Finding{
		Tenant: tenant, Title: "Evidence was changed", Severity: "critical", Source: "kyra", Tactic: "defense-evasion", Technique: "T1070",
		Rule: alert.RuleRef{ID: "b3a1f0de-4d52-4b0e-8a77-2f1f0c5d9e02", Name: "Evidence was changed", Author: "KYRA", Origin: "builtin", Version: 1},
		Description: fmt.Sprintf("Record %d of the evidence (%s): %s. %d of this kind among %d records. GET /api/v1/compliance/evidence/verify names them all; compare them with an exported bundle or a backup, and find out who had access.",
			v.First.Seq, v.First.ID, v.First.What, v.Flaws, v.Records),
		Key: "evidence=" + strconv.FormatInt(v.First.Seq, 10) + " " + v.First.What, First: v.At.UnixNano(), Last: v.At.UnixNano(), Count: v.Flaws,
	}
}
