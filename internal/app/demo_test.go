package app

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestDemoComesAndGoes loads the recorded attack beside what a server took in, and removes
// it: what is real does not change by either.
func TestDemoComesAndGoes(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data)
	defer p.stop()
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", "<38>1 2026-01-02T03:04:05Z web-01 sshd 7 - - Failed password for root from 203.0.113.9 port 2000 ssh2\n", nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	const from, to = "2000-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
	eventually(t, "the real event", func() bool { return p.search("source:sshd", from, to, 1).Total == 1 })
	archives := func() int {
		list, err := os.ReadDir(filepath.Join(data, "archive"))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := archives()

	type state struct {
		On     bool
		Events int64
		JobID  *string
	}
	var s state
	p.ask(http.MethodPost, "/api/v1/demo", "", http.StatusAccepted, &s)
	if !s.On || s.JobID == nil {
		t.Fatalf("loading: %+v", s)
	}
	p.ask(http.MethodPost, "/api/v1/demo", "", http.StatusConflict, nil)
	idle := func() bool {
		s = state{}
		p.ask(http.MethodGet, "/api/v1/demo", "", http.StatusOK, &s)
		return s.JobID == nil
	}
	eventually(t, "the demo data", idle)
	if !s.On || s.Events < 30_000 || archives() != before+1 {
		t.Errorf("loaded: %+v, %d archives", s, archives())
	}
	var stats struct {
		Total int64 `json:"total_alerts"`
	}
	p.ask(http.MethodGet, "/api/v1/alerts/stats", "", http.StatusOK, &stats)
	if n := p.search("NOT source:kyra", from, to, 1).Total; n != 1 || stats.Total != 0 {
		t.Errorf("the real tenant has %d events and %d alerts", n, stats.Total)
	}

	p.ask(http.MethodDelete, "/api/v1/demo", "", http.StatusAccepted, &s)
	eventually(t, "its removal", idle)
	if s.On || s.Events != 0 || archives() != before {
		t.Errorf("removed: %+v, %d archives", s, archives())
	}
	if n := p.search("source:sshd", from, to, 1).Total; n != 1 {
		t.Errorf("the real tenant has %d events", n)
	}
	p.ask(http.MethodDelete, "/api/v1/demo", "", http.StatusNotFound, nil)
	p.ask(http.MethodPost, "/api/v1/demo", "", http.StatusAccepted, &s) // and once more
	eventually(t, "the demo data again", idle)
}
