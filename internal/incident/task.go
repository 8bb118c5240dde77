package incident

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Task is one thing to do in an incident.
type Task struct {
	ID         string // UUIDv7
	Title      string
	Note       string
	Status     TaskStatus
	AssignedTo string     // "" for nobody
	DueAt      *time.Time // nil: no time is set
	DoneAt     *time.Time // when it became DONE
	CreatedBy  string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// A TaskStatus is how far a task has come.
type TaskStatus string

// The states of a task.
const (
	Todo    TaskStatus = "TODO"
	Doing   TaskStatus = "DOING"
	Done    TaskStatus = "DONE"
	Skipped TaskStatus = "SKIPPED"
)

// TaskStatuses lists the states in order.
var TaskStatuses = []TaskStatus{Todo, Doing, Done, Skipped}

const (
	maxTasks = 500
	maxNote  = 10_000 // characters
)

// A TaskPatch changes a task; nil fields stay as they are. Making one needs a Title.
type TaskPatch struct {
	Title      *string // 1 to 500 characters
	Note       *string // up to 10,000 characters
	Status     *TaskStatus
	AssignedTo *string    // "" takes the assignment back
	DueAt      *time.Time // the zero time takes it back
}

func (p *TaskPatch) apply(t *Task, now time.Time) error {
	if p.Title != nil {
		title, err := checkTitle(*p.Title)
		if err != nil {
			return err
		}
		t.Title = title
	}
	if p.Note != nil {
		t.Note = strings.TrimSpace(clean(*p.Note, false))
		if utf8.RuneCountInString(t.Note) > maxNote {
			return fault.New(fault.Invalid, "Allowed: up to %d characters", maxNote).In("note")
		}
	}
	if p.AssignedTo != nil {
		to, err := checkAssignee(*p.AssignedTo)
		if err != nil {
			return err
		}
		t.AssignedTo = to
	}
	if p.DueAt != nil {
		t.DueAt = nil
		if !p.DueAt.IsZero() {
			t.DueAt = new(p.DueAt.UTC().Truncate(time.Microsecond))
		}
	}
	if p.Status != nil {
		if !slices.Contains(TaskStatuses, *p.Status) {
			return fault.New(fault.Invalid, "Allowed: TODO, DOING, DONE, SKIPPED").In("status")
		}
		if t.Status != *p.Status {
			t.Status, t.DoneAt = *p.Status, nil
			if t.Status == Done {
				t.DoneAt = &now
			}
		}
	}
	t.UpdatedAt = now
	return nil
}

const selectTask = `SELECT id, title, note, status, assigned_to, due_at, done_at, created_by, created_at, updated_at FROM incident_task`

func scanTask(rows *sql.Rows, t *Task) error {
	return rows.Scan(&t.ID, &t.Title, &t.Note, &t.Status, &t.AssignedTo, sqldb.MicrosOrNull(&t.DueAt), sqldb.MicrosOrNull(&t.DoneAt),
		&t.CreatedBy, sqldb.Micros(&t.CreatedAt), sqldb.Micros(&t.UpdatedAt))
}

// AddTask adds a task to the incident.
func (s *Service) AddTask(ctx context.Context, tenant uint32, actor, id string, p TaskPatch) (*Task, error) {
	if p.Title == nil {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d characters", maxTitle).In("title")
	}
	taskID, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("add task", err)
	}
	t := &Task{ID: taskID.String(), Status: Todo, CreatedBy: actor}
	err = s.work(ctx, tenant, actor, id, "incident.task", func(tx *sqldb.DB, now time.Time, in *Incident) (Step, error) {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM incident_task WHERE incident_id = $1`, in.ID)
		if err != nil {
			return Step{}, err
		}
		if n >= maxTasks {
			return Step{}, fault.New(fault.Conflict, "the incident has %d tasks, and more it cannot have", n)
		}
		t.CreatedAt = now
		if err := p.apply(t, now); err != nil {
			return Step{}, err
		}
		_, err = sqldb.Exec(ctx, tx, `
			INSERT INTO incident_task (id, incident_id, title, note, status, assigned_to, due_at, done_at, created_by, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			t.ID, in.ID, t.Title, t.Note, string(t.Status), t.AssignedTo, sqldb.Nullable(t.DueAt), sqldb.Nullable(t.DoneAt), t.CreatedBy, t.CreatedAt.UnixMicro(), t.UpdatedAt.UnixMicro())
		return Step{Action: "task", New: string(t.Status), Note: t.Title}, err
	})
	if err != nil {
		return nil, fault.Wrap("add task", err)
	}
	return t, nil
}

// PatchTask changes a task of the incident.
func (s *Service) PatchTask(ctx context.Context, tenant uint32, actor, id, taskID string, p TaskPatch) (*Task, error) {
	if p == (TaskPatch{}) {
		return nil, fault.New(fault.Invalid, "Give at least one of title, note, status, assignedTo, dueAt")
	}
	var t Task
	err := s.work(ctx, tenant, actor, id, "incident.task", func(tx *sqldb.DB, now time.Time, in *Incident) (Step, error) {
		var err error
		t, err = sqldb.One(ctx, tx, scanTask, selectTask+` WHERE incident_id = $1 AND id = $2`, in.ID, clean(taskID, true))
		if errors.Is(err, fault.NotFound) {
			return Step{}, fault.New(fault.NotFound, "no such task")
		}
		if err != nil {
			return Step{}, err
		}
		before := t
		if err := p.apply(&t, now); err != nil {
			return Step{}, err
		}
		_, err = sqldb.Exec(ctx, tx, `UPDATE incident_task SET title = $1, note = $2, status = $3, assigned_to = $4, due_at = $5, done_at = $6, updated_at = $7 WHERE id = $8`,
			t.Title, t.Note, string(t.Status), t.AssignedTo, sqldb.Nullable(t.DueAt), sqldb.Nullable(t.DoneAt), t.UpdatedAt.UnixMicro(), t.ID)
		return Step{Action: "task", Old: string(before.Status), New: string(t.Status), Note: t.Title}, err
	})
	if err != nil {
		return nil, fault.Wrap("change task", err)
	}
	return &t, nil
}

// work runs f on an incident that takes changes, and notes its step in timeline and
// audit log.
func (s *Service) work(ctx context.Context, tenant uint32, actor, id, action string, f func(tx *sqldb.DB, now time.Time, in *Incident) (Step, error)) error {
	return s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := time.Now().UTC().Truncate(time.Microsecond)
		in, err := s.writable(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		st, err := f(tx, now, in)
		if err != nil {
			return err
		}
		st.At, st.Actor = now, actor
		if _, err := sqldb.Exec(ctx, tx, `UPDATE incident SET updated_at = $1 WHERE id = $2`, now.UnixMicro(), in.ID); err != nil {
			return err
		}
		if err := acknowledge(ctx, tx, now, actor, in.ID); err != nil {
			return err
		}
		if err := step(ctx, tx, in.ID, st); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: now, Actor: actor, Action: action, Object: in.ID, Detail: map[string]string{"step": st.Action, "from": st.Old, "to": st.New, "note": st.Note},
		})
	})
}
