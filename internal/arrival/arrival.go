// Package arrival reads events in the order in which they were stored, for those who hand
// all of them on: exports and forwarding. Event times tell nothing about that, since logs
// come late, nor does arrival, since a collector that was cut off says when it took them in.
// What counts is an event's place in the queue. Everything up to the base mark of its
// partition is stored and found, and nothing comes in before it any more.
//
// The raw archive knows which places hold something of a tenant and when that arrived,
// which narrows what the event store must look through.
package arrival

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Reader reads events in the order in which they were stored.
type Reader struct {
	DB        *sqldb.DB
	Archive   *archive.Archive
	Events    eventstore.Store
	Partition func(tenant uint32) int // of the queue
}

// A Stretch is what came in one after the other. The zero Stretch is empty.
type Stretch struct {
	After, To uint64 // sequences After < s ≤ To of the tenant's partition
	Records   int64  // of the archive within: there are not more events
	Last      time.Time
	arrived   []span
	partition int
}

type span struct{ from, to int64 } // nanoseconds, from ≤ t < to

// Stored returns the sequence up to which everything of the tenant is stored.
func (r *Reader) Stored(ctx context.Context, tenant uint32) (uint64, error) {
	n, err := sqldb.One(ctx, r.DB, sqldb.Value[int64], `SELECT base_seq FROM checkpoint WHERE partition_no = $1`, r.Partition(tenant))
	if errors.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read how far events are stored: %w", err)
	}
	return uint64(n), nil //nolint:gosec // sequences are not negative
}

// Begin returns the sequence behind which everything lies that arrived at t or later.
func (r *Reader) Begin(ctx context.Context, tenant uint32, t time.Time) (uint64, error) {
	upTo, err := r.Stored(ctx, tenant)
	if err != nil {
		return 0, err
	}
	after, some, err := r.Archive.Before(ctx, tenant, t)
	if err != nil {
		return 0, fmt.Errorf("find what arrived since %s: %w", t.Format(time.RFC3339), err)
	}
	if !some {
		return upTo, nil
	}
	return min(after, upTo), nil
}

// Next returns what comes after a place, up to another that is stored: with more than one
// batch not more than the given number of records.
func (r *Reader) Next(ctx context.Context, tenant uint32, after, upTo uint64, most int64) (Stretch, error) {
	s := Stretch{After: after, To: max(after, upTo), partition: r.Partition(tenant)}
	last := after
	err := r.Archive.Since(ctx, tenant, after, upTo, func(b archive.Block) bool {
		if s.Records > 0 && s.Records+int64(b.Records) > most {
			s.To = last
			return false
		}
		last = b.Seq
		s.Records += int64(b.Records)
		s.add(b.FirstArrived, b.LastArrived)
		return true
	})
	if err != nil {
		return Stretch{}, fmt.Errorf("read what was archived: %w", err)
	}
	return s, nil
}

const (
	near     = int64(time.Minute) // spans that are no further from each other are one
	maxSpans = 32                 // more are not worth a walk each
)

// add notes when something arrived. The store keeps microseconds.
func (s *Stretch) add(first, last int64) {
	if at := time.Unix(0, last).UTC(); at.After(s.Last) {
		s.Last = at
	}
	x := span{first - first%1000, last + 1}
	for i := range s.arrived {
		if have := &s.arrived[i]; x.from <= have.to+near && have.from <= x.to+near {
			*have = span{min(have.from, x.from), max(have.to, x.to)}
			return
		}
	}
	s.arrived = append(s.arrived, x)
}

// spans returns when what is in s arrived, oldest first, without overlaps.
func (s *Stretch) spans() []span {
	slices.SortFunc(s.arrived, func(a, b span) int { return int(max(-1, min(1, a.from-b.from))) })
	var out []span
	for _, x := range s.arrived {
		if n := len(out); n > 0 && x.from <= out[n-1].to+near {
			out[n-1].to = max(out[n-1].to, x.to)
			continue
		}
		out = append(out, x)
	}
	if len(out) > maxSpans {
		out = []span{{out[0].from, out[len(out)-1].to}}
	}
	return out
}

// Walk calls f with the events of a stretch that match the filter, nil for all, batch by
// batch: each once, oldest first among those that arrived together.
func (r *Reader) Walk(ctx context.Context, tenant uint32, s Stretch, filter query.Node, f func([]event.Event) error) error {
	if s.Records == 0 {
		return nil
	}
	for _, x := range s.spans() {
		days, err := r.days(ctx, x.from)
		if err != nil {
			return err
		}
		nodes := []query.Node{
			query.Span{Field: query.NewField(event.IngestTime), From: x.from, To: x.to},
			query.Regexp{Field: query.NewField(event.EventID), Re: s.ids()},
		}
		if filter != nil {
			nodes = append(nodes, filter)
		}
		for _, d := range days {
			err := r.Events.Walk(ctx, eventstore.WalkRequest{Tenant: tenant, Filter: query.And{Nodes: nodes}, From: d.from, To: d.to}, f)
			if err != nil {
				return fmt.Errorf("read events in the order of their arrival: %w", err)
			}
		}
	}
	return nil
}

// days returns the spans of event time in which there is something that arrived since.
func (r *Reader) days(ctx context.Context, since int64) ([]span, error) {
	list, err := sqldb.All(ctx, r.DB, sqldb.Value[int64], `SELECT day_no FROM event_day WHERE last_arrival >= $1 ORDER BY day_no`, since/1000)
	if err != nil {
		return nil, fmt.Errorf("read the days of events: %w", err)
	}
	const day = int64(24 * time.Hour)
	var out []span
	for _, d := range list {
		x := span{d * day, (d + 1) * day}
		if n := len(out); n > 0 && out[n-1].to == x.from {
			out[n-1].to = x.to
			continue
		}
		out = append(out, x)
	}
	return out, nil
}

// ids is an expression for the ids of the events of a stretch.
func (s *Stretch) ids() *regexp.Regexp {
	head, _, _ := strings.Cut(event.ID{Partition: uint16(s.partition)}.BatchPrefix(), "-") //nolint:gosec // partitions are few
	return regexp.MustCompile("^" + head + "-(" + strings.Join(hexRange(s.After+1, s.To), "|") + ")-")
}

// hexRange returns expressions for the numbers from ≤ n ≤ to, written with twelve
// hexadecimal digits.
func hexRange(from, to uint64) (parts []string) {
	const digits, base = 12, 16
	to = min(to, 1<<(4*digits)-1)
	for from <= to {
		// The largest block of numbers that share their leading digits, begins at from and
		// ends within to: then as many such blocks as differ in one digit only.
		free, size := 0, uint64(1)
		for free < digits-1 && from%(size*base) == 0 && to-from >= size*base-1 {
			free, size = free+1, size*base
		}
		first := from / size % base
		n := min((to-from+1)/size, base-first)
		text := fmt.Sprintf("%012x", from)
		part := text[:digits-free-1]
		if n == 1 {
			part += text[digits-free-1 : digits-free]
		} else {
			part += fmt.Sprintf("[%s]", "0123456789abcdef"[first:first+n])
		}
		if free > 0 {
			part += fmt.Sprintf("[0-9a-f]{%d}", free)
		}
		parts = append(parts, part)
		if math.MaxUint64-from < n*size {
			break
		}
		from += n * size
	}
	return parts
}
