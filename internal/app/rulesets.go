package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/canary"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// rulesets holds the compiled rules of each tenant and keeps them up to date: they are
// compiled anew, aside, when they change, and when the traffic that they are compiled
// for may have changed; then the new set takes the place of the old one at once.
// Findings do not depend on the traffic that was looked at, only their cost does.
type rulesets struct {
	rules *rule.Service
	lists listsFunc // nil: there are none
	log   *slog.Logger
	books *accounts
	now   func() time.Time

	mu       sync.RWMutex
	tenants  map[uint32]*tenantRules
	shared   map[string]*ruleset // by the identity of the rules in it: most tenants have the same
	compiles sync.Mutex          // one at a time
}

// A listsFunc returns the values of a tenant's lists, for placeholders in rules.
type listsFunc func(ctx context.Context, tenant uint32) (map[string][]string, error)

type tenantRules struct {
	*ruleset
	generation uint64
}

// A ruleset is what tenants with the same rules share.
type ruleset struct {
	sample   *sample
	compiled atomic.Pointer[compiled]
}

type compiled struct {
	set      *detect.Ruleset
	problems map[string]string // id of the rule → why it is left out
	at       time.Time
	sampled  int // events that it was compiled for
}

func newRulesets(rules *rule.Service, lists listsFunc, books *accounts, log *slog.Logger, now func() time.Time) *rulesets {
	return &rulesets{rules: rules, lists: lists, log: log, books: books, now: now, tenants: map[uint32]*tenantRules{}, shared: map[string]*ruleset{}}
}

// get returns the tenant's compiled rules; the first call for a tenant compiles them.
func (r *rulesets) get(ctx context.Context, tenant uint32) (*detect.Ruleset, error) {
	if t := r.of(tenant); t != nil {
		return t.compiled.Load().set, nil
	}
	t, err := r.load(ctx, tenant, false)
	if err != nil {
		return nil, err
	}
	return t.compiled.Load().set, nil
}

func (r *rulesets) of(tenant uint32) *tenantRules {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.tenants[tenant]
}

// observe may keep e for the next compilation.
func (r *rulesets) observe(e *event.Event) {
	if t := r.of(e.Tenant); t != nil {
		t.sample.add(e)
		r.books.saw(t.compiled.Load().set, e.Tenant)
	}
}

// leftOut counts the rules that are left out, once where tenants share them.
func (r *rulesets) leftOut() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := 0
	for _, s := range r.shared {
		n += len(s.compiled.Load().problems)
	}
	return n
}

// Problems tells which of the tenant's running rules are left out or without one of
// their exceptions, and why.
func (r *rulesets) Problems(tenant uint32) map[string]string {
	if t := r.of(tenant); t != nil {
		return t.compiled.Load().problems
	}
	return nil
}

// When rules are compiled anew though they have not changed.
const (
	firstSample = 2 * time.Minute // after the first compilation, once there is a sample
	nextSample  = time.Hour
	minSample   = 200 // events that tell anything about rarity
)

// run looks for changed rules each second until ctx is done.
func (r *rulesets) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.refresh(ctx)
		}
	}
}

// refresh compiles what has changed, and at most one set for the sake of its sample.
func (r *rulesets) refresh(ctx context.Context) {
	r.mu.RLock()
	known := maps.Clone(r.tenants)
	r.mu.RUnlock()
	stale, found := uint32(0), false
	for t, c := range known {
		now, err := r.rules.Generation(ctx, t)
		switch {
		case err == nil && now != c.generation:
			err = r.aside(ctx, t, false)
		case err == nil && !found && r.stale(c.ruleset):
			stale, found = t, true
		}
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "changed rules cannot be read: the old ones stay", "tenant", t, "err", err)
		}
	}
	if found {
		if err := r.aside(ctx, stale, true); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "rules cannot be compiled for what arrives: the old ones stay", "tenant", stale, "err", err)
		}
	}
}

func (r *rulesets) stale(s *ruleset) bool {
	c, age := s.compiled.Load(), firstSample
	if c.sampled >= minSample {
		age = nextSample
	}
	return r.now().Sub(c.at) >= age && s.sample.len() >= minSample
}

// aside is load at low priority: what is compiled is not urgent, and what arrives is.
func (r *rulesets) aside(ctx context.Context, tenant uint32, again bool) error {
	done := make(chan error, 1)
	go func() {
		lowPriority()
		_, err := r.load(ctx, tenant, again)
		done <- err
	}()
	return <-done
}

// wanted is what is active for a tenant.
type wanted struct {
	active     []rule.Active
	lists      map[string][]string
	generation uint64
	identity   string
}

func (r *rulesets) wanted(ctx context.Context, tenant uint32) (w wanted, err error) {
	if w.active, w.generation, err = r.rules.Active(ctx, tenant); err != nil {
		return w, err
	}
	if r.lists != nil {
		if w.lists, err = r.lists(ctx, tenant); err != nil {
			return w, err
		}
	}
	if w.identity = identityOf(w.active, tenant); len(w.lists) > 0 {
		w.identity += fmt.Sprintf(" lists/%d/%d", tenant, w.generation)
	}
	return w, nil
}

// load compiles what is active, unless another tenant has the same and again is not
// asked for, and swaps it in.
func (r *rulesets) load(ctx context.Context, tenant uint32, again bool) (*tenantRules, error) {
	w, err := r.wanted(ctx, tenant)
	if err != nil {
		return nil, err
	}
	// Before the turn to compile: a tenant whose rules are there must not wait for those
	// of another.
	if t := r.attach(tenant, &w, nil); t != nil && !again {
		return t, nil
	}
	r.compiles.Lock()
	defer r.compiles.Unlock()
	if t := r.attach(tenant, &w, nil); t != nil && !again {
		return t, nil
	}
	r.mu.RLock()
	s, before := r.shared[w.identity], r.tenants[tenant]
	r.mu.RUnlock()
	traffic := newSample()
	switch {
	case s != nil:
		traffic = s.sample
	case before != nil: // what arrives has not changed with the rules
		traffic = before.sample
	}
	c := r.compile(ctx, tenant, &w, traffic.events())
	if s == nil {
		s = &ruleset{sample: traffic}
	}
	s.compiled.Store(c)
	return r.attach(tenant, &w, s), nil
}

// attach lets the tenant have the shared set of what it wants, which is s unless that
// is nil; nil where there is none.
func (r *rulesets) attach(tenant uint32, w *wanted, s *ruleset) *tenantRules {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s == nil {
		if s = r.shared[w.identity]; s == nil {
			return nil
		}
	}
	t := &tenantRules{s, w.generation}
	r.tenants[tenant], r.shared[w.identity] = t, s
	used := map[*ruleset]bool{}
	inUse := map[*detect.Ruleset]bool{}
	for _, c := range r.tenants {
		used[c.ruleset] = true
		inUse[c.compiled.Load().set] = true
	}
	for name, s := range r.shared {
		if !used[s] {
			delete(r.shared, name)
		}
	}
	r.books.retireAllBut(inUse)
	return t
}

// identityOf is the same for tenants whose rules are the same.
func identityOf(active []rule.Active, tenant uint32) string {
	names := make([]string, len(active))
	for i := range active {
		names[i] = active[i].Identity(tenant)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (r *rulesets) compile(ctx context.Context, tenant uint32, w *wanted, traffic []event.Event) *compiled {
	began := time.Now()
	list, owners, problems := documentsOf(w.active)
	for id, reason := range problems { // it was checked when it was saved: an older version took it
		r.log.ErrorContext(ctx, "rule cannot be read: left out", "rule", id, "err", reason)
	}
	list, owners = append(list, canaryRule()), append(owners, canary.RuleID)
	set, left := detect.Options{Lists: w.lists, Sample: traffic}.Compile(list)
	for _, p := range left {
		if p.Kind == detect.NeedsList {
			continue // it is shown as blind, with the list that it needs
		}
		r.log.WarnContext(ctx, "rule is left out", "rule", p.Rule, "reason", p.Message)
		if id := owners[p.Index]; problems[id] == "" {
			problems[id] = p.Message
		}
	}
	owner := map[string]string{}
	for i := range list {
		owner[cmp.Or(list[i].Document.ID, list[i].Document.Title)] = owners[i]
	}
	r.books.open(set, tenant, owner)
	r.log.DebugContext(ctx, "rules are compiled", "rules", set.Rules(), "log_sources", set.Groups(), "sample", len(traffic), "took", time.Since(began).Round(time.Millisecond))
	return &compiled{set: set, problems: problems, at: r.now(), sampled: len(traffic)}
}

// canaryRule runs beside the rules of every tenant.
var canaryRule = sync.OnceValue(func() detect.Rule {
	docs, err := sigma.Parse([]byte(canary.Rule))
	if err != nil || len(docs) != 1 {
		panic(fmt.Sprintf("the canary's rule cannot be read: %v", err)) // it is part of the program, and tested
	}
	return detect.Rule{Document: docs[0], Version: 1, Origin: "builtin"}
})

// documentsOf reads rules as they run for a tenant. owners holds the id of the rule that
// each document belongs to, problems why rules cannot be read.
func documentsOf(active []rule.Active) (list []detect.Rule, owners []string, problems map[string]string) {
	problems = map[string]string{}
	for i := range active {
		a := &active[i]
		docs, err := sigma.Parse([]byte(a.YAML))
		if err != nil {
			problems[a.ID] = err.Error()
			continue
		}
		exceptions, err := exceptionsOf(a)
		if err != nil {
			problems[a.ID] = err.Error()
		}
		// A text without an id has one in the catalogue, by which its alerts name it.
		if main := sigma.Main(docs); main.ID == "" {
			main.ID = a.ID
		}
		plain := slices.ContainsFunc(docs, func(d *sigma.Document) bool { return d.Correlation == nil })
		for _, d := range docs {
			d.License = cmp.Or(d.License, a.License)
			if a.SeverityOverride != "" {
				d.Level = a.SeverityOverride
			}
			r := detect.Rule{Document: d, Version: a.Version, Staged: a.Staged, Origin: a.Origin}
			// What an exception takes away from the rules that a correlation counts it
			// takes away from the correlation.
			if d.Correlation == nil || !plain {
				r.Exceptions = exceptions
			}
			list, owners = append(list, r), append(owners, a.ID)
		}
	}
	return list, owners, problems
}

func exceptionsOf(a *rule.Active) ([]detect.Exception, error) {
	var list []detect.Exception
	for i := range a.Exceptions {
		x := &a.Exceptions[i]
		docs, err := sigma.Parse([]byte(x.YAML))
		if err != nil || len(docs) != 1 || docs[0].Filter == nil {
			return list, fmt.Errorf("its exception %s does nothing: it is no Sigma filter: %w", x.ID, err)
		}
		e := detect.Exception{ID: x.ID, Filter: docs[0]}
		if !x.Until.IsZero() {
			e.Until = x.Until.UnixNano()
		}
		list = append(list, e)
	}
	return list, nil
}
