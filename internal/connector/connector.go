// Package connector is the systems outside that a tenant has connected: where mail is
// handed in, alerts are forwarded to, exports are put, feeds come from. It knows what
// each kind needs, keeps their secrets sealed, looks after their health and counts what
// goes through them.
package connector

import (
	"encoding/json"
	"time"

	"github.com/kyra-mdr/kyra/internal/webhook"
)

// A Kind is what is at the other end.
type Kind string

// The kinds.
const (
	SMTP   Kind = "smtp"   // letters of notification channels
	Slack  Kind = "slack"  // messages of notification channels
	HTTP   Kind = "http"   // alerts, incidents and the like, as they happen
	Syslog Kind = "syslog" // the same as RFC 5424
	S3     Kind = "s3"     // exports by the clock
	TAXII  Kind = "taxii"  // threat intelligence comes from there
)

// Kinds lists the kinds.
var Kinds = []Kind{SMTP, Slack, HTTP, Syslog, S3, TAXII}

// receives tells whether messages of the outbox go to connectors of the kind.
func (k Kind) receives() bool { return k == HTTP || k == Syslog }

// A Connector is one of them.
type Connector struct {
	ID          string // UUIDv7
	Tenant      uint32
	Name        string
	Kind        Kind
	Config      map[string]any // checked, with defaults, without secrets
	SecretsSet  []string       // names of the secrets that it has, sorted
	Enabled     bool
	LastSuccess *time.Time // of its work
	LastFailure *time.Time
	LastError   string
	DoneUntil   time.Time // of exports: alerts that were created and events that were stored before are in the bucket
	NextAt      *time.Time
	Events      *Forwarded       // of kinds that events go to
	Health      *Health          // the newest, nil where it was never looked at
	Receiver    *webhook.Webhook // of kinds that messages go to
	Version     int64            // counts people's changes, from 1
	CreatedAt   time.Time
	CreatedBy   string
	UpdatedAt   time.Time

	secrets    []byte // sealed
	leaseUntil time.Time
	eventsSeq  int64 // up to which sequence events went; negative: not begun
	eventsTo   int64 // up to which the export goes that is under way; negative: none is
}

// Forwarded tells how it goes with events.
type Forwarded struct {
	Sent         int64
	Dropped      int64      // that could not be sent for days, or were removed before
	FailingSince *time.Time // nil where the last attempt worked
}

// forwards tells whether stored events are sent to the connector.
func (c *Connector) forwards() bool {
	return c.Kind == Syslog && settings(c.Config).text("query") != ""
}

func purpose(id string) string { return "connector " + id }

// A Status is how a check, or all of them, came out.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped" // of one check: there was nothing to look at
	Unknown Status = "unknown" // of a connector that was never looked at
)

// A Check is one question to a connector.
type Check struct {
	Name      string  `json:"name"` // connectivity, authentication, dataFlow
	Status    Status  `json:"status"`
	Message   string  `json:"message"`
	LatencyMs float64 `json:"latencyMs"`
}

// Health is what the checks found at one time.
type Health struct {
	At     time.Time
	Status Status
	Checks []Check
}

// The names of the checks, in their order.
const (
	connectivity   = "connectivity"
	authentication = "authentication"
	dataFlow       = "dataFlow"
)

func healthOf(at time.Time, checks []Check) *Health {
	h := &Health{At: at, Status: OK, Checks: checks}
	for _, c := range checks {
		if c.Status == Failed {
			h.Status = Failed
		}
	}
	return h
}

// text, number and list read a checked configuration.
func (c settings) text(name string) string {
	s, _ := c[name].(string)
	return s
}

func (c settings) number(name string) int {
	switch n := c[name].(type) {
	case int64:
		return int(n)
	case float64: // as JSON gives it back
		return int(n)
	}
	return 0
}

func (c settings) flag(name string) bool {
	b, _ := c[name].(bool)
	return b
}

func (c settings) list(name string) []string {
	var out []string
	switch l := c[name].(type) {
	case []string:
		return l
	case []any:
		for _, v := range l {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// settings is a configuration with its secrets: what work is done with.
type settings map[string]any

func (c *Connector) encode() string {
	b, err := json.Marshal(c.Config)
	if err != nil {
		panic(err) // texts, numbers and lists always marshal
	}
	return string(b)
}
