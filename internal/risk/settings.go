package risk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Settings say what weighs how much. Every field is one that a tenant may change.
type Settings struct {
	HalfLifeHours float64            `json:"halfLifeHours"` // after which an alert weighs half
	Severity      map[string]float64 `json:"severity"`      // weight of an alert, by severity
	Verdict       VerdictSettings    `json:"verdict"`
	Repeats       float64            `json:"repeats"`   // what each doubling of occurrences adds to the factor
	Indicator     float64            `json:"indicator"` // factor of a sighting of an indicator
	Scale         float64            `json:"scale"`     // total weight at which the score is 63
	Levels        LevelSettings      `json:"levels"`
	Rules         []Rule             `json:"rules"`

	Version   int64     `json:"-"` // 0 where nothing was ever changed
	UpdatedAt time.Time `json:"-"`
	UpdatedBy string    `json:"-"`
}

// VerdictSettings are factors by what triage found. A false positive counts nothing.
type VerdictSettings struct {
	Undecided    float64 `json:"undecided"`
	Resolved     float64 `json:"resolved"` // resolved without a verdict
	TruePositive float64 `json:"truePositive"`
	Inconclusive float64 `json:"inconclusive"`
	Benign       float64 `json:"benign"`
}

// LevelSettings are the scores from which on a level holds.
type LevelSettings struct {
	Medium   int `json:"medium"`
	High     int `json:"high"`
	Critical int `json:"critical"`
}

// A Rule raises an alert about an entity whose score says so.
type Rule struct {
	ID       string `json:"id"` // UUID; the alerts' rule
	Name     string `json:"name"`
	Enabled  bool   `json:"enabled"`
	When     string `json:"when"`        // Reaches or Rises
	Score    int    `json:"score"`       // that is reached, or by how much it rises
	Hours    int    `json:"hours"`       // within which it rises; of no meaning otherwise
	Kinds    []Kind `json:"entityTypes"` // of entities; none means all
	Severity string `json:"severity"`    // of the alert
	Watched  bool   `json:"onlyWatched"` // only of entities that are watched
}

// What a rule may wait for.
const (
	Reaches = "reaches" // the score reaches Score from below
	Rises   = "rises"   // the score rises by Score within Hours
)

// Ids of the rules that every tenant begins with.
const (
	RuleReaches = "6a1f3c52-0d0e-4f0e-9d3b-5a8f2b7c4e01"
	RuleRises   = "6a1f3c52-0d0e-4f0e-9d3b-5a8f2b7c4e02"
)

// Defaults are the settings of a tenant that has changed none.
func Defaults() Settings {
	return Settings{
		HalfLifeHours: 7 * 24,
		Severity:      map[string]float64{"critical": 40, "high": 25, "medium": 10, "low": 4, "info": 1},
		Verdict:       VerdictSettings{Undecided: 1, Resolved: 0.5, TruePositive: 1.5, Inconclusive: 0.7, Benign: 0},
		Repeats:       0.1, Indicator: 1.3, Scale: 50,
		Levels: LevelSettings{Medium: 30, High: 60, Critical: 80},
		Rules: []Rule{
			{ID: RuleReaches, Name: "Risk is critical", Enabled: true, When: Reaches, Score: 80, Severity: "high"},
			{ID: RuleRises, Name: "Risk of a watched entity rises fast", Enabled: true, When: Rises, Score: 20, Hours: 24, Severity: "medium", Watched: true},
		},
	}
}

const (
	maxRules    = 50
	maxRuleName = 200 // characters
	maxHours    = 7 * 24
)

// check refuses what cannot be meant, and gives new rules an id.
func (s *Settings) check() error {
	within := func(field string, v, low, high float64) error {
		if math.IsNaN(v) || v < low || v > high {
			return fault.New(fault.Invalid, "Allowed: %g to %g", low, high).In(field)
		}
		return nil
	}
	err := errors.Join(
		within("halfLifeHours", s.HalfLifeHours, 1, 24*365), within("repeats", s.Repeats, 0, 1), within("indicator", s.Indicator, 0, 10), within("scale", s.Scale, 1, 10_000),
		within("verdict.undecided", s.Verdict.Undecided, 0, 10), within("verdict.resolved", s.Verdict.Resolved, 0, 10), within("verdict.truePositive", s.Verdict.TruePositive, 0, 10),
		within("verdict.inconclusive", s.Verdict.Inconclusive, 0, 10), within("verdict.benign", s.Verdict.Benign, 0, 10),
	)
	if err != nil {
		return first(err)
	}
	for _, sev := range event.Severities {
		w, ok := s.Severity[sev]
		if !ok {
			return fault.New(fault.Invalid, "Give a weight for each of %s", strings.Join(event.Severities, ", ")).In("severity")
		}
		if err := within("severity."+sev, w, 0, 1000); err != nil {
			return err
		}
	}
	if len(s.Severity) != len(event.Severities) {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(event.Severities, ", ")).In("severity")
	}
	if l := s.Levels; l.Medium < 1 || l.Medium >= l.High || l.High >= l.Critical || l.Critical > 100 {
		return fault.New(fault.Invalid, "Allowed: 1 ≤ medium < high < critical ≤ 100").In("levels")
	}
	return s.checkRules()
}

// first is the first of joined errors.
func first(err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()[0]
	}
	return err
}

func (s *Settings) checkRules() error {
	if len(s.Rules) > maxRules {
		return fault.New(fault.Invalid, "Allowed: at most %d rules", maxRules).In("rules")
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for i := range s.Rules {
		r := &s.Rules[i]
		field := func(name string) string { return fmt.Sprintf("rules[%d].%s", i, name) }
		if r.ID == "" {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			r.ID = id.String()
		}
		id, err := uuid.Parse(r.ID)
		if err != nil || ids[id.String()] {
			return fault.New(fault.Invalid, "Leave it out for a new rule, or give that of a rule once").In(field("id"))
		}
		r.ID = id.String()
		r.Name = strings.TrimSpace(r.Name)
		switch {
		case r.Name == "" || utf8.RuneCountInString(r.Name) > maxRuleName || names[strings.ToLower(r.Name)]:
			return fault.New(fault.Invalid, "Allowed: 1 to %d characters, another for each rule", maxRuleName).In(field("name"))
		case r.When != Reaches && r.When != Rises:
			return fault.New(fault.Invalid, "Allowed: %s, %s", Reaches, Rises).In(field("when"))
		case r.Score < 1 || r.Score > 100:
			return fault.New(fault.Invalid, "Allowed: 1 to 100").In(field("score"))
		case r.When == Rises && (r.Hours < 1 || r.Hours > maxHours):
			return fault.New(fault.Invalid, "Allowed: 1 to %d", maxHours).In(field("hours"))
		case event.SeverityRank(r.Severity) == 0:
			return fault.New(fault.Invalid, "Allowed: %s", strings.Join(event.Severities, ", ")).In(field("severity"))
		}
		for _, k := range r.Kinds {
			if !slices.Contains(Kinds, k) {
				return fault.New(fault.Invalid, "Allowed: asset, identity, address").In(field("entityTypes"))
			}
		}
		names[strings.ToLower(r.Name)], ids[r.ID] = true, true
	}
	return nil
}

// Settings returns those of the tenant.
func (s *Service) Settings(ctx context.Context, tenant uint32) (*Settings, error) {
	set, err := settingsOf(ctx, s.DB, tenant)
	if err != nil {
		return nil, fmt.Errorf("get risk settings: %w", err)
	}
	return set, nil
}

func settingsOf(ctx context.Context, db *sqldb.DB, tenant uint32) (*Settings, error) {
	set := Defaults()
	var text string
	_, err := sqldb.One(ctx, db, func(rows *sql.Rows, _ *struct{}) error {
		return rows.Scan(&text, &set.Version, sqldb.Micros(&set.UpdatedAt), &set.UpdatedBy)
	}, `SELECT settings, version, updated_at, updated_by FROM risk_settings WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return &set, nil
	}
	if err != nil {
		return nil, err
	}
	set.Rules = nil
	return &set, json.Unmarshal([]byte(text), &set)
}

// Change edits the tenant's settings and has every score computed anew by them. version
// is the one that the caller has seen, 0 for any; another is fault.Conflict.
func (s *Service) Change(ctx context.Context, tenant uint32, actor string, version int64, edit func(*Settings)) (*Settings, error) {
	var set *Settings
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		before, err := settingsOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if version != 0 && version != before.Version {
			return fault.New(fault.Conflict, "the settings have changed since").In("version")
		}
		if set, err = settingsOf(ctx, tx, tenant); err != nil {
			return err
		}
		edit(set)
		if err := set.check(); err != nil {
			return err
		}
		text, err := json.Marshal(set)
		if err != nil {
			return err
		}
		now := s.now()
		set.Version, set.UpdatedAt, set.UpdatedBy = before.Version+1, now, actor
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO risk_settings (tenant, settings, version, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (tenant) DO UPDATE SET settings = excluded.settings, version = excluded.version, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
			int64(tenant), string(text), set.Version, now.UnixMicro(), actor); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE risk_entity SET computed_at = 0 WHERE tenant = $1`, int64(tenant)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "risk.settings", Detail: map[string]any{"from": before, "to": set}})
	})
	if err != nil {
		return nil, fmt.Errorf("change risk settings: %w", err)
	}
	return set, nil
}
