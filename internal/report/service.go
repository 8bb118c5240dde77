package report

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// Config is what a Service needs.
type Config struct {
	DB      *sqldb.DB
	Builder *Builder
	Alerts  *alert.Service
	Files   *vault.Vault // of reports alone: what is old is swept from it
	Jobs    *job.Service // may be set after New, before Run

	// Mail sends a letter through a notification channel of kind email; nil: none can be
	// sent. It fills in sender and receivers.
	Mail func(ctx context.Context, tenant uint32, channel string, l *mail.Letter) error
	// Channel refuses ids that are no channel of the tenant that sends mail.
	Channel func(ctx context.Context, tenant uint32, id string) error
	// Coverage tells which techniques of ATT&CK are covered by rules; nil: nobody knows.
	Coverage func(ctx context.Context, tenant uint32) ([]Tactic, error)
	// Sources counts what sends logs; nil: nobody knows.
	Sources func(ctx context.Context, tenant uint32) (Sources, error)
	Link    string // of the console's page of reports; "" for none

	Log *slog.Logger
	Now func() time.Time // nil: time.Now
}

// A Tactic is one column of ATT&CK and how many of its techniques rules cover.
type Tactic struct {
	Name                string
	Rules, Blind        int
	Techniques, Alerted int // with a rule, and with an alert
}

// Sources counts what sends logs.
type Sources struct {
	Active, Silent, Other int64
	PerHour               float64 // events of all, of late
	Top                   []SourceCount
}

// A SourceCount is one product and what its sources send.
type SourceCount struct {
	Name    string
	Sources int64
	PerHour float64
}

// Service is the use cases. It is safe for use by several goroutines and processes.
type Service struct{ Config }

// New returns the use cases.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c}
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

var (
	errNoReport = fault.New(fault.NotFound, "no such report")
	errNoRun    = fault.New(fault.NotFound, "no such report run")
)

const maxSchedules = 100 // of one tenant

const selectSchedule = `SELECT id, tenant, name, kind, settings, enabled, next_at, version, created_at, created_by, updated_at FROM report`

func scanSchedule(rows *sql.Rows, s *Schedule) error {
	var tenant int64
	var text string
	if err := rows.Scan(&s.ID, &tenant, &s.Name, &s.Kind, &text, &s.Enabled, sqldb.MicrosOrNull(&s.NextAt), &s.Version, sqldb.Micros(&s.CreatedAt), &s.CreatedBy, sqldb.Micros(&s.UpdatedAt)); err != nil {
		return err
	}
	s.Tenant = uint32(tenant) //nolint:gosec // it was one
	return json.Unmarshal([]byte(text), &s.Settings)
}

// Slice is a page of a list: Page from 0, Size 1 to 100.
type Slice struct{ Page, Size int }

// List returns a page of the tenant's reports, by name, and how many there are.
func (s *Service) List(ctx context.Context, tenant uint32, p Slice) (page []Schedule, total int64, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM report WHERE tenant = $1`, int64(tenant)); err != nil {
			return err
		}
		page, err = sqldb.All(ctx, tx, scanSchedule, selectSchedule+` WHERE tenant = $1 ORDER BY lower(name), id LIMIT $2 OFFSET $3`, int64(tenant), p.Size, int64(p.Page)*int64(p.Size))
		return err
	})
	return page, total, fault.Wrap("list reports", err)
}

// Get returns a report of the tenant, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Schedule, error) {
	return get(ctx, s.DB, tenant, id)
}

func get(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Schedule, error) {
	r, err := sqldb.One(ctx, db, scanSchedule, selectSchedule+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoReport
	}
	return &r, fault.Wrap("get report", err)
}

// settle checks a schedule against what it names, and reckons when it is due.
func (s *Service) settle(ctx context.Context, r *Schedule) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.Framework != "" {
		f := s.Builder.Compliance.Catalogue.Find(r.Framework)
		if f == nil {
			return fault.New(fault.Invalid, "There is no framework %q", r.Framework).In("framework")
		}
		r.Framework = f.ID
	}
	if r.Channel != "" {
		if s.Channel == nil || s.Mail == nil {
			return fault.New(fault.Invalid, "this server sends no mail").In("channel")
		}
		if err := s.Channel(ctx, r.Tenant, r.Channel); err != nil {
			return err
		}
	}
	r.NextAt = nil
	if next := r.next(s.now()); r.Enabled && !next.IsZero() {
		r.NextAt = &next
	}
	return nil
}

// Create adds a report to the tenant's; a name that is taken is fault.Conflict.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, r Schedule) (*Schedule, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("create report", err)
	}
	now := s.now()
	r.ID, r.Tenant, r.Version, r.CreatedAt, r.UpdatedAt, r.CreatedBy = id.String(), tenant, 1, now, now, actor
	if err := s.settle(ctx, &r); err != nil {
		return nil, err
	}
	text, err := r.text()
	if err != nil {
		return nil, fault.Wrap("create report", err)
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		// Its chain makes changes of one tenant wait for each other: the count holds.
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "report.create", Object: r.ID, Detail: r.told()}); err != nil {
			return err
		}
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM report WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxSchedules {
			return fault.New(fault.Limited, "%d reports are the most: delete one", n)
		}
		_, err = sqldb.Exec(ctx, tx, `INSERT INTO report (id, tenant, name, kind, settings, enabled, next_at, created_at, created_by, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8)`,
			r.ID, int64(tenant), r.Name, string(r.Kind), text, r.Enabled, sqldb.Nullable(r.NextAt), now.UnixMicro(), actor)
		return taken(err, r.Name)
	})
	if err != nil {
		return nil, fault.Wrap("create report", err)
	}
	return &r, nil
}

func taken(err error, name string) error {
	if sqldb.Violation(err) == sqldb.Unique {
		return fault.New(fault.Conflict, "a report named %q exists", name).In("name")
	}
	return err
}

func (r *Schedule) told() map[string]any {
	return map[string]any{"name": r.Name, "kind": r.Kind, "enabled": r.Enabled, "settings": r.Settings}
}

// Change edits a report. version is the one that the caller has seen, 0 for any; another
// is fault.Conflict in field "version".
func (s *Service) Change(ctx context.Context, tenant uint32, actor, id string, version int64, edit func(*Schedule)) (*Schedule, error) {
	r, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	before, seen := r.told(), r.Version
	if version != 0 && version != seen {
		return nil, fault.New(fault.Conflict, "the report has changed since").In("version")
	}
	r.Formats = slices.Clone(r.Formats)
	edit(r)
	if err := s.settle(ctx, r); err != nil {
		return nil, err
	}
	text, err := r.text()
	if err != nil {
		return nil, fault.Wrap("change report", err)
	}
	r.UpdatedAt, r.Version = s.now(), seen+1
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.Exec(ctx, tx, `UPDATE report SET name = $1, kind = $2, settings = $3, enabled = $4, next_at = $5, version = $6, updated_at = $7 WHERE tenant = $8 AND id = $9 AND version = $10`,
			r.Name, string(r.Kind), text, r.Enabled, sqldb.Nullable(r.NextAt), r.Version, r.UpdatedAt.UnixMicro(), int64(tenant), id, seen)
		if err != nil {
			return taken(err, r.Name)
		}
		if n != 1 {
			return fault.New(fault.Conflict, "the report has changed since").In("version")
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: r.UpdatedAt, Actor: actor, Action: "report.update", Object: id, Detail: map[string]any{"from": before, "to": r.told()}})
	})
	if err != nil {
		return nil, fault.Wrap("change report", err)
	}
	return r, nil
}

// Delete takes a report away. What was made stays until it is old.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		r, err := get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM report WHERE tenant = $1 AND id = $2`, int64(tenant), id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "report.delete", Object: id, Detail: r.told()})
	})
	return fault.Wrap("delete report", err)
}

// A Run is a report that was made, or is being made.
type Run struct {
	ID       string // UUIDv7
	Tenant   uint32
	Report   string // id of the Schedule; "" for one that was asked for once
	Name     string
	Kind     Kind
	Settings Settings // as they were
	From, To time.Time
	Slot     *time.Time // when it was due; nil where somebody asked
	State    job.State
	Reason   string // why it failed
	Job      string // id, "" before it is begun
	Done     int64  // of Total steps, while it runs
	Total    int64
	Note     string
	Files    []File
	// Delivery is "sent" or "failed" with the reason; "" where nobody is to get it.
	Delivery, DeliveryError string
	Actor                   string
	CreatedAt               time.Time
	EndedAt                 *time.Time
}

// A File is what was made.
type File struct {
	Format    string `json:"format"`
	Name      string `json:"name"`
	MediaType string `json:"mediaType"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"`
}

const selectRun = `SELECT id, tenant, report, name, kind, settings, period_from, period_to, slot, state, reason, job, files, delivery, delivery_error, actor, created_at, ended_at FROM report_run`

func scanRun(rows *sql.Rows, r *Run) error {
	var tenant, slot int64
	var settings, files string
	if err := rows.Scan(&r.ID, &tenant, &r.Report, &r.Name, &r.Kind, &settings, sqldb.Micros(&r.From), sqldb.Micros(&r.To), &slot, &r.State, &r.Reason, &r.Job, &files,
		&r.Delivery, &r.DeliveryError, &r.Actor, sqldb.Micros(&r.CreatedAt), sqldb.MicrosOrNull(&r.EndedAt)); err != nil {
		return err
	}
	r.Tenant = uint32(tenant) //nolint:gosec // it was one
	if slot != 0 {
		at := time.UnixMicro(slot).UTC()
		r.Slot = &at
	}
	return errors.Join(json.Unmarshal([]byte(settings), &r.Settings), json.Unmarshal([]byte(files), &r.Files))
}

// A RunFilter chooses runs; zero fields choose all.
type RunFilter struct {
	Report string
	Kinds  []string
	States []string
}

// Runs returns a page of the tenant's runs, the newest first.
func (s *Service) Runs(ctx context.Context, tenant uint32, f RunFilter, p Slice) (page []Run, total int64, err error) {
	where, args := ` WHERE tenant = $1`, []any{int64(tenant)}
	in := func(column string, values []string) {
		if len(values) == 0 {
			return
		}
		places := make([]string, len(values))
		for i, v := range values {
			args = append(args, v)
			places[i] = "$" + strconv.Itoa(len(args))
		}
		where += ` AND ` + column + ` IN (` + strings.Join(places, ", ") + `)`
	}
	if f.Report != "" {
		in("report", []string{f.Report})
	}
	in("kind", f.Kinds)
	in("state", f.States)
	err = s.DB.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM report_run`+where, args...); err != nil {
			return err
		}
		page, err = sqldb.All(ctx, tx, scanRun, fmt.Sprintf(`%s%s ORDER BY id DESC LIMIT %d OFFSET %d`, selectRun, where, p.Size, int64(p.Page)*int64(p.Size)), args...)
		return err
	})
	for i := range page {
		if err == nil {
			err = s.look(ctx, &page[i])
		}
	}
	return page, total, fault.Wrap("list report runs", err)
}

// Made returns a run of the tenant, or fault.NotFound.
func (s *Service) Made(ctx context.Context, tenant uint32, id string) (*Run, error) {
	r, err := sqldb.One(ctx, s.DB, scanRun, selectRun+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoRun
	}
	if err == nil {
		err = s.look(ctx, &r)
	}
	return &r, fault.Wrap("get report run", err)
}

// look asks the job of a run that has not ended how far it is.
func (s *Service) look(ctx context.Context, r *Run) error {
	if r.State.Ended() || r.Job == "" || s.Jobs == nil {
		return nil
	}
	j, err := s.Jobs.Get(ctx, r.Tenant, r.Job)
	if errors.Is(err, fault.NotFound) {
		r.State, r.Reason = job.Failed, "its job is gone"
		return nil
	}
	if err != nil {
		return err
	}
	r.Done, r.Total, r.Note = j.Done, j.Total, j.Note
	if j.State.Ended() {
		r.State, r.Reason, r.EndedAt = j.State, j.Reason, j.EndedAt
	}
	return nil
}
