package app

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/kyra-mdr/kyra/internal/eventstore/victorialogs"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// TestExternalEngines runs a server on PostgreSQL, two storage nodes and a NATS
// server, all of their own, and takes one of the nodes away for a while.
func TestExternalEngines(t *testing.T) {
	database := sqldbtest.PostgresURL(t)
	queue := startNATS(t)
	nodes := []*storageNode{newStorageNode(t), newStorageNode(t)}
	for _, n := range nodes {
		n.start()
	}
	data := filepath.Join(t.TempDir(), "data")
	settings := []string{
		"database:\n  url: " + database,
		"queue:\n  url: " + queue,
		fmt.Sprintf("eventstore:\n  nodes: [%s, %s]\n  username: kyra\n  password: external", nodes[0].addr, nodes[1].addr),
	}
	p := startProcess(t, data, settings...)
	for _, name := range []string{"kyra.db", "events", "queue"} {
		if _, err := os.Stat(filepath.Join(data, name)); err == nil {
			t.Errorf("%s is in the data folder although it is elsewhere", name)
		}
	}
	lines := func(ip string, n int) string {
		var text strings.Builder
		for i := range n {
			at := time.Date(2011, 12, 10, 6, 0, i, 0, time.UTC)
			fmt.Fprintf(&text, "<38>1 %s bastion sshd 1 - - Failed password for root from %s port %d ssh2\n", at.Format(time.RFC3339), ip, i)
			fmt.Fprintf(&text, "<86>1 %s bastion sudo 1 - - bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id %d\n", at.Format(time.RFC3339), i)
		}
		return text.String()
	}
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", lines("10.9.9.1", 20), nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	const from, to = "2011-12-10T00:00:00Z", "2011-12-11T00:00:00Z"
	eventually(t, "40 events over two nodes", func() bool { return p.search("*", from, to, 1).Total == 40 })
	eventually(t, "the alert", func() bool { n := p.bruteForce()["10.9.9.1"]; return len(n) == 1 && n[0] == 20 })

	// A node is away: searches say so instead of answering with half, intake goes on.
	nodes[1].stop()
	eventually(t, "search that refuses to answer with half", func() bool {
		status, err := p.call(http.MethodPost, "/api/v1/siem/search", fmt.Sprintf(`{"query":"*","fromTime":%q,"toTime":%q}`, from, to), nil)
		return err == nil && status == http.StatusServiceUnavailable
	})
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", lines("10.9.9.2", 20), nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest while a node is away: %d %v", status, err)
	}
	nodes[1].start()
	eventually(t, "80 events after the node came back", func() bool {
		var answer searchAnswer
		status, err := p.call(http.MethodPost, "/api/v1/siem/search", fmt.Sprintf(`{"query":"*","fromTime":%q,"toTime":%q}`, from, to), &answer)
		return err == nil && status == http.StatusOK && answer.Total == 80
	})
	eventually(t, "the second alert", func() bool { n := p.bruteForce()["10.9.9.2"]; return len(n) == 1 && n[0] == 20 })

	p.kill()
	p = startProcess(t, data, settings...)
	eventually(t, "80 events after a crash", func() bool { return p.search("*", from, to, 1).Total == 80 })
	time.Sleep(2 * time.Second) // a replay would add by now
	if got := p.search("*", from, to, 1).Total; got != 80 {
		t.Errorf("%d events after the replay, want 80", got)
	}
	if found := p.bruteForce(); len(found["10.9.9.1"]) != 1 || found["10.9.9.1"][0] != 20 || len(found["10.9.9.2"]) != 1 || found["10.9.9.2"][0] != 20 {
		t.Errorf("alerts count %v", found)
	}
	p.stop()
}

func startNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true,
		JetStreamMaxStore: 1 << 40, // whatever this disk has free
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS is not ready")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s.ClientURL()
}

// A storageNode is a storage node of its own process at a fixed address.
type storageNode struct {
	t         *testing.T
	addr, dir string
	cmd       *exec.Cmd
	close     func()
}

func newStorageNode(t *testing.T) *storageNode {
	t.Helper()
	n := &storageNode{t: t, addr: freeAddr(t), dir: t.TempDir()}
	t.Cleanup(n.stop)
	return n
}

func (n *storageNode) start() {
	n.t.Helper()
	program := nodeCommand()
	n.cmd = exec.Command(program[0], program[1], "--addr", n.addr, "--dir", n.dir) //nolint:gosec,noctx // this very program
	n.cmd.Env = append(os.Environ(), victorialogs.PasswordEnv+"=external")
	stdin, err := n.cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.close = func() { _ = stdin.Close() }
	eventually(n.t, "storage node", func() bool {
		c, err := net.DialTimeout("tcp", n.addr, time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func (n *storageNode) stop() {
	if n.cmd == nil {
		return
	}
	n.close()
	_ = n.cmd.Wait()
	n.cmd = nil
}
