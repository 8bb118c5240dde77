package playbook

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Decision is a person's answer to a run that asks.
type Decision struct {
	Approve bool
	Note    string
	// Repeat has a step whose outcome is unknown done again; it goes with Approve.
	Repeat bool
}

// Decide answers the tenant's run that asks. Approved, it goes on: behind the question, or
// behind the step whose outcome is unknown. Denied, it ends, unless the step says that it
// is to go on. A run that does not ask is fault.Conflict.
func (s *Service) Decide(ctx context.Context, tenant uint32, actor, id string, a Decision) (*Run, []StepLog, error) {
	if utf8.RuneCountInString(a.Note) > 2000 {
		return nil, nil, fault.New(fault.Invalid, "Allowed: up to 2000 characters").In("note")
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		r, err := runByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if r.State != Asking {
			return fault.New(fault.Conflict, "the run asks nothing: it is %s", r.State)
		}
		steps, err := stepsOf(ctx, tx, id)
		if err != nil {
			return err
		}
		d, _, err := s.document(ctx, tx, r)
		if err != nil {
			return err
		}
		if len(steps) == 0 || steps[len(steps)-1].Place != r.Place {
			return errors.New("a run asks without a step")
		}
		log := &steps[len(steps)-1]
		if a.Repeat && (log.State != Unknown || !a.Approve) {
			return fault.New(fault.Invalid, "only a step whose outcome is unknown can be repeated, and by approving").In("repeat")
		}
		// The run is taken for this answer, as a worker takes it for a step.
		if _, err := sqldb.Exec(ctx, tx, `UPDATE playbook_run SET state = 'RUNNING', holder = $2 WHERE id = $1`, id, s.Holder); err != nil {
			return err
		}
		r.holder = s.Holder
		if err := s.decide(ctx, tx, r, d, log, actor, a); err != nil {
			return err
		}
		action := "playbook.deny"
		if a.Approve {
			action = "playbook.approve"
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: action, Object: r.ID, Detail: map[string]any{"playbook": r.Handle, "step": log.Step, "note": a.Note, "repeat": a.Repeat}})
	})
	if err != nil {
		return nil, nil, fault.Wrap("answer run", err)
	}
	s.poke()
	return s.GetRun(ctx, tenant, id)
}

func (s *Service) decide(ctx context.Context, tx *sqldb.DB, r *Run, d *Document, log *StepLog, actor string, a Decision) error {
	now := s.now()
	if a.Repeat {
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM playbook_step WHERE run_id = $1 AND place = $2`, r.ID, r.Place); err != nil {
			return err
		}
		return s.put(ctx, tx, r, Queued, "", r.Place, now, d)
	}
	st, result := log.State, log.Result
	if st == Asking {
		st, result = Denied, []byte(`{"approved":false}`)
		if a.Approve {
			st, result = Done, []byte(`{"approved":true}`)
		}
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE playbook_step SET state = $3, result = $4, decided_by = $5, note = $6, ended_at = $7 WHERE run_id = $1 AND place = $2`,
		r.ID, r.Place, string(st), string(result), actor, clean(strings.TrimSpace(a.Note), 2000), now.UnixMicro()); err != nil {
		return err
	}
	if a.Approve || d.Steps[r.Place].OnError == Continue {
		return s.put(ctx, tx, r, Queued, "", r.Place+1, now, d)
	}
	return s.put(ctx, tx, r, Denied, clean("denied by "+actor+" at step "+log.Step, 2000), r.Place, now, d)
}

// Cancel ends the tenant's run: at once, or after the step that acts now. One that has
// ended is fault.Conflict.
func (s *Service) Cancel(ctx context.Context, tenant uint32, actor, id string) (*Run, []StepLog, error) {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		r, err := runByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		switch {
		case final(r.State):
			return fault.New(fault.Conflict, "the run has ended: it is %s", r.State)
		case r.State == Running:
			_, err = sqldb.Exec(ctx, tx, `UPDATE playbook_run SET cancelling = TRUE WHERE id = $1`, id)
		default:
			_, err = sqldb.Exec(ctx, tx, `UPDATE playbook_run SET state = 'CANCELLED', reason = $2, cancelling = TRUE, ended_at = $3 WHERE id = $1`, id, clean("cancelled by "+actor, 500), s.now().UnixMicro())
		}
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "playbook.cancel", Object: r.ID, Detail: map[string]any{"playbook": r.Handle}})
	})
	if err != nil {
		return nil, nil, fault.Wrap("cancel run", err)
	}
	return s.GetRun(ctx, tenant, id)
}
