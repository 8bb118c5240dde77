package alert

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A rule that would open more than a set number of alerts of a tenant in an hour of
// server time makes a storm: one alert takes what has no alert yet. It counts on, by
// entity too, every event is referenced, and entities that have an alert already go on
// growing theirs.
//
// A storm goes on through the next hour as long as more than that number of entities
// are seen in an hour that would each have had an alert without it. After an hour with
// fewer, new entities have alerts of their own again. After a day a storm that still
// goes on has a new alert, as every alert takes findings for a day.

// DefaultStormLimit is how many alerts a rule may open for a tenant in an hour.
const DefaultStormLimit = 100

const (
	stormKey    = "(storm)" // merge key: those of entities are of the form name=value
	stormAge    = 24 * time.Hour
	topEntities = 20
	keysAtOnce  = 500
)

type ruleKey struct {
	tenant uint32
	rule   string
}

// rate is how fast a rule opens alerts.
type rate struct {
	hour, opened int64 // opened or kept from opening, in that hour
	seq          int64 // alert of the storm, 0 for none
	storming     bool
	alert        *growing // of seq, once it is needed
}

// rate returns the rule's rate in the present hour.
func (b *batch) rate(ctx context.Context, key ruleKey) (*rate, error) {
	if r := b.rates[key]; r != nil {
		return r, nil
	}
	// Writers of one tenant wait for each other here, before they count.
	if _, err := b.head(ctx, key.tenant); err != nil {
		return nil, err
	}
	r, err := sqldb.One(ctx, b.tx, func(rows *sql.Rows, r *rate) error { return rows.Scan(&r.hour, &r.opened, &r.seq) },
		`SELECT hour, opened, storm FROM alert_rate WHERE tenant = $1 AND rule_id = $2`, int64(key.tenant), key.rule)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	r.storming = r.seq != 0
	r.advance(b.now.UnixMicro()/hourMicros, b.limit)
	b.rates[key] = &r
	return &r, nil
}

// advance goes on to hour. Clocks that go back stay in the hour that was.
func (r *rate) advance(hour, limit int64) {
	if hour <= r.hour {
		return
	}
	if hour > r.hour+1 || r.opened <= limit {
		r.seq, r.storming = 0, false
	}
	r.hour, r.opened = hour, 0
}

func (r *rate) store(ctx context.Context, tx *sqldb.DB, key ruleKey) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO alert_rate (tenant, rule_id, hour, opened, storm) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant, rule_id) DO UPDATE SET hour = excluded.hour, opened = excluded.opened, storm = excluded.storm`,
		int64(key.tenant), key.rule, r.hour, r.opened, r.seq)
	return err
}

// storm is what a batch adds to the alert of a storm.
type storm struct {
	Storm
	rate  *rate
	keys  map[string]*foldedKey
	order []string
	named map[string]bool // entities to index, in lower case
}

type foldedKey struct {
	events      int64
	first, last time.Time
	known       bool // stored already
}

// fold lets the rule's storm take f, and begins it where there is none.
func (b *batch) fold(ctx context.Context, r *rate, f *Finding, key string) (*growing, error) {
	g, err := b.stormAlert(ctx, r, f)
	if err != nil {
		return nil, err
	}
	s := g.storm
	k := s.keys[key]
	if k == nil {
		k = &foldedKey{first: micros(f.First), last: micros(f.Last)}
		s.keys[key] = k
		s.order = append(s.order, key)
	}
	k.events += f.Count
	if t := micros(f.First); t.Before(k.first) {
		k.first = t
	}
	if t := micros(f.Last); t.After(k.last) {
		k.last = t
	}
	for _, e := range f.Entities {
		if v := strings.ToLower(bound(clean(e.Value))); v != "" {
			s.named[v] = true
		}
	}
	return g, nil
}

// stormAlert returns the alert that takes what the rule raises.
func (b *batch) stormAlert(ctx context.Context, r *rate, f *Finding) (*growing, error) {
	if r.alert != nil {
		return r.alert, nil
	}
	r.storming = true
	if r.seq != 0 {
		g, err := b.loadStorm(ctx, r.seq)
		if err != nil {
			return nil, err
		}
		if g != nil && b.now.Sub(g.storm.Began) < stormAge {
			g.storm.rate, r.alert = r, g
			return g, nil
		}
	}
	g, err := b.create(ctx, f)
	if err != nil {
		return nil, err
	}
	g.key, g.Storm = stormKey, true
	g.storm = newStorm()
	g.storm.Limit, g.storm.Began, g.storm.rate = b.limit, b.now, r
	r.seq, r.alert = g.seq, g
	return g, nil
}

func newStorm() *storm { return &storm{keys: map[string]*foldedKey{}, named: map[string]bool{}} }

// loadStorm returns the storm's alert, nil where it takes no more.
func (b *batch) loadStorm(ctx context.Context, seq int64) (*growing, error) {
	g, err := sqldb.One(ctx, b.tx, scanGrowing, selectGrowing+` WHERE a.seq = $1 AND a.status <> 'RESOLVED'`, seq)
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := newStorm()
	s.Storm, err = sqldb.One(ctx, b.tx, scanStorm, selectStorm, seq)
	g.storm = s
	return g, err
}

const selectStorm = `SELECT limit_n, began, until, entities FROM alert_storm WHERE seq = $1`

func scanStorm(rows *sql.Rows, s *Storm) error {
	return rows.Scan(&s.Limit, sqldb.Micros(&s.Began), sqldb.Micros(&s.Until), &s.Entities)
}

// countStorm finds out which entities are new and words the alert anew.
func (b *batch) countStorm(ctx context.Context, g *growing) error {
	s := g.storm
	for chunk := range slices.Chunk(s.order, keysAtOnce) {
		if g.created {
			s.rate.opened += int64(len(chunk))
			continue
		}
		var q builder
		q.w(`SELECT merge_key, hour FROM alert_storm_entity WHERE seq = `, q.p(g.seq), ` AND merge_key IN (`)
		for i, key := range chunk {
			if i > 0 {
				q.w(", ")
			}
			q.w(q.p(key))
		}
		q.w(`)`)
		type row struct {
			key  string
			hour int64
		}
		known, err := sqldb.All(ctx, b.tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.key, &r.hour) }, q.String(), q.args...)
		if err != nil {
			return err
		}
		s.rate.opened += int64(len(chunk))
		for _, r := range known {
			s.keys[r.key].known = true
			if r.hour == s.rate.hour { // it counts in this hour already
				s.rate.opened--
			}
		}
	}
	for _, k := range s.keys {
		if !k.known {
			s.Entities++
		}
	}
	hours := s.rate.hour + 1
	if s.rate.opened > b.limit {
		hours++
	}
	s.Until = time.UnixMicro(hours * hourMicros).UTC()
	g.Description, g.text = fmt.Sprintf("storm: %d more entities with %d events. The rule raised more than %d alerts within an hour, "+
		"so one alert stands for all that followed, and refers to each of their events.", s.Entities, g.Occurrences, s.Limit), true
	return nil
}

// storeStorm writes what the batch added to the entities of a storm.
func (b *batch) storeStorm(ctx context.Context, g *growing) error {
	s := g.storm
	if _, err := sqldb.Exec(ctx, b.tx, `INSERT INTO alert_storm (seq, limit_n, began, until, entities) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (seq) DO UPDATE SET until = excluded.until, entities = excluded.entities`,
		g.seq, s.Limit, s.Began.UnixMicro(), s.Until.UnixMicro(), s.Entities); err != nil {
		return err
	}
	for chunk := range slices.Chunk(s.order, keysAtOnce) {
		var q builder
		q.w(`INSERT INTO alert_storm_entity (seq, merge_key, events, first_seen, last_seen, hour) VALUES `)
		for i, key := range chunk {
			if i > 0 {
				q.w(", ")
			}
			k := s.keys[key]
			q.w("(", q.p(g.seq), ", ", q.p(key), ", ", q.p(k.events), ", ", q.p(k.first.UnixMicro()), ", ", q.p(k.last.UnixMicro()), ", ", q.p(s.rate.hour), ")")
		}
		q.w(` ON CONFLICT (seq, merge_key) DO UPDATE SET events = alert_storm_entity.events + excluded.events, hour = excluded.hour,
			first_seen = CASE WHEN excluded.first_seen < alert_storm_entity.first_seen THEN excluded.first_seen ELSE alert_storm_entity.first_seen END,
			last_seen = CASE WHEN excluded.last_seen > alert_storm_entity.last_seen THEN excluded.last_seen ELSE alert_storm_entity.last_seen END`)
		if _, err := sqldb.Exec(ctx, b.tx, q.String(), q.args...); err != nil {
			return err
		}
	}
	return b.indexEntities(ctx, g)
}

// indexEntities lets the alert of a storm be found by each of its entities.
func (b *batch) indexEntities(ctx context.Context, g *growing) error {
	values := make([]string, 0, len(g.storm.named))
	for v := range g.storm.named {
		values = append(values, v)
	}
	slices.Sort(values) // writers of several tenants lock rows in one order
	for chunk := range slices.Chunk(values, keysAtOnce) {
		var q builder
		q.w(`INSERT INTO alert_entity (tenant, value, seq) VALUES `)
		for i, v := range chunk {
			if i > 0 {
				q.w(", ")
			}
			q.w("(", q.p(int64(g.Tenant)), ", ", q.p(v), ", ", q.p(g.seq), ")")
		}
		q.w(` ON CONFLICT DO NOTHING`)
		if _, err := sqldb.Exec(ctx, b.tx, q.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// stormOf returns what is known of the storm of an alert.
func stormOf(ctx context.Context, tx *sqldb.DB, seq int64) (*Storm, error) {
	s, err := sqldb.One(ctx, tx, scanStorm, selectStorm, seq)
	if err != nil {
		return nil, err
	}
	s.Top, err = sqldb.All(ctx, tx, func(rows *sql.Rows, e *StormEntity) error {
		return rows.Scan(&e.Key, &e.Occurrences, sqldb.Micros(&e.FirstSeen), sqldb.Micros(&e.LastSeen))
	}, `SELECT merge_key, events, first_seen, last_seen FROM alert_storm_entity WHERE seq = $1 ORDER BY events DESC, merge_key LIMIT $2`, seq, topEntities)
	return &s, err
}
