package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// accounts carry what compiled rules count into the database: what each rule costs and
// how often its exceptions hit.
//
// Tenants with the same rules share one set, and so its counters: what it costs is
// shared out by how many events came from each of them.
type accounts struct {
	rules *rule.Service
	db    *sqldb.DB
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	sets    map[*detect.Ruleset]*runningCost
	retired []*detect.Ruleset     // of them, the oldest first
	pending map[costKey]rule.Cost // not written yet
	hits    []rule.ExceptionHits  // the same
	totals  totals
}

// totals are what all rule sets counted since the process began.
type totals struct{ evaluations, matches, ignored, evicted, silenced, truncated, cut, swaps uint64 }

type runningCost struct {
	tenant     uint32            // that it was compiled for first; the only one where there are exceptions
	owner      map[string]string // document, by id or else title → rule
	costs      []cost            // counted so far, by place in Stats
	exceptions []uint64          // hits so far, by place in ExceptionStats
	limits     detect.Limits     // so far
	events     map[uint32]int64  // of the tenants, since the last minute
	retired    int               // minutes since another set took its place
}

// cost is what a rule had counted when it was looked at last.
type cost struct{ evaluations, nanos, matches, ignored, evicted uint64 }

type costKey struct {
	tenant uint32
	rule   string
	hour   int64
}

func newAccounts(rules *rule.Service, db *sqldb.DB, log *slog.Logger, now func() time.Time) *accounts {
	return &accounts{rules: rules, db: db, log: log, now: now, sets: map[*detect.Ruleset]*runningCost{}, pending: map[costKey]rule.Cost{}}
}

// open begins the account of a set that was compiled for tenant; owner tells which rule
// each document belongs to.
func (a *accounts) open(set *detect.Ruleset, tenant uint32, owner map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sets[set] = &runningCost{tenant: tenant, owner: owner, events: map[uint32]int64{}}
	a.totals.swaps++
}

// saw counts an event of a tenant, for the shares.
func (a *accounts) saw(set *detect.Ruleset, tenant uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x := a.sets[set]; x != nil {
		x.events[tenant]++
	}
}

// keepRetired is how many sets that are no longer used are looked at once more: workers
// let go of one with the next chunk of its tenant. Each holds all its rules in memory.
const keepRetired = 2

// retireAllBut closes the accounts of other sets.
func (a *accounts) retireAllBut(used map[*detect.Ruleset]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for set, x := range a.sets {
		if !used[set] && x.retired == 0 {
			x.retired = 1
			a.retired = append(a.retired, set)
		}
	}
	if n := len(a.retired) - keepRetired; n > 0 {
		a.count()
		for _, set := range a.retired[:n] {
			delete(a.sets, set)
		}
		a.retired = slices.Delete(a.retired, 0, n)
	}
}

// run writes each minute, and what is left at the end.
func (a *accounts) run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			a.write(last)
			return nil
		case <-tick.C:
			a.write(ctx)
		}
	}
}

// maxCosts bounds what one minute writes; the rest waits for the next.
const maxCosts = 20_000

// write carries over what was counted since it was called last.
func (a *accounts) write(ctx context.Context) {
	costs, hits := a.gather()
	if err := a.rules.RecordCost(ctx, a.db, costs); err != nil {
		a.log.WarnContext(ctx, "cost of rules is not written: kept for the next minute", "err", err)
		a.mu.Lock()
		for _, c := range costs {
			a.add(c)
		}
		a.mu.Unlock()
	}
	if err := a.rules.RecordExceptionHits(ctx, a.db, hits); err != nil {
		a.log.WarnContext(ctx, "hits of exceptions are not written", "err", err)
	}
}

func (a *accounts) gather() (costs []rule.Cost, hits []rule.ExceptionHits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count()
	hits, a.hits = a.hits, nil
	for set, x := range a.sets {
		if x.retired > 0 {
			if x.retired++; x.retired > 3 {
				delete(a.sets, set)
				a.retired = slices.DeleteFunc(a.retired, func(s *detect.Ruleset) bool { return s == set })
			}
		}
	}
	for key, c := range a.pending {
		if len(costs) == maxCosts {
			break
		}
		costs = append(costs, c)
		delete(a.pending, key)
	}
	return costs, hits
}

// count takes what all sets counted since the last time. The caller holds the lock.
func (a *accounts) count() {
	hour := a.now().Unix() / int64(time.Hour/time.Second)
	for set, x := range a.sets {
		a.tally(set, x, hour)
		a.tallyExceptions(set, x)
		l := set.Limits()
		a.totals.truncated += l.Truncated - x.limits.Truncated
		a.totals.cut += l.Cut - x.limits.Cut
		x.limits = l
	}
}

func (a *accounts) tally(set *detect.Ruleset, x *runningCost, hour int64) {
	if len(x.events) == 0 { // too few to be in the sample
		x.events[x.tenant] = 1
	}
	var events int64
	for _, n := range x.events {
		events += n
	}
	stats := set.Stats()
	if x.costs == nil {
		x.costs = make([]cost, len(stats))
	}
	for i := range stats {
		s, before := &stats[i], x.costs[i]
		x.costs[i] = cost{s.Evaluations, s.Nanos, s.Matches, s.Ignored, s.Evicted}
		a.totals.evaluations += s.Evaluations - before.evaluations
		a.totals.matches += s.Matches - before.matches
		a.totals.ignored += s.Ignored - before.ignored
		a.totals.evicted += s.Evicted - before.evicted
		evaluations, nanos := float64(s.Evaluations-before.evaluations), float64(s.Nanos-before.nanos)
		for tenant, n := range x.events {
			share := float64(n) / float64(events)
			a.add(rule.Cost{Tenant: tenant, RuleID: x.owner[cmp.Or(s.ID, s.Title)], Hour: hour, Evaluations: int64(evaluations*share + 0.5), Nanos: int64(nanos*share + 0.5)})
		}
	}
	clear(x.events)
}

func (a *accounts) tallyExceptions(set *detect.Ruleset, x *runningCost) {
	stats := set.ExceptionStats()
	if x.exceptions == nil {
		x.exceptions = make([]uint64, len(stats))
	}
	for i, e := range stats {
		if n := e.Hits - x.exceptions[i]; n > 0 {
			x.exceptions[i] = e.Hits
			a.totals.silenced += n
			a.hits = append(a.hits, rule.ExceptionHits{Tenant: x.tenant, ID: e.ID, Hits: int64(n), Last: e.LastEvent}) //nolint:gosec // a count of events
		}
	}
}

// add joins c to what is pending. The caller holds the lock.
func (a *accounts) add(c rule.Cost) {
	if c.Evaluations == 0 && c.Nanos == 0 || c.RuleID == "" {
		return
	}
	key := costKey{c.Tenant, c.RuleID, c.Hour}
	p := a.pending[key]
	c.Evaluations, c.Nanos = c.Evaluations+p.Evaluations, c.Nanos+p.Nanos
	a.pending[key] = c
}

// writeMetrics writes the totals in the Prometheus form.
func (a *accounts) writeMetrics(w io.Writer) {
	a.mu.Lock()
	a.count()
	t, sets := a.totals, len(a.sets)
	a.mu.Unlock()
	fmt.Fprintf(w, "kyra_detect_evaluations_total %d\nkyra_detect_matches_total %d\nkyra_detect_silenced_total %d\n", t.evaluations, t.matches, t.silenced)
	fmt.Fprintf(w, "kyra_detect_ungrouped_total %d\nkyra_detect_forgotten_groups_total %d\n", t.ignored, t.evicted)
	fmt.Fprintf(w, "kyra_detect_truncated_events_total %d\nkyra_detect_cut_events_total %d\n", t.truncated, t.cut)
	fmt.Fprintf(w, "kyra_detect_compiled_sets_total %d\nkyra_detect_sets %d\n", t.swaps, sets)
}
