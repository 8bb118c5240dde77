package connector

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// authorityOf makes a certificate for loopback that is its own authority.
func authorityOf(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Over TLS a line arrives whole, counted in octets, and only at a server whose
// certificate is known.
func TestSyslogOverTLS(t *testing.T) {
	t.Parallel()
	cert, authority := authorityOf(t)
	_, stranger := authorityOf(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it is let go of
	got := make(chan string, 4)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if b, err := io.ReadAll(conn); err == nil {
				got <- string(b)
			}
			_ = conn.Close()
		}
	}()
	clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
	s := rig(t, sqldbtest.SQLite(t), &clock)
	m := &outbox.Message{Event: outbox.AlertCreated, Object: "1", Title: "로그인 실패", Severity: "high", At: clock}
	conf := settings{"host": "127.0.0.1", "port": int64(l.Addr().(*net.TCPAddr).Port), "transport": "tls", "facility": "local0", "ca": stranger}
	if checks := s.probe(t.Context(), Syslog, conf, true); checks[0].Status != Failed || !strings.Contains(checks[0].Message, "certificate") {
		t.Errorf("a strange certificate: %+v", checks)
	}
	conf["ca"] = authority
	line := s.body(Syslog, conf, m)
	if err := s.sendSyslog(t.Context(), conf, line); err != nil {
		t.Fatal(err)
	}
	select {
	case g := <-got:
		if g != strconv.Itoa(len(line))+" "+line {
			t.Errorf("got %q, want %q", g, line)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
	if checks := s.probe(t.Context(), Syslog, conf, false); checks[0].Status != OK || checks[1].Status != Skipped {
		t.Errorf("the quiet look: %+v", checks)
	}
}

// Over UDP a line is one datagram, cut to what every receiver takes.
func TestSyslogOverUDP(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it is let go of
	clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
	s := rig(t, sqldbtest.SQLite(t), &clock)
	conf := settings{"host": "127.0.0.1", "port": int64(conn.LocalAddr().(*net.UDPAddr).Port), "transport": "udp", "facility": "auth"}
	buf := make([]byte, 64<<10)
	for _, title := range []string{"a title", strings.Repeat("가", maxDatagram)} {
		line := s.body(Syslog, conf, &outbox.Message{Event: outbox.AlertCreated, Object: "1", Title: title, Severity: "critical", At: clock})
		if err := s.sendSyslog(t.Context(), conf, line); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		got := string(buf[:n])
		if !strings.HasPrefix(got, "<34>1 ") || !strings.HasPrefix(line, got) || n > maxDatagram || n < min(len(line), maxDatagram-2) {
			t.Errorf("%d bytes of %d: %.80q", n, len(line), got)
		}
	}
}

// A TAXII connector says who reads its indicators.
func TestTAXIISaysWhoReads(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api1/collections/" || r.Header.Get("Accept") != "application/taxii+json;version=2.1" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/taxii+json;version=2.1")
		_, _ = io.WriteString(w, `{"collections":[{"id":"91a7b528-80eb-42ed-a74d-c6fbd5a26116","title":"x","can_read":true,"can_write":false}]}`)
	}))
	defer server.Close()
	clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
	s := rig(t, sqldbtest.SQLite(t), &clock)
	c, err := s.Create(t.Context(), 1, "test", Draft{Name: "Intel", Kind: TAXII, Config: raw(`{"url":"` + server.URL + `/api1/"}`)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Test(t.Context(), 1, c.ID)
	if err != nil || h.Status != OK || h.Checks[2].Status != Skipped || h.Checks[2].Message != readByFeeds {
		t.Errorf("test: %+v, %v", h, err)
	}
	clock = clock.Add(time.Minute)
	if err := s.lookAt(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	list, err := s.History(t.Context(), 1, c.ID, 1)
	if err != nil || len(list) != 1 || list[0].Status != OK || list[0].Checks[2].Message != readByFeeds {
		t.Errorf("health: %+v, %v", list, err)
	}
}
