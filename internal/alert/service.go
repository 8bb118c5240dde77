package alert

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	db         *sqldb.DB
	limits     limits
	stormLimit int64
	tell       TellFunc

	mu           sync.Mutex
	vocabularies map[uint32]*cachedVocabulary
}

// New returns the use cases on db. A rule that raises more than DefaultStormLimit
// alerts in an hour makes a storm.
func New(db *sqldb.DB) *Service { return NewWithStorms(db, DefaultStormLimit) }

// NewWithStorms is New with another limit, 0 for none.
func NewWithStorms(db *sqldb.DB, limit int) *Service {
	return &Service{db: db, limits: defaultLimits(), stormLimit: int64(limit), vocabularies: map[uint32]*cachedVocabulary{}}
}

// A TellFunc notes, in the transaction tx, that others are to be told of an alert as it
// now is.
type TellFunc func(ctx context.Context, tx *sqldb.DB, a *Alert) error

// SetTell sets what is called for every alert whose status a person changed; before
// that nobody is told. It is for assembling a server, before the service is used.
func (s *Service) SetTell(f TellFunc) { s.tell = f }

// In returns the use cases that change and read single alerts inside the caller's
// transaction tx.
func (s *Service) In(tx *sqldb.DB) *Service {
	return &Service{db: tx, limits: s.limits, stormLimit: s.stormLimit, tell: s.tell, vocabularies: map[uint32]*cachedVocabulary{}}
}

var errNoAlert = fault.New(fault.NotFound, "no such alert")

// Get returns the tenant's alert of that id with all that belongs to it. An id that
// is unknown, malformed or another tenant's is fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Detail, error) {
	var d *Detail
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		d, err = get(ctx, tx, tenant, id)
		return err
	})
	return d, fault.Wrap("get alert", err)
}

func get(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*Detail, error) {
	a, err := byID(ctx, tx, tenant, id)
	if err != nil {
		return nil, err
	}
	d := &Detail{Alert: *a, History: []Change{{At: a.CreatedAt, Actor: audit.System, Action: "created", New: string(Open)}}}
	type row struct {
		entities, events string
		blocks           int64
	}
	r, err := sqldb.One(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.entities, &r.events, &r.blocks, &d.Referred) },
		`SELECT entities, events, blocks, referred FROM alert_detail WHERE seq = $1`, a.seq)
	if err != nil {
		return nil, err
	}
	if d.Entities, err = decodeEntities(r.entities); err != nil {
		return nil, err
	}
	if d.Events, err = decodeEvents(r.events); err != nil {
		return nil, err
	}
	if r.blocks == 0 {
		d.Referred = int64(len(d.Events))
	}
	if a.Storm {
		if d.Folded, err = stormOf(ctx, tx, a.seq); err != nil {
			return nil, err
		}
	}
	if d.Tags, err = sqldb.All(ctx, tx, sqldb.Value[string], `SELECT tag FROM playbook_tag WHERE tenant = $1 AND object = $2 ORDER BY tag`, int64(tenant), a.ID); err != nil {
		return nil, err
	}
	changes, err := sqldb.All(ctx, tx, func(rows *sql.Rows, c *Change) error {
		return rows.Scan(sqldb.Micros(&c.At), &c.Actor, &c.Action, &c.Old, &c.New, &c.Note)
	}, `SELECT at, actor, action, old_value, new_value, note FROM alert_history WHERE seq = $1 ORDER BY id`, a.seq)
	if err != nil {
		return nil, err
	}
	d.History = append(d.History, changes...)
	return d, nil
}

func byID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Alert, error) {
	// A text with a NUL is no id, and PostgreSQL refuses it.
	if len(id) != len(uuid.Nil.String()) || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return nil, errNoAlert
	}
	a, err := sqldb.One(ctx, db, scanAlert, `SELECT `+alertColumns+` FROM alert a WHERE a.id = $1 AND a.tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoAlert
	}
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// ByIDs returns the tenant's alerts that ids name, oldest first; ids that name none
// are left out. It may run in the caller's transaction.
func (s *Service) ByIDs(ctx context.Context, db *sqldb.DB, tenant uint32, ids []string) ([]Alert, error) {
	all := []Alert{}
	err := chunked(ids, func(in string, args []any) error {
		part, err := sqldb.All(ctx, db, scanAlert, `SELECT `+alertColumns+` FROM alert a WHERE `+amongIDs+` (`+in+`)`, append([]any{int64(tenant)}, args...)...)
		all = append(all, part...)
		return err
	})
	slices.SortFunc(all, func(a, b Alert) int { return cmp.Compare(a.seq, b.seq) })
	return all, fault.Wrap("get alerts", err)
}

// EntitiesOf returns the distinct entities of the tenant's alerts that ids name, in
// order of type and value. It may run in the caller's transaction.
func (s *Service) EntitiesOf(ctx context.Context, db *sqldb.DB, tenant uint32, ids []string) ([]Entity, error) {
	all := []Entity{}
	err := chunked(ids, func(in string, args []any) error {
		for text, err := range sqldb.Stream(ctx, db, sqldb.Value[string], `
			SELECT d.entities FROM alert a JOIN alert_detail d ON d.seq = a.seq WHERE `+amongIDs+` (`+in+`)`, append([]any{int64(tenant)}, args...)...) {
			if err != nil {
				return err
			}
			list, err := decodeEntities(text)
			if err != nil {
				return err
			}
			all = append(all, list...)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Entity) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Field, b.Field))
	})
	return slices.Compact(all), fault.Wrap("get entities of alerts", err)
}

// amongIDs finds alerts by their ids. The tenant is only compared: SQLite would else walk an
// index that begins with it through all of the tenant's alerts.
const amongIDs = `a.tenant + 0 = $1 AND a.id IN`

// chunked calls f with places from $2 on, and their arguments, for some ids at a time.
func chunked(ids []string, f func(in string, args []any) error) error {
	for part := range slices.Chunk(ids, 500) {
		var b builder
		b.args = []any{nil} // $1 is the caller's
		for i, id := range part {
			if i > 0 {
				b.w(", ")
			}
			b.w(b.p(clean(id)))
		}
		if err := f(b.String(), b.args[1:]); err != nil {
			return err
		}
	}
	return nil
}

// SetIncident says that the tenant's alert belongs to incident, "" for none, in the
// caller's transaction. It is for package incident.
func (s *Service) SetIncident(ctx context.Context, tx *sqldb.DB, now time.Time, actor string, a *Alert, incident string) error {
	if a.IncidentID == incident {
		return nil
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE alert SET incident_id = $1, updated_at = $2 WHERE seq = $3`, incident, now.UnixMicro(), a.seq); err != nil {
		return fault.Wrap("set incident of alert", err)
	}
	c := Change{At: now, Actor: actor, Action: "incident", Old: a.IncidentID, New: incident}
	a.IncidentID = incident
	return fault.Wrap("set incident of alert", addHistory(ctx, tx, a.seq, c))
}

func addHistory(ctx context.Context, tx *sqldb.DB, seq int64, c Change) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO alert_history (id, seq, at, actor, action, old_value, new_value, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id.String(), seq, c.At.UnixMicro(), c.Actor, c.Action, c.Old, c.New, c.Note)
	return err
}
