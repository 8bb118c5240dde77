package playbook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A State tells how far a run is.
type State string

// The states of runs. The last four are final.
const (
	Queued    State = "QUEUED"
	Running   State = "RUNNING"
	Waiting   State = "WAITING" // for a time
	Asking    State = "ASKING"  // a person
	Done      State = "DONE"
	Failed    State = "FAILED"
	Denied    State = "DENIED"
	Cancelled State = "CANCELLED"
)

// States lists the states of runs.
var States = []State{Queued, Running, Waiting, Asking, Done, Failed, Denied, Cancelled}

// States of steps that runs do not have.
const (
	Skipped State = "SKIPPED" // its condition did not hold, or it leaves the house and may not
	Unknown State = "UNKNOWN" // the process ended while it acted
)

// A Run is one execution of a playbook's version.
type Run struct {
	ID, PlaybookID string // UUIDv7
	Handle, Name   string // of the playbook
	Tenant         uint32
	Number         int64 // of the version
	Event          string
	Kind, Object   string // "alerts" or "incidents" and an id; "" for none
	Actor          string // who began it: a person, or the playbook itself
	State          State
	Reason         string
	Place          int
	Cancelling     bool
	NextAt         time.Time
	Deadline       time.Time
	CreatedAt      time.Time
	StartedAt      *time.Time
	EndedAt        *time.Time

	message, incident, chain, holder string
	slow                             bool
}

// About returns the alert or incident that the run is on, and the incident that a step
// made; "" for none.
func (r *Run) About() (alertID, incidentID string) {
	switch r.Kind {
	case kindAlert:
		return r.Object, r.incident
	case kindIncident:
		return "", r.Object
	}
	return "", r.incident
}

// A StepLog is what became of one step.
type StepLog struct {
	Place           int
	Step, Action    string
	State           State
	Attempt         int
	Input           json.RawMessage // values filled in, secrets by name only
	Result          json.RawMessage // nil for none
	Error           string
	DecidedBy, Note string
	Until           *time.Time // what waits or asks does so until then
	BegunAt         time.Time
	EndedAt         *time.Time
}

const selectRun = `SELECT r.id, r.playbook_id, p.handle, p.name, r.tenant, r.number, r.event, r.message, r.kind, r.object, r.incident, r.chain, r.actor, r.state, r.reason, r.place, r.slow, r.cancelling,
	r.next_at, r.deadline, r.holder, r.created_at, r.started_at, r.ended_at FROM playbook_run r JOIN playbook p ON p.id = r.playbook_id`

func scanRun(rows *sql.Rows, r *Run) error {
	var tenant int64
	err := rows.Scan(&r.ID, &r.PlaybookID, &r.Handle, &r.Name, &tenant, &r.Number, &r.Event, &r.message, &r.Kind, &r.Object, &r.incident, &r.chain, &r.Actor, &r.State, &r.Reason, &r.Place, &r.slow, &r.Cancelling,
		sqldb.Micros(&r.NextAt), sqldb.Micros(&r.Deadline), &r.holder, sqldb.Micros(&r.CreatedAt), sqldb.MicrosOrNull(&r.StartedAt), sqldb.MicrosOrNull(&r.EndedAt))
	r.Tenant = uint32(tenant) //nolint:gosec // written from one
	return err
}

const selectStep = `SELECT place, step, action, state, attempt, input, result, error, decided_by, note, until, begun_at, ended_at FROM playbook_step`

func scanStep(rows *sql.Rows, st *StepLog) error {
	var input, result string
	err := rows.Scan(&st.Place, &st.Step, &st.Action, &st.State, &st.Attempt, &input, &result, &st.Error, &st.DecidedBy, &st.Note, sqldb.MicrosOrNull(&st.Until), sqldb.Micros(&st.BegunAt), sqldb.MicrosOrNull(&st.EndedAt))
	st.Input = json.RawMessage(input)
	if result != "" {
		st.Result = json.RawMessage(result)
	}
	return err
}

var errNoRun = fault.New(fault.NotFound, "no such run")

func runByID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Run, error) {
	if !isID(id) {
		return nil, errNoRun
	}
	r, err := sqldb.One(ctx, db, scanRun, selectRun+` WHERE r.id = $1 AND r.tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoRun
	}
	return &r, err
}

func stepsOf(ctx context.Context, db *sqldb.DB, run string) ([]StepLog, error) {
	return sqldb.All(ctx, db, scanStep, selectStep+` WHERE run_id = $1 ORDER BY place`, run)
}

// GetRun returns the tenant's run with the log of its steps, in their order.
func (s *Service) GetRun(ctx context.Context, tenant uint32, id string) (*Run, []StepLog, error) {
	var r *Run
	var steps []StepLog
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		if r, err = runByID(ctx, tx, tenant, id); err != nil {
			return err
		}
		steps, err = stepsOf(ctx, tx, id)
		return err
	})
	return r, steps, fault.Wrap("get run", err)
}

// A RunQuery asks for one page of runs, newest first unless Ascending.
type RunQuery struct {
	States     []State
	Playbook   string // id
	Object     string // id of an alert or incident
	Ascending  bool
	Page, Size int
}

func (q *RunQuery) where(tenant uint32) (string, []any) {
	args := []any{int64(tenant)}
	var b strings.Builder
	b.WriteString(` WHERE r.tenant = $1`)
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if len(q.States) > 0 {
		var in []string
		for _, st := range q.States {
			in = append(in, bind(string(st)))
		}
		b.WriteString(` AND r.state IN (` + strings.Join(in, ", ") + `)`)
	}
	if q.Playbook != "" {
		b.WriteString(` AND r.playbook_id = ` + bind(q.Playbook))
	}
	if q.Object != "" {
		b.WriteString(` AND r.object = ` + bind(q.Object))
	}
	return b.String(), args
}

// Runs returns one page of the tenant's runs and how many there are.
func (s *Service) Runs(ctx context.Context, tenant uint32, q RunQuery) (list []Run, total int64, err error) {
	order := ` ORDER BY r.id DESC`
	if q.Ascending {
		order = ` ORDER BY r.id`
	}
	where, args := q.where(tenant)
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM playbook_run r`+where, args...); err != nil {
			return err
		}
		n := len(args)
		list, err = sqldb.All(ctx, tx, scanRun, selectRun+where+order+` LIMIT $`+strconv.Itoa(n+1)+` OFFSET $`+strconv.Itoa(n+2), append(args, q.Size, int64(q.Page)*int64(q.Size))...)
		return err
	})
	return list, total, fault.Wrap("list runs", err)
}

// StreamRuns yields every run that the query chooses, from one snapshot; at most one
// error, at the end.
func (s *Service) StreamRuns(ctx context.Context, tenant uint32, q RunQuery) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		stopped := errors.New("stopped")
		where, args := q.where(tenant)
		err := s.db.View(ctx, func(tx *sqldb.DB) error {
			for r, err := range sqldb.Stream(ctx, tx, scanRun, selectRun+where+` ORDER BY r.id DESC`, args...) {
				if err != nil {
					return err
				}
				if !yield(r, nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Run{}, fault.Wrap("export runs", err))
		}
	}
}
