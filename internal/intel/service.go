package intel

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
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

// Service is the use cases of indicators, allow-list and thresholds. It is safe for use
// by several goroutines.
type Service struct {
	db  *sqldb.DB
	log *slog.Logger
	now func() time.Time
}

// New returns the use cases on db; now may be nil.
func New(db *sqldb.DB, log *slog.Logger, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{db: db, log: log, now: now}
}

var errNoIndicator = fault.New(fault.NotFound, "no such indicator")

const indicatorColumns = `id, tenant, type, value, source, feed_id, confidence, severity, tags, description, valid_from, valid_until, disabled, first_seen, last_seen, sightings, last_sighted, version, created_at, created_by, updated_at`

func scanIndicator(rows *sql.Rows, i *Indicator) error {
	var tags string
	err := rows.Scan(&i.ID, &i.Tenant, &i.Type, &i.Value, &i.Source, &i.FeedID, &i.Confidence, &i.Severity, &tags, &i.Description, sqldb.Micros(&i.ValidFrom), sqldb.MicrosOrNull(&i.ValidUntil),
		&i.Disabled, sqldb.Micros(&i.FirstSeen), sqldb.Micros(&i.LastSeen), &i.Sightings, sqldb.MicrosOrNull(&i.LastSighted), &i.Version, sqldb.Micros(&i.CreatedAt), &i.CreatedBy, sqldb.Micros(&i.UpdatedAt))
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(tags), &i.Tags)
}

func tagsText(tags []string) string {
	b, err := json.Marshal(tags)
	if err != nil || tags == nil {
		return "[]"
	}
	return string(b)
}

// isID tells whether a text can be an id.
func isID(s string) bool { return len(s) == len(uuid.Nil.String()) && sane(s) }

// sane tells whether a text from outside may go into a query: PostgreSQL refuses what is
// no UTF-8.
func sane(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// Get returns the tenant's indicator of that id.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Indicator, error) {
	return indicatorByID(ctx, s.db, tenant, id)
}

func indicatorByID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Indicator, error) {
	if !isID(id) {
		return nil, errNoIndicator
	}
	i, err := sqldb.One(ctx, db, scanIndicator, `SELECT `+indicatorColumns+` FROM intel_indicator WHERE id = $1 AND tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoIndicator
	}
	if err != nil {
		return nil, fmt.Errorf("get indicator: %w", err)
	}
	return &i, nil
}

// A Filter chooses indicators; zero fields choose all.
type Filter struct {
	Types         []Type
	Value         string // the whole value, in any form
	Search        string // a part of the value
	Sources       []string
	Tags          []string // one of them
	Severities    []string
	FeedID        string
	Active        *bool // now
	Sighted       *bool // seen here at least once
	MinConfidence int
}

// Sorts lists what indicators can be sorted by, the standard first.
var Sorts = []string{"createdAt", "sightings", "confidence", "lastSeen"}

var sortColumns = map[string]string{"createdAt": "id", "sightings": "sightings", "confidence": "confidence", "lastSeen": "last_seen"}

// where is a filter as SQL with its arguments.
func (f *Filter) where(tenant uint32, now time.Time) (string, []any) {
	args := []any{int64(tenant)}
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	var b strings.Builder
	b.WriteString(" WHERE tenant = $1")
	in := func(column string, values []string) {
		if len(values) == 0 {
			return
		}
		places := make([]string, len(values))
		for i, v := range values {
			places[i] = arg(clean(v))
		}
		b.WriteString(" AND " + column + " IN (" + strings.Join(places, ", ") + ")")
	}
	types := make([]string, len(f.Types))
	for i, t := range f.Types {
		types[i] = string(t)
	}
	in("type", types)
	in("source", f.Sources)
	in("severity", f.Severities)
	if f.FeedID != "" {
		in("feed_id", []string{f.FeedID})
	}
	if f.Value != "" {
		values := []string{clean(f.Value)}
		if _, v, err := Guess(f.Value); err == nil {
			values = append(values, v)
		}
		in("value", values)
	}
	if f.Search != "" {
		b.WriteString(" AND value LIKE " + arg("%"+escapeLike(strings.ToLower(clean(Refang(f.Search))))+"%") + ` ESCAPE '\'`)
	}
	if len(f.Tags) > 0 {
		var any []string
		for _, t := range f.Tags {
			quoted, _ := json.Marshal(clean(t)) // a text
			any = append(any, "tags LIKE "+arg("%"+escapeLike(string(quoted))+"%")+` ESCAPE '\'`)
		}
		b.WriteString(" AND (" + strings.Join(any, " OR ") + ")")
	}
	if f.MinConfidence > 0 {
		b.WriteString(" AND confidence >= " + arg(f.MinConfidence))
	}
	if f.Sighted != nil {
		b.WriteString(map[bool]string{true: " AND sightings > 0", false: " AND sightings = 0"}[*f.Sighted])
	}
	if f.Active != nil {
		at := arg(now.UnixMicro())
		is := "NOT disabled AND valid_from <= " + at + " AND (valid_until IS NULL OR valid_until > " + at + ")"
		if !*f.Active {
			is = "NOT (" + is + ")"
		}
		b.WriteString(" AND (" + is + ")")
	}
	return b.String(), args
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// A Query asks for one page.
type Query struct {
	Filter
	Sort       string // one of Sorts
	Ascending  bool
	Page, Size int
}

// List returns one page of the tenant's indicators and how many there are on all.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) ([]Indicator, int64, error) {
	column := sortColumns[q.Sort]
	if column == "" {
		return nil, 0, fault.New(fault.Invalid, "Allowed: %s", strings.Join(Sorts, ", ")).In("sort")
	}
	direction := "DESC"
	if q.Ascending {
		direction = "ASC"
	}
	where, args := q.where(tenant, s.now())
	order := column + " " + direction
	if column != "id" {
		order += ", id " + direction
	}
	var list []Indicator
	var total int64
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM intel_indicator`+where, args...); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scanIndicator, fmt.Sprintf(`SELECT %s FROM intel_indicator%s ORDER BY %s LIMIT %d OFFSET %d`, indicatorColumns, where, order, q.Size, int64(q.Page)*int64(q.Size)), args...)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list indicators: %w", err)
	}
	return list, total, nil
}

// Stream yields all indicators that f chooses, from one snapshot, the newest first.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Indicator, error] {
	return func(yield func(Indicator, error) bool) {
		where, args := f.where(tenant, s.now())
		stopped := false
		err := s.db.View(ctx, func(tx *sqldb.DB) error {
			for i, err := range sqldb.Stream(ctx, tx, scanIndicator, `SELECT `+indicatorColumns+` FROM intel_indicator`+where+` ORDER BY id DESC`, args...) {
				if err != nil {
					return err
				}
				if stopped = !yield(i, nil); stopped {
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(Indicator{}, fmt.Errorf("stream indicators: %w", err))
		}
	}
}

// Lookup returns the indicators that an event with the value would be matched by now:
// the value itself, networks that hold it, domains above it, the host of a URL. It
// includes those that are not active, and tells whether the value is allowed.
func (s *Service) Lookup(ctx context.Context, tenant uint32, value string) (list []Indicator, allowed *Allowed, err error) {
	t, v, err := Guess(value)
	if err != nil {
		return nil, nil, err
	}
	values := covering(t, v)
	places, args := make([]string, len(values)), []any{int64(tenant)}
	for i, v := range values {
		args = append(args, v)
		places[i] = fmt.Sprintf("$%d", len(args))
	}
	these := ` WHERE tenant = $1 AND value IN (` + strings.Join(places, ", ") + `)`
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		if list, err = sqldb.All(ctx, tx, scanIndicator, `SELECT `+indicatorColumns+` FROM intel_indicator`+these+` ORDER BY confidence DESC, id LIMIT 100`, args...); err != nil {
			return err
		}
		all, err := sqldb.All(ctx, tx, scanAllowed, `SELECT `+allowColumns+` FROM intel_allow`+these+` ORDER BY id LIMIT 1`, args...)
		if len(all) > 0 {
			allowed = &all[0]
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("look up indicator: %w", err)
	}
	return list, allowed, nil
}

// Patch is what people change of an indicator; nil leaves it.
type Patch struct {
	Confidence  *int
	Severity    *string
	Tags        []string
	Description *string
	ValidUntil  **time.Time
	Active      *bool
	Version     int64 // that is to be changed; 0: any
}

// Change applies p. A clash of versions is fault.Conflict in "version".
func (s *Service) Change(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Indicator, error) {
	var i *Indicator
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if i, err = indicatorByID(ctx, tx, tenant, id); err != nil {
			return err
		}
		if p.Version != 0 && p.Version != i.Version {
			return fault.New(fault.Conflict, "the indicator has changed since").In("version")
		}
		before := changeable(i)
		if err := p.apply(i); err != nil {
			return err
		}
		i.Version++
		i.UpdatedAt = s.now().UTC().Truncate(time.Microsecond)
		if _, err := sqldb.Exec(ctx, tx, `UPDATE intel_indicator SET confidence = $1, severity = $2, tags = $3, description = $4, valid_until = $5, disabled = $6, gone = FALSE, version = $7, updated_at = $8 WHERE id = $9`,
			i.Confidence, i.Severity, tagsText(i.Tags), i.Description, sqldb.Nullable(i.ValidUntil), i.Disabled, i.Version, i.UpdatedAt.UnixMicro(), i.ID); err != nil {
			return err
		}
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: i.UpdatedAt, Actor: actor, Action: "indicator.update", Object: i.ID, Detail: map[string]any{"type": i.Type, "value": i.Value, "before": before, "after": changeable(i)}})
	})
	if err != nil {
		return nil, fmt.Errorf("change indicator: %w", err)
	}
	return i, nil
}

func changeable(i *Indicator) map[string]any {
	return map[string]any{"confidence": i.Confidence, "severity": i.Severity, "tags": i.Tags, "description": i.Description, "validUntil": i.ValidUntil, "active": !i.Disabled}
}

func (p *Patch) apply(i *Indicator) error {
	if p.Confidence != nil {
		if i.Confidence = *p.Confidence; i.Confidence < 0 || i.Confidence > 100 {
			return fault.New(fault.Invalid, "Allowed: 0 to 100").In("confidence")
		}
	}
	if p.Severity != nil {
		if i.Severity = strings.ToLower(*p.Severity); !slices.Contains(event.Severities, i.Severity) {
			return fault.New(fault.Invalid, "Allowed: %s", strings.Join(event.Severities, ", ")).In("severity")
		}
	}
	if p.Tags != nil {
		var err error
		if i.Tags, err = checkTags(p.Tags); err != nil {
			return err
		}
	}
	if p.Description != nil {
		i.Description = clip(clean(*p.Description), maxDescription)
	}
	if p.ValidUntil != nil {
		i.ValidUntil = *p.ValidUntil
	}
	if p.Active != nil {
		i.Disabled = !*p.Active
	}
	return nil
}

// Delete removes an indicator. What was seen of its value stays while another source
// names it.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		i, err := indicatorByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM intel_indicator WHERE id = $1`, id); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM intel_sighting WHERE tenant = $1 AND type = $2 AND value = $3
			AND NOT EXISTS (SELECT 1 FROM intel_indicator o WHERE o.tenant = $1 AND o.type = $2 AND o.value = $3)`, int64(tenant), string(i.Type), i.Value); err != nil {
			return err
		}
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "indicator.delete", Object: id, Detail: map[string]any{"type": i.Type, "value": i.Value, "source": i.Source}})
	})
	if err != nil {
		return fmt.Errorf("delete indicator: %w", err)
	}
	return nil
}

// bump has matchers read the tenant's indicators anew.
func bump(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO intel_generation (tenant, generation) VALUES ($1, 1)
		ON CONFLICT (tenant) DO UPDATE SET generation = intel_generation.generation + 1`, int64(tenant))
	return err
}
