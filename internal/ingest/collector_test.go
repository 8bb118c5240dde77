package ingest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fleet"
)

func TestCollectorTLS(t *testing.T) {
	t.Parallel()
	for name, api := range map[string]bool{"beside plain HTTP": false, "beside HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var config *tls.Config
			if api {
				config = &tls.Config{Certificates: []tls.Certificate{selfSigned(t, nil)}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
			}
			testCollectorTLS(t, newDepot(t, config), api)
		})
	}
}

// selfSigned is a certificate of nobody's, or for a subject.
func selfSigned(t *testing.T, subject *pkix.Name) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if subject != nil {
		template.Subject = *subject
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func testCollectorTLS(t *testing.T, d *depot, secureAPI bool) {
	good := d.enrolled()
	if status, problem, err := good.beat(); err != nil || status != http.StatusOK {
		t.Fatalf("a good certificate: %d %+v %v", status, problem, err)
	}

	stranger := d.newAgent()
	for _, path := range []string{protocol.PathHeartbeat, protocol.PathRenew, protocol.PathBatch} {
		if status, _, problem, err := stranger.post(path, struct{}{}, nil); err != nil || status != http.StatusUnauthorized || problem.Code == protocol.CodeRevoked {
			t.Errorf("%s without a certificate: %d %+v %v", path, status, problem, err)
		}
	}
	if status, _, problem, err := stranger.post("/api/v1/alerts", struct{}{}, nil); err != nil || status != http.StatusNotFound {
		t.Errorf("the API through the collectors' door: %d %+v %v", status, problem, err)
	}
	if status, _, problem, err := stranger.post(protocol.PathEnroll, protocol.EnrollRequest{Token: "wrong", CSR: stranger.csr(), Hostname: "h"}, nil); err != nil || status != http.StatusUnauthorized || problem.Message == "" {
		t.Errorf("a wrong token: %d %+v %v", status, problem, err)
	}

	foreign := d.newAgent()
	foreign.cert = selfSigned(t, &pkix.Name{CommonName: good.id})
	foreign.connect()
	if status, problem, err := foreign.beat(); err == nil {
		t.Errorf("a certificate of another authority: %d %+v", status, problem)
	}

	// The server's own certificate is no collector's.
	server, err := d.fleet.Authority.ServerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	foreign.cert = *server
	foreign.connect()
	if status, problem, err := foreign.beat(); err == nil {
		t.Errorf("the server's certificate: %d %+v", status, problem)
	}

	for name, protocols := range map[string][]string{"no protocol": nil, "another protocol": {"ssh"}, "an older one": {"kyra-collector/0"}} {
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: protocols, Certificates: []tls.Certificate{good.cert}}}).DialContext(t.Context(), "tcp", d.addr) //nolint:gosec // whom it talks to is not the question
		if err != nil {
			continue
		}
		_, _ = io.WriteString(conn, "POST "+protocol.PathHeartbeat+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		if secureAPI && protocols == nil && strings.Contains(string(answer), "the API over") {
			continue // that is how browsers of old begin
		}
		if len(answer) > 0 {
			t.Errorf("%s: %q", name, answer)
		}
	}
	old, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol.ALPN}, MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{good.cert}}}).DialContext(t.Context(), "tcp", d.addr) //nolint:gosec // an old client
	if err == nil {
		_ = old.Close()
		t.Error("TLS 1.2 is taken")
	}

	testAPIBeside(t, d, secureAPI)

	// Renewed: both certificates open.
	first := good.cert
	var renewed protocol.RenewResponse
	if status, _, problem, err := good.post(protocol.PathRenew, protocol.RenewRequest{CSR: good.csr()}, &renewed); err != nil || status != http.StatusOK {
		t.Fatalf("renew: %d %+v %v", status, problem, err)
	}
	good.take(renewed.Certificate)
	if status, _, err := good.beat(); err != nil || status != http.StatusOK {
		t.Errorf("renewed: %d %v", status, err)
	}

	// It ends while its connection is open, and opens none after that.
	d.pass(fleet.CertificateLife)
	if status, problem, err := good.beat(); err != nil || status != http.StatusUnauthorized || !strings.Contains(problem.Message, "ended") {
		t.Errorf("ended: %d %+v %v", status, problem, err)
	}
	good.cert = first
	good.connect()
	if status, problem, err := good.beat(); err == nil {
		t.Errorf("ended, on a new connection: %d %+v", status, problem)
	}
}

// testAPIBeside asks the API on the same port.
func testAPIBeside(t *testing.T, d *depot, secure bool) {
	t.Helper()
	get := func(client *http.Client, scheme string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+d.addr+"/", http.NoBody)
		if err != nil {
			return "", err
		}
		res, err := client.Do(r)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return string(text), err
	}
	plain, err := get(http.DefaultClient, "http")
	if !secure {
		if err != nil || plain != "the API over HTTP/1.1" {
			t.Errorf("plain HTTP on the same port: %q %v", plain, err)
		}
		return
	}
	if !strings.Contains(plain, "HTTPS server") {
		t.Errorf("plain HTTP to HTTPS: %q %v", plain, err)
	}
	for _, h2 := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a certificate of the test
		want := map[bool]string{false: "the API over HTTP/1.1", true: "the API over HTTP/2.0"}[h2]
		if text, err := get(client, "https"); err != nil || text != want {
			t.Errorf("HTTPS on the same port: %q %v, want %q", text, err, want)
		}
		client.CloseIdleConnections()
	}
}

func TestRevocationActsAtOnce(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a, other := d.enrolled(), d.enrolled()
	for _, each := range []*agent{a, other} {
		if status, _, err := each.beat(); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
	}
	// A connection that just hangs there is closed.
	idle, err := (&tls.Dialer{Config: &tls.Config{
		RootCAs: d.fleet.Authority.Pool(), ServerName: protocol.ServerName, NextProtos: []string{protocol.ALPN}, Certificates: []tls.Certificate{a.cert}, MinVersion: tls.VersionTLS13,
	}}).DialContext(t.Context(), "tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close() }()
	if _, err := io.WriteString(idle, "POST "+protocol.PathHeartbeat+" HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := d.fleet.Revoke(t.Context(), d.tenant, "key:admin", a.id); err != nil {
		t.Fatal(err)
	}
	_ = idle.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadAll(idle); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the open connection: %v", err)
	}
	status, problem, err := a.beat()
	if err != nil {
		status, problem, err = a.beat() // the client noticed only now that its connection is closed
	}
	if err != nil || status != http.StatusForbidden || problem.Code != protocol.CodeRevoked || problem.Message != "collector revoked: enroll again" {
		t.Errorf("revoked: %d %+v %v", status, problem, err)
	}
	if _, status, _, problem := a.send(&protocol.Batch{Seq: 1, Chunks: []protocol.Chunk{{Records: []string{"x"}}}}); status != http.StatusForbidden || problem.Code != protocol.CodeRevoked {
		t.Errorf("a batch of a revoked collector: %d %+v", status, problem)
	}
	if status, _, err := other.beat(); err != nil || status != http.StatusOK {
		t.Errorf("another collector: %d %v", status, err)
	}
	if len(d.events()) != 0 {
		t.Errorf("kept: %q", d.events())
	}
}

// A connection that does not say whose it is keeps nobody waiting, and is closed.
func TestSlowBeginnings(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	var slow []net.Conn
	for i := range 50 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		slow = append(slow, conn)
		if i%2 == 0 { // half of them begin a handshake
			_, _ = conn.Write([]byte{handshake, 3})
		}
	}
	a := d.enrolled()
	if status, _, err := a.beat(); err != nil || status != http.StatusOK {
		t.Errorf("beside slow ones: %d %v", status, err)
	}
	testAPIBeside(t, d, false)
	_ = slow[0].SetReadDeadline(time.Now().Add(2 * helloTime))
	_ = slow[1].SetReadDeadline(time.Now().Add(2 * helloTime))
	for _, conn := range slow[:2] {
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("it is not closed: %v", err)
		}
	}
}

// A port for collectors alone answers nobody else.
func TestCollectorsAlone(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	front := NewFront(l, d.door.TLS(), nil, true, d.door.log)
	var all sync.WaitGroup
	all.Go(func() { _ = front.Run(ctx) })
	all.Go(func() { _ = d.door.Serve(ctx, front.Collectors()) })
	defer all.Wait()
	defer cancel()
	d.addr = l.Addr().String()
	a.connect()
	if status, _, err := a.beat(); err != nil || status != http.StatusOK {
		t.Errorf("a collector: %d %v", status, err)
	}
	for _, scheme := range []string{"http", "https"} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // whom it talks to is not the question
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+d.addr+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := client.Do(r); err == nil {
			_ = res.Body.Close()
			t.Errorf("%s is answered: %s", scheme, res.Status)
		}
	}
}
