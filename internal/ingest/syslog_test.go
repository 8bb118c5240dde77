package ingest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/framing"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// listen starts a syslog server on all three transports. stop ends it and returns
// what Run returned.
func listen(t *testing.T, s *sink, cfg SyslogConfig, rate int) (server *Syslog, g *Gate, stop func() error) {
	t.Helper()
	g = New(Config{Append: s.Append, Log: testLog(t)})
	cfg.UDP, cfg.TCP, cfg.TLS = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.TLSConfig = certificate(t)
	cfg.Tenant = func() Tenant { return Tenant{Number: 3, EventsPerSecond: rate} }
	server, err := g.ListenSyslog(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Second):
			return fmt.Errorf("does not stop")
		}
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	return server, g, stop
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func dial(t *testing.T, server *Syslog, transport string) net.Conn {
	t.Helper()
	var conn net.Conn
	var err error
	switch transport {
	case "udp":
		conn, err = net.Dial("udp", server.UDPAddr().String())
	case "tcp":
		conn, err = net.Dial("tcp", server.TCPAddr().String())
	case "tls":
		conn, err = tls.Dial("tcp", server.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own certificate
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func send(t *testing.T, conn io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func TestSyslogStreams(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := newSink()
			server, g, _ := listen(t, s, SyslogConfig{Source: "linux"}, 0)
			conn := dial(t, server, transport)
			send(t, conn, "<13>one\n9 <13>two\r\n54 <1 minute elapsed\n")
			if diff := cmp.Diff([]string{"<13>one", "<13>two", "54 <1 minute elapsed"}, s.await(t, 3)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			send(t, conn, "<13>caf\xe9\x00<13>unfinished")
			s.await(t, 4)
			_ = conn.Close()
			if got := s.await(t, 5); got[3] != "<13>caf\xe9" || got[4] != "<13>unfinished" {
				t.Errorf("got %q", got)
			}
			c := s.taken()[0]
			if c.Tenant != 3 || c.Input != "syslog-"+transport || c.Peer != "127.0.0.1" || c.Source != "linux" || c.Key != "" || c.Arrived == 0 {
				t.Errorf("chunk %+v", c)
			}
			if st := countedOf(t, g, "syslog-"+transport, 5); st.Records != 5 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestSyslogUDP(t *testing.T) {
	t.Parallel()
	s := newSink()
	server, g, _ := listen(t, s, SyslogConfig{}, 0)
	conn := dial(t, server, "udp")
	big := "<13>" + strings.Repeat("b", 60_000)
	sent := []string{"<13>one\n", "two\r", "\x00\x01\xff\xfe", "<13>a\nb", big, "\n", "\x00\r\n", "<13>end\x00"}
	for _, m := range sent {
		send(t, conn, m)
	}
	want := []string{"<13>one", "two", "\x00\x01\xff\xfe", "<13>a\nb", big, "<13>end"}
	if diff := cmp.Diff(want, s.await(t, 6)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	c := s.taken()[0]
	if c.Input != "syslog-udp" || c.Peer != "127.0.0.1" || c.Tenant != 3 {
		t.Errorf("chunk %+v", c)
	}
	if st := countedOf(t, g, "syslog-udp", 6); st.Records != 6 || len(st.Dropped) != 0 {
		t.Errorf("stats %+v", st)
	}
}

// While the queue is slow, datagrams gather into fewer chunks.
func TestSyslogUDPGathers(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.delay = 50 * time.Millisecond
	server, _, _ := listen(t, s, SyslogConfig{}, 0)
	conn := dial(t, server, "udp")
	for i := range 2000 {
		send(t, conn, fmt.Sprintf("<13>message %d", i))
	}
	got := s.await(t, 2000)
	for i, m := range got {
		if m != fmt.Sprintf("<13>message %d", i) {
			t.Fatalf("message %d is %q", i, m)
		}
	}
	if n := len(s.taken()); n > 40 {
		t.Errorf("%d chunks", n)
	}
}

// What does not fit anywhere while the queue is shut is counted: sent = kept + dropped.
func TestSyslogUDPCountsLosses(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.fail(errFull)
	server, g, _ := listen(t, s, SyslogConfig{}, 0)
	conn := dial(t, server, "udp")
	const n = 3000
	message := "<13>" + strings.Repeat("x", 32_000)
	for range n {
		send(t, conn, message)
	}
	s.fail(nil)
	// A datagram after the loss tells of it.
	deadline := time.Now().Add(20 * time.Second)
	sent := n
	for {
		send(t, conn, "<13>probe")
		sent++
		st := statsOf(g, "syslog-udp")
		if lost := st.Dropped["receive_buffer"]; lost > 0 && st.Records+lost >= int64(n) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("sent %d, stats %+v", sent, st)
		}
		sleep(t.Context(), 10*time.Millisecond)
	}
	sleep(t.Context(), 200*time.Millisecond)
	if st := statsOf(g, "syslog-udp"); st.Records+st.Dropped["receive_buffer"] != int64(sent) || int(st.Records) != len(s.records()) {
		t.Errorf("sent %d, kept %d, stats %+v", sent, len(s.records()), st)
	}
}

func TestSyslogQuota(t *testing.T) {
	t.Parallel()
	t.Run("udp drops and counts", func(t *testing.T) {
		t.Parallel()
		s := newSink()
		server, g, stop := listen(t, s, SyslogConfig{}, 50)
		conn := dial(t, server, "udp")
		for range 400 {
			send(t, conn, "<13>x")
		}
		s.await(t, 100)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		st := statsOf(g, "syslog-udp")
		if st.Records < 100 || st.Records > 250 || st.Records+st.Dropped["quota"] != 400 {
			t.Errorf("stats %+v", st)
		}
	})
	t.Run("tcp holds back", func(t *testing.T) {
		t.Parallel()
		s := newSink()
		server, g, _ := listen(t, s, SyslogConfig{}, 200)
		conn := dial(t, server, "tcp")
		start := time.Now()
		send(t, conn, strings.Repeat("<13>x\n", 800))
		s.await(t, 800)
		if took := time.Since(start); took < 1900*time.Millisecond {
			t.Errorf("800 messages at 200 a second and a burst of 400 took %v", took)
		}
		if st := countedOf(t, g, "syslog-tcp", 800); st.Records != 800 || len(st.Dropped) != 0 || st.Waits["quota"] == 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

// A record that the queue can never hold is dropped and counted, and no other.
func TestSyslogSmallQueueMessages(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.largest = 1000
	server, g, _ := listen(t, s, SyslogConfig{}, 0)
	send(t, dial(t, server, "tcp"), "<13>a\n<13>b\n"+strings.Repeat("x", 2000)+"\n<13>c\n<13>d\n")
	if diff := cmp.Diff([]string{"<13>a", "<13>b", "<13>c", "<13>d"}, s.await(t, 4)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if st := countedOf(t, g, "syslog-tcp", 4); st.Dropped["refused"] != 1 {
		t.Errorf("stats %+v", st)
	}
}

// A full queue stops the reading, and nothing is lost.
func TestSyslogTCPBackPressure(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.fail(errFull)
	server, g, _ := listen(t, s, SyslogConfig{}, 0)
	conn := dial(t, server, "tcp")
	const n = 400_000
	line := "<13>" + strings.Repeat("x", 95) + "\n" // 40 MB in all
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, strings.Repeat(line, n))
		_ = conn.Close()
		written <- err
	}()
	select {
	case err := <-written:
		t.Fatalf("the sender was not held back: %v", err)
	case <-time.After(700 * time.Millisecond):
	}
	s.fail(nil)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if got := s.await(t, n); len(got) != n || got[n-1] != line[:len(line)-1] {
		t.Errorf("%d records", len(got))
	}
	if st := countedOf(t, g, "syslog-tcp", n); st.Waits["queue"] == 0 || len(st.Dropped) != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestSyslogStopDeliversWhatCame(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.delay = 20 * time.Millisecond
	server, _, stop := listen(t, s, SyslogConfig{}, 0)
	udp, tcp, secure := dial(t, server, "udp"), dial(t, server, "tcp"), dial(t, server, "tls")
	var want []string
	for i := range 500 {
		for name, conn := range map[string]net.Conn{"udp": udp, "tcp": tcp, "tls": secure} {
			m := fmt.Sprintf("<13>%s %d", name, i)
			want = append(want, m)
			send(t, conn, m+"\n")
		}
	}
	send(t, tcp, "<13>unfinished")
	want = append(want, "<13>unfinished")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := s.records()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := net.Dial("tcp", server.TCPAddr().String()); err == nil {
		t.Error("still accepts")
	}
}

func TestSyslogStopIsBounded(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.fail(errFull)
	server, g, stop := listen(t, s, SyslogConfig{DrainTimeout: 300 * time.Millisecond}, 0)
	send(t, dial(t, server, "tcp"), "<13>a\n<13>b\n")
	send(t, dial(t, server, "udp"), "<13>c")
	sleep(t.Context(), 100*time.Millisecond)
	start := time.Now()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if tcp, udp := statsOf(g, "syslog-tcp"), statsOf(g, "syslog-udp"); tcp.Dropped["shutdown"] != 2 || udp.Dropped["shutdown"] != 1 {
		t.Errorf("stats %+v, %+v", tcp, udp)
	}
}

// countedOf returns the counts once they hold n records: they are counted just
// after the queue has them.
func countedOf(t *testing.T, g *Gate, input string, n int64) InputStats {
	t.Helper()
	for range 1000 {
		if st := statsOf(g, input); st.Records >= n {
			return st
		}
		sleep(t.Context(), 10*time.Millisecond)
	}
	return statsOf(g, input)
}

// awaitClosed waits until a connection was closed for the reason.
func awaitClosed(t *testing.T, g *Gate, input, reason string) {
	t.Helper()
	for range 1000 {
		if statsOf(g, input).Closed[reason] > 0 {
			return
		}
		sleep(t.Context(), 10*time.Millisecond)
	}
	t.Fatalf("none was closed for %s: %+v", reason, statsOf(g, input))
}

func TestSyslogHostileConnections(t *testing.T) {
	t.Parallel()
	closed := func(t *testing.T, conn net.Conn) {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("read %d, %v", n, err)
		} else if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // test
			t.Error("still open")
		}
	}
	t.Run("too many", func(t *testing.T) {
		t.Parallel()
		s := newSink()
		server, g, _ := listen(t, s, SyslogConfig{MaxConnections: 2}, 0)
		a, b := dial(t, server, "tcp"), dial(t, server, "tcp")
		send(t, a, "<13>a\n")
		send(t, b, "<13>b\n")
		s.await(t, 2)
		closed(t, dial(t, server, "tcp"))
		if st := statsOf(g, "syslog-tcp"); st.Closed["too_many"] != 1 || st.Open != 2 {
			t.Errorf("stats %+v", st)
		}
		_ = a.Close()
		send(t, b, "<13>still\n")
		s.await(t, 3)
	})
	t.Run("a byte at a time", func(t *testing.T) {
		t.Parallel()
		s := newSink()
		server, _, _ := listen(t, s, SyslogConfig{MessageTimeout: 400 * time.Millisecond}, 0)
		conn := dial(t, server, "tcp")
		go func() {
			for range 200 {
				if _, err := io.WriteString(conn, "x"); err != nil {
					return
				}
				sleep(context.Background(), 20*time.Millisecond)
			}
		}()
		closed(t, conn)
		if got := s.await(t, 1)[0]; strings.Trim(got, "x") != "" || len(got) > 100 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		server, g, _ := listen(t, newSink(), SyslogConfig{IdleTimeout: 200 * time.Millisecond}, 0)
		closed(t, dial(t, server, "tcp"))
		awaitClosed(t, g, "syslog-tcp", "idle")
	})
	t.Run("long lines of many", func(t *testing.T) {
		t.Parallel()
		s := newSink()
		server, g, _ := listen(t, s, SyslogConfig{MaxBuffered: 2 << 20}, 0)
		for range 8 {
			conn := dial(t, server, "tcp")
			_, _ = io.WriteString(conn, strings.Repeat("y", 600_000)) // it may be closed under way
		}
		awaitClosed(t, g, "syslog-tcp", "memory")
		if held := server.buffered.Load(); held > 6<<20 {
			t.Errorf("%d bytes are held", held)
		}
	})
	t.Run("plain text to TLS", func(t *testing.T) {
		t.Parallel()
		s := newSink()
		server, g, _ := listen(t, s, SyslogConfig{}, 0)
		conn, err := net.Dial("tcp", server.TLSAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		send(t, conn, "<13>plain\n")
		_, _ = io.ReadAll(conn)
		_ = conn.Close()
		awaitClosed(t, g, "syslog-tls", "handshake")
		send(t, dial(t, server, "tls"), "<13>secret\n")
		s.await(t, 1)
	})
	t.Run("TLS to plain text", func(t *testing.T) {
		t.Parallel()
		s := newSink()
		server, _, _ := listen(t, s, SyslogConfig{}, 0)
		conn, err := net.Dial("tcp", server.TCPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
		_ = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake() //nolint:gosec // it cannot succeed
		_ = conn.Close()
		garbage := len(s.await(t, 1)) // kept, as whatever it is
		send(t, dial(t, server, "tcp"), "<13>next\n")
		for n := garbage; !slices.Contains(s.records(), "<13>next"); n++ {
			s.await(t, n)
		}
	})
	t.Run("ten megabytes in a line", func(t *testing.T) {
		t.Parallel()
		s := newSink()
		server, g, _ := listen(t, s, SyslogConfig{}, 0)
		send(t, dial(t, server, "tcp"), "<13>a\n"+strings.Repeat("z", 10<<20)+"\n<13>b\n")
		got := s.await(t, 3)
		if got[0] != "<13>a" || len(got[1]) != framing.MaxRecord || got[2] != "<13>b" {
			t.Errorf("%d records", len(got))
		}
		if st := countedOf(t, g, "syslog-tcp", 3); st.Cut != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestListenSyslogFails(t *testing.T) {
	t.Parallel()
	g := New(Config{Append: newSink().Append, Log: testLog(t)})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // test is over
	for _, cfg := range []SyslogConfig{
		{TCP: taken.Addr().String()}, {UDP: "256.0.0.1:1"}, {TLS: "127.0.0.1:0"}, {UDP: "127.0.0.1:0", TCP: "127.0.0.1:x"},
	} {
		if _, err := g.ListenSyslog(t.Context(), cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

func TestChunkParts(t *testing.T) {
	c := &queue.Chunk{Tenant: 1, Input: "i", Records: []string{"a", "b", "c", "d"}, Cut: []uint32{0, 2, 3}}
	if diff := cmp.Diff(&queue.Chunk{Tenant: 1, Input: "i", Records: []string{"a", "b", "c"}, Cut: []uint32{0, 2}}, first(c, 3)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&queue.Chunk{Tenant: 1, Input: "i", Records: []string{"c", "d"}, Cut: []uint32{0, 1}}, rest(c, 2)); diff != "" {
		t.Error(diff)
	}
}

func TestQuotas(t *testing.T) {
	var q quotas
	tenant := Tenant{Number: 1, EventsPerSecond: 100}
	if n, wait := q.take(tenant, 150); n != 150 || wait != 0 {
		t.Errorf("granted %d, wait %v", n, wait)
	}
	n, wait := q.take(tenant, 100)
	if n < 50 || n > 60 || wait < 300*time.Millisecond || wait > 500*time.Millisecond {
		t.Errorf("granted %d, wait %v", n, wait)
	}
	if n, wait := q.take(tenant, 1_000_000); n > 10 || wait < 1500*time.Millisecond || wait > 2*time.Second {
		t.Errorf("granted %d, wait %v", n, wait)
	}
	q.refund(tenant, 1_000_000)
	if n, _ := q.take(tenant, 1_000_000); n != 200 {
		t.Errorf("granted %d after refund", n)
	}
	if n, _ := q.take(Tenant{Number: 2, EventsPerSecond: 100}, 200); n != 200 {
		t.Errorf("tenants share a bucket: %d", n)
	}
	tenant.EventsPerSecond = 500
	if n, _ := q.take(tenant, 5000); n != 1000 {
		t.Errorf("granted %d under the new plan", n)
	}
	tenant.EventsPerSecond = 0
	if n, _ := q.take(tenant, 5000); n != 5000 {
		t.Errorf("granted %d without quota", n)
	}
}

// TestSyslogStopServesWhatTheKernelAccepted: senders that connected and sent just
// before the stop have their messages taken, though nobody had accepted them yet.
func TestSyslogStopServesWhatTheKernelAccepted(t *testing.T) {
	t.Parallel()
	s := newSink()
	g := New(Config{Append: s.Append, Log: testLog(t)})
	server, err := g.ListenSyslog(t.Context(), SyslogConfig{TCP: "127.0.0.1:0", Tenant: func() Tenant { return Tenant{Number: 3} }})
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	for i := range n {
		conn, err := net.Dial("tcp", server.TCPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // test is over
		send(t, conn, fmt.Sprintf("<13>%d\n", i))
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := server.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := s.count(); got != n {
		t.Errorf("%d messages are kept, want %d", got, n)
	}
	if _, err := net.Dial("tcp", server.TCPAddr().String()); err == nil {
		t.Error("still accepts")
	}
}
