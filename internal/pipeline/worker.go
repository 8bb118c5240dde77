package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A worker owns one partition.
type worker struct {
	Config
	partition int
	limit     uint64        // batches beyond it were never handed to archive or store
	free      chan *batch   // batches for reuse
	events    []event.Event // of the batches that are being kept
	findings  []alert.Finding
}

func newWorker(cfg Config, partition int) *worker {
	return &worker{Config: cfg, partition: partition, free: make(chan *batch, 32)}
}

// run repeats work until ctx is done. What fails is tried again from the
// checkpoint: the queue holds everything until then.
func (w *worker) run(ctx context.Context) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		started := w.Now()
		err := w.work(ctx)
		if ctx.Err() != nil {
			if err != nil {
				w.Log.WarnContext(ctx, "pipeline ended without a last checkpoint: the next start replays", "partition", w.partition, "err", err)
			}
			return nil
		}
		if errors.Is(err, errFatal) {
			return err
		}
		if w.Now().Sub(started) > time.Minute {
			wait = 100 * time.Millisecond
		}
		w.Metrics.Restarts.Inc()
		w.Log.WarnContext(ctx, "pipeline begins again from its checkpoint", "partition", w.partition, "wait", wait, "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// errFatal marks what no repetition can mend.
var errFatal = errors.New("pipeline cannot go on")

// errStoreRestarted tells that rows may have been lost since the checkpoint.
var errStoreRestarted = errors.New("event store was started again")

// work restores the checkpoint and processes batches until ctx is done or
// something fails.
//
// Three goroutines hand batches on: prepare (parse, match, correlate), keep
// (archive, store, findings) and checkpoint, so that the processor is busy
// while the store answers and the disk syncs.
func (w *worker) work(ctx context.Context) error {
	mark, err := loadMark(ctx, w.DB, w.partition)
	if err != nil {
		return err
	}
	begin, err := w.Queue.Begin(ctx, w.partition)
	if err != nil {
		return err
	}
	if begin > mark.base { // the database is older than the queue: a backup was put back
		w.Log.WarnContext(ctx, "the queue begins behind the checkpoint: going on from there", "partition", w.partition, "base", mark.base, "begin", begin)
		mark.base = begin
	}
	s, err := newStages(ctx, w, mark)
	if err != nil {
		return err
	}
	epoch := w.Store.Epoch()
	replayTo, err := w.replayTo(ctx, mark)
	if err != nil {
		return err
	}

	prepared := newMailbox()
	due := make(chan *batch, 1)
	all, workCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	all.Go(func() error {
		defer prepared.close()
		consume, cancel := context.WithCancel(workCtx)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)() // intake ends; what is in hand goes on
		err := w.Queue.Consume(consume, w.partition, mark.base, func(m queue.Message) error {
			b, err := s.prepare(workCtx, m)
			if err != nil {
				return err
			}
			b.replayed = m.Seq <= replayTo
			return prepared.put(workCtx, b)
		}, func() error { // nothing came for a while
			s.tickIfDue(workCtx)
			b, err := s.snapshotWhenIdle()
			if err != nil || b == nil {
				return err
			}
			return prepared.put(workCtx, b)
		})
		if err != nil || workCtx.Err() != nil {
			return err
		}
		last, err := s.lastBatch()
		if err != nil {
			return err
		}
		return prepared.put(workCtx, last)
	})
	all.Go(func() error {
		defer close(due)
		for {
			batches := prepared.take(workCtx)
			if len(batches) == 0 {
				return nil
			}
			if err := w.keep(workCtx, mark, batches); err != nil {
				return err
			}
			for _, b := range batches {
				if b.snapshot == nil {
					w.recycle(b)
				} else if err := send(workCtx, due, b); err != nil {
					return err
				}
			}
		}
	})
	all.Go(func() error {
		for b := range due {
			if err := w.checkpoint(workCtx, b, epoch); err != nil {
				return err
			}
			s.checkpointed(b.seq)
			w.recycle(b)
		}
		return nil
	})
	return all.Wait()
}

func send(ctx context.Context, to chan<- *batch, b *batch) error {
	select {
	case to <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// replayTo returns the newest batch that archive and store may already hold.
func (w *worker) replayTo(ctx context.Context, m mark) (uint64, error) {
	last, err := w.Queue.LastSeq(ctx, w.partition)
	if err != nil {
		return 0, err
	}
	if last < m.base {
		return 0, fmt.Errorf("%w: queue partition %d ends at %d, but the database knows batches up to %d: restore the queue's folder", errFatal, w.partition, last, m.base)
	}
	w.limit = max(w.limit, m.limit)
	return min(last, w.limit), nil
}

// keep brings batches, in order, into archive and store and writes their findings.
func (w *worker) keep(ctx context.Context, m mark, batches []*batch) error {
	last := batches[len(batches)-1].seq
	if last > w.limit {
		if err := saveLimit(ctx, w.DB, w.partition, last+reserve); err != nil {
			return err
		}
		w.limit = last + reserve
	}
	w.events, w.findings = w.events[:0], w.findings[:0]
	for _, b := range batches {
		for _, block := range b.blocks {
			if err := w.Archive.Append(ctx, block); err != nil {
				return err
			}
		}
		events := b.events
		if b.replayed {
			var err error
			if events, err = w.missing(ctx, b); err != nil {
				return err
			}
		}
		w.events = append(w.events, events...)
		if b.seq > m.detected {
			w.findings = append(w.findings, b.findings...)
		}
	}
	if len(w.events) > 0 {
		if err := w.Store.Append(ctx, w.events); err != nil {
			return fmt.Errorf("store batches up to %d: %w", last, err)
		}
	}
	w.Metrics.Stored.Add(len(w.events))
	clear(w.events) // they belong to the batches
	if len(w.findings) == 0 {
		return nil
	}
	return w.record(ctx, last, w.findings)
}

// missing returns the events of b that the store does not hold, but for those that were
// erased from it.
func (w *worker) missing(ctx context.Context, b *batch) ([]event.Event, error) {
	type span struct{ from, to int64 }
	spans := map[uint32]span{}
	for i := range b.events {
		e := &b.events[i]
		s, ok := spans[e.Tenant]
		if !ok {
			s = span{e.Time, e.Time}
		}
		spans[e.Tenant] = span{min(s.from, e.Time), max(s.to, e.Time)}
	}
	present := map[uint32]map[uint32]struct{}{}
	found := 0
	for tenant, s := range spans {
		have, err := w.Store.Present(ctx, tenant, uint16(w.partition), b.seq, s.from, s.to)
		if err != nil {
			return nil, fmt.Errorf("look up batch %d: %w", b.seq, err)
		}
		present[tenant] = have
		found += len(have)
	}
	erased := map[uint32]func(*event.Event) bool{}
	if w.Erased != nil {
		for tenant := range spans {
			gone, err := w.Erased(ctx, tenant)
			if err != nil {
				return nil, fmt.Errorf("look up erasures: %w", err)
			}
			if gone != nil {
				erased[tenant] = gone
			}
		}
	}
	if found == 0 && len(erased) == 0 {
		return b.events, nil
	}
	missing := make([]event.Event, 0, len(b.events))
	for _, e := range b.events {
		if _, ok := present[e.Tenant][e.ID.Index]; !ok && (erased[e.Tenant] == nil || !erased[e.Tenant](&e)) {
			missing = append(missing, e)
		}
	}
	w.Metrics.Replayed.Add(found)
	return missing, nil
}

// record writes findings of batches up to seq and moves the detected mark with them.
func (w *worker) record(ctx context.Context, seq uint64, findings []alert.Finding) error {
	const attempts = 5
	for try := 1; ; try++ {
		err := w.recordOnce(ctx, seq, findings)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		if try == attempts {
			return w.recordSingly(ctx, seq, findings, err)
		}
		select {
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// recordSingly finds the findings that the database refuses, so that they hold up no
// other. A finding is given up only after the database refused it three times while it
// took other writes. While it takes none and nothing is recorded yet, the batches are
// tried again from the checkpoint.
func (w *worker) recordSingly(ctx context.Context, seq uint64, findings []alert.Finding, cause error) error {
	const passes = 3
	left := findings
	for pass := 1; pass <= passes && len(left) > 0; {
		if err := saveLimit(ctx, w.DB, w.partition, w.limit); err != nil {
			if len(left) == len(findings) {
				return fmt.Errorf("record findings up to batch %d: %w", seq, cause)
			}
		} else {
			left = w.refusedOf(ctx, left, pass == passes)
			pass++
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	w.Metrics.FindingsRefused.Add(len(left))
	return w.recordOnce(ctx, seq, nil)
}

// refusedOf records findings one by one and returns those that were refused.
func (w *worker) refusedOf(ctx context.Context, findings []alert.Finding, last bool) (refused []alert.Finding) {
	for i := range findings {
		f := &findings[i]
		err := w.recordOnce(ctx, 0, findings[i:i+1])
		if err == nil {
			continue
		}
		refused = append(refused, *f)
		if last {
			w.Log.ErrorContext(ctx, "finding cannot be recorded: given up", "rule", f.Rule.ID, "key", f.Key, "tenant", f.Tenant, "count", f.Count, "err", err)
		}
	}
	return refused
}

func (w *worker) recordOnce(ctx context.Context, seq uint64, findings []alert.Finding) error {
	now := w.Now()
	return w.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if len(findings) > 0 {
			if err := w.Record(ctx, tx, now, findings); err != nil {
				return err
			}
		}
		if seq == 0 {
			return nil
		}
		return saveDetected(ctx, tx, w.partition, seq)
	})
}

// checkpoint syncs everything up to b, moves base there and lets the queue
// forget. epoch is the store's when the work began.
func (w *worker) checkpoint(ctx context.Context, b *batch, epoch uint64) error {
	started := time.Now()
	if err := w.Archive.Sync(); err != nil {
		return err
	}
	if err := w.Store.Sync(ctx); err != nil {
		return fmt.Errorf("sync event store: %w", err)
	}
	if w.Store.Epoch() != epoch {
		return errStoreRestarted
	}
	err := w.DB.Tx(ctx, func(tx *sqldb.DB) error {
		return saveCheckpoint(ctx, tx, w.Sources, w.partition, b.seq, b.snapshot, w.Now())
	})
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := w.Queue.Trim(ctx, w.partition, b.seq); err != nil {
		return err
	}
	w.Metrics.CheckpointSeconds.Update(time.Since(started).Seconds())
	return nil
}

// blocksOf cuts the batch into one archive block for each tenant. Some chunk has records.
func blocksOf(codec *queue.Codec, partition int, m queue.Message, all []queue.Placed) []archive.Block {
	var blocks []archive.Block
	chunks := slices.DeleteFunc(slices.Clone(all), func(c queue.Placed) bool { return len(c.Records) == 0 })
	single := len(chunks) == len(all)
	for _, c := range chunks {
		single = single && c.Tenant == chunks[0].Tenant && c.Again == nil
	}
	if single { // the usual case: the batch as it came
		return []archive.Block{blockOf(partition, m.Seq, chunks, m.Payload)}
	}
	byTenant := map[uint32][]queue.Placed{}
	var order []uint32
	for _, c := range chunks {
		if byTenant[c.Tenant] == nil {
			order = append(order, c.Tenant)
		}
		byTenant[c.Tenant] = append(byTenant[c.Tenant], c)
	}
	for _, t := range order {
		blocks = append(blocks, blockOf(partition, m.Seq, byTenant[t], codec.Encode(nil, byTenant[t])))
	}
	return blocks
}

func blockOf(partition int, seq uint64, chunks []queue.Placed, payload []byte) archive.Block {
	b := archive.Block{
		Tenant: chunks[0].Tenant, Partition: uint16(partition), Seq: seq, Payload: payload,
		FirstArrived: chunks[0].Arrived, LastArrived: chunks[0].Arrived,
	}
	for _, c := range chunks {
		b.Records += uint32(len(c.Records))
		b.FirstArrived = min(b.FirstArrived, c.Arrived)
		b.LastArrived = max(b.LastArrived, c.Arrived)
	}
	return b
}
