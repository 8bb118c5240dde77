package risk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	dayMicros  = int64(24 * time.Hour / time.Microsecond)
	hourMicros = int64(time.Hour / time.Microsecond)
)

// score computes the scores of entities anew, writes them, and raises what risk rules
// say of the change.
func (s *Service) score(ctx context.Context, tx *sqldb.DB, tenant uint32, keys []Key) error {
	if len(keys) == 0 {
		return nil
	}
	now := s.now()
	set, err := settingsOf(ctx, tx, tenant)
	if err != nil {
		return err
	}
	parts := make([]contributed, len(keys))
	rules := map[string]bool{}
	for i, k := range keys {
		if parts[i], err = contributionsOf(ctx, tx, tenant, k, now); err != nil {
			return err
		}
		for j := range parts[i].all {
			rules[parts[i].all[j].RuleID] = true
		}
	}
	confidence, err := s.confidence(ctx, tenant, rules)
	if err != nil {
		return err
	}
	worth := map[Key]Worth{}
	if s.Worth != nil {
		if worth, err = s.Worth(ctx, tx, tenant, keys); err != nil {
			return err
		}
	}
	var findings []alert.Finding
	for i, k := range keys {
		score, x := set.explain(parts[i].all, confidence, worth[k], now)
		raised, err := s.write(ctx, tx, tenant, k, &parts[i], set, score, x, now)
		if err != nil {
			return err
		}
		findings = append(findings, raised...)
	}
	if s.Record == nil || len(findings) == 0 {
		return nil
	}
	return s.Record(ctx, tx, now, findings)
}

func (s *Service) confidence(ctx context.Context, tenant uint32, rules map[string]bool) (map[string]float64, error) {
	if s.Confidence == nil || len(rules) == 0 {
		return nil, nil
	}
	ids := make([]string, 0, len(rules))
	for id := range rules {
		ids = append(ids, id)
	}
	return s.Confidence(ctx, tenant, ids)
}

// contributed is what alerts add to one entity.
type contributed struct {
	all   []Contribution // the newest first
	label string         // of the newest
}

func contributionsOf(ctx context.Context, tx *sqldb.DB, tenant uint32, k Key, now time.Time) (contributed, error) {
	var out contributed
	all, err := sqldb.All(ctx, tx, func(rows *sql.Rows, c *Contribution) error {
		var label string
		err := rows.Scan(&c.AlertID, &label, &c.Hit, &c.RuleID, &c.RuleName, &c.Title, &c.Severity, &c.Status, &c.Verdict, &c.Occurrences, sqldb.Micros(&c.At))
		if out.label == "" {
			out.label = label
		}
		return err
	}, `SELECT alert, label, indicator, rule, rule_name, title, severity, status, verdict, occurrences, at FROM risk_contribution
		WHERE tenant = $1 AND kind = $2 AND entity = $3 AND at >= $4 ORDER BY at DESC, alert DESC LIMIT $5`,
		int64(tenant), string(k.Kind), k.Value, now.Add(-maxAge).UnixMicro(), maxCounted)
	out.all = all
	return out, err
}

// write keeps a score that was computed, and returns what the rules raise because of it.
func (s *Service) write(ctx context.Context, tx *sqldb.DB, tenant uint32, k Key, c *contributed, set *Settings, score int64, x Explanation, now time.Time) ([]alert.Finding, error) {
	e, err := sqldb.One(ctx, tx, scanEntity, selectEntity+` WHERE tenant = $1 AND kind = $2 AND entity = $3`, int64(tenant), string(k.Kind), k.Value)
	known := err == nil
	switch {
	case errors.Is(err, fault.NotFound) && len(c.all) == 0:
		return nil, nil
	case errors.Is(err, fault.NotFound):
		id, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		e = Entity{ID: id.String(), Kind: k.Kind, CreatedAt: now, key: k.Value}
	case err != nil:
		return nil, err
	}
	before := e.Score
	e.Score, e.Level, e.Contributions, e.ComputedAt = score, set.Levels.level(score), int64(len(c.all)), now
	if len(c.all) > 0 {
		e.LastSeen, e.Label = c.all[0].At, c.label
	}
	day := now.UnixMicro() / dayMicros
	yesterday, err := sqldb.All(ctx, tx, sqldb.Value[int64], `SELECT last FROM risk_day WHERE entity = $1 AND day < $2 ORDER BY day DESC LIMIT 1`, e.ID, day)
	if err != nil {
		return nil, err
	}
	e.Trend = score
	if len(yesterday) > 0 {
		e.Trend -= yesterday[0]
	}
	if err := e.store(ctx, tx, tenant, known); err != nil {
		return nil, err
	}
	if err := x.store(ctx, tx, e.ID); err != nil {
		return nil, err
	}
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO risk_day (entity, day, highest, last) VALUES ($1, $2, $3, $3)
		ON CONFLICT (entity, day) DO UPDATE SET highest = CASE WHEN excluded.last > risk_day.highest THEN excluded.last ELSE risk_day.highest END, last = excluded.last`, e.ID, day, score); err != nil {
		return nil, err
	}
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO risk_hour (entity, hour, lowest) VALUES ($1, $2, $3)
		ON CONFLICT (entity, hour) DO UPDATE SET lowest = CASE WHEN excluded.lowest < risk_hour.lowest THEN excluded.lowest ELSE risk_hour.lowest END`, e.ID, now.UnixMicro()/hourMicros, min(before, score)); err != nil {
		return nil, err
	}
	return s.raise(ctx, tx, tenant, set, &e, before, now)
}

func (e *Entity) store(ctx context.Context, tx *sqldb.DB, tenant uint32, known bool) error {
	if known {
		_, err := sqldb.Exec(ctx, tx, `UPDATE risk_entity SET label = $1, score = $2, trend = $3, level = $4, contributions = $5, last_seen = $6, computed_at = $7 WHERE id = $8`,
			e.Label, e.Score, e.Trend, e.Level, e.Contributions, e.LastSeen.UnixMicro(), e.ComputedAt.UnixMicro(), e.ID)
		return err
	}
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO risk_entity (id, tenant, kind, entity, label, score, trend, level, contributions, last_seen, computed_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		e.ID, int64(tenant), string(e.Kind), e.key, e.Label, e.Score, e.Trend, e.Level, e.Contributions, e.LastSeen.UnixMicro(), e.ComputedAt.UnixMicro(), e.CreatedAt.UnixMicro())
	return err
}

func (x *Explanation) store(ctx context.Context, tx *sqldb.DB, id string) error {
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO risk_explanation (entity, parts) VALUES ($1, $2) ON CONFLICT (entity) DO UPDATE SET parts = excluded.parts`, id, string(text))
	return err
}

const selectEntity = `SELECT id, kind, entity, label, score, trend, level, contributions, last_seen, computed_at, watched, notes, version, created_at, updated_by FROM risk_entity`

func scanEntity(rows *sql.Rows, e *Entity) error {
	return rows.Scan(&e.ID, &e.Kind, &e.key, &e.Label, &e.Score, &e.Trend, &e.Level, &e.Contributions, sqldb.Micros(&e.LastSeen), sqldb.Micros(&e.ComputedAt), &e.Watched, &e.Notes, &e.Version, sqldb.Micros(&e.CreatedAt), &e.UpdatedBy)
}
