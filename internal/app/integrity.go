package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/canary"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/quarantine"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// integrity watches that nothing is lost silently.
type integrity struct {
	quarantine *quarantine.Service
	wrong      atomic.Int64      // lines of the ledger that do not add up
	told       map[uint32]int64  // of them, those that an alert told of, by tenant
	saved      map[refusal]int64 // what doors had counted when it was last written down
}

// refusal is one counter of a door.
type refusal struct{ door, fate, reason string }

// openIntegrity adds the kinds of jobs of the quarantine. The queue is opened later.
func (s *Server) openIntegrity(kinds map[string]job.Kind) error {
	zone, err := time.LoadLocation(s.cfg.Syslog.TimeZone)
	if err != nil {
		return fmt.Errorf("syslog.time_zone: %w", err)
	}
	i := &s.integrity
	i.quarantine = quarantine.New(quarantine.Config{
		DB: s.db, Events: s.store, Sources: s.sources, Zone: zone, Log: s.log,
		Settings: func(ctx context.Context, tenant uint32) (*parse.Settings, error) { return s.logs.For(ctx, tenant) },
		Append:   func(ctx context.Context, c *queue.Chunk) error { return s.queue.Append(ctx, c) },
		Erased: func(ctx context.Context, tenant uint32) (func(*event.Event) bool, error) {
			return s.requests.Erased(ctx, tenant)
		},
	})
	maps.Copy(kinds, i.quarantine.Kinds())
	every, err := s.cfg.Canary.Interval()
	if err != nil {
		return fmt.Errorf("canary.every: %w", err)
	}
	s.detection.canary = canary.New(canary.Config{
		DB: s.db, Every: every, Tenants: s.tenants.numbers, Events: s.store, Alerts: s.detection.alerts, Record: s.detection.record, Log: s.log,
		Append: func(ctx context.Context, c *queue.Chunk) error { return s.queue.Append(ctx, c) },
	})
	i.told, i.saved = map[uint32]int64{}, map[refusal]int64{}
	s.metrics.NewGauge("kyra_ledger_unbalanced", func() float64 { return float64(i.wrong.Load()) })
	return nil
}

// ledgerSpan is how far back the ledger is looked over.
const ledgerSpan = 48 * time.Hour

// watchLedger looks every minute whether the ledger adds up, and writes down what doors
// refused.
func (s *Server) watchLedger(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		err := errors.Join(s.saveRefusals(last), s.checkLedger(last))
		cancel()
		if err != nil {
			s.log.WarnContext(ctx, "the ledger cannot be looked over", "err", err)
		}
	}
	return nil
}

// checkLedger raises an alert for lines that do not add up and that none told of yet.
func (s *Server) checkLedger(ctx context.Context) error {
	now := time.Now()
	lines, err := s.sources.Unbalanced(ctx, now.Add(-ledgerSpan))
	if err != nil {
		return err
	}
	all := int64(0)
	var findings []alert.Finding
	for tenant, n := range lines {
		all += n
		if more := n - s.integrity.told[tenant]; more > 0 {
			s.log.ErrorContext(ctx, "the loss ledger does not add up", "tenant", tenant, "lines", n)
			findings = append(findings, ledgerFinding(tenant, more, now))
		}
	}
	s.integrity.wrong.Store(all)
	if len(findings) > 0 {
		err = s.db.Tx(ctx, func(tx *sqldb.DB) error { return s.detection.record(ctx, tx, now, findings) })
		if err != nil {
			return fmt.Errorf("raise an alert: %w", err)
		}
	}
	s.integrity.told = lines
	return nil
}

func ledgerFinding(tenant uint32, lines int64, now time.Time) alert.Finding {
	return alert.Finding{
		Tenant:   tenant,
		Rule:     alert.RuleRef{ID: "6f0c1a52-6f0b-4c1e-9a43-5f2f4f6f7a10", Name: "The loss ledger does not add up", Author: "KYRA", Origin: "builtin", Version: 1},
		Title:    "Records are missing: the loss ledger does not add up",
		Severity: "high", Source: "kyra", Key: "ledger",
		Description: "{count} line(s) of the loss ledger of the last 48 hours count more or fewer records received than stored, quarantined and dropped. " +
			"GET /api/v1/ledger?show=unbalanced names source and hour; compare with the sender, and report it: this is a fault of KYRA's.",
		First: now.UnixNano(), Last: now.UnixNano(), Count: lines,
	}
}

// saveRefusals adds what doors refused and lost since the last time to the hour.
func (s *Server) saveRefusals(ctx context.Context) error {
	var list []source.Refusal
	now := map[refusal]int64{}
	hour := time.Now().UTC().Truncate(time.Hour)
	note := func(door, fate string, counts map[string]int64) {
		for reason, n := range counts {
			if fate == source.Refused && reason == source.PolicyResend {
				continue // it had come before: nothing was refused
			}
			at := refusal{door, fate, reason}
			now[at] = n
			if more := n - s.integrity.saved[at]; more > 0 {
				list = append(list, source.Refusal{Hour: hour, Door: door, Fate: fate, Reason: reason, Records: more})
			}
		}
	}
	for _, in := range s.gate.Stats() {
		note(in.Input, source.Refused, in.Rejected)
		note(in.Input, source.Lost, in.Dropped)
	}
	if err := s.sources.RecordRefusals(ctx, list); err != nil {
		return err
	}
	s.integrity.saved = now
	return nil
}
