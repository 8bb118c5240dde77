package collector

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// TestMain lets a test run the agent as a process of its own, which it can kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("KYRA_TEST_AGENT"); dir != "" {
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		if err := Run(context.Background(), Options{Paths: in(dir), Host: "h", Version: "1", Log: log}, nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func in(dir string) Paths {
	return Paths{Config: filepath.Join(dir, "collector.yaml"), State: filepath.Join(dir, "state")}
}

// enrolled makes a collector of the server in a short-named folder, as the control
// socket's path may not be long.
func enrolled(t *testing.T, s *fakeServer, sources map[string]string) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kc") //nolint:usetesting // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	id, err := Enroll(t.Context(), in(dir), Enrolment{Server: s.URL, Token: s.token, Host: "h", Version: "1", Bare: true})
	if err != nil || id != "id-1" {
		t.Fatal(id, err)
	}
	for name, text := range sources {
		writeFile(t, filepath.Join(dir, "sources.d", name), text)
	}
	return dir
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func appendFile(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func startAgent(t *testing.T, dir string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Paths: in(dir), Host: "h", Version: "1", Log: slog.New(slog.DiscardHandler)}, nil)
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in 20 s", what)
		}
	}
}

func fileYAML(path, more string) string {
	return "source:\n  type: file\n  poll: 10ms\n  paths: ['" + path + "']\n" + more
}

func TestAgent(t *testing.T) {
	s := newFakeServer(t)
	log := filepath.Join(t.TempDir(), "a.log")
	writeFile(t, log, "one\nnoise\ncard 4111 1111 1111 1111\n")
	dir := enrolled(t, s, map[string]string{"web.yaml": fileYAML(log, "  hint: nginx\n  drop: [{contains: noise}]\n  mask: [{patterns: [card]}]\n")})
	if info, err := os.Stat(in(dir).identity()); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	stop := startAgent(t, dir)
	eventually(t, "records", func() bool { return len(s.got()) == 2 })
	if got := s.got(); got[0] != "one" || strings.Contains(got[1], "4111") {
		t.Errorf("%q", got)
	}
	s.set(func() {
		if c := s.chunks[0]; c.Source != "nginx" || c.Host != "h" || c.Peer != log {
			t.Errorf("%+v", c)
		}
	})
	eventually(t, "report", func() bool {
		h := s.lastBeat()
		return len(h.Sources) == 1 && h.Sources[0].Records == 2 && h.Sources[0].Filtered == 1 && h.SpoolRecords == 0 && h.Sources[0].Name == "web"
	})
	text, err := Ask(t.Context(), in(dir), "GET", "/status")
	var status Status
	if err != nil || json.Unmarshal(text, &status) != nil || status.State != "connected" || len(status.Problems) > 0 {
		t.Errorf("%s %v", text, err)
	}
	if err := Run(t.Context(), Options{Paths: in(dir), Log: slog.New(slog.DiscardHandler)}, nil); !errors.Is(err, errRunning) {
		t.Errorf("a second collector in the same folder: %v", err)
	}
	stop()
	if _, err := Ask(t.Context(), in(dir), "GET", "/status"); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	if err := Remove(in(dir)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(in(dir).State); !errors.Is(err, os.ErrNotExist) {
		t.Error("the state folder is still there", err)
	}
}

func TestReload(t *testing.T) {
	s := newFakeServer(t)
	tmp := t.TempDir()
	a, b := filepath.Join(tmp, "a.log"), filepath.Join(tmp, "b.log")
	writeFile(t, a, "a1\n")
	writeFile(t, b, "b1\n")
	dir := enrolled(t, s, map[string]string{"a.yaml": fileYAML(a, "")})
	startAgent(t, dir)
	eventually(t, "first", func() bool { return len(s.got()) == 1 })
	bad := filepath.Join(dir, "sources.d", "b.yaml")
	writeFile(t, bad, "source:\n  type: file\n  pahts: ['"+b+"']\n")
	if _, err := Ask(t.Context(), in(dir), "POST", "/reload"); err == nil || !strings.Contains(err.Error(), bad+":3:3") || !strings.Contains(err.Error(), "pahts") {
		t.Errorf("the fault is not named: %v", err)
	}
	appendFile(t, a, "a2\n")
	eventually(t, "the old configuration goes on", func() bool { return slices.Contains(s.got(), "a2") })
	eventually(t, "fault is reported", func() bool { return strings.Contains(s.lastBeat().ConfigError, "pahts") })
	writeFile(t, bad, fileYAML(b, ""))
	writeFile(t, filepath.Join(dir, "sources.d", "a.yaml"), fileYAML(a, "  hint: x\n")) // changed: it starts anew
	if _, err := Ask(t.Context(), in(dir), "POST", "/reload"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "new source", func() bool { return slices.Contains(s.got(), "b1") })
	appendFile(t, a, "a3\n")
	eventually(t, "changed source", func() bool { return slices.Contains(s.got(), "a3") })
	if got := s.got(); len(got) != 4 {
		t.Errorf("%q", got)
	}
}

func TestPushedConfiguration(t *testing.T) {
	s := newFakeServer(t)
	tmp := t.TempDir()
	a := filepath.Join(tmp, "a.log")
	writeFile(t, a, "a1\n")
	dir := enrolled(t, s, nil)
	stop := startAgent(t, dir)
	push := func(revision, name, text string) {
		s.set(func() { s.config = &protocol.Config{Revision: revision, Files: map[string]string{name: text}} })
	}
	push("1", "sources.d/a.yaml", fileYAML(a, ""))
	eventually(t, "in force", func() bool { return s.lastBeat().ConfigRevision == "1" && len(s.got()) == 1 })
	for i, bad := range []string{
		"source: {type: nothing}", "source: {type: exec, command: [id]}",
		"source: {type: syslog, tcp: '192.0.2.1:1'}", // this host has no such address
	} {
		revision := fmt.Sprint(i + 2)
		push(revision, "sources.d/a.yaml", bad)
		eventually(t, "refused", func() bool {
			h := s.lastBeat()
			return h.ConfigRefused == revision && h.ConfigError != "" && h.ConfigRevision == "1"
		})
	}
	push("9", "../evil.yaml", "x")
	eventually(t, "refused", func() bool { return s.lastBeat().ConfigRefused == "9" })
	appendFile(t, a, "a2\n")
	eventually(t, "the last good one works", func() bool { return len(s.got()) == 2 })
	stop()
	s.set(func() { s.config, s.beats = nil, nil })
	startAgent(t, dir)
	eventually(t, "kept", func() bool { return s.lastBeat().ConfigRevision == "1" })
}

func TestRevokedAndRenewed(t *testing.T) {
	s := newFakeServer(t)
	s.life = 10 * time.Second // from a minute ago: two thirds are over
	a := filepath.Join(t.TempDir(), "a.log")
	writeFile(t, a, "a1\n")
	dir := enrolled(t, s, map[string]string{"a.yaml": fileYAML(a, "")})
	before, err := readIdentity(in(dir))
	if err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.life = time.Hour })
	startAgent(t, dir)
	eventually(t, "renewed", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.renewed == 1 })
	eventually(t, "written", func() bool {
		now, err := readIdentity(in(dir))
		return err == nil && now.Key != before.Key && now.leaf.NotAfter.After(before.leaf.NotAfter)
	})
	s.set(func() { s.revoked = true })
	appendFile(t, a, "a2\n")
	eventually(t, "revoked", func() bool {
		text, err := Ask(t.Context(), in(dir), "GET", "/status")
		return err == nil && strings.Contains(string(text), `"state":"revoked"`) && strings.Contains(string(text), "enroll it again")
	})
	s.set(func() { s.revoked = false })
	if _, err := Enroll(t.Context(), in(dir), Enrolment{Server: s.URL, Token: s.token, Host: "h"}); err == nil {
		t.Error("an identity was replaced unasked")
	}
	if _, err := Enroll(t.Context(), in(dir), Enrolment{Server: s.URL, Token: s.token, Host: "h", Replace: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(t.Context(), in(dir), "POST", "/reload"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what waited is sent", func() bool { return len(s.got()) == 2 })
}

func TestEnrollRefused(t *testing.T) {
	s, other := newFakeServer(t), newFakeServer(t)
	for name, e := range map[string]Enrolment{
		"another server":    {Server: other.URL, Token: s.token},
		"a used token":      {Server: s.URL, Token: strings.Replace(s.token, "s3cret", "used", 1)},
		"half a token":      {Server: s.URL, Token: s.token[:30]},
		"no https":          {Server: "http://127.0.0.1:1", Token: s.token},
		"nobody there":      {Server: "https://127.0.0.1:1", Token: s.token},
		"no address at all": {Server: "kyra", Token: s.token},
	} {
		dir := t.TempDir()
		_, err := Enroll(t.Context(), in(dir), e)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(in(dir).identity()); err == nil {
			t.Errorf("%s: an identity was written", name)
		}
	}
}

// The collector is killed again and again while it reads under load, and answers
// get lost. Each line arrives once.
func TestKilled(t *testing.T) {
	s := newFakeServer(t)
	s.answer = func(path string) int {
		if path == protocol.PathBatch && rand.IntN(4) == 0 {
			return http.StatusServiceUnavailable // it was taken, but who knows
		}
		return 0
	}
	tmp := t.TempDir()
	path := filepath.Join(tmp, "a.log")
	dir := enrolled(t, s, map[string]string{"a.yaml": fileYAML(path+"*", "")})
	const total, rounds = 60_000, 8
	written := make(chan error, 1)
	go func() { written <- writeRotating(path, total) }()
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "KYRA_TEST_AGENT="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300*time.Millisecond + rand.N(500*time.Millisecond))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.answer = nil })
	startAgent(t, dir)
	eventually(t, "all records", func() bool { return len(s.got()) >= total })
	time.Sleep(1500 * time.Millisecond)
	got := s.got()
	seen := map[string]int{}
	for _, r := range got {
		seen[r]++
	}
	if len(got) != total || len(seen) != total {
		t.Errorf("%d records, %d different ones, want %d", len(got), len(seen), total)
	}
}

// writeRotating writes lines for some seconds and renames the file now and then.
func writeRotating(path string, total int) error {
	const files = 6
	n := 0
	for i := range files {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		w := bufio.NewWriter(f)
		for range total / files {
			fmt.Fprintf(w, "line %08d of a log that is written under load\n", n)
			if n++; n%200 == 0 {
				time.Sleep(10 * time.Millisecond)
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
