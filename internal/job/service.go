package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Config is the settings of a Service; zero values mean the defaults named.
type Config struct {
	Log *slog.Logger
	Now func() time.Time // time.Now

	Workers   int           // jobs that this process runs at a time: 2
	PerTenant int           // of them of one tenant, over all processes: 1
	Waiting   int           // jobs of one tenant that have not ended: 20
	Keep      int           // jobs of one tenant that have ended: 200
	KeepFor   time.Duration // and for how long: 30 days
	Lease     time.Duration // how long a silent process holds a job: 30 s
	Poll      time.Duration // how often to look for jobs of other processes: 2 s
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	db     *sqldb.DB
	kinds  map[string]Kind
	holder string        // names this process
	wake   chan struct{} // a job was started here

	mu      sync.Mutex
	running map[string]context.CancelCauseFunc // by id, those of this process
}

// New returns the use cases on db, with the kinds of jobs that this process can run.
// Jobs are run by Run.
func New(db *sqldb.DB, c Config, kinds map[string]Kind) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, n := range []struct {
		value    *int
		standard int
	}{{&c.Workers, 2}, {&c.PerTenant, 1}, {&c.Waiting, 20}, {&c.Keep, 200}} {
		if *n.value == 0 {
			*n.value = n.standard
		}
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&c.KeepFor, 30 * 24 * time.Hour}, {&c.Lease, 30 * time.Second}, {&c.Poll, 2 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	return &Service{Config: c, db: db, kinds: kinds, holder: uuid.NewString(), wake: make(chan struct{}, 1), running: map[string]context.CancelCauseFunc{}}
}

var errNoJob = fault.New(fault.NotFound, "no such job")

const columns = `id, tenant, kind, subject, actor, state, reason, cancelling, done, total, note, attempt, created_at, started_at, ended_at`

func (j *Job) scan(rows *sql.Rows, more ...any) error {
	var tenant int64
	err := rows.Scan(append([]any{
		&j.ID, &tenant, &j.Kind, &j.Subject, &j.Actor, &j.State, &j.Reason, &j.Cancelling, &j.Done, &j.Total, &j.Note, &j.Attempt,
		sqldb.Micros(&j.CreatedAt), sqldb.MicrosOrNull(&j.StartedAt), sqldb.MicrosOrNull(&j.EndedAt),
	}, more...)...)
	j.Tenant = uint32(tenant) //nolint:gosec // it was one
	return err
}

func scanListed(rows *sql.Rows, j *Job) error { return j.scan(rows) }

func scanWhole(rows *sql.Rows, j *Job) error {
	var params, result string
	if err := j.scan(rows, &params, &result); err != nil {
		return err
	}
	j.Params = json.RawMessage(params)
	if result != "" {
		j.Result = json.RawMessage(result)
	}
	return nil
}

// Start queues a job. A tenant with too many that have not ended gets fault.Limited.
func (s *Service) Start(ctx context.Context, tenant uint32, actor string, d Draft) (*Job, error) {
	if _, ok := s.kinds[d.Kind]; !ok {
		return nil, fmt.Errorf("start job: there is no kind %q", d.Kind)
	}
	params, err := json.Marshal(d.Params)
	if err != nil {
		return nil, fmt.Errorf("start job: %w", err)
	}
	if len(params) > MaxParams {
		return nil, fault.New(fault.TooLarge, "what a job is given has at most %d bytes", MaxParams)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("start job: %w", err)
	}
	var replaced []string
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := s.Now()
		// Its chain makes starts of one tenant wait for each other: the count holds.
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "job.start", Object: id.String(), Detail: map[string]string{"kind": d.Kind, "subject": d.Subject}}); err != nil {
			return err
		}
		if d.Replace {
			if replaced, err = s.cancelLike(ctx, tx, now, tenant, d); err != nil {
				return err
			}
		}
		open, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM job WHERE tenant = $1 AND state IN ('QUEUED', 'RUNNING')`, int64(tenant))
		if err != nil {
			return err
		}
		if open >= int64(s.Waiting) {
			return fault.New(fault.Limited, "%d jobs have not ended: wait for one, or cancel it with DELETE /jobs/{id}", open)
		}
		_, err = sqldb.Exec(ctx, tx, `INSERT INTO job (id, tenant, kind, subject, actor, state, params, run_at, created_at) VALUES ($1, $2, $3, $4, $5, 'QUEUED', $6, $7, $7)`,
			id.String(), int64(tenant), d.Kind, d.Subject, actor, string(params), now.UnixMicro())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start job: %w", err)
	}
	for _, id := range replaced {
		s.stop(id)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return s.Get(ctx, tenant, id.String())
}

// cancelLike cancels jobs of the draft's kind and subject and returns those that run.
func (s *Service) cancelLike(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, d Draft) ([]string, error) {
	const these = ` WHERE tenant = $1 AND kind = $2 AND subject = $3`
	if _, err := sqldb.Exec(ctx, tx, `UPDATE job SET state = 'CANCELLED', reason = 'another took its place', ended_at = $4`+these+` AND state = 'QUEUED'`, int64(tenant), d.Kind, d.Subject, now.UnixMicro()); err != nil {
		return nil, err
	}
	return sqldb.All(ctx, tx, sqldb.Value[string], `UPDATE job SET cancelling = TRUE, reason = 'another took its place'`+these+` AND state = 'RUNNING' RETURNING id`, int64(tenant), d.Kind, d.Subject)
}

// Get returns a job of the tenant with its params and result, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Job, error) {
	if !sane(id) {
		return nil, errNoJob
	}
	return one(ctx, s.db, `SELECT `+columns+`, params, result FROM job WHERE tenant = $1 AND id = $2`, int64(tenant), id)
}

// Latest returns the newest job of a kind and subject, or fault.NotFound.
func (s *Service) Latest(ctx context.Context, tenant uint32, kind, subject string) (*Job, error) {
	if !sane(subject) {
		return nil, errNoJob
	}
	return one(ctx, s.db, `SELECT `+columns+`, params, result FROM job WHERE tenant = $1 AND kind = $2 AND subject = $3 ORDER BY id DESC LIMIT 1`, int64(tenant), kind, subject)
}

func one(ctx context.Context, db *sqldb.DB, query string, args ...any) (*Job, error) {
	j, err := sqldb.One(ctx, db, scanWhole, query, args...)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoJob
	}
	if err != nil {
		return nil, fmt.Errorf("get job: %w", err)
	}
	return &j, nil
}

// sane tells whether a text from outside may go into a query: PostgreSQL refuses
// what is no UTF-8.
func sane(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// clean makes a text fit for a column.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// A Filter chooses jobs; zero fields choose all.
type Filter struct {
	States  []State
	Kinds   []string
	Subject string
}

// A Query asks for one page, the newest first unless Ascending.
type Query struct {
	Filter
	Ascending  bool
	Page, Size int // Page from 0; Size 1 to 100, 0 for 20
}

// A Page is part of a list.
type Page struct {
	Jobs  []Job // never nil, without params and result
	Total int64
}

// List returns one page of the tenant's jobs.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (*Page, error) {
	if q.Size == 0 {
		q.Size = 20
	}
	const maxSize = 100
	switch {
	case q.Size < 1 || q.Size > maxSize:
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d", maxSize).In("size")
	case q.Page < 0 || q.Page > 1<<40:
		return nil, fault.New(fault.Invalid, "Allowed: 0 or more").In("page")
	}
	var where strings.Builder
	args := []any{int64(tenant)}
	in := func(column string, values []string) {
		for i, v := range values {
			args = append(args, clean(v))
			values[i] = "$" + strconv.Itoa(len(args))
		}
		if len(values) > 0 {
			where.WriteString(" AND " + column + " IN (" + strings.Join(values, ", ") + ")")
		}
	}
	where.WriteString(" WHERE tenant = $1")
	states := make([]string, len(q.States))
	for i, st := range q.States {
		st, err := ParseState(string(st))
		if err != nil {
			return nil, err
		}
		states[i] = string(st)
	}
	in("state", states)
	in("kind", append([]string(nil), q.Kinds...))
	if q.Subject != "" {
		in("subject", []string{q.Subject})
	}
	direction := "DESC"
	if q.Ascending {
		direction = "ASC"
	}
	p := &Page{}
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		if p.Total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM job`+where.String(), args...); err != nil {
			return err
		}
		p.Jobs, err = sqldb.All(ctx, tx, scanListed, fmt.Sprintf(`SELECT %s FROM job%s ORDER BY id %s LIMIT %d OFFSET %d`, columns, where.String(), direction, q.Size, int64(q.Page)*int64(q.Size)), args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return p, nil
}

// Cancel stops a job: one that waits at once, one that runs as soon as its work
// heeds it. One that is cancelled stays so; another that has ended is fault.Conflict.
func (s *Service) Cancel(ctx context.Context, tenant uint32, actor, id string) (*Job, error) {
	if !sane(id) {
		return nil, errNoJob
	}
	var j *Job
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := s.Now()
		var err error
		if j, err = one(ctx, tx, `SELECT `+columns+`, params, result FROM job WHERE tenant = $1 AND id = $2`, int64(tenant), id); err != nil {
			return err
		}
		switch {
		case j.State == Cancelled || j.Cancelling:
			return nil
		case j.State.Ended():
			return fault.New(fault.Conflict, "the job has ended: it is %s", j.State)
		case j.State == Queued:
			_, err = sqldb.Exec(ctx, tx, `UPDATE job SET state = 'CANCELLED', reason = $2, ended_at = $3 WHERE id = $1`, id, "cancelled by "+actor, now.UnixMicro())
		default:
			_, err = sqldb.Exec(ctx, tx, `UPDATE job SET cancelling = TRUE, reason = $2 WHERE id = $1`, id, "cancelled by "+actor)
		}
		if err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "job.cancel", Object: id}); err != nil {
			return err
		}
		if err := s.forget(ctx, tx, now, tenant); err != nil {
			return err
		}
		j, err = one(ctx, tx, `SELECT `+columns+`, params, result FROM job WHERE tenant = $1 AND id = $2`, int64(tenant), id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cancel job: %w", err)
	}
	if j.Cancelling {
		s.stop(id)
	}
	return j, nil
}

// stop ends the work of a job that runs here.
func (s *Service) stop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.running[id]; cancel != nil {
		cancel(errCancelled)
	}
}
