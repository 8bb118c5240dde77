package playbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// execution is one step of one run.
type execution struct {
	*Service
	run     *Run
	doc     *Document
	facts   *facts
	step    *Step
	outside bool
	attempt int
}

func (x *execution) actor() string { return audit.Playbook + x.run.Handle }

// again goes on with a step that was begun before.
func (x *execution) again(ctx context.Context, log *StepLog) error {
	switch log.State {
	case Waiting:
		return x.close(ctx, log, Done, nil, "")
	case Asking:
		return x.fail(ctx, log, "nobody answered in time")
	case Failed: // and its time to be repeated has come
		x.attempt = log.Attempt + 1
		return x.do(ctx)
	}
	return fmt.Errorf("run %s: step %s is %s and was taken up", x.run.ID, x.step.ID, log.State)
}

// log is a new entry of the step.
func (x *execution) log(input map[string]any) (*StepLog, error) {
	text, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	return &StepLog{Place: x.run.Place, Step: x.step.ID, Action: x.step.Action, State: Running, Attempt: x.attempt, Input: text, BegunAt: x.now()}, nil
}

func (x *execution) do(ctx context.Context) error {
	ctx = outbox.Because(ctx, x.run.ID)
	log, err := x.log(map[string]any{})
	if err != nil {
		return err
	}
	if !holds(x.step.when, x.facts.record(x.run.Kind)) {
		return x.close(ctx, log, Skipped, nil, "its condition does not hold")
	}
	if actions[x.step.Action].outside && !x.outside {
		return x.close(ctx, log, Skipped, nil, "it leaves the house, and the playbook may not: set allowOutside to let it")
	}
	fill := filler{values: x.facts.values}
	input, err := fill.all(x.step)
	if err != nil {
		return x.fail(ctx, log, messageOf(err))
	}
	if log, err = x.log(input); err != nil {
		return err
	}
	switch x.step.Action {
	case actHTTP:
		return x.call(ctx, log)
	case actSearch:
		within, done := context.WithTimeout(ctx, x.step.Timeout)
		defer done()
		result, err := x.search(within, input)
		if err != nil {
			return x.fail(ctx, log, messageOf(err))
		}
		return x.close(ctx, log, Done, result, "")
	case actWait, actAsk:
		return x.wait(ctx, log, input)
	}
	return x.inside(ctx, log, input)
}

// inside does a step that changes KYRA only, in the transaction that notes it.
func (x *execution) inside(ctx context.Context, log *StepLog, input map[string]any) error {
	err := x.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := x.held(ctx, tx); err != nil {
			return err
		}
		result, err := x.act(ctx, tx, input)
		if err != nil {
			return err
		}
		return x.note(ctx, tx, log, Done, result, "")
	})
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind != fault.Unavailable {
		return x.fail(ctx, log, f.Message)
	}
	if err == nil {
		x.counts.done.Inc()
	}
	return err
}

// held fails where the run is not this server's any more.
func (x *execution) held(ctx context.Context, tx *sqldb.DB) error {
	n, err := sqldb.Exec(ctx, tx, `UPDATE playbook_run SET lease_until = $3 WHERE id = $1 AND state = 'RUNNING' AND holder = $2`, x.run.ID, x.run.holder, x.now().Add(lease).UnixMicro())
	if err == nil && n == 0 {
		err = errLost
	}
	return err
}

// close notes how a step ended and moves the run on.
func (x *execution) close(ctx context.Context, log *StepLog, st State, result any, remark string) error {
	err := x.db.Tx(ctx, func(tx *sqldb.DB) error { return x.note(ctx, tx, log, st, result, remark) })
	if err == nil {
		switch st {
		case Done:
			x.counts.done.Inc()
		case Skipped:
			x.counts.skipped.Inc()
		}
	}
	return err
}

func (x *execution) note(ctx context.Context, tx *sqldb.DB, log *StepLog, st State, result any, remark string) error {
	if err := x.write(ctx, tx, log, st, result, remark); err != nil {
		return err
	}
	return x.put(ctx, tx, x.run, Queued, "", x.run.Place+1, x.now(), x.doc)
}

// write stores the entry of a step that has ended.
func (x *execution) write(ctx context.Context, tx *sqldb.DB, log *StepLog, st State, result any, remark string) error {
	log.State, log.Error = st, clean(remark, 2000)
	log.EndedAt = new(x.now())
	if result != nil {
		text, err := json.Marshal(result)
		if err != nil {
			return err
		}
		log.Result = text
	}
	return putStep(ctx, tx, x.run.ID, log)
}

// fail notes that a step failed: it is repeated, passed over, or ends the run.
func (x *execution) fail(ctx context.Context, log *StepLog, why string) error {
	x.counts.failed.Inc()
	return x.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := x.write(ctx, tx, log, Failed, nil, why); err != nil {
			return err
		}
		now := x.now()
		switch {
		case log.Attempt <= x.step.Retry.Times && log.Action != actAsk:
			return x.put(ctx, tx, x.run, Waiting, fmt.Sprintf("step %s failed and is repeated", x.step.ID), x.run.Place, now.Add(x.step.Retry.Wait), x.doc)
		case x.step.OnError == Continue:
			return x.put(ctx, tx, x.run, Queued, "", x.run.Place+1, now, x.doc)
		}
		return x.put(ctx, tx, x.run, Failed, clean("step "+x.step.ID+": "+why, 2000), x.run.Place, now, x.doc)
	})
}

// wait begins a step that ends when time has passed, or when a person has answered.
func (x *execution) wait(ctx context.Context, log *StepLog, input map[string]any) error {
	d, st, reason := defaultExpiry, Waiting, "step "+x.step.ID+" waits"
	name := "for"
	if x.step.Action == actAsk {
		st, name = Asking, "expires"
		reason, _ = input["question"].(string)
	}
	if text, ok := input[name].(string); ok {
		var err error
		if d, err = parseSpan(text); err != nil || d <= 0 || d > maxDays*24*time.Hour {
			return x.fail(ctx, log, fmt.Sprintf("%s is %q: it must be a time such as 10m, up to %d days", name, text, maxDays))
		}
	}
	until := x.now().Add(d)
	log.State, log.Until = st, &until
	return x.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := putStep(ctx, tx, x.run.ID, log); err != nil {
			return err
		}
		if st == Asking {
			if err := x.tellAsking(ctx, tx, x.run, reason); err != nil {
				return err
			}
		}
		if until.After(x.run.Deadline) {
			until = x.run.Deadline.Add(time.Microsecond)
		}
		return x.put(ctx, tx, x.run, st, clean(reason, 2000), x.run.Place, until, x.doc)
	})
}

func putStep(ctx context.Context, tx *sqldb.DB, run string, l *StepLog) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO playbook_step (run_id, place, step, action, state, attempt, input, result, error, until, begun_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (run_id, place) DO UPDATE SET state = excluded.state, attempt = excluded.attempt, input = excluded.input, result = excluded.result,
		error = excluded.error, until = excluded.until, begun_at = excluded.begun_at, ended_at = excluded.ended_at`,
		run, l.Place, l.Step, l.Action, string(l.State), l.Attempt, string(l.Input), string(l.Result), l.Error, sqldb.Nullable(l.Until), l.BegunAt.UnixMicro(), sqldb.Nullable(l.EndedAt))
	return err
}

// messageOf is what a tenant may read of an error.
func messageOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it took longer than the step's timeout"
	}
	return "server error — contact support"
}
