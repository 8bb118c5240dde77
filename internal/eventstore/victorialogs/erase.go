package victorialogs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

// Erase implements eventstore.Store. The engine rewrites each part that holds
// one of the rows, of all tenants.
func (s *Store) Erase(ctx context.Context, tenant uint32, arrivedBefore int64) (int64, error) {
	c, err := s.nodes()
	if err != nil {
		return 0, err
	}
	if err := s.eachNode(ctx, c, s.flushed); err != nil {
		return 0, err
	}
	f := form(colAt, "<%q", strconv.FormatInt(ceilMicros(arrivedBefore), 10))
	return s.remove(ctx, tenant, eventstore.MinTime, eventstore.MaxTime+1, f)
}

// EraseMatching implements eventstore.Store. Rows about which the engine cannot decide
// are found by a walk and removed by their ids.
func (s *Store) EraseMatching(ctx context.Context, tenant uint32, which query.Node, from, to int64) (int64, error) {
	r := eventstore.WalkRequest{Tenant: tenant, Filter: which, From: from, To: to}
	if err := r.CheckErase(); err != nil {
		return 0, err
	}
	from, to = eventstore.Clamp(from, to)
	if from >= to {
		return 0, ctx.Err()
	}
	c, err := s.nodes()
	if err != nil {
		return 0, err
	}
	if err := s.eachNode(ctx, c, s.flushed); err != nil {
		return 0, err
	}
	b, _, err := s.translate(ctx, tenant, from, to, which)
	if err != nil {
		return 0, err
	}
	if b.exact() {
		return s.remove(ctx, tenant, from, to, b.maybe)
	}
	erased := int64(0)
	var ids []filter
	sweep := func() error {
		if len(ids) == 0 {
			return nil
		}
		n, err := s.remove(ctx, tenant, from, to, or(ids...))
		erased += n
		ids = ids[:0]
		return err
	}
	const atOnce = 1000
	err = s.Walk(ctx, r, func(events []event.Event) error {
		for i := range events {
			ids = append(ids, equals(colID, events[i].ID.String()))
		}
		if len(ids) < atOnce {
			return nil
		}
		return sweep()
	})
	if err == nil {
		err = sweep()
	}
	return erased, err
}

// remove runs the engine's delete task on the rows of f with from ≤ time < to, waits
// for its end, and counts what is gone.
func (s *Store) remove(ctx context.Context, tenant uint32, from, to int64, f filter) (int64, error) {
	c, err := s.nodes()
	if err != nil {
		return 0, err
	}
	count := func() (uint64, error) { return s.hits(ctx, tenant, from, to, f) }
	before, err := count()
	if err != nil || before == 0 {
		return 0, err
	}
	text := string(f)
	if from > eventstore.MinTime || to <= eventstore.MaxTime {
		at := func(t int64) string { return time.Unix(0, t).UTC().Format("2006-01-02T15:04:05.000000000Z") }
		text = fmt.Sprintf("_time:[%s, %s) (%s)", at(from), at(to), f)
	}
	condition, err := logstorage.ParseFilter(text)
	if err != nil {
		return 0, fmt.Errorf("translate the condition: %w", err)
	}
	now := time.Now().UnixNano()
	task := "erase-" + strconv.FormatInt(now, 36)
	if err := c.selects.DeleteRunTask(ctx, task, now, []logstorage.TenantID{{AccountID: tenant}}, condition); err != nil {
		return 0, unavailable(err)
	}
	for active := true; active; {
		tasks, err := c.selects.DeleteActiveTasks(ctx)
		if err != nil {
			return 0, unavailable(err)
		}
		active = slices.ContainsFunc(tasks, func(t *logstorage.DeleteTask) bool { return t.TaskID == task })
		if !active {
			break
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return 0, err
		}
	}
	left, err := count()
	if err != nil {
		return 0, err
	}
	if left > 0 {
		return int64(before) - int64(left), fault.New(fault.Unavailable, "%d of %d events could not be erased yet: try again", left, before)
	}
	return int64(before), nil
}
