package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// helloTime bounds what a connection may take until it is known who is to serve it.
const helloTime = 10 * time.Second

// handshake is the first byte of a connection that begins with TLS (RFC 8446, 5.1).
const handshake = 0x16

// A Front lets collectors call the port of the API. It looks at how a connection
// begins and gives it to one of two listeners: TLS that asks for protocol.ALPN is a
// collector's, everything else the API's, as it came or, where the API has a
// certificate, out of its own TLS.
type Front struct {
	listener   net.Listener
	collectors *tls.Config
	api        *tls.Config // nil: the API speaks plain HTTP
	only       bool        // collectors alone are served
	log        *slog.Logger

	toAPI, toCollectors *handover
	done                chan struct{}
	closing             sync.Once
	deciding            sync.WaitGroup
}

// NewFront divides what l accepts. api is nil where the API is without TLS. With
// only, there is no API behind l.
func NewFront(l net.Listener, collectors, api *tls.Config, only bool, log *slog.Logger) *Front {
	f := &Front{listener: l, collectors: collectors, api: api, only: only, log: log, done: make(chan struct{})}
	f.toAPI, f.toCollectors = &handover{f, make(chan net.Conn)}, &handover{f, make(chan net.Conn)}
	return f
}

// API is where the API's connections come out; Collectors is the other one.
func (f *Front) API() net.Listener { return f.toAPI }

// Collectors is where the connections of collectors come out, TLS taken off.
func (f *Front) Collectors() net.Listener { return f.toCollectors }

// Close ends the listener and all connections that nobody serves yet.
func (f *Front) Close() error {
	var err error
	f.closing.Do(func() {
		close(f.done)
		err = f.listener.Close()
	})
	return err
}

// Run accepts until ctx is done or the front is closed.
func (f *Front) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = f.Close() })()
	defer f.deciding.Wait()
	var pause time.Duration
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			select {
			case <-f.done:
				return nil
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of file descriptors, most likely: others may be given back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			f.log.WarnContext(ctx, "connection not accepted, tried again in a moment", "err", err)
			if !sleep(ctx, pause) {
				return nil
			}
			continue
		}
		pause = 0
		f.deciding.Go(func() { f.decide(ctx, conn) })
	}
}

// decide finds out whose a connection is. It is closed where it is nobody's.
func (f *Front) decide(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	// The time is over, or the front is: both end the reading.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	served, to := f.open(ctx, conn)
	if !stop() || served == nil {
		_ = conn.Close()
		return
	}
	to.give(served)
}

// open reads the beginning of a connection; nil is nobody's.
func (f *Front) open(ctx context.Context, conn net.Conn) (net.Conn, *handover) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return nil, nil
	}
	begun := &begunConn{conn, first}
	if first[0] != handshake {
		switch {
		case f.only:
			return nil, nil
		case f.api != nil:
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = io.WriteString(conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n") // as net/http has it
			return nil, nil
		}
		return begun, f.toAPI
	}
	secure := tls.Server(begun, &tls.Config{
		MinVersion: tls.VersionTLS12, // of the choice below, which narrows it
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if f.api == nil || slices.Contains(hello.SupportedProtos, protocol.ALPN) {
				return f.collectors, nil
			}
			return f.api, nil
		},
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		f.log.DebugContext(ctx, "TLS handshake failed", "peer", conn.RemoteAddr().String(), "err", err)
		return nil, nil
	}
	state := secure.ConnectionState()
	switch {
	case state.NegotiatedProtocol == protocol.ALPN:
		return newCollectorConn(secure, &state), f.toCollectors
	case f.api == nil || f.only:
		return nil, nil
	}
	return secure, f.toAPI
}

// A begunConn is a connection whose first bytes were read already.
type begunConn struct {
	net.Conn
	first []byte
}

func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// A handover is a listener of one kind of connection.
type handover struct {
	front *Front
	conns chan net.Conn
}

func (h *handover) give(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.front.done:
		_ = conn.Close()
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.front.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: it ends the front.
func (h *handover) Close() error { return h.front.Close() }

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return h.front.listener.Addr() }
