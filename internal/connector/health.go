package connector

import (
	"context"
	"database/sql"
	"encoding/json"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	// CheckEvery is how often an enabled connector is looked at.
	CheckEvery = 5 * time.Minute
	keepHealth = 288 // one day
	lookAtOnce = 4
	flushEvery = 5 * time.Second
)

const selectHealth = `SELECT at, status, checks FROM connector_health`

func scanHealth(rows *sql.Rows, h *Health) error {
	var text string
	if err := rows.Scan(sqldb.Micros(&h.At), &h.Status, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), &h.Checks)
}

// History returns the newest up to limit looks at the tenant's connector, newest first.
func (s *Service) History(ctx context.Context, tenant uint32, id string, limit int) (list []Health, err error) {
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		c, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scanHealth, selectHealth+` WHERE connector_id = $1 ORDER BY at DESC LIMIT $2`, c.ID, limit)
		return err
	})
	return list, fault.Wrap("read health", err)
}

// keepHealth stores what was found, and has it told when it changed for the worse or back.
func (s *Service) keepHealth(ctx context.Context, c *Connector, h *Health) error {
	text, err := json.Marshal(h.Checks)
	if err != nil {
		return err
	}
	return fault.Wrap("keep health", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		before, err := sqldb.All(ctx, tx, scanHealth, selectHealth+` WHERE connector_id = $1 ORDER BY at DESC LIMIT 1`, c.ID)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO connector_health (connector_id, at, status, checks) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, c.ID, h.At.UnixMicro(), string(h.Status), string(text)); err != nil {
			if sqldb.Violation(err) == sqldb.ForeignKey {
				return errNone // deleted meanwhile
			}
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM connector_health WHERE connector_id = $1 AND at <= (SELECT at FROM connector_health WHERE connector_id = $1 ORDER BY at DESC LIMIT 1 OFFSET $2)`, c.ID, keepHealth); err != nil {
			return err
		}
		was := OK
		if len(before) > 0 {
			was = before[0].Status
		}
		if was == h.Status {
			return nil
		}
		m := outbox.Message{Tenant: c.Tenant, Event: outbox.ConnectorUnhealthy, Kind: "connectors", Object: c.ID, Title: "Connector " + c.Name + " does not work", Severity: "medium", At: h.At}
		for _, check := range h.Checks {
			if check.Status == Failed {
				m.Text = check.Name + ": " + check.Message
				break
			}
		}
		if h.Status == OK {
			m.Title, m.Severity, m.Text = "Connector "+c.Name+" works again", "info", ""
		}
		return outbox.Add(ctx, tx, m)
	}))
}

// Run looks after health, exports and counts until ctx is done.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var work sync.WaitGroup
	work.Go(func() { s.runExports(ctx) })
	work.Go(func() { s.runForwards(ctx) })
	var swept time.Time
	for {
		s.report(ctx, "connectors not looked at", s.look(ctx))
		s.report(ctx, "counts not kept", s.flush(ctx))
		if now := s.now(); now.Sub(swept) >= time.Minute {
			swept = now
			_, err := sqldb.Exec(ctx, s.db, `DELETE FROM connector_minute WHERE minute < $1`, now.Unix()/60-keepMinutes)
			s.report(ctx, "old counts not removed", err)
		}
		select {
		case <-ctx.Done():
			work.Wait()
			s.client.CloseIdleConnections()
			return s.flush(context.WithoutCancel(ctx))
		case <-tick.C:
		}
	}
}

func (s *Service) runExports(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		again, err := s.export(ctx)
		s.report(ctx, "exports stand still", err)
		if again && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Service) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "connectors stand still", "what", what, "err", err)
	}
}

// look checks the connectors that are due, a few at a time.
func (s *Service) look(ctx context.Context) error {
	now := s.now()
	due, err := sqldb.All(ctx, s.db, scan, selectConnector+` WHERE enabled AND check_at <= $1 ORDER BY check_at, id LIMIT 50`, now.UnixMicro())
	if err != nil {
		return err
	}
	slots := make(chan struct{}, lookAtOnce)
	for i := range due {
		c := &due[i]
		// Of several servers the one that moves the time on looks.
		n, err := sqldb.Exec(ctx, s.db, `UPDATE connector SET check_at = $2 WHERE id = $1 AND check_at <= $3`, c.ID, now.Add(CheckEvery).UnixMicro(), now.UnixMicro())
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			s.report(ctx, "health not kept", s.lookAt(ctx, c))
		}()
	}
	for range lookAtOnce {
		slots <- struct{}{}
	}
	return nil
}

func (s *Service) lookAt(ctx context.Context, c *Connector) error {
	full, err := s.Get(ctx, c.Tenant, c.ID)
	if err != nil {
		return err
	}
	conf, err := s.settings(full)
	if err != nil {
		return err
	}
	checks := s.probe(ctx, full.Kind, conf, false)
	flow, err := s.flow(ctx, full)
	if err != nil || ctx.Err() != nil {
		return err
	}
	return s.keepHealth(ctx, full, healthOf(s.now(), append(checks, flow)))
}

// readByFeeds says who reads what a TAXII server serves.
const readByFeeds = "A connector only watches the server. Its indicators are read by a feed of threat intelligence with format taxii and this address: POST /api/v1/threat-intel-feeds."

// flow says whether what should go through a connector does.
func (s *Service) flow(ctx context.Context, c *Connector) (Check, error) {
	if c.Kind == TAXII {
		return Check{Name: dataFlow, Status: Skipped, Message: readByFeeds}, nil
	}
	check := Check{Name: dataFlow, Status: Skipped, Message: "Nothing was to be sent within the last hour."}
	if c.LastError != "" && (c.Kind.receives() || c.Kind == S3) {
		check.Status, check.Message = Failed, c.LastError
		return check, nil
	}
	all, err := s.Metrics(ctx, c.Tenant, c.ID)
	if err != nil {
		return check, err
	}
	hour, lately := all[len(all)-1], all[1]
	switch {
	case hour.Sent > 0 && (lately.Failed == 0 || lately.Sent > 0):
		check.Status, check.Message = OK, ""
	case hour.Failed > 0:
		check.Status, check.Message = Failed, "Everything that was sent lately failed."
	}
	return check, nil
}
