package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/kyra-mdr/kyra/internal/api"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

type demoState struct {
	On       bool
	Events   int64
	JobID    *string
	Removing bool
}

// TestDemoSurvives kills the server while it loads the recording: the next start loads the
// rest, and no line twice. Then it is removed while it is loaded again.
func TestDemoSurvives(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data)
	var s demoState
	state := func() demoState {
		s = demoState{}
		p.ask(http.MethodGet, "/api/v1/demo", "", http.StatusOK, &s)
		return s
	}
	p.ask(http.MethodPost, "/api/v1/demo", "", http.StatusAccepted, &s)
	loading := *s.JobID
	eventually(t, "some of the recording", func() bool { return state().Events > 0 })
	p.killAll()
	p = startProcess(t, data)
	defer p.stop()
	eventually(t, "the rest", func() bool { return state().JobID == nil })
	var j struct {
		State  string
		Result struct{ Lines, Events int64 }
	}
	p.ask(http.MethodGet, "/api/v1/jobs/"+loading, "", http.StatusOK, &j)
	if j.State != string(job.Done) || j.Result.Lines < 30_000 || s.Events != j.Result.Lines {
		t.Errorf("loaded: %+v, job %+v", s, j)
	}
	p.ask(http.MethodDelete, "/api/v1/demo", "", http.StatusAccepted, &s)
	eventually(t, "its removal", func() bool { return state().JobID == nil })
	p.ask(http.MethodPost, "/api/v1/demo", "", http.StatusAccepted, &s)
	loading = *s.JobID
	eventually(t, "some of it again", func() bool { return state().Events > 0 })
	p.ask(http.MethodDelete, "/api/v1/demo", "", http.StatusAccepted, &s)
	eventually(t, "its removal while it is loaded", func() bool { return state().JobID == nil && !s.On })
	j.State = ""
	p.ask(http.MethodGet, "/api/v1/jobs/"+loading, "", http.StatusOK, &j)
	list, err := os.ReadDir(filepath.Join(data, "archive"))
	if err != nil || j.State != string(job.Cancelled) || len(list) > 1 { // the own tenant's
		t.Errorf("the job is %s, %d archives, %v", j.State, len(list), err)
	}
}

// What cannot be filled is not made, and what a process left empty the next one fills, once.
func TestDemoIsFilledOrNotMade(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		tenants := tenant.New(db)
		of, err := tenants.Create(t.Context(), "test", tenant.Draft{Name: "Acme"})
		if err != nil {
			t.Fatal(err)
		}
		cache, err := newTenantCache(t.Context(), tenants)
		if err != nil {
			t.Fatal(err)
		}
		before := len(cache.numbers())
		s := &Server{db: db, log: slog.New(slog.DiscardHandler), tenants: cache}
		s.detection.jobs = job.New(db, job.Config{}, nil) // which knows no such job
		if _, err := s.startDemo(tenants)(t.Context(), "user:ann", of); err == nil {
			t.Fatal("it was started")
		}
		if all, err := tenants.List(t.Context()); err != nil || len(all) != before {
			t.Errorf("%d tenants, %v, before %d", len(all), err, before)
		}

		s.detection.jobs = job.New(db, job.Config{}, s.demoKinds(tenants))
		made, err := tenants.CreateDemo(t.Context(), "user:ann", of)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.resumeDemos(t.Context(), tenants); err != nil {
				t.Fatal(err)
			}
		}
		loads, err := s.demoLoads(t.Context(), of.Number)
		if err != nil || len(loads) != 1 || loads[0].Subject != made.ID || loads[0].Actor != "user:ann" {
			t.Fatalf("%+v, %v", loads, err)
		}
		if _, err := s.endDemo(t.Context(), "user:ann", &tenant.Demo{Number: made.Number, Of: of.Number}); err != nil {
			t.Fatal(err)
		}
		if loads, err := s.demoLoads(t.Context(), of.Number); err != nil || len(loads) > 0 {
			t.Errorf("while it is removed: %+v, %v", loads, err)
		}
		if j, err := s.detection.jobs.Latest(t.Context(), of.Number, api.DemoJobs[0], made.ID); err != nil || j.State != job.Cancelled {
			t.Errorf("%+v, %v", j, err)
		}
		params, err := json.Marshal(demoWork{Tenant: made.Number + 1, Of: of.Number})
		if err != nil {
			t.Fatal(err)
		}
		gone := &job.Task{Job: job.Job{Params: params}}
		if _, err := s.loadDemo(t.Context(), tenants, gone); !errors.Is(err, fault.NotFound) {
			t.Errorf("loading what was removed: %v", err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.removeDemo(cancelled, tenants, gone); err == nil || errors.Is(err, fault.Conflict) {
			t.Errorf("what fails is no clash: %v", err)
		}
	})
}

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

	var s demoState
	p.ask(http.MethodPost, "/api/v1/demo", "", http.StatusAccepted, &s)
	if !s.On || s.JobID == nil || s.Removing {
		t.Fatalf("loading: %+v", s)
	}
	p.ask(http.MethodPost, "/api/v1/demo", "", http.StatusConflict, nil)
	idle := func() bool {
		s = demoState{}
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
	if s.JobID == nil || !s.Removing {
		t.Errorf("removing: %+v", s)
	}
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
