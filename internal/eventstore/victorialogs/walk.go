package victorialogs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
)

// Bounds of what a walk holds at a time. A stretch of time that is read at once has
// at most walkRows events, unless they came between counting and reading.
const (
	walkRows  = 10_000
	walkBytes = 64 << 20
)

// A walk is one Walk at work. Each of its queries takes a place among the searches
// and gives it back, so that a walk of hours stands in nobody's way.
type walk struct {
	*Store
	eventstore.WalkRequest
	bounds bounds
	give   func([]event.Event) error
}

// Walk implements eventstore.Store. The engine cannot sort more than it can hold:
// counts by time tell how far to read at once.
func (s *Store) Walk(ctx context.Context, r eventstore.WalkRequest, f func([]event.Event) error) error {
	if err := r.Check(); err != nil {
		return err
	}
	from, to := eventstore.Clamp(r.From, r.To)
	if from >= to {
		return ctx.Err()
	}
	w := &walk{Store: s, WalkRequest: r, give: f}
	err := w.turn(ctx, func(ctx context.Context) error {
		var err error
		w.bounds, _, err = s.translate(ctx, r.Tenant, from, to, r.Filter)
		return err
	})
	if err != nil {
		return err
	}
	return w.stretch(ctx, from, to)
}

// turn runs one query in its turn and time.
func (w *walk) turn(ctx context.Context, query func(context.Context) error) error {
	ctx, done, err := w.admit(ctx)
	if err != nil {
		return err
	}
	defer done()
	return query(ctx)
}

// stretch gives the events of from ≤ t < to.
func (w *walk) stretch(ctx context.Context, from, to int64) error {
	step := eventstore.Step(from, to)
	buckets, err := w.counts(ctx, from, to, step)
	if err != nil {
		return err
	}
	begin, rows := from, uint64(0)
	for _, b := range buckets {
		at, end := max(b.Time, from), min(b.Time+step, to)
		switch {
		case b.Count == 0:
			continue
		case b.Count > walkRows && end-at < to-from: // it is narrower: go into it
			if err := w.read(ctx, begin, at, rows); err != nil {
				return err
			}
			if err := w.stretch(ctx, at, end); err != nil {
				return err
			}
			begin, rows = end, 0
		case rows+b.Count > walkRows:
			if err := w.read(ctx, begin, at, rows); err != nil {
				return err
			}
			begin, rows = at, b.Count
		default:
			rows += b.Count
		}
	}
	return w.read(ctx, begin, to, rows)
}

// counts returns how many rows may match, by time.
func (w *walk) counts(ctx context.Context, from, to, step int64) ([]eventstore.Bucket, error) {
	buckets := eventstore.Buckets(from, to, step)
	pipes := "stats by (_time:" + strconv.FormatInt(step, 10) + "ns) count() hits"
	err := w.turn(ctx, func(ctx context.Context) error {
		return w.run(ctx, w.Tenant, from, to, w.bounds.maybe, pipes, func(db *logstorage.DataBlock) error {
			times := db.GetColumnByName("_time")
			if times == nil {
				return errors.New("count events by time: a column is missing")
			}
			return eachHit(db, func(i int, hits uint64) error {
				t, err := time.Parse(time.RFC3339Nano, times.Values[i])
				if err != nil {
					return fmt.Errorf("read the time of a bucket: %w", err)
				}
				buckets[(eventstore.Floor(max(t.UnixNano(), from), step)-buckets[0].Time)/step].Count += hits
				return nil
			})
		})
	})
	return buckets, err
}

var errLarge = errors.New("the events of a stretch are too large to be held at a time")

// read gives the events of from ≤ t < to, which are about as many as said.
func (w *walk) read(ctx context.Context, from, to int64, rows uint64) error {
	if rows == 0 {
		return nil
	}
	if to-from == 1 && rows > walkRows {
		return w.instant(ctx, from)
	}
	events := make([]event.Event, 0, min(rows, walkRows))
	bytes := 0
	err := w.turn(ctx, func(ctx context.Context) error {
		return w.run(ctx, w.Tenant, from, to, w.bounds.maybe, "", func(db *logstorage.DataBlock) error {
			part, err := readBlock(w.Tenant, db)
			if err != nil {
				return err
			}
			for i := range part {
				if bytes += eventstore.Size(&part[i]); bytes > walkBytes && len(events) > 0 {
					return errLarge
				}
				events = append(events, part[i])
			}
			return nil
		})
	})
	switch {
	case err == nil:
		slices.SortFunc(events, oldestFirst)
		return w.hand(ctx, events)
	case !errors.Is(err, errLarge):
		return err
	case to-from == 1:
		return w.instant(ctx, from)
	}
	middle := from + (to-from)/2
	if err := w.read(ctx, from, middle, rows); err != nil {
		return err
	}
	return w.read(ctx, middle, to, rows)
}

func oldestFirst(a, b event.Event) int {
	if a.Time != b.Time {
		return cmp.Compare(a.Time, b.Time)
	}
	return strings.Compare(a.ID.String(), b.ID.String()) // dear: only where it decides
}

// instant gives the events of one nanosecond, of which there are too many: first
// their ids, then a few of them at a time.
func (w *walk) instant(ctx context.Context, at int64) error {
	var places []eventstore.Position
	err := w.turn(ctx, func(ctx context.Context) error {
		return w.run(ctx, w.Tenant, at, at+1, w.bounds.maybe, "fields "+strconv.Quote(colID), func(db *logstorage.DataBlock) error {
			ids := db.GetColumnByName(colID)
			if ids == nil {
				return errors.New("read the ids of events: the column is missing")
			}
			for _, id := range ids.Values {
				places = append(places, eventstore.Position{Time: at, ID: strings.Clone(id)})
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	slices.SortFunc(places, func(a, b eventstore.Position) int { return strings.Compare(a.ID, b.ID) })
	const most = 2000
	for chunk := 1; len(places) > 0; {
		n := min(chunk, len(places))
		var events []event.Event
		err := w.turn(ctx, func(ctx context.Context) error {
			var err error
			events, err = w.byID(ctx, w.Tenant, places[:n])
			return err
		})
		if err != nil {
			return err
		}
		bytes := 0
		for i := range events {
			bytes += eventstore.Size(&events[i])
		}
		slices.Reverse(events) // byID has the newest first
		if err := w.hand(ctx, events); err != nil {
			return err
		}
		places = places[n:]
		chunk = min(most, 4*n, max(1, n*chunkBytes/max(bytes, 1)))
	}
	return nil
}

// hand gives those of the events that match.
func (w *walk) hand(ctx context.Context, events []event.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !w.bounds.exact() {
		events = slices.DeleteFunc(events, func(e event.Event) bool { return !w.Filter.Match(&e) })
	}
	if len(events) == 0 {
		return nil
	}
	return w.give(events)
}
