package collector

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// A fakeServer speaks the protocol as the platform does.
type fakeServer struct {
	*httptest.Server
	ca    *x509.Certificate
	key   *ecdsa.PrivateKey
	token string
	life  time.Duration

	mu      sync.Mutex
	codec   protocol.Codec
	acked   uint64
	records []string
	chunks  []protocol.Chunk
	beats   []protocol.Heartbeat
	config  *protocol.Config
	revoked bool
	renewed int
	answer  func(path string) int // a status other than 200 to give, after the work was done
	refuse  func(path string) int // the same, instead of the work
	wait    string                // Retry-After of refusals
	batches []time.Time           // when batches were sent, also those that were refused
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	s := &fakeServer{life: time.Hour}
	s.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.ca = s.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, &s.key.PublicKey)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	leaf := s.sign(t, &x509.Certificate{DNSNames: []string{protocol.ServerName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, &key.PublicKey)
	pool := x509.NewCertPool()
	pool.AddCert(s.ca)
	s.token = protocol.Token{Secret: "s3cret", CA: sha256.Sum256(s.ca.Raw)}.String()
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(t, w, r) }))
	secure := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw, s.ca.Raw}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS13, NextProtos: []string{protocol.ALPN}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
	}
	s.Listener = hiding{tls.NewListener(s.Listener, secure)}
	s.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	s.Start()
	s.URL = strings.Replace(s.URL, "http:", "https:", 1)
	t.Cleanup(s.Close)
	return s
}

// hiding hides *tls.Conn, of which http.Server would want a protocol that it knows.
type hiding struct{ net.Listener }

type hidden struct{ net.Conn }

type connKey struct{}

func (h hiding) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	return hidden{conn}, err
}

func (s *fakeServer) sign(t *testing.T, c *x509.Certificate, key *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Minute), time.Now().Add(s.life)
	parent := s.ca
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key, s.key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func certificate(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (s *fakeServer) grant(t *testing.T, csr string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(csr))
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Error(err)
		return s.ca
	}
	key, _ := req.PublicKey.(*ecdsa.PublicKey)
	return s.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "id-1"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, key)
}

func (s *fakeServer) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	conn, _ := r.Context().Value(connKey{}).(hidden)
	secure, _ := conn.Conn.(*tls.Conn)
	state := secure.ConnectionState()
	if state.NegotiatedProtocol != protocol.ALPN {
		t.Errorf("protocol %q", state.NegotiatedProtocol)
	}
	if r.URL.Path == protocol.PathBatch {
		s.batches = append(s.batches, time.Now())
	}
	if s.refuse != nil {
		if status := s.refuse(r.URL.Path); status != 0 {
			if s.wait != "" {
				w.Header().Set("Retry-After", s.wait)
			}
			w.WriteHeader(status)
			return
		}
	}
	fail := func(status int, p protocol.Problem) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(p)
	}
	if r.URL.Path != protocol.PathEnroll && (s.revoked || len(state.PeerCertificates) == 0) {
		fail(http.StatusForbidden, protocol.Problem{Code: protocol.CodeRevoked, Message: "revoked"})
		return
	}
	var out any
	switch r.URL.Path {
	case protocol.PathEnroll:
		m, _ := protocol.Read[protocol.EnrollRequest](body)
		if m.Token != "s3cret" {
			fail(http.StatusUnauthorized, protocol.Problem{Code: "unauthenticated", Message: "the token is unknown, used or expired"})
			return
		}
		c := s.grant(t, m.CSR)
		out = protocol.EnrollResponse{CollectorID: "id-1", Certificate: certificate(c), CA: certificate(s.ca), NotAfter: c.NotAfter}
	case protocol.PathRenew:
		m, _ := protocol.Read[protocol.RenewRequest](body)
		c := s.grant(t, m.CSR)
		s.renewed++
		out = protocol.RenewResponse{Certificate: certificate(c), CA: certificate(s.ca), NotAfter: c.NotAfter}
	case protocol.PathHeartbeat:
		m, _ := protocol.Read[protocol.Heartbeat](body)
		s.beats = append(s.beats, m)
		h := protocol.HeartbeatResponse{ServerTime: time.Now().UnixNano(), IntervalSeconds: 1}
		if s.config != nil && s.config.Revision != m.ConfigRevision && s.config.Revision != m.ConfigRefused {
			h.Config = s.config
		}
		out = h
	case protocol.PathBatch:
		b, err := s.codec.Decode(body)
		if err != nil {
			fail(http.StatusBadRequest, protocol.Problem{Message: err.Error()})
			return
		}
		if b.Seq > s.acked {
			s.acked = b.Seq
			for _, c := range b.Chunks {
				s.records = append(s.records, c.Records...)
				s.chunks = append(s.chunks, c)
			}
		}
		out = protocol.Ack{Acked: s.acked}
	}
	if s.answer != nil {
		if status := s.answer(r.URL.Path); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *fakeServer) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

func (s *fakeServer) lastBeat() (h protocol.Heartbeat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.beats); n > 0 {
		h = s.beats[n-1]
	}
	return h
}

func (s *fakeServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}
