package ingest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fleet"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// A depot is a server as collectors see it: a port shared with an API, and a queue
// that a test can break.
type depot struct {
	t      *testing.T
	db     *sqldb.DB
	fleet  *fleet.Service
	door   *Collectors
	addr   string
	tenant uint32
	quota  int

	mu      sync.Mutex
	clock   time.Time
	kept    []queue.Chunk
	appends int
	refuse  func(n int) error // of the nth append, from 1
	stop    func()
}

func (d *depot) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock
}

func (d *depot) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = d.clock.Add(by)
}

func newDepot(t *testing.T, api *tls.Config) *depot {
	t.Helper()
	d := &depot{t: t, db: sqldbtest.SQLite(t), clock: time.Now()}
	made, err := tenant.New(d.db).Create(t.Context(), audit.System, tenant.Draft{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	d.tenant = made.Number
	d.start(api)
	t.Cleanup(func() { d.stop() })
	return d
}

// start is a server process on the depot's database.
func (d *depot) start(api *tls.Config) {
	d.t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		d.t.Fatal(err)
	}
	authority, err := fleet.OpenAuthority(d.t.Context(), d.db, sealer, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(d.t.Output(), nil))
	d.fleet = fleet.New(fleet.Config{DB: d.db, Sources: source.New(d.db, d.now), Authority: authority, Log: log, Now: d.now})
	gate := New(Config{Log: log, BodyIdle: time.Second, Append: d.append})
	d.door = gate.NewCollectors(d.fleet, func(n uint32) Tenant { return Tenant{n, d.quota} }, log)
	l, err := (&net.ListenConfig{}).Listen(d.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	d.addr = l.Addr().String()
	front := NewFront(l, d.door.TLS(), api, false, log)
	web := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "the API over "+r.Proto)
	})}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = front.Run(ctx) })
	all.Go(func() { _ = web.Serve(front.API()) })
	all.Go(func() { _ = d.door.Serve(ctx, front.Collectors()) })
	all.Go(func() { _ = d.door.Run(ctx) })
	d.stop = func() {
		cancel()
		_ = web.Close()
		all.Wait()
		d.stop = func() {}
	}
}

func (d *depot) append(_ context.Context, c *queue.Chunk) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.appends++
	if d.refuse != nil {
		if err := d.refuse(d.appends); err != nil {
			return err
		}
	}
	d.kept = append(d.kept, *c)
	return nil
}

// events are the records that the pipeline makes events of: each number counts once,
// and only above those before.
func (d *depot) events() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	highest := map[string]uint64{}
	for i := range d.kept {
		c := &d.kept[i]
		if c.Number <= highest[c.Origin] {
			continue
		}
		highest[c.Origin] = c.Number
		all = append(all, c.Records...)
	}
	return all
}

// An agent is a collector of the test.
type agent struct {
	d    *depot
	key  *ecdsa.PrivateKey
	cert tls.Certificate
	id   string
	http *http.Client
}

// newAgent is a collector without a certificate.
func (d *depot) newAgent() *agent {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	a := &agent{d: d, key: key}
	a.connect()
	return a
}

// connect makes new connections, with the certificate that a has by now.
func (a *agent) connect() {
	config := &tls.Config{RootCAs: a.d.fleet.Authority.Pool(), ServerName: protocol.ServerName, NextProtos: []string{protocol.ALPN}, MinVersion: tls.VersionTLS13, Time: a.d.now}
	if a.cert.Certificate != nil {
		cert := a.cert
		// Shown even where the server does not ask for one of its kind.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	a.http = &http.Client{Transport: &http.Transport{DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", a.d.addr)
	}}}
	a.d.t.Cleanup(a.http.CloseIdleConnections)
}

func (a *agent) csr() string {
	a.d.t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, a.key)
	if err != nil {
		a.d.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// post sends a body and reads what comes back into out, or the problem.
func (a *agent) post(path string, body, out any) (status int, header http.Header, problem protocol.Problem, err error) {
	data, ok := body.([]byte)
	if !ok {
		if data, err = json.Marshal(body); err != nil {
			return 0, nil, problem, err
		}
	}
	r, err := http.NewRequestWithContext(a.d.t.Context(), http.MethodPost, "https://"+a.d.addr+path, bytes.NewReader(data))
	if err != nil {
		return 0, nil, problem, err
	}
	res, err := a.http.Do(r)
	if err != nil {
		return 0, nil, problem, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, res.Header, problem, err
	}
	if res.StatusCode != http.StatusOK {
		err = json.Unmarshal(text, &problem)
	} else if out != nil {
		err = json.Unmarshal(text, out)
	}
	return res.StatusCode, res.Header, problem, err
}

func (d *depot) token() string {
	d.t.Helper()
	_, text, err := d.fleet.CreateToken(d.t.Context(), d.tenant, "key:admin", fleet.TokenDraft{Name: "web"})
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// enrolled is a collector that was let in.
func (d *depot) enrolled() *agent {
	d.t.Helper()
	a := d.newAgent()
	token, err := protocol.ParseToken(d.token())
	if err != nil {
		d.t.Fatal(err)
	}
	var out protocol.EnrollResponse
	status, _, problem, err := a.post(protocol.PathEnroll, protocol.EnrollRequest{Token: token.Secret, CSR: a.csr(), Hostname: "web-01", OSFamily: "linux", Version: "1"}, &out)
	if err != nil || status != http.StatusOK {
		d.t.Fatalf("enrol: %d %+v %v", status, problem, err)
	}
	a.id = out.CollectorID
	a.take(out.Certificate)
	return a
}

func (a *agent) take(certificate string) {
	a.d.t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	a.cert = tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: a.key}
	a.connect()
}

func (a *agent) beat() (int, protocol.Problem, error) {
	status, _, problem, err := a.post(protocol.PathHeartbeat, protocol.Heartbeat{Hostname: "web-01", OSFamily: "linux", Version: "1"}, nil)
	return status, problem, err
}

func (a *agent) send(b *protocol.Batch) (ack uint64, status int, header http.Header, problem protocol.Problem) {
	a.d.t.Helper()
	packed, err := new(protocol.Codec).Encode(nil, b)
	if err != nil {
		a.d.t.Fatal(err)
	}
	var out protocol.Ack
	status, header, problem, err = a.post(protocol.PathBatch, packed, &out)
	if err != nil {
		a.d.t.Fatal(err)
	}
	return out.Acked, status, header, problem
}
