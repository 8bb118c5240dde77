package job

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// childEnv makes the test binary a server that takes up a job and never ends it.
const childEnv = "KYRA_TEST_JOB_CHILD"

func TestMain(m *testing.M) {
	if url := os.Getenv(childEnv); url != "" {
		if err := child(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func child(url string) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, url)
	if err != nil {
		return err
	}
	return New(db, Config{Poll: 10 * time.Millisecond, Lease: time.Second}, map[string]Kind{"work": {Work: func(ctx context.Context, t *Task) (any, error) {
		t.Progress(1, 2, "half")
		<-ctx.Done()
		return nil, ctx.Err()
	}}}).Run(ctx)
}

// A server that is killed in the middle of a job: another one does it.
func TestKilledServer(t *testing.T) {
	for name, make := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "kyra.db") },
		"postgres": func(t *testing.T) string { return sqldbtest.PostgresURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			url := make(t)
			db, err := sqldb.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := setup(t, db, Config{Lease: time.Second}, map[string]Kind{"work": {Work: func(context.Context, *Task) (any, error) { return "done", nil }}})
			j := start(t, s, 1, Draft{Kind: "work"})
			cmd := exec.Command(os.Args[0])
			cmd.Env, cmd.Stderr = append(os.Environ(), childEnv+"="+url), t.Output()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			until(t, s, j, func(j *Job) bool { return j.State == Running && j.Done == 1 })
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed, as meant
			serve(t, s)
			if j = until(t, s, j, ended); j.State != Done || j.Attempt != 2 || string(j.Result) != `"done"` {
				t.Errorf("it ends as %+v with %s", j, j.Result)
			}
		})
	}
}
