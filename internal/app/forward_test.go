package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A syslogReceiver counts the messages that it got by their text.
type syslogReceiver struct {
	net.Listener
	mu  sync.Mutex
	got map[string]int
}

func newSyslogReceiver(t *testing.T, address string) *syslogReceiver {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	rc := &syslogReceiver{Listener: l, got: map[string]int{}}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go rc.read(conn)
		}
	}()
	return rc
}

func (rc *syslogReceiver) read(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // it is a test's
	for r := bufio.NewReader(conn); ; {
		length, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(length))
		if err != nil {
			return
		}
		line := make([]byte, n)
		if _, err := io.ReadFull(r, line); err != nil {
			return
		}
		_, text, _ := strings.Cut(string(line), "] ")
		rc.mu.Lock()
		rc.got[text]++
		rc.mu.Unlock()
	}
}

func (rc *syslogReceiver) count() (texts, messages int) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for _, n := range rc.got {
		messages += n
	}
	return len(rc.got), messages
}

// What a query chooses of the stored events reaches a syslog server, late events too, and
// neither a receiver that is away nor a server that is killed loses one.
func TestEventsReachASyslogServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data, allowThisMachine)
	rc := newSyslogReceiver(t, "127.0.0.1:0")
	address := rc.Addr().(*net.TCPAddr)
	conf := fmt.Sprintf(`{"name":"SIEM","kind":"syslog","config":{"host":"127.0.0.1","port":%d,"transport":"tcp","events":[],"query":"source:sshd AND user:root"}}`, address.Port)
	var made struct{ ID string }
	p.ask(http.MethodPost, "/api/v1/connectors", conf, http.StatusCreated, &made)
	sent := 0
	send := func(year string) {
		t.Helper()
		var lines strings.Builder
		for range 300 {
			sent++
			fmt.Fprintf(&lines, "<38>1 %s-01-02T03:04:05Z web-01 sshd 7 - - Failed password for root from 203.0.113.9 port %d ssh2\n", year, 1000+sent)
			fmt.Fprintf(&lines, "<38>1 %s-01-02T03:04:05Z web-01 sshd 7 - - Failed password for kim from 203.0.113.9 port %d ssh2\n", year, 1000+sent)
		}
		if status, err := p.call(http.MethodPost, "/api/v1/ingest", lines.String(), nil); err != nil || status != http.StatusOK {
			t.Fatalf("ingest: %d %v", status, err)
		}
	}
	all := func() bool {
		texts, _ := rc.count()
		return texts >= sent
	}
	send("2026")
	send("2011")
	eventually(t, "the events at the receiver", all)
	if texts, messages := rc.count(); texts != sent || messages != sent {
		t.Errorf("%d messages of %d texts, sent %d", messages, texts, sent)
	}
	_ = rc.Close()
	send("2012")
	eventually(t, "the failure", func() bool {
		var c struct{ LastError *string }
		p.ask(http.MethodGet, "/api/v1/connectors/"+made.ID, "", http.StatusOK, &c)
		return c.LastError != nil
	})
	send("2026")
	p.killAll()
	p = startProcess(t, data, allowThisMachine)
	defer p.stop()
	before := rc
	rc = newSyslogReceiver(t, address.String())
	before.mu.Lock()
	rc.mu.Lock()
	for text, n := range before.got {
		rc.got[text] += n
	}
	rc.mu.Unlock()
	before.mu.Unlock()
	send("2013")
	eventually(t, "the events after the kill", all)
	if texts, messages := rc.count(); texts != sent || messages != sent { // it was away when the server was killed: nothing had to go twice
		t.Errorf("%d messages of %d texts, sent %d", messages, texts, sent)
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for text := range rc.got {
		if !strings.HasPrefix(text, "<38>1 20") || !strings.Contains(text, "for root from") {
			t.Errorf("text %q", text)
		}
	}
}
