// Package pipeline takes batches from the queue, one worker for each partition:
// parse, match, correlate, archive, store, and write the alerts. It keeps the
// checkpoint that makes a restart lose nothing and repeat nothing. It knows no
// door: neither where records come from nor who asks for events.
//
// # Exactly once
//
// An event's id is its place in the queue, so a replay gives the same ids. Two
// marks per partition lie in the database:
//
//   - detected: findings of batches up to it are written. It moves in the
//     transaction that writes them, batch by batch.
//   - base: batches up to it are synced in archive and event store. It moves every
//     few seconds, together with the state that parser and detector had there.
//
// A third number, written every few hundred batches before they are handed on, tells
// a restart up to where archive and store may hold something.
//
// A restart restores the state at base and replays the batches after it: the
// archive leaves out what it has by its sequence, the event store is completed by
// the ids that it lacks, and findings at or below detected are dropped, since the
// replay finds the same ones. A batch leaves the queue only when base has passed it.
//
// Time that passes without events goes through the queue too, as a chunk without
// records, when a window of a correlation waits for its end: a replay sees it at the
// same place. Rules may change between any two chunks; rules that stay find what they
// would have found, and their correlations go on.
package pipeline

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/retention"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Config holds what a pipeline works on. Fields of which nothing else is said are required.
type Config struct {
	Queue    *queue.Queue
	Archive  *archive.Archive
	Store    eventstore.Store
	DB       *sqldb.DB
	Rulesets Rulesets
	Record   Recorder
	Sources  *source.Service
	Days     *retention.Days
	Zone     *time.Location // of times that carry none
	Metrics  *Metrics
	Log      *slog.Logger
	Now      func() time.Time

	// Observe, if set, sees every event after it was parsed, Sample one in some. Neither
	// keeps it.
	Observe func(*event.Event)
	Sample  func(*event.Event)

	// Enrich, if set, may add fields to an event before rules look at it, and emit findings
	// of its own. Those of one rule and key in one batch become one.
	Enrich func(e *event.Event, emit func(*alert.Finding))

	// Settings, if set, returns how a tenant's records are to be read, nil where
	// nothing is set. Seen, if set, learns how each record came and was understood; it
	// keeps none of its arguments.
	Settings func(ctx context.Context, tenant uint32) (*parse.Settings, error)
	Seen     func(*parse.Record, *event.Event, *parse.Explanation)

	// Erased, if set, tells which of a tenant's events were erased and must not come back when
	// batches are replayed; what it returns may be nil: none.
	Erased func(ctx context.Context, tenant uint32) (func(*event.Event) bool, error)

	CheckpointEvery time.Duration // between the end of one checkpoint and the next; 2 s where 0
}

// Rulesets returns the tenant's active rules at this moment: the same pointer until
// they change.
type Rulesets func(ctx context.Context, tenant uint32) (*detect.Ruleset, error)

// A Recorder writes findings in the transaction of the caller: alerts,
// incidents and the counters of their rules.
type Recorder func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error

// maxAhead bounds how many batches may be handed to archive and store beyond
// base, and so how much a restart replays.
const maxAhead = 8192

// reserve is how many batches may be handed on before the database must know.
// A restart looks up whether the store holds a batch only as far as it knows.
const reserve = 256

// Pipeline is the set of workers.
type Pipeline struct{ workers []*worker }

// New returns a pipeline for all partitions of the queue.
func New(cfg Config) *Pipeline {
	if cfg.CheckpointEvery == 0 {
		cfg.CheckpointEvery = 2 * time.Second
	}
	p := &Pipeline{}
	for i := range cfg.Queue.Partitions() {
		p.workers = append(p.workers, newWorker(cfg, i))
	}
	return p
}

// Run works until ctx is done, then finishes the batches in hand, writes a last
// checkpoint and returns.
func (p *Pipeline) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, w := range p.workers {
		all.Go(func() error { return w.run(ctx) })
	}
	return all.Wait()
}

// Base returns the last checkpointed sequence of each partition, for queue.Open.
func Base(ctx context.Context, db *sqldb.DB) (map[int]uint64, error) {
	marks, err := listMarks(ctx, db)
	if err != nil {
		return nil, err
	}
	known := map[int]uint64{}
	for _, m := range marks {
		known[m.partition] = max(m.base, m.detected)
	}
	return known, nil
}
