package dsr

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	againDays = 7   // after an erasure, in which what was still in the queue is erased too
	soonDays  = 5   // before the end of a term
	keepDays  = 730 // closed requests keep who asked: CCPA wants records of 24 months (§ 7101)
	atOnce    = 200
)

// Run tells of terms that end, removes packages that have expired, erases what came out
// of the queue after an erasure, and forgets who asked when a request was closed long ago, each quarter of an hour, until ctx is done. Several servers may run it.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(15 * time.Minute)
	defer tick.Stop()
	for {
		if err := s.Look(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "terms of data subject requests were not looked at", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look does once what Run does.
func (s *Service) Look(ctx context.Context) error {
	now := s.Now()
	for _, x := range []struct {
		column, name, severity, title string
		by                            time.Time
	}{
		{"overdue_told", outbox.RequestOverdue, "high", "Data subject request is overdue", now},
		{"soon_told", outbox.RequestDueSoon, "medium", "Data subject request is due soon", now.AddDate(0, 0, soonDays)},
	} {
		err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
			list, err := sqldb.All(ctx, tx, scan, selectRequest+` WHERE closed_at IS NULL AND due_at <= $1 AND `+x.column+` = $2 ORDER BY due_at LIMIT $3`, x.by.UnixMicro(), false, atOnce)
			if err != nil {
				return err
			}
			for i := range list {
				r := &list[i]
				if _, err := sqldb.Exec(ctx, tx, `UPDATE dsr_request SET soon_told = $1, `+x.column+` = $1 WHERE id = $2`, true, r.ID); err != nil {
					return err
				}
				err := outbox.Add(ctx, tx, outbox.Message{
					Tenant: r.Tenant, Event: x.name, Object: r.ID, Kind: "dsr", Title: x.title, Severity: x.severity, At: now,
					Text: string(r.Law) + " " + string(r.Kind) + ", received " + r.ReceivedOn + ", last day " + r.DueOn,
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if s.Vault != nil {
		if err := s.Vault.Sweep(now.AddDate(0, 0, -packageDays)); err != nil {
			return err
		}
	}
	if s.Events != nil {
		if err := s.eraseAgain(ctx, now); err != nil {
			return err
		}
	}
	return s.minimise(ctx, now)
}

// eraseAgain looks whether events that were erased lately are there again: what lay in
// the queue meanwhile came into the store afterwards.
func (s *Service) eraseAgain(ctx context.Context, now time.Time) error {
	list, err := sqldb.All(ctx, s.DB, scanProof, selectProof+` WHERE ended_at > $1 ORDER BY id LIMIT $2`, now.AddDate(0, 0, -againDays).UnixMicro(), atOnce)
	if err != nil {
		return err
	}
	for i := range list {
		p := &list[i]
		ids, err := s.identifiersOf(p)
		if err != nil {
			return err
		}
		which := nodeOf(ids)
		all := before(which, p.Until)
		n, err := s.count(ctx, p.tenant, all)
		if err != nil || n == 0 {
			if err != nil {
				return err
			}
			continue
		}
		if held, err := s.heldOf(ctx, p.tenant, which, ids); err != nil || len(held) > 0 {
			if err != nil {
				return err
			}
			continue
		}
		erased, err := s.Events.EraseMatching(ctx, p.tenant, all, eventstore.MinTime, eventstore.MaxTime+1)
		if err != nil {
			return err
		}
		err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
			if _, err := sqldb.Exec(ctx, tx, `UPDATE dsr_erasure SET found = found + $1, erased = erased + $2 WHERE id = $3`, n, erased, p.ID); err != nil {
				return err
			}
			return audit.Record(ctx, tx, audit.Entry{Tenant: p.tenant, At: now, Actor: audit.System, Action: "dsr.erasedAgain", Object: p.Request, Detail: map[string]any{"proof": p.ID, "erased": erased}})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// minimise forgets who asked. Kind, law, days and proofs stay: they prove that the law was kept.
func (s *Service) minimise(ctx context.Context, now time.Time) error {
	return s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		list, err := sqldb.All(ctx, tx, scan, selectRequest+` WHERE closed_at < $1 AND minimised_at IS NULL ORDER BY id LIMIT $2`, now.AddDate(0, 0, -keepDays).UnixMicro(), atOnce)
		if err != nil {
			return err
		}
		for i := range list {
			r := &list[i]
			if _, err := sqldb.Exec(ctx, tx, `UPDATE dsr_request SET person = $1, masked = '{"name":"","identifiers":[],"note":""}', minimised_at = $2, version = version + 1 WHERE id = $3`, []byte{}, now.UnixMicro(), r.ID); err != nil {
				return err
			}
			for _, q := range []string{`DELETE FROM dsr_trace WHERE request = $1`, `UPDATE dsr_history SET note = '' WHERE request = $1`} {
				if _, err := sqldb.Exec(ctx, tx, q, r.ID); err != nil {
					return err
				}
			}
			if err := audit.Record(ctx, tx, audit.Entry{Tenant: r.Tenant, At: now, Actor: audit.System, Action: "dsr.minimise", Object: r.ID}); err != nil {
				return err
			}
		}
		return nil
	})
}
