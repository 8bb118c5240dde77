package victorialogs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/storetest"
	"github.com/kyra-mdr/kyra/internal/eventstore/victorialogs"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// nodeEnv makes the test binary a storage node: "addr|dir" follow as arguments.
const nodeEnv = "KYRA_TEST_EVENTSTORE_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(nodeEnv) == "" {
		os.Exit(runTests(m))
	}
	// Arguments as the supervisor adds them: --addr ADDR --dir DIR.
	c := victorialogs.ServeConfig{Addr: os.Args[len(os.Args)-3], Dir: os.Args[len(os.Args)-1], Password: os.Getenv(victorialogs.PasswordEnv), MemoryBytes: 256 << 20, MinFreeBytes: 1 << 20}
	if err := victorialogs.Serve(context.Background(), c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kyra-node-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	builtNode = sync.OnceValues(func() (string, error) {
		program := filepath.Join(dir, "kyra")
		out, err := exec.Command("go", "build", "-o", program, "github.com/kyra-mdr/kyra/cmd/kyra").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build a node: %w: %s", err, out)
		}
		return program, nil
	})
	return m.Run()
}

// builtNode returns a program whose command eventstore is a node.
var builtNode func() (string, error)

// nodeProgram is how a node is started: this very program, or one without the race
// detector.
func nodeProgram(t testing.TB) []string {
	t.Helper()
	if raceEnabled {
		program, err := builtNode()
		if err != nil {
			t.Fatal(err)
		}
		return []string{program, "eventstore"}
	}
	_ = os.Setenv(nodeEnv, "1") //nolint:usetesting // also used by parallel tests; harmless to this process
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self}
}

// start runs a store with a node of its own until the test ends.
func start(t testing.TB, dir string) *victorialogs.Local {
	t.Helper()
	l, err := victorialogs.NewLocal(victorialogs.LocalConfig{
		Config:  victorialogs.Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), QueryTimeout: 10 * time.Minute},
		Dir:     dir,
		Command: nodeProgram(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-l.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("the node does not answer")
	}
	return l
}

const password = "test password"

// nodeCommand is a node without a supervisor.
func nodeCommand(t testing.TB, addr, dir string) *exec.Cmd {
	t.Helper()
	program := nodeProgram(t)
	cmd := exec.Command(program[0], append(program[1:], "--addr", addr, "--dir", dir)...)
	cmd.Env = append(os.Environ(), nodeEnv+"=1", victorialogs.PasswordEnv+"="+password)
	cmd.Stderr = t.Output()
	return cmd
}

// startNode runs a node without a supervisor until the test ends.
func startNode(t testing.TB, dir string) victorialogs.Node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := nodeCommand(t, addr, dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	for range 1000 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return victorialogs.Node{Addr: addr, Username: "kyra", Password: password, Dir: dir}
}

func open(t testing.TB, c victorialogs.Config) *victorialogs.Store {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	c.QueryTimeout = 10 * time.Minute // a slow machine is no wrong answer
	s, err := victorialogs.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestLocal(t *testing.T) {
	storetest.Run(t, func(t *testing.T) eventstore.Store { return start(t, t.TempDir()) })
}

func TestTwoNodes(t *testing.T) {
	if raceEnabled {
		t.Skip("runs without the detector, with all of its data: of ours there is nothing in it that TestLocal has not")
	}
	storetest.Run(t, func(t *testing.T) eventstore.Store {
		return open(t, victorialogs.Config{Nodes: []victorialogs.Node{startNode(t, t.TempDir()), startNode(t, t.TempDir())}})
	})
}

// TestExternalNode: a node whose folder is elsewhere gets compressed rows, and
// Sync waits for it to write them.
func TestExternalNode(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for flush intervals")
	}
	n := startNode(t, t.TempDir())
	n.Dir = ""
	s := open(t, victorialogs.Config{Nodes: []victorialogs.Node{n}, FlushInterval: time.Second})
	if err := s.Append(t.Context(), numbered(1, 3000)); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := answersAgain(t, s); res.Total != 3000 {
		t.Errorf("found %d, want 3000", res.Total)
	}
}

// TestDeadNode: with one of two nodes dead there is an error, never half.
func TestDeadNode(t *testing.T) {
	one := startNode(t, t.TempDir())
	dir := t.TempDir()
	s := open(t, victorialogs.Config{Nodes: []victorialogs.Node{one, startNode(t, dir)}})
	if err := s.Append(t.Context(), numbered(1, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := answersAgain(t, s); res.Total != 1000 {
		t.Fatalf("found %d, want 1000", res.Total)
	}
	kill(t, dir)
	for range 20 {
		if res, err := s.Search(t.Context(), eventstore.Request{Tenant: 1, To: eventstore.MaxTime, Limit: 10, Histogram: true}); !errors.Is(err, fault.Unavailable) {
			t.Fatalf("with a dead node: %v, %v", res, err)
		}
	}
	if err := s.Append(t.Context(), numbered(2, 1000)); !errors.Is(err, fault.Unavailable) {
		t.Errorf("append with a dead node: %v", err)
	}
	if err := s.Sync(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("sync with a dead node: %v", err)
	}
}
