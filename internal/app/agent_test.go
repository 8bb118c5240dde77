package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector"
)

// agentEnv names the folder of the agent that this program is to be.
const agentEnv = "KYRA_TEST_AGENT"

func agentIn(dir string) collector.Paths {
	return collector.Paths{Config: filepath.Join(dir, "collector.yaml"), State: filepath.Join(dir, "state")}
}

func agentForTest(dir string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return collector.Run(context.Background(), collector.Options{Paths: agentIn(dir), Host: "agent-1", Version: "1", Log: log}, nil)
}

// startAgent runs the agent as a process of its own.
func startAgent(t *testing.T, dir string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:gosec,noctx // this very program; its end is what the test is about
	cmd.Env = append(os.Environ(), agentEnv+"="+dir)
	log := &lockedBuffer{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("agent: %s", log)
		}
	})
	return kill
}

// agentLines are a second's worth of lines, each with a number of its own.
const agentLines = 1000

func agentBegan() time.Time { return time.Now().Add(-3 * time.Hour).UTC().Truncate(time.Second) }

// writeLines writes lines and renames the file now and then, for about as long as given.
func writeLines(path string, began time.Time, total, files int, long time.Duration) error {
	n := 0
	for i := range files {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // the test's own
		if err != nil {
			return err
		}
		w := bufio.NewWriter(f)
		for range total / files {
			fmt.Fprintf(w, "%s agent-1 killtest[1]: line %08d of a log\n", began.Add(time.Duration(n/agentLines)*time.Second).Format(time.RFC3339), n)
			if n++; n%250 == 0 {
				time.Sleep(long / time.Duration(total/250))
			}
		}
		if err := errors.Join(w.Flush(), f.Close()); err != nil {
			return err
		}
		if i < files-1 {
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, files-i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestAgentAndServerAcrossKills lets the real agent read a file that is written and
// rotated, and kills it and the real server, each at random moments: every line is one
// event, and the ledger has every line once.
func TestAgentAndServerAcrossKills(t *testing.T) {
	rounds, total, long := 4, 24_000, 5*time.Second
	if os.Getenv("KYRA_TEST_CRASH") == "long" {
		rounds, total, long = 20, 600_000, time.Minute
	} else if testing.Short() {
		t.Skip("short")
	}
	if raceEnabled {
		rounds, total = 2, 6_000
	}
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := "KYRA_LISTEN=" + free.Addr().String() // the agent calls the same address all the time
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data, listen)
	var made struct{ Token string }
	if status, err := p.call(http.MethodPost, "/api/v1/collector-tokens", `{"name":"agent"}`, &made); err != nil || status != http.StatusCreated {
		t.Fatal(status, err)
	}
	dir, err := os.MkdirTemp("", "ka") //nolint:usetesting // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	id, err := collector.Enroll(t.Context(), agentIn(dir), collector.Enrolment{
		Server: "https" + strings.TrimPrefix(p.url, "http"), Token: made.Token, Host: "agent-1", Version: "1", Bare: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.log")
	source := "source:\n  type: file\n  poll: 20ms\n  paths: ['" + path + "*']\n"
	if err := os.WriteFile(filepath.Join(agentIn(dir).Sources(), "a.yaml"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	began := agentBegan()
	written := make(chan error, 1)
	go func() { written <- writeLines(path, began, total, 6, long) }()
	for round := range rounds {
		kill := startAgent(t, dir)
		time.Sleep(long/time.Duration(2*rounds) + rand.N(long/time.Duration(rounds)))
		switch round % 4 {
		case 0: // the agent alone
		case 2:
			p.kill() // its event store ends in order
		default:
			p.killAll()
		}
		if round%2 == 0 {
			kill()
		}
		if round%4 != 0 {
			time.Sleep(rand.N(300 * time.Millisecond)) // while an agent calls in vain
			p = startProcess(t, data, listen)
		}
		kill()
	}
	startAgent(t, dir)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	all := func() int64 {
		return p.search("program:killtest", began.Format(time.RFC3339), began.Add(2*time.Hour).Format(time.RFC3339), 1).Total
	}
	eventually(t, "every line", func() bool { return all() >= int64(total) })
	var got struct{ EventsIngested int64 }
	eventually(t, "the count of the collector", func() bool {
		got.EventsIngested = 0
		status, err := p.call(http.MethodGet, "/api/v1/collectors/"+id, "", &got)
		return err == nil && status == http.StatusOK && got.EventsIngested >= int64(total)
	})
	if n := all(); n != int64(total) || got.EventsIngested != int64(total) {
		t.Errorf("%d events, %d counted, want %d", n, got.EventsIngested, total)
	}
	seen := make([]int, total)
	const slice = 9 // seconds: less than the 10,000 events that one search returns
	for at := 0; at < total/agentLines+1; at += slice {
		from := began.Add(time.Duration(at) * time.Second)
		for _, e := range p.search("program:killtest", from.Format(time.RFC3339), from.Add(slice*time.Second).Format(time.RFC3339), 10_000).Events {
			var n int
			if _, err := fmt.Sscanf(e.Message, "line %08d of a log", &n); err != nil || n < 0 || n >= total {
				t.Fatalf("%q is no line of the file", e.Message)
			}
			seen[n]++
		}
	}
	lost, twice := 0, 0
	for _, n := range seen {
		if n == 0 {
			lost++
		} else if n > 1 {
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		t.Errorf("of %d lines %d are lost and %d are there more than once", total, lost, twice)
	}
	p.stop()
}
