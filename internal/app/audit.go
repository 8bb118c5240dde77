package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// openSigner derives the key that signs heads of the audit log.
func (s *Server) openSigner() error {
	sealer, err := s.sealer()
	if err != nil {
		return err
	}
	seed, err := sealer.Derive("audit heads")
	if err != nil {
		return err
	}
	s.signer = audit.NewSigner(seed)
	return nil
}

// How often chains are looked at, and days that have ended are signed.
const (
	lookAtChains = 6 * time.Hour
	signHeads    = 5 * time.Minute
)

// watchAudit signs the head of every chain once a day, and raises an alert for a chain
// that is broken.
func (s *Server) watchAudit(ctx context.Context) error {
	tick := time.NewTicker(signHeads)
	defer tick.Stop()
	var looked time.Time
	for {
		now := time.Now()
		look := now.Sub(looked) >= lookAtChains
		if look {
			looked = now
		}
		for _, tenant := range append(slices.Sorted(slices.Values(s.tenants.numbers())), 0) { // 0: the server's own
			err := s.auditOnce(ctx, tenant, now, look)
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "the audit log was not looked at", "tenant", tenant, "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) auditOnce(ctx context.Context, tenant uint32, now time.Time, look bool) error {
	if _, err := s.signer.SealDay(ctx, s.db, tenant, now); err != nil {
		return err
	}
	if !look {
		return nil
	}
	c, first, err := s.signer.Look(ctx, s.db, tenant, now)
	if err != nil || !first {
		return err
	}
	s.log.ErrorContext(ctx, "the audit log was changed", "tenant", tenant, "entry", c.BrokenAt, "why", c.Why)
	to := tenant
	if to == 0 {
		to = s.owner
	}
	finding := brokenChain(to, c, now)
	if err := s.db.Tx(ctx, func(tx *sqldb.DB) error { return s.detection.record(ctx, tx, now, []alert.Finding{finding}) }); err != nil {
		return fmt.Errorf("raise an alert: %w", err)
	}
	return nil
}

func brokenChain(tenant uint32, c audit.Check, now time.Time) alert.Finding {
	return alert.Finding{
		Tenant: tenant, Title: "The audit log was changed", Severity: "critical", Source: "kyra", Tactic: "defense-evasion", Technique: "T1070",
		Rule:        alert.RuleRef{ID: "b3a1f0de-4d52-4b0e-8a77-2f1f0c5d9e01", Name: "The audit log was changed", Author: "KYRA", Origin: "builtin", Version: 1},
		Description: "Entry " + strconv.FormatInt(c.BrokenAt, 10) + " of the audit log: " + c.Why + ". Entries up to " + strconv.FormatInt(c.Entries, 10) + " are as they were written.",
		Key:         "audit=" + strconv.FormatInt(c.BrokenAt, 10), First: now.UnixNano(), Last: now.UnixNano(), Count: 1,
	}
}
