package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// InputRELP is the input of syslog messages that came over RELP.
const InputRELP = "relp"

const (
	relpAnswer = 30 * time.Second // for a sender to take its acknowledgements

	// relpPatience is how long what a sender sent waits for the queue. Senders
	// give up after a while (rsyslog after 90 s) and come again with the same
	// messages: what is held for them longer would be stored twice.
	relpPatience = time.Minute
)

// A relpConnection is one sender. Like a connection it is served by one goroutine,
// which does not read while it delivers. A message is acknowledged once it is
// synced; what was not, the sender sends again.
type relpConnection struct {
	server  *Syslog
	conn    net.Conn
	in      *counters
	from    origin
	ctx     context.Context // ends the reading
	deliver context.Context // ends the delivery; both are held as Read takes none

	opened  bool
	batch   *batch
	waiting []string  // the numbers of the frames in batch
	taken   relpTaken // the frames that came last
	began   time.Time // when the first byte of the unfinished frame came
	held    share
	failed  error // what delivery or answers ended with
}

// errUndelivered ends a connection whose messages the queue did not take.
var errUndelivered = errors.New("queue")

// relpSenders serves connections of RELP, within TLS where secure is there.
func (s *Syslog) relpSenders(ctx, deliver context.Context, secure *tls.Config) func(net.Conn, *counters, origin) string {
	return func(conn net.Conn, in *counters, from origin) string {
		socket := conn
		defer func() { _ = conn.Close() }()
		defer context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Now()) })()
		if secure != nil {
			within := s.shakeHands(deliver, socket, secure, from)
			if within == nil {
				return "handshake"
			}
			conn = within
		}
		return s.serveRELP(ctx, deliver, conn, in, from)
	}
}

// serveRELP returns why the connection ended.
func (s *Syslog) serveRELP(ctx, deliver context.Context, conn net.Conn, in *counters, from origin) string {
	c := &relpConnection{
		server: s, conn: conn, in: in, from: from, ctx: ctx, deliver: deliver,
		batch: s.gate.pool.get(), held: share{server: s},
	}
	defer s.gate.pool.put(c.batch)
	defer c.held.account(0)
	reason := c.serve()
	if c.flush() {
		c.answer("0 serverclose 0\n")
	}
	return reason
}

func (c *relpConnection) serve() string {
	r := &relpReader{
		r:     bufio.NewReaderSize(c, smallBuffer),
		began: func() { c.began = time.Now() },
		room:  func(size int) bool { return c.held.account(int64(size + len(c.batch.text))) },
	}
	for {
		f, err := r.next()
		if err == nil {
			c.began = time.Time{}
			var done bool
			if done, err = c.obey(&f); done {
				return "eof"
			}
		}
		if err != nil {
			return c.reason(err)
		}
	}
}

// reason names what ended the connection, to count it.
func (c *relpConnection) reason(err error) string {
	fault, bad := errors.AsType[relpFault](err)
	switch {
	case bad:
		c.server.gate.cfg.Log.InfoContext(c.ctx, "RELP connection closed", "peer", c.from.peer, "reason", string(fault))
		return string(fault)
	case errors.Is(err, errUndelivered):
		return "queue"
	case c.ctx.Err() != nil:
		return "stop"
	case errors.Is(err, io.EOF):
		return "eof"
	case errors.Is(err, os.ErrDeadlineExceeded) && c.began.IsZero():
		return "idle"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "message_timeout"
	}
	return "error"
}

// Read reads from the sender. What is there already is delivered before: so
// batches grow with the load, and nothing that came waits for what did not.
func (c *relpConnection) Read(p []byte) (int, error) {
	if !c.flush() {
		return 0, c.failed
	}
	deadline := time.Now().Add(c.server.cfg.IdleTimeout)
	if !c.began.IsZero() {
		deadline = c.began.Add(c.server.cfg.MessageTimeout)
	}
	_ = c.conn.SetReadDeadline(deadline)
	if err := c.ctx.Err(); err != nil {
		return 0, err // the deadline just set may have replaced that of the stop
	}
	return c.conn.Read(p)
}

// obey does what a frame asks for. It reports true when the sender is done.
func (c *relpConnection) obey(f *relpFrame) (done bool, err error) {
	switch {
	case f.command == "open" && !c.opened:
		return false, c.open(f)
	case !c.opened:
		return false, relpFault("not_open")
	case f.command == "syslog":
		return false, c.take(f)
	case f.command == "close":
		if !c.flush() {
			return false, c.failed
		}
		c.answer(f.txnr + " rsp 0\n")
		return true, c.failed
	}
	if c.flush() {
		c.answer(response(f.txnr, "500 unknown command"))
	}
	return false, relpFault("command")
}

// open answers the offers of the sender with ours.
func (c *relpConnection) open(f *relpFrame) error {
	var version, syslog bool
	for line := range strings.Lines(string(f.data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "relp_version":
			version = isNumber(value)
		case "commands":
			syslog = slices.Contains(strings.Split(value, ","), "syslog")
		}
	}
	if !version || !syslog {
		c.answer(response(f.txnr, "500 needed are relp_version and the command syslog"))
		return relpFault("offers")
	}
	c.opened = true
	c.answer(response(f.txnr, "200 OK\nrelp_version=0\nrelp_software=kyra\ncommands=syslog"))
	return c.failed
}

// take adds a message to the batch.
func (c *relpConnection) take(f *relpFrame) error {
	message := bytes.TrimRight(f.data, "\r\n\x00")
	if len(message) == 0 || !c.batch.fits(len(message)) {
		if !c.flush() {
			return c.failed
		}
	}
	if len(message) == 0 {
		c.answer(response(f.txnr, "200 OK"))
		return c.failed
	}
	if c.taken.again(f) {
		if !c.flush() { // it may be among those that wait
			return c.failed
		}
		c.in.reject("resend", 1)
		c.answer(response(f.txnr, "200 OK"))
		return c.failed
	}
	c.batch.add(message, f.cut)
	c.waiting = append(c.waiting, f.txnr)
	if len(c.batch.text) >= maxGathered && !c.flush() {
		return c.failed
	}
	return nil
}

// flush delivers the batch and acknowledges what is synced, in order. It reports
// false if the connection cannot go on.
func (c *relpConnection) flush() bool {
	if c.batch.len() == 0 || c.failed != nil {
		return c.failed == nil
	}
	ctx, cancel := context.WithTimeout(c.deliver, relpPatience)
	left := c.server.gate.deliver(ctx, c.server.cfg.Tenant, c.from, c.batch)
	cancel()
	var acks []byte
	for _, txnr := range c.waiting[:len(c.waiting)-left] {
		acks = append(append(acks, txnr...), " rsp 6 200 OK\n"...)
	}
	c.waiting = c.waiting[:0]
	c.answer(string(acks))
	if left > 0 {
		c.in.reject("queue", left)
		c.failed = errUndelivered
	}
	if !c.began.IsZero() {
		c.began = time.Now() // the sender could not go on meanwhile
	}
	return c.failed == nil
}

func (c *relpConnection) answer(text string) {
	if text == "" || c.failed != nil {
		return
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(relpAnswer))
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.failed = fmt.Errorf("answer: %w", err)
	}
}

func response(txnr, text string) string {
	return fmt.Sprintf("%s rsp %d %s\n", txnr, len(text), text)
}
