package connector

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
)

var facilities = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "security", "console", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

// enterprise names the structured data, with the number that RFC 5612 keeps for those
// without one.
const enterprise = "kyra@32473"

// SyslogLine is a message as RFC 5424 writes it, but for its priority, which is the
// receiver's: "1 TIME - kyra - EVENT [kyra@… …] text".
func SyslogLine(m *outbox.Message, link string) string {
	var b strings.Builder
	b.WriteString("1 " + m.At.UTC().Format("2006-01-02T15:04:05.000000Z") + " - kyra - " + strings.ReplaceAll(m.Event, ".", "-"))
	b.WriteString(" [" + enterprise)
	for _, p := range [][2]string{{"event", m.Event}, {"id", m.Object}, {"severity", m.Severity}, {"rule", m.Rule}, {"source", m.Source}, {"url", link}} {
		if p[1] != "" {
			b.WriteString(" " + p[0] + `="` + escapeParam.Replace(oneLine(p[1])) + `"`)
		}
	}
	b.WriteString("] " + oneLine(m.Title))
	return b.String()
}

var escapeParam = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// oneLine keeps a text from ending its message early.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// priority is that of RFC 5424 6.2.1.
func priority(facility, severity string) int {
	level := 6 // informational
	switch severity {
	case "critical":
		level = 2
	case "high":
		level = 3
	case "medium":
		level = 4
	case "low":
		level = 5
	}
	for i, f := range facilities {
		if f == facility {
			return i*8 + level
		}
	}
	return 16*8 + level
}

const (
	dialFor     = 5 * time.Second
	maxDatagram = 2048 // bytes: every receiver takes so much (RFC 5426 3.2)
)

// dial connects to the server of a syslog connector.
func (s *Service) dial(ctx context.Context, c settings) (net.Conn, error) {
	address := net.JoinHostPort(c.text("host"), strconv.Itoa(c.number("port")))
	if c.text("transport") == "tls" {
		conf := &tls.Config{ServerName: c.text("host"), MinVersion: tls.VersionTLS12}
		if pem := c.text("ca"); pem != "" {
			conf.RootCAs = x509.NewCertPool()
			if !conf.RootCAs.AppendCertsFromPEM([]byte(pem)) {
				return nil, fault.New(fault.Invalid, "the certificate authority is no PEM certificate")
			}
		}
		d := tls.Dialer{NetDialer: s.Guard.Dialer(dialFor), Config: conf}
		return d.DialContext(ctx, "tcp", address)
	}
	return s.Guard.PlainDialer(dialFor).DialContext(ctx, c.text("transport"), address)
}

// sendSyslog sends one line.
func (s *Service) sendSyslog(ctx context.Context, c settings, line string) error {
	l, err := s.openSyslog(ctx, c)
	if err != nil {
		return err
	}
	return l.close(l.send(line))
}

// A syslogLine is a connection that lines are sent over.
type syslogLine struct {
	net.Conn
	udp bool
	buf *bufio.Writer
}

func (s *Service) openSyslog(ctx context.Context, c settings) (*syslogLine, error) {
	conn, err := s.dial(ctx, c)
	if err != nil {
		return nil, err
	}
	l := &syslogLine{Conn: conn, udp: c.text("transport") == "udp", buf: bufio.NewWriter(conn)}
	return l, l.SetDeadline(s.deadline(ctx))
}

func (l *syslogLine) send(line string) error {
	if l.udp {
		_, err := l.Write([]byte(cutBytes(line, maxDatagram)))
		return err
	}
	_, err := l.buf.WriteString(strconv.Itoa(len(line)) + " " + line) // octet counting (RFC 5425 4.3, RFC 6587 3.4.1)
	return err
}

// close ends the connection and tells whether all lines were taken; err is what went wrong
// before. TCP acknowledges nothing above itself: that lines were taken is known when the
// receiver, after we have said that nothing more comes, ends the connection instead of
// resetting it. One that stays silent has them in its buffers.
func (l *syslogLine) close(err error) error {
	defer func() { _ = l.Close() }() // what it says is known already
	if err != nil || l.udp {
		return err
	}
	if err := l.buf.Flush(); err != nil {
		return err
	}
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return err
		}
	}
	if err := l.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = l.Read(make([]byte, 1))
	if t, ok := errors.AsType[net.Error](err); ok && !t.Timeout() {
		return err // reset: it was not taken
	}
	return nil
}

func (s *Service) deadline(ctx context.Context) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return d
	}
	return time.Now().Add(callFor)
}

// cutBytes shortens a text to n bytes without cutting a character.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
