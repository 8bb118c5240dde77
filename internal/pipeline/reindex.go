package pipeline

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/quarantine"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// Progress is how far Reindex has come.
type Progress struct {
	Blocks, Events, Added int64
}

// Reading is how records of an archive are read.
type Reading struct {
	Zone *time.Location // of times that carry none
	// Settings gives those that a tenant's records are read by; nil: there are none.
	Settings func(ctx context.Context, tenant uint32) (*parse.Settings, error)
	// Erased tells which of a tenant's events were erased and must not come back; nil, and
	// what it returns may be nil: none.
	Erased func(ctx context.Context, tenant uint32) (func(*event.Event) bool, error)
}

// tenantReader is a tenant's parser, in the order of arrival, and its settings.
type tenantReader struct {
	parser   *parse.Parser
	settings *parse.Settings
	erased   func(*event.Event) bool
}

func (how *Reading) of(ctx context.Context, tenant uint32) (*tenantReader, error) {
	r := &tenantReader{parser: parse.New(parse.Options{})}
	if how.Settings != nil {
		var err error
		if r.settings, err = how.Settings(ctx, tenant); err != nil {
			return nil, fmt.Errorf("settings of tenant %d: %w", tenant, err)
		}
	}
	if how.Erased != nil {
		var err error
		if r.erased, err = how.Erased(ctx, tenant); err != nil {
			return nil, fmt.Errorf("erasures of tenant %d: %w", tenant, err)
		}
	}
	return r, nil
}

// Reindex reads the whole archive in dir, parses it with the parsers of this
// program and the settings of today, and adds to store what it lacks, under the ids that it had. It
// detects nothing. What left the quarantine has come in twice, first under an id that
// is taken out again at the end. A damaged segment is told in the error after everything that
// can be read has been.
func Reindex(ctx context.Context, dir string, store eventstore.Store, how Reading, report func(Progress)) (Progress, error) {
	var p Progress
	codec, err := queue.NewCodec()
	if err != nil {
		return p, err
	}
	readers := map[uint32]*tenantReader{}
	var events []event.Event
	moved := map[uint32][]string{} // ids of what left the quarantine, by tenant
	since := int64(0)
	err = archive.Walk(ctx, dir, func(b archive.Block) error {
		chunks, err := codec.Decode(b.Payload)
		if err != nil {
			return fmt.Errorf("block %d of tenant %d: %w", b.Seq, b.Tenant, err)
		}
		reader := readers[b.Tenant]
		if reader == nil {
			if reader, err = how.of(ctx, b.Tenant); err != nil {
				return err
			}
			readers[b.Tenant] = reader
		}
		n := 0
		from, to := int64(math.MaxInt64), int64(math.MinInt64)
		for _, c := range chunks {
			cut, skip := c.Cut, c.Again // the archive says what came before
			for i, raw := range c.Records {
				r := recordOf(c.Chunk, raw, how.Zone, reader.settings)
				if len(cut) > 0 && cut[0] == uint32(i) {
					r.Cut, cut = true, cut[1:]
				}
				if len(skip) > 0 && skip[0] == uint32(i) {
					skip = skip[1:]
					continue
				}
				if quarantine.Again(c.Input) && c.IDs != nil {
					moved[c.Tenant] = append(moved[c.Tenant], strings.Clone(c.IDs[i])) // else it would hold its whole batch
				}
				if n == len(events) {
					events = append(events, event.Event{})
				}
				e := &events[n]
				n++
				_, reason, _ := read(reader.parser, &r, e)
				e.ID = event.ID{Partition: b.Partition, Seq: b.Seq, Index: c.First + uint32(i)}
				e.Tenant, e.Arrived = c.Tenant, c.Arrived
				cameThrough(e, c.Chunk, reason)
				from, to = min(from, e.Time), max(to, e.Time)
			}
		}
		if n == 0 { // all of it had come before
			p.Blocks++
			return nil
		}
		present, err := store.Present(ctx, b.Tenant, b.Partition, b.Seq, from, to)
		if err != nil {
			return err
		}
		missing := make([]event.Event, 0, n)
		for _, e := range events[:n] {
			if _, ok := present[e.ID.Index]; !ok && (reader.erased == nil || !reader.erased(&e)) {
				missing = append(missing, e)
			}
		}
		if len(missing) > 0 {
			if err := store.Append(ctx, missing); err != nil {
				return err
			}
		}
		p.Blocks++
		p.Events += int64(n)
		p.Added += int64(len(missing))
		if since += int64(len(missing)); since > 1_000_000 {
			since = 0
			if err := store.Sync(ctx); err != nil {
				return err
			}
		}
		if report != nil {
			report(p)
		}
		return nil
	})
	if syncErr := store.Sync(ctx); err == nil {
		err = syncErr
	}
	for tenant, ids := range moved {
		if eraseErr := quarantine.Erase(ctx, store, tenant, ids); err == nil {
			err = eraseErr
		}
	}
	return p, err
}
