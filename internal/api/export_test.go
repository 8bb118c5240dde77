package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert/alerttest"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/vault"
)

func rowsOf(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestExport(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	formula := bruteForce(s.a, "10.0.1.2")
	formula.Title, formula.Rule.ID, formula.Severity = `=HYPERLINK("http://evil")`, "formula", "low"
	s.record(noon, bruteForce(s.a, "10.0.1.1"))
	s.pass(time.Minute)
	s.record(noon.Add(time.Minute), formula)

	a := s.get("/api/v1/export/alerts?format=csv").want(200)
	if ct, cd := a.header.Get("Content-Type"), a.header.Get("Content-Disposition"); ct != "text/csv; charset=utf-8; header=present" || cd != `attachment; filename="alerts-20260422T120100Z.csv"` {
		t.Errorf("headers are %q, %q", ct, cd)
	}
	rows := rowsOf(t, a.body)
	if len(rows) != 3 || strings.Join(rows[0], " ") != "id title severity status source mitreTactic mitreTechnique createdAt description" || rows[1][1] != `'=HYPERLINK("http://evil")` || rows[2][2] != "high" {
		t.Errorf("rows are %q", rows)
	}
	// The same filters as the list, and the same items.
	if rows := rowsOf(t, s.get("/api/v1/export/alerts?severity=high").want(200).body); len(rows) != 2 {
		t.Errorf("severity=high exports %d rows", len(rows)-1)
	}
	list := s.get("/api/v1/alerts").want(200)
	j := s.get("/api/v1/export/alerts?format=json").want(200)
	want, _ := json.Marshal(list.at("content"))
	got, _ := json.Marshal(j.json())
	if string(got) != string(want) || j.header.Get("Content-Type") != "application/json" {
		t.Errorf("export %s\nlist %s", got, want)
	}
	lines := s.do(s.ro, "GET", "/api/v1/export/alerts", "", "Accept: application/x-ndjson").want(200)
	if n := strings.Count(lines.body, "\n"); n != 2 || lines.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d lines of %q", n, lines.header.Get("Content-Type"))
	}
	// Each is in the audit log, and another tenant has its own only.
	s.get("/api/v1/audit-logs?action=export.create&object=alerts").is("totalElements", 4).is("content.0.actor", "key:A read-only").is("content.3.detail.query", "format=csv")
	if rows := rowsOf(t, s.do(s.foreign, "GET", "/api/v1/export/alerts", "").want(200).body); len(rows) != 1 {
		t.Errorf("another tenant exports %d rows", len(rows)-1)
	}
	s.get("/api/v1/export/alerts?format=xml").problem(400, "Invalid format value", "Allowed: csv, json")
	s.get("/api/v1/export/alerts?page=1").problem(400, "", "")
	s.get("/api/v1/export/secrets").problem(404, "", "")
	s.do("", "GET", "/api/v1/export/alerts", "").problem(401, "", "")
	s.get("/api/v1/export/alerts?severity=urgent").problem(400, "Invalid severity value", "")
	for resource, columns := range map[string]int{"incidents": 9, "detection-rules": 28, "audit-logs": 11} {
		if rows := rowsOf(t, s.get("/api/v1/export/"+resource).want(200).body); len(rows) < 2 && resource != "detection-rules" || len(rows[0]) != columns {
			t.Errorf("%s: %d rows, columns %q", resource, len(rows)-1, rows[0])
		}
	}
}

func TestExportLater(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) {
		v, err := vault.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		c.Exports = NewExports(v)
		c.Jobs = job.New(c.DB, job.Config{Log: c.Log, Workers: 1}, c.Exports.Kinds())
		go func() { _ = c.Jobs.Run(t.Context()) }() // it ends with the test
	})
	s.record(noon, bruteForce(s.a, "10.0.1.1"))
	j := s.do(s.ro, "GET", "/api/v1/export/alerts?format=csv", "", "Prefer: respond-async").want(202).is("kind", "export").is("subject", "alerts")
	at := j.header.Get("Location")
	if at != "/api/v1/jobs/"+j.text("id") || j.header.Get("Preference-Applied") != "respond-async" {
		t.Errorf("headers are %v", j.header)
	}
	deadline := time.Now().Add(20 * time.Second)
	for s.get(at).want(200).text("state") != "DONE" {
		if time.Now().After(deadline) {
			t.Fatalf("the job is %s", s.get(at).body)
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.get(at).is("result.rows", 1)
	file := "/api/v1/exports/" + j.text("id") + "/file"
	f := s.get(file).want(200)
	if rows := rowsOf(t, f.body); len(rows) != 2 || !strings.HasPrefix(f.header.Get("Content-Disposition"), "attachment; filename=alerts-") {
		t.Errorf("the file has %d rows, headers %v", len(rows)-1, f.header)
	}
	s.do(s.foreign, "GET", file, "").problem(404, "", "")

	// Who may not read jobs has those that they began, and no others.
	auditor := s.person(s.a, identity.Auditor)
	s.do("", "GET", file, "", auditor).problem(404, "", "")
	s.do("", "GET", at, "", auditor).problem(404, "", "")
	s.do("", "GET", "/api/v1/jobs", "", auditor).want(403)
	own := s.do("", "GET", "/api/v1/export/audit-logs?format=csv", "", auditor, "Prefer: respond-async").want(202)
	for deadline := time.Now().Add(20 * time.Second); s.do("", "GET", own.header.Get("Location"), "", auditor).want(200).text("state") != "DONE"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the auditor's export does not end")
		}
	}
	s.do("", "GET", "/api/v1/exports/"+own.text("id")+"/file", "", auditor).want(200)
}

// rowCounter counts the lines that go by; no cell of what is measured has two.
type rowCounter struct {
	header http.Header
	rows   int
}

func (c *rowCounter) Header() http.Header { return c.header }
func (c *rowCounter) WriteHeader(int)     {}
func (c *rowCounter) Write(p []byte) (int, error) {
	c.rows += bytes.Count(p, []byte{10})
	return len(p), nil
}

// All alerts as CSV: rows a second, and the most memory that was in use meanwhile.
func BenchmarkExportAlerts(b *testing.B) {
	n := 500_000
	if text := os.Getenv("KYRA_BENCH_ALERTS"); text != "" {
		n, _ = strconv.Atoi(text) // 0 shows
	}
	s := newServer(b)
	alerttest.Seed(b, s.db, s.a.Number, n, noon)
	runtime.GC()
	var before, most runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		done := make(chan struct{})
		go func() {
			for {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				if m.HeapInuse > most.HeapInuse {
					most = m
				}
				select {
				case <-done:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		}()
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/v1/export/alerts?format=csv", nil)
		r.Header.Set("Authorization", "Bearer "+s.ro)
		w := &rowCounter{header: http.Header{}}
		s.h.ServeHTTP(w, r)
		close(done)
		if w.rows != n+1 {
			b.Fatalf("%d rows, want %d", w.rows, n+1)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(most.HeapInuse)/(1<<20), "MiB-heap")
}
