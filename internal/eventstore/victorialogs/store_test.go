package victorialogs_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/storetest"
	"github.com/kyra-mdr/kyra/internal/eventstore/victorialogs"
)

// nodeEnv makes the test binary a storage node: "addr|dir" follow as arguments.
const nodeEnv = "KYRA_TEST_EVENTSTORE_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(nodeEnv) == "" {
		os.Exit(m.Run())
	}
	// Arguments as the supervisor adds them: --addr ADDR --dir DIR.
	c := victorialogs.ServeConfig{Addr: os.Args[len(os.Args)-3], Dir: os.Args[len(os.Args)-1], Password: os.Getenv(victorialogs.PasswordEnv), MemoryBytes: 256 << 20, MinFreeBytes: 1 << 20}
	if err := victorialogs.Serve(context.Background(), c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start runs a store with a node of its own until the test ends.
func start(t testing.TB, dir string) *victorialogs.Local {
	t.Helper()
	os.Setenv(nodeEnv, "1") //nolint:usetesting // also used by parallel tests; harmless to this process
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := victorialogs.NewLocal(victorialogs.LocalConfig{
		Config:  victorialogs.Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))},
		Dir:     dir,
		Command: []string{self},
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

func TestLocal(t *testing.T) {
	storetest.Run(t, func(t *testing.T) eventstore.Store { return start(t, t.TempDir()) })
}
