package victorialogs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// Get implements eventstore.Store.
func (s *Store) Get(ctx context.Context, tenant uint32, id event.ID) (*event.Event, error) {
	ctx, done, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	c, err := s.nodes()
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		var found *event.Event
		err := s.run(ctx, tenant, eventstore.MinTime, eventstore.MaxTime+1, equals(colID, id.String()), "", func(db *logstorage.DataBlock) error {
			events, err := readBlock(tenant, db)
			if err == nil && len(events) > 0 {
				found = &events[0]
			}
			return err
		})
		switch {
		case err != nil:
			return nil, err
		case found != nil:
			return found, nil
		case again:
			return nil, fault.New(fault.NotFound, "there is no event %s", id)
		}
		if err := s.eachNode(ctx, c, s.flushed); err != nil { // it may be new
			return nil, err
		}
	}
}

// Present implements eventstore.Store.
func (s *Store) Present(ctx context.Context, tenant uint32, partition uint16, seq uint64, from, to int64) (map[uint32]struct{}, error) {
	c, err := s.nodes()
	if err != nil {
		return nil, err
	}
	if err := s.eachNode(ctx, c, s.flushed); err != nil {
		return nil, err
	}
	clamp := func(t int64) int64 { return min(max(t, eventstore.MinTime), eventstore.MaxTime) }
	begin := event.ID{Partition: partition, Seq: seq}.BatchPrefix()
	found := map[uint32]struct{}{}
	err = s.run(ctx, tenant, clamp(from), clamp(to)+1, form(colID, "=%q*", begin), "fields "+strconv.Quote(colID), func(db *logstorage.DataBlock) error {
		ids := db.GetColumnByName(colID)
		if ids == nil {
			return nil
		}
		for _, v := range ids.Values {
			id, err := event.ParseID(v)
			if err != nil {
				return fmt.Errorf("read the id of a row: %w", err)
			}
			if id.Partition == partition && id.Seq == seq {
				found[id.Index] = struct{}{}
			}
		}
		return nil
	})
	return found, err
}

// fieldNames returns the columns of the matching rows, with hits.
func (s *Store) fieldNames(ctx context.Context, tenant uint32, from, to int64, f filter) ([]logstorage.ValueWithHits, error) {
	c, err := s.nodes()
	if err != nil || f == none {
		return nil, err
	}
	q, err := logstorage.ParseQueryAtTimestamp(string(f), to)
	if err != nil {
		return nil, fmt.Errorf("translate the query: %w", err)
	}
	q.AddTimeFilter(from, to-1)
	var stats logstorage.QueryStats
	names, err := c.selects.GetFieldNames(logstorage.NewQueryContext(ctx, &stats, []logstorage.TenantID{{AccountID: tenant}}, q, false, nil))
	switch {
	case ctx.Err() != nil:
		return nil, s.stopped(ctx)
	case err != nil:
		return nil, unavailable(err)
	}
	return names, nil
}

// hits counts the rows of a filter.
func (s *Store) hits(ctx context.Context, tenant uint32, from, to int64, f filter) (uint64, error) {
	total := uint64(0)
	err := s.run(ctx, tenant, from, to, f, "stats count() hits", func(db *logstorage.DataBlock) error {
		return eachHit(db, func(_ int, n uint64) error {
			total += n
			return nil
		})
	})
	return total, err
}

// Fields implements eventstore.Store.
func (s *Store) Fields(ctx context.Context, r eventstore.FieldsRequest) ([]eventstore.FieldInfo, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	from, to := eventstore.Clamp(r.From, r.To)
	if from >= to {
		return nil, nil
	}
	ctx, done, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	b, _, err := s.translate(ctx, r.Tenant, from, to, r.Filter)
	if err != nil {
		return nil, err
	}
	counts := eventstore.NewFieldCounts(r)
	// Rows with fields outside of columns are counted one by one.
	columns := and(b.sure, not(present(colOver)))
	names, err := s.fieldNames(ctx, r.Tenant, from, to, columns)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, n := range names {
		if base, _ := strings.CutSuffix(n.Value, string(listMark)); !reserved(base) {
			has[n.Value] = true
		}
	}
	messages := and(columns, not(equals(colKind, kindRaw)), not(equals(colKind, kindText)))
	if counts.Wants(event.Message) {
		n, err := s.hits(ctx, r.Tenant, from, to, messages)
		if err != nil {
			return nil, err
		}
		counts.AddHits(event.Message, n)
	}
	if err := s.countColumns(ctx, r.Tenant, from, to, columns, has, counts); err != nil {
		return nil, err
	}
	if r.Values > 0 {
		for _, name := range counts.Names() {
			if name == event.Message {
				if err := s.values(ctx, r, from, to, messages, colMsg, name, counts); err != nil {
					return nil, err
				}
			}
			for _, column := range []string{name, name + string(listMark)} {
				if !has[column] {
					continue
				}
				if err := s.values(ctx, r, from, to, columns, column, name, counts); err != nil {
					return nil, err
				}
			}
		}
	}
	add := func(db *logstorage.DataBlock) error {
		events, err := readBlock(r.Tenant, db)
		for i := range events {
			counts.Add(&events[i])
		}
		return err
	}
	if err := s.run(ctx, r.Tenant, from, to, and(b.sure, present(colOver)), "", add); err != nil {
		return nil, err
	}
	if !b.exact() {
		err := s.doubtful(ctx, r.Tenant, r.Filter, b, from, to, nil, func(e *event.Event) error {
			counts.Add(e)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return counts.Result(), nil
}

// countColumns adds how many rows have each column; the engine's own numbers are
// those of whole blocks.
func (s *Store) countColumns(ctx context.Context, tenant uint32, from, to int64, f filter, has map[string]bool, counts *eventstore.FieldCounts) error {
	var wanted []string
	for column := range has {
		if counts.Wants(strings.TrimSuffix(column, string(listMark))) {
			wanted = append(wanted, column)
		}
	}
	slices.Sort(wanted)
	for chunk := range slices.Chunk(wanted, 100) {
		var pipes strings.Builder
		for i, column := range chunk {
			if i > 0 {
				pipes.WriteByte(',')
			}
			fmt.Fprintf(&pipes, "count(%q) c%d", column, i)
		}
		err := s.run(ctx, tenant, from, to, f, "stats "+pipes.String(), func(db *logstorage.DataBlock) error {
			for i, column := range chunk {
				c := db.GetColumnByName("c" + strconv.Itoa(i))
				if c == nil {
					continue
				}
				for _, v := range c.Values {
					n, err := strconv.ParseUint(v, 10, 64)
					if err != nil {
						return fmt.Errorf("read a count: %w", err)
					}
					counts.AddHits(strings.TrimSuffix(column, string(listMark)), n)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// values adds the values of a column. Single values are cut to the most
// frequent; lists are not, for their elements add up over lists.
func (s *Store) values(ctx context.Context, r eventstore.FieldsRequest, from, to int64, f filter, column, name string, counts *eventstore.FieldCounts) error {
	pipes := fmt.Sprintf("stats by (%q) count() hits", column)
	_, list := strings.CutSuffix(column, string(listMark))
	if !list {
		pipes += " | sort by (hits desc) limit " + strconv.Itoa(4*r.Values+100)
	}
	return s.run(ctx, r.Tenant, from, to, and(f, present(column)), pipes, func(db *logstorage.DataBlock) error {
		values := db.GetColumnByName(column)
		if values == nil {
			return nil
		}
		return eachHit(db, func(i int, hits uint64) error {
			v := strings.Clone(values.Values[i])
			if !list {
				counts.AddValue(name, Unmark(v), hits)
				return nil
			}
			seen := map[string]bool{}
			for _, element := range splitList(v) {
				if !seen[element] {
					seen[element] = true
					counts.AddValue(name, element, hits)
				}
			}
			return nil
		})
	})
}
