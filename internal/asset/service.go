package asset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Options are what a Service needs from others. Log is required.
type Options struct {
	Log *slog.Logger
	Now func() time.Time // nil: time.Now
	Max int64            // assets of a tenant; 0: 50,000
}

// Service is the use cases. It is safe for use by several goroutines, and several may
// run on one database.
type Service struct {
	db       *sqldb.DB
	options  Options
	observer *observer

	writing sync.Mutex
	full    map[uint32]int64 // sightings of machines that there was no room for; under writing
}

// New returns the use cases on db.
func New(db *sqldb.DB, options Options) *Service {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Max == 0 {
		options.Max = 50_000
	}
	return &Service{db: db, options: options, observer: newObserver(), full: map[uint32]int64{}}
}

// Observe notes what e tells of machines. Call it for every event; it keeps nothing of e.
// What it noted and did not write before a kill is seen again with the next event.
func (s *Service) Observe(e *event.Event) { s.observer.observe(e) }

// Run writes down what was seen every three seconds until ctx is done, and once more.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.Flush(last); err != nil {
				s.options.Log.WarnContext(last, "assets that were seen last are not written down", "err", err)
			}
			return nil
		case <-tick.C:
		}
		err := s.Flush(ctx)
		if n%20 == 0 {
			s.observer.forget()
		}
		if n%20 == 1 {
			err = errors.Join(err, s.CountAlerts(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.options.Log.WarnContext(ctx, "assets are not up to date: trying again", "err", err)
		}
	}
}

// WriteMetrics writes what found no room, in Prometheus' text format.
func (s *Service) WriteMetrics(w io.Writer) {
	s.writing.Lock()
	var full int64
	for _, n := range s.full {
		full += n
	}
	s.writing.Unlock()
	fmt.Fprintf(w, "kyra_asset_dropped_total{reason=\"memory\"} %d\nkyra_asset_dropped_total{reason=\"tenant_full\"} %d\n", s.observer.dropped.Load(), full)
}

func unknown() error { return fault.New(fault.NotFound, "no such asset") }

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}
