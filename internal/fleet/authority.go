package fleet

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	// CertificateLife is how long a collector's certificate is good. It is renewed
	// in its last third.
	CertificateLife = 30 * 24 * time.Hour
	renewBefore     = CertificateLife / 3

	authorityLife = 30 * 365 * 24 * time.Hour
	serverLife    = 365 * 24 * time.Hour

	// backdate lets in clocks that are behind.
	backdate = 24 * time.Hour

	authorityPurpose = "fleet authority"
)

// An Authority signs the certificates of collectors, and of the servers that they
// call. Its methods may be called concurrently.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	now         func() time.Time

	mu     sync.Mutex
	server *tls.Certificate // lives in this process alone
}

type authorityRow struct{ certificate, sealed []byte }

// OpenAuthority reads the installation's authority, and makes it where there is
// none. Several servers on one database share it: each needs the same sealing key.
func OpenAuthority(ctx context.Context, db *sqldb.DB, sealer *seal.Sealer, now func() time.Time) (*Authority, error) {
	row, err := readAuthority(ctx, db)
	if errors.Is(err, fault.NotFound) {
		if err := makeAuthority(ctx, db, sealer, now()); err != nil {
			return nil, fmt.Errorf("make the collectors' authority: %w", err)
		}
		row, err = readAuthority(ctx, db) // another server may have been faster
	}
	if err != nil {
		return nil, fmt.Errorf("read the collectors' authority: %w", err)
	}
	plain, err := sealer.Open(0, authorityPurpose, row.sealed)
	if err != nil {
		return nil, fmt.Errorf("key of the collectors' authority: %w", err)
	}
	a := &Authority{now: now}
	if a.certificate, err = x509.ParseCertificate(row.certificate); err != nil {
		return nil, fmt.Errorf("certificate of the collectors' authority: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("key of the collectors' authority: %w", err)
	}
	var ok bool
	if a.key, ok = key.(*ecdsa.PrivateKey); !ok || !a.key.PublicKey.Equal(a.certificate.PublicKey) {
		return nil, errors.New("key and certificate of the collectors' authority do not belong together: restore the table fleet_authority from a backup")
	}
	return a, nil
}

func readAuthority(ctx context.Context, db *sqldb.DB) (authorityRow, error) {
	return sqldb.One(ctx, db, func(rows *sql.Rows, r *authorityRow) error { return rows.Scan(&r.certificate, &r.sealed) },
		`SELECT certificate, sealed_key FROM fleet_authority`)
}

func makeAuthority(ctx context.Context, db *sqldb.DB, sealer *seal.Sealer, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "KYRA collectors"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, db, `
		INSERT INTO fleet_authority (one, certificate, sealed_key, created_at) VALUES (1, $1, $2, $3) ON CONFLICT (one) DO NOTHING`,
		certificate, sealer.Seal(0, authorityPurpose, plain), now.UnixMicro())
	return err
}

// PEM is the authority's certificate.
func (a *Authority) PEM() string { return certificatePEM(a.certificate.Raw) }

// Fingerprint is the SHA-256 of the authority's certificate: what enrolment tokens
// pin.
func (a *Authority) Fingerprint() [sha256.Size]byte { return sha256.Sum256(a.certificate.Raw) }

// Pool trusts the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// ServerCertificate is what this server shows to collectors, whatever host name or
// address they dial: they trust this authority alone. Its key was made in this
// process and never leaves it.
func (a *Authority) ServerCertificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.server != nil && now.Before(a.server.Leaf.NotAfter.Add(-serverLife/2)) {
		return a.server, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate for collectors to see: %w", err)
	}
	leaf, err := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: protocol.ServerName}, DNSNames: []string{protocol.ServerName},
		// As old as the authority: a collector's clock may be far behind.
		NotBefore: a.certificate.NotBefore, NotAfter: now.Add(serverLife),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	a.server = &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}
	return a.server, nil
}

// signCollector makes a collector's certificate: its subject is the collector's id,
// and it is good for nothing but to call a server.
func (a *Authority) signCollector(id string, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	now := a.now()
	return a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: id}, NotBefore: now.Add(-backdate), NotAfter: now.Add(CertificateLife),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key)
}

func (a *Authority) sign(template *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	template.SerialNumber = newSerial()
	template.BasicConstraintsValid, template.KeyUsage = true, x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// newSerial returns 127 random bits: positive, and within RFC 5280's 20 octets.
func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

func certificatePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// requestedKey takes the public key out of a certificate request. Nothing else of
// it counts: names and usages are the authority's to give.
func requestedKey(text string) (*ecdsa.PublicKey, error) {
	refused := func(why string) error {
		return fault.New(fault.Invalid, "Allowed: a PEM certificate request for an ECDSA key on P-256 (%s)", why).In("csr")
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, refused("it is no such PEM block")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, refused("it cannot be read")
	}
	key, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, refused("its key is of another kind")
	}
	if request.CheckSignature() != nil {
		return nil, refused("it is not signed by its key")
	}
	return key, nil
}

// keyDigest names a public key.
func keyDigest(key *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}
