// Package incident groups alerts into cases and follows each through the steps of
// response, with comments, a timeline and a due time. It never raises an alert and
// tells nobody outside the process.
package incident

import (
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// An Incident is a case.
type Incident struct {
	ID         string // UUIDv7
	Tenant     uint32
	Title      string
	Severity   string // one of event.Severities
	Status     Status
	Origin     Origin
	RuleID     string // of an automatic one
	Tactic     string // of its first alert, "" for none
	Technique  string
	AssignedTo string // "" for nobody
	AlertCount int64
	SLADueAt   time.Time
	ClosedAt   *time.Time
	MergedInto string // the incident that this one was merged into, "" for none
	Version    int64  // rises with each change by a person
	CreatedAt  time.Time
	UpdatedAt  time.Time

	AcknowledgedAt *time.Time // when a person first did something about it
	ContainedAt    *time.Time // when it first left Open
	OverdueAt      *time.Time // when its due time was noticed to have passed
	SplitFrom      string     // the incident that its first alerts were in, "" for none
}

// Detail is an incident with all that belongs to it.
type Detail struct {
	Incident
	Alerts   []alert.Alert  // oldest first, at most MaxAlerts
	Entities []alert.Entity // of those alerts
	Comments []Comment      // oldest first
	Timeline []Step         // oldest first
	Tasks    []Task         // oldest first, at most maxTasks
	Evidence []Evidence     // oldest first, at most maxEvidence
}

// MaxAlerts is how many alerts a Detail holds; AlertCount goes on.
const MaxAlerts = 1000

// A Comment is what a person wrote.
type Comment struct {
	ID        string // UUIDv7
	Author    string
	Content   string
	CreatedAt time.Time
}

// MaxComment is how many characters a comment may have.
const MaxComment = 10_000

// A Step is one entry of the timeline.
type Step struct {
	At       time.Time
	Actor    string
	Action   string // "created", "status", "severity", "title", "assignedTo", "linked", "unlinked", "commented", "merged", "mergedInto", "unmerged", "split", "splitFrom", "grouped", "overdue", "task", "evidence", "evidenceRemoved"
	Old, New string // values, or ids of alerts and incidents, where the action has them
	Note     string // the reason of a status that skips or goes back
}

// A Status is how far the response has come, in NIST's order.
type Status string

// The statuses.
const (
	Open       Status = "OPEN"
	Contained  Status = "CONTAINED"
	Eradicated Status = "ERADICATED"
	Recovered  Status = "RECOVERED"
	Closed     Status = "CLOSED"
)

// Statuses lists the statuses in order.
var Statuses = []Status{Open, Contained, Eradicated, Recovered, Closed}

// ParseStatus reads a status in any case.
func ParseStatus(s string) (Status, error) {
	st := Status(strings.ToUpper(s))
	if !slices.Contains(Statuses, st) {
		return "", fault.New(fault.Invalid, "Allowed: OPEN, CONTAINED, ERADICATED, RECOVERED, CLOSED").In("status")
	}
	return st, nil
}

// follows tells whether going from one status to another is the next step: anything
// else needs a reason.
func follows(from, to Status) bool {
	return slices.Index(Statuses, to) == slices.Index(Statuses, from)+1
}

// Origin tells how an incident came to be.
type Origin string

// The origins.
const (
	Auto      Origin = "auto"      // from alerts of high or critical severity
	Escalated Origin = "escalated" // from one alert, by a person
	Manual    Origin = "manual"
)

// SLA is the time to answer by severity, from creation.
type SLA struct{ Critical, High, Medium, Low time.Duration }

// DefaultSLA holds where nothing else is configured.
var DefaultSLA = SLA{4 * time.Hour, 8 * time.Hour, 24 * time.Hour, 72 * time.Hour}

// For returns the time of a severity; info has that of low.
func (s SLA) For(severity string) time.Duration {
	switch severity {
	case "critical":
		return s.Critical
	case "high":
		return s.High
	case "medium":
		return s.Medium
	default:
		return s.Low
	}
}
