package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	flushEvery = time.Second
	lookEvery  = 2 * time.Second
)

// Run writes down what collectors report and notices who is gone, until ctx is done.
func (s *Service) Run(ctx context.Context) error {
	flush, look := time.NewTicker(flushEvery), time.NewTicker(lookEvery)
	defer flush.Stop()
	defer look.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.Flush(last); err != nil {
				s.Log.WarnContext(last, "last heartbeats of collectors not written", "err", err)
			}
			return nil
		case <-flush.C:
			err = s.Flush(ctx)
		case <-look.C:
			err = s.Look(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "collectors not looked after: tried again in a moment", "err", err)
		}
	}
}

// Look announces each collector, once, of which nothing was heard for
// source.OfflineAfter. While this server could not hear, because it had not started
// or was held up, nobody is gone.
func (s *Service) Look(ctx context.Context) error {
	now := s.moment()
	if s.looked.IsZero() || now.Sub(s.looked) > source.BeatEvery || now.Before(s.looked) {
		s.fair = now
	}
	s.looked = now
	if now.Sub(s.fair) < source.OfflineAfter {
		return nil
	}
	// What was heard and not written counts.
	if err := s.Flush(ctx); err != nil {
		return err
	}
	since := now.Add(-source.OfflineAfter).UnixMicro()
	const gone = ` m.away_since IS NULL AND m.revoked_at IS NULL AND m.report <> '' AND c.last_heartbeat < $1`
	all, err := sqldb.All(ctx, s.DB, scanMember, memberColumns+` WHERE`+gone+` ORDER BY m.id LIMIT 1000`, since)
	if err != nil {
		return err
	}
	for i := range all {
		m := &all[i]
		err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
			// Another server may have heard of it or announced it meanwhile.
			n, err := sqldb.Exec(ctx, tx, `
				UPDATE fleet_member SET away_since = $2 WHERE id = $3 AND EXISTS (
					SELECT 1 FROM fleet_member m JOIN collector c ON c.id = m.id WHERE m.id = $3 AND`+gone+`)`, since, now.UnixMicro(), m.ID)
			if err != nil || n == 0 {
				return err
			}
			return outbox.Add(ctx, tx, outbox.Message{
				Tenant: m.Tenant, Event: outbox.CollectorDisconnected, Object: m.ID, Kind: "collectors", Severity: "high", At: now,
				Title: fmt.Sprintf("Collector %s is disconnected", m.Name),
				Text:  fmt.Sprintf("Nothing was heard of the collector on %s since %s: no logs of it arrive.", m.Hostname, m.Heard.Format(time.RFC3339)),
			})
		})
		if err != nil {
			return err
		}
		s.Log.WarnContext(ctx, "collector is gone", "collector", m.ID, "name", m.Name, "host", m.Hostname, "last_heartbeat", m.Heard)
	}
	return nil
}
