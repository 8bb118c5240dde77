// Package webhook is the receivers that a tenant has subscribed to events, and the log
// of what each of them is to get, got and refused. It decides who gets what and when it
// is tried again; sending is the work of package notify.
package webhook

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
)

// A Webhook is a receiver and what it wants to be told.
type Webhook struct {
	ID             string // UUIDv7
	Tenant         uint32
	Owner          Owner // what it serves
	Name           string
	URL            string
	Format         Format
	Events         []string // of outbox.Events
	Filters        Filters
	Enabled        bool
	DisabledReason string     // why KYRA disabled it, "" where a person did
	OldSecretUntil *time.Time // how long the secret before the last rotation signs too
	Failures       int64      // attempts since the last success
	FailingSince   *time.Time
	NotBefore      time.Time // until then the receiver is left alone
	LastSuccess    *time.Time
	LastFailure    *time.Time
	LastError      string
	Version        int64 // counts people's changes, from 1
	CreatedAt      time.Time
	CreatedBy      string
	UpdatedAt      time.Time

	secret, oldSecret []byte // sealed
	stored            string // URL, sealed
	holder            string
	leaseUntil        time.Time
}

// Filters narrow the events. Each acts on events that carry its fact: an event without
// it, such as that of a collector, which has no rule, passes.
type Filters struct {
	Severity      []string `json:"severity,omitempty"` // any of event.Severities
	Rule          []string `json:"rule,omitempty"`     // ids of rules
	Source        []string `json:"source,omitempty"`   // product short names, in any case
	TitleContains string   `json:"titleContains,omitempty"`
}

// A Format is the shape of what is sent.
type Format string

// The formats.
const (
	Standard Format = "standard" // the documented payload
	Slack    Format = "slack"
	Teams    Format = "teams"
	Discord  Format = "discord"

	// Those of receivers that are not webhooks.
	Mail   Format = "mail"
	Syslog Format = "syslog"
	Full   Format = "full" // the documented payload and everything else that is known
)

// Formats lists the formats of webhooks.
var Formats = []Format{Standard, Slack, Teams, Discord}

// FormatOf recognises a receiver that demands a body of its own, by its host.
func FormatOf(host string) Format {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	under := func(domains ...string) bool {
		return slices.ContainsFunc(domains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) })
	}
	switch {
	case under("hooks.slack.com", "hooks.slack-gov.com"):
		return Slack
	case under("discord.com", "discordapp.com"):
		return Discord
	case under("webhook.office.com", "outlook.office.com", "outlook.office365.com", "logic.azure.com", "api.powerplatform.com"):
		return Teams
	}
	return Standard
}

// wants tells whether the webhook is to be told of m.
func (w *Webhook) wants(m *outbox.Message) bool {
	f := &w.Filters
	among := func(list []string, fact string) bool {
		return len(list) == 0 || fact == "" || slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, fact) })
	}
	return m.Tenant == w.Tenant && slices.Contains(w.Events, m.Event) && among(f.Severity, m.Severity) && among(f.Rule, m.Rule) && among(f.Source, m.Source) &&
		strings.Contains(strings.ToLower(m.Title), strings.ToLower(f.TitleContains))
}

const (
	maxWebhooks = 100 // of one tenant
	maxName     = 100 // characters
	maxFilter   = 100 // values of one filter
	maxShort    = 256 // characters of one value
)

func checkName(s string) (string, error) {
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n < 1 || n > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "Allowed: 1 to %d characters in one line", maxName).In("name")
	}
	return s, nil
}

func checkEvents(list []string) ([]string, error) {
	var known []string
	for _, e := range list {
		e = strings.TrimSpace(e)
		i := slices.IndexFunc(outbox.Events, func(known string) bool { return strings.EqualFold(known, e) })
		if i < 0 {
			return nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(outbox.Events, ", ")).In("events")
		}
		if e = outbox.Events[i]; !slices.Contains(known, e) {
			known = append(known, e)
		}
	}
	if len(known) == 0 {
		return nil, fault.New(fault.Invalid, "Name at least one of: %s", strings.Join(outbox.Events, ", ")).In("events")
	}
	return known, nil
}

func (f *Filters) check() error {
	for i, s := range f.Severity {
		f.Severity[i] = strings.ToLower(s)
		if event.SeverityRank(f.Severity[i]) == 0 {
			return fault.New(fault.Invalid, "Allowed: %s", strings.Join(event.Severities, ", ")).In("filters.severity")
		}
	}
	for _, l := range []struct {
		name string
		list []string
	}{{"severity", f.Severity}, {"rule", f.Rule}, {"source", f.Source}, {"titleContains", []string{f.TitleContains}}} {
		tooLong := slices.ContainsFunc(l.list, func(s string) bool {
			return utf8.RuneCountInString(s) > maxShort || s == "" && l.name != "titleContains"
		})
		if len(l.list) > maxFilter || tooLong {
			return fault.New(fault.Invalid, "Allowed: at most %d values of 1 to %d characters", maxFilter, maxShort).In("filters." + l.name)
		}
	}
	return nil
}

// A Secret is the key of the signatures, as its receiver knows it: "whsec_" and base64.
type Secret string

func (Secret) String() string { return "whsec_***" }

// A State is where a delivery stands.
type State string

// The states.
const (
	Pending   State = "PENDING" // to be tried, first or again
	Delivered State = "DELIVERED"
	Failed    State = "FAILED" // given up
)

// States lists the states.
var States = []State{Pending, Delivered, Failed}

// A Delivery is one message for one receiver.
type Delivery struct {
	ID          string // UUIDv7: webhook-id of every attempt
	WebhookID   string
	Event       string
	Object      string // id of what it is about
	State       State
	Body        string // the same on every attempt
	Attempts    int64  // since it was made, or replayed last
	CreatedAt   time.Time
	NextAt      time.Time  // when it is tried next, where it is pending
	ExpiresAt   time.Time  // when it is given up
	AttemptedAt *time.Time // the last time
	Status      int        // of the last answer, 0 for none
	Answer      string     // begin of its body
	Error       string     // why the last attempt failed
	Latency     time.Duration
}
