package compliance

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Config is what a Service needs.
type Config struct {
	DB        *sqldb.DB
	Catalogue *Catalogue // nil: Builtin
	Log       *slog.Logger
	Now       func() time.Time // nil: time.Now

	// Evidence refuses ids that are none of the tenant's evidence with fault.Invalid; nil:
	// they are not looked at.
	Evidence func(ctx context.Context, tx *sqldb.DB, tenant uint32, ids []string) error

	// Kept tells how long records are kept; nil: nobody knows.
	Kept func(ctx context.Context, tenant uint32) (Kept, error)

	// Tenants lists whom Run looks after; nil where Run is another process's.
	Tenants func(ctx context.Context) ([]uint32, error)
}

// Service is the use cases. It is safe for use by several goroutines and processes.
type Service struct{ Config }

// New returns the use cases.
func New(c Config) *Service {
	if c.Catalogue == nil {
		c.Catalogue = Builtin()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c}
}

// now is in the database's precision.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Frameworks returns the frameworks that the tenant is assessed by, each in the edition
// that the tenant chose, in their documented order.
func (s *Service) Frameworks(ctx context.Context, tenant uint32) ([]*Framework, error) {
	set, err := s.Settings(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.chosen(set), nil
}

func (s *Service) chosen(set *Settings) []*Framework {
	out := s.Catalogue.Default()
	for i, f := range out {
		out[i] = s.edition(f, set)
	}
	return out
}

func (s *Service) edition(f *Framework, set *Settings) *Framework {
	for _, e := range s.Catalogue.Editions(f.ID) {
		if e.Edition == set.Frameworks[f.ID].Edition {
			return e
		}
	}
	return f
}

// Variants returns what there is to evaluate for the tenant.
func (s *Service) Variants(ctx context.Context, tenant uint32) ([]Variant, error) {
	all, err := s.Frameworks(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.Catalogue.Variants(all), nil
}

// every is how often Run looks whether time alone has changed something.
const every = 15 * time.Minute

// Run judges every control again when time alone changes it, until ctx is done: evidence
// grows stale, attestations and exceptions end. It writes down how every framework stands
// each day.
func (s *Service) Run(ctx context.Context) error {
	if s.Tenants == nil {
		return errors.New("run compliance: nobody says which tenants there are")
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		tenants, err := s.Tenants(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "compliance: tenants cannot be listed", "err", err)
		}
		for _, t := range tenants {
			if err := s.Settle(ctx, t); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "compliance: controls cannot be judged", "tenant", t, "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
