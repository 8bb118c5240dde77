// Package notice is what people of a tenant are told: notices inside KYRA, with what each
// reader has read, and the channels, such as mail and chats, that messages of the outbox
// are routed to. It decides who is told what and when several become one; sending is the
// work of package notify.
package notice

import (
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// A Notice is one message of the outbox as readers see it.
type Notice struct {
	Seq int64 // in the order in which they became visible, over all tenants
	outbox.Message
	Read bool // by the reader who asks
}

// A ChannelKind is how a channel is told.
type ChannelKind string

// The kinds of channels.
const (
	Email   ChannelKind = "email"
	Slack   ChannelKind = "slack"
	Teams   ChannelKind = "teams"
	Discord ChannelKind = "discord"
	Generic ChannelKind = "webhook" // the documented payload of webhooks, unsigned
)

// ChannelKinds lists the kinds.
var ChannelKinds = []ChannelKind{Email, Slack, Teams, Discord, Generic}

// Format is the shape of what channels of the kind are sent.
func (k ChannelKind) Format() webhook.Format {
	switch k {
	case Email:
		return webhook.Mail
	case Slack:
		return webhook.Slack
	case Teams:
		return webhook.Teams
	case Discord:
		return webhook.Discord
	case Generic:
	}
	return webhook.Standard
}

// A Channel is somebody to tell.
type Channel struct {
	ID          string // UUIDv7; of its receiver too
	Tenant      uint32
	Name        string
	Kind        ChannelKind
	Reader      string // whose own it is: made by preferences; "" for one of the tenant
	ConnectorID string // of kind smtp for e-mail, which needs one; of kind slack for Slack
	HasURL      bool   // an address is stored, sealed
	Host        string // of the address
	Settings
	Enabled   bool
	Receiver  *webhook.Webhook // how sending stands
	Version   int64            // counts people's changes, from 1
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time

	url            []byte // sealed
	windowAt       time.Time
	windowN        int64
	windowModified bool
}

// Settings are what a channel may be told, and how.
type Settings struct {
	To       []string `json:"to,omitempty"`       // recipients of e-mail
	Severity []string `json:"severity,omitempty"` // of a reader's own channel: only these
	Events   []string `json:"events,omitempty"`   // of a reader's own channel: only these
	Digest   Digest   `json:"digest"`
	Quiet    *Quiet   `json:"quiet,omitempty"`
}

// A Digest says when a storm becomes one message: once a channel was sent Above within
// Minutes, what follows is gathered and told together at the end of that time.
type Digest struct {
	Above   int `json:"above"`   // 0: never
	Minutes int `json:"minutes"` // of the window
}

// StandardDigest is that of channels that name none.
var StandardDigest = Digest{Above: 20, Minutes: 10}

// Quiet is the time of a day in which a channel is left alone. What happens in it is told
// together at its end.
type Quiet struct {
	From   string   `json:"from"`             // "22:00"
	To     string   `json:"to"`               // "07:00", the next day where it is not after From
	Zone   string   `json:"timeZone"`         // IANA
	Except []string `json:"except,omitempty"` // severities that are told all the same
}

// end returns when the quiet time that t lies in ends; false where t lies in none.
func (q *Quiet) end(t time.Time) (time.Time, bool) {
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return t, false
	}
	from, err1 := time.Parse("15:04", q.From)
	to, err2 := time.Parse("15:04", q.To)
	if err1 != nil || err2 != nil || q.From == q.To {
		return t, false
	}
	local := t.In(zone)
	for back := range 2 { // today's, or yesterday's that reaches into today
		day := local.AddDate(0, 0, -back)
		begin := time.Date(day.Year(), day.Month(), day.Day(), from.Hour(), from.Minute(), 0, 0, zone)
		end := time.Date(day.Year(), day.Month(), day.Day(), to.Hour(), to.Minute(), 0, 0, zone)
		if !end.After(begin) {
			end = time.Date(day.Year(), day.Month(), day.Day()+1, to.Hour(), to.Minute(), 0, 0, zone)
		}
		if !t.Before(begin) && t.Before(end) {
			return end, true
		}
	}
	return t, false
}

func (q *Quiet) check() error {
	if _, err := time.LoadLocation(q.Zone); err != nil || q.Zone == "" || q.Zone == "Local" {
		return fault.New(fault.Invalid, "Allowed: the name of a time zone such as Asia/Seoul").In("quietHours.timeZone")
	}
	for _, f := range [][2]string{{"from", q.From}, {"to", q.To}} {
		if _, err := time.Parse("15:04", f[1]); err != nil || len(f[1]) != len("15:04") {
			return fault.New(fault.Invalid, "Allowed: a time such as 22:00").In("quietHours." + f[0])
		}
	}
	if q.From == q.To {
		return fault.New(fault.Invalid, "Allowed: another time than from").In("quietHours.to")
	}
	return among(q.Except, event.Severities, "quietHours.except")
}

// among brings every value into its documented case, or names what is allowed.
func among(list, known []string, field string) error {
	for i, v := range list {
		at := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, v) })
		if at < 0 {
			return fault.New(fault.Invalid, "Allowed: %s", strings.Join(known, ", ")).In(field)
		}
		list[i] = known[at]
	}
	return nil
}

// Filters choose messages. Severity, Rule and Source act on messages that carry the fact;
// others pass.
type Filters struct {
	Events        []string `json:"events,omitempty"` // of outbox.Events; none: all
	Severity      []string `json:"severity,omitempty"`
	Rule          []string `json:"rule,omitempty"`   // ids
	Source        []string `json:"source,omitempty"` // in any case
	TitleContains string   `json:"titleContains,omitempty"`
}

func (f *Filters) matches(m *outbox.Message) bool {
	in := func(list []string, fact string) bool {
		return len(list) == 0 || fact == "" || slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, fact) })
	}
	return (len(f.Events) == 0 || slices.Contains(f.Events, m.Event)) && in(f.Severity, m.Severity) && in(f.Rule, m.Rule) && in(f.Source, m.Source) &&
		strings.Contains(strings.ToLower(m.Title), strings.ToLower(f.TitleContains))
}

const (
	maxValues = 100 // of one list
	maxShort  = 256 // bytes of one value
)

func (f *Filters) check() error {
	if err := among(f.Events, outbox.Events, "events"); err != nil {
		return err
	}
	if err := among(f.Severity, event.Severities, "severity"); err != nil {
		return err
	}
	for _, l := range []struct {
		name string
		list []string
	}{{"events", f.Events}, {"severity", f.Severity}, {"rule", f.Rule}, {"source", f.Source}, {"titleContains", []string{f.TitleContains}}} {
		wrong := slices.ContainsFunc(l.list, func(s string) bool { return len(s) > maxShort || s == "" && l.name != "titleContains" })
		if len(l.list) > maxValues || wrong {
			return fault.New(fault.Invalid, "Allowed: at most %d values of 1 to %d bytes", maxValues, maxShort).In(l.name)
		}
	}
	return nil
}

// A Route says which messages go to which channels. Every route that matches counts.
type Route struct {
	ID        string
	Tenant    uint32
	Name      string
	Enabled   bool
	Filters   Filters
	Channels  []string // ids
	Version   int64
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
}
