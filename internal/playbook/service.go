package playbook

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/VictoriaMetrics/metrics"
	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Config is what a Service needs; all but Now, Metrics and Builtin is required.
type Config struct {
	DB        *sqldb.DB
	Alerts    *alert.Service
	Incidents *incident.Service
	Events    eventstore.Store
	Sealer    *seal.Sealer
	Client    *http.Client // of the guarded way out
	Builtin   fs.FS        // documents that every tenant has, *.yml
	Holder    string       // names this server among those of one database, the same after a restart
	Metrics   *metrics.Set
	Log       *slog.Logger
	Now       func() time.Time // nil: time.Now
}

// Service is the use cases, and with Run the engine.
type Service struct {
	Config
	db      *sqldb.DB
	builtin []builtin
	counts  counts
	wake    chan struct{}
	slots   [2]chan struct{} // quick and slow steps
}

type counts struct{ done, failed, skipped, refused *metrics.Counter }

// New returns the use cases. A built-in document that cannot be read is an error.
func New(c Config) (*Service, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Metrics == nil {
		c.Metrics = metrics.NewSet()
	}
	s := &Service{Config: c, db: c.DB, wake: make(chan struct{}, 1), slots: [2]chan struct{}{make(chan struct{}, quickSlots), make(chan struct{}, slowSlots)}}
	s.counts = counts{
		done: c.Metrics.NewCounter(`kyra_playbook_steps_total{result="done"}`), failed: c.Metrics.NewCounter(`kyra_playbook_steps_total{result="failed"}`),
		skipped: c.Metrics.NewCounter(`kyra_playbook_steps_total{result="skipped"}`), refused: c.Metrics.NewCounter(`kyra_playbook_runs_refused_total{reason="loop"}`),
	}
	var err error
	if c.Builtin != nil {
		s.builtin, err = readBuiltin(c.Builtin)
	}
	return s, err
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// A Playbook is a document in its present version, and whether it runs.
type Playbook struct {
	ID        string // UUIDv7
	Tenant    uint32
	Handle    string // the id that its document names
	Origin    string // Builtin or Custom
	Name      string
	Event     string
	Enabled   bool
	Outside   bool  // steps that leave the house may run
	Number    int64 // of its version
	Revision  int64 // counts every change
	NextAt    *time.Time
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
	Text      string    // YAML
	Document  *Document // never nil

	Runs    int64 // that there are records of
	LastRun *time.Time
}

// Origins of playbooks.
const (
	Builtin = "builtin"
	Custom  = "custom"
)

// A Version is one text of a playbook.
type Version struct {
	Number    int64
	Text      string
	CreatedAt time.Time
	CreatedBy string
}

const maxPlaybooks = 500

var errNoPlaybook = fault.New(fault.NotFound, "no such playbook")

const selectPlaybook = `SELECT p.id, p.tenant, p.handle, p.origin, p.name, p.event, p.enabled, p.outside, p.number, p.revision, p.next_at, p.created_at, p.created_by, p.updated_at, v.text,
	(SELECT count(*) FROM playbook_run r WHERE r.playbook_id = p.id), (SELECT max(r.created_at) FROM playbook_run r WHERE r.playbook_id = p.id)
	FROM playbook p JOIN playbook_version v ON v.playbook_id = p.id AND v.number = p.number`

func scan(rows *sql.Rows, p *Playbook) error {
	var tenant int64
	err := rows.Scan(&p.ID, &tenant, &p.Handle, &p.Origin, &p.Name, &p.Event, &p.Enabled, &p.Outside, &p.Number, &p.Revision, sqldb.MicrosOrNull(&p.NextAt),
		sqldb.Micros(&p.CreatedAt), &p.CreatedBy, sqldb.Micros(&p.UpdatedAt), &p.Text, &p.Runs, sqldb.MicrosOrNull(&p.LastRun))
	if err != nil {
		return err
	}
	p.Tenant = uint32(tenant) //nolint:gosec // written from one
	p.Document, err = Parse([]byte(p.Text))
	return err
}

func isID(s string) bool {
	return len(s) == len(uuid.Nil.String()) && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

func byID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Playbook, error) {
	if !isID(id) {
		return nil, errNoPlaybook
	}
	p, err := sqldb.One(ctx, db, scan, selectPlaybook+` WHERE p.id = $1 AND p.tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoPlaybook
	}
	return &p, err
}

// parse words a fault of a document as one of the input.
func parse(text string) (*Document, error) {
	d, err := Parse([]byte(text))
	if e, ok := errors.AsType[*Error](err); ok {
		return nil, fault.New(fault.Invalid, "%s", e.Error()).In("playbook")
	}
	return d, err
}

// Create makes a playbook of a document. Another one of that handle is fault.Conflict.
func (s *Service) Create(ctx context.Context, tenant uint32, actor, text string, enabled bool) (*Playbook, error) {
	d, err := parse(text)
	if err != nil {
		return nil, err
	}
	var p *Playbook
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := s.ensure(ctx, tx, tenant); err != nil {
			return err
		}
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM playbook WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxPlaybooks {
			return fault.New(fault.Conflict, "there are %d playbooks, and no more are allowed: delete one", n)
		}
		other, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT id FROM playbook WHERE tenant = $1 AND handle = $2`, int64(tenant), d.Handle)
		if err != nil {
			return err
		}
		if len(other) > 0 {
			return fault.New(fault.Conflict, "there is a playbook with the id %s: give yours another, or change that one (%s)", d.Handle, other[0])
		}
		if p, err = s.insert(ctx, tx, tenant, actor, Custom, text, d, enabled, true); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: p.CreatedAt, Actor: actor, Action: "playbook.create", Object: p.ID, Detail: p.record()})
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, fault.New(fault.Conflict, "there is a playbook with the id %s", d.Handle).Because(err)
	}
	return p, fault.Wrap("create playbook", err)
}

func (p *Playbook) record() map[string]any {
	return map[string]any{"playbook": p.Handle, "version": p.Number, "enabled": p.Enabled, "outside": p.Outside}
}

func (s *Service) insert(ctx context.Context, tx *sqldb.DB, tenant uint32, actor, origin, text string, d *Document, enabled, outside bool) (*Playbook, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	now := s.now()
	next := d.next(now)
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO playbook (id, tenant, handle, origin, name, event, enabled, outside, number, revision, next_at, created_at, created_by, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 1, $9, $10, $11, $10)`,
		id.String(), int64(tenant), d.Handle, origin, d.Name, d.Event, enabled, outside, sqldb.Nullable(next), now.UnixMicro(), actor); err != nil {
		return nil, err
	}
	if err := s.keep(ctx, tx, id.String(), 1, actor, text); err != nil {
		return nil, err
	}
	return byID(ctx, tx, tenant, id.String())
}

// next is when a schedule runs next, nil for other playbooks.
func (d *Document) next(now time.Time) *time.Time {
	if d.Event != Schedule {
		return nil
	}
	t := now.Truncate(d.Every).Add(d.Every)
	return &t
}

func (s *Service) keep(ctx context.Context, tx *sqldb.DB, id string, number int64, actor, text string) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO playbook_version (playbook_id, number, text, created_at, created_by) VALUES ($1, $2, $3, $4, $5)`, id, number, text, s.now().UnixMicro(), actor)
	return err
}

// A Patch changes a playbook; nil fields stay as they are.
type Patch struct {
	Enabled *bool
	Outside *bool   // let steps that leave the house run
	Text    *string // a new version, for one's own playbooks
	// Revision is the Playbook.Revision that the change was made on; 0 for any. Another
	// one is fault.Conflict in field "version".
	Revision int64
}

// Change changes the tenant's playbook. Runs that have begun go on with their version.
func (s *Service) Change(ctx context.Context, tenant uint32, actor, id string, patch Patch) (*Playbook, error) {
	if patch.Enabled == nil && patch.Outside == nil && patch.Text == nil {
		return nil, fault.New(fault.Invalid, "Give at least one of enabled, allowOutside, yaml")
	}
	var d *Document
	if patch.Text != nil {
		var err error
		if d, err = parse(*patch.Text); err != nil {
			return nil, err
		}
	}
	var p *Playbook
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if p, err = byID(ctx, tx, tenant, id); err != nil {
			return err
		}
		if patch.Revision != 0 && patch.Revision != p.Revision {
			return fault.New(fault.Conflict, "the playbook was changed meanwhile: it is at revision %d", p.Revision).In("version")
		}
		if d != nil {
			if err := s.rewrite(ctx, tx, p, actor, *patch.Text, d); err != nil {
				return err
			}
		}
		if patch.Enabled != nil {
			p.Enabled = *patch.Enabled
		}
		if patch.Outside != nil {
			p.Outside = *patch.Outside
		}
		now := s.now()
		if _, err := sqldb.Exec(ctx, tx, `UPDATE playbook SET enabled = $2, outside = $3, number = $4, name = $5, event = $6, next_at = $7, revision = revision + 1, updated_at = $8 WHERE id = $1`,
			p.ID, p.Enabled, p.Outside, p.Number, p.Document.Name, p.Document.Event, sqldb.Nullable(p.Document.next(now)), now.UnixMicro()); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "playbook.update", Object: p.ID, Detail: p.record()}); err != nil {
			return err
		}
		p, err = byID(ctx, tx, tenant, id)
		return err
	})
	if err != nil {
		return nil, fault.Wrap("change playbook", err)
	}
	return p, nil
}

func (s *Service) rewrite(ctx context.Context, tx *sqldb.DB, p *Playbook, actor, text string, d *Document) error {
	switch {
	case p.Origin == Builtin:
		return fault.New(fault.Conflict, "a built-in playbook cannot be changed: create one of your own with its text and another id, and disable this one")
	case d.Handle != p.Handle:
		return fault.New(fault.Invalid, "the id is %s, the playbook's is %s: keep it, or create another playbook", d.Handle, p.Handle).In("playbook")
	case text == p.Text:
		return nil
	}
	p.Number++
	p.Document, p.Text = d, text
	return s.keep(ctx, tx, p.ID, p.Number, actor, text)
}

// Delete removes a playbook of the tenant's own with its versions and ended runs. While
// a run has not ended it is fault.Conflict.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	return fault.Wrap("delete playbook", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		p, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if p.Origin == Builtin {
			return fault.New(fault.Conflict, "a built-in playbook cannot be deleted: disable it")
		}
		open, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM playbook_run WHERE playbook_id = $1 AND ended_at IS NULL`, p.ID)
		if err != nil {
			return err
		}
		if open > 0 {
			return fault.New(fault.Conflict, "%d runs of the playbook have not ended: disable it and cancel them first", open)
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM playbook WHERE id = $1`, p.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "playbook.delete", Object: p.ID, Detail: p.record()})
	}))
}

// Get returns the tenant's playbook of that id.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Playbook, error) {
	p, err := byID(ctx, s.db, tenant, id)
	if err != nil {
		return nil, fault.Wrap("get playbook", err)
	}
	return p, nil
}

// Versions returns the texts of the tenant's playbook, the newest first.
func (s *Service) Versions(ctx context.Context, tenant uint32, id string) ([]Version, error) {
	p, err := byID(ctx, s.db, tenant, id)
	if err != nil {
		return nil, fault.Wrap("list versions", err)
	}
	list, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, v *Version) error {
		return rows.Scan(&v.Number, &v.Text, sqldb.Micros(&v.CreatedAt), &v.CreatedBy)
	}, `SELECT number, text, created_at, created_by FROM playbook_version WHERE playbook_id = $1 ORDER BY number DESC LIMIT 200`, p.ID)
	return list, fault.Wrap("list versions", err)
}

// A Filter chooses playbooks; zero fields choose all.
type Filter struct {
	Enabled *bool
	Events  []string
	Origin  string
	Search  string // in handle, name and description, in any case
}

// A Query asks for one page.
type Query struct {
	Filter
	Sort       string // "name", "createdAt", "updatedAt"; "" for the first
	Ascending  bool
	Page, Size int
}

// List returns one page and how many there are.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) ([]Playbook, int64, error) {
	var all []Playbook
	for p, err := range s.Stream(ctx, tenant, q.Filter) {
		if err != nil {
			return nil, 0, err
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b Playbook) int {
		var n int
		switch q.Sort {
		case "createdAt":
			n = a.CreatedAt.Compare(b.CreatedAt)
		case "updatedAt":
			n = a.UpdatedAt.Compare(b.UpdatedAt)
		default:
			n = strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
		}
		if n == 0 {
			n = strings.Compare(a.ID, b.ID)
		}
		if !q.Ascending {
			n = -n
		}
		return n
	})
	from := min(q.Page*q.Size, len(all))
	return all[from:min(from+q.Size, len(all))], int64(len(all)), nil
}

// Stream yields the playbooks that the filter chooses in the order of their creation,
// from one snapshot; at most one error, at the end.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Playbook, error] {
	return func(yield func(Playbook, error) bool) {
		stopped := errors.New("stopped")
		if err := s.db.Tx(ctx, func(tx *sqldb.DB) error { return s.ensure(ctx, tx, tenant) }); err != nil {
			yield(Playbook{}, fault.Wrap("list playbooks", err))
			return
		}
		err := s.db.View(ctx, func(tx *sqldb.DB) error {
			for p, err := range sqldb.Stream(ctx, tx, scan, selectPlaybook+` WHERE p.tenant = $1 ORDER BY p.id`, int64(tenant)) {
				if err != nil {
					return err
				}
				if f.chooses(&p) && !yield(p, nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Playbook{}, fault.Wrap("list playbooks", err))
		}
	}
}

func (f *Filter) chooses(p *Playbook) bool {
	text := strings.ToLower(p.Handle + "\n" + p.Name + "\n" + p.Document.Description)
	return (f.Enabled == nil || *f.Enabled == p.Enabled) && (len(f.Events) == 0 || slices.Contains(f.Events, p.Event)) &&
		(f.Origin == "" || f.Origin == p.Origin) && strings.Contains(text, strings.ToLower(f.Search))
}
