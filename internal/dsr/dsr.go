// Package dsr serves the requests of people about their data: it counts the days that
// the law gives, finds a person in events and control data, hands out what is stored,
// erases events with proof, and keeps what a legal hold covers. Who asks is sealed.
package dsr

import (
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Kind is what a person asks for.
type Kind string

// The kinds.
const (
	Access        Kind = "access"
	Erasure       Kind = "erasure"
	Rectification Kind = "rectification"
	Restriction   Kind = "restriction"
	Objection     Kind = "objection"
	Portability   Kind = "portability"
)

// Kinds lists the kinds.
var Kinds = []Kind{Access, Erasure, Rectification, Restriction, Objection, Portability}

// A Law is what a request is made under.
type Law string

// The laws.
const (
	GDPR Law = "GDPR"
	CCPA Law = "CCPA"
	PIPA Law = "PIPA"
)

// Laws lists the laws.
var Laws = []Law{GDPR, CCPA, PIPA}

// A Status tells how far a request is.
type Status string

// The statuses. The last two are final.
const (
	Received  Status = "RECEIVED"
	Verified  Status = "VERIFIED"
	Searching Status = "SEARCHING"
	Review    Status = "REVIEW"
	Fulfilled Status = "FULFILLED"
	Rejected  Status = "REJECTED"
)

// Statuses lists the statuses in their order.
var Statuses = []Status{Received, Verified, Searching, Review, Fulfilled, Rejected}

// Closed tells whether s is final.
func (s Status) Closed() bool { return s == Fulfilled || s == Rejected }

// next is what may follow a status: a step on, or back to where the work is.
var next = map[Status][]Status{
	Received:  {Verified, Rejected},
	Verified:  {Searching, Review, Received, Rejected},
	Searching: {Review, Verified, Rejected},
	Review:    {Fulfilled, Searching, Rejected},
}

func step(from, to Status) error {
	if from == to || slices.Contains(next[from], to) {
		return nil
	}
	if from.Closed() {
		return fault.New(fault.Conflict, "the request is closed: make a new one")
	}
	return fault.New(fault.Conflict, "from %s a request goes to one of %v", from, next[from]).In("status")
}

// The states of a person's identity.
const (
	Unverified   = "unverified"
	IsVerified   = "verified"
	Unverifiable = "failed"
)

// Verifications lists them.
var Verifications = []string{Unverified, IsVerified, Unverifiable}

// A Person is who asks, as it is sealed.
type Person struct {
	Name        string       `json:"name"`
	Identifiers []Identifier `json:"identifiers"`
	Note        string       `json:"note"`
}

// A Request is a request as lists show it.
type Request struct {
	ID         string // UUIDv7
	Tenant     uint32
	Kind       Kind
	Law        Law
	Status     Status
	Channel    string
	Masked     Person // without its note
	ReceivedOn string // YYYY-MM-DD
	DueOn      string // the last day
	DueAt      time.Time
	AckBy      string // "" where the law wants no acknowledgement
	AckedAt    *time.Time
	Extension  string // why the term was made longer
	// ExtensionTold is the day on which the person was told so, "" where that is not known.
	ExtensionTold string
	Verification  string
	VerifiedHow   string
	VerifiedBy    string
	AssignedTo    string
	Reason        string // of a rejection
	ApprovedBy    string // of an erasure
	ClosedAt      *time.Time
	MinimisedAt   *time.Time
	Package       *Package
	Findings      *Findings
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Version       int64

	sealed   []byte
	soonTold bool
}

// Overdue tells whether the term has ended at now, or had when the request was closed.
func (r *Request) Overdue(now time.Time) bool {
	if r.ClosedAt != nil {
		now = *r.ClosedAt
	}
	return !now.Before(r.DueAt)
}

// A Detail is a request with what belongs to it.
type Detail struct {
	Request
	History  []Step   // oldest first; comments among them
	Erasures []Proof  // oldest first
	Held     []string // names of active holds
}

// A Step is one entry of a request's history.
type Step struct {
	ID       string
	At       time.Time
	Actor    string
	Action   string // created, status, comment, …
	Old, New string
	Note     string
}
