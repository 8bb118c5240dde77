package fleet

import (
	"log/slog"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Config is what a Service works with. All of it is required.
type Config struct {
	DB        *sqldb.DB
	Sources   *source.Service
	Authority *Authority
	Log       *slog.Logger
	Now       func() time.Time
}

// Service is the use cases. Run must run for what collectors report to be kept.
type Service struct {
	Config
	callers callers

	mu      sync.Mutex
	beats   map[string]beat   // heard and not yet written, by collector
	acked   map[string]uint64 // likewise
	revoked []func(id string) // whom to tell

	flushing sync.Mutex // one flush at a time: an older beat must not overtake
	looked   time.Time  // when Run last looked for who is gone
	fair     time.Time  // since when collectors had the chance to be heard
}

// New returns the use cases.
func New(c Config) *Service {
	return &Service{Config: c, beats: map[string]beat{}, acked: map[string]uint64{}}
}

// OnRevoke has f called when a collector is revoked by this process. It must be
// called before the first Revoke.
func (s *Service) OnRevoke(f func(id string)) { s.revoked = append(s.revoked, f) }

func (s *Service) moment() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
