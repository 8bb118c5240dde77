package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kyra-mdr/kyra/internal/framing"
)

type syslogSpec struct {
	Common         `yaml:",inline"`
	UDP            string `yaml:"udp"` // host:port
	TCP            string `yaml:"tcp"`
	TLS            string `yaml:"tls"`
	Cert           string `yaml:"cert"` // for TLS, PEM
	Key            string `yaml:"key"`
	ClientCA       string `yaml:"client_ca"`       // if set, senders must show a certificate of this authority
	MaxConnections int    `yaml:"max_connections"` // default 256
}

func newSyslog(s *syslogSpec, _ Env) (Source, error) {
	if s.UDP == "" && s.TCP == "" && s.TLS == "" {
		return nil, wrong("udp", "give at least one of udp, tcp and tls, such as 127.0.0.1:5514")
	}
	for _, x := range []struct{ key, value string }{{"udp", s.UDP}, {"tcp", s.TCP}, {"tls", s.TLS}} {
		if err := address(x.key, x.value, false); err != nil {
			return nil, err
		}
	}
	d := &syslogDoor{spec: s, slots: make(chan struct{}, cmp.Or(max(s.MaxConnections, 0), 256))}
	if s.TLS != "" {
		var err error
		if d.secure, err = serverTLS(s.Cert, s.Key, s.ClientCA); err != nil {
			return nil, err
		}
		if d.secure == nil {
			return nil, wrong("tls", "needs cert and key")
		}
	}
	return d, nil
}

func address(key, value string, required bool) error {
	if value == "" && !required {
		return nil
	}
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		return wrong(key, "%q is not of the form host:port", value)
	}
	return nil
}

// serverTLS reads a certificate, nil where none is named.
func serverTLS(cert, key, clientCA string) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, wrong("cert", "cannot be used: %v", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clientCA != "" {
		text, err := os.ReadFile(clientCA)
		c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if err != nil || !c.ClientCAs.AppendCertsFromPEM(text) {
			return nil, wrong("client_ca", "%s holds no certificate", clientCA)
		}
	}
	return c, nil
}

// syslogDoor listens for syslog. TCP and TLS senders are held back by not
// reading. UDP senders cannot be: when the queue of datagrams is full, the newest
// ones are dropped and counted.
type syslogDoor struct {
	spec   *syslogSpec
	secure *tls.Config
	slots  chan struct{}
}

// Run implements Source.
func (d *syslogDoor) Run(ctx context.Context, out Output) error {
	all, ctx := errgroup.WithContext(ctx)
	var lc net.ListenConfig
	if d.spec.UDP != "" {
		conn, err := lc.ListenPacket(ctx, "udp", d.spec.UDP)
		if err != nil {
			return fmt.Errorf("listen for syslog over UDP: %w", err)
		}
		all.Go(func() error { return d.udp(ctx, conn.(*net.UDPConn), out) }) //nolint:forcetypeassert // network "udp" gives no other
	}
	for _, x := range []struct {
		address, input string
		secure         *tls.Config
	}{{d.spec.TCP, "syslog-tcp", nil}, {d.spec.TLS, "syslog-tls", d.secure}} {
		if x.address == "" {
			continue
		}
		ln, err := lc.Listen(ctx, "tcp", x.address)
		if err != nil {
			return errors.Join(fmt.Errorf("listen for %s: %w", x.input, err))
		}
		all.Go(func() error { return d.accept(ctx, ln, x.secure, x.input, out) })
	}
	return all.Wait()
}

const (
	maxDatagrams    = 4 << 20 // bytes of datagrams that wait
	senderIdle      = time.Hour
	handshakeWithin = 10 * time.Second
)

// A datagrams queue hands what came over UDP to who spools it.
type datagrams struct {
	mu      sync.Mutex
	senders map[string]*Piece
	bytes   int
	filled  chan struct{}
}

func (d *syslogDoor) udp(ctx context.Context, conn *net.UDPConn, out Output) error {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetReadBuffer(8 << 20) // as much as the system allows
	q := &datagrams{senders: map[string]*Piece{}, filled: make(chan struct{}, 1)}
	var reading errgroup.Group
	reading.Go(func() error {
		defer close(q.filled)
		return d.readUDP(ctx, conn, q, out)
	})
	for range q.filled {
		for _, p := range q.take() {
			if err := out.Put(ctx, *p); err != nil {
				out.Lost(len(p.Chunk.Records))
			}
		}
	}
	for _, p := range q.take() {
		out.Lost(len(p.Chunk.Records))
	}
	return reading.Wait()
}

func (d *syslogDoor) readUDP(ctx context.Context, conn *net.UDPConn, q *datagrams, out Output) error {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("read syslog datagrams: %w", err)
		case err != nil:
			out.Fault(fmt.Errorf("read a syslog datagram: %w", err))
			if !pause(ctx, time.Millisecond) {
				return nil
			}
			continue
		}
		if message := bytes.TrimRight(buf[:n], "\r\n\x00"); len(message) > 0 && !q.add(d, from.Addr().Unmap().String(), string(message)) {
			out.Lost(1)
		}
	}
}

// add reports false when the queue is full.
func (q *datagrams) add(d *syslogDoor, sender, message string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+len(message) > maxDatagrams {
		return false
	}
	p := q.senders[sender]
	if p == nil || len(p.Chunk.Records) >= maxPieceRecords {
		if p != nil || len(q.senders) >= 4096 {
			return false // taken in a moment
		}
		fresh := d.spec.piece("syslog-udp", sender)
		p = &fresh
		q.senders[sender] = p
		q.bytes += 256
	}
	p.Chunk.Records = append(p.Chunk.Records, message)
	q.bytes += len(message) + 32
	select {
	case q.filled <- struct{}{}:
	default:
	}
	return true
}

func (q *datagrams) take() map[string]*Piece {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.senders
	q.senders, q.bytes = map[string]*Piece{}, 0
	return all
}

func (d *syslogDoor) accept(ctx context.Context, ln net.Listener, secure *tls.Config, input string, out Output) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	var connected errgroup.Group
	defer func() { _ = connected.Wait() }()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept syslog connections: %w", err)
		case err != nil:
			out.Fault(fmt.Errorf("accept a syslog connection: %w", err))
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
			continue
		}
		select {
		case d.slots <- struct{}{}:
		default:
			out.Fault(errors.New("too many syslog connections: raise max_connections"))
			_ = conn.Close()
			continue
		}
		connected.Go(func() error {
			defer func() { <-d.slots }()
			if err := d.connection(ctx, conn, secure, input, out); err != nil {
				out.Fault(err)
			}
			return nil
		})
	}
}

// connection reads one sender until it ends or ctx is done. What it sent is put
// before more is read.
func (d *syslogDoor) connection(ctx context.Context, conn net.Conn, secure *tls.Config, input string, out Output) error {
	defer conn.Close() //nolint:errcheck // it was read
	socket := conn
	defer context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Now()) })()
	if secure != nil {
		shaken := tls.Server(conn, secure)
		shake, cancel := context.WithTimeout(ctx, handshakeWithin)
		defer cancel()
		if err := shaken.HandshakeContext(shake); err != nil {
			return fmt.Errorf("TLS with %s: %w", conn.RemoteAddr(), err)
		}
		conn = shaken
	}
	peer, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	var f framing.Syslog
	for ended := false; !ended; {
		if ctx.Err() == nil {
			_ = conn.SetReadDeadline(time.Now().Add(senderIdle))
		}
		n, err := conn.Read(f.Space())
		f.Filled(n)
		if ended = err != nil; ended {
			f.Close()
		}
		p := d.spec.piece(input, peer)
		for {
			message, cut, ok := f.Next()
			if !ok {
				break
			}
			if cut {
				p.Chunk.Cut = append(p.Chunk.Cut, uint32(len(p.Chunk.Records)))
			}
			p.Chunk.Records = append(p.Chunk.Records, string(message))
		}
		if len(p.Chunk.Records) == 0 {
			continue
		}
		// What was read is put also while stopping, where there is room.
		put, cancel := context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(ctx, func() { time.AfterFunc(2*time.Second, cancel) })
		err = out.Put(put, p)
		stop()
		cancel()
		if err != nil {
			out.Lost(len(p.Chunk.Records))
			return nil
		}
	}
	return nil
}
