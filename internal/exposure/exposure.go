// Package exposure keeps what of a tenant can be seen from outside: the domains that it
// calls its own and proves by a DNS record, and the names under them, found in DNS, TLS
// and HTTP fields of events and by import. It calls nobody but to prove a domain and,
// where the tenant switches that on for a proven one, to check its names.
package exposure

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Domain is one that the tenant calls its own.
type Domain struct {
	ID     string // UUIDv7
	Tenant uint32
	Name   string // in lower case, ASCII, without a dot at its end
	Token  string // that the TXT record at RecordName must show

	VerifiedAt *time.Time // nil: not proven
	CheckedAt  *time.Time // when active checks last began
	Names      int64      // under it, itself included

	DomainSettings
	Version              int64 // counts people's changes
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
}

// DomainSettings are what people decide of a domain.
type DomainSettings struct {
	AlertOnNew    bool
	LearningHours int  // after it was added, in which new names raise no alert
	ActiveChecks  bool // only of a proven domain
	GoneAfterDays int  // without being seen, after which a name is gone
	Notes         string
}

// RecordName is where the record that proves the domain must stand.
func (d *Domain) RecordName() string { return "_kyra-verify." + d.Name }

// RecordValue is what it must say.
func (d *Domain) RecordValue() string { return "kyra-verify=" + d.Token }

// A State is what is made of a name.
type State string

// The states.
const (
	Fresh   State = "new"     // found, and nobody has looked at it
	Known   State = "known"   // people know of it
	Ignored State = "ignored" // people do not want to hear of it
	Gone    State = "gone"    // not seen for long; seen again it is new
)

// States lists the states.
var States = []State{Fresh, Known, Ignored, Gone}

// Sources lists what can show a name.
var Sources = []string{"dns", "tls", "certificate", "http", "import", "check"}

// A Name is a host name under a domain, or the domain itself.
type Name struct {
	ID                  string // UUIDv7
	Domain              string // id
	DomainName          string
	Name                string
	State               State
	FirstSeen, LastSeen time.Time // event time
	Sources             []string  // in the order of Sources
	Addresses           []string  // the newest first, at most maxAddresses
	Found               string    // what the last check found wrong, "" for nothing
	Checked             *Check    // nil: never checked
	CheckedAt           *time.Time
	Notes               string
	Version             int64 // counts people's changes
	UpdatedBy           string
}

// Bounds: senders choose names.
const (
	maxDomains   = 200    // of a tenant
	maxNames     = 20_000 // of a domain
	maxAddresses = 16     // of a name
	maxNotes     = 10_000 // characters
)

// A RecordFunc raises alerts in the transaction tx.
type RecordFunc func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error

// Config is what a Service works on; fields of which nothing is said are required.
type Config struct {
	DB     *sqldb.DB
	Log    *slog.Logger
	Now    func() time.Time
	Record RecordFunc // nil: nothing is raised

	// Dial connects to a DNS server; nil: as the system does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Guard is asked for every connection of active checks; nil: there are none.
	Guard func() *outbound.Guard
	// StartCheck begins the active check of a domain that is due; nil: only people do.
	StartCheck func(ctx context.Context, tenant uint32, domain string) error

	HTTPS string        // port that checks look at; "" means 443
	Pause time.Duration // between two names that are checked; 0 means 200 ms
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	views   atomic.Pointer[map[uint32]*view] // of tenants that have domains
	dropped dropped
}

// New returns the use cases.
func New(c Config) *Service {
	if c.HTTPS == "" {
		c.HTTPS = "443"
	}
	if c.Pause == 0 {
		c.Pause = 200 * time.Millisecond
	}
	s := &Service{Config: c}
	s.views.Store(&map[uint32]*view{})
	return s
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
