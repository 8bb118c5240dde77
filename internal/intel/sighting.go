package intel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Sighting is what was seen of an indicator on one day in one field with one entity
// on our side.
type Sighting struct {
	Day         time.Time
	Field       string
	Entity      string // host, user or address on our side
	AlertID     string // "" where it raised none
	First, Last time.Time
	Events      int64
	EventID     string // the newest
}

// IsFinding tells whether a finding is of an indicator, and of which type.
func IsFinding(f *alert.Finding) (Type, bool) {
	for t, id := range ruleIDs {
		if f.Rule.ID == id {
			return t, true
		}
	}
	return "", false
}

// Apart splits findings of indicators that only count from those that raise alerts,
// and leaves other findings where they are.
func Apart(findings []alert.Finding) (raise, count []alert.Finding) {
	if !slices.ContainsFunc(findings, func(f alert.Finding) bool { return f.Staged && isOurs(&f) }) {
		return findings, nil
	}
	for i := range findings {
		if f := &findings[i]; f.Staged && isOurs(f) {
			count = append(count, *f)
		} else {
			raise = append(raise, *f)
		}
	}
	return raise, count
}

func isOurs(f *alert.Finding) bool {
	_, ok := IsFinding(f)
	return ok
}

type sightingKey struct {
	tenant        uint32
	t             Type
	value         string
	day           int64
	field, entity string
}

type indicatorKey struct {
	tenant uint32
	t      Type
	value  string
}

// Record counts sightings in the transaction that writes the findings: those that
// raised alerts, with what became of each, and those that only count.
func Record(ctx context.Context, tx *sqldb.DB, raised []alert.Finding, outcomes []alert.Outcome, counted []alert.Finding) error {
	rows := map[sightingKey]*Sighting{}
	totals := map[indicatorKey]*Sighting{}
	add := func(f *alert.Finding, alertID string) {
		t, ok := IsFinding(f)
		if !ok || len(f.Values[valueIndicator]) == 0 {
			return
		}
		key := sightingKey{tenant: f.Tenant, t: t, value: f.Values[valueIndicator][0], day: f.Last / int64(24*time.Hour)}
		if v := f.Values["indicator_field"]; len(v) > 0 {
			key.field = clip(clean(v[0]), 100)
		}
		if len(f.Entities) > 0 && f.Entities[0].Field != key.field {
			key.entity = clip(clean(f.Entities[0].Value), 255)
		}
		merge := func(s *Sighting) {
			first, last := time.Unix(0, f.First), time.Unix(0, f.Last)
			if s.First.IsZero() || first.Before(s.First) {
				s.First = first
			}
			if s.EventID == "" || !last.Before(s.Last) {
				s.Last = last
				if n := len(f.Events); n > 0 {
					s.EventID = f.Events[n-1].String()
				}
			}
			if alertID != "" {
				s.AlertID = alertID
			}
			s.Events += f.Count
		}
		if rows[key] == nil {
			rows[key] = &Sighting{}
		}
		merge(rows[key])
		total := indicatorKey{key.tenant, key.t, key.value}
		if totals[total] == nil {
			totals[total] = &Sighting{}
		}
		merge(totals[total])
	}
	for i := range raised {
		add(&raised[i], outcomes[i].Alert.ID)
	}
	for i := range counted {
		add(&counted[i], "")
	}
	return store(ctx, tx, rows, totals)
}

// store writes in a fixed order, so that two writers do not wait for each other.
func store(ctx context.Context, tx *sqldb.DB, rows map[sightingKey]*Sighting, totals map[indicatorKey]*Sighting) error {
	keys := make([]indicatorKey, 0, len(totals))
	for k := range totals {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b indicatorKey) int {
		return strings.Compare(fmt.Sprint(a.tenant, a.t, a.value), fmt.Sprint(b.tenant, b.t, b.value))
	})
	for _, k := range keys {
		s := totals[k]
		if _, err := sqldb.Exec(ctx, tx, `UPDATE intel_indicator SET sightings = sightings + $1,
			last_sighted = CASE WHEN last_sighted IS NULL OR last_sighted < $2 THEN $2 ELSE last_sighted END WHERE tenant = $3 AND type = $4 AND value = $5`,
			s.Events, s.Last.UnixMicro(), int64(k.tenant), string(k.t), k.value); err != nil {
			return fmt.Errorf("count sightings: %w", err)
		}
	}
	for k, s := range rows {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO intel_sighting (tenant, type, value, day, field, entity, alert_id, first_at, last_at, events, event_id)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (tenant, type, value, day, field, entity) DO UPDATE SET
			alert_id = CASE WHEN excluded.alert_id <> '' THEN excluded.alert_id ELSE intel_sighting.alert_id END,
			first_at = CASE WHEN excluded.first_at < intel_sighting.first_at THEN excluded.first_at ELSE intel_sighting.first_at END,
			event_id = CASE WHEN excluded.last_at >= intel_sighting.last_at THEN excluded.event_id ELSE intel_sighting.event_id END,
			last_at = CASE WHEN excluded.last_at > intel_sighting.last_at THEN excluded.last_at ELSE intel_sighting.last_at END,
			events = intel_sighting.events + excluded.events`,
			int64(k.tenant), string(k.t), k.value, k.day, k.field, k.entity, s.AlertID, s.First.UnixMicro(), s.Last.UnixMicro(), s.Events, s.EventID); err != nil {
			return fmt.Errorf("write sighting: %w", err)
		}
	}
	return nil
}

// Sightings returns one page of what was seen of an indicator, the newest first.
func (s *Service) Sightings(ctx context.Context, tenant uint32, id string, page, size int) ([]Sighting, int64, error) {
	i, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, 0, err
	}
	var list []Sighting
	var total int64
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		const these = ` FROM intel_sighting WHERE tenant = $1 AND type = $2 AND value = $3`
		var err error
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*)`+these, int64(tenant), string(i.Type), i.Value); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, func(rows *sql.Rows, x *Sighting) error {
			var day int64
			err := rows.Scan(&day, &x.Field, &x.Entity, &x.AlertID, sqldb.Micros(&x.First), sqldb.Micros(&x.Last), &x.Events, &x.EventID)
			x.Day = time.Unix(day*24*60*60, 0).UTC()
			return err
		}, fmt.Sprintf(`SELECT day, field, entity, alert_id, first_at, last_at, events, event_id%s ORDER BY day DESC, last_at DESC, field, entity LIMIT %d OFFSET %d`, these, size, int64(page)*int64(size)),
			int64(tenant), string(i.Type), i.Value)
		return err
	})
	if err != nil && !errors.Is(err, fault.NotFound) {
		err = fmt.Errorf("list sightings: %w", err)
	}
	return list, total, err
}
