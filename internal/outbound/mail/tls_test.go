package mail

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/kyra-mdr/kyra/internal/outbound"
)

// within returns a mail server that takes letters within TLS only, and the certificate
// that it can be checked with.
func within(t *testing.T, security string) (*post, Server, *outbound.Guard) {
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
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	p := &post{}
	srv := smtp.NewServer(p)
	srv.TLSConfig = conf // and no AllowInsecureAuth: who signs in in the open is refused
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if security == TLS {
		l = tls.NewListener(l, conf)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	g, err := outbound.NewGuard([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return p, Server{Host: "127.0.0.1", Port: port, Security: security, Username: "kyra", Password: "good", CA: ca}, g
}

// Letters go through STARTTLS and through TLS from the first byte, and through neither
// where the server's certificate is not known.
func TestSendWithinTLS(t *testing.T) {
	t.Parallel()
	for _, security := range []string{StartTLS, TLS} {
		t.Run(security, func(t *testing.T) {
			t.Parallel()
			p, s, g := within(t, security)
			if step, err := Send(t.Context(), g, s, letterTo("a@example.com")); err != nil {
				t.Fatalf("%s: %v", step, err)
			}
			if len(p.letters) != 1 {
				t.Errorf("%d letters", len(p.letters))
			}
			_, other, _ := within(t, security)
			for name, ca := range map[string]string{"the system's": "", "another server's": other.CA} {
				s.CA = ca
				if step, err := Send(t.Context(), g, s, letterTo("a@example.com")); err == nil || step != Connecting {
					t.Errorf("by %s authorities: %s, %v", name, step, err)
				}
			}
			if len(p.letters) != 1 {
				t.Errorf("%d letters went to a server that is not known", len(p.letters)-1)
			}
		})
	}
}
