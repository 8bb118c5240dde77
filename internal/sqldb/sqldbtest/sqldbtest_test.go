package sqldbtest

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func TestEachIsNewAndMigrated(t *testing.T) {
	for range 2 {
		Each(t, func(t *testing.T, db *sqldb.DB) {
			n, err := sqldb.One(t.Context(), db, sqldb.Value[int64], `SELECT count(*) FROM tenant`)
			if err != nil || n != 0 {
				t.Errorf("%d tenants, %v; want 0", n, err)
			}
			if _, err := sqldb.Exec(t.Context(), db, `INSERT INTO tenant VALUES ('t', 1, 'n', 'FREE', 0, 1, 0)`); err != nil {
				t.Error(err)
			}
		})
	}
}

// A test process that is killed must leave no server and no files behind.
func TestServerDiesWithTheProcess(t *testing.T) {
	const marker = "KYRA_TEST_CHILD_SERVER"
	if os.Getenv(marker) != "" {
		fmt.Println("server at", PostgresURL(t))
		select {} // until killed
	}
	if os.Getenv("KYRA_TEST_POSTGRES_URL") != "" {
		t.Skip("the server is not ours")
	}
	if _, err := binaries(); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheProcess$")
	cmd.Env = append(os.Environ(), marker+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		if raw, ok := strings.CutPrefix(lines.Text(), "server at "); ok {
			u, err := url.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			dir = u.Query().Get("host")
		}
	}
	if _, err := os.Stat(dir + "/data/postmaster.pid"); err != nil {
		t.Errorf("no server runs in %q: %v", dir, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as meant
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
	}
}
