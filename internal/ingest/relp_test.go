package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/framing"
)

const relpOpen = "1 open 49 relp_version=0\nrelp_software=test\ncommands=syslog\n"

func relpMessage(txnr int, text string) string {
	return fmt.Sprintf("%d syslog %d %s\n", txnr, len(text), text)
}

// listenRELP starts a server for RELP alone and returns how to connect and to stop.
func listenRELP(t *testing.T, s *sink, cfg SyslogConfig) (g *Gate, connect func() net.Conn, stop func()) {
	t.Helper()
	g = New(Config{Append: s.Append, Log: testLog(t)})
	cfg.RELP = "127.0.0.1:0"
	cfg.Tenant = func() Tenant { return Tenant{Number: 3} }
	server, err := g.ListenSyslog(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	t.Cleanup(stop)
	return g, func() net.Conn {
		conn, err := net.Dial("tcp", server.RELPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		return conn
	}, stop
}

// expect reads exactly want.
func expect(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(conn, got)
	if diff := cmp.Diff(want, string(got[:n])); diff != "" {
		t.Fatalf("%v (-want +got)\n%s", err, diff)
	}
}

const relpOpened = "1 rsp 56 200 OK\nrelp_version=0\nrelp_software=kyra\ncommands=syslog\n"

func TestRELP(t *testing.T) {
	t.Parallel()
	s := newSink()
	g, connect, _ := listenRELP(t, s, SyslogConfig{Source: "linux"})
	conn := connect()
	send(t, conn, relpOpen)
	expect(t, conn, relpOpened)
	send(t, conn, relpMessage(2, "<13>one")+relpMessage(3, "<13>two\nlines\n")+"4 syslog 0\n"+"5 syslog 3 <1")
	expect(t, conn, "2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 6 200 OK\n")
	send(t, conn, "3\n6 close 0\n")
	expect(t, conn, "5 rsp 6 200 OK\n6 rsp 0\n0 serverclose 0\n")
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after close: %d, %v", n, err)
	}
	if diff := cmp.Diff([]string{"<13>one", "<13>two\nlines", "<13"}, s.records()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	c := s.taken()[0]
	if c.Tenant != 3 || c.Input != "relp" || c.Peer != "127.0.0.1" || c.Source != "linux" {
		t.Errorf("chunk %+v", c)
	}
	awaitClosed(t, g, "relp", "eof") // counted behind the end that we have seen
	if st := countedOf(t, g, "relp", 3); st.Records != 3 || st.Closed["eof"] != 1 {
		t.Errorf("stats %+v", st)
	}
}

// Nothing is acknowledged that the queue does not have.
func TestRELPHoldsBack(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.fail(errFull)
	g, connect, stop := listenRELP(t, s, SyslogConfig{DrainTimeout: 200 * time.Millisecond})
	conn := connect()
	send(t, conn, relpOpen)
	expect(t, conn, relpOpened)
	send(t, conn, relpMessage(2, "<13>one"))
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatal("acknowledged while the queue is full")
	}
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	s.fail(nil)
	expect(t, conn, "2 rsp 6 200 OK\n")
	if got := s.records(); len(got) != 1 {
		t.Errorf("records %q", got)
	}
	s.fail(errFull)
	send(t, conn, relpMessage(3, "<13>two"))
	sleep(t.Context(), 100*time.Millisecond)
	stop()
	if rest, _ := io.ReadAll(conn); len(rest) != 0 {
		t.Errorf("at the stop it was told %q", rest)
	}
	if st := statsOf(g, "relp"); st.Rejected["queue"] != 1 || len(st.Dropped) != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestRELPMany(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.delay = time.Millisecond
	_, connect, _ := listenRELP(t, s, SyslogConfig{})
	conn := connect()
	send(t, conn, relpOpen)
	expect(t, conn, relpOpened)
	const n = 50_000
	go func() {
		w := bufio.NewWriter(conn)
		for i := range n {
			_, _ = w.WriteString(relpMessage(i+2, fmt.Sprintf("<13>message %d", i)))
		}
		_ = w.Flush()
	}()
	answers := bufio.NewReader(conn)
	for i := range n {
		line, err := answers.ReadString('\n')
		if want := fmt.Sprintf("%d rsp 6 200 OK\n", i+2); err != nil || line != want {
			t.Fatalf("%q, %v, want %q", line, err, want)
		}
	}
	got := s.records()
	if len(got) != n || got[n-1] != fmt.Sprintf("<13>message %d", n-1) {
		t.Errorf("%d records", len(got))
	}
	if chunks := len(s.taken()); chunks > n/10 {
		t.Errorf("%d chunks for %d messages", chunks, n)
	}
}

func TestRELPStop(t *testing.T) {
	t.Parallel()
	_, connect, stop := listenRELP(t, newSink(), SyslogConfig{})
	conn := connect()
	send(t, conn, relpOpen)
	expect(t, conn, relpOpened)
	stop()
	expect(t, conn, "0 serverclose 0\n")
}

func TestRELPHostile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, reason string
		cfg                SyslogConfig
	}{
		{"text", "<13>hello\n", "header", SyslogConfig{}},
		{"no number", "x open 0\n", "header", SyslogConfig{}},
		{"long number", "1234567890 open 0\n", "header", SyslogConfig{}},
		{"long command", "1 " + strings.Repeat("o", 40) + " 0\n", "header", SyslogConfig{}},
		{"no length", "1 open x\n", "header", SyslogConfig{}},
		{"length without data", relpOpen + "2 syslog 9\n", "header", SyslogConfig{}},
		{"length too short", relpOpen + "2 syslog 3 <13>hello\n", "trailer", SyslogConfig{}},
		{"huge", relpOpen + "2 syslog 999999999 x", "frame_length", SyslogConfig{}},
		{"not open", "1 syslog 1 x\n", "not_open", SyslogConfig{}},
		{"open twice", relpOpen + relpOpen, "command", SyslogConfig{}},
		{"unknown command", relpOpen + "2 fetch 0\n", "command", SyslogConfig{}},
		{"no offers", "1 open 0\n", "offers", SyslogConfig{}},
		{"idle", relpOpen, "idle", SyslogConfig{IdleTimeout: 100 * time.Millisecond}},
		{"half a frame", relpOpen + "2 syslog 9 x", "message_timeout", SyslogConfig{MessageTimeout: 100 * time.Millisecond}},
		{"memory", relpOpen + "2 syslog 900000 " + strings.Repeat("x", 500_000), "memory", SyslogConfig{MaxBuffered: 200_000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSink()
			g, connect, _ := listenRELP(t, s, c.cfg)
			conn := connect()
			_, _ = io.WriteString(conn, c.text) // it may be closed under way
			_, _ = io.ReadAll(conn)
			awaitClosed(t, g, "relp", c.reason)
			if got := s.records(); len(got) != 0 {
				t.Errorf("records %q", got)
			}
		})
	}
}

func TestRELPLong(t *testing.T) {
	t.Parallel()
	s := newSink()
	g, connect, _ := listenRELP(t, s, SyslogConfig{})
	conn := connect()
	send(t, conn, relpOpen+relpMessage(2, strings.Repeat("y", 3<<20))+relpMessage(3, "<13>next"))
	expect(t, conn, relpOpened+"2 rsp 6 200 OK\n3 rsp 6 200 OK\n")
	if got := s.records(); len(got) != 2 || len(got[0]) != framing.MaxRecord || got[1] != "<13>next" {
		t.Errorf("%d records", len(got))
	}
	if st := statsOf(g, "relp"); st.Cut != 1 {
		t.Errorf("stats %+v", st)
	}
}

func checkRELP(t *testing.T, text []byte) {
	t.Helper()
	held := 0
	r := &relpReader{
		r: bufio.NewReader(bytes.NewReader(text)), began: func() {},
		room: func(size int) bool { held = max(held, size); return true },
	}
	var again []byte
	for {
		frame, err := r.next()
		if err != nil {
			break
		}
		if !isNumber(frame.txnr) || frame.command == "" || len(frame.data) > framing.MaxRecord {
			t.Fatalf("frame %+v", frame)
		}
		again = fmt.Appendf(again, "%s %s %d", frame.txnr, frame.command, len(frame.data))
		if len(frame.data) > 0 {
			again = append(append(again, ' '), frame.data...)
		}
		again = append(again, '\n')
	}
	if len(again) > len(text) {
		t.Fatalf("%q became %q", text, again)
	}
	if held > 4*len(text)+128<<10 {
		t.Fatalf("%d bytes are held for %d", held, len(text))
	}
}

// TestRELPWithinTLS: the same over TLS, and nothing without.
func TestRELPWithinTLS(t *testing.T) {
	t.Parallel()
	s := newSink()
	g := New(Config{Append: s.Append, Log: testLog(t)})
	server, err := g.ListenSyslog(t.Context(), SyslogConfig{RELPTLS: "127.0.0.1:0", TLSConfig: certificate(t), Tenant: func() Tenant { return Tenant{Number: 3} }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	conn, err := tls.Dial("tcp", server.RELPTLSAddr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // test is over
	send(t, conn, relpOpen)
	expect(t, conn, relpOpened)
	send(t, conn, relpMessage(2, "<13>one"))
	expect(t, conn, "2 rsp 6 200 OK\n")
	if c := s.taken()[0]; c.Input != "relp" || c.Tenant != 3 {
		t.Errorf("chunk %+v", c)
	}
	plain, err := net.Dial("tcp", server.RELPTLSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close() //nolint:errcheck // test is over
	send(t, plain, relpOpen)
	awaitClosed(t, g, "relp", "handshake")
	if _, err := g.ListenSyslog(t.Context(), SyslogConfig{RELPTLS: "127.0.0.1:0"}); err == nil {
		t.Error("listens without a certificate")
	}
}
