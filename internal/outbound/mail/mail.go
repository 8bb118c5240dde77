// Package mail sends letters by SMTP through the guarded way out. It composes their
// headers from texts that anybody may have written, so that none can add a header, a
// recipient or a part. It keeps nothing.
package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
)

// How a connection is secured.
const (
	StartTLS = "starttls" // RFC 3207, demanded
	TLS      = "tls"      // from the first byte (RFC 8314)
	Plain    = "none"     // only to addresses that the operator allows
)

// A Server is where letters are handed in.
type Server struct {
	Host, Security     string
	Port               int
	Username, Password string // "": without signing in
	CA                 string // PEM of the authority that signed its certificate, "" for the system's
}

// A Letter is what is sent: the same text in two forms.
type Letter struct {
	ID         string // unique, without angle brackets: the same on every attempt
	FromName   string
	From       string
	To         []string
	Subject    string
	Text, HTML string
	At         time.Time
	Agent      string // the program, for User-Agent
	Files      []File // attached
}

// A File is attached to a letter.
type File struct {
	Name, MediaType string // the name is one line
	Content         []byte
}

const (
	timeout    = 20 * time.Second
	maxSubject = 200 // characters
)

// CheckAddress reads one address without a display name.
func CheckAddress(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fault.New(fault.Invalid, "Allowed: an e-mail address such as soc@example.com")
	}
	return nil
}

// Compose returns the letter as it goes over the wire.
func Compose(l *Letter) ([]byte, error) {
	m, err := compose(l)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("compose letter: %w", err)
	}
	return b.Bytes(), nil
}

func compose(l *Letter) (*gomail.Msg, error) {
	m := gomail.NewMsg()
	if err := CheckAddress(l.From); err != nil {
		return nil, err
	}
	if err := m.FromFormat(line(l.FromName, 100), l.From); err != nil {
		return nil, fault.New(fault.Invalid, "the sender's address cannot be used").Because(err)
	}
	for _, to := range l.To {
		if err := CheckAddress(to); err != nil {
			return nil, err
		}
		if err := m.AddTo(to); err != nil {
			return nil, fault.New(fault.Invalid, "the recipient's address cannot be used").Because(err)
		}
	}
	m.Subject(line(l.Subject, maxSubject))
	m.SetMessageIDWithValue(token(l.ID))
	m.SetDateWithValue(l.At)
	m.SetUserAgent(line(l.Agent, 100))
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes, please
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	if l.HTML != "" {
		m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	}
	for i := range l.Files {
		f := &l.Files[i]
		m.AttachReadSeeker(line(f.Name, maxSubject), bytes.NewReader(f.Content), gomail.WithFileContentType(gomail.ContentType(f.MediaType)))
	}
	return m, nil
}

// line makes a text one line of at most n characters: what could end a header becomes a blank.
func line(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n-1]) + "…"
	}
	return s
}

// token leaves of a text what may stand in a message id.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_@", r) {
			return r
		}
		return -1
	}, s)
}

// A Step is how far a try came.
type Step string

// The steps.
const (
	Connecting Step = "connectivity"
	SigningIn  Step = "authentication"
	HandingIn  Step = "delivery"
)

// Check connects and signs in, and sends nothing. step tells where it failed.
func Check(ctx context.Context, g *outbound.Guard, s Server) (step Step, err error) {
	step, c, err := dial(ctx, g, s)
	if err != nil {
		return step, err
	}
	_ = c.Close() // it has answered all that was asked
	return SigningIn, nil
}

// Send hands a letter in. A nil error means that the server has taken it for every
// recipient.
func Send(ctx context.Context, g *outbound.Guard, s Server, l *Letter) (step Step, err error) {
	m, err := compose(l)
	if err != nil {
		return HandingIn, err
	}
	step, c, err := dial(ctx, g, s)
	if err != nil {
		return step, err
	}
	defer func() { _ = c.Close() }() // the server has answered already
	if err := c.Send(m); err != nil {
		return HandingIn, reason(err)
	}
	return HandingIn, nil
}

func dial(ctx context.Context, g *outbound.Guard, s Server) (Step, *gomail.Client, error) {
	connected := false
	dialer := g.Dialer(timeout / 2)
	if s.Security == Plain {
		dialer = g.PlainDialer(timeout / 2)
	}
	conf := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM([]byte(s.CA)) {
			return Connecting, nil, fault.New(fault.Invalid, "the certificate authority is no PEM certificate")
		}
	}
	options := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(timeout), gomail.WithTLSConfig(conf), gomail.WithoutNoop(),
		gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			connected = true
			if s.Security != TLS {
				return conn, nil
			}
			secure := tls.Client(conn, conf)
			if err := secure.HandshakeContext(ctx); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			return secure, nil
		}),
	}
	switch s.Security {
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default: // secured by the dialer, or not at all
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	options = append(options, gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc))
	if s.Username == "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthNoAuth))
	}
	c, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return Connecting, nil, fault.New(fault.Invalid, "the server's settings cannot be used").Because(err)
	}
	if s.Username != "" {
		c.SetSMTPAuth(gomail.SMTPAuthAutoDiscover)
		if s.Security != StartTLS {
			// The library does not see the TLS around it; without TLS the operator has allowed the address.
			c.SetSMTPAuth(gomail.SMTPAuthOpportunistic)
		}
		c.SetUsername(s.Username)
		c.SetPassword(s.Password)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := c.DialWithContext(ctx); err != nil {
		step := Connecting
		if text := strings.ToLower(err.Error()); connected && strings.Contains(text, "auth") && !strings.Contains(text, "authority") {
			step = SigningIn
		}
		return step, nil, reason(err)
	}
	return SigningIn, c, nil
}

// reason is a fault that says for people why the server did not take a letter.
func reason(err error) error {
	f := fault.New(fault.Unavailable, "%s", outbound.Reason(err))
	if temporary, ok := errors.AsType[*gomail.SendError](err); ok {
		f.Message = line(temporary.Error(), 300)
	}
	return f.Because(err)
}
