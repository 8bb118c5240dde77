package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/quarantine"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/retention"
	"github.com/kyra-mdr/kyra/internal/source"
)

// A batch is one message of the queue on its way.
type batch struct {
	seq      uint64
	replayed bool // archive and store may hold it already
	events   []event.Event
	blocks   []archive.Block
	findings []alert.Finding
	snapshot *snapshot // set where a checkpoint is due after this batch
}

// stages is what prepares batches: parser, matchers and detector with their
// state, and the counts since the last snapshot. One goroutine.
type stages struct {
	w        *worker
	codec    *queue.Codec
	parser   *parse.Parser
	rules    map[uint32]*tenantRules // of this batch
	detector *detect.Detector
	hits     []detect.Hit
	enriched gathering
	resends  *resends
	counts   *counts
	lastDay  retention.Day // that was admitted
	seen     uint64        // events
	record   parse.Record  // of the event that is looked at
	reread   bool          // it comes from the quarantine
	reading  parse.Explanation

	lastSeq   uint64 // newest batch that was prepared
	snapSeq   uint64 // newest batch that carried a snapshot
	pending   bool   // a snapshot is on its way to the checkpoint
	nextCheck time.Time
	base      atomic.Uint64
	saved     chan struct{} // room for a checkpoint and the last one
}

// tenantRules are a tenant's rules with a matcher of our own on them.
type tenantRules struct {
	set     *detect.Ruleset
	matcher *detect.Matcher
}

func newStages(ctx context.Context, w *worker, m mark) (*stages, error) {
	codec, err := queue.NewCodec()
	if err != nil {
		return nil, err
	}
	s := &stages{
		w: w, codec: codec, parser: parse.New(parse.Options{}), rules: map[uint32]*tenantRules{}, counts: newCounts(), resends: newResends(w.Metrics.ForgottenIDs),
		lastDay: math.MinInt64, lastSeq: m.base, snapSeq: m.base, nextCheck: w.Now().Add(w.CheckpointEvery), saved: make(chan struct{}, 2),
	}
	var rulesErr error
	s.detector = detect.New(func(tenant uint32) *detect.Ruleset {
		if rulesErr == nil && s.rules[tenant] == nil { // only while the state is restored
			rulesErr = s.loadRules(ctx, tenant)
		}
		if r := s.rules[tenant]; r != nil {
			return r.set
		}
		return nil
	})
	s.base.Store(m.base)
	if err := s.resends.load(ctx, w.DB, w.partition); err != nil {
		return nil, err
	}
	if m.state != nil {
		s.resends.latest = max(s.resends.latest, m.state.Latest)
		if err := s.parser.Restore(m.state.Parser); err != nil {
			return nil, fmt.Errorf("restore parser: %w", err)
		}
		if err := errors.Join(s.detector.Restore(m.state.Detector), rulesErr); err != nil {
			return nil, fmt.Errorf("restore detector: %w", err)
		}
	}
	return s, nil
}

// loadRules makes the tenant's present rules those of the batch.
func (s *stages) loadRules(ctx context.Context, tenant uint32) error {
	set, err := s.w.Rulesets(ctx, tenant)
	if err != nil {
		return fmt.Errorf("rules of tenant %d: %w", tenant, err)
	}
	if r := s.rules[tenant]; r == nil || r.set != set {
		s.rules[tenant] = &tenantRules{set, set.NewMatcher()}
	}
	return nil
}

// prepare turns a message into events and findings.
func (s *stages) prepare(ctx context.Context, m queue.Message) (*batch, error) {
	if err := s.makeRoom(ctx, m.Seq); err != nil {
		return nil, err
	}
	chunks, err := s.codec.Decode(m.Payload)
	if err != nil || len(chunks) == 0 {
		// Not written by Append. Nothing can be made of it; it must not stop the rest.
		s.w.Log.ErrorContext(ctx, "queue message cannot be read: left out", "partition", s.w.partition, "seq", m.Seq, "bytes", len(m.Payload), "err", err)
		s.w.Metrics.Unreadable.Inc()
		chunks = nil
	}
	b := s.w.newBatch(m.Seq)
	total := 0
	for _, c := range chunks {
		total += len(c.Records)
	}
	b.resize(total)
	emit := func(f *alert.Finding) { b.findings = append(b.findings, *f) }
	s.enriched.begin(b)
	n, again := 0, 0
	for i := range chunks {
		c := &chunks[i]
		if len(c.Records) == 0 { // time passes: see tickIfDue
			s.detector.Advance(c.Arrived)
			continue
		}
		if err := s.loadRules(ctx, c.Tenant); err != nil {
			return nil, err
		}
		rules := s.rules[c.Tenant]
		settings, err := s.settings(ctx, c.Tenant)
		if err != nil {
			return nil, err
		}
		if c.Again = s.resends.again(c.Chunk); len(c.Again) > 0 {
			again += len(c.Again)
			s.counts.drop(c.Tenant, via(c.Chunk), cmp.Or(c.Source, quarantine.Door(c.Input)), c.Arrived, len(c.Again), source.PolicyResend)
		}
		cut, skip := c.Cut, c.Again
		for i, raw := range c.Records {
			r := recordOf(c.Chunk, raw, s.w.Zone, settings)
			if len(cut) > 0 && cut[0] == uint32(i) {
				r.Cut, cut = true, cut[1:]
			}
			if len(skip) > 0 && skip[0] == uint32(i) {
				skip = skip[1:]
				continue
			}
			e := &b.events[n]
			n++
			s.record, s.reread = r, quarantine.Again(c.Input)
			reason := s.parse(ctx, &s.record, e)
			e.ID = event.ID{Partition: uint16(s.w.partition), Seq: m.Seq, Index: c.First + uint32(i)}
			e.Tenant, e.Arrived = c.Tenant, c.Arrived
			cameThrough(e, c.Chunk, reason)
			s.detect(ctx, rules, e, emit)
			if reason != "" {
				s.w.Metrics.Quarantined.Inc()
			}
			s.counts.add(e, via(c.Chunk), reason, s.place(e))
		}
	}
	b.events = b.events[:n]
	s.w.Metrics.Resent.Add(again)
	s.detector.EndBatch(emit)
	for i := range b.findings {
		s.w.Metrics.Findings.Add(int(b.findings[i].Count))
	}
	if total > 0 {
		b.blocks = blocksOf(s.codec, s.w.partition, m, chunks)
	}
	s.w.Metrics.Processed.Add(total)
	s.lastSeq = m.Seq
	return b, s.snapshotIfDue(ctx, b)
}

// tickIfDue lets time pass while no event comes: what can only be said when a window
// has ended waits for it. The moment goes through the queue, so that a replay sees it
// at the same place among the events.
func (s *stages) tickIfDue(ctx context.Context) {
	now := s.w.Now().UnixNano()
	due, ok := s.detector.Due()
	if !ok || due > now {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.w.Queue.Tick(ctx, s.w.partition, now); err != nil {
		s.w.Log.DebugContext(ctx, "the queue takes no tick: windows end with the next event", "partition", s.w.partition, "err", err)
	}
}

// settings returns how records of the tenant are to be read.
func (s *stages) settings(ctx context.Context, tenant uint32) (*parse.Settings, error) {
	if s.w.Settings == nil {
		return nil, nil
	}
	settings, err := s.w.Settings(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("settings of tenant %d: %w", tenant, err)
	}
	return settings, nil
}

// renewRules takes up changed rules of tenants that send nothing, so that nobody holds
// the old ones.
func (s *stages) renewRules(ctx context.Context) error {
	for tenant := range s.rules {
		if err := s.loadRules(ctx, tenant); err != nil {
			return err
		}
	}
	s.detector.Renew()
	return nil
}

// via names the collector that a chunk came through. Records that leave the quarantine
// were counted as a collector's when they came first.
func via(c *queue.Chunk) string {
	if quarantine.Again(c.Input) {
		return quarantine.Input
	}
	return c.Origin
}

// parse never fails: what makes a parser panic is stored whole, and told. It returns
// why the event is quarantined, "" where it is not.
func (s *stages) parse(ctx context.Context, r *parse.Record, e *event.Event) parse.Reason {
	x, reason, broke := read(s.parser, r, e)
	s.reading = x
	if broke != nil {
		s.w.Metrics.Panics.Inc()
		s.w.Log.ErrorContext(ctx, "parser panicked: record kept unparsed", "input", r.Input, "panic", broke.value, "stack", broke.stack)
	}
	return reason
}

// sampleEvery is of how many events one is a sample.
const sampleEvery = 64

// detect never fails: an event that makes the engine panic is not looked at further.
func (s *stages) detect(ctx context.Context, rules *tenantRules, e *event.Event, emit func(*alert.Finding)) {
	defer func() {
		if p := recover(); p != nil {
			s.w.Metrics.Panics.Inc()
			s.w.Log.ErrorContext(ctx, "detection panicked: event left out of detection", "event", e.ID.String(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if s.w.Observe != nil {
		s.w.Observe(e)
	}
	if s.w.Seen != nil && !s.reread { // what is read again came long ago
		s.w.Seen(&s.record, e, &s.reading)
	}
	if s.w.Enrich != nil {
		s.w.Enrich(e, s.enriched.emit)
	}
	if s.seen++; s.w.Sample != nil && s.seen%sampleEvery == 0 {
		s.w.Sample(e)
	}
	s.hits = rules.matcher.Match(e, s.hits[:0])
	s.detector.Apply(e, s.hits, emit)
}

// place returns the day of event time that e is stored under. When there are too
// many of them already, e is stored under its arrival, and says so.
func (s *stages) place(e *event.Event) retention.Day {
	day := retention.DayOf(min(max(e.Time, eventstore.MinTime), eventstore.MaxTime)) // as the store keeps it
	if day == s.lastDay {
		return day
	}
	if !s.w.Days.Admit(day) {
		s.w.Metrics.Moved.Inc()
		e.Add(event.OriginalTime, time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano))
		e.Tag(event.TagTimeMoved)
		e.Time = e.Arrived
		return retention.DayOf(e.Time)
	}
	s.lastDay = day
	return day
}

// snapshotIfDue gives b the state for a checkpoint when it is time and none is
// under way.
func (s *stages) snapshotIfDue(ctx context.Context, b *batch) error {
	s.noteSaved()
	early := b.seq-s.base.Load() >= maxAhead/2
	if s.pending || (!early && s.w.Now().Before(s.nextCheck)) {
		return nil
	}
	if err := s.renewRules(ctx); err != nil {
		return err
	}
	return s.snapshot(b)
}

// noteSaved learns of a checkpoint that has been written.
func (s *stages) noteSaved() {
	select {
	case <-s.saved:
		s.pending = false
		s.nextCheck = s.w.Now().Add(s.w.CheckpointEvery)
	default:
	}
}

// snapshotWhenIdle returns an empty batch that carries the state after the last
// message, or nil where that is saved already or will be.
func (s *stages) snapshotWhenIdle() (*batch, error) {
	s.noteSaved()
	if s.pending || s.lastSeq == s.snapSeq {
		return nil, nil
	}
	return s.lastBatch()
}

func (s *stages) snapshot(b *batch) error {
	parser, err := s.parser.State()
	if err != nil {
		return fmt.Errorf("take the parser's state: %w", err)
	}
	detector, err := s.detector.State()
	if err != nil {
		return fmt.Errorf("take the detector's state: %w", err)
	}
	b.snapshot = &snapshot{state: state{parser, detector, s.resends.latest}, resends: s.resends.snapshot(), counts: s.counts}
	s.counts = newCounts()
	s.pending, s.snapSeq = true, b.seq
	return nil
}

// lastBatch is empty: it carries the state after the last message, so that a
// start after a clean stop has nothing to replay.
func (s *stages) lastBatch() (*batch, error) {
	b := s.w.newBatch(s.lastSeq)
	if s.lastSeq == s.snapSeq {
		return b, nil
	}
	return b, s.snapshot(b)
}

// makeRoom waits while too many batches are ahead of the checkpoint.
func (s *stages) makeRoom(ctx context.Context, seq uint64) error {
	for seq > s.base.Load()+maxAhead {
		if !s.pending {
			return errors.New("no checkpoint is under way though many batches wait for one")
		}
		select {
		case <-s.saved:
			s.pending = false
			s.nextCheck = s.w.Now().Add(s.w.CheckpointEvery)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// checkpointed is called by the checkpoint goroutine.
func (s *stages) checkpointed(seq uint64) {
	s.base.Store(seq)
	s.saved <- struct{}{}
}

func (w *worker) newBatch(seq uint64) *batch {
	select {
	case b := <-w.free:
		*b = batch{seq: seq, events: b.events[:0]}
		return b
	default:
		return &batch{seq: seq}
	}
}

// Bounds of the memory that waits for reuse: a few large batches or many small ones.
const (
	maxKept      = 20_000 // events of one
	smallBatch   = 1_000
	fewLargeOnes = 3
)

func (w *worker) recycle(b *batch) {
	if n := cap(b.events); n > maxKept || n > smallBatch && len(w.free) >= fewLargeOnes {
		return
	}
	select {
	case w.free <- b:
	default:
	}
}

// resize makes room for n events and keeps the memory of their fields.
func (b *batch) resize(n int) {
	if cap(b.events) < n {
		grown := make([]event.Event, n)
		copy(grown, b.events[:cap(b.events)])
		b.events = grown
	}
	b.events = b.events[:n]
	for i := range b.events {
		b.events[i].Reset()
	}
}
