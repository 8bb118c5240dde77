package playbook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	poll = 250 * time.Millisecond

	// Steps that wait for others have workers of their own, of which one playbook and one
	// tenant get a part only: a slow receiver delays nobody else.
	quickSlots     = 4
	slowSlots      = 64
	slowOfTenant   = 32
	slowOfPlaybook = 8

	lease = 6 * time.Minute // longer than any step takes

	// KeepFor is how long runs that have ended are kept.
	KeepFor = 90 * 24 * time.Hour
)

// Run runs what is due until ctx is done, and then lets steps that have begun end.
func (s *Service) Run(ctx context.Context) error {
	// What this server held when it last ended is its to take up again at once.
	if _, err := sqldb.Exec(ctx, s.db, `UPDATE playbook_run SET lease_until = 0 WHERE state = 'RUNNING' AND holder = $1`, s.Holder); err != nil && ctx.Err() == nil {
		return fault.Wrap("take up runs", err)
	}
	var work sync.WaitGroup
	defer work.Wait()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var looked, swept time.Time
	for {
		s.report(ctx, "runs of ended processes are not taken over", s.takeOver(ctx))
		if now := time.Now(); now.Sub(looked) >= time.Second {
			looked = now
			s.report(ctx, "schedules are not looked at", s.schedule(ctx))
			if now.Sub(swept) >= time.Hour {
				swept = now
				_, err := sqldb.Exec(ctx, s.db, `DELETE FROM playbook_run WHERE ended_at < $1`, s.now().Add(-KeepFor).UnixMicro())
				s.report(ctx, "old runs are not forgotten", err)
			}
		}
		for class, slots := range s.slots {
			s.fill(ctx, &work, class == 1, slots)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// fill gives free workers what is due.
func (s *Service) fill(ctx context.Context, work *sync.WaitGroup, slow bool, slots chan struct{}) {
	for ctx.Err() == nil && len(slots) < cap(slots) {
		id, err := s.claim(ctx, slow)
		s.report(ctx, "no run is taken up", err)
		if err != nil || id == "" {
			return
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots; s.poke() }()
			s.work(context.WithoutCancel(ctx), id)
		})
	}
}

// poke has Run look for work now.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Service) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "playbooks stand still", "what", what, "err", err)
	}
}

const due = `r.state IN ('QUEUED', 'WAITING', 'ASKING') AND r.slow = $1 AND r.next_at <= $2`

// claim takes up the run that is next, "" if there is none.
func (s *Service) claim(ctx context.Context, slow bool) (string, error) {
	now := s.now().UnixMicro()
	waits, err := sqldb.All(ctx, s.db, sqldb.Value[string], `SELECT r.id FROM playbook_run r WHERE `+due+` LIMIT 1`, slow, now)
	if err != nil || len(waits) == 0 {
		return "", err
	}
	lock := ""
	if s.db.Dialect() == sqldb.Postgres {
		lock = " FOR UPDATE SKIP LOCKED"
	}
	const busy = `(SELECT count(*) FROM playbook_run b WHERE b.tenant = r.tenant AND b.state = 'RUNNING' AND b.slow = r.slow`
	var got []string
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		got, err = sqldb.All(ctx, tx, sqldb.Value[string], `UPDATE playbook_run SET state = 'RUNNING', holder = $3, lease_until = $4 WHERE id = (
			SELECT r.id FROM playbook_run r WHERE `+due+` AND `+busy+`) < $5 AND `+busy+` AND b.playbook_id = r.playbook_id) < $6
			ORDER BY r.next_at, r.id LIMIT 1`+lock+`) RETURNING id`, slow, now, s.Holder, s.now().Add(lease).UnixMicro(), slowOfTenant, slowOfPlaybook)
		return err
	})
	if err != nil || len(got) == 0 {
		return "", err
	}
	return got[0], nil
}

// takeOver looks after the runs of processes that ended. A step that had been begun and
// whose end was not noted is not begun again: its outcome is unknown.
func (s *Service) takeOver(ctx context.Context) error {
	lost, err := sqldb.All(ctx, s.db, scanRun, selectRun+` WHERE r.state = 'RUNNING' AND r.lease_until < $1 ORDER BY r.id LIMIT 100`, s.now().UnixMicro())
	for i := range lost {
		r := &lost[i]
		err = errors.Join(err, s.db.Tx(ctx, func(tx *sqldb.DB) error {
			n, err := sqldb.Exec(ctx, tx, `UPDATE playbook_run SET holder = $2, lease_until = $3 WHERE id = $1 AND state = 'RUNNING' AND lease_until < $4`,
				r.ID, s.Holder, s.now().Add(lease).UnixMicro(), s.now().UnixMicro())
			if err != nil || n == 0 {
				return err
			}
			r.holder = s.Holder
			return s.resume(ctx, tx, r)
		}))
	}
	return fault.Wrap("take over runs", err)
}

func (s *Service) resume(ctx context.Context, tx *sqldb.DB, r *Run) error {
	d, _, err := s.document(ctx, tx, r)
	if err != nil {
		return err
	}
	begun, err := sqldb.Exec(ctx, tx, `UPDATE playbook_step SET state = 'UNKNOWN', ended_at = $3, error = $4 WHERE run_id = $1 AND place = $2 AND state = 'RUNNING'`,
		r.ID, r.Place, s.now().UnixMicro(), "the server ended while the step acted: whether it did is not known")
	switch {
	case err != nil:
		return err
	case begun == 0: // nothing was done yet
		return s.put(ctx, tx, r, Queued, "", r.Place, s.now(), d)
	case d.Steps[r.Place].OnError == Continue:
		return s.put(ctx, tx, r, Queued, "", r.Place+1, s.now(), d)
	}
	st := &d.Steps[r.Place]
	reason := fmt.Sprintf("the outcome of step %s is unknown: approve to go on, deny to stop", st.ID)
	if err := s.tellAsking(ctx, tx, r, reason); err != nil {
		return err
	}
	return s.put(ctx, tx, r, Asking, reason, r.Place, r.Deadline, d)
}

// tellAsking has people told that a run waits for one of them.
func (s *Service) tellAsking(ctx context.Context, tx *sqldb.DB, r *Run, question string) error {
	return outbox.Add(outbox.Because(ctx, r.ID), tx, outbox.Message{Tenant: r.Tenant, Event: outbox.PlaybookAsks, Kind: "playbook-runs", Object: r.ID, Title: r.Name + " asks", Text: question, At: s.now()})
}

// document reads the version of a run, and whether steps that leave the house may run.
func (s *Service) document(ctx context.Context, tx *sqldb.DB, r *Run) (*Document, bool, error) {
	type row struct {
		text    string
		outside bool
	}
	v, err := sqldb.One(ctx, tx, func(rows *sql.Rows, v *row) error { return rows.Scan(&v.text, &v.outside) },
		`SELECT v.text, p.outside FROM playbook_version v JOIN playbook p ON p.id = v.playbook_id WHERE v.playbook_id = $1 AND v.number = $2`, r.PlaybookID, r.Number)
	if err != nil {
		return nil, false, err
	}
	d, err := Parse([]byte(v.text))
	return d, v.outside, err
}

var errLost = errors.New("the run is held by somebody else")

// put notes where a run stands, if it is this server's still. A run that was cancelled
// ends instead.
func (s *Service) put(ctx context.Context, tx *sqldb.DB, r *Run, st State, reason string, place int, next time.Time, d *Document) error {
	if st == Queued && place >= len(d.Steps) {
		st = Done
	}
	now := s.now()
	cancelled, err := sqldb.All(ctx, tx, sqldb.Value[bool], `SELECT cancelling FROM playbook_run WHERE id = $1 AND state = 'RUNNING' AND holder = $2`, r.ID, r.holder)
	if err != nil {
		return err
	}
	if len(cancelled) == 0 {
		return errLost
	}
	if cancelled[0] && st != Done && st != Failed && st != Denied {
		st, reason = Cancelled, "cancelled by a person"
	}
	var ended *time.Time
	if final(st) {
		ended = &now
	}
	_, err = sqldb.Exec(ctx, tx, `UPDATE playbook_run SET state = $2, reason = $3, place = $4, slow = $5, next_at = $6, ended_at = $7, incident = $8, holder = '', lease_until = 0 WHERE id = $1`,
		r.ID, string(st), reason, place, d.slowAt(place), next.UnixMicro(), sqldb.Nullable(ended), r.incident)
	return err
}

func final(st State) bool { return st == Done || st == Failed || st == Denied || st == Cancelled }

// work does the next step of a run that was claimed.
func (s *Service) work(ctx context.Context, id string) {
	defer func() {
		if v := recover(); v != nil {
			s.Log.ErrorContext(ctx, "a step panicked", "run", id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			_, err := sqldb.Exec(ctx, s.db, `UPDATE playbook_run SET state = 'FAILED', reason = 'server error — contact support', ended_at = $2, holder = '' WHERE id = $1 AND state = 'RUNNING'`, id, s.now().UnixMicro())
			s.report(ctx, "the end of a run is not noted", err)
		}
	}()
	err := s.advance(ctx, id)
	if err == nil || errors.Is(err, errLost) {
		return
	}
	// Nothing of the step was kept: it is tried again a little later.
	s.Log.WarnContext(ctx, "a run stands still", "run", id, "err", err)
	_, err = sqldb.Exec(ctx, s.db, `UPDATE playbook_run SET state = 'QUEUED', holder = '', next_at = $2 WHERE id = $1 AND state = 'RUNNING' AND holder = $3
		AND NOT EXISTS (SELECT 1 FROM playbook_step p WHERE p.run_id = playbook_run.id AND p.state = 'RUNNING')`, id, s.now().Add(5*time.Second).UnixMicro(), s.Holder)
	s.report(ctx, "a run is not put back: it is taken over when its lease ends", err)
}

// advance looks where a run stands and does what is next.
func (s *Service) advance(ctx context.Context, id string) error {
	r, err := sqldb.One(ctx, s.db, scanRun, selectRun+` WHERE r.id = $1`, id)
	if err != nil {
		return err
	}
	steps, err := stepsOf(ctx, s.db, id)
	if err != nil {
		return err
	}
	d, outside, err := s.document(ctx, s.db, &r)
	if err != nil {
		return err
	}
	now := s.now()
	end := func(st State, reason string) error {
		return s.db.Tx(ctx, func(tx *sqldb.DB) error { return s.put(ctx, tx, &r, st, reason, r.Place, now, d) })
	}
	switch {
	case r.Cancelling:
		return end(Cancelled, "cancelled by a person")
	case now.After(r.Deadline):
		return end(Failed, "it took longer than the playbook's timeout")
	case r.Place >= len(d.Steps):
		return end(Done, "")
	}
	f, err := s.gather(ctx, s.db, &r, steps)
	if errors.Is(err, fault.NotFound) {
		return end(Failed, "what the run is about is gone")
	}
	if err != nil {
		return err
	}
	if r.StartedAt == nil {
		return s.start(ctx, &r, d, f)
	}
	x := &execution{Service: s, run: &r, doc: d, facts: f, step: &d.Steps[r.Place], outside: outside, attempt: 1}
	if n := len(steps); n > 0 && steps[n-1].Place == r.Place {
		return x.again(ctx, &steps[n-1])
	}
	return x.do(ctx)
}

// start looks whether the condition holds. Where it does not, there is no run.
func (s *Service) start(ctx context.Context, r *Run, d *Document, f *facts) error {
	now := s.now()
	return s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if r.Event != Manual && !holds(d.condition, f.record(r.Kind)) {
			_, err := sqldb.Exec(ctx, tx, `DELETE FROM playbook_run WHERE id = $1 AND holder = $2`, r.ID, r.holder)
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE playbook_run SET started_at = $2, deadline = $3 WHERE id = $1 AND holder = $4`, r.ID, now.UnixMicro(), now.Add(d.Timeout).UnixMicro(), r.holder); err != nil {
			return err
		}
		return s.put(ctx, tx, r, Queued, "", r.Place, now, d)
	})
}
