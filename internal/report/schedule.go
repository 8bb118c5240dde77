package report

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Kind of report.
type Kind string

// The kinds.
const (
	Executive  Kind = "executive"
	Incident   Kind = "incident"
	Compliance Kind = "compliance"
	Threat     Kind = "threatLandscape"
)

// Kinds lists the kinds.
var Kinds = []Kind{Executive, Incident, Compliance, Threat}

// Every is how often a report is made.
type Every string

// How often.
const (
	OnDemand Every = "onDemand"
	Daily    Every = "daily"   // of the day before
	Weekly   Every = "weekly"  // of the seven days before
	Monthly  Every = "monthly" // of the calendar month before
)

// Everys lists how often.
var Everys = []Every{OnDemand, Daily, Weekly, Monthly}

// Formats lists what a report can be made as.
var Formats = []string{"pdf", "csv"}

// Settings are what a report is made from and when.
type Settings struct {
	Every      Every    `json:"every"`
	At         string   `json:"at"`         // "07:00", in Zone
	Weekday    int      `json:"weekday"`    // of weekly ones: 1 Monday to 7 Sunday
	DayOfMonth int      `json:"dayOfMonth"` // of monthly ones: 1 to 28
	Zone       string   `json:"timeZone"`   // IANA name
	Language   Language `json:"language"`
	Formats    []string `json:"formats"`
	Framework  string   `json:"framework"` // of compliance: an id
	Profile    string   `json:"profile"`   // of compliance; "": as the tenant chose
	Channel    string   `json:"channel"`   // id of a notification channel of kind email; "": kept for download only
}

// A Schedule is a report that is made again and again, or when somebody asks.
type Schedule struct {
	ID      string // UUIDv7
	Tenant  uint32
	Name    string
	Kind    Kind
	Enabled bool
	Settings
	NextAt               *time.Time // nil: when somebody asks
	Version              int64
	CreatedAt, UpdatedAt time.Time
	CreatedBy            string
}

// defaults fills in what was left out.
func (s *Schedule) defaults() {
	if s.Every == "" {
		s.Every = OnDemand
	}
	if s.At == "" {
		s.At = "07:00"
	}
	if s.Weekday == 0 {
		s.Weekday = 1
	}
	if s.DayOfMonth == 0 {
		s.DayOfMonth = 1
	}
	if s.Zone == "" {
		s.Zone = "UTC"
	}
	if s.Language == "" {
		s.Language = English
	}
	if len(s.Formats) == 0 {
		s.Formats = []string{"pdf"}
	}
}

// check refuses what cannot be meant.
func (s *Schedule) check() error {
	s.Name = strings.TrimSpace(s.Name)
	if n := utf8.RuneCountInString(s.Name); n < 1 || n > 100 {
		return fault.New(fault.Invalid, "Allowed: 1 to 100 characters").In("name")
	}
	if !slices.Contains(Kinds, s.Kind) {
		return fault.New(fault.Invalid, "Allowed: executive, incident, compliance, threatLandscape").In("kind")
	}
	s.defaults()
	if !slices.Contains(Everys, s.Every) {
		return fault.New(fault.Invalid, "Allowed: onDemand, daily, weekly, monthly").In("every")
	}
	if _, err := time.Parse("15:04", s.At); err != nil {
		return fault.New(fault.Invalid, "Allowed: an hour and minute such as 07:00").In("at")
	}
	switch {
	case s.Weekday < 1 || s.Weekday > 7:
		return fault.New(fault.Invalid, "Allowed: 1 (Monday) to 7 (Sunday)").In("weekday")
	case s.DayOfMonth < 1 || s.DayOfMonth > 28:
		return fault.New(fault.Invalid, "Allowed: 1 to 28").In("dayOfMonth")
	case s.Language != English && s.Language != Korean:
		return fault.New(fault.Invalid, "Allowed: en, ko").In("language")
	case s.Profile != "" && s.Profile != string(compliance.Core) && s.Profile != string(compliance.Full):
		return fault.New(fault.Invalid, "Allowed: core, full").In("profile")
	}
	if _, err := zoneOf(s.Zone); err != nil {
		return err
	}
	for _, f := range s.Formats {
		if !slices.Contains(Formats, f) {
			return fault.New(fault.Invalid, "Allowed: pdf, csv").In("formats")
		}
	}
	slices.Sort(s.Formats)
	s.Formats = slices.Compact(s.Formats)
	slices.Reverse(s.Formats) // pdf first
	if s.Kind != Compliance {
		s.Framework, s.Profile = "", ""
	} else if s.Framework == "" {
		return fault.New(fault.Invalid, "A compliance report needs a framework, such as ISMSP").In("framework")
	}
	return nil
}

func zoneOf(name string) (*time.Location, error) {
	z, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fault.New(fault.Invalid, "Allowed: the IANA name of a time zone, such as Asia/Seoul").In("timeZone")
	}
	return z, nil
}

// zone is that of the schedule; it was checked.
func (s *Settings) zone() *time.Location {
	z, err := zoneOf(s.Zone)
	if err != nil {
		return time.UTC
	}
	return z
}

// next is when the report is due after t; zero where only when somebody asks.
func (s *Settings) next(t time.Time) time.Time {
	if s.Every == OnDemand {
		return time.Time{}
	}
	clock, err := time.Parse("15:04", s.At)
	if err != nil {
		clock = time.Time{}
	}
	zone := s.zone()
	local := t.In(zone)
	// A day that is not the report's is passed over; at most a month lies between two.
	for i := range 63 {
		day := time.Date(local.Year(), local.Month(), local.Day()+i, clock.Hour(), clock.Minute(), 0, 0, zone)
		switch {
		case !day.After(t):
		case s.Every == Weekly && (int(day.Weekday())+6)%7+1 != s.Weekday:
		case s.Every == Monthly && day.Day() != s.DayOfMonth:
		default:
			return day.UTC()
		}
	}
	return time.Time{}
}

// period is what a report that is made at t tells of.
func (s *Settings) period(t time.Time) (from, to time.Time) {
	zone := s.zone()
	y, m, d := t.In(zone).Date()
	midnight := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, zone) }
	switch s.Every {
	case Daily:
		return midnight(y, m, d-1), midnight(y, m, d)
	case Weekly:
		return midnight(y, m, d-7), midnight(y, m, d)
	case Monthly:
		return midnight(y, m-1, 1), midnight(y, m, 1)
	case OnDemand:
	}
	return midnight(y, m, d-29), t
}

func (s *Settings) text() (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}
