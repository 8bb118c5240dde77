package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// ledgerLine is a line of the ledger, or its totals.
type ledgerLine struct {
	Source                                 string
	Received, Stored, Quarantined, Dropped int64
	Balanced                               bool
}

type ledgerAnswer struct {
	Content    []ledgerLine
	Totals     ledgerLine
	Unbalanced int64
}

func (p *process) ledger(t *testing.T) (a ledgerAnswer, bySource map[string]ledgerLine) {
	t.Helper()
	if status, err := p.call(http.MethodGet, "/api/v1/ledger?size=100", "", &a); err != nil || status != http.StatusOK {
		t.Fatalf("ledger: %d %v", status, err)
	}
	bySource = map[string]ledgerLine{}
	for _, l := range a.Content {
		bySource[l.Source] = l
	}
	return a, bySource
}

// TestQuarantine sends records that are not what their sender says. They are found and
// counted as quarantined; the re-run makes of each one event more, never two, with the
// alerts that it deserves, and the ledger adds up all the time.
func TestQuarantine(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"))
	var lines strings.Builder
	for i := range 12 {
		fmt.Fprintf(&lines, "Mar  4 05:06:%02d bastion sshd-like: Failed password for root from 203.0.113.40 port 5 ssh2\n", i)
	}
	const broken = `{"user":"cut in the`
	if status, err := p.call(http.MethodPost, "/api/v1/ingest?source=json", lines.String()+broken+"\n", nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	type group struct {
		Reason  string
		Count   int64
		Samples []struct{ ID, Raw string }
	}
	list := func() map[string]group {
		var page struct{ Content []group }
		if status, err := p.call(http.MethodGet, "/api/v1/quarantine?source=json", "", &page); err != nil || status != http.StatusOK {
			t.Fatalf("quarantine: %d %v", status, err)
		}
		groups := map[string]group{}
		for _, g := range page.Content {
			groups[g.Reason] = g
		}
		return groups
	}
	eventually(t, "13 in quarantine", func() bool { g := list(); return g["not_as_hinted"].Count == 12 && g["json_cut"].Count == 1 })
	if g := list()["json_cut"]; len(g.Samples) != 1 || g.Samples[0].Raw != broken {
		t.Errorf("samples: %+v", g)
	}
	if all, by := p.ledger(t); !all.Totals.Balanced || by["json"].Received != 13 || by["json"].Quarantined != 13 || by["json"].Stored != 0 {
		t.Errorf("ledger: %+v", all)
	}

	type result struct {
		Read, Understood, Moved, Refused int64
		ByParser                         map[string]int64
	}
	rerun := func(body string) (r result) {
		t.Helper()
		var j struct {
			ID, State, Reason string
			Result            *result
		}
		if status, err := p.call(http.MethodPost, "/api/v1/quarantine/rerun", body, &j); err != nil || status != http.StatusAccepted {
			t.Fatalf("re-run: %d %v", status, err)
		}
		id := j.ID
		eventually(t, "the job's end", func() bool {
			_, err := p.call(http.MethodGet, "/api/v1/jobs/"+id, "", &j)
			return err == nil && (j.State == "DONE" || j.State == "FAILED")
		})
		if j.Result == nil {
			t.Fatalf("job: %+v", j)
		}
		return *j.Result
	}
	if r := rerun(`{"dryRun":true}`); r.Read != 13 || r.Understood != 12 || r.Moved != 0 || r.Refused != 1 {
		t.Errorf("dry run: %+v", r)
	}
	if r := rerun(`{}`); r.Moved != 12 || r.Refused != 1 {
		t.Errorf("re-run: %+v", r)
	}
	from, to := "2026-01-01T00:00:00Z", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	eventually(t, "12 events, each once", func() bool { return p.search("program:sshd-like", from, to, 1).Total == 12 })
	if n := p.search("parse_error_reason:*", "2000-01-01T00:00:00Z", to, 1).Total; n != 1 {
		t.Errorf("%d are in quarantine, want the broken one", n)
	}
	eventually(t, "the ledger to follow", func() bool {
		all, by := p.ledger(t)
		if !all.Totals.Balanced {
			t.Errorf("the ledger does not add up: %+v", all)
		}
		return all.Totals.Received == 13 && all.Totals.Stored == 12 && by["json"].Quarantined == 1
	})
	if g := list(); len(g) != 1 || g["json_cut"].Count != 1 {
		t.Errorf("quarantine: %+v", g)
	}
	if r := rerun(`{}`); r.Read != 1 || r.Moved != 0 {
		t.Errorf("a second re-run: %+v", r)
	}
	p.stop()
}

// TestLedgerDoesNotAddUp makes a record vanish from the ledger: API, metric and an
// alert say so.
func TestLedgerDoesNotAddUp(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Syslog.UDP, cfg.Syslog.TCP, cfg.Retention.MinFreeBytes = t.TempDir(), "127.0.0.1:0", "", "", 1<<20
	s, err := Open(t.Context(), cfg, nodeCommand(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	now := time.Now()
	record := func(c source.Count) {
		t.Helper()
		c.Tenant, c.Source, c.Arrived = s.tenants.numbers()[0], "sshd", now.UnixNano()
		if err := s.db.Tx(t.Context(), func(tx *sqldb.DB) error { return s.sources.Record(t.Context(), tx, []source.Count{c}) }); err != nil {
			t.Fatal(err)
		}
		if err := s.checkLedger(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	alerts := func() (n int64) {
		t.Helper()
		n, err := sqldb.One(t.Context(), s.db, sqldb.Value[int64], `SELECT COUNT(*) FROM alert WHERE severity = 'high' AND source = 'kyra'`)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	record(source.Count{Received: 5, Stored: 5})
	if s.integrity.wrong.Load() != 0 || alerts() != 0 {
		t.Fatal("a ledger that adds up is red")
	}
	record(source.Count{Received: 1})
	record(source.Count{})
	if s.integrity.wrong.Load() != 1 || alerts() != 1 {
		t.Errorf("%d lines are wrong and %d alerts tell, want 1 and 1", s.integrity.wrong.Load(), alerts())
	}
	var page strings.Builder
	s.metrics.WritePrometheus(&page)
	if !strings.Contains(page.String(), "kyra_ledger_unbalanced 1\n") {
		t.Errorf("metrics:\n%s", page.String())
	}
	record(source.Count{Stored: 1})
	if s.integrity.wrong.Load() != 0 {
		t.Error("it stays red")
	}
}
