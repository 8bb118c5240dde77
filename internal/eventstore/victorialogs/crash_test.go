package victorialogs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// children returns the process ids of the nodes that use the folder.
func children(t *testing.T, dir string) []int {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(entries) == 0 {
		t.Skip("there is no /proc to find the child by")
	}
	var pids []int
	for _, name := range entries {
		line, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(line), "\x00--dir\x00"+dir+"\x00") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func kill(t *testing.T, dir string) {
	t.Helper()
	pids := children(t, dir)
	if len(pids) != 1 {
		t.Fatalf("%d children use %s", len(pids), dir)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func numbered(seq uint64, n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		e := &events[i]
		e.ID = event.ID{Partition: 1, Seq: seq, Index: uint32(i)}
		e.Tenant, e.Time, e.Arrived = 1, benchEnd+int64(i)*1e9, benchEnd
		e.Raw = fmt.Sprint("number ", i)
		e.Add("program", fmt.Sprint("p", i%7))
	}
	return events
}

// answersAgain waits until a search works again.
func answersAgain(t *testing.T, s eventstore.Store) *eventstore.Result {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		res, err := s.Search(t.Context(), eventstore.Request{Tenant: 1, To: eventstore.MaxTime, Limit: 1})
		if err == nil {
			return res
		}
		if !errors.Is(err, fault.Unavailable) {
			t.Fatalf("while the node is down: %v", err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the node does not come back")
		}
	}
}

// TestKill: what was synced survives the node's hard end, the epoch tells of
// what may be lost, and the store comes back by itself.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	const rows = 5000
	synced := 0
	for round := range 4 {
		epoch := s.Epoch()
		if err := s.Append(t.Context(), numbered(uint64(2*round), rows)); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		synced += rows
		if err := s.Append(t.Context(), numbered(uint64(2*round+1), rows)); err != nil {
			t.Fatal(err)
		}
		kill(t, dir)
		res := answersAgain(t, s)
		if int(res.Total) < synced {
			t.Fatalf("round %d: %d of %d synced rows are there", round, res.Total, synced)
		}
		if s.Epoch() == epoch {
			t.Errorf("round %d: the epoch is the same after the node was killed", round)
		}
		// A replay writes what is missing, and nothing twice.
		found, err := s.Present(t.Context(), 1, 1, uint64(2*round+1), benchEnd, benchEnd+rows*1e9)
		if err != nil {
			t.Fatal(err)
		}
		missing := slices.DeleteFunc(numbered(uint64(2*round+1), rows), func(e event.Event) bool {
			_, ok := found[e.ID.Index]
			return ok
		})
		if err := s.Append(t.Context(), missing); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		synced += rows
		if res := answersAgain(t, s); int(res.Total) != synced {
			t.Fatalf("round %d: %d rows after the replay, want %d", round, res.Total, synced)
		}
	}
}

// TestStopAndStart: a store that ended in order has everything, synced or not.
func TestStopAndStart(t *testing.T) {
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		if err := start(t, dir).Append(t.Context(), numbered(1, 3000)); err != nil {
			t.Fatal(err)
		}
	})
	if pids := children(t, dir); len(pids) > 0 {
		t.Errorf("the child lives on: %v", pids)
	}
	if res := answersAgain(t, start(t, dir)); res.Total != 3000 {
		t.Errorf("found %d, want 3000", res.Total)
	}
}

// TestBrokenDay: a day that ends the node at each start is set aside, and the
// rest is served.
func TestBrokenDay(t *testing.T) {
	dir := t.TempDir()
	t.Run("fill", func(t *testing.T) {
		s := start(t, dir)
		events := numbered(1, 100)
		for i := range events[:50] {
			events[i].Time -= 3 * 24 * 3600 * 1e9
		}
		if err := s.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "partitions", "20260311", "datadb", "parts.json"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if res := answersAgain(t, start(t, dir)); res.Total != 50 {
		t.Errorf("found %d, want the 50 of the day that is well", res.Total)
	}
	if set, err := filepath.Glob(filepath.Join(dir, "set-aside", "20260311-*")); err != nil || len(set) != 1 {
		t.Errorf("set aside: %v, %v", set, err)
	}
}

// TestParentEnds: a node whose parent is gone ends by itself.
func TestParentEnds(t *testing.T) {
	dir := t.TempDir()
	cmd := nodeCommand(t, "127.0.0.1:0", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the node ended with %v", err)
		}
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		t.Error("the node lives on")
	}
}
