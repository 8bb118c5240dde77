package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// A sender speaks the collectors' protocol to a process.
type sender struct {
	t    *testing.T
	ca   *x509.CertPool
	key  *ecdsa.PrivateKey
	cert []tls.Certificate
	id   string
}

func (s *sender) post(p *process, path string, body []byte, out any) (int, error) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: s.ca, ServerName: protocol.ServerName, NextProtos: []string{protocol.ALPN}, Certificates: s.cert,
		InsecureSkipVerify: s.ca == nil, //nolint:gosec // until it knows the authority
	}}}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "https"+strings.TrimPrefix(p.url, "http")+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusOK && out != nil {
		err = json.Unmarshal(text, out)
	}
	return res.StatusCode, err
}

// enrolSender lets a sender in with a token of the API.
func enrolSender(t *testing.T, p *process) *sender {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token, Command string }
	if status, err := p.call(http.MethodPost, "/api/v1/collector-tokens", `{"name":"web"}`, &made); err != nil || status != http.StatusCreated {
		t.Fatal(status, err)
	}
	if want := "echo " + made.Token + " | kyra collector enroll --server https" + strings.TrimPrefix(p.url, "http") + " --token-file -"; made.Command != want {
		t.Errorf("the command is %q, want %q", made.Command, want)
	}
	token, err := protocol.ParseToken(made.Token)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(protocol.EnrollRequest{
		Token: token.Secret, CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), Hostname: "web-01", OSFamily: "linux", Version: "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{t: t, key: key}
	var out protocol.EnrollResponse
	if status, err := s.post(p, protocol.PathEnroll, body, &out); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	block, _ := pem.Decode([]byte(out.Certificate))
	s.id, s.cert = out.CollectorID, []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}
	s.ca = x509.NewCertPool()
	s.ca.AppendCertsFromPEM([]byte(out.CA))
	return s
}

// TestCollectorAcrossKills sends numbered batches, each at least twice, to a server
// that is killed between them: every record is an event once, and counts once.
func TestCollectorAcrossKills(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data)
	s := enrolSender(t, p)
	const batches, each = 6, 700
	for seq := uint64(1); seq <= batches; seq++ {
		var records []string
		for i := range each {
			records = append(records, fmt.Sprintf(`{"program":"fleettest","n":"%d-%d"}`, seq, i))
		}
		packed, err := new(protocol.Codec).Encode(nil, &protocol.Batch{Seq: seq, Chunks: []protocol.Chunk{{Input: "file", Arrived: time.Now().UnixNano(), Records: records}}})
		if err != nil {
			t.Fatal(err)
		}
		for again := range 2 {
			if again == 1 && seq%2 == 0 {
				p.killAll()
				p = startProcess(t, data)
			}
			var ack protocol.Ack
			if status, err := s.post(p, protocol.PathBatch, packed, &ack); err != nil || status != http.StatusOK || ack.Acked != seq {
				t.Fatalf("batch %d: %d %v, acknowledged %d", seq, status, err, ack.Acked)
			}
		}
	}
	from, to := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	query := "program:fleettest AND host:web-01 AND collector_id:" + s.id
	eventually(t, "every event", func() bool { return p.search(query, from, to, 1).Total >= batches*each })
	type collector struct {
		EventsIngested int64
		Status         string
	}
	var got collector
	eventually(t, "the count of the collector", func() bool {
		got = collector{}
		status, err := p.call(http.MethodGet, "/api/v1/collectors/"+s.id, "", &got)
		return err == nil && status == http.StatusOK && got.EventsIngested >= batches*each
	})
	if total := p.search("program:fleettest", from, to, 1).Total; total != batches*each || got.EventsIngested != batches*each {
		t.Errorf("%d events, %d counted, want %d", total, got.EventsIngested, batches*each)
	}
	if status, err := p.call(http.MethodDelete, "/api/v1/collectors/"+s.id, "", nil); err != nil || status != http.StatusNoContent {
		t.Fatal(status, err)
	}
	if status, err := s.post(p, protocol.PathHeartbeat, []byte("{}"), nil); err != nil || status != http.StatusForbidden {
		t.Errorf("revoked: %d %v", status, err)
	}
	p.stop()
}

// A server that lacks the sealing key says so instead of making another authority.
func TestServerNeedsTheSealingKey(t *testing.T) {
	data := t.TempDir()
	open := func(key string) error {
		cfg := config.Default()
		cfg.Data, cfg.Listen, cfg.Seal.Key = data, "127.0.0.1:0", config.Secret(key)
		cfg.Syslog.UDP, cfg.Syslog.TCP = "", ""
		s, err := Open(t.Context(), cfg, nodeCommand(), slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := open(""); err != nil {
		t.Fatal(err)
	}
	if err := open("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "seal-key") {
		t.Errorf("with another key: %v", err)
	}
	if err := open(""); err != nil {
		t.Errorf("with its own key again: %v", err)
	}
}
