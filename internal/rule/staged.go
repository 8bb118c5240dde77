package rule

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Staged is a finding of a rule that is only tried out.
type Staged struct {
	Tenant      uint32
	RuleID, Key string
	Count       int64      // events that it adds
	First, Last int64      // event time, nanoseconds
	Events      []event.ID // references to some of them
}

// Bounds of what is kept of one staged rule; counting goes on beyond them.
const (
	maxStagedKeys   = 500
	maxStagedDays   = 60
	maxStagedEvents = 10 // of one key
)

// wouldMerge is how long one alert goes on taking findings of its rule and key.
const wouldMerge = int64(24 * time.Hour / time.Microsecond)

// RecordStaged keeps what staged rules would have raised, in the caller's
// transaction. What is kept of a rule is bounded; it begins anew when the rule's text
// changes or it is staged again.
func (s *Service) RecordStaged(ctx context.Context, tx *sqldb.DB, findings []Staged) error {
	type owner struct {
		tenant uint32
		rule   string
	}
	var order []owner
	accounts := map[owner]*stagedAccount{}
	for i := range findings {
		f := &findings[i]
		o := owner{f.Tenant, f.RuleID}
		a := accounts[o]
		if a == nil {
			var err error
			if a, err = openStaged(ctx, tx, f.Tenant, f.RuleID); err != nil {
				return fmt.Errorf("keep findings of staged rule %s: %w", f.RuleID, err)
			}
			accounts[o], order = a, append(order, o)
		}
		a.add(f)
	}
	for _, o := range order {
		if err := accounts[o].store(ctx, tx, o.tenant, o.rule); err != nil {
			return fmt.Errorf("keep findings of staged rule %s: %w", o.rule, err)
		}
	}
	return nil
}

// A stagedAccount gathers the findings of one rule: a rule that is staged because
// nobody knows yet how loud it is must not slow down what runs live.
type stagedAccount struct {
	keys          map[string]*stagedKey
	days          map[int64]*stagedCount
	all           stagedCount
	added, unkept int64
	first, last   int64
	changed       []string // keys, in order of appearance
}

type stagedCount struct{ n, alerts int64 }

type stagedKey struct {
	stagedCount
	opened, first, last int64
	events              string
	changed             bool
}

func openStaged(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*stagedAccount, error) {
	a := &stagedAccount{keys: map[string]*stagedKey{}, days: map[int64]*stagedCount{}, first: math.MaxInt64, last: math.MinInt64}
	_, err := sqldb.All(ctx, tx, func(rows *sql.Rows, _ *struct{}) error {
		var name string
		k := &stagedKey{}
		err := rows.Scan(&name, &k.n, &k.alerts, &k.opened, &k.first, &k.last, &k.events)
		a.keys[name] = k
		return err
	}, `SELECT merge_key, n, alerts, opened_at, first_at, last_at, events FROM rule_staged_key WHERE tenant = $1 AND rule_id = $2`, int64(tenant), id)
	return a, err
}

func (a *stagedAccount) add(f *Staged) {
	first, last := f.First/1000, f.Last/1000
	a.first, a.last = min(a.first, first), max(a.last, last)
	// A finding's events count for the day of its first: they lie close together.
	day := a.days[first/dayMicros]
	if day == nil {
		day = &stagedCount{}
		a.days[first/dayMicros] = day
	}
	a.all.n += f.Count
	day.n += f.Count
	k := a.keys[f.Key]
	if k == nil {
		if len(a.keys) >= maxStagedKeys {
			a.unkept += f.Count
			return
		}
		k = &stagedKey{opened: first - wouldMerge, first: first, last: last}
		a.keys[f.Key] = k
		a.added++
	}
	if d := first - k.opened; d >= wouldMerge || d <= -wouldMerge {
		k.opened = first
		k.alerts++
		day.alerts++
		a.all.alerts++
	}
	k.n, k.first, k.last, k.events = k.n+f.Count, min(k.first, first), max(k.last, last), newest(k.events, f.Events)
	if !k.changed {
		k.changed = true
		a.changed = append(a.changed, f.Key)
	}
}

func (a *stagedAccount) store(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	const atOnce = 100
	for names := range slices.Chunk(a.changed, atOnce) {
		var rows []string
		args := []any{int64(tenant), id}
		for _, name := range names {
			k, n := a.keys[name], len(args)
			rows = append(rows, fmt.Sprintf("($1, $2, $%d, $%d, $%d, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5, n+6, n+7))
			args = append(args, name, k.n, k.alerts, k.opened, k.first, k.last, k.events)
		}
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO rule_staged_key (tenant, rule_id, merge_key, n, alerts, opened_at, first_at, last_at, events) VALUES `+strings.Join(rows, ", ")+`
			ON CONFLICT (tenant, rule_id, merge_key) DO UPDATE SET n = excluded.n, alerts = excluded.alerts, opened_at = excluded.opened_at,
				first_at = excluded.first_at, last_at = excluded.last_at, events = excluded.events`, args...); err != nil {
			return err
		}
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO rule_staged (tenant, rule_id, n, alerts, keys, unkept, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (tenant, rule_id) DO UPDATE SET n = rule_staged.n + excluded.n, alerts = rule_staged.alerts + excluded.alerts,
			keys = rule_staged.keys + excluded.keys, unkept = rule_staged.unkept + excluded.unkept,
			first_at = CASE WHEN excluded.first_at < rule_staged.first_at THEN excluded.first_at ELSE rule_staged.first_at END,
			last_at = CASE WHEN excluded.last_at > rule_staged.last_at THEN excluded.last_at ELSE rule_staged.last_at END`,
		int64(tenant), id, a.all.n, a.all.alerts, a.added, a.unkept, a.first, a.last); err != nil {
		return err
	}
	for _, day := range slices.Sorted(maps.Keys(a.days)) {
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO rule_staged_day (tenant, rule_id, day, n, alerts) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (tenant, rule_id, day) DO UPDATE SET n = rule_staged_day.n + excluded.n, alerts = rule_staged_day.alerts + excluded.alerts`,
			int64(tenant), id, day, a.days[day].n, a.days[day].alerts); err != nil {
			return err
		}
	}
	_, err := sqldb.Exec(ctx, tx, fmt.Sprintf(`
		DELETE FROM rule_staged_day WHERE tenant = $1 AND rule_id = $2 AND day <= COALESCE(
			(SELECT d.day FROM rule_staged_day d WHERE d.tenant = $1 AND d.rule_id = $2 ORDER BY d.day DESC LIMIT 1 OFFSET %d), -1000000)`, maxStagedDays), int64(tenant), id)
	return err
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// newest joins ids to those kept, parted by blanks, and leaves the last few.
func newest(kept string, ids []event.ID) string {
	all := strings.Fields(kept)
	for _, id := range ids {
		if text := id.String(); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all[max(0, len(all)-maxStagedEvents):], " ")
}

// forgetStaged begins a rule's account anew.
func forgetStaged(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	for _, table := range []string{"rule_staged", "rule_staged_day", "rule_staged_key"} {
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM `+table+` WHERE tenant = $1 AND rule_id = $2`, int64(tenant), id); err != nil {
			return err
		}
	}
	return nil
}

// A StagedReport says what a rule would have raised since Since.
type StagedReport struct {
	Staged      bool      // it is still staged
	Since       time.Time // its text or stage last changed
	Count       int64     // events
	Alerts      int64     // that it would have raised, findings of one key within 24 hours making one
	Keys        int64     // that are told apart
	Unkept      int64     // events of keys beyond those: of them no alerts are counted
	First, Last *time.Time
	Days        []StagedDay // oldest first, of event time, UTC; at most the newest 60
	ByKey       []StagedKey // most events first; at most 100
}

// A StagedDay is what a staged rule would have raised in a day.
type StagedDay struct {
	Day           time.Time
	Count, Alerts int64
}

// A StagedKey is what a staged rule would have raised for one entity.
type StagedKey struct {
	Key           string
	Count, Alerts int64
	First, Last   time.Time
	Events        []event.ID
}

const shownStagedKeys = 100

// StagedReport returns what the rule would have raised.
func (s *Service) StagedReport(ctx context.Context, tenant uint32, id string) (*StagedReport, error) {
	r := &StagedReport{}
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		d, err := get(ctx, tx, time.Now(), tenant, id)
		if err != nil {
			return err
		}
		r.Staged, r.Since = d.Staged, d.UpdatedAt
		since, err := sqldb.All(ctx, tx, sqldb.Value[int64], `SELECT updated_at FROM rule_status WHERE tenant = $1 AND rule_id = $2
			UNION ALL SELECT r.updated_at`+fromRule+` AND r.id = $2`, int64(tenant), id)
		if err != nil {
			return err
		}
		r.Since = time.UnixMicro(slices.Max(since)).UTC()
		totals, err := sqldb.All(ctx, tx, func(rows *sql.Rows, _ *struct{}) error {
			return rows.Scan(&r.Count, &r.Alerts, &r.Keys, &r.Unkept, sqldb.MicrosOrNull(&r.First), sqldb.MicrosOrNull(&r.Last))
		}, `SELECT n, alerts, keys, unkept, first_at, last_at FROM rule_staged WHERE tenant = $1 AND rule_id = $2`, int64(tenant), id)
		if err != nil || len(totals) == 0 {
			return err
		}
		if r.Days, err = sqldb.All(ctx, tx, func(rows *sql.Rows, x *StagedDay) error {
			var day int64
			err := rows.Scan(&day, &x.Count, &x.Alerts)
			x.Day = time.UnixMicro(day * dayMicros).UTC()
			return err
		}, `SELECT day, n, alerts FROM rule_staged_day WHERE tenant = $1 AND rule_id = $2 ORDER BY day`, int64(tenant), id); err != nil {
			return err
		}
		r.ByKey, err = sqldb.All(ctx, tx, func(rows *sql.Rows, k *StagedKey) error {
			var ids string
			if err := rows.Scan(&k.Key, &k.Count, &k.Alerts, sqldb.Micros(&k.First), sqldb.Micros(&k.Last), &ids); err != nil {
				return err
			}
			for text := range strings.FieldsSeq(ids) {
				id, err := event.ParseID(text)
				if err != nil {
					return err
				}
				k.Events = append(k.Events, id)
			}
			return nil
		}, fmt.Sprintf(`SELECT merge_key, n, alerts, first_at, last_at, events FROM rule_staged_key WHERE tenant = $1 AND rule_id = $2
			ORDER BY n DESC, merge_key LIMIT %d`, shownStagedKeys), int64(tenant), id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("get report of staged rule: %w", err)
	}
	return r, nil
}
