package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/kyra-mdr/kyra/internal/framing"
)

const (
	handshakeTimeout = 10 * time.Second

	// maxGathered is when a connection's chunk is appended without lingering.
	maxGathered = 256 << 10

	// smallBuffer is what every connection may hold outside MaxBuffered.
	smallBuffer = 64 << 10
)

// accept serves the connections of ln until ctx is done. serve returns why its
// connection ended, and has closed it.
func (s *Syslog) accept(ctx context.Context, ln net.Listener, input string, serve func(conn net.Conn, in *counters, from origin) string) error {
	// What the kernel has accepted when the stop comes is served still: its senders
	// have sent, and a closed listener would reset them.
	defer context.AfterFunc(ctx, func() { stopAccepting(ln) })()
	defer func() { _ = ln.Close() }()
	in := s.gate.stats.of(input)
	for pause := time.Millisecond; ; {
		conn, err := ln.Accept()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept syslog connections: %w", err)
		case err != nil:
			// Out of descriptors, mostly: it passes.
			s.gate.cfg.Log.WarnContext(ctx, "accept syslog connection", "input", input, "error", err)
			sleep(ctx, pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		if s.open.Add(1) > int64(s.cfg.MaxConnections) {
			s.open.Add(-1)
			in.closed("too_many")
			_ = conn.Close()
			continue
		}
		s.connected.Go(func() error {
			defer s.open.Add(-1)
			in.opened(1)
			defer in.opened(-1)
			in.closed(serve(conn, in, origin{input: input, peer: host(conn.RemoteAddr()), source: s.cfg.Source}))
			return nil
		})
	}
}

// acceptPause is how long a listener is emptied when stopping: there is nothing to
// wait for, and senders that connect meanwhile are not to keep it.
const acceptPause = 50 * time.Millisecond

// stopAccepting lets Accept return what has come, and then fail.
func stopAccepting(ln net.Listener) {
	if tcp, ok := ln.(*net.TCPListener); !ok || tcp.SetDeadline(time.Now().Add(acceptPause)) != nil {
		_ = ln.Close()
	}
}

// stream serves connections that carry one message after the other.
func (s *Syslog) stream(ctx, deliver context.Context, secure *tls.Config) func(net.Conn, *counters, origin) string {
	return func(conn net.Conn, in *counters, from origin) string {
		c := &connection{server: s, conn: conn, in: in, from: from, framer: s.spoken.framer(), held: share{server: s}}
		return c.serve(ctx, deliver, secure)
	}
}

// A framer cuts a stream into messages, as framing.Syslog does.
type framer interface {
	Space() []byte
	Filled(n int)
	Next() (message []byte, cut, ok bool)
	Partial() bool
	Size() int
	Resyncs() int64
	Close()
}

func syslogFramer() framer { return new(framing.Syslog) }

func host(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().String()
	}
	return addr.String()
}

// A connection is one syslog sender over TCP or TLS. It is served by one
// goroutine, which does not read while it delivers: that is the back-pressure.
type connection struct {
	server *Syslog
	conn   net.Conn
	in     *counters
	from   origin

	framer  framer
	batch   *batch    // nil when there is nothing to deliver
	began   time.Time // when the first byte of the unfinished message came
	held    share
	resyncs int64
}

// serve returns why the connection ended.
func (c *connection) serve(ctx, deliver context.Context, secure *tls.Config) string {
	defer func() { _ = c.conn.Close() }()
	defer func() { c.held.account(0) }()
	// A stop wakes the reader up: it takes what is on the way and ends.
	socket := c.conn
	defer context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Now().Add(drainPause)) })()
	if secure != nil {
		within := c.server.shakeHands(deliver, socket, secure, c.from)
		if within == nil {
			return "handshake"
		}
		c.conn = within
	}

	reason := c.read(ctx, deliver)
	c.framer.Close()
	c.collect(deliver)
	c.flush(deliver)
	return reason
}

// shakeHands makes a TLS connection of one that was accepted; nil where the sender
// does not follow.
func (s *Syslog) shakeHands(ctx context.Context, socket net.Conn, secure *tls.Config, from origin) net.Conn {
	conn := tls.Server(socket, secure)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		s.gate.cfg.Log.InfoContext(ctx, "syslog TLS handshake failed", "input", from.input, "peer", from.peer, "error", err)
		return nil
	}
	return conn
}

// read takes messages until the sender is done, has timed out, or ctx is done.
func (c *connection) read(ctx, deliver context.Context) string {
	var stopping drain
	for {
		deadline, why := c.deadline()
		_ = c.conn.SetReadDeadline(deadline)
		if ctx.Err() != nil {
			// The deadline just set may have replaced that of the stop.
			var more bool
			if deadline, more = stopping.next(); !more {
				return "stop"
			}
			_ = c.conn.SetReadDeadline(deadline)
			why = "stop"
		}
		n, err := c.conn.Read(c.framer.Space())
		c.framer.Filled(n)
		c.collect(deliver)
		switch {
		case err == nil:
			if c.gathered() {
				c.flush(deliver)
			}
			if !c.held.account(int64(c.framer.Size())) {
				return "memory"
			}
		case !errors.Is(err, os.ErrDeadlineExceeded):
			if errors.Is(err, io.EOF) {
				return "eof"
			}
			return "error"
		case why == "":
			c.flush(deliver)
		case why == "stop" || ctx.Err() == nil:
			return why
		}
	}
}

// deadline is how long to wait for input now, and what it means if none comes:
// nothing while messages are gathered.
func (c *connection) deadline() (time.Time, string) {
	now := time.Now()
	switch {
	case c.batch != nil:
		return c.batch.arrived.Add(linger), ""
	case !c.began.IsZero():
		return c.began.Add(c.server.cfg.MessageTimeout), "message_timeout"
	}
	return now.Add(c.server.cfg.IdleTimeout), "idle"
}

// collect moves whole messages from the framer to the batch.
func (c *connection) collect(deliver context.Context) {
	for {
		message, cut, ok := c.framer.Next()
		if !ok {
			break
		}
		c.began = time.Time{}
		if c.batch != nil && !c.batch.fits(len(message)) {
			c.flush(deliver)
		}
		if c.batch == nil {
			c.batch = c.server.gate.pool.get()
		}
		c.batch.add(message, cut)
	}
	if n := c.framer.Resyncs(); n > c.resyncs {
		c.in.resynced(n - c.resyncs)
		c.resyncs = n
	}
	switch {
	case !c.framer.Partial():
		c.began = time.Time{}
	case c.began.IsZero():
		c.began = time.Now()
	}
}

// gathered reports whether the batch should not wait for more.
func (c *connection) gathered() bool {
	return c.batch != nil && (len(c.batch.text) >= maxGathered || time.Since(c.batch.arrived) >= linger)
}

func (c *connection) flush(deliver context.Context) {
	if c.batch == nil {
		return
	}
	g := c.server.gate
	g.push(deliver, c.server.cfg.Tenant, c.from, c.batch)
	g.pool.put(c.batch)
	c.batch = nil
	if !c.began.IsZero() {
		c.began = time.Now() // the sender could not go on meanwhile
	}
}

// A share is what one connection holds of Syslog.buffered.
type share struct {
	server *Syslog
	bytes  int64
}

// account tells the server how much the connection holds now. It reports false if
// all together hold too much and this one must go.
func (h *share) account(size int64) bool {
	if size <= smallBuffer {
		size = 0
	}
	if size == h.bytes {
		return true
	}
	total := h.server.buffered.Add(size - h.bytes)
	grew := size > h.bytes
	h.bytes = size
	return !grew || total <= h.server.cfg.MaxBuffered
}
