// Package risk gives every asset, identity and address that alerts name a score from 0
// to 100 that explains itself: what each alert adds, why, and how old it is. It follows
// the alerts by notes that the database makes in their own transactions, so that no
// change is lost or counted twice, and raises alerts of its own where a score crosses a
// line or rises fast. Those never feed a score.
package risk

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Kind is what an entity is.
type Kind string

// The kinds.
const (
	Asset    Kind = "asset"    // a host, by name
	Identity Kind = "identity" // an account
	Address  Kind = "address"  // an IP address
)

// Kinds lists the kinds.
var Kinds = []Kind{Asset, Identity, Address}

// Levels lists the levels of scores, the highest first.
var Levels = []string{"critical", "high", "medium", "low", "none"}

// A Key names an entity of a tenant.
type Key struct {
	Kind  Kind
	Value string // in its one form: see KeyOf
}

// KeyOf tells which entity an alert's is; ok is false for what has no score.
func KeyOf(e alert.Entity) (k Key, ok bool) {
	value := strings.TrimSpace(e.Value)
	switch e.Type {
	case "host":
		if addr, err := netip.ParseAddr(value); err == nil { // a machine that is known by its address only
			return Key{Address, addr.WithZone("").Unmap().String()}, true
		}
		value = strings.TrimSuffix(strings.ToLower(value), ".")
		return Key{Asset, value}, value != ""
	case "user":
		value = strings.ToLower(value)
		return Key{Identity, value}, value != ""
	case "ip":
		addr, err := netip.ParseAddr(value)
		if err != nil {
			return Key{}, false
		}
		return Key{Address, addr.WithZone("").Unmap().String()}, true
	}
	return Key{}, false
}

// An Entity is what has a score.
type Entity struct {
	ID            string // UUIDv7
	Kind          Kind
	Label         string // as an alert wrote it
	Score         int64  // hundredths, 0 to 10,000
	Trend         int64  // hundredths against the end of the day before
	Level         string // one of Levels
	Contributions int64  // alerts that may count
	LastSeen      time.Time
	ComputedAt    time.Time
	Watched       bool
	Notes         string
	Version       int64 // counts people's changes
	CreatedAt     time.Time
	UpdatedBy     string // who changed it last, "" for nobody

	key string
}

// A Detail is an entity with how its score came about and what it was.
type Detail struct {
	Entity
	Explanation
	History []Day // the newest first
}

// A Day is what the score was on one day, UTC.
type Day struct {
	Day           time.Time
	Highest, Last int64 // hundredths
}

// An Explanation tells how a score came about. The points of Parts and Others add up to
// the score.
type Explanation struct {
	Total  float64 `json:"total"`  // weight of all parts together
	Worth  Worth   `json:"worth"`  // what every weight was multiplied by
	Parts  []Part  `json:"parts"`  // those with most points, at most MaxParts
	Others Others  `json:"others"` // what Parts leaves out
}

// Others is what an explanation does not list one by one.
type Others struct {
	Count  int64 `json:"count"`
	Points int64 `json:"points"` // hundredths
}

// A Part is what one alert adds: Weight is the product of the factors before it.
type Part struct {
	Contribution
	Base       float64       `json:"base"` // of its severity
	Confidence float64       `json:"confidence"`
	Factor     float64       `json:"verdictFactor"` // of its verdict
	Repeats    float64       `json:"repeats"`
	Indicator  float64       `json:"indicatorFactor"`
	Decay      float64       `json:"decay"`
	Age        time.Duration `json:"age"`
	Weight     float64       `json:"weight"`
	Points     int64         `json:"points"` // hundredths of the score
}

// A Contribution is an alert as far as it weighs.
type Contribution struct {
	AlertID     string        `json:"alert"`
	Hit         bool          `json:"hit"` // a sighting of a threat-intelligence indicator
	RuleID      string        `json:"rule"`
	RuleName    string        `json:"ruleName"`
	Title       string        `json:"title"`
	Severity    string        `json:"severity"`
	Status      alert.Status  `json:"status"`
	Verdict     alert.Verdict `json:"verdict"`
	Occurrences int64         `json:"occurrences"`
	At          time.Time     `json:"at"`
}

// Worth is how much an entity's own worth raises or lowers its risk.
type Worth struct {
	Factor float64 `json:"factor"` // 1 for an ordinary one
	Reason string  `json:"reason"` // such as "criticality high", "" for an ordinary one
	Object string  `json:"object"` // path under the API of what says so, such as "/assets/…", "" for none
}

const (
	// MaxParts is how many contributions an explanation lists.
	MaxParts = 100
	// maxCounted is how many contributions of an entity count, the newest first.
	maxCounted = 1000
	// maxAge is how old an alert may be to count.
	maxAge = 180 * 24 * time.Hour
	// keepDays is how long the history reaches back.
	keepDays = 400
)

// A WorthFunc tells the worth of entities; those it leaves out are ordinary. It may run
// in the caller's transaction.
type WorthFunc func(ctx context.Context, db *sqldb.DB, tenant uint32, keys []Key) (map[Key]Worth, error)

// A ConfidenceFunc tells how far rules can be trusted, from 0 to 1; those it leaves out
// fully.
type ConfidenceFunc func(ctx context.Context, tenant uint32, rules []string) (map[string]float64, error)

// A RecordFunc raises alerts in the transaction tx.
type RecordFunc func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error

// Config is what a Service works on; fields of which nothing is said are required.
type Config struct {
	DB     *sqldb.DB
	Alerts *alert.Service
	Log    *slog.Logger
	Now    func() time.Time

	Record     RecordFunc     // nil: risk rules raise nothing
	Confidence ConfidenceFunc // nil: every rule is trusted
	Worth      WorthFunc      // nil: every entity is ordinary
	// Indicator tells whether a rule's alerts are sightings of indicators; nil: none are.
	Indicator func(ruleID string) bool
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct{ Config }

// New returns the use cases.
func New(c Config) *Service { return &Service{c} }

// SetWorth sets what an entity is worth. It is for assembling a server, before Run.
func (s *Service) SetWorth(f WorthFunc) { s.Worth = f }

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// level is the level of a score in hundredths.
func (l *LevelSettings) level(score int64) string {
	switch {
	case score >= int64(l.Critical)*100:
		return Levels[0]
	case score >= int64(l.High)*100:
		return Levels[1]
	case score >= int64(l.Medium)*100:
		return Levels[2]
	case score > 0:
		return Levels[3]
	}
	return Levels[4]
}

func knownLevel(s string) bool { return slices.Contains(Levels, s) }
