package rule

import (
	"context"
	"database/sql"
	"fmt"
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
	for i := range findings {
		f := &findings[i]
		if err := recordStaged(ctx, tx, f); err != nil {
			return fmt.Errorf("keep finding of staged rule %s: %w", f.RuleID, err)
		}
	}
	return nil
}

type stagedKey struct {
	n, alerts, opened, first, last int64
	events                         string
}

func recordStaged(ctx context.Context, tx *sqldb.DB, f *Staged) error {
	tenant, first, last := int64(f.Tenant), f.First/1000, f.Last/1000
	kept, err := sqldb.All(ctx, tx, func(rows *sql.Rows, k *stagedKey) error {
		return rows.Scan(&k.n, &k.alerts, &k.opened, &k.first, &k.last, &k.events)
	}, `SELECT n, alerts, opened_at, first_at, last_at, events FROM rule_staged_key WHERE tenant = $1 AND rule_id = $2 AND merge_key = $3`, tenant, f.RuleID, f.Key)
	if err != nil {
		return err
	}
	var k stagedKey
	var alerts, keys, unkept int64
	switch {
	case len(kept) > 0:
		k = kept[0]
		if d := first - k.opened; d >= wouldMerge || d <= -wouldMerge {
			alerts, k.opened = 1, first
		}
	default:
		have, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM rule_staged_key WHERE tenant = $1 AND rule_id = $2`, tenant, f.RuleID)
		if err != nil {
			return err
		}
		k = stagedKey{opened: first, first: first, last: last}
		if have < maxStagedKeys {
			alerts, keys = 1, 1
		} else {
			unkept = f.Count
		}
	}
	if unkept == 0 {
		k.n, k.alerts, k.first, k.last = k.n+f.Count, k.alerts+alerts, min(k.first, first), max(k.last, last)
		k.events = newest(k.events, f.Events)
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO rule_staged_key (tenant, rule_id, merge_key, n, alerts, opened_at, first_at, last_at, events) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (tenant, rule_id, merge_key) DO UPDATE SET n = excluded.n, alerts = excluded.alerts, opened_at = excluded.opened_at,
				first_at = excluded.first_at, last_at = excluded.last_at, events = excluded.events`,
			tenant, f.RuleID, f.Key, k.n, k.alerts, k.opened, k.first, k.last, k.events); err != nil {
			return err
		}
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO rule_staged (tenant, rule_id, n, alerts, keys, unkept, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (tenant, rule_id) DO UPDATE SET n = rule_staged.n + excluded.n, alerts = rule_staged.alerts + excluded.alerts,
			keys = rule_staged.keys + excluded.keys, unkept = rule_staged.unkept + excluded.unkept,
			first_at = CASE WHEN excluded.first_at < rule_staged.first_at THEN excluded.first_at ELSE rule_staged.first_at END,
			last_at = CASE WHEN excluded.last_at > rule_staged.last_at THEN excluded.last_at ELSE rule_staged.last_at END`,
		tenant, f.RuleID, f.Count, alerts, keys, unkept, first, last); err != nil {
		return err
	}
	// A finding's events count for the day of its first: they lie close together.
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO rule_staged_day (tenant, rule_id, day, n, alerts) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant, rule_id, day) DO UPDATE SET n = rule_staged_day.n + excluded.n, alerts = rule_staged_day.alerts + excluded.alerts`,
		tenant, f.RuleID, first/dayMicros, f.Count, alerts); err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, fmt.Sprintf(`
		DELETE FROM rule_staged_day WHERE tenant = $1 AND rule_id = $2 AND day <= COALESCE(
			(SELECT d.day FROM rule_staged_day d WHERE d.tenant = $1 AND d.rule_id = $2 ORDER BY d.day DESC LIMIT 1 OFFSET %d), -1000000)`, maxStagedDays), tenant, f.RuleID)
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
