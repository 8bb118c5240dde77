package app

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
)

// TestFullDiskIsSaid asks for more free space than any disk has: new events are
// refused with the remedy, readiness tells why, and what is stored is found.
func TestFullDiskIsSaid(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data)
	line := "<38>1 " + time.Now().UTC().Format(time.RFC3339) + " h fullapp - - - before"
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", line, nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	p.stop()

	p = startProcess(t, data, "KYRA_RETENTION_MIN_FREE_BYTES=1000000TiB")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/api/v1/ingest", strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "disk is nearly full") {
		t.Errorf("%d, Retry-After %q: %s %v", resp.StatusCode, resp.Header.Get("Retry-After"), body, err)
	}
	var parts map[string]string
	if status, err := p.call(http.MethodGet, "/readyz", "", &parts); err != nil || status != http.StatusServiceUnavailable || !strings.Contains(parts["disk"], "nearly full") {
		t.Errorf("readiness: %d %v %v", status, parts, err)
	}
	from, to := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if n := p.search("program:fullapp", from, to, 1).Total; n != 1 {
		t.Errorf("%d events are found, want 1", n)
	}
	p.stop()
}

// TestOldDatabaseAndLostQueue puts back a database from before the newest events,
// with the queue gone: no sequence is given twice, so nothing new is taken for
// archived or stored.
func TestOldDatabaseAndLostQueue(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	send := func(p *process, text string) {
		t.Helper()
		line := "<38>1 " + time.Now().UTC().Format(time.RFC3339) + " h backupapp - - - " + text
		if status, err := p.call(http.MethodPost, "/api/v1/ingest", line, nil); err != nil || status != http.StatusOK {
			t.Fatalf("ingest: %d %v", status, err)
		}
	}
	p := startProcess(t, data)
	p.stop()
	backup, err := os.ReadFile(filepath.Join(data, "kyra.db"))
	if err != nil {
		t.Fatal(err)
	}
	p = startProcess(t, data)
	for range 3 {
		send(p, "before the loss")
	}
	from, to := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	// What a stop finds in the queue stays there, and would be lost with it.
	eventually(t, "three events", func() bool { return p.search("program:backupapp", from, to, 1).Total == 3 })
	p.stop()
	for _, name := range []string{"kyra.db", "kyra.db-wal", "kyra.db-shm", "queue"} {
		if err := os.RemoveAll(filepath.Join(data, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "kyra.db"), backup, 0o600); err != nil {
		t.Fatal(err)
	}
	p = startProcess(t, data)
	send(p, "after the loss")
	eventually(t, "four events", func() bool { return p.search("program:backupapp", from, to, 1).Total == 4 })
	p.stop()
	report, err := archive.Verify(t.Context(), filepath.Join(data, "archive"), nil)
	if err != nil || len(report.Faults) > 0 || report.Records != 4 {
		t.Errorf("archive: %+v %v, want 4 records", report, err)
	}
}
