package fleet

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

var start = time.Date(2026, 4, 25, 9, 0, 0, 0, time.UTC)

// bench is a fleet over a database, with a time that the test moves.
type bench struct {
	t      *testing.T
	ctx    context.Context
	db     *sqldb.DB
	sealer *seal.Sealer
	a, b   uint32 // tenants
	*Service

	mu    sync.Mutex
	clock time.Time
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

// restart is another process on the same database.
func (b *bench) restart() {
	b.t.Helper()
	authority, err := OpenAuthority(b.ctx, b.db, b.sealer, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Service = New(Config{
		DB: b.db, Sources: source.New(b.db, b.now), Authority: authority, Now: b.now,
		Log: slog.New(slog.NewTextHandler(b.t.Output(), nil)),
	})
}

func each(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		sealer, err := seal.New(bytes.Repeat([]byte{7}, seal.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, ctx: t.Context(), db: db, sealer: sealer, clock: start}
		for i, n := range []*uint32{&b.a, &b.b} {
			made, err := tenant.New(db).Create(t.Context(), audit.System, tenant.Draft{Name: fmt.Sprint("tenant ", i)})
			if err != nil {
				t.Fatal(err)
			}
			*n = made.Number
		}
		b.restart()
		test(t, b)
	})
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func requestFor(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "somebody else"}, DNSNames: []string{protocol.ServerName}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func (b *bench) token(tenant uint32) string {
	b.t.Helper()
	_, text, err := b.CreateToken(b.ctx, tenant, "key:admin", TokenDraft{Name: "web server", Labels: map[string]string{"site": "Seoul"}})
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// enrol lets a collector of a tenant in.
func (b *bench) enrol(tenant uint32) (Grant, Caller) {
	b.t.Helper()
	g, err := b.Enroll(b.ctx, Application{Token: b.token(tenant), Request: requestFor(b.t, newKey(b.t)), Machine: Machine{"web-01", "Linux", "0.1.0"}})
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := b.Admit(b.ctx, g.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return g, c
}

func (b *bench) beat(c Caller, r Report) Answer {
	b.t.Helper()
	answer, err := b.Heartbeat(b.ctx, c, Machine{"web-01", "linux", "0.1.0"}, r, b.now().Add(CertificateLife))
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}

func parseCertificate(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAuthorityIsOneForAllServers(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		first := b.Authority
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				other, err := OpenAuthority(b.ctx, b.db, b.sealer, b.now)
				if err != nil || other.Fingerprint() != first.Fingerprint() {
					t.Errorf("another server has another authority: %v", err)
				}
			})
		}
		all.Wait()
		foreign, err := seal.New(bytes.Repeat([]byte{8}, seal.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenAuthority(b.ctx, b.db, foreign, b.now); err == nil || !strings.Contains(err.Error(), "seal-key") {
			t.Errorf("with another sealing key: %v", err)
		}
		row, err := readAuthority(b.ctx, b.db)
		if err != nil || bytes.Contains(row.sealed, []byte("PRIVATE")) {
			t.Errorf("the key is not sealed: %v", err)
		}
		if _, err := x509.ParsePKCS8PrivateKey(row.sealed); err == nil {
			t.Error("the key is not sealed")
		}
	})
}

func TestCertificates(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		g, _ := b.enrol(b.a)
		leaf := parseCertificate(t, g.Certificate)
		if leaf.Subject.CommonName != g.ID || len(leaf.DNSNames) > 0 || leaf.IsCA {
			t.Errorf("the request chose the certificate's names: %v %v", leaf.Subject, leaf.DNSNames)
		}
		if leaf.NotAfter.Sub(start) != CertificateLife || !g.NotAfter.Equal(leaf.NotAfter) {
			t.Errorf("it is good until %v", leaf.NotAfter)
		}
		verify := func(c *x509.Certificate, use x509.ExtKeyUsage, name string) error {
			_, err := c.Verify(x509.VerifyOptions{Roots: b.Authority.Pool(), KeyUsages: []x509.ExtKeyUsage{use}, DNSName: name, CurrentTime: b.now()})
			return err
		}
		if err := verify(leaf, x509.ExtKeyUsageClientAuth, ""); err != nil {
			t.Error(err)
		}
		if verify(leaf, x509.ExtKeyUsageServerAuth, "") == nil {
			t.Error("a collector can pass for the server")
		}
		server, err := b.Authority.ServerCertificate()
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(server.Leaf, x509.ExtKeyUsageServerAuth, protocol.ServerName); err != nil {
			t.Error(err)
		}
		if verify(server.Leaf, x509.ExtKeyUsageClientAuth, "") == nil {
			t.Error("the server's certificate passes for a collector's")
		}
		same, err := b.Authority.ServerCertificate()
		if err != nil || same != server {
			t.Errorf("a new certificate for each call: %v", err)
		}
		b.pass(serverLife/2 + time.Hour)
		if next, err := b.Authority.ServerCertificate(); err != nil || next == server {
			t.Errorf("the server's certificate is not renewed: %v", err)
		}
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		small, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		good := requestFor(t, newKey(t))
		block, _ := pem.Decode([]byte(good))
		block.Bytes[len(block.Bytes)-1] ^= 1
		token := b.token(b.a)
		for name, request := range map[string]string{
			"nothing": "", "no PEM": "x", "an RSA key": requestFor(t, small), "another curve": requestFor(t, other),
			"a certificate": b.Authority.PEM(), "two": good + good, "not its own key's": string(pem.EncodeToMemory(block)),
		} {
			_, err := b.Enroll(b.ctx, Application{Token: token, Request: request, Machine: Machine{Hostname: "h"}})
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Field != "csr" {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err = b.Enroll(b.ctx, Application{Token: token, Request: good})
		wantKind(t, "without a host name", err, fault.Invalid)
		if _, err := b.Enroll(b.ctx, Application{Token: token, Request: good, Machine: Machine{Hostname: "h"}}); err != nil {
			t.Errorf("the token was used up by what was refused: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		made, text, err := b.CreateToken(b.ctx, b.a, "key:admin", TokenDraft{Name: " web server ", Labels: map[string]string{"site": "Seoul"}})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := protocol.ParseToken(text)
		if err != nil || parsed.CA != b.Authority.Fingerprint() {
			t.Fatalf("token %q: %v", text, err)
		}
		got, err := b.Token(b.ctx, b.a, made.ID)
		if d := cmp.Diff(made, got, cmp.AllowUnexported(Token{})); err != nil || d != "" {
			t.Errorf("%v (-made +read):\n%s", err, d)
		}
		if got.Name != "web server" || !got.ExpiresAt.Equal(start.Add(DefaultTokenLife)) || got.Status(start) != "open" {
			t.Errorf("token is %+v", got)
		}
		stored, err := sqldb.One(b.ctx, b.db, sqldb.Value[string], `SELECT digest FROM fleet_token WHERE id = $1`, made.ID)
		if err != nil || strings.Contains(stored, parsed.Secret) {
			t.Errorf("the secret is stored: %v", err)
		}
		for name, d := range map[string]TokenDraft{
			"no name": {}, "long name": {Name: strings.Repeat("x", 101)}, "control characters": {Name: "a\nb"},
			"past": {Name: "x", ExpiresAt: new(start)}, "far": {Name: "x", ExpiresAt: new(start.Add(MaxTokenLife + time.Second))},
			"label": {Name: "x", Labels: map[string]string{"": "y"}},
		} {
			_, _, err := b.CreateToken(b.ctx, b.a, "key:admin", d)
			wantKind(t, name, err, fault.Invalid)
		}

		// Another tenant knows nothing of it.
		_, err = b.Token(b.ctx, b.b, made.ID)
		wantKind(t, "another tenant's token", err, fault.NotFound)
		wantKind(t, "revoking another tenant's token", b.RevokeToken(b.ctx, b.b, "x", made.ID), fault.NotFound)

		ask := func(token string) error {
			_, err := b.Enroll(b.ctx, Application{Token: token, Request: requestFor(t, newKey(t)), Machine: Machine{Hostname: "h"}})
			return err
		}
		foreign := parsed
		foreign.CA[0]++
		for _, token := range []string{"", "x", protocol.TokenPrefix, parsed.Secret + "x", foreign.String()} {
			wantKind(t, "token "+token, ask(token), fault.Unauthenticated)
		}
		if err := b.RevokeToken(b.ctx, b.a, "key:admin", made.ID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, "a revoked token", ask(text), fault.Unauthenticated)

		late := b.token(b.a)
		b.pass(DefaultTokenLife)
		wantKind(t, "an expired token", ask(late), fault.Unauthenticated)

		used := b.token(b.a)
		secret, _ := protocol.ParseToken(used)
		if err := ask(secret.Secret); err != nil {
			t.Errorf("with the secret alone: %v", err)
		}
		wantKind(t, "a used token", ask(used), fault.Unauthenticated)
		list, total, err := b.Tokens(b.ctx, b.a, false, 0, 10)
		if err != nil || total != 3 || list[0].Status(b.now()) != "used" || list[0].UsedBy == "" || list[1].Status(b.now()) != "expired" || list[2].Status(b.now()) != "revoked" {
			t.Errorf("tokens: %v %+v", err, list)
		}
		wantKind(t, "revoking a used token", b.RevokeToken(b.ctx, b.a, "x", list[0].ID), fault.Conflict)
	})
}

func TestTokenLetsOneInHoweverManyAsk(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		token := b.token(b.a)
		const callers = 8
		results := make([]error, callers)
		var all sync.WaitGroup
		for i := range callers {
			request := requestFor(t, newKey(t))
			all.Go(func() {
				_, results[i] = b.Enroll(b.ctx, Application{Token: token, Request: request, Machine: Machine{Hostname: "h"}})
			})
		}
		all.Wait()
		in := 0
		for _, err := range results {
			if err == nil {
				in++
				continue
			}
			wantKind(t, "one of the others", err, fault.Unauthenticated)
		}
		if list, err := b.Sources.List(b.ctx, b.a); in != 1 || err != nil || len(list) != 1 {
			t.Errorf("%d were let in, %d are there, %v; want one", in, len(list), err)
		}
	})
}

func TestLostAnswerMayBeAskedForAgain(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		token, key := b.token(b.a), newKey(t)
		ask := func(key *ecdsa.PrivateKey) (Grant, error) {
			return b.Enroll(b.ctx, Application{Token: token, Request: requestFor(t, key), Machine: Machine{Hostname: "h"}})
		}
		first, err := ask(key)
		if err != nil {
			t.Fatal(err)
		}
		second, err := ask(key)
		if err != nil || second.ID != first.ID || second.Certificate == first.Certificate {
			t.Errorf("the same key again: %v, %s and %s", err, first.ID, second.ID)
		}
		_, err = ask(newKey(t))
		wantKind(t, "another key", err, fault.Unauthenticated)
		b.pass(again)
		_, err = ask(key)
		wantKind(t, "an hour later", err, fault.Unauthenticated)
	})
}

func TestEnrolledCollector(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		g, c := b.enrol(b.a)
		if c.Tenant != b.a || c.Name != "web server" || c.Hostname != "web-01" {
			t.Errorf("caller is %+v", c)
		}
		list, err := b.Sources.List(b.ctx, b.a)
		if err != nil || len(list) != 1 || list[0].ID != g.ID || list[0].OSFamily != "linux" || list[0].Status != source.Online {
			t.Errorf("list: %+v %v", list, err)
		}
		if others, _ := b.Sources.List(b.ctx, b.b); len(others) != 0 {
			t.Errorf("another tenant sees %+v", others)
		}
		_, err = b.Member(b.ctx, b.b, g.ID)
		wantKind(t, "another tenant's collector", err, fault.NotFound)

		b.pass(CertificateLife - renewBefore + time.Second)
		answer, err := b.Heartbeat(b.ctx, c, Machine{}, Report{}, g.NotAfter)
		if err != nil || !answer.Renew {
			t.Errorf("in its last third: %+v %v", answer, err)
		}
		renewed, err := b.Renew(b.ctx, c, requestFor(t, newKey(t)))
		if err != nil || !renewed.NotAfter.Equal(b.now().Add(CertificateLife)) {
			t.Fatalf("renewed: %+v %v", renewed, err)
		}
		m, err := b.Member(b.ctx, b.a, g.ID)
		if err != nil || m.Serial != serialText(parseCertificate(t, renewed.Certificate)) || !m.NotAfter.Equal(renewed.NotAfter) {
			t.Errorf("member: %+v %v", m, err)
		}
		if answer, _ := b.Heartbeat(b.ctx, c, Machine{}, Report{}, renewed.NotAfter); answer.Renew {
			t.Error("a new certificate is to be renewed")
		}
		entries, _, err := audit.List(b.ctx, b.db, b.a, audit.Filter{Object: g.ID})
		if err != nil || len(entries) != 2 || entries[0].Action != "collector.renew" || entries[1].Action != "collector.enroll" {
			t.Errorf("audit: %+v %v", entries, err)
		}
	})
}

func TestRevocation(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		g, c := b.enrol(b.a)
		var told []string
		b.OnRevoke(func(id string) { told = append(told, id) })
		elsewhere := b.Service
		b.restart() // another server, which has seen the collector
		if _, err := b.Admit(b.ctx, g.ID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, "another tenant", elsewhere.Revoke(b.ctx, b.b, "key:admin", g.ID), fault.NotFound)
		if _, err := elsewhere.Admit(b.ctx, g.ID); err != nil {
			t.Errorf("revoked by another tenant: %v", err)
		}
		for range 2 {
			if err := elsewhere.Revoke(b.ctx, b.a, "key:admin", g.ID); err != nil {
				t.Fatal(err)
			}
		}
		_, err := elsewhere.Admit(b.ctx, g.ID)
		wantKind(t, "at once", err, fault.Forbidden)
		b.pass(cacheFor)
		_, err = b.Admit(b.ctx, g.ID)
		wantKind(t, "on another server after seconds", err, fault.Forbidden)
		_, err = b.Renew(b.ctx, c, requestFor(t, newKey(t)))
		wantKind(t, "renewing", err, fault.Forbidden)
		if !cmp.Equal(told, []string{g.ID, g.ID}) {
			t.Errorf("told of %v", told)
		}
		if list, _ := b.Sources.List(b.ctx, b.a); len(list) != 0 {
			t.Errorf("it is still listed: %+v", list)
		}
		m, err := b.Member(b.ctx, b.a, g.ID)
		if err != nil || m.RevokedAt == nil || m.RevokedBy != "key:admin" {
			t.Errorf("member: %+v %v", m, err)
		}
		if entries, _, _ := audit.List(b.ctx, b.db, b.a, audit.Filter{Action: "collector.revoke"}); len(entries) != 1 {
			t.Errorf("audit: %+v", entries)
		}
		_, err = b.Admit(b.ctx, "nobody")
		wantKind(t, "nobody", err, fault.Unauthenticated)

		// What it said before is not written any more, and it is not missed.
		b.beat(c, Report{})
		must(t, b.Flush(b.ctx))
		b.look(source.OfflineAfter * 3)
		if got := b.told(); len(got) != 0 {
			t.Errorf("told of %v", got)
		}
	})
}
