package victorialogs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// Sync implements eventstore.Store.
//
// The engine has no call for it. On a node whose folder is here, a snapshot
// writes every part in memory to disk but those that are being merged, so it is
// done twice: once beside appends, for the bulk, and then again and again
// without appends until the node says that nothing is in memory. Snapshots are
// removed at once. Elsewhere snapshots would pile up; there Sync waits for twice
// the flush interval, the longest that rows were seen to stay in memory, and
// checks that the node is still the same process.
func (s *Store) Sync(ctx context.Context) error {
	c, err := s.nodes()
	if err != nil {
		return err
	}
	days := s.takeDays()
	if err := s.sync(ctx, c, days); err != nil {
		s.giveDays(days)
		return err
	}
	return nil
}

func (s *Store) sync(ctx context.Context, c *cluster, days []string) error {
	epoch := s.Epoch()
	err := s.eachNode(ctx, c, func(ctx context.Context, n *node) error {
		if err := s.sameProcess(ctx, n); err != nil {
			return err
		}
		if n.Dir == "" {
			return s.outwait(ctx, n)
		}
		return s.snapshot(ctx, n, days)
	})
	if err != nil {
		return err
	}
	local := func(f func(ctx context.Context, n *node) error) error {
		return s.eachNode(ctx, c, func(ctx context.Context, n *node) error {
			if n.Dir == "" {
				return nil
			}
			return f(ctx, n)
		})
	}
	if err := local(s.settled); err != nil {
		s.gate.Lock()
		late := s.takeDays()
		err := local(func(ctx context.Context, n *node) error { return s.settle(ctx, n, append(late, days...)) })
		s.gate.Unlock()
		if err != nil {
			s.giveDays(late)
			return err
		}
	}
	if err := s.eachNode(ctx, c, s.sameProcess); err != nil {
		return err
	}
	if s.Epoch() != epoch {
		return fault.New(fault.Unavailable, "the event store was started again")
	}
	return nil
}

// takeDays returns the days with rows that may be unsynced, and forgets them.
func (s *Store) takeDays() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var days []string
	for d := range s.days {
		days = append(days, time.Unix(0, d*day).UTC().Format("20060102"))
	}
	clear(s.days)
	return days
}

func (s *Store) giveDays(days []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range days {
		if t, err := time.Parse("20060102", d); err == nil {
			s.days[t.Unix()/(24*60*60)] = struct{}{}
		}
	}
}

func (s *Store) eachNode(ctx context.Context, c *cluster, f func(ctx context.Context, n *node) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		group.Go(func() error { return f(ctx, n) })
	}
	return group.Wait()
}

// flushed makes what was appended searchable.
func (s *Store) flushed(ctx context.Context, n *node) error {
	_, err := s.call(ctx, n, http.MethodGet, "/internal/force_flush", nil, "")
	return err
}

// snapshot writes what is in memory of the days to disk.
func (s *Store) snapshot(ctx context.Context, n *node, days []string) error {
	if err := s.flushed(ctx, n); err != nil {
		return err
	}
	list, err := s.partitions(ctx, n)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, d := range list {
		has[d] = true
	}
	for _, d := range days {
		if !has[d] {
			continue // all of its rows are on other nodes, or it was dropped
		}
		answer, err := s.call(ctx, n, http.MethodGet, "/internal/partition/snapshot/create?name="+d, nil, "")
		if err != nil {
			return err
		}
		var path string
		if err := json.Unmarshal(answer, &path); err != nil {
			return fmt.Errorf("read the name of a snapshot: %w", err)
		}
		// The name is the node's word: nothing else must be removed by it.
		within := filepath.Join(n.Dir, "partitions", d, "snapshots")
		if err := os.RemoveAll(filepath.Join(within, filepath.Base(path))); err != nil {
			return fmt.Errorf("remove a snapshot: %w", err)
		}
	}
	return nil
}

var errUnsettled = errors.New("rows are in memory")

// presentNumbers is a page of our own child: what /metrics says, as it is now. The
// engine's own page is up to a second old, and appends would wait for as long.
const presentNumbers = "/internal/kyra/numbers"

// settled returns nil if the node, a child of ours, has no rows in memory.
func (s *Store) settled(ctx context.Context, n *node) error {
	m, err := s.numbers(ctx, n, presentNumbers)
	if err != nil {
		return err
	}
	if m[`vl_pending_rows{type="storage"}`] > 0 || m[`vl_storage_rows{type="storage/inmemory"}`] > 0 {
		return errUnsettled
	}
	return nil
}

// settle takes snapshots until the node is settled. Nothing must be appended
// meanwhile.
func (s *Store) settle(ctx context.Context, n *node, days []string) error {
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if err := s.snapshot(ctx, n, days); err != nil {
			return err
		}
		if err := s.settled(ctx, n); !errors.Is(err, errUnsettled) {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (s *Store) outwait(ctx context.Context, n *node) error {
	if err := s.flushed(ctx, n); err != nil {
		return err
	}
	return pause(ctx, 2*s.flush+time.Second)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// sameProcess returns an error, once, if the node was started again since it
// was last asked, and changes the epoch.
func (s *Store) sameProcess(ctx context.Context, n *node) error {
	m, err := s.numbers(ctx, n, "/metrics")
	if err != nil {
		return err
	}
	start := uint64(m["vm_app_start_timestamp"])
	if before := n.start.Swap(start); before != 0 && before != start {
		s.lost()
		return fault.New(fault.Unavailable, "the event store was started again")
	}
	return nil
}

// numbers returns the numbers of a node's page by their names with labels; those of
// /metrics are up to a second old.
func (s *Store) numbers(ctx context.Context, n *node, path string) (map[string]float64, error) {
	page, err := s.call(ctx, n, http.MethodGet, path, nil, "")
	if err != nil {
		return nil, err
	}
	m := map[string]float64{}
	for line := range bytes.Lines(page) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), "} ")
		if ok {
			name += "}"
		} else if name, value, ok = strings.Cut(strings.TrimSpace(string(line)), " "); !ok {
			continue
		}
		if strings.HasPrefix(name, "vl_") || strings.HasPrefix(name, "vm_app_") {
			if x, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				m[name] = x
			}
		}
	}
	return m, nil
}

func (s *Store) partitions(ctx context.Context, n *node) ([]string, error) {
	answer, err := s.call(ctx, n, http.MethodGet, "/internal/partition/list", nil, "")
	if err != nil {
		return nil, err
	}
	var days []string
	if err := json.Unmarshal(answer, &days); err != nil {
		return nil, fmt.Errorf("read the list of days: %w", err)
	}
	return days, nil
}

// DropDay implements eventstore.Store. On nodes elsewhere the day is detached
// and its folder stays, which is logged: their operator removes it.
func (s *Store) DropDay(ctx context.Context, day string) error {
	if _, err := time.Parse("20060102", day); err != nil {
		return fault.New(fault.Invalid, "a day is YYYYMMDD, not %q", day).In("day")
	}
	c, err := s.nodes()
	if err != nil {
		return err
	}
	s.gate.Lock() // the engine drops rows of a day that is detached and not yet removed
	defer s.gate.Unlock()
	return s.eachNode(ctx, c, func(ctx context.Context, n *node) error {
		days, err := s.partitions(ctx, n)
		if err != nil {
			return err
		}
		attached := false
		for _, d := range days {
			attached = attached || d == day
		}
		if attached {
			if _, err := s.call(ctx, n, http.MethodGet, "/internal/partition/detach?name="+day, nil, ""); err != nil {
				return err
			}
		}
		if n.Dir == "" {
			if attached {
				s.log.WarnContext(ctx, "a dropped day's folder is left on an external node", "node", n.Addr, "day", day)
			}
			return nil
		}
		if err := os.RemoveAll(filepath.Join(n.Dir, "partitions", day)); err != nil {
			return fmt.Errorf("remove the day %s: %w", day, err)
		}
		return nil
	})
}

// Usage implements eventstore.Store.
func (s *Store) Usage(ctx context.Context) (eventstore.Usage, error) {
	c, err := s.nodes()
	if err != nil {
		return eventstore.Usage{}, err
	}
	var u eventstore.Usage
	seen := map[string]bool{}
	for _, n := range c.nodes {
		page := "/metrics"
		if n.Dir != "" {
			page = presentNumbers
		}
		m, err := s.numbers(ctx, n, page)
		if err != nil {
			return u, err
		}
		for name, x := range m {
			switch {
			case strings.HasPrefix(name, `vl_storage_rows{`) || name == `vl_pending_rows{type="storage"}`:
				u.Rows += uint64(x)
			case strings.HasPrefix(name, `vl_data_size_bytes{`):
				u.Bytes += uint64(x)
			}
		}
		days, err := s.partitions(ctx, n)
		if err != nil {
			return u, err
		}
		for _, d := range days {
			if !seen[d] {
				seen[d] = true
				u.Days = append(u.Days, d)
			}
		}
	}
	slices.Sort(u.Days)
	return u, nil
}
