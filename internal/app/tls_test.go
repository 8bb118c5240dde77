package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a certificate for loopback and returns its files and a pool
// that trusts it.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kyra test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool = x509.NewCertPool()
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		text := pem.EncodeToMemory(block)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		pool.AppendCertsFromPEM(text)
	}
	return cert, key, pool
}

// TestTLS reaches the API and the syslog listener through TLS only.
func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	addr := freeAddr(t)
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), fmt.Sprintf("tls:\n  cert: %s\n  key: %s", cert, key), fmt.Sprintf("KYRA_SYSLOG_TLS=%s KYRA_SYSLOG_CERT=%s KYRA_SYSLOG_KEY=%s", addr, cert, key))
	if !strings.HasPrefix(p.url, "https://") {
		t.Fatalf("the address is %s", p.url)
	}
	secure := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}

	c, err := (&tls.Dialer{Config: secure}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	message := "<38>1 " + time.Now().UTC().Format(time.RFC3339) + " h secureapp - - - over TLS"
	if _, err := fmt.Fprintf(c, "%d %s", len(message), message); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	from, to := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	eventually(t, "the message", func() bool { return p.search("program:secureapp", from, to, 1).Total == 1 })

	plain, err := http.Get("http" + strings.TrimPrefix(p.url, "https") + "/healthz") //nolint:noctx // it must fail
	if err == nil {
		body, _ := io.ReadAll(plain.Body)
		_ = plain.Body.Close()
		if plain.StatusCode == http.StatusOK {
			t.Errorf("plain HTTP is answered: %s", body)
		}
	}
	p.stop()
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}
