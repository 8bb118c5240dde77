package hunt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/framing"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// batchSize is how many records go to a worker together.
const batchSize = 256

// A match is an event with the rules that it matches, kept beyond its batch.
type match struct {
	event event.Event
	hits  []detect.Hit
	size  int64
}

// A batch is records of one file, in order. Who reads the file parses them, since
// what a line means may hang on those before it; any worker matches them.
type batch struct {
	events  []event.Event
	used    int
	newest  int64 // event time
	matches []match
	done    chan struct{}
}

// A reading is one file on its way.
type reading struct {
	path    string
	batches chan *batch // in order; closed at the end
	err     error       // valid once batches is closed
	warning string
}

// read reads all files, several at a time, and holds what matches.
func (h *hunt) read(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := h.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var (
		pool     = sync.Pool{New: func() any { return &batch{events: make([]event.Event, batchSize)} }}
		work     = make(chan *batch, workers)
		started  = make(chan *reading, workers)
		slots    = make(chan struct{}, workers)
		position atomic.Int64
		matching sync.WaitGroup
		readers  sync.WaitGroup
	)
	for range workers {
		matching.Go(func() {
			m := h.Rules.NewMatcher()
			for b := range work {
				b.match(m)
				close(b.done)
			}
		})
	}
	readers.Go(func() {
		defer close(started)
		for i, path := range h.files {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			r := &reading{path: path, batches: make(chan *batch, 4)}
			readers.Go(func() {
				defer func() { <-slots }()
				defer close(r.batches)
				r.err = h.readFile(ctx, r, uint64(i), &pool, work, &position)
			})
			select {
			case started <- r:
			case <-ctx.Done():
				return
			}
		}
	})
	err := h.collect(ctx, started, &pool, &position)
	cancel()
	for r := range started { // lets readers go that wait
		for range r.batches { //nolint:revive // nothing is done with them
		}
	}
	readers.Wait()
	close(work)
	matching.Wait()
	return err
}

// collect takes the batches in the order of the files.
func (h *hunt) collect(ctx context.Context, started <-chan *reading, pool *sync.Pool, position *atomic.Int64) error {
	total := h.totalBytes()
	told := time.Now()
	for r := range started {
		for b := range r.batches {
			select {
			case <-b.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			h.result.Events += int64(b.used)
			h.result.Matches += int64(len(b.matches))
			h.newest = max(h.newest, b.newest)
			for i := range b.matches {
				h.hold(b.matches[i])
			}
			b.used, b.matches = 0, b.matches[:0]
			pool.Put(b)
			if h.Progress != nil && time.Since(told) > 100*time.Millisecond {
				told = time.Now()
				h.Progress(h.progress(position.Load(), total))
			}
		}
		if r.err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			h.warn(fmt.Sprintf("%s: %v", r.path, r.err))
		}
		if r.warning != "" {
			h.warn(r.path + ": " + r.warning)
		}
		h.result.Files++
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if h.Progress != nil {
		h.Progress(h.progress(total, total))
	}
	return nil
}

func (h *hunt) progress(done, total int64) Progress {
	return Progress{Bytes: done, TotalBytes: total, Files: h.result.Files, TotalFiles: len(h.files), Events: h.result.Events, Matches: h.result.Matches}
}

// totalBytes is the size of all files, 0 where one has none.
func (h *hunt) totalBytes() int64 {
	total := int64(0)
	for _, path := range h.files {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

// A counting reader adds what is read to a sum.
type counting struct {
	io.Reader
	sum *atomic.Int64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.sum.Add(int64(n))
	return n, err
}

// readFile parses the records of a file and hands them on in batches.
func (h *hunt) readFile(ctx context.Context, r *reading, file uint64, pool *sync.Pool, work chan<- *batch, position *atomic.Int64) error {
	in := h.in
	if r.path != "-" {
		f, err := os.Open(r.path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	records, err := framing.NewFileReader(counting{in, position}, framing.MaxRecord)
	if err != nil {
		return err
	}
	defer records.Close()
	parser := parse.New(parse.Options{})
	now := time.Now().UnixNano()
	b := pool.Get().(*batch)
	flush := func() error {
		b.done = make(chan struct{})
		for _, to := range []chan<- *batch{work, r.batches} {
			select {
			case to <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		b = pool.Get().(*batch)
		return nil
	}
	for {
		rec, err := records.Next()
		if err != nil {
			if b.used > 0 {
				if err := flush(); err != nil {
					return err
				}
			}
			r.warning = records.Faults()
			if errors.Is(err, io.EOF) || errors.Is(err, framing.UnclosedArray) {
				return nil
			}
			return err
		}
		e := &b.events[b.used]
		parser.Parse(&parse.Record{Raw: string(rec.Text), Arrived: now, Source: h.Source, Input: "file", Zone: h.Zone, Cut: rec.Cut}, e)
		if !h.within(e.Time) {
			continue
		}
		e.ID = event.ID{Seq: file, Index: uint32(rec.Line)} //nolint:gosec // a file has fewer than 4 thousand million lines
		if b.used++; b.used == len(b.events) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

func (h *hunt) within(t int64) bool {
	return (h.From.IsZero() || t >= h.From.UnixNano()) && (h.To.IsZero() || t < h.To.UnixNano())
}

// match finds the rules of the events and copies those that have some.
func (b *batch) match(m *detect.Matcher) {
	var hits []detect.Hit
	b.newest = math.MinInt64
	for i := range b.events[:b.used] {
		e := &b.events[i]
		b.newest = max(b.newest, e.Time)
		if hits = m.Match(e, hits[:0]); len(hits) > 0 {
			b.matches = append(b.matches, keep(e, hits))
		}
	}
}

// keep copies an event: its strings lie in the memory of many others.
func keep(e *event.Event, hits []detect.Hit) match {
	n := 0
	for i := range e.Fields {
		n += len(e.Fields[i].Value)
	}
	var text strings.Builder
	text.Grow(n)
	for i := range e.Fields {
		text.WriteString(e.Fields[i].Value)
	}
	all := text.String()
	k := match{event: *e, hits: append([]detect.Hit(nil), hits...)}
	k.event.Raw, k.event.Fields = "", make([]event.Field, len(e.Fields))
	for i := range e.Fields {
		v := len(e.Fields[i].Value)
		k.event.Fields[i] = event.Field{Name: strings.Clone(e.Fields[i].Name), Value: all[:v]}
		all = all[v:]
	}
	k.size = int64(n + 64*len(e.Fields) + 32*len(hits) + 128)
	return k
}
