package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
// is made. A FALSE_POSITIVE one swallows: it grows, and stays what it is.
func (s *Service) Record(ctx context.Context, tx *sqldb.DB, now time.Time, findings []Finding) ([]Outcome, error) {
	if len(findings) == 0 {
		return nil, nil
	}
	var out []Outcome
	err := tx.Tx(ctx, func(tx *sqldb.DB) error {
		b := batch{tx: tx, now: now.UTC().Truncate(time.Microsecond), open: map[mergeKey]*candidates{}, heads: map[uint32]*head{}, words: map[uint32]map[string]int64{}}
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
}

type head struct {
	seq, word int64
	created   time.Time
}

type batch struct {
	tx    *sqldb.DB
	now   time.Time
	open  map[mergeKey]*candidates
	order []*growing // those touched, in order of appearance
	heads map[uint32]*head
	words map[uint32]map[string]int64 // numbers of known words
}

func (b *batch) record(ctx context.Context, findings []Finding) ([]Outcome, error) {
	out := make([]Outcome, len(findings))
	into := make([]*growing, len(findings))
	for i := range findings {
		f := &findings[i]
		g, err := b.find(ctx, f)
		if err != nil {
			return nil, err
		}
		if g == nil {
			if g, err = b.create(ctx, f); err != nil {
				return nil, err
			}
			out[i].Created = true
		}
		g.join(f)
		if !slices.Contains(b.order, g) {
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
	key := mergeKey{f.Tenant, clean(f.Rule.ID), bound(clean(f.Key))}
	first := time.Unix(0, f.First).UTC()
	c := b.open[key]
	if c == nil {
		c = &candidates{}
		b.open[key] = c
	}
	if from, to := first.Add(-mergeWindow), first.Add(mergeWindow); !c.covers(from, to) {
		stored, err := loadOpen(ctx, b.tx, key, from, to)
		if err != nil {
			return nil, err
		}
		for _, g := range stored {
			if !slices.ContainsFunc(c.list, func(have *growing) bool { return have.seq == g.seq }) {
				c.list = append(c.list, g)
			}
		}
		c.spans = append(c.spans, [2]time.Time{from, to})
	}
	var best *growing
	var distance time.Duration
	for _, g := range c.list {
		if d := first.Sub(g.FirstSeen).Abs(); d < mergeWindow && (best == nil || d < distance) {
			best, distance = g, d
		}
	}
	return best, nil
}

// candidates are the alerts of one key that may take a finding, as far as loaded.
type candidates struct {
	list  []*growing
	spans [][2]time.Time // of first_seen, loaded
}

func (c *candidates) covers(from, to time.Time) bool {
	return slices.ContainsFunc(c.spans, func(s [2]time.Time) bool { return !from.Before(s[0]) && !to.After(s[1]) })
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
	key := mergeKey{f.Tenant, g.Rule.ID, bound(clean(f.Key))}
	g.key = key.key
	b.open[key].list = append(b.open[key].list, g)
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
		if len(g.events) < MaxEvents && !slices.Contains(g.events, id) {
			g.events = append(g.events, id)
		}
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

// loadOpen reads the alerts of a key, first seen strictly between from and to, that
// still take findings.
func loadOpen(ctx context.Context, tx *sqldb.DB, key mergeKey, from, to time.Time) ([]*growing, error) {
	return sqldb.All(ctx, tx, func(rows *sql.Rows, out **growing) error {
		g := &growing{key: key.key}
		var values, entities, events string
		if err := rows.Scan(append(g.columns(), &g.template, &values, &entities, &events)...); err != nil {
			return err
		}
		*out = g
		return g.decode(values, entities, events)
	}, `SELECT `+alertColumns+`, d.template, d.field_values, d.entities, d.events
		FROM alert a JOIN alert_detail d ON d.seq = a.seq
		WHERE a.tenant = $1 AND a.rule_id = $2 AND a.merge_key = $3 AND a.first_seen > $4 AND a.first_seen < $5 AND a.status <> 'RESOLVED'
		ORDER BY a.seq`, int64(key.tenant), key.rule, key.key, from.UnixMicro(), to.UnixMicro())
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
	return nil
}

// Entities are stored as [["ip","src_ip","10.0.1.55"],…], events as ["e0-…",…].

func encodeEntities(list []Entity) (string, error) {
	out := make([][3]string, len(list))
	for i, e := range list {
		out[i] = [3]string{e.Type, e.Field, e.Value}
	}
	text, err := json.Marshal(out)
	return string(text), err
}

func decodeEntities(text string) ([]Entity, error) {
	var in [][3]string
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, err
	}
	list := make([]Entity, len(in))
	for i, e := range in {
		list[i] = Entity{e[0], e[1], e[2]}
	}
	return list, nil
}

func encodeEvents(list []event.ID) (string, error) {
	out := make([]string, len(list))
	for i, id := range list {
		out[i] = id.String()
	}
	text, err := json.Marshal(out)
	return string(text), err
}

func decodeEvents(text string) ([]event.ID, error) {
	var in []string
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, err
	}
	list := make([]event.ID, len(in))
	for i, s := range in {
		id, err := event.ParseID(s)
		if err != nil {
			return nil, err
		}
		list[i] = id
	}
	return list, nil
}

func (b *batch) store(ctx context.Context, g *growing) error {
	g.UpdatedAt = b.now
	if g.UpdatedAt.Before(g.CreatedAt) {
		g.UpdatedAt = g.CreatedAt
	}
	values, err := json.Marshal(g.values)
	if err != nil {
		return err
	}
	entities, err := encodeEntities(g.entities)
	if err != nil {
		return err
	}
	events, err := encodeEvents(g.events)
	if err != nil {
		return err
	}
	if g.created {
		if err := insert(ctx, b.tx, &g.Alert, g.key); err != nil {
			return err
		}
		_, err = sqldb.Exec(ctx, b.tx, `INSERT INTO alert_detail (seq, template, field_values, entities, events) VALUES ($1, $2, $3, $4, $5)`,
			g.seq, g.template, string(values), entities, events)
	} else {
		if _, err := sqldb.Exec(ctx, b.tx, `UPDATE alert SET description = $1, occurrences = $2, first_seen = $3, last_seen = $4, updated_at = $5 WHERE seq = $6`,
			g.Description, g.Occurrences, g.FirstSeen.UnixMicro(), g.LastSeen.UnixMicro(), g.UpdatedAt.UnixMicro(), g.seq); err != nil {
			return err
		}
		_, err = sqldb.Exec(ctx, b.tx, `UPDATE alert_detail SET field_values = $1, entities = $2, events = $3 WHERE seq = $4`,
			string(values), entities, events, g.seq)
	}
	if err != nil {
		return err
	}
	for _, e := range g.entities[g.known:] {
		if _, err := sqldb.Exec(ctx, b.tx, `INSERT INTO alert_entity (tenant, value, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			int64(g.Tenant), strings.ToLower(e.Value), g.seq); err != nil {
			return err
		}
	}
	if !g.text {
		return nil
	}
	return b.storeText(ctx, g)
}

// storeText writes what search looks in, and the numbers of its words where they
// are others than before.
func (b *batch) storeText(ctx context.Context, g *growing) error {
	folded := fold(g.Title, g.Description)
	words := wordsOf(folded)
	if g.created {
		if _, err := sqldb.Exec(ctx, b.tx, `INSERT INTO alert_text (seq, folded) VALUES ($1, $2)`, g.seq, folded); err != nil {
			return err
		}
	} else {
		before, err := sqldb.One(ctx, b.tx, sqldb.Value[string], `SELECT folded FROM alert_text WHERE seq = $1`, g.seq)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, b.tx, `UPDATE alert_text SET folded = $1 WHERE seq = $2`, folded, g.seq); err != nil {
			return err
		}
		if slices.Equal(wordsOf(before), words) {
			return nil
		}
	}
	numbers, err := b.number(ctx, g.Tenant, words)
	if err != nil {
		return err
	}
	return indexWords(ctx, b.tx, g.seq, g.Tenant, numbers, !g.created)
}

// number returns the numbers of words, giving new ones to new words.
func (b *batch) number(ctx context.Context, tenant uint32, words []string) ([]int64, error) {
	known := b.words[tenant]
	if known == nil {
		known = map[string]int64{}
		b.words[tenant] = known
	}
	args := []any{int64(tenant)}
	var list strings.Builder
	for _, word := range words {
		if _, ok := known[word]; !ok {
			args = append(args, word)
			list.WriteString(",$" + strconv.Itoa(len(args)))
		}
	}
	if len(args) > 1 {
		type row struct {
			word string
			n    int64
		}
		rows, err := sqldb.All(ctx, b.tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.word, &r.n) },
			`SELECT word, n FROM alert_word WHERE tenant = $1 AND word IN (`+list.String()[1:]+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			known[r.word] = r.n
		}
	}
	numbers := make([]int64, len(words))
	for i, word := range words {
		n, ok := known[word]
		if !ok {
			h, err := b.head(ctx, tenant)
			if err != nil {
				return nil, err
			}
			h.word++
			n = h.word
			if _, err := sqldb.Exec(ctx, b.tx, `INSERT INTO alert_word (tenant, n, word) VALUES ($1, $2, $3)`, int64(tenant), n, word); err != nil {
				return nil, err
			}
			known[word] = n
		}
		numbers[i] = n
	}
	return numbers, nil
}

// indexWords writes the words of one text into the index, in place of those before
// where it has some.
func indexWords(ctx context.Context, tx *sqldb.DB, seq int64, tenant uint32, numbers []int64, replace bool) error {
	row, words := "rowid", "$2"
	open, prefix, between, end := "", "w", " ", ""
	if tx.Dialect() == sqldb.Postgres {
		row, words = "seq", "CAST($2 AS BIGINT[])"
		open, prefix, between, end = "{", "", ",", "}"
	}
	if replace {
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM alert_words WHERE `+row+` = $1`, seq); err != nil {
			return err
		}
	}
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO alert_words (`+row+`, words) VALUES ($1, `+words+`)`, seq, open+wordIDs(tenant, numbers, prefix, between)+end)
	return err
}

// wordIDs writes the words as both indexes know them, by numbers that tell the words
// of all tenants apart: "w68719476737 w68719476738" to SQLite, "68719476737,68719476738"
// to PostgreSQL.
func wordIDs(tenant uint32, numbers []int64, prefix, between string) string {
	var b []byte
	for i, n := range numbers {
		if i > 0 {
			b = append(b, between...)
		}
		b = strconv.AppendInt(append(b, prefix...), int64(tenant)<<seqBits|n, 10)
	}
	return string(b)
}

func insert(ctx context.Context, tx *sqldb.DB, a *Alert, key string) error {
	_, err := sqldb.Exec(ctx, tx, `
		INSERT INTO alert (seq, id, tenant, title, description, severity, status, source, tactic, technique,
			rule_id, rule_name, rule_author, rule_version, merge_key, occurrences, first_seen, last_seen, created_at, updated_at, rule_license, rule_origin)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)`,
		a.seq, a.ID, int64(a.Tenant), a.Title, a.Description, a.Severity, string(a.Status), a.Source, a.Tactic, a.Technique,
		a.Rule.ID, a.Rule.Name, a.Rule.Author, a.Rule.Version, key, a.Occurrences, a.FirstSeen.UnixMicro(), a.LastSeen.UnixMicro(), a.CreatedAt.UnixMicro(), a.UpdatedAt.UnixMicro(), a.Rule.License, a.Rule.Origin)
	return err
}

// alertColumns are read by Alert.columns, from alert as a.
const alertColumns = `a.seq, a.id, a.tenant, a.title, a.description, a.severity, a.status, a.source, a.tactic, a.technique,
	a.rule_id, a.rule_name, a.rule_author, a.rule_license, a.rule_origin, a.rule_version, a.occurrences, a.first_seen, a.last_seen,
	a.incident_id, a.assigned_to, a.verdict, a.created_at, a.updated_at, a.version`

func (a *Alert) columns() []any {
	return []any{
		&a.seq, &a.ID, &a.Tenant, &a.Title, &a.Description, &a.Severity, &a.Status, &a.Source, &a.Tactic, &a.Technique,
		&a.Rule.ID, &a.Rule.Name, &a.Rule.Author, &a.Rule.License, &a.Rule.Origin, &a.Rule.Version, &a.Occurrences, sqldb.Micros(&a.FirstSeen), sqldb.Micros(&a.LastSeen),
		&a.IncidentID, &a.AssignedTo, &a.Verdict, sqldb.Micros(&a.CreatedAt), sqldb.Micros(&a.UpdatedAt), &a.Version,
	}
}

func scanAlert(rows *sql.Rows, a *Alert) error { return rows.Scan(a.columns()...) }
