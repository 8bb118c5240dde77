package ingest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
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

func records(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = prefix + strings.Repeat("x", i%7)
	}
	return all
}

func TestBatches(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	arrived := d.now().Add(-time.Hour).UnixNano()
	first := &protocol.Batch{Seq: 3, Chunks: []protocol.Chunk{
		{Input: "file", Peer: "/var/log/auth.log", Arrived: arrived, Records: []string{"one", "two"}, Cut: []uint32{1}},
		{Input: "syslog-udp", Source: "Cisco.ASA", Peer: "192.0.2.9:514", Host: "fw", Arrived: d.now().Add(time.Hour).UnixNano(), Records: []string{"three"}},
		{Input: "bad name", Source: "no name", Peer: "", Host: "db-1", Arrived: 1, Records: []string{strings.Repeat("y", 1<<20), "", strings.Repeat("z", 10)}},
		{},
	}}
	for range 3 {
		if ack, status, _, problem := a.send(first); status != http.StatusOK || ack != 3 {
			t.Fatalf("batch 3: ack %d, %d %+v", ack, status, problem)
		}
	}
	if d.appends != 4 {
		t.Errorf("%d appends: a resend is answered from memory", d.appends)
	}
	if ack, status, _, _ := a.send(&protocol.Batch{Seq: 2, Chunks: []protocol.Chunk{{Records: []string{"late"}}}}); status != http.StatusOK || ack != 3 {
		t.Errorf("an older batch: ack %d, %d", ack, status)
	}
	d.mu.Lock()
	kept := d.kept
	d.mu.Unlock()
	now := d.now().UnixNano()
	for i, want := range []queue.Chunk{
		{Input: "collector-file", Peer: "web-01", Arrived: arrived, Cut: []uint32{1}},
		{Input: "collector-syslog-udp", Source: "cisco.asa", Peer: "192.0.2.9", Arrived: now},
		{Input: "collector", Peer: "db-1", Arrived: now},
		{Input: "collector", Peer: "db-1", Arrived: now},
	} {
		got := kept[i]
		if got.Tenant != d.tenant || got.Key != a.id || got.Origin != a.id || got.Number != 3<<16|uint64(i) {
			t.Errorf("chunk %d is %d of %s", i, got.Number, got.Origin)
		}
		if got.Input != want.Input || got.Peer != want.Peer || got.Source != want.Source || got.Arrived != want.Arrived || len(got.Cut) != len(want.Cut) {
			t.Errorf("chunk %d is %+v, want %+v", i, got, want)
		}
	}
	if ack, status, _, _ := a.send(&protocol.Batch{Seq: 4}); status != http.StatusOK || ack != 4 {
		t.Errorf("an empty batch: ack %d, %d", ack, status)
	}
	for name, body := range map[string][]byte{"nothing": nil, "noise": []byte("noise"), "torn": {1, 2, 3}} {
		if status, _, problem, err := a.post(protocol.PathBatch, body, nil); err != nil || status != http.StatusBadRequest {
			t.Errorf("%s: %d %+v %v", name, status, problem, err)
		}
	}
	if status, _, problem, err := a.post(protocol.PathBatch, make([]byte, protocol.MaxPacked+1), nil); err == nil && status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %+v %v", status, problem, err)
	}
	if _, status, _, _ := a.send(&protocol.Batch{Seq: maxSeq + 1}); status != http.StatusBadRequest {
		t.Errorf("a number out of bounds: %d", status)
	}
}

func TestBatchIsCutTheSameEachTime(t *testing.T) {
	t.Parallel()
	b := &protocol.Batch{Seq: 1, Chunks: []protocol.Chunk{{Records: records("a", 12_000)}, {Records: records(strings.Repeat("b", 900), 2_000)}}}
	caller := &fleet.Caller{ID: "c", Tenant: 1}
	first := numbered(caller, b, time.Unix(2, 0))
	again := numbered(caller, b, time.Unix(9999, 0))
	total := 0
	for i := range first {
		if first[i].Number != again[i].Number || len(first[i].Records) != len(again[i].Records) {
			t.Errorf("chunk %d differs", i)
		}
		total += len(first[i].Records)
	}
	if len(first) != len(again) || len(first) < 6 || total != 14_000 {
		t.Errorf("%d and %d chunks of %d records", len(first), len(again), total)
	}
}

// A batch that the queue takes half of, a server that dies, and a resend through the
// next one: every record is an event once.
func TestExactlyOnceAcrossRestarts(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	var want []string
	batchOf := func(seq uint64) *protocol.Batch {
		b := &protocol.Batch{Seq: seq, Chunks: []protocol.Chunk{{Input: "file", Records: records("a", 6000)}, {Input: "file", Records: records("b", 10)}}}
		return b
	}
	for seq := uint64(1); seq <= 6; seq++ {
		b := batchOf(seq)
		for _, ch := range b.Chunks {
			want = append(want, ch.Records...)
		}
		d.mu.Lock()
		at := d.appends
		switch seq {
		case 2: // the queue is full half way
			d.refuse = func(n int) error {
				if n == at+2 {
					return fault.New(fault.Unavailable, "full")
				}
				return nil
			}
		case 4: // the queue has it, and nobody learns
			d.refuse = func(n int) error {
				if n == at+3 {
					d.kept = append(d.kept, *numbered(&fleet.Caller{ID: a.id, Tenant: d.tenant}, b, d.clock)[2])
					return context.DeadlineExceeded
				}
				return nil
			}
		default:
			d.refuse = nil
		}
		d.mu.Unlock()
		ack, status, header, _ := a.send(b)
		if seq == 2 || seq == 4 {
			if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
				t.Errorf("batch %d: %d", seq, status)
			}
			d.restart(a)
			ack, status, _, _ = a.send(b)
		}
		if status != http.StatusOK || ack != seq {
			t.Errorf("batch %d: ack %d, %d", seq, ack, status)
		}
		if seq == 5 { // acknowledged, and the answer is lost
			if err := d.fleet.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.restart(a)
			before := d.appends
			if ack, status, _, _ := a.send(b); status != http.StatusOK || ack != 5 || d.appends != before {
				t.Errorf("batch 5 again: ack %d, %d, %d appends more", ack, status, d.appends-before)
			}
		}
	}
	got := d.events()
	if len(got) != len(want) {
		t.Fatalf("%d events of %d records", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("event %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// restart ends the server and starts another one.
func (d *depot) restart(agents ...*agent) {
	d.t.Helper()
	d.stop()
	d.start(nil)
	for _, a := range agents {
		a.connect()
	}
}

func TestCollectorQuota(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	d.quota = 50
	a := d.enrolled()
	// More than the bucket holds: taken whole, and paid for afterwards.
	if _, status, _, problem := a.send(&protocol.Batch{Seq: 1, Chunks: []protocol.Chunk{{Records: records("a", 1000)}}}); status != http.StatusOK {
		t.Fatalf("the first batch: %d %+v", status, problem)
	}
	_, status, header, problem := a.send(&protocol.Batch{Seq: 2, Chunks: []protocol.Chunk{{Records: records("a", 1)}}})
	if status != http.StatusTooManyRequests || problem.Code != "quota" || header.Get("Retry-After") == "" || header.Get("Retry-After") < "1" {
		t.Errorf("in debt: %d %+v, retry after %q", status, problem, header.Get("Retry-After"))
	}
	if n, wait := d.door.gate.quotas.take(Tenant{d.tenant, 50}, 5); n != 0 || wait <= 0 {
		t.Errorf("other doors are granted %d, wait %v", n, wait)
	}
	if len(d.events()) != 1000 {
		t.Errorf("%d events", len(d.events()))
	}
}

func TestOneBatchAtATime(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	b := &protocol.Batch{Seq: 1, Chunks: []protocol.Chunk{{Records: records("a", 100)}}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if ack, status, _, problem := a.send(b); status != http.StatusOK || ack != 1 {
				t.Errorf("ack %d, %d %+v", ack, status, problem)
			}
		})
	}
	all.Wait()
	if d.appends != 1 {
		t.Errorf("%d appends of one batch", d.appends)
	}
}

func TestHeartbeatCarriesConfiguration(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	files := map[string]string{"sources.d/web.yaml": "source: {type: file}\n"}
	if err := d.fleet.SetDesired(t.Context(), d.tenant, "key:admin", a.id, files, 0); err != nil {
		t.Fatal(err)
	}
	var out protocol.HeartbeatResponse
	beat := protocol.Heartbeat{
		Hostname: "web-02", OSFamily: "linux", Version: "2", Clock: d.now().Add(3 * time.Second).UnixNano(), SpoolRecords: 5,
		Sources: []protocol.SourceReport{{Name: "web", Type: "file", Records: 7, Dropped: 1, Filtered: 2, Rate: 1.5}},
	}
	if status, _, problem, err := a.post(protocol.PathHeartbeat, beat, &out); err != nil || status != http.StatusOK {
		t.Fatalf("%d %+v %v", status, problem, err)
	}
	if out.Config == nil || out.Config.Revision != "1" || out.Config.Files["sources.d/web.yaml"] != files["sources.d/web.yaml"] || out.IntervalSeconds != 15 || out.ServerTime == 0 || out.Renew {
		t.Errorf("answer: %+v", out)
	}
	beat.ConfigRevision = "1"
	out = protocol.HeartbeatResponse{}
	if _, _, _, err := a.post(protocol.PathHeartbeat, beat, &out); err != nil || out.Config != nil {
		t.Errorf("it has it: %+v %v", out.Config, err)
	}
	if err := d.fleet.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := d.fleet.Member(t.Context(), d.tenant, a.id)
	if err != nil || m.Hostname != "web-02" || m.Report.ClockOffset != 3*time.Second || m.Report.Address != "127.0.0.1" || m.Report.ConfigRevision != "1" ||
		m.Report.Sources[0].Records != 7 || m.Report.Sources[0].Dropped != 1 || m.Report.Sources[0].Filtered != 2 || m.Report.SpoolRecords != 5 {
		t.Errorf("%+v %+v %v", m, m.Report, err)
	}
	if status, _, problem, err := a.post(protocol.PathHeartbeat, []byte("{"), nil); err != nil || status != http.StatusBadRequest {
		t.Errorf("broken JSON: %d %+v %v", status, problem, err)
	}
	if status, _, _, err := a.post(protocol.PathHeartbeat, make([]byte, protocol.MaxMessage+1), nil); err == nil && status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %v", status, err)
	}
}

// The domain and the wire agree on when a collector is gone.
func TestOfflineAfter(t *testing.T) {
	t.Parallel()
	if source.OfflineAfter != 45*time.Second || source.BeatEvery != 15*time.Second {
		t.Errorf("offline after %v, a beat every %v", source.OfflineAfter, source.BeatEvery)
	}
}
