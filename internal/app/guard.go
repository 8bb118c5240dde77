package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// A diskGuard closes intake while the disk is nearly full, so that what was
// acknowledged can still be processed and everything stays readable.
type diskGuard struct {
	path    string
	minimum uint64
	log     *slog.Logger
	full    atomic.Bool
	free    atomic.Uint64
}

// run looks at the disk until ctx is done.
func (g *diskGuard) run(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		g.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *diskGuard) look(ctx context.Context) {
	free, err := freeBytes(g.path)
	if err != nil {
		g.log.WarnContext(ctx, "free space is not known", "err", err)
		return
	}
	g.free.Store(free)
	full := free < g.minimum
	if g.full.Load() && free < g.minimum+g.minimum/10 {
		full = true // a little room more before intake opens again, so that it does not flutter
	}
	if full != g.full.Swap(full) {
		if full {
			g.log.ErrorContext(ctx, "disk is nearly full: new events are refused until there is room", "free_bytes", free, "minimum_bytes", g.minimum)
		} else {
			g.log.InfoContext(ctx, "disk has room again: events are taken in", "free_bytes", free)
		}
	}
}

// check is the readiness of the disk.
func (g *diskGuard) check(context.Context) error {
	if g.full.Load() {
		return fault.New(fault.Unavailable, "the disk is nearly full (%d bytes free, %d needed): new events are refused; free some space or lower retention", g.free.Load(), g.minimum)
	}
	return nil
}

// guarded refuses chunks while the disk is full.
func (g *diskGuard) guarded(appendChunk func(context.Context, *queue.Chunk) error) func(context.Context, *queue.Chunk) error {
	return func(ctx context.Context, c *queue.Chunk) error {
		if g.full.Load() { // senders need not know the figures
			return fault.New(fault.Unavailable, "the server's disk is nearly full: its operator must make room")
		}
		return appendChunk(ctx, c)
	}
}
