package notice

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Reader is who reads notices of a tenant: an API key.
type Reader struct {
	Tenant uint32
	ID     string
	Actor  string // for the audit log
}

// Filter chooses notices; zero values let everything through.
type Filter struct {
	Severity, Events []string
	Unread           bool   // only those that the reader has not read
	Search           string // in the title, in any case
	Object           string
	From, To         time.Time // of At: from ≤ t < to
	Everything       bool      // also what the reader does not want to see
}

// read tells whether the reader, $2, has read notice n of tenant $1.
const isRead = `COALESCE((SELECT m.is_read FROM notice_mark m WHERE m.tenant = $1 AND m.reader = $2 AND m.seq = n.seq), n.seq <= COALESCE((SELECT r.read_seq FROM notice_reader r WHERE r.tenant = $1 AND r.reader = $2), 0))`

const selectNotice = `SELECT n.seq, n.id, n.tenant, n.event, n.kind, n.object, n.title, n.severity, n.text, n.rule, n.source, n.at, ` + isRead + ` FROM notice n`

func scanNotice(rows *sql.Rows, n *Notice) error {
	var tenant int64
	err := rows.Scan(&n.Seq, &n.ID, &tenant, &n.Event, &n.Kind, &n.Object, &n.Title, &n.Severity, &n.Text, &n.Rule, &n.Source, sqldb.Micros(&n.At), &n.Read)
	n.Tenant = uint32(tenant)
	return err
}

// where is the rest of a statement whose first two arguments are tenant and reader.
func (f *Filter) where(r Reader, p *Preferences) (string, []any) {
	args := []any{int64(r.Tenant), r.ID}
	var b strings.Builder
	b.WriteString(" WHERE n.tenant = $1")
	add := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	in := func(column string, list []string, orNone bool) {
		if len(list) == 0 {
			return
		}
		b.WriteString(" AND (" + column + " IN (")
		for i, v := range list {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(add(v))
		}
		b.WriteString(")")
		if orNone {
			b.WriteString(" OR " + column + " = ''")
		}
		b.WriteString(")")
	}
	in("n.severity", f.Severity, false)
	in("n.event", f.Events, false)
	if !f.Everything {
		in("n.severity", p.InApp.Severity, true)
		in("n.event", p.InApp.Events, false)
	}
	if f.Object != "" {
		b.WriteString(" AND n.object = " + add(f.Object))
	}
	if f.Search != "" {
		b.WriteString(" AND lower(n.title) LIKE " + add("%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(f.Search))+"%") + ` ESCAPE '\'`)
	}
	if !f.From.IsZero() {
		b.WriteString(" AND n.at >= " + add(f.From.UnixMicro()))
	}
	if !f.To.IsZero() {
		b.WriteString(" AND n.at < " + add(f.To.UnixMicro()))
	}
	if f.Unread {
		b.WriteString(" AND NOT " + isRead)
	}
	return b.String(), args
}

// List returns one page of the reader's notices, newest first unless asked otherwise, how
// many there are, and how many the reader has not read of all that it sees.
func (s *Service) List(ctx context.Context, r Reader, f Filter, ascending bool, number, size int) (list []Notice, total, unread int64, err error) {
	order := " ORDER BY n.seq DESC"
	if ascending {
		order = " ORDER BY n.seq"
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		p, err := preferences(ctx, tx, r)
		if err != nil {
			return err
		}
		where, args := f.where(r, p)
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM notice n`+where+bindReader, args...); err != nil {
			return err
		}
		if list, err = sqldb.All(ctx, tx, scanNotice, fmt.Sprintf("%s%s%s LIMIT $%d OFFSET $%d", selectNotice, where, order, len(args)+1, len(args)+2), append(args, size, number*size)...); err != nil {
			return err
		}
		unread, err = s.unread(ctx, tx, r, p)
		return err
	})
	return list, total, unread, fault.Wrap("list notices", err)
}

// bindReader uses $2, which PostgreSQL wants the type of, where nothing else does.
const bindReader = ` AND CAST($2 AS TEXT) <> ''`

// Unread returns how many notices that the reader sees it has not read.
func (s *Service) Unread(ctx context.Context, r Reader) (n int64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		p, err := preferences(ctx, tx, r)
		if err != nil {
			return err
		}
		n, err = s.unread(ctx, tx, r, p)
		return err
	})
	return n, fault.Wrap("count notices", err)
}

func (s *Service) unread(ctx context.Context, tx *sqldb.DB, r Reader, p *Preferences) (int64, error) {
	where, args := (&Filter{Unread: true}).where(r, p)
	return sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM notice n`+where, args...)
}

var errNone = fault.New(fault.NotFound, "no such notice")

// Get returns one notice of the reader's tenant.
func (s *Service) Get(ctx context.Context, r Reader, id string) (*Notice, error) {
	n, err := byID(ctx, s.db, r, id)
	return n, fault.Wrap("get notice", err)
}

func byID(ctx context.Context, db *sqldb.DB, r Reader, id string) (*Notice, error) {
	if !isID(id) {
		return nil, errNone
	}
	n, err := sqldb.One(ctx, db, scanNotice, selectNotice+` WHERE n.tenant = $1 AND n.id = $3`, int64(r.Tenant), r.ID, id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNone
	}
	return &n, err
}

// Mark notes whether the reader has read a notice, and returns it.
func (s *Service) Mark(ctx context.Context, r Reader, id string, read bool) (*Notice, error) {
	var n *Notice
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if n, err = byID(ctx, tx, r, id); err != nil {
			return err
		}
		n.Read = read
		_, err = sqldb.Exec(ctx, tx, `INSERT INTO notice_mark (tenant, reader, seq, is_read) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, reader, seq) DO UPDATE SET is_read = $4`,
			int64(r.Tenant), r.ID, n.Seq, read)
		return err
	})
	if err != nil {
		return nil, fault.Wrap("mark notice", err)
	}
	return n, nil
}

// ReadAll notes that the reader has read everything that is there now.
func (s *Service) ReadAll(ctx context.Context, r Reader) error {
	return fault.Wrap("mark notices", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		last, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT COALESCE(max(seq), 0) FROM notice WHERE tenant = $1`, int64(r.Tenant))
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM notice_mark WHERE tenant = $1 AND reader = $2`, int64(r.Tenant), r.ID); err != nil {
			return err
		}
		_, err = sqldb.Exec(ctx, tx, `INSERT INTO notice_reader (tenant, reader, read_seq) VALUES ($1, $2, $3) ON CONFLICT (tenant, reader) DO UPDATE SET read_seq = $3`, int64(r.Tenant), r.ID, last)
		return err
	}))
}

// StreamAll yields every notice of the tenant that the filter chooses, newest first, from
// one snapshot and in constant memory; at most one error, at the end.
func (s *Service) StreamAll(ctx context.Context, r Reader, f Filter) iter.Seq2[Notice, error] {
	return func(yield func(Notice, error) bool) {
		stopped := errors.New("stopped")
		err := s.db.View(ctx, func(tx *sqldb.DB) error {
			p, err := preferences(ctx, tx, r)
			if err != nil {
				return err
			}
			where, args := f.where(r, p)
			for n, err := range sqldb.Stream(ctx, tx, scanNotice, selectNotice+where+" ORDER BY n.seq DESC", args...) {
				if err != nil {
					return err
				}
				if !yield(n, nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Notice{}, fault.Wrap("stream notices", err))
		}
	}
}

// Preferences are what a reader wants to be told, and how.
type Preferences struct {
	InApp   Wanted `json:"inApp"`
	Email   *Own   `json:"email,omitempty"` // nil: none
	Version int64  `json:"-"`
}

// Wanted chooses messages; none of a list means all.
type Wanted struct {
	Severity []string `json:"severity,omitempty"`
	Events   []string `json:"events,omitempty"`
}

func (w *Wanted) check(field string) error {
	if err := among(w.Severity, event.Severities, field+".severity"); err != nil {
		return err
	}
	return among(w.Events, outbox.Events, field+".events")
}

// Own is the letters that a reader gets.
type Own struct {
	Wanted
	ConnectorID string `json:"connectorId"` // of kind smtp
	Address     string `json:"address"`
	Digest      Digest `json:"digest"`
	Quiet       *Quiet `json:"quiet,omitempty"`
}

func preferences(ctx context.Context, db *sqldb.DB, r Reader) (*Preferences, error) {
	list, err := sqldb.All(ctx, db, func(rows *sql.Rows, p *Preferences) error {
		var text string
		if err := rows.Scan(&text, &p.Version); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), p)
	}, `SELECT preferences, version FROM notice_reader WHERE tenant = $1 AND reader = $2`, int64(r.Tenant), r.ID)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return &Preferences{}, nil
	}
	return &list[0], nil
}

// Preferences returns what the reader wants; everything in KYRA and no mail unless it said
// otherwise.
func (s *Service) Preferences(ctx context.Context, r Reader) (*Preferences, error) {
	p, err := preferences(ctx, s.db, r)
	return p, fault.Wrap("read preferences", err)
}

// SetPreferences replaces what the reader wants. version is that of the preferences that
// the change was made on; 0 for any.
func (s *Service) SetPreferences(ctx context.Context, r Reader, p Preferences, version int64) (*Preferences, error) {
	if err := p.InApp.check("inApp"); err != nil {
		return nil, err
	}
	if e := p.Email; e != nil {
		if err := e.check("email"); err != nil {
			return nil, err
		}
		if err := mail.CheckAddress(e.Address); err != nil {
			return nil, fault.New(fault.Invalid, "Allowed: an e-mail address such as soc@example.com").In("email.address")
		}
		if err := within("email.", &e.Digest, e.Quiet); err != nil {
			return nil, err
		}
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		old, err := preferences(ctx, tx, r)
		if err != nil {
			return err
		}
		if err := stale("preferences", version, old.Version); err != nil {
			return err
		}
		p.Version = old.Version + 1
		text, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO notice_reader (tenant, reader, preferences, version) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, reader) DO UPDATE SET preferences = $3, version = $4`,
			int64(r.Tenant), r.ID, string(text), p.Version); err != nil {
			return err
		}
		if err := s.setOwn(ctx, tx, r, p.Email); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: r.Tenant, At: s.now(), Actor: r.Actor, Action: "notification.preferences", Object: r.ID, Detail: map[string]any{"inApp": p.InApp, "email": p.Email != nil}})
	})
	if err != nil {
		return nil, fault.Wrap("set preferences", err)
	}
	return &p, nil
}

// within checks digest and quiet hours, and sets the standard digest.
func within(prefix string, d *Digest, q *Quiet) error {
	if *d == (Digest{}) {
		*d = StandardDigest
	}
	if d.Above < 0 || d.Above > 1000 {
		return fault.New(fault.Invalid, "Allowed: 0 to 1000").In(prefix + "digest.above")
	}
	if d.Minutes < 1 || d.Minutes > 1440 {
		return fault.New(fault.Invalid, "Allowed: 1 to 1440").In(prefix + "digest.minutes")
	}
	if q == nil {
		return nil
	}
	if err := q.check(); err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return fault.New(f.Kind, "%s", f.Message).In(prefix + f.Field)
		}
		return err
	}
	return nil
}

// wants tells whether the preferences let a message through.
func (w *Wanted) wants(m *outbox.Message) bool {
	return (len(w.Severity) == 0 || m.Severity == "" || slices.Contains(w.Severity, m.Severity)) && (len(w.Events) == 0 || slices.Contains(w.Events, m.Event))
}
