// Package intel is what others say is hostile: indicators with their feeds, what never
// matches, and the matcher that looks for a million of them in every event. It raises
// no alert itself: it makes findings, and counts what became of them.
package intel

import (
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Type is a kind of value.
type Type string

// The types.
const (
	IPv4   Type = "ipv4"
	IPv6   Type = "ipv6"
	CIDR   Type = "cidr"
	Domain Type = "domain" // with everything below it
	URL    Type = "url"
	MD5    Type = "md5"
	SHA1   Type = "sha1"
	SHA256 Type = "sha256"
	Email  Type = "email"
	JA3    Type = "ja3"
)

// Types lists the types.
var Types = []Type{IPv4, IPv6, CIDR, Domain, URL, MD5, SHA1, SHA256, Email, JA3}

// ruleIDs name the built-in rule of each type, for ever.
var ruleIDs = map[Type]string{
	IPv4:   "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0001",
	IPv6:   "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0002",
	CIDR:   "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0003",
	Domain: "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0004",
	URL:    "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0005",
	MD5:    "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0006",
	SHA1:   "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0007",
	SHA256: "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0008",
	Email:  "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c0009",
	JA3:    "5b0f6c1e-8a01-4f6e-9d10-2f1f2a7c000a",
}

// labels are the types in a sentence.
var labels = map[Type]string{
	IPv4: "address", IPv6: "address", CIDR: "network", Domain: "domain", URL: "URL", MD5: "file hash", SHA1: "file hash", SHA256: "file hash", Email: "e-mail address", JA3: "JA3 fingerprint",
}

// An Indicator is one value of one source.
type Indicator struct {
	ID          string // UUIDv7
	Tenant      uint32
	Type        Type
	Value       string // in its one form, see Normalise
	Source      string
	FeedID      string // "" where no feed brought it
	Confidence  int    // 0 to 100
	Severity    string // one of event.Severities
	Tags        []string
	Description string
	ValidFrom   time.Time
	ValidUntil  *time.Time // nil: for ever
	Disabled    bool       // switched off by people
	FirstSeen   time.Time  // by the source
	LastSeen    time.Time  // by the source
	Sightings   int64      // events here that carry it
	LastSighted *time.Time
	Version     int64
	CreatedAt   time.Time
	CreatedBy   string
	UpdatedAt   time.Time
}

// Active tells whether the indicator matches events that arrive at that time.
func (i *Indicator) Active(now time.Time) bool {
	return !i.Disabled && !now.Before(i.ValidFrom) && (i.ValidUntil == nil || now.Before(*i.ValidUntil))
}

// A Draft is an indicator as somebody writes it: in any form that Normalise takes.
// Zero fields are left to the standards named.
type Draft struct {
	Type        Type // "": found out
	Value       string
	Source      string // "manual"
	Confidence  *int   // 75
	Severity    string // "medium"
	Tags        []string
	Description string
	ValidFrom   time.Time // now
	ValidUntil  *time.Time
	FirstSeen   time.Time // now
	LastSeen    time.Time // now
}

// Bounds of an indicator.
const (
	MaxValue       = 2048 // bytes
	MaxTags        = 32
	maxTag         = 100  // characters
	maxDescription = 2000 // characters
	maxSource      = 100  // characters
	maxURLValue    = MaxValue
)

const standardConfidence = 75

// check brings d into its one form.
func (d *Draft) check(now time.Time) error {
	var err error
	if d.Type == "" {
		if d.Type, d.Value, err = Guess(d.Value); err != nil {
			return err
		}
	} else if d.Value, err = Normalise(d.Type, d.Value); err != nil {
		return err
	}
	if d.Source = strings.TrimSpace(clip(clean(d.Source), maxSource)); d.Source == "" {
		d.Source = "manual"
	}
	switch {
	case d.Confidence == nil:
		d.Confidence = new(standardConfidence)
	case *d.Confidence < 0 || *d.Confidence > 100:
		return fault.New(fault.Invalid, "Allowed: 0 to 100").In("confidence")
	}
	if d.Severity == "" {
		d.Severity = "medium"
	}
	if d.Severity = strings.ToLower(d.Severity); !slices.Contains(event.Severities, d.Severity) {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(event.Severities, ", ")).In("severity")
	}
	if d.Tags, err = checkTags(d.Tags); err != nil {
		return err
	}
	d.Description = clip(clean(d.Description), maxDescription)
	for _, t := range []*time.Time{&d.ValidFrom, &d.FirstSeen, &d.LastSeen} {
		if t.IsZero() {
			*t = now
		}
		*t = t.UTC().Truncate(time.Microsecond)
	}
	if d.LastSeen.Before(d.FirstSeen) {
		d.FirstSeen = d.LastSeen
	}
	if d.ValidUntil != nil {
		until := d.ValidUntil.UTC().Truncate(time.Microsecond)
		d.ValidUntil = &until
		if !d.ValidFrom.Before(until) {
			if !d.ValidFrom.Equal(now.UTC().Truncate(time.Microsecond)) {
				return fault.New(fault.Invalid, "Allowed: a time after validFrom").In("validUntil")
			}
			d.ValidFrom = until // it is over already, and its begin was not said
		}
	}
	return nil
}

func checkTags(tags []string) ([]string, error) {
	out := []string{}
	for _, t := range tags {
		if t = strings.TrimSpace(clip(clean(t), maxTag)); t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	if len(out) > MaxTags {
		return nil, fault.New(fault.Invalid, "Allowed: at most %d tags", MaxTags).In("tags")
	}
	slices.Sort(out)
	return out, nil
}

// clean makes a text fit for a column.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// clip cuts s to so many characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}
