package api

import (
	"log/slog"
	"testing"

	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/playbook"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/playbooks"
)

func newPlaybooks(tb testing.TB, s *server) *playbook.Service {
	tb.Helper()
	sealer, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	guard, err := outbound.NewGuard(nil)
	if err != nil {
		tb.Fatal(err)
	}
	service, err := playbook.New(playbook.Config{
		DB: s.db, Alerts: s.cfg.Alerts, Incidents: s.cfg.Incidents, Events: s.cfg.Events, Sealer: sealer, Client: guard.Client(outbound.Limits{}), Builtin: playbooks.FS,
		Holder: "test", Log: slog.New(slog.DiscardHandler), Now: s.now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return service
}
