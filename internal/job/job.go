// Package job keeps work that outlives a request: it is queued in the database, run
// by a bounded number of workers, tells its progress, can be cancelled, and leaves a
// result. What a kind of job does is its Work, given by whoever assembles the server;
// this package knows none.
//
// A job runs under a lease that its process renews. When a process dies, its jobs
// are run again from the beginning by whoever finds the lease expired, and fail with
// that reason when the kind's attempts are used up. A Work that changes something
// must therefore bear being repeated.
package job

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A State tells how far a job is.
type State string

// The states. The last three are final.
const (
	Queued    State = "QUEUED"
	Running   State = "RUNNING"
	Done      State = "DONE"
	Failed    State = "FAILED"
	Cancelled State = "CANCELLED"
)

// States lists the states.
var States = []State{Queued, Running, Done, Failed, Cancelled}

// Ended tells whether s is final.
func (s State) Ended() bool { return s == Done || s == Failed || s == Cancelled }

// ParseState reads a state in any case.
func ParseState(s string) (State, error) {
	st := State(strings.ToUpper(s))
	if !slices.Contains(States, st) {
		return "", fault.New(fault.Invalid, "Allowed: QUEUED, RUNNING, DONE, FAILED, CANCELLED").In("state")
	}
	return st, nil
}

// A Job is one piece of work of one tenant.
type Job struct {
	ID      string // UUIDv7
	Tenant  uint32
	Kind    string
	Subject string // what it is about, such as the id of a rule; "" for nothing
	Actor   string
	State   State

	// Reason says why a job failed, or what one that is queued again waits for.
	Reason     string
	Cancelling bool  // it was asked to stop and has not yet
	Done       int64 // of Total, in the unit of its kind
	Total      int64 // 0: not known
	Note       string
	Attempt    int // from 1 when it first runs

	CreatedAt          time.Time
	StartedAt, EndedAt *time.Time

	Params json.RawMessage // as given to Start
	Result json.RawMessage // nil before it is done, and in lists
}

// A Draft is a job to start.
type Draft struct {
	Kind    string
	Subject string
	Params  any // kept as JSON, at most MaxParams
	// Replace cancels those of the same kind and subject that have not ended.
	Replace bool
}

// Bounds of what a job carries, in bytes of JSON.
const (
	MaxParams = 2 << 20
	MaxResult = 1 << 20
)

// Work does a job and returns its result, which is kept as JSON. It ends soon after
// ctx is done. A fault's message is shown to the tenant, any other error is logged
// only; fault.Unavailable lets the job be tried again later.
type Work func(ctx context.Context, t *Task) (any, error)

// A Kind is what Service knows of one kind of job.
type Kind struct {
	Work     Work
	Attempts int           // how often it is begun at most; 0 means 3
	Time     time.Duration // how long one attempt may take; 0 means an hour
}

// A Task is a job at work.
type Task struct {
	Job
	progress atomic.Pointer[progress]
}

type progress struct {
	done, total int64
	note        string
}

// Progress tells how much is done. It costs nothing and may be called often: what was
// told last is written every few seconds.
func (t *Task) Progress(done, total int64, note string) {
	t.progress.Store(&progress{done, total, note})
}

// Read fills v from the job's params.
func (t *Task) Read(v any) error {
	if err := json.Unmarshal(t.Params, v); err != nil {
		return fmt.Errorf("read the params of job %s: %w", t.ID, err)
	}
	return nil
}
