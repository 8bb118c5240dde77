package intel

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Matcher holds the snapshot of each tenant and keeps it up to date: what changed is
// compiled aside and takes the place of the old one at once.
type Matcher struct {
	db  *sqldb.DB
	log *slog.Logger
	now func() time.Time

	tenants atomic.Pointer[map[uint32]*Snapshot]

	mu          sync.Mutex // of those who compile
	generations map[uint32]int64
	compiled    map[uint32]compilation

	seen atomic.Int64 // indicators in events
}

// A compilation is when a snapshot was made and how long that took.
type compilation struct {
	at   time.Time
	took time.Duration
}

// NewMatcher compiles what is stored.
func NewMatcher(ctx context.Context, db *sqldb.DB, log *slog.Logger, now func() time.Time) (*Matcher, error) {
	m := &Matcher{db: db, log: log, now: now, generations: map[uint32]int64{}, compiled: map[uint32]compilation{}}
	m.tenants.Store(&map[uint32]*Snapshot{})
	return m, m.Refresh(ctx)
}

// Enrich is the hook of the pipeline: see Snapshot.Enrich.
func (m *Matcher) Enrich(e *event.Event, emit func(*alert.Finding)) {
	if s := (*m.tenants.Load())[e.Tenant]; s != nil {
		s.Enrich(e, func(f *alert.Finding) {
			m.seen.Add(1)
			emit(f)
		})
	}
}

// Snapshot returns what is looked for now for a tenant, or nil.
func (m *Matcher) Snapshot(tenant uint32) *Snapshot { return (*m.tenants.Load())[tenant] }

// How often changes are looked for, and how much of the time may go into compiling.
const (
	refreshEvery = time.Second
	restFactor   = 5         // rests so many times as long as the last compilation took
	maxAge       = time.Hour // then what has expired is left out
)

// Run keeps snapshots up to date until ctx is done.
func (m *Matcher) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := m.Refresh(ctx); err != nil && ctx.Err() == nil {
				m.log.WarnContext(ctx, "changed indicators cannot be read: the old ones stay", "err", err)
			}
		}
	}
}

type generation struct {
	tenant uint32
	number int64
}

// Refresh compiles what has changed.
func (m *Matcher) Refresh(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, err := sqldb.All(ctx, m.db, func(rows *sql.Rows, g *generation) error { return rows.Scan(&g.tenant, &g.number) }, `SELECT tenant, generation FROM intel_generation`)
	if err != nil {
		return fmt.Errorf("read generations of indicators: %w", err)
	}
	now := m.now()
	for _, g := range all {
		last, known := m.compiled[g.tenant]
		age := now.Sub(last.at)
		if known && (m.generations[g.tenant] == g.number && age < maxAge || age < restFactor*last.took) {
			continue
		}
		begun := time.Now()
		s, err := compile(ctx, m.db, g.tenant, now)
		if err != nil {
			return fmt.Errorf("compile the indicators of tenant %d: %w", g.tenant, err)
		}
		m.generations[g.tenant], m.compiled[g.tenant] = g.number, compilation{now, time.Since(begun)}
		next := maps.Clone(*m.tenants.Load())
		next[g.tenant] = s
		m.tenants.Store(&next)
	}
	return nil
}

// compile reads a tenant's indicators, allow-list and thresholds in one snapshot of the
// database.
func compile(ctx context.Context, db *sqldb.DB, tenant uint32, now time.Time) (*Snapshot, error) {
	var s *Snapshot
	err := db.View(ctx, func(tx *sqldb.DB) error {
		active := ` FROM intel_indicator WHERE tenant = $1 AND NOT disabled AND (valid_until IS NULL OR valid_until > $2)`
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*)`+active, int64(tenant), now.UnixMicro())
		if err != nil {
			return err
		}
		b := newBuilder(int(n))
		var c compact
		for _, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, _ *struct{}) error { return scanCompact(rows, &c) },
			`SELECT type, value, source, tags, confidence, severity, valid_from, valid_until`+active, int64(tenant), now.UnixMicro()) {
			if err != nil {
				return err
			}
			b.add(c)
		}
		s = b.build()
		if s.allow, err = compileAllowed(ctx, tx, tenant); err != nil {
			return err
		}
		s.thresholds, err = thresholds(ctx, tx, tenant)
		return err
	})
	return s, err
}

func scanCompact(rows *sql.Rows, c *compact) error {
	var severity, tags string
	var from int64
	var until sql.NullInt64
	if err := rows.Scan(&c.Type, &c.Value, &c.Source, &tags, &c.Confidence, &severity, &from, &until); err != nil {
		return err
	}
	c.SeverityRank = event.SeverityRank(severity)
	c.From, c.Until = from/1e6, (until.Int64+1e6-1)/1e6
	if c.Tags = ""; tags != "[]" {
		var list []string
		if err := json.Unmarshal([]byte(tags), &list); err != nil {
			return fmt.Errorf("tags of indicator %s: %w", c.Value, err)
		}
		c.Tags = strings.Join(list, "\x00")
	}
	return nil
}

func compileAllowed(ctx context.Context, tx *sqldb.DB, tenant uint32) (*Snapshot, error) {
	list, err := sqldb.All(ctx, tx, func(rows *sql.Rows, a *Allowed) error { return rows.Scan(&a.Type, &a.Value) }, `SELECT type, value FROM intel_allow WHERE tenant = $1`, int64(tenant))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	b := newBuilder(len(list))
	for _, a := range list {
		b.add(compact{Type: a.Type, Value: a.Value, SeverityRank: 1})
	}
	return b.build(), nil
}

// Seen counts the indicators that were seen in events since the start.
func (m *Matcher) Seen() int64 { return m.seen.Load() }

// Total is how many indicators are looked for, of all tenants.
func (m *Matcher) Total() int {
	n := 0
	for _, s := range *m.tenants.Load() {
		n += s.Len()
	}
	return n
}
