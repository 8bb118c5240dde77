package collector

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// A link calls the server.
type link struct {
	server string
	client *http.Client
}

const callTimeout = 90 * time.Second

func newLink(server string, secure *tls.Config) *link {
	return &link{strings.TrimRight(server, "/"), &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure,
			DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 15 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConns: 2, MaxConnsPerHost: 4,
			WriteBufferSize: 16 << 10, ReadBufferSize: 4 << 10,
		},
	}}
}

func (l *link) close() { l.client.CloseIdleConnections() }

// A refusal is an answer that is not 2xx.
type refusal struct {
	status int
	protocol.Problem
	after time.Duration // Retry-After, 0 for none
}

func (r *refusal) Error() string {
	if r.Code == protocol.CodeRevoked {
		return "the server does not know this collector any more (revoked or removed): " + r.Message + ": enroll it again, with --replace"
	}
	if r.Message != "" {
		return fmt.Sprintf("the server answered %d: %s", r.status, r.Message)
	}
	return fmt.Sprintf("the server answered %d", r.status)
}

// revoked reports whether err says that no retry will help.
func revoked(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.Code == protocol.CodeRevoked
}

// call posts a JSON message and reads the answer.
func (l *link) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return l.post(ctx, path, "application/json", body, out)
}

func (l *link) post(ctx context.Context, path, kind string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	resp, err := l.client.Do(req)
	if err != nil {
		return plain(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, protocol.MaxMessage))
	if err != nil {
		return plain(err)
	}
	if resp.StatusCode != http.StatusOK {
		r := &refusal{status: resp.StatusCode}
		if json.Unmarshal(text, &r.Problem) != nil {
			r.Message = "this is no KYRA server for collectors, or one of another version: check server in collector.yaml"
		}
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
			r.after = time.Duration(min(n, 3600)) * time.Second
		}
		return r
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return nil
}

// plain takes away what http.Client puts before an error, and says what to do
// where that is known.
func plain(err error) error {
	var alert tls.AlertError
	var unknown *tls.CertificateVerificationError
	switch {
	case errors.As(err, &alert) && strings.Contains(alert.Error(), "protocol"):
		return fmt.Errorf("no KYRA server for collectors answers there: check server: %w", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("the server is not the one that this collector was enrolled at: %w", err)
	case strings.Contains(err.Error(), "first record does not look like a TLS handshake"):
		return errors.New("the server does not speak TLS there: check server")
	}
	return err
}
