package victorialogs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

// admit waits for a place among the searches and gives the search its time.
func (s *Store) admit(ctx context.Context) (context.Context, func(), error) {
	within, cancel := context.WithTimeoutCause(ctx, s.timeout, errTooLong)
	if err := s.queries.Acquire(within, 1); err != nil {
		cancel()
		return nil, nil, s.stopped(within)
	}
	return within, func() {
		s.queries.Release(1)
		cancel()
	}, nil
}

var errTooLong = errors.New("the search took too long")

// stopped returns the error for a ctx that is done: the caller's own, or that
// the time budget is used up.
func (s *Store) stopped(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errTooLong) {
		return fault.New(fault.Unavailable, "the search took longer than %v: narrow the time range, or add a field with a value", s.timeout)
	}
	return ctx.Err()
}

// run asks the nodes for rows of the tenant in from ≤ t < to; f is called for
// each block, never at the same time. What a block holds is valid only in f.
func (s *Store) run(ctx context.Context, tenant uint32, from, to int64, f filter, pipes string, each func(*logstorage.DataBlock) error) error {
	if f == none || from >= to {
		return nil
	}
	c, err := s.nodes()
	if err != nil {
		return err
	}
	// The engine leaves a row without columns where it erased the first of a block.
	text := string(and(present(colAt), f))
	if pipes == "" {
		// The engine leaves out rows whose stream it cannot name, and it cannot for
		// about a second after the first row of a stream.
		pipes = "delete _stream,_stream_id"
	}
	text += " | " + pipes
	q, err := logstorage.ParseQueryAtTimestamp(text, to)
	if err != nil {
		return fmt.Errorf("translate the query: %w", err)
	}
	q.AddTimeFilter(from, to-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var failed error
	var stats logstorage.QueryStats
	qctx := logstorage.NewQueryContext(ctx, &stats, []logstorage.TenantID{{AccountID: tenant}}, q, false, nil)
	err = c.selects.RunQuery(qctx, func(_ uint, db *logstorage.DataBlock) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil {
			return
		}
		if failed = each(db); failed != nil {
			cancel()
		}
	})
	mu.Lock()
	defer mu.Unlock()
	switch {
	case failed != nil:
		return failed
	case ctx.Err() != nil: // the engine says nothing of it and gives what it has
		return s.stopped(ctx)
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// A search is one Search at work.
type search struct {
	*Store
	eventstore.Request
	from, to int64
	bounds   bounds
	fields   []string // columns that the filter looks at; nil: all
	result   *eventstore.Result
	after    *eventstore.Position
	found    []eventstore.Position // matching rows that the engine could not decide, newest first
}

// Search implements eventstore.Store. One histogram counts everything; it also
// tells how far back the newest events reach, which are then looked for there.
func (s *Store) Search(ctx context.Context, r eventstore.Request) (*eventstore.Result, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	q := &search{Store: s, Request: r, result: &eventstore.Result{}}
	q.from, q.to = eventstore.Clamp(r.From, r.To)
	if r.Cursor != "" {
		p, err := eventstore.ParseCursor(r.Cursor)
		if err != nil {
			return nil, err
		}
		q.after = &p
	}
	if q.from >= q.to {
		return q.result, nil
	}
	ctx, done, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if q.bounds, q.fields, err = s.translate(ctx, r.Tenant, q.from, q.to, r.Filter); err != nil {
		return nil, err
	}
	step, buckets, err := q.count(ctx)
	if err != nil {
		return nil, err
	}
	if err := q.decide(ctx, step, buckets); err != nil {
		return nil, err
	}
	if r.Histogram {
		q.result.Step, q.result.Buckets = step, buckets
	}
	if r.Limit > 0 {
		if err := q.page(ctx, step, buckets); err != nil {
			return nil, err
		}
	}
	return q.result, nil
}

// translate returns the filters of a query, and the columns it looks at.
func (s *Store) translate(ctx context.Context, tenant uint32, from, to int64, n query.Node) (bounds, []string, error) {
	if n == nil {
		return exactly(all), nil, nil
	}
	fields, whole := fieldsOf(n)
	c := compiler{}
	if whole {
		names, err := s.fieldNames(ctx, tenant, from, to, all)
		if err != nil {
			return bounds{}, nil, err
		}
		for _, n := range names {
			if base := strings.TrimSuffix(n.Value, string(listMark)); !reserved(base) {
				c.names = append(c.names, base)
			}
		}
		slices.Sort(c.names)
		c.names = slices.Compact(c.names)
		fields = nil
	}
	b, err := c.compile(n)
	return b, fields, err
}

// fieldsOf returns the columns that the query looks at, and whether it looks at
// the whole event.
func fieldsOf(n query.Node) (columns []string, whole bool) {
	seen := map[string]bool{"_time": true, colID: true, colAt: true, colMsg: true, colHead: true, colKind: true, colOver: true, event.Severity: true}
	var visit func(query.Node)
	field := func(f query.Field) {
		whole = whole || f.Whole()
		for _, name := range f.Names() {
			if storable(name) {
				seen[name], seen[name+string(listMark)] = true, true
			}
		}
	}
	visit = func(n query.Node) {
		switch n := n.(type) {
		case query.And:
			for _, c := range n.Nodes {
				visit(c)
			}
		case query.Or:
			for _, c := range n.Nodes {
				visit(c)
			}
		case query.Not:
			visit(n.Node)
		case query.Equal:
			field(n.Field)
		case query.Contains:
			field(n.Field)
		case query.Wildcard:
			field(n.Field)
		case query.Exists:
			field(n.Field)
		case query.Range:
			field(n.Field)
		case query.CIDR:
			field(n.Field)
		case query.Regexp:
			field(n.Field)
		}
	}
	visit(n)
	for name := range seen {
		columns = append(columns, name)
	}
	slices.Sort(columns)
	return columns, whole
}

// count counts the rows that surely match: by time and severity where that is
// wanted or helps the page, else only their number.
func (q *search) count(ctx context.Context) (step int64, buckets []eventstore.Bucket, err error) {
	switch {
	case q.NoTotal:
		return 0, nil, nil
	case !q.Histogram && (q.Limit == 0 || q.after != nil):
		err = q.run(ctx, q.Tenant, q.from, q.to, q.bounds.sure, "stats count() hits", func(db *logstorage.DataBlock) error {
			return eachHit(db, func(_ int, hits uint64) error {
				q.result.Total += hits
				return nil
			})
		})
		return 0, nil, err
	}
	step = eventstore.Step(q.from, q.to)
	buckets = eventstore.Buckets(q.from, q.to, step)
	pipes := "stats by (_time:" + strconv.FormatInt(step, 10) + "ns, severity) count() hits"
	err = q.run(ctx, q.Tenant, q.from, q.to, q.bounds.sure, pipes, func(db *logstorage.DataBlock) error {
		times, severities := db.GetColumnByName("_time"), db.GetColumnByName(event.Severity)
		if times == nil || severities == nil {
			return errors.New("read a histogram: a column is missing")
		}
		return eachHit(db, func(i int, hits uint64) error {
			t, err := time.Parse(time.RFC3339Nano, times.Values[i])
			if err != nil {
				return fmt.Errorf("read the time of a bucket: %w", err)
			}
			q.result.Total += hits
			eventstore.Count(buckets, step, max(t.UnixNano(), q.from), severities.Values[i], hits)
			return nil
		})
	})
	return step, buckets, err
}

// eachHit calls f for the rows of a block with their column hits.
func eachHit(db *logstorage.DataBlock, f func(i int, hits uint64) error) error {
	c := db.GetColumnByName("hits")
	if c == nil {
		return errors.New("read a count: the column is missing")
	}
	for i, v := range c.Values {
		hits, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return fmt.Errorf("read a count: %w", err)
		}
		if err := f(i, hits); err != nil {
			return err
		}
	}
	return nil
}

// decide looks at the rows that the engine cannot decide about, counts those
// that match and keeps the places of the newest.
func (q *search) decide(ctx context.Context, step int64, buckets []eventstore.Bucket) error {
	if q.bounds.exact() {
		return nil
	}
	to := q.to
	if q.NoTotal && q.after != nil {
		to = min(to, q.after.Time+1)
	}
	return q.doubtful(ctx, q.Tenant, q.Filter, q.bounds, q.from, to, q.fields, func(e *event.Event) error {
		if !q.NoTotal {
			q.result.Total++
			if buckets != nil {
				eventstore.Count(buckets, step, e.Time, e.Get(event.Severity), 1)
			}
		}
		p := eventstore.Position{Time: e.Time, ID: e.ID.String()}
		if q.Limit == 0 || q.after != nil && !q.after.After(p.Time, p.ID) {
			return nil
		}
		if q.found = append(q.found, p); len(q.found) > 4*(q.Limit+1) {
			q.found = newest(q.found, q.Limit+1)
		}
		return nil
	})
}

// doubtful calls f for the rows that the engine could not decide about and that
// match.
func (s *Store) doubtful(ctx context.Context, tenant uint32, n query.Node, b bounds, from, to int64, fields []string, f func(*event.Event) error) error {
	pipes := ""
	if fields != nil {
		quoted := make([]string, len(fields))
		for i, name := range fields {
			quoted[i] = strconv.Quote(name)
		}
		pipes = "fields " + strings.Join(quoted, ",")
	}
	return s.run(ctx, tenant, from, to, b.doubt(), pipes, func(db *logstorage.DataBlock) error {
		events, err := readBlock(tenant, db)
		if err != nil {
			return err
		}
		for i := range events {
			if err := ctx.Err(); err != nil {
				return s.stopped(ctx)
			}
			if n.Match(&events[i]) {
				if err := f(&events[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// newest sorts positions, newest first, and returns the first n.
func newest(ps []eventstore.Position, n int) []eventstore.Position {
	slices.SortFunc(ps, func(a, b eventstore.Position) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), strings.Compare(b.ID, a.ID))
	})
	return ps[:min(n, len(ps))]
}

// page finds the places of the newest events and reads them.
func (q *search) page(ctx context.Context, step int64, buckets []eventstore.Bucket) error {
	want := q.Limit + 1 // one more tells whether there is a next page
	sure, err := q.places(ctx, want, step, buckets)
	if err != nil {
		return err
	}
	places := newest(append(sure, q.found...), want)
	more := len(places) > q.Limit
	if more {
		places = places[:q.Limit]
	}
	if q.result.Events, err = q.read(ctx, places); err != nil {
		return err
	}
	if n := len(q.result.Events); n > 0 && (more || n < len(places)) {
		last := &q.result.Events[n-1]
		q.result.Next = eventstore.Position{Time: last.Time, ID: last.ID.String()}.String()
	}
	return nil
}

// places returns where the newest rows are that surely match, as many as wanted.
func (q *search) places(ctx context.Context, want int, step int64, buckets []eventstore.Bucket) ([]eventstore.Position, error) {
	f, to := q.bounds.sure, q.to
	if q.after != nil {
		// Of the events at the time where the last page ended, those with
		// smaller ids are left. Ids begin with an e.
		at := q.after.Time
		to = min(to, at+1)
		done := and(filter(fmt.Sprintf("_time:[%s,%s]", stamp(at), stamp(at))), form(colID, "string_range(%q,%q)", q.after.ID, "f"))
		f = and(f, not(done))
	}
	from, err := q.reach(ctx, f, to, want, step, buckets)
	if err != nil {
		return nil, err
	}
	var places []eventstore.Position
	read := func(db *logstorage.DataBlock) error {
		times, ok := db.GetTimestamps(nil)
		ids := db.GetColumnByName(colID)
		if !ok || ids == nil {
			return errors.New("read the places of events: a column is missing")
		}
		for i, t := range times {
			places = append(places, eventstore.Position{Time: t, ID: strings.Clone(ids.Values[i])})
		}
		return nil
	}
	pipes := "fields _time," + strconv.Quote(colID) + " | sort by (_time desc) limit " + strconv.Itoa(want)
	if err := q.run(ctx, q.Tenant, from, to, f, pipes, read); err != nil {
		return nil, err
	}
	places = newest(places, want)
	if len(places) < want {
		return places, nil
	}
	// The engine took any of the events at the oldest time: take the right ones.
	oldest := places[want-1].Time
	places = slices.DeleteFunc(places, func(p eventstore.Position) bool { return p.Time == oldest })
	if err := q.run(ctx, q.Tenant, oldest, oldest+1, f, "fields _time,"+strconv.Quote(colID), read); err != nil {
		return nil, err
	}
	return newest(places, want), nil
}

// reach returns a time from which on there are at least the wanted rows before
// to, and not very many more; or the begin of the search.
func (q *search) reach(ctx context.Context, f filter, to int64, want int, step int64, buckets []eventstore.Bucket) (int64, error) {
	enough := func(from int64) (bool, error) {
		rows := 0
		err := q.run(ctx, q.Tenant, from, to, f, "fields _time | limit "+strconv.Itoa(want), func(db *logstorage.DataBlock) error {
			rows += db.RowsCount()
			return nil
		})
		return rows >= want, err
	}
	if buckets == nil || q.after != nil {
		for width := int64(time.Second); width < to-q.from; width *= 4 {
			ok, err := enough(to - width)
			if err != nil || ok {
				return to - width, err
			}
		}
		return q.from, nil
	}
	from, rows, last := q.from, uint64(0), uint64(0)
	for _, bucket := range slices.Backward(buckets) {
		last = bucket.Count
		if rows += last; rows >= uint64(want) {
			from = max(bucket.Time, q.from)
			break
		}
	}
	if last < uint64(4*want+2000) {
		return from, nil
	}
	// One bucket holds many: halve the part of it that is needed.
	for width := min(step, to-from); width > int64(time.Second); width /= 2 {
		ok, err := enough(from + width/2)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		from += width / 2
	}
	return from, nil
}

// Events are read in chunks so that a page of large ones stays in memory.
const (
	firstChunk = 200
	chunkBytes = 16 << 20
	pageBytes  = 64 << 20
)

// read returns the events at the places, newest first; fewer if they are large.
func (q *search) read(ctx context.Context, places []eventstore.Position) ([]event.Event, error) {
	events := make([]event.Event, 0, len(places))
	chunk, bytes := firstChunk, 0
	for len(places) > 0 && bytes < pageBytes {
		n := min(chunk, len(places))
		part, err := q.byID(ctx, q.Tenant, places[:n])
		if err != nil {
			return nil, err
		}
		before := bytes
		for i := range part {
			bytes += eventstore.Size(&part[i])
		}
		events = append(events, part...)
		places = places[n:]
		chunk = max(1, n*chunkBytes/max(bytes-before, 1))
		chunk = min(chunk, 2000)
	}
	return events, nil
}

// byID reads the events at the places, which are newest first.
func (s *Store) byID(ctx context.Context, tenant uint32, places []eventstore.Position) ([]event.Event, error) {
	var ids strings.Builder
	for i, p := range places {
		if i > 0 {
			ids.WriteByte(',')
		}
		ids.WriteString(strconv.Quote(p.ID))
	}
	var events []event.Event
	err := s.run(ctx, tenant, places[len(places)-1].Time, places[0].Time+1, form(colID, "in(%s)", ids.String()), "", func(db *logstorage.DataBlock) error {
		part, err := readBlock(tenant, db)
		events = append(events, part...)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(events, func(a, b event.Event) int {
		if c := cmp.Compare(b.Time, a.Time); c != 0 {
			return c
		}
		return strings.Compare(b.ID.String(), a.ID.String())
	})
	return events, nil
}
