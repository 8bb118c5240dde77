package risk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

var errNone = fault.New(fault.NotFound, "no such entity")

// A Filter chooses entities; zero fields choose all.
type Filter struct {
	Kinds    []Kind
	Levels   []string
	MinScore int64  // hundredths
	Search   string // part of the name, in any case
	Watched  *bool
}

// Sorts lists what entities can be sorted by, the default first.
var Sorts = []string{"score", "trend", "lastSeen"}

var columns = map[string]string{"score": "score", "trend": "trend", "lastSeen": "last_seen"}

// A Query asks for one page.
type Query struct {
	Filter
	Sort       string
	Ascending  bool
	Page, Size int // Page from 0; Size 1 to 100, 0 for 20
}

// A Page is part of a list.
type Page struct {
	Entities []Entity // never nil
	Total    int64
}

// where is the condition of f, and its arguments.
func (f *Filter) where(tenant uint32) (string, []any, error) {
	args := []any{int64(tenant)}
	p := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var b strings.Builder
	b.WriteString(` WHERE tenant = $1`)
	in := func(column string, values []string) {
		if len(values) == 0 {
			return
		}
		places := make([]string, len(values))
		for i, v := range values {
			places[i] = p(v)
		}
		b.WriteString(` AND ` + column + ` IN (` + strings.Join(places, ", ") + `)`)
	}
	kinds := make([]string, len(f.Kinds))
	for i, k := range f.Kinds {
		if !slices.Contains(Kinds, k) {
			return "", nil, fault.New(fault.Invalid, "Allowed: asset, identity, address").In("entityType")
		}
		kinds[i] = string(k)
	}
	for _, l := range f.Levels {
		if !knownLevel(l) {
			return "", nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(Levels, ", ")).In("level")
		}
	}
	in(`kind`, kinds)
	in(`level`, f.Levels)
	if f.MinScore > 0 {
		b.WriteString(` AND score >= ` + p(f.MinScore))
	}
	if f.Watched != nil {
		b.WriteString(` AND watched = ` + p(*f.Watched))
	}
	if f.Search != "" {
		b.WriteString(` AND instr(entity, ` + p(strings.ToLower(strings.ToValidUTF8(f.Search, "\uFFFD"))) + `) > 0`)
	}
	return b.String(), args, nil
}

// List returns one page of the tenant's entities.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (*Page, error) {
	if q.Size == 0 {
		q.Size = 20
	}
	if q.Sort == "" {
		q.Sort = Sorts[0]
	}
	column, ok := columns[q.Sort]
	switch {
	case q.Size < 1 || q.Size > 100:
		return nil, fault.New(fault.Invalid, "Allowed: 1 to 100").In("size")
	case q.Page < 0 || q.Page > 1<<40:
		return nil, fault.New(fault.Invalid, "Allowed: 0 or more").In("page")
	case !ok:
		return nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(Sorts, ", ")).In("sort")
	}
	where, args, err := q.where(tenant)
	if err != nil {
		return nil, err
	}
	direction := "DESC"
	if q.Ascending {
		direction = "ASC"
	}
	p := &Page{}
	err = s.DB.View(ctx, func(tx *sqldb.DB) error {
		if p.Total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM risk_entity`+where, args...); err != nil {
			return err
		}
		p.Entities, err = sqldb.All(ctx, tx, scanEntity, fmt.Sprintf(`%s%s ORDER BY %s %s, id %s LIMIT %d OFFSET %d`, selectEntity, where, column, direction, direction, q.Size, int64(q.Page)*int64(q.Size)), args...)
		return err
	})
	return p, fault.Wrap("list risk", err)
}

// Stream yields every entity that the filter chooses, the highest score first, from one
// snapshot and in constant memory; at most one error, at the end.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Entity, error] {
	return func(yield func(Entity, error) bool) {
		where, args, err := f.where(tenant)
		if err != nil {
			yield(Entity{}, err)
			return
		}
		stopped := errors.New("stopped")
		err = s.DB.View(ctx, func(tx *sqldb.DB) error {
			for e, err := range sqldb.Stream(ctx, tx, scanEntity, selectEntity+where+` ORDER BY score DESC, id DESC`, args...) {
				if err != nil {
					return err
				}
				if !yield(e, nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Entity{}, fault.Wrap("export risk", err))
		}
	}
}

// Get returns the tenant's entity of that id with how its score came about, or
// fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Detail, error) {
	var d *Detail
	err := s.DB.View(ctx, func(tx *sqldb.DB) error {
		var err error
		d, err = get(ctx, tx, tenant, id)
		return err
	})
	return d, fault.Wrap("get risk", err)
}

func get(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*Detail, error) {
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return nil, errNone
	}
	e, err := sqldb.One(ctx, tx, scanEntity, selectEntity+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNone
	}
	if err != nil {
		return nil, err
	}
	d := &Detail{Entity: e}
	text, err := sqldb.One(ctx, tx, sqldb.Value[string], `SELECT parts FROM risk_explanation WHERE entity = $1`, e.ID)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &d.Explanation); err != nil {
		return nil, err
	}
	d.History, err = sqldb.All(ctx, tx, func(rows *sql.Rows, x *Day) error {
		var day int64
		err := rows.Scan(&day, &x.Highest, &x.Last)
		x.Day = time.UnixMicro(day * dayMicros).UTC()
		return err
	}, `SELECT day, highest, last FROM risk_day WHERE entity = $1 ORDER BY day DESC LIMIT $2`, e.ID, keepDays)
	return d, err
}

// A Patch is a person's change; nil fields stay as they are.
type Patch struct {
	Watched *bool
	Notes   *string
	Version int64 // that the caller has seen, 0 for any; another is fault.Conflict in field "version"
}

const maxNotes = 10_000 // characters

// Patch changes what people say of an entity.
func (s *Service) Patch(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Detail, error) {
	switch {
	case p.Watched == nil && p.Notes == nil:
		return nil, fault.New(fault.Invalid, "Give at least one of watched, notes")
	case p.Notes != nil && utf8.RuneCountInString(*p.Notes) > maxNotes:
		return nil, fault.New(fault.Invalid, "Allowed: up to %d characters", maxNotes).In("notes")
	}
	var d *Detail
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if d, err = get(ctx, tx, tenant, id); err != nil {
			return err
		}
		if p.Version != 0 && p.Version != d.Version {
			return fault.New(fault.Conflict, "the entity has changed since").In("version")
		}
		detail := map[string]any{"entityType": d.Kind, "entity": d.Label}
		if p.Watched != nil && *p.Watched != d.Watched {
			detail["watched"] = map[string]bool{"from": d.Watched, "to": *p.Watched}
			d.Watched = *p.Watched
		}
		if p.Notes != nil && *p.Notes != d.Notes {
			detail["notes"] = map[string]string{"from": d.Notes, "to": *p.Notes}
			d.Notes = *p.Notes
		}
		if len(detail) == 2 {
			return nil // everything is so already
		}
		d.Version++
		d.UpdatedBy = actor
		if _, err := sqldb.Exec(ctx, tx, `UPDATE risk_entity SET watched = $1, notes = $2, version = $3, updated_by = $4 WHERE id = $5`, d.Watched, d.Notes, d.Version, actor, d.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "risk.update", Object: d.ID, Detail: detail})
	})
	if err != nil {
		return nil, fault.Wrap("change risk", err)
	}
	return d, nil
}
