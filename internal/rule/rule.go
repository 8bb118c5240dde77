package rule

import (
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// Meta is what the catalogue must know of a rule's text.
type Meta struct {
	ID          string // "" lets Create give one
	Name        string // the title
	Description string
	Author      string
	Severity    string   // one of event.Severities
	Type        string   // "detection" or "correlation"
	Source      string   // product short name that it looks at, "" for any
	Tactics     []string // short form: "credential-access"
	Techniques  []string // "T1110", "T1110.001"
	License     string   // SPDX name or URI, "" where the text names none
	Origin      string   // where it came from, an URI; "" for what was written here
	Pack        string   // that it came with; "" for what was written here
}

// A Rule is one rule as a tenant sees it.
type Rule struct {
	Meta         // Severity is the one that holds for the tenant
	Builtin      bool
	Status       Status
	Staged       bool   // a draft that runs and raises nothing
	TextSeverity string // that the text gives
	Version      int64  // from 1, rises with each change of the text
	CreatedAt    time.Time
	UpdatedAt    time.Time  // of the text, or of what the tenant decided if later
	LastMatchAt  *time.Time // server time; nil before the first
	Matches24h   int64      // in the last 24 hours, to the hour
	Matches7d    int64
	Matches30d   int64
	Outcomes     Outcomes // of its matches
	Evaluations  int64    // in the last 24 hours, to the hour
	CostNanos    int64    // of these
	Exceptions   int64    // that hold
	Health       Health
	HealthReason string // for people; "" where it is well
}

// Detail is a rule with its text.
type Detail struct {
	Rule
	YAML string
}

// A Version is a text that a rule had.
type Version struct {
	Version int64
	At      time.Time
	Actor   string
	Reason  string // "" where none was given
	YAML    string
}

// A Builtin is a rule that comes with KYRA.
type Builtin struct {
	Meta
	YAML   string
	Status Status // "" means Active; a tenant may decide otherwise
}

// A Status tells whether a rule is on.
type Status string

// The statuses.
const (
	On    Status = "ACTIVE"
	Off   Status = "INACTIVE"
	Draft Status = "DRAFT" // not finished: kept, never matched
)

// Statuses lists the statuses.
var Statuses = []Status{On, Off, Draft}

// ParseStatus reads a status in any case.
func ParseStatus(s string) (Status, error) {
	st := Status(strings.ToUpper(s))
	if !slices.Contains(Statuses, st) {
		return "", fault.New(fault.Invalid, "Allowed: ACTIVE, INACTIVE, DRAFT").In("status")
	}
	return st, nil
}

// blanks writes words with blanks between and around them.
func blanks(words []string) string {
	if len(words) == 0 {
		return " "
	}
	return " " + strings.Join(words, " ") + " "
}

// foldedOf is what a search of rules looks in.
func foldedOf(m *Meta) string {
	parts := []string{m.Name, m.Description}
	for _, t := range m.Tactics {
		parts = append(parts, t, strings.ReplaceAll(t, "-", " "), TacticID(t))
	}
	return strings.ToLower(strings.Join(append(parts, m.Techniques...), "\x1f"))
}
