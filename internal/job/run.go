package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Why the work of a job is ended from outside.
var (
	errCancelled = errors.New("the job was cancelled")
	errLost      = errors.New("another process took the job over")
	errStopping  = errors.New("the server is stopping")
	errTooLong   = errors.New("the job took too long")
)

// Run runs jobs until ctx is done. Those at work are then queued again, to be begun
// anew by the next process.
func (s *Service) Run(ctx context.Context) error {
	var all sync.WaitGroup
	free := make(chan struct{}, s.Workers)
	tick := time.NewTicker(s.Poll)
	defer tick.Stop()
	ended := make(chan struct{}, 1) // a worker is free again
	for {
		if err := s.takeOver(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "jobs of ended processes cannot be taken over", "err", err)
		}
		for ctx.Err() == nil && len(free) < cap(free) {
			j, err := s.claim(ctx)
			if err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "no job can be taken up", "err", err)
			}
			if err != nil || j == nil {
				break
			}
			free <- struct{}{}
			all.Go(func() {
				s.work(ctx, j)
				<-free
				select {
				case ended <- struct{}{}:
				default:
				}
			})
		}
		select {
		case <-ctx.Done():
			all.Wait()
			return nil
		case <-tick.C:
		case <-ended:
		case <-s.wake:
		}
	}
}

// takeOver takes up jobs whose process was silent for the time of a lease.
func (s *Service) takeOver(ctx context.Context) error {
	now := s.Now()
	return s.db.Tx(ctx, func(tx *sqldb.DB) error {
		silent, err := sqldb.All(ctx, tx, scanListed, `SELECT `+columns+` FROM job WHERE state = 'RUNNING' AND lease_until < $1 ORDER BY id LIMIT 100`, now.UnixMicro())
		if err != nil {
			return err
		}
		for i := range silent {
			j := &silent[i]
			const reason = "the process that ran it ended"
			switch {
			case j.Cancelling:
				err = s.end(ctx, tx, now, j, Cancelled, j.Reason, nil)
			case s.kinds[j.Kind].Work == nil: // of another version's process
				continue
			case j.Attempt >= s.attempts(j.Kind):
				err = s.end(ctx, tx, now, j, Failed, fmt.Sprintf("%s, %d times", reason, j.Attempt), nil)
			default:
				_, err = sqldb.Exec(ctx, tx, `UPDATE job SET state = 'QUEUED', holder = '', reason = $2, run_at = $3 WHERE id = $1`, j.ID, reason+": begun anew", now.UnixMicro())
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) attempts(kind string) int {
	if n := s.kinds[kind].Attempts; n > 0 {
		return n
	}
	return 3
}

// claim takes up the job that is next, nil if there is none: that of the tenant with
// the fewest at work, then the oldest.
func (s *Service) claim(ctx context.Context) (*Job, error) {
	args := []any{s.holder, s.Now().Add(s.Lease).UnixMicro(), s.Now().UnixMicro(), int64(s.PerTenant)}
	var kinds []string
	for kind := range s.kinds {
		args = append(args, kind)
		kinds = append(kinds, "$"+strconv.Itoa(len(args)))
	}
	if len(kinds) == 0 {
		return nil, nil
	}
	lock := ""
	if s.db.Dialect() == sqldb.Postgres {
		lock = " FOR UPDATE SKIP LOCKED"
	}
	const busy = `(SELECT count(*) FROM job r WHERE r.tenant = j.tenant AND r.state = 'RUNNING')`
	var claimed *Job
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		jobs, err := sqldb.All(ctx, tx, scanWhole, `
			UPDATE job SET state = 'RUNNING', attempt = attempt + 1, reason = '', holder = $1, lease_until = $2, started_at = COALESCE(started_at, $3), done = 0, total = 0, note = ''
			WHERE id = (SELECT j.id FROM job j WHERE j.state = 'QUEUED' AND j.run_at <= $3 AND `+busy+` < $4 AND j.kind IN (`+strings.Join(kinds, ", ")+`)
				ORDER BY `+busy+`, j.run_at, j.id LIMIT 1`+lock+`)
			RETURNING `+columns+`, params, result`, args...)
		claimed = nil
		if len(jobs) > 0 {
			claimed = &jobs[0]
		}
		return err
	})
	return claimed, err
}

// work runs one job that was claimed and writes down how it ended.
func (s *Service) work(ctx context.Context, j *Job) {
	kind := s.kinds[j.Kind]
	longest := kind.Time
	if longest == 0 {
		longest = time.Hour
	}
	stopped := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if cancel := s.running[j.ID]; cancel != nil {
			cancel(errStopping)
		}
	})
	defer stopped()
	working, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.running[j.ID] = cancel
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.running, j.ID)
		s.mu.Unlock()
		cancel(nil)
	}()
	if ctx.Err() != nil {
		cancel(errStopping)
	}
	within, done := context.WithTimeoutCause(working, longest, errTooLong)
	defer done()

	t := &Task{Job: *j}
	var beating sync.WaitGroup
	over := make(chan struct{})
	beating.Go(func() { s.beat(working, t, cancel, over) })
	result, err := s.do(within, kind.Work, t)
	cause := context.Cause(within)
	close(over)
	beating.Wait()
	if err == nil {
		cause = nil // it was done before it heard of anything
	}
	// What is written here must be written although the server is stopping.
	after, release := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer release()
	if err := s.finish(after, t, result, err, cause); err != nil {
		s.Log.ErrorContext(ctx, "the end of a job cannot be written: it will be begun anew", "job", j.ID, "kind", j.Kind, "err", err)
	}
}

// do calls the work; a panic in it is an error.
func (s *Service) do(ctx context.Context, w Work, t *Task) (result json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.Log.ErrorContext(ctx, "job panicked", "job", t.ID, "kind", t.Kind, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	v, err := w(ctx, t)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write the result: %w", err)
	}
	if len(text) > MaxResult {
		return nil, fault.New(fault.TooLarge, "the result has %d bytes, at most %d are kept", len(text), MaxResult)
	}
	return text, nil
}

// beat renews the lease, writes progress and hears of cancelling until over.
func (s *Service) beat(ctx context.Context, t *Task, cancel context.CancelCauseFunc, over <-chan struct{}) {
	every := min(s.Lease/4, s.Poll)
	tick := time.NewTicker(every)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		p := t.told()
		var told []bool
		err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
			var err error
			told, err = sqldb.All(ctx, tx, sqldb.Value[bool], `UPDATE job SET lease_until = $3, done = $4, total = $5, note = $6
				WHERE id = $1 AND holder = $2 AND attempt = $7 AND state = 'RUNNING' RETURNING cancelling`,
				t.ID, s.holder, s.Now().Add(s.Lease).UnixMicro(), p.done, p.total, p.note, t.Attempt)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.Log.WarnContext(ctx, "the lease of a job cannot be renewed", "job", t.ID, "err", err)
			if time.Since(renewed) > s.Lease { // somebody else may run it by now
				cancel(errLost)
				return
			}
		case len(told) == 0:
			cancel(errLost)
			return
		case told[0]:
			cancel(errCancelled)
			return
		default:
			renewed = time.Now()
		}
	}
}

// told is the progress as it goes into the database.
func (t *Task) told() progress {
	p := t.progress.Load()
	if p == nil {
		return progress{}
	}
	const maxNote = 500
	return progress{p.done, p.total, clean(p.note[:min(len(p.note), maxNote)])}
}

// finish writes down how a job ended. cause is why its work was ended from outside.
func (s *Service) finish(ctx context.Context, t *Task, result json.RawMessage, err, cause error) error {
	now := s.Now()
	j := &t.Job
	p := t.told()
	j.Done, j.Total, j.Note = p.done, p.total, p.note
	return s.db.Tx(ctx, func(tx *sqldb.DB) error {
		reasons, e := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT reason FROM job WHERE id = $1 AND holder = $2 AND attempt = $3 AND state = 'RUNNING'`, j.ID, s.holder, j.Attempt)
		if e != nil || len(reasons) == 0 { // another process has it
			return e
		}
		switch {
		case err == nil:
			return s.end(ctx, tx, now, j, Done, "", result)
		case errors.Is(cause, errLost):
			return nil
		case errors.Is(cause, errCancelled):
			return s.end(ctx, tx, now, j, Cancelled, reasons[0], nil)
		case errors.Is(cause, errStopping):
			// The attempt does not count: it is no fault of the job.
			_, err := sqldb.Exec(ctx, tx, `UPDATE job SET state = 'QUEUED', holder = '', attempt = attempt - 1, run_at = $2, reason = 'the server was stopped: begun anew' WHERE id = $1`, j.ID, now.UnixMicro())
			return err
		case errors.Is(cause, errTooLong):
			return s.end(ctx, tx, now, j, Failed, "it took longer than it may: ask for less at a time", nil)
		case errors.Is(err, fault.Unavailable) && j.Attempt < s.attempts(j.Kind):
			wait := 10 * time.Second << min(j.Attempt-1, 5)
			_, err := sqldb.Exec(ctx, tx, `UPDATE job SET state = 'QUEUED', holder = '', run_at = $2, reason = $3 WHERE id = $1`, j.ID, now.Add(wait).UnixMicro(), reasonOf(err)+": tried again later")
			return err
		}
		if reasonOf(err) == internalReason {
			s.Log.ErrorContext(ctx, "job failed", "job", j.ID, "kind", j.Kind, "err", err)
		}
		return s.end(ctx, tx, now, j, Failed, reasonOf(err), nil)
	})
}

const internalReason = "server error — contact support"

// reasonOf is what the tenant may read of an error.
func reasonOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return clean(f.Message)
	}
	return internalReason
}

// end makes a job's state final.
func (s *Service) end(ctx context.Context, tx *sqldb.DB, now time.Time, j *Job, st State, reason string, result json.RawMessage) error {
	if _, err := sqldb.Exec(ctx, tx, `UPDATE job SET state = $2, reason = $3, result = $4, ended_at = $5, done = $6, total = $7, note = $8, holder = '', cancelling = FALSE WHERE id = $1`,
		j.ID, string(st), reason, string(result), now.UnixMicro(), j.Done, j.Total, j.Note); err != nil {
		return err
	}
	return s.forget(ctx, tx, now, j.Tenant)
}

// forget removes the tenant's oldest jobs that have ended.
func (s *Service) forget(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32) error {
	const ended = ` FROM job WHERE tenant = $1 AND state IN ('DONE', 'FAILED', 'CANCELLED')`
	if _, err := sqldb.Exec(ctx, tx, `DELETE`+ended+` AND ended_at < $2`, int64(tenant), now.Add(-s.KeepFor).UnixMicro()); err != nil {
		return err
	}
	newest, err := sqldb.All(ctx, tx, sqldb.Value[string], fmt.Sprintf(`SELECT id%s ORDER BY id DESC LIMIT 1 OFFSET %d`, ended, s.Keep), int64(tenant))
	if err != nil || len(newest) == 0 {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `DELETE`+ended+` AND id <= $2`, int64(tenant), newest[0])
	return err
}
