// Package playbook answers alerts and incidents by itself: documents of steps, kept in
// versions, begun by what the outbox tells, run step by step, each at most once, and
// logged. State is in the database, so that a run goes on where it was after a kill.
//
// A step inside the house (a comment, a status) shares the transaction that notes it: it
// is done exactly once. A call to the outside is noted before it is made: where the
// process ends in between, its outcome is unknown, and a person decides, unless the
// document says to go on.
package playbook

import (
	"time"

	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/query"
)

// A Document is a playbook as it is written.
type Document struct {
	Handle      string // its id: letters, digits and hyphens
	Name        string
	Description string
	Event       string        // what it begins on: one of Triggers
	Every       time.Duration // of a schedule
	Condition   string        // in the query language; "" for always
	Approval    *Approval     // nil: it begins without asking
	Timeout     time.Duration // of a whole run
	Steps       []Step        // the approval, where there is one, is the first

	condition query.Node
}

// An Approval is what is asked before anything is done.
type Approval struct {
	Question string
	Expires  time.Duration
}

// A Step is one thing to do.
type Step struct {
	ID      string
	Action  string // one of Actions
	With    map[string]any
	When    string // in the query language; "" for always
	Timeout time.Duration
	OnError string // Stop or Continue
	Retry   Retry

	when query.Node
}

// A Retry repeats a step that failed.
type Retry struct {
	Times int // beyond the first
	Wait  time.Duration
}

// What follows on a step that fails, is denied or has an unknown outcome.
const (
	Stop     = "stop"
	Continue = "continue"
)

// Triggers that are no event of the outbox.
const (
	Manual   = "manual"   // only when a person begins it
	Schedule = "schedule" // each time that has passed
)

// Triggers lists what a playbook can begin on.
var Triggers = []string{outbox.AlertCreated, outbox.AlertUpdated, outbox.IncidentCreated, outbox.IncidentUpdated, Manual, Schedule}

// approvalStep is the id of the step that asks before all others.
const approvalStep = "approval"

// Outside lists the ids of the steps that leave the house.
func (d *Document) Outside() []string {
	ids := []string{}
	for i := range d.Steps {
		if actions[d.Steps[i].Action].outside {
			ids = append(ids, d.Steps[i].ID)
		}
	}
	return ids
}

// MaxDepth is how many playbooks one may follow from: what the run of one changes can
// begin others, never itself, and this far at most.
const MaxDepth = 3
