package privacy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
	"github.com/kyra-mdr/kyra/internal/mask"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A policy is a tenant's rules made ready.
type policy struct {
	rules  []mask.Rule
	scopes []scope
	key    []byte
	whole  *mask.Set // where no rule has a scope; nil otherwise
	parses bool      // fields or scopes need a parser

	mu     sync.Mutex // guards what follows
	parse  ParseFunc
	sets   map[uint64]*mask.Set // by the rules that are for a record
	fields []event.Field
}

func newPolicy(rules []Draft, key []byte, parse ParseFunc) (*policy, error) {
	p := &policy{key: key, parse: parse, sets: map[uint64]*mask.Set{}}
	scoped := false
	for i := range rules {
		d := &rules[i]
		p.rules, p.scopes = append(p.rules, d.Rule), append(p.scopes, d.scope())
		scoped = scoped || !p.scopes[i].all()
		p.parses = p.parses || len(d.Fields) > 0
	}
	all, err := mask.Compile(p.rules, key)
	if err != nil {
		return nil, err
	}
	if !scoped {
		p.whole = all
	}
	p.parses = p.parses || scoped
	return p, nil
}

// apply masks record i of c.
func (p *policy) apply(ctx context.Context, c *queue.Chunk, i int) (string, mask.Found, error) {
	if !p.parses {
		text, found := p.whole.Apply(c.Records[i], nil)
		return text, found, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fields = p.fields[:0]
	sources, hosts := [2]string{c.Source}, [2]string{c.Peer}
	err := p.parse(ctx, c, i, func(name, value string) {
		switch name {
		case event.Source:
			sources[1] = value
		case event.Host:
			hosts[1] = value
		}
		p.fields = append(p.fields, event.Field{Name: name, Value: value})
	})
	if err != nil {
		return "", mask.Found{}, err
	}
	set := p.whole
	if set == nil {
		set = p.set(sources, hosts)
	}
	if set == nil {
		return c.Records[i], mask.Found{}, nil
	}
	text, found := set.Apply(c.Records[i], func(yield func(name, value string)) {
		for _, f := range p.fields {
			yield(f.Name, f.Value)
		}
	})
	return text, found, nil
}

// set returns the rules that are for a record, nil where none is.
func (p *policy) set(sources, hosts [2]string) *mask.Set {
	var which uint64
	for i := range p.scopes {
		if p.scopes[i].takes(sources, hosts) {
			which |= 1 << i
		}
	}
	if which == 0 {
		return nil
	}
	if s := p.sets[which]; s != nil {
		return s
	}
	var rules []mask.Rule
	for i := range p.rules {
		if which&(1<<i) != 0 {
			rules = append(rules, p.rules[i])
		}
	}
	s, err := mask.Compile(rules, p.key)
	if err != nil { // newPolicy has compiled all of them
		return p.whole
	}
	if len(p.sets) >= 1024 {
		clear(p.sets)
	}
	p.sets[which] = s
	return s
}

// Load reads every tenant's rules where they have changed.
func (s *Service) Load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	var rules []Rule
	keys := map[uint32][]byte{}
	var generation int64
	changed := false
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		generation, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT CAST(COALESCE(sum(generation), 0) AS BIGINT) FROM masking_tenant`)
		if err != nil || generation == s.loaded {
			return err
		}
		changed = true
		if rules, err = sqldb.All(ctx, tx, scan, columns+` WHERE enabled ORDER BY tenant, id`); err != nil {
			return err
		}
		for i := range rules {
			if t := rules[i].Tenant; keys[t] == nil {
				if keys[t], err = s.key(ctx, tx, t); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load masking rules: %w", err)
	}
	if !changed {
		return nil
	}
	drafts := map[uint32][]Draft{}
	for i := range rules {
		drafts[rules[i].Tenant] = append(drafts[rules[i].Tenant], rules[i].Draft)
	}
	policies := make(map[uint32]*policy, len(drafts))
	for tenant, list := range drafts {
		if policies[tenant], err = newPolicy(list, keys[tenant], s.newParser()); err != nil {
			return fmt.Errorf("masking rules of tenant %d: %w", tenant, err)
		}
	}
	s.policies.Store(&policies)
	s.loaded = generation
	return nil
}

// Guard returns append that masks before. What is counted is what append took.
func (s *Service) Guard(next func(context.Context, *queue.Chunk) error) func(context.Context, *queue.Chunk) error {
	return func(ctx context.Context, c *queue.Chunk) error {
		p := (*s.policies.Load())[c.Tenant]
		if p == nil {
			return next(ctx, c)
		}
		masked, found, err := p.chunk(ctx, c)
		if err != nil {
			return fault.New(fault.Unavailable, "records cannot be masked now, and are not kept unmasked: send them again").Because(err)
		}
		if err := next(ctx, masked); err != nil {
			return err
		}
		s.count(c.Tenant, &found)
		return nil
	}
}

// chunk returns c masked: c itself where there was nothing, else another one.
func (p *policy) chunk(ctx context.Context, c *queue.Chunk) (*queue.Chunk, mask.Found, error) {
	var all mask.Found
	out := c
	for i := range c.Records {
		text, found, err := p.apply(ctx, c, i)
		if err != nil {
			return nil, all, err
		}
		all.Add(&found)
		if found.Total() == 0 {
			continue
		}
		if out == c {
			copied := *c
			copied.Records = slices.Clone(c.Records)
			out = &copied
		}
		if len(text) > framing.MaxRecord { // hashes are longer than what they stand for
			text = text[:framing.MaxRecord]
			if !slices.Contains(c.Cut, uint32(i)) { //nolint:gosec // a chunk holds some thousand records
				out.Cut = append(slices.Clone(out.Cut), uint32(i)) //nolint:gosec // as above
			}
		}
		out.Records[i] = text
	}
	return out, all, nil
}

// A Previewed line is one of a preview.
type Previewed struct {
	Text  string
	Found mask.Found
}

// Preview masks lines as drafts would, or as the tenant's rules do where drafts is
// nil. Nothing is kept or counted. source is what the lines are, "" where it is to be
// recognised.
func (s *Service) Preview(ctx context.Context, tenant uint32, drafts []Draft, source string, lines []string) ([]Previewed, error) {
	if n := len(lines); n < 1 || n > MaxLines {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d lines", MaxLines).In("lines")
	}
	for i, line := range lines {
		if len(line) > MaxLineBytes {
			return nil, fault.New(fault.Invalid, "line %d is longer than %d bytes", i+1, MaxLineBytes).In("lines")
		}
	}
	if drafts == nil {
		rules, err := s.List(ctx, tenant, "createdAt", true)
		if err != nil {
			return nil, err
		}
		for i := range rules {
			if rules[i].Enabled {
				drafts = append(drafts, rules[i].Draft)
			}
		}
	}
	if len(drafts) > maxRules {
		return nil, fault.New(fault.Invalid, "Allowed: up to %d rules", maxRules).In("rules")
	}
	for i := range drafts {
		if drafts[i].Name == "" {
			drafts[i].Name = "preview"
		}
		if err := drafts[i].check(); err != nil {
			return nil, err
		}
	}
	key, err := s.key(ctx, s.db, tenant)
	if err != nil {
		return nil, fmt.Errorf("preview masking: %w", err)
	}
	p, err := newPolicy(drafts, key, s.newParser())
	if err != nil {
		return nil, err
	}
	c := &queue.Chunk{Tenant: tenant, Input: "preview", Source: source, Arrived: s.now().UnixNano(), Records: lines}
	out := make([]Previewed, len(lines))
	for i := range lines {
		if out[i].Text, out[i].Found, err = p.apply(ctx, c, i); err != nil {
			return nil, fmt.Errorf("preview masking: %w", err)
		}
	}
	return out, nil
}

// counts of a tenant since the last flush, and since the start.
type counts struct {
	mu           sync.Mutex
	fresh, total mask.Found
}

const missed = "missed"

func (s *Service) count(tenant uint32, found *mask.Found) {
	if found.Total() == 0 && found.Missed == 0 {
		return
	}
	any, _ := s.counts.LoadOrStore(tenant, &counts{})
	c := any.(*counts) //nolint:forcetypeassert // nothing else is stored there
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh.Add(found)
	c.total.Add(found)
}

func byName(f *mask.Found) map[string]int64 {
	out := map[string]int64{missed: int64(f.Missed)}
	for k, n := range f.By {
		out[mask.Kind(k).String()] = int64(n) //nolint:gosec // fewer than Kinds
	}
	return out
}

// flush writes what was counted since the last time.
func (s *Service) flush(ctx context.Context) error {
	var err error
	s.counts.Range(func(tenant, any any) bool {
		c := any.(*counts) //nolint:forcetypeassert // nothing else is stored there
		c.mu.Lock()
		fresh := c.fresh
		c.fresh = mask.Found{}
		c.mu.Unlock()
		err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
			for kind, n := range byName(&fresh) {
				if n == 0 {
					continue
				}
				_, err := sqldb.Exec(ctx, tx, `
					INSERT INTO masking_count (tenant, kind, n) VALUES ($1, $2, $3)
					ON CONFLICT (tenant, kind) DO UPDATE SET n = masking_count.n + excluded.n`, int64(tenant.(uint32)), kind, n) //nolint:forcetypeassert // keys are numbers of tenants
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			c.mu.Lock()
			c.fresh.Add(&fresh)
			c.mu.Unlock()
			err = fmt.Errorf("write counts of masking: %w", err)
		}
		return err == nil
	})
	return err
}

// Run looks for changed rules each half second, since commands and other processes
// change them too, and writes counts every ten, until ctx is done.
func (s *Service) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return s.flush(ctx)
		case <-tick.C:
		}
		err := s.Load(ctx) // without an answer the last rules stand
		if n%20 == 0 && err == nil {
			err = s.flush(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "masking", "err", err)
		}
	}
}

// WriteMetrics writes what was masked since the start in the text format of
// Prometheus, over all tenants.
func (s *Service) WriteMetrics(w io.Writer) {
	var all mask.Found
	s.counts.Range(func(_, any any) bool {
		c := any.(*counts) //nolint:forcetypeassert // nothing else is stored there
		c.mu.Lock()
		defer c.mu.Unlock()
		all.Add(&c.total)
		return true
	})
	names := byName(&all)
	for _, kind := range slices.Sorted(maps.Keys(names)) {
		if kind != missed {
			fmt.Fprintf(w, "kyra_masking_values_total{kind=%q} %d\n", kind, names[kind])
		}
	}
	fmt.Fprintf(w, "kyra_masking_missed_total %d\n", names[missed])
}
