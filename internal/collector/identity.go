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
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/collector/spool"
)

// An identity is what enrolment made of a host. Key and certificate are one file,
// so that they never part.
type identity struct {
	ID          string `json:"id"`
	Machine     string `json:"machine"` // sum of the machine's own id, "" where it has none
	Key         string `json:"key"`     // PKCS #8, PEM
	Certificate string `json:"certificate"`
	CA          string `json:"ca"`

	leaf *x509.Certificate
	pair tls.Certificate
	pool *x509.CertPool
}

// ErrNotEnrolled is what commands answer on a host that has no identity yet.
var ErrNotEnrolled = errors.New("this host is not enrolled: make a token on the server, then run kyra collector enroll")

// CheckEnrolled returns nil where this host has an identity that it can use, ErrNotEnrolled
// where it has none, and else what is wrong with it.
func CheckEnrolled(p Paths) error {
	_, err := readIdentity(p)
	return err
}

// readIdentity reads and checks the identity in the state folder.
func readIdentity(p Paths) (*identity, error) {
	text, err := os.ReadFile(p.identity())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	id := new(identity)
	if err := json.Unmarshal(text, id); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w: enroll again", p.identity(), err)
	}
	if id.Machine != "" && id.Machine != machineSum() {
		return nil, errors.New("this identity was made on another machine: two machines with one identity would lose each other's records: enroll this one by itself, with --replace")
	}
	if err := id.open(); err != nil {
		return nil, fmt.Errorf("%s: %w: enroll again", p.identity(), err)
	}
	return id, nil
}

func (id *identity) open() error {
	var err error
	if id.pair, err = tls.X509KeyPair([]byte(id.Certificate), []byte(id.Key)); err != nil {
		return err
	}
	id.leaf = id.pair.Leaf
	id.pool = x509.NewCertPool()
	if !id.pool.AppendCertsFromPEM([]byte(id.CA)) {
		return errors.New("it holds no authority")
	}
	_, err = id.leaf.Verify(x509.VerifyOptions{Roots: id.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: id.leaf.NotBefore.Add(time.Minute)})
	return err
}

func (id *identity) write(p Paths) error {
	text, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	if err := spool.WriteFile(p.identity(), text, 0o600); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}

// renewAt is when two thirds of the certificate's life are over.
func (id *identity) renewAt() time.Time {
	life := id.leaf.NotAfter.Sub(id.leaf.NotBefore)
	return id.leaf.NotBefore.Add(life / 3 * 2)
}

// newKey makes a key, PEM, and the request for its certificate.
func newKey() (key *ecdsa.PrivateKey, text string, err error) {
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func readKey(text string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("a key of another kind")
	}
	return own, nil
}

func request(key *ecdsa.PrivateKey, host string) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: host}}, key)
	if err != nil {
		return "", fmt.Errorf("make a certificate request: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// Enrolment is what enroll is told.
type Enrolment struct {
	Server  string
	Token   string
	Host    string // as the host calls itself
	Version string
	Replace bool // an identity that is there is given up
	Bare    bool // no source is set up
}

// Enroll makes a key on this host, has it certified by the server that made the
// token, and writes the identity and, where it is missing, collector.yaml. It
// returns the collector's id. Where the answer was lost it can be called again.
func Enroll(ctx context.Context, p Paths, e Enrolment) (string, error) {
	token, err := protocol.ParseToken(e.Token)
	if err != nil {
		return "", err
	}
	if err := checkServer(e.Server); err != nil {
		return "", fmt.Errorf("--server: %w", err)
	}
	if _, err := os.Stat(p.identity()); err == nil && !e.Replace {
		return "", errors.New("this host is enrolled already: --replace gives up its identity for a new one")
	}
	if err := makePrivate(p.State); err != nil {
		return "", fmt.Errorf("make state folder: %w", err)
	}
	pending := filepath.Join(p.State, "enrolling.key")
	text, err := os.ReadFile(pending)
	key, keyErr := readKey(string(text))
	if err != nil || keyErr != nil {
		var fresh string
		if key, fresh, err = newKey(); err != nil {
			return "", err
		}
		text = []byte(fresh)
		if err := spool.WriteFile(pending, text, 0o600); err != nil {
			return "", fmt.Errorf("keep the key: %w", err)
		}
	}
	csr, err := request(key, e.Host)
	if err != nil {
		return "", err
	}
	l := newLink(e.Server, enrolmentTLS(token.CA))
	defer l.close()
	var answer protocol.EnrollResponse
	err = l.call(ctx, protocol.PathEnroll, protocol.EnrollRequest{
		Token: token.Secret, CSR: csr, Hostname: e.Host, OSFamily: runtime.GOOS, Version: e.Version,
	}, &answer)
	if err != nil {
		return "", fmt.Errorf("enroll at %s: %w", e.Server, err)
	}
	id := &identity{ID: answer.CollectorID, Machine: machineSum(), Key: string(text), Certificate: answer.Certificate, CA: answer.CA}
	if err := id.open(); err != nil {
		return "", fmt.Errorf("the server's certificate cannot be used: %w", err)
	}
	block, _ := pem.Decode([]byte(answer.CA))
	if block == nil || sha256.Sum256(block.Bytes) != token.CA {
		return "", errors.New("the server names another authority than the token: the token is of another server")
	}
	if err := id.write(p); err != nil {
		return "", err
	}
	if err := setUp(p, e); err != nil {
		return "", err
	}
	_ = os.Remove(pending) // kept elsewhere now
	return id.ID, nil
}

// enrolmentTLS trusts the authority that has the sum, and nothing else.
func enrolmentTLS(sum [sha256.Size]byte) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocol.ALPN}, ServerName: protocol.ServerName,
		InsecureSkipVerify: true, //nolint:gosec // verified below, against the authority of the token alone
		VerifyConnection: func(state tls.ConnectionState) error {
			pool := x509.NewCertPool()
			found := false
			for _, c := range state.PeerCertificates {
				if sha256.Sum256(c.Raw) == sum {
					pool.AddCert(c)
					found = true
				}
			}
			if !found {
				return errors.New("the server is not the one that made the token, or something between opens TLS: check --server and the token")
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: protocol.ServerName})
			return err
		},
	}
}

// tls is how an enrolled collector calls. The certificate is asked for at each
// connection, so that a new one is used at once.
func (id *identity) tls(current func() *identity) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocol.ALPN}, ServerName: protocol.ServerName, RootCAs: id.pool,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &current().pair, nil },
	}
}

// setUp writes what is missing to run: the server's address, and a source for the
// system's own log.
func setUp(p Paths, e Enrolment) error {
	if err := makeSettings(filepath.Dir(p.Config)); err != nil {
		return fmt.Errorf("make configuration folder: %w", err)
	}
	_, err := os.Stat(p.Config)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text := "# Settings of the KYRA collector. After a change: kyra-collector reload\nserver: " + e.Server + "\n"
		if err := spool.WriteFile(p.Config, []byte(text), 0o640); err != nil {
			return fmt.Errorf("write %s: %w", p.Config, err)
		}
	case err != nil:
		return fmt.Errorf("look at %s: %w", p.Config, err)
	default:
		text, err := os.ReadFile(p.Config)
		if err != nil || !strings.Contains(string(text), e.Server) {
			return fmt.Errorf("enrolled, but %s names another server: set server: %s there", p.Config, e.Server)
		}
	}
	if _, err := os.Stat(p.Sources()); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.MkdirAll(p.Sources(), 0o750); err != nil {
		return fmt.Errorf("make sources.d: %w", err)
	}
	if e.Bare {
		return nil
	}
	if text := systemSource(); text != "" {
		return spool.WriteFile(filepath.Join(p.Sources(), "system.yaml"), []byte(text), 0o640)
	}
	return nil
}

// systemSource is a source for what this system logs by itself.
func systemSource() string {
	if runtime.GOOS == "windows" {
		return "source:\n  type: wineventlog\n  channels: [Security, System, Application, Microsoft-Windows-PowerShell/Operational]\n"
	}
	if _, err := os.Stat("/run/systemd/journal/socket"); err == nil {
		return "source:\n  type: journald\n"
	}
	if runtime.GOOS == "linux" {
		return "source:\n  type: file\n  paths: [/var/log/auth.log*, /var/log/secure*, /var/log/syslog*, /var/log/messages*]\n"
	}
	return ""
}

// machineSum tells machines apart, "" where the system has no id for them.
func machineSum() string {
	id := strings.TrimSpace(machineID())
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("kyra-collector " + id))
	return fmt.Sprintf("%x", sum[:8])
}
