package notify

import (
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// office is an SMTP server that keeps what it is handed.
type office struct {
	mu      sync.Mutex
	letters []string
}

func (o *office) NewSession(*smtp.Conn) (smtp.Session, error) { return &desk{o}, nil }

type desk struct{ *office }

func (*desk) Mail(string, *smtp.MailOptions) error { return nil }
func (*desk) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (*desk) Reset()                               {}
func (*desk) Logout() error                        { return nil }
func (d *desk) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letters = append(d.letters, string(b))
	return err
}

func TestLettersToOnePerson(t *testing.T) {
	t.Parallel()
	r := telling(t, sqldbtest.SQLite(t))
	l := &Letter{
		ID: "L1", To: "jun@example.com", Name: "Jun\r\nBcc: x@example.com", Tenant: "Han River <Bank>", By: "{name} Hana", Link: "https://kyra.example/invitation#TOKEN", Language: "ko", Ends: 7 * 24 * time.Hour, At: time.Now(),
	}
	if sent, err := r.n.SendLetter(t.Context(), tenantNo, l); err != nil || sent {
		t.Fatalf("sent without a connector: %t, %v", sent, err)
	}
	o := &office{}
	server := smtp.NewServer(o)
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	port, _ := json.Marshal(listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // a TCP listener's
	c, err := r.n.Connectors.Create(t.Context(), tenantNo, "test", connector.Draft{Name: "Mail", Kind: connector.SMTP, Config: map[string]json.RawMessage{
		"host": json.RawMessage(`"127.0.0.1"`), "port": port, "security": json.RawMessage(`"none"`), "from": json.RawMessage(`"kyra@example.com"`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, reset := range []bool{false, true} {
		l.Reset = reset
		if sent, err := r.n.SendLetter(t.Context(), tenantNo, l); err != nil || !sent {
			t.Fatalf("%t, %v", sent, err)
		}
	}
	if len(o.letters) != 2 {
		t.Fatalf("%d letters", len(o.letters))
	}
	for i, subject := range []string{"[KYRA] {name} Hana님이 KYRA에 초대했습니다", "[KYRA] KYRA 비밀번호 재설정"} {
		m, err := mail.ReadMessage(strings.NewReader(o.letters[i]))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || got != subject {
			t.Errorf("subject %q, %v", got, err)
		}
		if m.Header.Get("To") != "<jun@example.com>" || m.Header.Get("Bcc") != "" || strings.Contains(m.Header.Get("Message-Id"), "TOKEN") {
			t.Errorf("%v", m.Header)
		}
	}
	_, text, html := l.worded()
	if !strings.Contains(text, l.Link) || !strings.Contains(text, "Jun Bcc: x@example.com님") || !strings.Contains(html, "Han River &lt;Bank&gt;") || strings.Contains(html, "<Bank>") {
		t.Errorf("%s\n%s", text, html)
	}
	for language, both := range invitation {
		for i, w := range both {
			for _, part := range []string{w.subject, w.hello, w.why, w.button, w.ends, w.ignore} {
				if part == "" {
					t.Errorf("%s, %d: a part is missing", language, i)
				}
			}
		}
	}
	// A server that takes nothing: the caller shows the link.
	_ = server.Close()
	if sent, err := r.n.SendLetter(t.Context(), tenantNo, l); err == nil || sent {
		t.Errorf("%t, %v", sent, err)
	}
	if _, err := r.n.Connectors.Change(t.Context(), tenantNo, "test", c.ID, connector.Patch{Enabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	if sent, err := r.n.SendLetter(t.Context(), tenantNo, l); err != nil || sent {
		t.Errorf("a connector that is off: %t, %v", sent, err)
	}
}
