package ingest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// SyslogConfig says where to listen for syslog. An empty address is not listened
// on; a zero limit means its documented default.
type SyslogConfig struct {
	UDP     string // "host:port"
	TCP     string
	TLS     string
	RELP    string
	RELPTLS string

	// TLSConfig holds the certificate of TLS and RELPTLS, and the client CAs if senders must show one.
	TLSConfig *tls.Config

	// Tenant is whose logs these are. It is asked for each chunk, so that a
	// changed plan takes effect.
	Tenant func() Tenant
	Source string // source hint for all messages, "" for automatic

	MaxConnections int           // TCP, TLS and RELP together; default 1,024
	MaxBuffered    int64         // bytes held for unfinished long messages of all connections; default 64 MiB
	IdleTimeout    time.Duration // a connection without a byte; default 1 h, as some senders do not notice the end
	MessageTimeout time.Duration // from the first byte of a message to its last; default 60 s
	DrainTimeout   time.Duration // to deliver what was received when stopping; default 10 s
}

// linger is how long a connection gathers messages into one chunk.
const linger = 3 * time.Millisecond

// When stopping, what is on its way is still read: until nothing comes for
// drainPause, but no longer than drainRead, as some senders never pause.
const (
	drainPause = 100 * time.Millisecond
	drainRead  = 2 * time.Second
)

// A drain is the deadline of the reads after a stop.
type drain struct{ last time.Time }

// next returns the deadline of the next read, and false when it is enough.
func (d *drain) next() (time.Time, bool) {
	now := time.Now()
	if d.last.IsZero() {
		d.last = now.Add(drainRead)
	}
	return now.Add(drainPause), now.Before(d.last)
}

// Syslog listens for syslog over UDP, TCP, TLS and RELP. TCP and TLS senders are held
// back by not reading when the queue is full or the quota is used up. UDP senders
// cannot be: what the queue cannot take waits, up to a bound, and what is lost is
// counted, in the kernel's buffer too.
type Syslog struct {
	gate      *Gate
	cfg       SyslogConfig
	spoken    dialect
	udp       *net.UDPConn
	tcp, tls  net.Listener
	relp      net.Listener
	relpTLS   net.Listener
	open      atomic.Int64
	buffered  atomic.Int64 // memory of connections that hold long messages
	connected errgroup.Group
}

// ListenSyslog binds the addresses of cfg. Call Run to serve them.
func (g *Gate) ListenSyslog(ctx context.Context, cfg SyslogConfig) (*Syslog, error) {
	s := newSyslog(g, cfg)
	if err := s.listen(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// A dialect is what listeners for syslog do otherwise for another protocol.
type dialect struct {
	name     string
	udp, tcp string // the inputs
	framer   func() framer
	joiner   *gelfJoiner // nil where each datagram is a message
}

func newSyslog(g *Gate, cfg SyslogConfig) *Syslog {
	cfg.MaxConnections = cmp.Or(cfg.MaxConnections, 1024)
	cfg.MaxBuffered = cmp.Or(cfg.MaxBuffered, 64<<20)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, time.Hour)
	cfg.MessageTimeout = cmp.Or(cfg.MessageTimeout, time.Minute)
	cfg.DrainTimeout = cmp.Or(cfg.DrainTimeout, 10*time.Second)
	return &Syslog{gate: g, cfg: cfg, spoken: dialect{name: "syslog", udp: InputSyslogUDP, tcp: InputSyslogTCP, framer: syslogFramer}}
}

func (s *Syslog) listen(ctx context.Context) error {
	lc := net.ListenConfig{KeepAlive: 30 * time.Second}
	if s.cfg.UDP != "" {
		conn, err := lc.ListenPacket(ctx, "udp", s.cfg.UDP)
		if err != nil {
			return fmt.Errorf("listen for %s over UDP: %w", s.spoken.name, err)
		}
		s.udp = conn.(*net.UDPConn) //nolint:forcetypeassert // network "udp" gives no other
		if err := prepareUDP(s.udp); err != nil {
			return fmt.Errorf("prepare UDP socket: %w", err)
		}
	}
	if s.cfg.TCP != "" {
		ln, err := lc.Listen(ctx, "tcp", s.cfg.TCP)
		if err != nil {
			return fmt.Errorf("listen for %s over TCP: %w", s.spoken.name, err)
		}
		s.tcp = ln
	}
	if s.cfg.TLS != "" {
		if s.cfg.TLSConfig == nil {
			return errors.New("listen for syslog over TLS: no certificate")
		}
		ln, err := lc.Listen(ctx, "tcp", s.cfg.TLS)
		if err != nil {
			return fmt.Errorf("listen for syslog over TLS: %w", err)
		}
		s.tls = ln
	}
	if s.cfg.RELP != "" {
		ln, err := lc.Listen(ctx, "tcp", s.cfg.RELP)
		if err != nil {
			return fmt.Errorf("listen for RELP: %w", err)
		}
		s.relp = ln
	}
	if s.cfg.RELPTLS != "" {
		if s.cfg.TLSConfig == nil {
			return errors.New("listen for RELP over TLS: no certificate")
		}
		ln, err := lc.Listen(ctx, "tcp", s.cfg.RELPTLS)
		if err != nil {
			return fmt.Errorf("listen for RELP over TLS: %w", err)
		}
		s.relpTLS = ln
	}
	return nil
}

// Close closes the sockets. Run does it by itself.
func (s *Syslog) Close() {
	if s.udp != nil {
		_ = s.udp.Close()
	}
	for _, ln := range []net.Listener{s.tcp, s.tls, s.relp, s.relpTLS} {
		if ln != nil {
			_ = ln.Close()
		}
	}
}

// UDPAddr is the bound address, nil if there is none.
func (s *Syslog) UDPAddr() net.Addr {
	if s.udp == nil {
		return nil
	}
	return s.udp.LocalAddr()
}

// TCPAddr is the bound address, nil if there is none.
func (s *Syslog) TCPAddr() net.Addr { return addrOf(s.tcp) }

// TLSAddr is the bound address, nil if there is none.
func (s *Syslog) TLSAddr() net.Addr { return addrOf(s.tls) }

// RELPAddr is the bound address, nil if there is none.
func (s *Syslog) RELPAddr() net.Addr { return addrOf(s.relp) }

// RELPTLSAddr is the bound address, nil if there is none.
func (s *Syslog) RELPTLSAddr() net.Addr { return addrOf(s.relpTLS) }

func addrOf(ln net.Listener) net.Addr {
	if ln == nil {
		return nil
	}
	return ln.Addr()
}

// Run serves until ctx is done. Then it accepts nothing more, delivers what was
// received, and returns nil. It may be called once.
func (s *Syslog) Run(ctx context.Context) error {
	defer s.Close()
	// What is delivered outlives ctx by the time to drain.
	deliver, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	all, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.cfg.DrainTimeout, cancel) })()

	if s.udp != nil {
		all.Go(func() error { return s.runUDP(ctx, deliver) })
	}
	if s.tcp != nil {
		all.Go(func() error { return s.accept(ctx, s.tcp, s.spoken.tcp, s.stream(ctx, deliver, nil)) })
	}
	if s.tls != nil {
		all.Go(func() error {
			return s.accept(ctx, s.tls, InputSyslogTLS, s.stream(ctx, deliver, s.cfg.TLSConfig))
		})
	}
	if s.relp != nil {
		all.Go(func() error { return s.accept(ctx, s.relp, InputRELP, s.relpSenders(ctx, deliver, nil)) })
	}
	if s.relpTLS != nil {
		all.Go(func() error {
			return s.accept(ctx, s.relpTLS, InputRELP, s.relpSenders(ctx, deliver, s.cfg.TLSConfig))
		})
	}
	err := all.Wait()
	return errors.Join(err, s.connected.Wait())
}
