// Package report makes reports of what the platform knows: how a framework's controls
// stand, for auditors, and how detection and response fare, for those who answer for it.
// It composes documents; package paper sets them. Schedules and what they made are kept
// here too.
package report

import (
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/incident"
)

// A Language of reports.
type Language string

// The languages.
const (
	English Language = "en"
	Korean  Language = "ko"
)

// Model is everything that a compliance report tells. It holds no time of its making: the
// same state of the tenant's compliance gives an equal model.
type Model struct {
	Organisation string
	Zone         *time.Location // of the people who read it
	View         *compliance.View
	Checks       func(id string) *compliance.Check
	AsOf         time.Time // the newest change of what the view rests on
	From, To     time.Time // period of history, incidents and exceptions
	Days         []compliance.Day
	Outcomes     []CheckDays
	Evidence     []evidence.Kept // that the standings name
	Uploaded     []evidence.Kept // handed in for controls of the framework within the period
	UploadedMore int64           // that Uploaded leaves out
	Exceptions   []compliance.Exception
	Scope        []compliance.Result // what checks counted of the estate
	Retention    *compliance.LogRetention
	Incidents    *incident.Figures
	Notices      []Notice
	Notifies     bool   // what must be told to authorities is kept, so that none means none
	Version      string // of the program
}

// CheckDays sums up what a check found on the days of the period.
type CheckDays struct {
	Check                       string
	Days                        int // on which it ran
	Passed, Partly, Failed, Not int // by the worst of the day
}

// A Notice is what an authority or the people concerned must be told of an incident.
type Notice struct {
	Incident, Title, Recipient, Law string
	AwareAt, DueAt                  time.Time
	SentAt                          *time.Time
	State                           string // "sent", "late", "running", "overdue"
}

// asOf is when what the view rests on last changed: by a result, by a person, or by time
// alone, such as evidence that grew stale. From then on the same report comes out.
func asOf(v *compliance.View, service *compliance.Service, ended []compliance.Exception, otherwise time.Time) time.Time {
	at := otherwise
	add := func(t time.Time) {
		if t.After(at) && !t.After(v.At) {
			at = t
		}
	}
	add(v.Settings.UpdatedAt)
	for i := range v.All {
		s := &v.All[i]
		add(s.Since)
		add(s.Record.UpdatedAt)
		for j := range s.Findings {
			if f := &s.Findings[j]; f.Result != nil {
				add(f.Result.CollectedAt)
				add(service.CountsUntil(f.Result))
			}
		}
		for _, a := range []*compliance.Attestation{s.Attestation, s.Pending} {
			if a == nil {
				continue
			}
			add(a.At)
			add(a.ExpiresAt)
			if a.ReviewedAt != nil {
				add(*a.ReviewedAt)
			}
		}
	}
	for i := range ended {
		add(ended[i].At)
		add(ended[i].EndsAt)
		if ended[i].EndedAt != nil {
			add(*ended[i].EndedAt)
		}
	}
	return at.UTC()
}
