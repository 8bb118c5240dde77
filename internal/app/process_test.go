package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/telemetry"
)

// The test binary is also the server under test and its event store, so that
// they can be killed like the real ones.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "eventstore":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := RunEventStore(ctx, os.Args[2:])
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case os.Getenv(agentEnv) != "":
		if err := agentForTest(os.Getenv(agentEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case os.Getenv("KYRA_TEST_SERVE") != "":
		if err := serveForTest(os.Getenv("KYRA_TEST_SERVE")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(runTests(m))
}

// nodeEnv names the program whose command eventstore is a storage node.
const nodeEnv = "KYRA_TEST_NODE"

// nodeCommand is how storage nodes are started: by this very program, or by one
// without the race detector.
func nodeCommand() []string {
	if program := os.Getenv(nodeEnv); program != "" {
		return []string{program, "eventstore"}
	}
	return []string{os.Args[0], "eventstore"}
}

func runTests(m *testing.M) int {
	if raceEnabled {
		dir, err := os.MkdirTemp("", "kyra-node-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
		program := filepath.Join(dir, "kyra")
		if out, err := exec.Command("go", "build", "-o", program, "github.com/kyra-mdr/kyra/cmd/kyra").CombinedOutput(); err != nil { //nolint:gosec,noctx // our own program
			fmt.Fprintf(os.Stderr, "build a node: %v: %s", err, out)
			return 1
		}
		if err := os.Setenv(nodeEnv, program); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

func serveForTest(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := config.Load(file, os.Environ())
	if err != nil {
		return err
	}
	log := telemetry.NewLogger(os.Stderr, cfg.Log.SlogLevel(), "text")
	s, err := Open(ctx, cfg, nodeCommand(), log)
	if err != nil {
		return err
	}
	err = s.Run(ctx, func() {
		udp, tcp, _ := s.SyslogAddrs()
		fmt.Println("ready", s.URL(), udp, tcp)
	})
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

// A process is a server of its own process.
type process struct {
	t             *testing.T
	cmd           *exec.Cmd
	url, udp, tcp string
	key           string
	client        *http.Client
	log           *lockedBuffer
	exited        chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startProcess starts a server on the data folder and waits until it serves.
// extra are lines of YAML, or variables for the environment.
func startProcess(t *testing.T, data string, extra ...string) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kyra.yaml")
	var env []string
	extra = slices.DeleteFunc(extra, func(s string) bool {
		if !strings.HasPrefix(s, "KYRA_") {
			return false
		}
		env = append(env, strings.Fields(s)...)
		return true
	})
	text := fmt.Sprintf("data: %s\nlisten: 127.0.0.1:0\nsyslog:\n  udp: 127.0.0.1:0\n  tcp: 127.0.0.1:0\nretention:\n  min_free_bytes: 1MiB\n", data) + strings.Join(extra, "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, client: http.DefaultClient, log: &lockedBuffer{}, exited: make(chan error, 1)}
	p.cmd = exec.Command(os.Args[0]) //nolint:gosec,noctx // this very program; its end is what some tests are about
	p.cmd.Env = append(append(os.Environ(), env...), "KYRA_TEST_SERVE="+file)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				ready <- rest
			}
		}
		p.exited <- p.cmd.Wait()
	}()
	select {
	case line := <-ready:
		f := strings.Fields(line)
		p.url, p.udp, p.tcp = f[0], f[1], f[2]
	case err := <-p.exited:
		p.exited <- err // for kill
		t.Fatalf("server ended at start: %v\n%s", err, p.log)
	case <-time.After(60 * time.Second):
		t.Fatalf("server is not ready after 60 s\n%s", p.log)
	}
	key, err := os.ReadFile(filepath.Join(data, "first-key"))
	if err != nil {
		t.Fatal(err)
	}
	p.key = strings.TrimSpace(string(key))
	return p
}

// kill ends the server as a power cut would, as far as a test can.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.wait()
}

// killAll kills the event store's child too, which would else write down what it has
// in memory when it notices that its parent is gone.
func (p *process) killAll() {
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	var pids []int
	for _, file := range children {
		text, err := os.ReadFile(file) //nolint:gosec // of the kernel
		if err != nil {
			continue
		}
		for f := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	_ = p.cmd.Process.Kill()
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = p.wait()
}

// stop ends it in order.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := p.wait(); err != nil {
		p.t.Fatalf("server ended with %v\n%s", err, p.log)
	}
}

func (p *process) wait() error {
	err := <-p.exited
	p.exited <- err
	return err
}

// call sends a request and decodes the JSON answer into out (nil for none).
func (p *process) call(method, path, body string, out any) (int, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	if method == http.MethodPost || method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return resp.StatusCode, fmt.Errorf("%w in %.200s", err, answer)
		}
	}
	return resp.StatusCode, nil
}

type searchAnswer struct {
	Events []struct {
		Message string         `json:"message"`
		Fields  map[string]any `json:"fields"`
	} `json:"events"`
	Total     int64 `json:"total"`
	Histogram []struct {
		Count int64 `json:"count"`
	} `json:"histogram"`
	QueryTime int64 `json:"queryTime"`
}

func (p *process) search(query, from, to string, limit int) searchAnswer {
	p.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "fromTime": from, "toTime": to, "limit": limit})
	if err != nil {
		p.t.Fatal(err)
	}
	var answer searchAnswer
	status, err := p.call(http.MethodPost, "/api/v1/siem/search", string(body), &answer)
	if err != nil || status != http.StatusOK {
		p.t.Fatalf("search: %d %v", status, err)
	}
	return answer
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const patience = 3 * time.Minute // of a loaded machine
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
