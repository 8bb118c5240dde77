package mail

import (
	"bytes"
	"io"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/kyra-mdr/kyra/internal/outbound"
)

// post is an SMTP server that keeps what it is handed.
type post struct {
	mu      sync.Mutex
	letters []string
	to      []string
}

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{p: p}, nil }

type session struct {
	p      *post
	signed bool
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "kyra" || password != "good" {
			return smtp.ErrAuthFailed
		}
		s.signed = true
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.signed {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.to = append(s.p.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.letters = append(s.p.letters, string(b))
	return err
}

func (*session) Reset() {}

func (*session) Logout() error { return nil }

func serve(t *testing.T) (*post, Server, *outbound.Guard) {
	t.Helper()
	p := &post{}
	srv := smtp.NewServer(p)
	srv.AllowInsecureAuth = true
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	g, err := outbound.NewGuard([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	return p, Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: Plain, Username: "kyra", Password: "good"}, g
}

func letterTo(to ...string) *Letter {
	return &Letter{ID: "1@example.com", FromName: "KYRA", From: "kyra@example.com", To: to, Subject: "로그인 실패\r\nBcc: thief@example.com", Text: "text", HTML: "<p>text</p>", At: time.Unix(0, 0)}
}

func TestSendToARealServer(t *testing.T) {
	t.Parallel()
	p, s, g := serve(t)
	if _, err := Send(t.Context(), g, s, letterTo("a@example.com", "b@example.com")); err != nil {
		t.Fatal(err)
	}
	if len(p.letters) != 1 || strings.Join(p.to, " ") != "a@example.com b@example.com" {
		t.Fatalf("%d letters to %v", len(p.letters), p.to)
	}
	m, err := mail.ReadMessage(strings.NewReader(p.letters[0]))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Bcc") != "" || m.Header.Get("Message-ID") != "<1@example.com>" || !strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/alternative") {
		t.Errorf("header %v", m.Header)
	}
}

func TestCheckTellsWhereItFailed(t *testing.T) {
	t.Parallel()
	_, s, g := serve(t)
	if step, err := Check(t.Context(), g, s); err != nil {
		t.Errorf("%s: %v", step, err)
	}
	bad := s
	bad.Password = "bad"
	if step, err := Check(t.Context(), g, bad); err == nil || step != SigningIn {
		t.Errorf("wrong password: %s, %v", step, err)
	}
	secure := s
	secure.Security = StartTLS
	if _, err := Check(t.Context(), g, secure); err == nil {
		t.Error("a server without STARTTLS was taken")
	}
	strict, err := outbound.NewGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	if step, err := Check(t.Context(), strict, s); err == nil || step != Connecting {
		t.Errorf("an inner address: %s, %v", step, err)
	}
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "a@", "A <a@example.com>", "a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "a@example.com "} {
		if CheckAddress(s) == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if err := CheckAddress("soc+kyra@example.com"); err != nil {
		t.Error(err)
	}
}

// Whatever stands in a message, its letter has the headers and the recipients that we gave it.
func FuzzCompose(f *testing.F) {
	f.Add("subject", "KYRA", "text", "a@example.com")
	f.Add("a\r\nBcc: b@example.com\r\n\r\nbody", "x\"\r\nTo: y@example.com", "\r\n.\r\nMAIL FROM:<x>", "a@example.com")
	f.Fuzz(func(t *testing.T, subject, name, text, to string) {
		b, err := Compose(&Letter{ID: "1@example.com", FromName: name, From: "kyra@example.com", To: []string{to}, Subject: subject, Text: text, HTML: "<p>x</p>", At: time.Unix(0, 0)})
		if err != nil {
			return
		}
		m, err := mail.ReadMessage(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%v: %q", err, b)
		}
		known := map[string]bool{"Date": true, "Mime-Version": true, "Message-Id": true, "Subject": true, "User-Agent": true, "X-Mailer": true, "Auto-Submitted": true, "From": true, "To": true, "Content-Type": true}
		for h, v := range m.Header {
			if !known[h] || len(v) != 1 {
				t.Errorf("header %s: %q", h, v)
			}
		}
		list, err := m.Header.AddressList("To")
		if err != nil || len(list) != 1 || list[0].Address != to {
			t.Errorf("to %v, %v", list, err)
		}
		from, err := m.Header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Address != "kyra@example.com" {
			t.Errorf("from %v, %v", from, err)
		}
	})
}
