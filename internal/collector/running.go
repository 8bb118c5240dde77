package collector

import (
	"context"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/source"
	"github.com/kyra-mdr/kyra/internal/collector/spool"
)

// running is a source at work.
type running struct {
	loadedSource
	agent   *Agent
	hashKey string
	stop    context.CancelFunc
	ended   chan struct{}
	failed  chan struct{} // closed when Run has returned an error once

	mu     sync.Mutex
	once   sync.Once
	errors int64
	last   string
	logged time.Time
	record time.Time
}

// run runs the source, again after a while where it could not go on.
func (r *running) run(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		began := time.Now()
		err := r.source.Run(ctx, r.output())
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.fault(err)
			r.once.Do(func() { close(r.failed) })
		}
		if time.Since(began) > time.Minute {
			wait = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// key is what the source's marks are kept under: another type begins anew.
func (r *running) key() string { return r.common.Type + ":" + r.name }

func (r *running) output() source.Output {
	return source.Output{
		Put:   r.put,
		Sync:  r.agent.gather.sync,
		Marks: func() map[string]string { return r.agent.gather.marks(r.key()) },
		Fault: r.fault,
		Lost: func(n int) {
			// The place for a count is always there: it takes no room.
			_ = r.agent.gather.add(context.WithoutCancel(r.agent.life), r.key(), source.Piece{}, spool.Totals{Dropped: int64(n)})
		},
	}
}

func (r *running) put(ctx context.Context, p source.Piece) error {
	filtered := r.filter.apply(&p.Chunk)
	c := spool.Totals{Filtered: int64(filtered), Records: int64(len(p.Chunk.Records))}
	for _, text := range p.Chunk.Records {
		c.Bytes += int64(len(text))
	}
	if c.Records > 0 || filtered > 0 {
		r.mu.Lock()
		r.record = time.Now()
		r.mu.Unlock()
	}
	if c.Records == 0 && filtered == 0 && len(p.Marks) == 0 {
		return nil
	}
	return r.agent.gather.add(ctx, r.key(), p, c)
}

func (r *running) fault(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors++
	r.last = err.Error()
	if time.Since(r.logged) >= time.Minute {
		r.logged = time.Now()
		r.agent.o.Log.Warn("source has trouble", "source", r.name, "type", r.common.Type, "error", err)
	}
}
