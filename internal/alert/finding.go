package alert

import "github.com/kyra-mdr/kyra/internal/event"

// A Finding is what detection hands over: one rule matched for one entity, or
// went on matching. Record merges findings into alerts.
type Finding struct {
	Tenant uint32
	Rule   RuleRef

	Title     string // the alert's title: the rule's title
	Severity  string // one of event.Severities
	Source    string // product short name of the matching events: "sshd"
	Tactic    string // ATT&CK tactic in short form: "credential-access"
	Technique string // ATT&CK technique: "T1110" or "T1110.001"

	// Description is a template: {count} is the number of events that made the
	// alert, {field} the values of a canonical field over those events, and
	// {field:one|many} a word that agrees with the number of values.
	Description string
	// Values holds the distinct values that Description names, by field, in
	// order of appearance, at most MaxValues each.
	Values map[string][]string

	// Key tells entities of one rule apart, such as "src_ip=10.0.1.55": findings
	// of one rule and key within 24 hours of event time make one alert.
	Key      string
	Entities []Entity

	First, Last int64      // event time of the first and last event, nanoseconds
	Count       int64      // events that this finding adds
	Events      []event.ID // references to them

	// Staged: the rule is only tried out. The finding is counted and raises nothing.
	Staged bool
}

// Text is the description with its values filled in, as the alert says it.
func (f *Finding) Text() string { return describe(f.Description, f.Count, f.Values) }

// MaxValues bounds the values and the entities that one finding carries.
const MaxValues = 100

// MaxEvents is how many events a Detail names; Service.References lists all.
const MaxEvents = 100

// RuleRef names the rule, in the version that matched. Author, License and Origin
// (an URI) are kept with every alert: the Detection Rule License 1.1 asks for it.
type RuleRef struct {
	ID, Name, Author, License, Origin string
	Version                           int64
}

// An Entity is a host, user or address that an alert is about.
type Entity struct {
	Type  string // "ip", "user", "host", "domain", "hash", "file" or "process"
	Field string // the canonical field that it came from
	Value string
}
