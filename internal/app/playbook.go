package app

import (
	"os"
	"time"

	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/playbook"
	"github.com/kyra-mdr/kyra/playbooks"
)

// openPlaybooks needs detection, the event store, and what telling opened.
func (s *Server) openPlaybooks(now func() time.Time) error {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	s.playbooks, err = playbook.New(playbook.Config{
		DB: s.db, Alerts: s.detection.alerts, Incidents: s.detection.incidents, Events: s.store, Sealer: s.telling.sealer,
		Client:  s.telling.guard.Client(outbound.Limits{Total: 6 * time.Minute, PerHost: 64}), // each step has a shorter one
		Builtin: playbooks.FS, Holder: host + ":" + s.folder.path, Metrics: s.metrics, Log: s.log, Now: now,
	})
	return err
}
