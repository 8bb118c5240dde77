package ingest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	udpReadBuffer = 16 << 20 // asked of the kernel; it may give less
	maxRoundBytes = 8 << 20  // datagrams held while the round before is delivered
	maxDeliveries = 32       // chunks of one round that are appended at the same time
)

// A round is what came over UDP while the round before was delivered. So chunks
// grow with the load, and a lone message does not wait.
type round struct {
	batches map[netip.Addr][]*batch // of each sender, in order
	bytes   int
}

// A udpGather hands rounds from the reader to the deliverer.
type udpGather struct {
	mu     sync.Mutex
	round  round
	filled chan struct{} // there is something to deliver
	taken  chan struct{} // there is room again
}

// runUDP reads until ctx is done and delivers all it has read.
func (s *Syslog) runUDP(ctx, deliver context.Context) error {
	g := &udpGather{filled: make(chan struct{}, 1), taken: make(chan struct{}, 1)}
	defer context.AfterFunc(ctx, func() { _ = s.udp.SetReadDeadline(time.Now().Add(drainPause)) })()
	var both errgroup.Group
	both.Go(func() error {
		defer close(g.filled)
		return s.readUDP(ctx, deliver, g)
	})
	both.Go(func() error {
		for range g.filled {
			s.deliverRound(deliver, g.take())
		}
		s.deliverRound(deliver, g.take())
		return nil
	})
	return both.Wait()
}

func (s *Syslog) readUDP(ctx, deliver context.Context, g *udpGather) error {
	in := s.gate.stats.of(s.spoken.udp)
	if s.spoken.joiner != nil {
		defer s.spoken.joiner.drop()
	}
	buf := make([]byte, 64<<10)
	control := make([]byte, 128)
	var lost uint32 // as the kernel counts
	var stopping drain
	for {
		draining := ctx.Err() != nil
		if draining {
			deadline, more := stopping.next()
			if !more {
				return nil
			}
			_ = s.udp.SetReadDeadline(deadline)
		}
		n, m, _, from, err := s.udp.ReadMsgUDPAddrPort(buf, control)
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed), draining && errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue // the stop has come
		default:
			// What a datagram does to the socket concerns no other datagram.
			s.gate.cfg.Log.DebugContext(ctx, "read syslog datagram", "error", err)
			if !sleep(deliver, time.Millisecond) {
				return nil
			}
			continue
		}
		if total, ok := overflow(control[:m]); ok && total != lost {
			in.drop("receive_buffer", int(total-lost))
			lost = total
		}
		sender := from.Addr().Unmap()
		var message []byte
		var cut bool
		if s.spoken.joiner != nil {
			message, cut = s.spoken.joiner.join(sender, buf[:n], time.Now())
		} else {
			message = bytes.TrimRight(buf[:n], "\r\n\x00")
		}
		if len(message) == 0 {
			continue
		}
		for !g.add(&s.gate.pool, sender, message, cut) {
			select {
			case <-g.taken:
			case <-deliver.Done():
				in.drop("shutdown", 1)
				return nil
			}
		}
	}
}

// add reports false when the round is full.
func (g *udpGather) add(pool *batchPool, from netip.Addr, message []byte, cut bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.round.bytes+len(message) > maxRoundBytes {
		return false
	}
	if g.round.batches == nil {
		g.round.batches = make(map[netip.Addr][]*batch)
	}
	list := g.round.batches[from]
	if len(list) == 0 || !list[len(list)-1].fits(len(message)) {
		list = append(list, pool.get())
		g.round.batches[from] = list
		g.round.bytes += 1 << 10 // many forged senders must not cost more than many bytes
	}
	list[len(list)-1].add(message, cut)
	g.round.bytes += len(message)
	wake(g.filled)
	return true
}

func (g *udpGather) take() round {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.round
	g.round = round{}
	wake(g.taken)
	return r
}

// wake leaves one token in c.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *Syslog) deliverRound(ctx context.Context, r round) {
	var all errgroup.Group
	all.SetLimit(maxDeliveries)
	for from, batches := range r.batches {
		all.Go(func() error {
			for _, b := range batches {
				s.deliverUDP(ctx, from.String(), b)
				s.gate.pool.put(b)
			}
			return nil
		})
	}
	_ = all.Wait() // no delivery fails: what is lost is counted
}

// deliverUDP appends b. The sender cannot be held back, so what is over the quota
// is dropped and counted.
func (s *Syslog) deliverUDP(ctx context.Context, peer string, b *batch) {
	tenant := s.cfg.Tenant()
	in := s.gate.stats.of(s.spoken.udp)
	c := b.chunk(tenant.Number, origin{input: s.spoken.udp, peer: peer, source: s.cfg.Source})
	granted, _ := s.gate.quotas.take(tenant, len(c.Records))
	if over := len(c.Records) - granted; over > 0 {
		in.drop("quota", over)
	}
	if granted == 0 {
		return
	}
	if left := s.gate.append(ctx, in, first(c, granted)); left > 0 {
		in.drop("shutdown", left)
	}
}
