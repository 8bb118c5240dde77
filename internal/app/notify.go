package app

import (
	"os"
	"time"

	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/notify"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// telling is everything between the outbox and receivers outside.
type telling struct {
	sealer   *seal.Sealer
	guard    *outbound.Guard // of every call to an address that somebody typed in
	hooks    *webhook.Service
	notifier *notify.Notifier

	notices    *notice.Service
	connectors *connector.Service
}

// arrivals reads events in the order in which they were stored.
func (s *Server) arrivals() *arrival.Reader {
	return &arrival.Reader{DB: s.db, Archive: s.archive, Events: s.store, Partition: s.queue.Partition}
}

// openTelling needs the database and the address of the API.
func (s *Server) openTelling(now func() time.Time) error {
	t := &s.telling
	var err error
	if t.sealer, err = s.sealer(); err != nil {
		return err
	}
	if t.guard, err = outbound.NewGuard(s.cfg.Allowed()); err != nil {
		return err
	}
	t.hooks = webhook.New(webhook.Config{DB: s.db, Sealer: t.sealer, CheckURL: t.guard.CheckURL, Render: notify.Renderer(s.URL), Now: now})
	render := notify.Renderer(s.URL)
	t.connectors = connector.New(connector.Config{
		DB: s.db, Hooks: t.hooks, Sealer: t.sealer, Guard: t.guard, Render: render, Alerts: s.detection.alerts, Agent: "KYRA/" + Version(), Log: s.log, Now: now,
		Events: s.arrivals(),
	})
	t.notices = notice.New(notice.Config{DB: s.db, Hooks: t.hooks, Sealer: t.sealer, CheckURL: t.guard.CheckURL, Render: render, Link: notify.Link(s.URL), Log: s.log, Now: now})
	if err := s.openPlaybooks(now); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	// The folder is held by one server at a time: its name tells servers apart, and is
	// the same after a restart.
	t.notifier = notify.New(notify.Config{
		DB: s.db, Hooks: t.hooks, Guard: t.guard, Holder: host + ":" + s.folder.path, Version: Version(), Metrics: s.metrics, Log: s.log, Now: now,
		Notices: t.notices, Connectors: t.connectors,
		Playbooks: s.playbooks.Sink,
	})
	return nil
}
