package collector

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/collector/source"
	"github.com/kyra-mdr/kyra/internal/collector/spool"
)

const (
	gatherFor   = 300 * time.Millisecond // how long a batch waits for more
	quietFor    = 2 * time.Second        // the same, where it holds no records
	goodBatch   = 512 << 10              // bytes of records at which a batch goes at once
	fullBatch   = 4 << 20                // bytes that are held in memory while the batch before is written
	fullRecords = 15_000
	fullChunks  = 2_000
)

// A gather makes batches of what sources put, and spools them.
type gather struct {
	spool *spool.Spool
	log   *slog.Logger

	mu      sync.Mutex
	pending spool.Entry
	size    int
	records int
	began   time.Time
	writing spool.Marks   // of the batch that is being written
	put     uint64        // generation of pending
	spooled uint64        // the last generation that is on disk
	room    chan struct{} // closed and renewed when pending was taken or written
	wake    chan struct{}
	problem string // why nothing can be spooled, "" when it can
}

func newGather(s *spool.Spool, log *slog.Logger) *gather {
	return &gather{spool: s, log: log, put: 1, room: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// add takes a piece of a source. It waits while there is no room; marks and counts
// alone need none.
func (g *gather) add(ctx context.Context, name string, p source.Piece, c spool.Totals) error {
	size := 0
	for _, r := range p.Chunk.Records {
		size += len(r) + 3
	}
	for {
		g.mu.Lock()
		if g.size == 0 || size == 0 || g.size+size <= fullBatch && g.records+len(p.Chunk.Records) <= fullRecords && len(g.pending.Chunks) < fullChunks {
			g.keep(name, p, c, size)
			g.mu.Unlock()
			return nil
		}
		room := g.room
		g.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *gather) keep(name string, p source.Piece, c spool.Totals, size int) {
	e := &g.pending
	if e.Counts == nil {
		e.Counts, e.Marks = map[string]spool.Totals{}, spool.Marks{}
		g.began = time.Now()
	}
	if n := len(p.Chunk.Records); n > 0 {
		if len(e.Chunks) == 0 {
			g.began = time.Now()
		}
		if last := len(e.Chunks) - 1; last >= 0 && sameOrigin(&e.Chunks[last], &p.Chunk) {
			ch := &e.Chunks[last]
			for _, cut := range p.Chunk.Cut {
				ch.Cut = append(ch.Cut, cut+uint32(len(ch.Records)))
			}
			ch.Records = append(ch.Records, p.Chunk.Records...)
		} else {
			e.Chunks = append(e.Chunks, p.Chunk)
		}
	}
	t := e.Counts[name]
	e.Counts[name] = spool.Totals{Records: t.Records + c.Records, Bytes: t.Bytes + c.Bytes, Filtered: t.Filtered + c.Filtered, Dropped: t.Dropped + c.Dropped}
	if len(p.Marks) > 0 {
		if e.Marks[name] == nil {
			e.Marks[name] = map[string]string{}
		}
		maps.Copy(e.Marks[name], p.Marks)
	}
	g.size += size
	g.records += len(p.Chunk.Records)
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// sameOrigin reports whether records of b can go on with those of a.
func sameOrigin(a, b *protocol.Chunk) bool {
	return a.Source == b.Source && a.Input == b.Input && a.Peer == b.Peer && a.Host == b.Host && b.Arrived-a.Arrived < int64(time.Second)
}

// sync waits until what was added so far is on disk.
func (g *gather) sync(ctx context.Context) error {
	g.mu.Lock()
	want := g.put
	if g.pending.Counts == nil {
		want--
	}
	g.mu.Unlock()
	for {
		g.mu.Lock()
		done, room := g.spooled >= want, g.room
		g.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// marks returns those of a source with what is not spooled yet.
func (g *gather) marks(name string) map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.spool.Marks(name)
	if out == nil {
		out = map[string]string{}
	}
	for _, change := range []spool.Marks{g.writing, g.pending.Marks} {
		for k, v := range change[name] {
			if v == "" {
				delete(out, k)
			} else {
				out[k] = v
			}
		}
	}
	return out
}

// run spools until ctx is done, then what is left.
func (g *gather) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			g.flush(ctx)
			return nil
		case <-g.wake:
		}
		g.linger(ctx)
		g.flush(ctx)
	}
}

// linger waits for more to send with what is there.
func (g *gather) linger(ctx context.Context) {
	for {
		g.mu.Lock()
		size, wait := g.size, gatherFor
		if g.records == 0 {
			wait = quietFor
		}
		left := time.Until(g.began.Add(wait))
		g.mu.Unlock()
		if size >= goodBatch || left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-g.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// flush spools what is pending. While that cannot be it tries again, and sources wait.
func (g *gather) flush(ctx context.Context) {
	g.mu.Lock()
	e := g.pending
	if e.Counts == nil {
		g.mu.Unlock()
		return
	}
	g.pending, g.size, g.records = spool.Entry{}, 0, 0
	g.writing = e.Marks
	generation := g.put
	g.put++
	g.turn()
	g.mu.Unlock()

	for {
		room := g.spool.Room()
		err := g.spool.Append(&e)
		if err == nil {
			break
		}
		g.trouble(err)
		timer := time.NewTimer(time.Second)
		if errors.Is(err, spool.Full) {
			timer.Stop()
		}
		select {
		case <-ctx.Done(): // what the marks do not cover is read again
			timer.Stop()
			return
		case <-room:
		case <-timer.C:
		}
		timer.Stop()
	}
	g.mu.Lock()
	g.writing, g.spooled, g.problem = nil, generation, ""
	g.turn()
	g.mu.Unlock()
}

func (g *gather) turn() {
	close(g.room)
	g.room = make(chan struct{})
}

func (g *gather) trouble(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.problem != err.Error() {
		g.problem = err.Error()
		g.log.Warn("cannot spool: sources wait", "error", err)
	}
}

// blocked tells why nothing can be spooled, "" when it can.
func (g *gather) blocked() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.problem
}
