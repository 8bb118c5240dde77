package alert

import (
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// An Alert is a finding to triage.
type Alert struct {
	ID          string // UUIDv7
	Tenant      uint32
	Title       string
	Description string // the rule's template, filled in
	Severity    string // one of event.Severities
	Status      Status
	Source      string // product short name: "sshd"
	Tactic      string // "credential-access", "" for none
	Technique   string // "T1110", "" for none
	Rule        RuleRef
	Occurrences int64     // events that made it
	FirstSeen   time.Time // event time of the first of them
	LastSeen    time.Time // event time of the last
	IncidentID  string    // "" for none
	AssignedTo  string    // "" for nobody
	Verdict     Verdict
	CreatedAt   time.Time // server time; never before that of an earlier alert of the tenant
	UpdatedAt   time.Time // server time of the last change, growth included
	Version     int64     // counts people's changes, from 1; growth leaves it
	Storm       bool      // it stands for many entities of its rule
	seq         int64
}

// Detail is an alert with what made it and what was done with it.
type Detail struct {
	Alert
	Entities []Entity
	Events   []event.ID // the first MaxEvents of those that made it
	Referred int64      // events that Service.References lists
	History  []Change   // oldest first, the creation included
	Folded   *Storm     // what a storm took; nil where it is none
	Tags     []string   // that playbooks put on it, in order
}

// A Storm tells of an alert that took the entities of a rule that raised too many.
type Storm struct {
	Limit    int64     // alerts of the rule in an hour, beyond which it began
	Began    time.Time // server time
	Until    time.Time // server time from which new entities have alerts of their own, unless it goes on
	Entities int64     // that it took
	Top      []StormEntity
}

// A StormEntity is one of the entities with the most events.
type StormEntity struct {
	Key                 string // such as "src_ip=10.0.1.55"
	Occurrences         int64
	FirstSeen, LastSeen time.Time // event time
}

// A Change is one step of an alert's history.
type Change struct {
	At       time.Time
	Actor    string
	Action   string // "created", "status", "assignedTo", "verdict", "note", "incident"
	Old, New string // values before and after, where the action has them
	Note     string
}

// A Status is where an alert stands. Any may follow any.
type Status string

// The statuses.
const (
	Open          Status = "OPEN"
	InProgress    Status = "IN_PROGRESS"
	Resolved      Status = "RESOLVED"
	FalsePositive Status = "FALSE_POSITIVE"
)

// Statuses lists the statuses in the order of work.
var Statuses = []Status{Open, InProgress, Resolved, FalsePositive}

// A Verdict is what triage found; "" before.
type Verdict string

// The verdicts.
const (
	Undecided     Verdict = ""
	TruePositive  Verdict = "TRUE_POSITIVE"
	FalseAlarm    Verdict = "FALSE_POSITIVE"
	Benign        Verdict = "BENIGN"
	Inconclusive  Verdict = "INCONCLUSIVE"
	maxAssignee           = 200
	maxNote               = 10_000
	mergeWindow           = 24 * time.Hour
	maxTitle              = 500  // characters
	maxText               = 4000 // characters of a description
	maxValueShown         = 256  // characters of one value in a description
)

// Verdicts lists the verdicts that can be set.
var Verdicts = []Verdict{TruePositive, FalseAlarm, Benign, Inconclusive}

// ParseSeverity reads a severity in any case.
func ParseSeverity(s string) (string, error) {
	if s = strings.ToLower(s); event.SeverityRank(s) == 0 {
		return "", fault.New(fault.Invalid, "Allowed: %s", strings.Join(event.Severities, ", ")).In("severity")
	}
	return s, nil
}

// ParseStatus reads a status in any case.
func ParseStatus(s string) (Status, error) {
	st := Status(strings.ToUpper(s))
	if !slices.Contains(Statuses, st) {
		return "", fault.New(fault.Invalid, "Allowed: %s", join(Statuses)).In("status")
	}
	return st, nil
}

// ParseVerdict reads a verdict in any case; "" takes it back.
func ParseVerdict(s string) (Verdict, error) {
	v := Verdict(strings.ToUpper(s))
	if v != Undecided && !slices.Contains(Verdicts, v) {
		return "", fault.New(fault.Invalid, "Allowed: %s", join(Verdicts)).In("verdict")
	}
	return v, nil
}

func join[S ~string](list []S) string {
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(s))
	}
	return b.String()
}
