package playbook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const killed = "KYRA_PLAYBOOK_KILLED"

// TestKilledInACall kills a process while a step's call is under way and lets another go
// on: the call is not made again, and a person is asked.
func TestKilledInACall(t *testing.T) {
	if url := os.Getenv(killed); url != "" {
		runUntilKilled(t, url)
		return
	}
	var calls atomic.Int64
	begun, release := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		begun <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer close(release)
	url := "sqlite:" + filepath.Join(t.TempDir(), "kyra.db")
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, db)
	p := w.create("id: a\nname: A\ntrigger: {event: manual}\nsteps:\n  - {id: before, action: notify, with: {text: x}}\n  - {id: call, action: http, timeout: 5m, with: {url: '" + server.URL + "/x'}}\n")
	r, err := w.Start(t.Context(), tenant, "key:test", p.ID, "", "")
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledInACall$")
	child.Env = append(os.Environ(), killed+"="+url)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-begun:
	case <-time.After(time.Minute):
		t.Error("the call was not made")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		got, steps := w.log(r.ID)
		if got.State == Asking && statesOf(steps) == "before DONE, call UNKNOWN" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", got.State, statesOf(steps))
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls were made", calls.Load())
	}
}

func runUntilKilled(t *testing.T, url string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	_ = newWorld(t, db).Run(t.Context())
}
