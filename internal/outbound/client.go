package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// Limits bound the calls of one client; zero values mean the defaults named.
type Limits struct {
	Connect   time.Duration // to resolve and connect, and for the TLS handshake: 5 s
	Total     time.Duration // from the begin of a call to the end of its body: 10 s
	Body      int64         // bytes of an answer's body, beyond which reading it fails: 1 MiB
	PerHost   int           // connections to one host: 32
	Idle      int           // connections kept for later calls: 128
	Redirects int           // that are followed, each one checked: 0, so that a redirect is the answer
}

// Client returns a client whose calls go through the guard, without a proxy. Calls
// without TLS reach only addresses that the operator allows by name.
func (g *Guard) Client(l Limits) *http.Client {
	set(&l.Connect, 5*time.Second)
	set(&l.Total, 10*time.Second)
	set(&l.Body, 1<<20)
	set(&l.PerHost, 32)
	set(&l.Idle, 128)
	transport := func(d *net.Dialer) *http.Transport {
		return &http.Transport{
			DialContext: d.DialContext, TLSHandshakeTimeout: l.Connect, ResponseHeaderTimeout: l.Total, ExpectContinueTimeout: time.Second,
			MaxConnsPerHost: l.PerHost, MaxIdleConnsPerHost: l.PerHost, MaxIdleConns: l.Idle, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true, DisableCompression: true,
		}
	}
	t := &guarded{limit: l.Body, tls: transport(g.Dialer(l.Connect)), plain: transport(g.PlainDialer(l.Connect))}
	return &http.Client{
		Transport: t, Timeout: l.Total,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > l.Redirects {
				return http.ErrUseLastResponse
			}
			if _, err := g.CheckURL(r.URL.String()); err != nil {
				return fmt.Errorf("redirect to %s: %w", r.URL.Redacted(), err)
			}
			return nil
		},
	}
}

func set[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}

// guarded chooses the transport by what the address asks for.
type guarded struct {
	tls, plain *http.Transport
	limit      int64
}

// RoundTrip implements http.RoundTripper.
func (t *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	var res *http.Response
	var err error
	switch r.URL.Scheme {
	case "https":
		res, err = t.tls.RoundTrip(r)
	case "http":
		res, err = t.plain.RoundTrip(r)
	default:
		return nil, fault.New(fault.Forbidden, "only http and https can be called, not %q", r.URL.Scheme)
	}
	if err == nil {
		res.Body = &bounded{ReadCloser: res.Body, left: t.limit}
	}
	return res, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (t *guarded) CloseIdleConnections() {
	t.tls.CloseIdleConnections()
	t.plain.CloseIdleConnections()
}

// bounded is a body that fails beyond its limit: half an answer must not look whole.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// The limit is reached: anything but the end is too much.
		n, err := b.ReadCloser.Read(make([]byte, 1))
		if n > 0 {
			return 0, fault.New(fault.TooLarge, "the answer is larger than allowed")
		}
		return 0, err
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Reason says for people why a call failed, without the address that it went to: that
// may hold a secret.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return "no answer in time"
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok {
		if d.IsNotFound {
			return "the host name does not exist"
		}
		return "the host name could not be resolved"
	}
	text := err.Error()
	if len(text) > 300 {
		text = text[:300]
	}
	return text
}
