package ingest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// Limits of one chunk.
const (
	maxChunkBytes   = framing.MaxRecord
	maxChunkRecords = 5000
)

// Config says where a Gate delivers and what it allows. The zero limit means its
// documented default.
type Config struct {
	// Append blocks until the chunk is synced to disk. When the queue is full or
	// not there it fails with fault.Unavailable.
	Append func(ctx context.Context, c *queue.Chunk) error

	// CheckSource says what is wrong with a source hint; nil takes every
	// well-formed one.
	CheckSource func(name string) error

	Log *slog.Logger

	MaxBody     int64         // bytes of an HTTP body, decompressed; default 64 MiB
	MaxUploads  int           // HTTP bodies read at the same time; default 32
	BodyIdle    time.Duration // the longest pause inside an HTTP body; default 20 s
	BodyTimeout time.Duration // time spent waiting for an HTTP body; default 3 min
}

// A Gate takes logs in for all tenants, over all inputs. Its methods may be
// called concurrently.
type Gate struct {
	cfg     Config
	quotas  quotas
	stats   stats
	uploads chan struct{}
	pool    batchPool
}

// New returns a Gate.
func New(cfg Config) *Gate {
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 64<<20)
	cfg.MaxUploads = cmp.Or(cfg.MaxUploads, 32)
	cfg.BodyIdle = cmp.Or(cfg.BodyIdle, 20*time.Second)
	cfg.BodyTimeout = cmp.Or(cfg.BodyTimeout, 3*time.Minute)
	return &Gate{cfg: cfg, uploads: make(chan struct{}, cfg.MaxUploads)}
}

// A Tenant is what ingest needs to know of one.
type Tenant struct {
	Number          uint32
	EventsPerSecond int // quota of its plan, 0 for none
}

// An origin is what the records of a chunk share.
type origin struct {
	input, peer, source, key string
}

// push appends the records of b for a sender that can be held back: it waits for
// quota and for room in the queue, and returns early only when ctx is done. What
// is not delivered then is counted as dropped. b is empty afterwards.
func (g *Gate) push(ctx context.Context, tenant func() Tenant, from origin, b *batch) {
	if left := g.deliver(ctx, tenant, from, b); left > 0 {
		g.stats.of(from.input).drop("shutdown", left)
	}
}

// deliver is push that returns how many records, the last ones, were not
// delivered when ctx was done, and leaves it to the caller what becomes of them.
func (g *Gate) deliver(ctx context.Context, tenant func() Tenant, from origin, b *batch) int {
	t := tenant()
	c := b.chunk(t.Number, from)
	b.reset()
	in := g.stats.of(from.input)
	for len(c.Records) > 0 {
		n, wait := g.quotas.take(t, len(c.Records))
		if n == 0 {
			in.waited("quota")
			if !sleep(ctx, wait) {
				return len(c.Records)
			}
			t = tenant()
			continue
		}
		if left := g.append(ctx, in, first(c, n)); left > 0 {
			return left + len(c.Records) - n
		}
		c = rest(c, n)
	}
	return 0
}

// offer gives c to the queue once, in parts if the queue cannot hold it in one
// message. It returns how many records were taken.
func (g *Gate) offer(ctx context.Context, in *counters, c *queue.Chunk) (int, error) {
	err := g.cfg.Append(ctx, c)
	if err == nil {
		in.took(c)
		return len(c.Records), nil
	}
	half := len(c.Records) / 2
	if half == 0 || c.Origin != "" || !errors.Is(err, fault.TooLarge) { // a number stands for a whole chunk
		return 0, err
	}
	n, err := g.offer(ctx, in, first(c, half))
	if err != nil {
		return n, err
	}
	n, err = g.offer(ctx, in, rest(c, half))
	return half + n, err
}

// append gives c to the queue, again and again until it is taken. It returns how
// many records were not when ctx was done.
func (g *Gate) append(ctx context.Context, in *counters, c *queue.Chunk) int {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		n, err := g.offer(ctx, in, c)
		c = rest(c, n)
		switch {
		case err == nil:
			return 0
		case errors.Is(err, fault.TooLarge), errors.Is(err, fault.Invalid):
			// Waiting does not help the record; those behind it must not starve.
			g.cfg.Log.ErrorContext(ctx, "queue refused a record", "input", c.Input, "peer", c.Peer, "error", err)
			in.drop("refused", 1)
			if c = rest(c, 1); len(c.Records) == 0 {
				return 0
			}
			continue
		}
		in.waited("queue")
		if pause > time.Second {
			g.cfg.Log.WarnContext(ctx, "queue takes no records, sender is held back", "input", c.Input, "peer", c.Peer, "error", err)
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return len(c.Records)
		}
	}
}

// sleep waits for d and reports false if ctx was done before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
