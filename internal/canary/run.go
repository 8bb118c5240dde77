package canary

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Run sends canaries until ctx is done: for each tenant one each Every, counted on over
// restarts. Those that an earlier process sent are waited for first.
func (s *Service) Run(ctx context.Context) error {
	if s.Every <= 0 {
		<-ctx.Done()
		return nil
	}
	s.each(ctx, func(tenant uint32) { s.resume(ctx, tenant) })
	wait := s.Every
	last, err := sqldb.One(ctx, s.DB, sqldb.Value[int64], `SELECT COALESCE(MAX(sent_at), 0) FROM canary_run`)
	if err == nil && last > 0 {
		const doors = 5 * time.Second // they open meanwhile
		wait = min(max(doors, time.UnixMicro(last).Add(s.Every).Sub(s.Now())), s.Every)
	}
	next := time.NewTimer(wait)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		next.Reset(s.Every)
		s.each(ctx, func(tenant uint32) {
			if _, err := s.Send(ctx, tenant); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "canary cannot be followed", "tenant", tenant, "err", err)
			}
		})
	}
}

// each calls f for all tenants, a few at a time, and waits.
func (s *Service) each(ctx context.Context, f func(tenant uint32)) {
	const atOnce = 8
	var wg sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for _, tenant := range s.Tenants() {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return
		}
		wg.Go(func() {
			defer func() { <-turn }()
			f(tenant)
		})
	}
	wg.Wait()
}

// resume follows what an earlier process sent, and forgets what is old.
func (s *Service) resume(ctx context.Context, tenant uint32) {
	left, err := sqldb.All(ctx, s.DB, scan, `SELECT `+columns+` FROM canary_run WHERE tenant = $1 AND state = 'running' ORDER BY id`, int64(tenant))
	for i := range left {
		r := &left[i]
		if r.Acked == nil {
			r.State, r.Reason = Aborted, "the server was stopped before the queue had it"
			err = cmp.Or(err, s.save(ctx, s.DB, r))
			continue
		}
		err = cmp.Or(err, s.follow(ctx, r))
	}
	if err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "canaries of before the start cannot be followed", "tenant", tenant, "err", err)
	}
}

// Send sends one canary and follows it until it has come out or is lost.
func (s *Service) Send(ctx context.Context, tenant uint32) (*Run, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	r := &Run{ID: id.String(), Tenant: tenant, State: Running, Sent: s.Now().UTC().Truncate(time.Microsecond)}
	if err := s.save(ctx, s.DB, r); err != nil {
		return nil, err
	}
	record, err := json.Marshal(map[string]string{
		"source": Source, "vendor": "KYRA", "product": "kyra", "canary_run": r.ID,
		"message": "A test event of KYRA's own: nothing has happened",
	})
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, s.Within)
	err = s.Append(waiting, &queue.Chunk{Tenant: tenant, Input: Input, Source: Source, Arrived: r.Sent.UnixNano(), Records: []string{string(record)}})
	cancel()
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case err != nil:
		return r, s.lose(ctx, r, "the queue did not take it: "+err.Error())
	}
	r.Acked = s.moment()
	if err := s.save(ctx, s.DB, r); err != nil {
		return r, err
	}
	return r, s.follow(ctx, r)
}

func (s *Service) moment() *time.Time {
	now := s.Now().UTC()
	return &now
}

// follow looks for r in all the places that it must come to.
func (s *Service) follow(ctx context.Context, r *Run) error {
	deadline := s.Now().Add(s.Within)
	wait := 20 * time.Millisecond
	var last error
	for s.Now().Before(deadline) && (r.Stored == nil || r.Alerted == nil) {
		if last = s.look(ctx, r); last == nil && r.Stored != nil && r.Alerted != nil {
			break
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(wait*5/4, time.Second)
	}
	if r.Stored == nil || r.Alerted == nil {
		why := "not there after " + s.Within.String() + ": " + strings.Join(r.Missing(), ", ")
		if last != nil {
			why += " (" + last.Error() + ")"
		}
		return s.lose(ctx, r, why)
	}
	if err := s.arrive(ctx, r); err != nil {
		return err
	}
	return s.deliver(ctx, r)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look asks store and alerts.
func (s *Service) look(ctx context.Context, r *Run) error {
	if r.Stored == nil {
		found, err := s.Events.Search(ctx, eventstore.Request{
			Tenant: r.Tenant, Filter: query.Equal{Field: query.NewField("canary_run"), Value: r.ID},
			From: r.Sent.Add(-time.Minute).UnixNano(), To: r.Sent.Add(time.Minute).UnixNano(), Limit: 1, NoTotal: true,
		})
		if err != nil {
			return err
		}
		if len(found.Events) > 0 {
			r.Stored, r.Event = s.moment(), found.Events[0].ID.String()
		}
	}
	if r.Alerted == nil {
		page, err := s.Alerts.List(ctx, r.Tenant, alert.Query{Filter: alert.Filter{RuleID: RuleID}, Sort: "lastSeen", Size: 1})
		if err != nil {
			return err
		}
		// One canary of a tenant is under way at a time.
		if len(page.Alerts) > 0 && !page.Alerts[0].LastSeen.Before(r.Sent) {
			r.Alerted, r.Alert = s.moment(), page.Alerts[0].ID
		}
	}
	if r.Event != "" {
		id, err := event.ParseID(r.Event)
		if err != nil {
			return err
		}
		r.Detected = s.detected(r.Tenant, id)
	}
	return nil
}

// arrive writes down that r came out, lets receivers know, and closes old alerts.
func (s *Service) arrive(ctx context.Context, r *Run) error {
	r.State = OK
	s.metrics.came(r, s.Now())
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if err := s.save(ctx, tx, r); err != nil {
			return err
		}
		if err := s.prune(ctx, tx, r.Tenant); err != nil {
			return err
		}
		return outbox.Add(ctx, tx, outbox.Message{
			Tenant: r.Tenant, Event: outbox.Canary, Kind: "alerts", Object: r.ID, Title: "KYRA sees: a test event came through", Severity: "info",
			Text: fmt.Sprintf("Nothing has happened. It was an alert after %d ms.", r.Alerted.Sub(r.Sent).Milliseconds()), Rule: RuleID, Source: Source, At: r.Sent,
		})
	})
	if err != nil {
		return fmt.Errorf("write down a canary: %w", err)
	}
	return s.resolve(ctx, r)
}

// resolve closes alerts of canaries whose day is over.
func (s *Service) resolve(ctx context.Context, r *Run) error {
	page, err := s.Alerts.List(ctx, r.Tenant, alert.Query{Filter: alert.Filter{RuleID: RuleID, Statuses: []alert.Status{alert.Open}}, Size: 20})
	if err != nil {
		return fmt.Errorf("look for old alerts of canaries: %w", err)
	}
	resolved := alert.Resolved
	for i := range page.Alerts {
		a := &page.Alerts[i]
		if a.ID == r.Alert {
			continue
		}
		if _, err := s.Alerts.Patch(ctx, r.Tenant, audit.System, a.ID, alert.Patch{Status: &resolved, Note: "A test of KYRA's own: its day is over."}); err != nil {
			return fmt.Errorf("resolve an old alert of canaries: %w", err)
		}
	}
	return nil
}

// deliver waits until receivers outside have the notice. One that does not take it is
// told of by its webhook, and does not make the canary a lost one.
func (s *Service) deliver(ctx context.Context, r *Run) error {
	type counts struct{ all, done, last int64 }
	deadline := s.Now().Add(min(s.Within, 30*time.Second))
	grace := s.Now().Add(min(s.Within, 3*time.Second)) // until the outbox names the receivers
	for s.Now().Before(deadline) {
		n, err := sqldb.One(ctx, s.DB, func(rows *sql.Rows, n *counts) error { return rows.Scan(&n.all, &n.done, &n.last) }, `
			SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN state = 'DELIVERED' THEN 1 ELSE 0 END), 0) AS BIGINT), COALESCE(MAX(attempted_at), 0)
			FROM webhook_delivery WHERE tenant = $1 AND event = $2 AND object = $3 AND created_at >= $4`, int64(r.Tenant), outbox.Canary, r.ID, r.Sent.UnixMicro())
		if err != nil {
			return fmt.Errorf("look for deliveries: %w", err)
		}
		if n.all == 0 && !s.Now().Before(grace) {
			return nil
		}
		if n.all > 0 {
			r.Awaited = true
			if n.done == n.all {
				at := time.UnixMicro(n.last).UTC()
				r.Delivered = &at
				break
			}
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return s.save(ctx, s.DB, r)
}

// lose writes down that r did not come out and raises the alarm.
func (s *Service) lose(ctx context.Context, r *Run, why string) error {
	r.State, r.Reason = Lost, why
	s.metrics.lost(r)
	s.Log.ErrorContext(ctx, "a canary is lost: KYRA does not see", "tenant", r.Tenant, "run", r.ID, "reason", why)
	now := s.Now()
	f := alert.Finding{
		Tenant:   r.Tenant,
		Rule:     alert.RuleRef{ID: LostRuleID, Name: "A test event did not come out", Author: "KYRA", Origin: "builtin", Version: 1},
		Title:    "KYRA does not see: a test event did not come out",
		Severity: "high", Source: "kyra", Key: "canary",
		Description: "{count} test event(s) that KYRA sends through its own queue, detection and alerts did not come out in time. What is collected meanwhile is kept and will be looked at, but late. " +
			"GET /api/v1/canary names the leg that is missing; the server's log and /readyz say what is wrong with it.",
		First: now.UnixNano(), Last: now.UnixNano(), Count: 1,
	}
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if err := s.save(ctx, tx, r); err != nil {
			return err
		}
		if err := s.Record(ctx, tx, now, []alert.Finding{f}); err != nil {
			return err
		}
		return outbox.Add(ctx, tx, outbox.Message{
			Tenant: r.Tenant, Event: outbox.Canary, Kind: "alerts", Object: r.ID, Title: f.Title, Severity: "high", Text: why, Rule: LostRuleID, Source: Source, At: now,
		})
	})
	if err != nil {
		return fmt.Errorf("raise an alert of a lost canary: %w", err)
	}
	return nil
}

// prune keeps the runs of about a month.
func (s *Service) prune(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `DELETE FROM canary_run WHERE tenant = $1 AND sent_at < $2`, int64(tenant), s.Now().AddDate(0, 0, -30).UnixMicro())
	if err != nil {
		return fmt.Errorf("forget old canaries: %w", err)
	}
	return nil
}
