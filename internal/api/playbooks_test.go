package api

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/playbook"
	sealing "github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/playbooks"
)

func newPlaybooks(tb testing.TB, s *server) *playbook.Service {
	tb.Helper()
	sealer, err := sealing.New(make([]byte, sealing.KeySize))
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

func TestPlaybooks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if a := s.get(base + "/playbooks?trigger=incident.created&search=brute"); a.status != 200 || !strings.Contains(a.body, `"outsideSteps":["block"]`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a := s.post(base+"/playbooks", "id: a\nname: A\ntrigger: {event: manual}\nsteps:\n  - {id: s, action: wait, with: {for: 1h}}\n", "Content-Type: application/yaml")
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	path := a.header.Get("Location")
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", path + "/dry-run", "", 200},
		{"POST", path + "/run", "", 202},
		{"GET", path + "/versions", "", 200},
		{"PATCH", path, `{"enabled":false}`, 200},
		{"DELETE", path, "", 409},
		{"PUT", base + "/playbook-secrets/fw", `{"value":"hunter2!"}`, 200},
		{"GET", base + "/playbook-secrets", "", 200},
		{"DELETE", base + "/playbook-secrets/fw", "", 204},
		{"GET", base + "/playbook-runs?status=QUEUED", "", 200},
	} {
		if a := s.do(s.rw, c.method, c.path, c.body); a.status != c.want || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
		}
	}
	if a := s.do(s.foreign, "GET", path, ""); a.status != 404 {
		t.Errorf("another tenant: %d", a.status)
	}
}
