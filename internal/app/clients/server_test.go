package clients

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A server is `kyra serve` of the tree under test.
type server struct {
	data, url, key, token string
	udp, tcp, tls         string
	relp, relpTLS         string
	ca                    string // PEM file that syslog's certificate can be checked with
}

// startServer builds and starts a server that listens for everything, and ends it
// with the test.
func startServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "kyra")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/kyra-mdr/kyra/cmd/kyra").CombinedOutput(); err != nil { //nolint:gosec // our own program
		t.Fatalf("build: %v\n%s", err, out)
	}
	cert, key := certificate(t)
	s := &server{data: filepath.Join(dir, "data"), udp: freeAddr(t), tcp: freeAddr(t), tls: freeAddr(t), relp: freeAddr(t), relpTLS: freeAddr(t), ca: cert}
	file := filepath.Join(dir, "kyra.yaml")
	text := fmt.Sprintf("data: %s\nlisten: 127.0.0.1:0\nretention: {min_free_bytes: 1MiB}\nsyslog:\n  udp: %s\n  tcp: %s\n  tls: %s\n  relp: %s\n  relp_tls: %s\n  cert: %s\n  key: %s\n",
		s.data, s.udp, s.tcp, s.tls, s.relp, s.relpTLS, cert, key)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer                                    // read when the process has ended
	cmd := exec.Command(program, "serve", "--config", file) //nolint:gosec,noctx // our own program; it is stopped in order
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 64)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		for range said { //nolint:revive // until it closes its output
		}
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("server ended with %v and said:\n%s", err, log.String())
		}
	})
	for line := range said {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "API" {
			s.url = strings.TrimSuffix(f[1], "/api/v1")
		}
		if line == "ready" {
			text, err := os.ReadFile(filepath.Join(s.data, "first-key"))
			if err != nil {
				t.Fatal(err)
			}
			s.key = strings.TrimSpace(string(text))
			var made struct {
				Token string `json:"token"`
			}
			s.call(t, "/api/v1/ingest-tokens", map[string]any{"name": "clients"}, &made)
			s.token = made.Token
			return s
		}
	}
	t.Fatal("the server did not come up")
	return nil
}

// call posts in as JSON and decodes the answer into out.
func (s *server) call(t *testing.T, path string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("POST %s: %s: %.500s", path, resp.Status, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatalf("POST %s: %v in %.500s", path, err, answer)
	}
}

// An answer is what a search found.
type answer struct {
	Events     []found `json:"events"`
	Total      int     `json:"total"`
	NextCursor string  `json:"nextCursor"`
}

type found struct {
	Timestamp time.Time      `json:"timestamp"`
	Host      string         `json:"host"`
	Severity  string         `json:"severity"`
	Message   string         `json:"message"`
	Fields    map[string]any `json:"fields"`
}

// search returns at most limit events of an hour around now.
func (s *server) search(t *testing.T, query string, limit int) (a answer) {
	t.Helper()
	s.call(t, "/api/v1/siem/search", map[string]any{
		"query": query, "limit": limit,
		"fromTime": time.Now().Add(-2 * time.Hour).UTC().Format(time.RFC3339), "toTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	}, &a)
	return a
}

// dropped adds up what the server says it dropped of an input, the kernel's drops
// of its sockets among it.
func (s *server) dropped(t *testing.T, input string) int {
	t.Helper()
	resp, err := http.Get(s.url + "/metrics") //nolint:noctx // of our own server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sum := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), `kyra_ingest_dropped_total{input="`+input+`"`); ok {
			n, err := strconv.Atoi(rest[strings.LastIndexByte(rest, ' ')+1:])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// ledger adds up the ledger of the first tenant. It reads the server's database.
func (s *server) ledger(t *testing.T) (sum source.Entry) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(s.data, "kyra.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // only read
	entries, err := source.New(db, time.Now).Ledger(t.Context(), 1, time.Now().Add(-3*time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		sum.Received += e.Received
		sum.Stored += e.Stored
		sum.Quarantined += e.Quarantined
		sum.Dropped += e.Dropped
	}
	return sum
}

// eventually waits until ok holds, or patience ends: then it tells what it waited
// for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const patience = 90 * time.Second // of a loaded machine
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// freeAddr returns an address of loopback that is free for TCP and UDP.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it is let go of
	return l.Addr().String()
}

// port returns the port of an address.
func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// start starts a program whose output is shown if the test fails, and ends it
// with the test.
func start(t *testing.T, env []string, name string, args ...string) (wait func() error) {
	t.Helper()
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	wait = func() error {
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() {
		cancel()
		_ = wait()
		if t.Failed() {
			t.Logf("%s said:\n%.4000s", filepath.Base(name), out.String())
		}
	})
	return wait
}
