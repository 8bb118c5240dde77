package ingest

import (
	"bytes"
	"context"
	"net"
	"time"

	"github.com/kyra-mdr/kyra/internal/framing"
)

// The inputs of GELF.
const (
	InputGELFUDP = "gelf-udp"
	InputGELFTCP = "gelf-tcp"
)

// GELFConfig says where to listen for GELF. An empty address is not listened on; a
// zero limit means the default of SyslogConfig.
type GELFConfig struct {
	UDP    string // "host:port"
	TCP    string
	Tenant func() Tenant // whose logs these are
	Source string        // source hint for all messages, "" for automatic

	MaxConnections int
	MaxBuffered    int64
	IdleTimeout    time.Duration
	MessageTimeout time.Duration
	DrainTimeout   time.Duration
}

// GELF listens for Graylog's format: over UDP, in chunks and packed or not, and
// over TCP, where NUL ends each message. It treats senders as Syslog does.
type GELF struct{ listeners *Syslog }

// ListenGELF binds the addresses of cfg. Call Run to serve them.
func (g *Gate) ListenGELF(ctx context.Context, cfg GELFConfig) (*GELF, error) {
	s := newSyslog(g, SyslogConfig{
		UDP: cfg.UDP, TCP: cfg.TCP, Tenant: cfg.Tenant, Source: cfg.Source,
		MaxConnections: cfg.MaxConnections, MaxBuffered: cfg.MaxBuffered,
		IdleTimeout: cfg.IdleTimeout, MessageTimeout: cfg.MessageTimeout, DrainTimeout: cfg.DrainTimeout,
	})
	s.spoken = dialect{
		name: "GELF", udp: InputGELFUDP, tcp: InputGELFTCP,
		framer: func() framer { return new(gelfFramer) },
		joiner: &gelfJoiner{lost: func(reason string) { g.stats.of(InputGELFUDP).drop(reason, 1) }},
	}
	if err := s.listen(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return &GELF{s}, nil
}

// UDPAddr is the bound address, nil if there is none.
func (l *GELF) UDPAddr() net.Addr { return l.listeners.UDPAddr() }

// TCPAddr is the bound address, nil if there is none.
func (l *GELF) TCPAddr() net.Addr { return l.listeners.TCPAddr() }

// Close closes the sockets. Run does it by itself.
func (l *GELF) Close() { l.listeners.Close() }

// Run serves until ctx is done, as Syslog.Run does.
func (l *GELF) Run(ctx context.Context) error { return l.listeners.Run(ctx) }

// A gelfFramer cuts a stream at NULs.
type gelfFramer struct {
	buf     []byte
	pos     int  // buf[pos:] is not consumed yet
	scanned int  // bytes from pos on that hold no NUL
	skip    bool // the rest of a cut message, to its NUL, is still to come
	closed  bool
}

// Space returns room to read into.
func (f *gelfFramer) Space() []byte {
	const room = 8 << 10
	if f.pos == len(f.buf) {
		f.buf, f.pos = f.buf[:0], 0
		if cap(f.buf) > 4*room {
			f.buf = nil // a long message came by: do not keep its memory
		}
	}
	if cap(f.buf)-len(f.buf) < room && f.pos > 0 {
		n := copy(f.buf, f.buf[f.pos:])
		f.buf, f.pos = f.buf[:n], 0
	}
	if cap(f.buf)-len(f.buf) < room {
		grown := make([]byte, len(f.buf), max(2*cap(f.buf), 2*room))
		copy(grown, f.buf)
		f.buf = grown
	}
	return f.buf[len(f.buf):cap(f.buf)]
}

// Filled says that the first n bytes of Space hold input now.
func (f *gelfFramer) Filled(n int) { f.buf = f.buf[:len(f.buf)+n] }

// Partial reports whether input is held that makes no whole message yet.
func (f *gelfFramer) Partial() bool { return f.pos < len(f.buf) || f.skip }

// Size is how many bytes of memory the buffer takes.
func (f *gelfFramer) Size() int { return cap(f.buf) }

// Resyncs is 0: there is nothing to get wrong.
func (f *gelfFramer) Resyncs() int64 { return 0 }

// Close says that nothing follows.
func (f *gelfFramer) Close() { f.closed = true }

// Next returns the next message, valid until Space is called.
func (f *gelfFramer) Next() (message []byte, cut, ok bool) {
	for f.pos < len(f.buf) {
		held := f.buf[f.pos:]
		end := bytes.IndexByte(held[f.scanned:], 0)
		switch {
		case f.skip:
			if end < 0 {
				f.pos = len(f.buf)
				return nil, false, false
			}
			f.skip = false
			f.pos += end + 1
			continue
		case end >= 0:
			message = held[:f.scanned+end]
			f.pos += len(message) + 1
		case len(held) > framing.MaxRecord, f.closed:
			message, f.skip = held, !f.closed
			f.pos = len(f.buf)
		default:
			f.scanned = len(held)
			return nil, false, false
		}
		f.scanned = 0
		if message, cut = clipRecord(bytes.TrimLeft(message, "\r\n")); len(message) > 0 {
			return message, cut, true
		}
	}
	return nil, false, false
}
