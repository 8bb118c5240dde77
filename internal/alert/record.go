package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// An Outcome is what Record did with one finding.
type Outcome struct {
	Alert   Alert // as it is after the whole call
	Created bool  // this finding made it; false where it joined one
}

// Record turns findings into alerts, in the caller's transaction, and returns one
// outcome for each, in order. now is the server's time.
//
// A finding joins the alert of its tenant, rule and key whose first event lies
// within 24 hours of its own first event. A RESOLVED alert takes no more: a new one
// is made. A FALSE_POSITIVE one swallows: it grows, and stays what it is. A rule that
// would make too many alerts in an hour makes a storm: see storm.go.
func (s *Service) Record(ctx context.Context, tx *sqldb.DB, now time.Time, findings []Finding) ([]Outcome, error) {
	if len(findings) == 0 {
		return nil, nil
	}
	var out []Outcome
	err := tx.Tx(ctx, func(tx *sqldb.DB) error {
		b := batch{
			tx: tx, now: now.UTC().Truncate(time.Microsecond), limit: s.stormLimit, open: map[mergeKey]*candidates{},
			rates: map[ruleKey]*rate{}, heads: map[uint32]*head{}, words: map[uint32]map[string]int64{},
		}
		var err error
		out, err = b.record(ctx, findings)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record alerts: %w", err)
	}
	return out, nil
}

type mergeKey struct {
	tenant    uint32
	rule, key string
}

// growing is an alert as it is being changed by a batch.
type growing struct {
	Alert
	key      string
	template string
	values   map[string][]string
	entities []Entity
	events   []event.ID
	known    int  // how many of entities are stored
	created  bool // not stored yet
	text     bool // title or description differ from what is stored
	touched  bool // in batch.order
	refs     referring
	before   referring // what was loaded, where it is not in blocks
	storm    *storm    // nil where it is none
}

type head struct {
	seq, word int64
	created   time.Time
}

type batch struct {
	tx    *sqldb.DB
	now   time.Time
	limit int64 // alerts of a rule in an hour, before it is a storm; 0 for any number
	open  map[mergeKey]*candidates
	rates map[ruleKey]*rate
	order []*growing // those touched, in order of appearance
	heads map[uint32]*head
	words map[uint32]map[string]int64 // numbers of known words
}

func (b *batch) record(ctx context.Context, findings []Finding) ([]Outcome, error) {
	out := make([]Outcome, len(findings))
	into := make([]*growing, len(findings))
	if err := b.prefetch(ctx, findings); err != nil {
		return nil, err
	}
	for i := range findings {
		f := &findings[i]
		g, err := b.find(ctx, f)
		if err != nil {
			return nil, err
		}
		if g == nil {
			if g, err = b.raise(ctx, f); err != nil {
				return nil, err
			}
			out[i].Created = g.created && !g.touched
		}
		g.join(f)
		if !g.touched {
			g.touched = true
			b.order = append(b.order, g)
		}
		into[i] = g
	}
	created := map[uint32][]string{}
	for _, g := range b.order {
		if g.created {
			created[g.Tenant] = append(created[g.Tenant], g.ID)
		}
		if err := b.store(ctx, g); err != nil {
			return nil, err
		}
	}
	for key, r := range b.rates {
		if err := r.store(ctx, b.tx, key); err != nil {
			return nil, err
		}
	}
	for tenant, h := range b.heads {
		if err := h.store(ctx, b.tx, tenant); err != nil {
			return nil, err
		}
	}
	for i, g := range into {
		out[i].Alert = g.Alert
	}
	for tenant, ids := range created {
		err := audit.Record(ctx, b.tx, audit.Entry{Tenant: tenant, At: b.now, Actor: audit.System, Action: "alert.create", Detail: map[string]any{"ids": ids}})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// find returns the alert that f joins, or nil.
func (b *batch) find(ctx context.Context, f *Finding) (*growing, error) {
	key := keyOf(f)
	first := time.Unix(0, f.First).UTC()
	if from, to := first.Add(-mergeWindow), first.Add(mergeWindow); !b.candidates(key).covers(from, to) {
		if err := b.load(ctx, ruleKey{key.tenant, key.rule}, []string{key.key}, from, to); err != nil {
			return nil, err
		}
	}
	var best *growing
	var distance time.Duration
	for _, g := range b.candidates(key).list {
		if d := first.Sub(g.FirstSeen).Abs(); d < mergeWindow && (best == nil || d < distance) {
			best, distance = g, d
		}
	}
	return best, nil
}

func keyOf(f *Finding) mergeKey { return mergeKey{f.Tenant, clean(f.Rule.ID), bound(clean(f.Key))} }

func (b *batch) candidates(key mergeKey) *candidates {
	c := b.open[key]
	if c == nil {
		c = &candidates{}
		b.open[key] = c
	}
	return c
}

// load adds the alerts of a rule's keys, first seen strictly between from and to, to
// the candidates.
func (b *batch) load(ctx context.Context, rule ruleKey, keys []string, from, to time.Time) error {
	stored, err := loadOpen(ctx, b.tx, rule, keys, from, to)
	if err != nil {
		return err
	}
	for _, g := range stored {
		c := b.candidates(mergeKey{rule.tenant, rule.rule, g.key})
		if !slices.ContainsFunc(c.list, func(have *growing) bool { return have.seq == g.seq }) {
			c.list = append(c.list, g)
		}
	}
	for _, key := range keys {
		c := b.candidates(mergeKey{rule.tenant, rule.rule, key})
		c.spans = append(c.spans, [2]time.Time{from, to})
	}
	return nil
}

// prefetch loads with few queries what find would ask for one by one: in a storm a
// batch has findings of very many keys of one rule.
func (b *batch) prefetch(ctx context.Context, findings []Finding) error {
	const few, reach = 4, 3 * mergeWindow
	type group struct {
		keys        []string
		first, last int64
	}
	groups := map[ruleKey]*group{}
	for i := range findings {
		f := &findings[i]
		key := keyOf(f)
		rule := ruleKey{key.tenant, key.rule}
		g := groups[rule]
		if g == nil {
			g = &group{first: f.First, last: f.First}
			groups[rule] = g
		}
		g.first, g.last = min(g.first, f.First), max(g.last, f.First)
		g.keys = append(g.keys, key.key)
	}
	for rule, g := range groups {
		if len(g.keys) <= few || time.Duration(g.last-g.first) > reach {
			continue
		}
		slices.Sort(g.keys)
		from, to := time.Unix(0, g.first).UTC().Add(-mergeWindow), time.Unix(0, g.last).UTC().Add(mergeWindow)
		for keys := range slices.Chunk(slices.Compact(g.keys), keysAtOnce) {
			if err := b.load(ctx, rule, keys, from, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// candidates are the alerts of one key that may take a finding, as far as loaded.
type candidates struct {
	list  []*growing
	spans [][2]time.Time // of first_seen, loaded
}

func (c *candidates) covers(from, to time.Time) bool {
	return slices.ContainsFunc(c.spans, func(s [2]time.Time) bool { return !from.Before(s[0]) && !to.After(s[1]) })
}

// raise makes an alert for f, or lets the rule's storm take it.
func (b *batch) raise(ctx context.Context, f *Finding) (*growing, error) {
	key := keyOf(f)
	r, err := b.rate(ctx, ruleKey{key.tenant, key.rule})
	if err != nil {
		return nil, err
	}
	if b.limit > 0 && (r.storming || r.opened >= b.limit) {
		return b.fold(ctx, r, f, key.key)
	}
	g, err := b.create(ctx, f)
	if err != nil {
		return nil, err
	}
	g.key = key.key
	c := b.candidates(key)
	c.list = append(c.list, g)
	r.opened++
	return g, nil
}

// create makes an alert for f, without f's events yet.
func (b *batch) create(ctx context.Context, f *Finding) (*growing, error) {
	if event.SeverityRank(f.Severity) == 0 {
		return nil, fault.New(fault.Invalid, "finding of rule %s has severity %q", f.Rule.ID, f.Severity)
	}
	h, err := b.head(ctx, f.Tenant)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	h.seq++
	if b.now.After(h.created) {
		h.created = b.now
	}
	g := &growing{
		Alert: Alert{
			ID: id.String(), Tenant: f.Tenant, Title: clip(clean(f.Title), maxTitle), Severity: f.Severity, Status: Open,
			Source: bound(clean(f.Source)), Tactic: bound(clean(f.Tactic)), Technique: bound(clean(f.Technique)),
			Rule:      cleanRule(f.Rule),
			FirstSeen: micros(f.First), LastSeen: micros(f.Last),
			CreatedAt: h.created, Version: 1, seq: int64(f.Tenant)<<seqBits | h.seq,
		},
		template: clean(f.Description),
		values:   map[string][]string{},
		created:  true, text: true,
	}
	return g, nil
}

// cleanRule makes what foreign rules say of themselves storable.
func cleanRule(r RuleRef) RuleRef {
	text := func(s string) string { return clip(clean(s), maxTitle) }
	return RuleRef{ID: clean(r.ID), Name: clean(r.Name), Author: text(r.Author), License: text(r.License), Origin: clip(clean(r.Origin), maxText), Version: r.Version}
}

// seqBits is how many bits of a row's number count within the tenant.
const seqBits = 36

func micros(ns int64) time.Time { return time.Unix(0, ns).UTC().Truncate(time.Microsecond) }

// join adds what f brings.
func (g *growing) join(f *Finding) {
	g.Occurrences += f.Count
	if t := micros(f.First); t.Before(g.FirstSeen) {
		g.FirstSeen = t
	}
	if t := micros(f.Last); t.After(g.LastSeen) {
		g.LastSeen = t
	}
	for field, values := range f.Values {
		have := g.values[field]
		for _, v := range values {
			if v = clip(clean(v), maxValueKept); v != "" && len(have) < MaxValues && !slices.Contains(have, v) {
				have = append(have, v)
			}
		}
		g.values[field] = have
	}
	for _, e := range f.Entities {
		e = Entity{clean(e.Type), clean(e.Field), bound(clean(e.Value))}
		if e.Value != "" && len(g.entities) < maxEntities && !slices.Contains(g.entities, e) {
			g.entities = append(g.entities, e)
		}
	}
	for _, id := range f.Events {
		if len(g.events) == MaxEvents {
			break
		}
		if !slices.Contains(g.events, id) {
			g.events = append(g.events, id)
		}
	}
	g.refs.add(f)
	if g.storm != nil {
		return // its text tells of numbers that are known later
	}
	if text := describe(g.template, g.Occurrences, g.values); text != g.Description {
		g.Description, g.text = text, true
	}
}

const (
	maxValueKept = 1000 // characters
	maxEntities  = 300
)

func (b *batch) head(ctx context.Context, tenant uint32) (*head, error) {
	if h, ok := b.heads[tenant]; ok {
		return h, nil
	}
	// Writing it first makes writers of one tenant wait for each other, or start anew,
	// before they take the same numbers.
	h, err := sqldb.One(ctx, b.tx, func(rows *sql.Rows, h *head) error {
		return rows.Scan(&h.seq, &h.word, sqldb.Micros(&h.created))
	}, `INSERT INTO alert_head (tenant, seq, word, created_at) VALUES ($1, 0, 0, 0)
		ON CONFLICT (tenant) DO UPDATE SET seq = alert_head.seq RETURNING seq, word, created_at`, int64(tenant))
	if err != nil {
		return nil, err
	}
	b.heads[tenant] = &h
	return &h, nil
}

func (h *head) store(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `UPDATE alert_head SET seq = $1, word = $2, created_at = $3 WHERE tenant = $4`, h.seq, h.word, h.created.UnixMicro(), int64(tenant))
	return err
}

// loadOpen reads the alerts of some keys of a rule, first seen strictly between from
// and to, that still take findings.
func loadOpen(ctx context.Context, tx *sqldb.DB, rule ruleKey, keys []string, from, to time.Time) ([]*growing, error) {
	var q builder
	q.w(selectGrowing, ` WHERE a.tenant = `, q.p(int64(rule.tenant)), ` AND a.rule_id = `, q.p(rule.rule))
	in(&q, `a.merge_key`, keys)
	q.w(` AND a.first_seen > `, q.p(from.UnixMicro()), ` AND a.first_seen < `, q.p(to.UnixMicro()), ` AND a.status <> 'RESOLVED' AND NOT a.storm ORDER BY a.seq`)
	return sqldb.All(ctx, tx, scanGrowing, q.String(), q.args...)
}

const selectGrowing = `SELECT ` + alertColumns + `, a.merge_key, d.template, d.field_values, d.entities, d.events, d.blocks, d.referred
	FROM alert a JOIN alert_detail d ON d.seq = a.seq`

func scanGrowing(rows *sql.Rows, out **growing) error {
	g := &growing{}
	var values, entities, events string
	if err := rows.Scan(append(g.columns(), &g.key, &g.template, &values, &entities, &events, &g.refs.blocks, &g.refs.events)...); err != nil {
		return err
	}
	*out = g
	return g.decode(values, entities, events)
}

func (g *growing) decode(values, entities, events string) error {
	if err := json.Unmarshal([]byte(values), &g.values); err != nil {
		return fmt.Errorf("alert %s: field_values: %w", g.ID, err)
	}
	var err error
	if g.entities, err = decodeEntities(entities); err != nil {
		return fmt.Errorf("alert %s: entities: %w", g.ID, err)
	}
	if g.events, err = decodeEvents(events); err != nil {
		return fmt.Errorf("alert %s: events: %w", g.ID, err)
	}
	g.known = len(g.entities)
	if g.refs.blocks == 0 {
		g.before = referring{fresh: slices.Clip(g.events), first: g.FirstSeen.UnixNano(), last: g.LastSeen.UnixNano()}
	}
	return nil
}
