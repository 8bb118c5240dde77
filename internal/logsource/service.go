package logsource

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Options are what a Service needs from others. Log is required.
type Options struct {
	Log *slog.Logger
	Now func() time.Time // nil: time.Now

	Zone *time.Location // of times that carry none, as the server has it; nil: UTC

	// Record writes findings as alerts in the caller's transaction; nil: silence is
	// shown and raises nothing.
	Record func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error
	// Alerts are where a silence that ends is resolved; nil: nowhere.
	Alerts *alert.Service
	// Offline tells whether what a record came with is a collector that is offline: its
	// own event says so already. nil: there are no collectors.
	Offline func(ctx context.Context, tenant uint32, key string) (bool, error)
	// Waiting tells whether acknowledged records wait to be processed. nil: never.
	Waiting func(ctx context.Context) (bool, error)
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	db       *sqldb.DB
	options  Options
	observer *observer

	mu      sync.RWMutex
	tenants map[uint32]compiled
	saving  sync.Mutex // one Flush at a time
}

// New returns the use cases on db with what it knows.
func New(ctx context.Context, db *sqldb.DB, options Options) (*Service, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Service{db: db, options: options, observer: newObserver(), tenants: map[uint32]compiled{}}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Observe notes where an event came from. Call it for each, after it was parsed; it
// keeps none of its arguments.
func (s *Service) Observe(r *parse.Record, e *event.Event, x *parse.Explanation) {
	s.observer.observe(r, e, x)
}

// Run takes changed settings up each second, and each minute looks for silence and
// writes down what was seen, until ctx is done; then it writes once more.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := 1; ; second++ {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := s.flush(last, true); err != nil {
				s.options.Log.WarnContext(last, "what log sources sent last is not written down", "err", err)
			}
			return nil
		case <-tick.C:
		}
		s.refresh(ctx)
		if second%60 != 0 {
			continue
		}
		err := errors.Join(s.adopt(ctx), s.Watch(ctx), s.Flush(ctx))
		if err == nil && second%3600 == 0 {
			err = s.forget(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.options.Log.WarnContext(ctx, "log sources are not up to date: trying again in a minute", "err", err)
		}
	}
}

// A Query chooses sources of one page.
type Query struct {
	Search, Name, Host string // Search: in names, hosts and programs; all in any case
	Statuses           []string
	Sort               string // of Sorts, "" for the first
	Ascending          bool
	Page, Size         int
}

// Sorts lists what List sorts by.
var Sorts = []string{"lastSeen", "firstSeen", "source", "host", "events", "eventsPerHour", "unparsed"}

// List returns one page of a tenant's sources and how many there are.
func (s *Service) List(_ context.Context, tenant uint32, q Query) ([]Source, int64, error) {
	now := s.options.Now().UnixNano()
	var found []Source
	s.observer.mu.Lock()
	for _, e := range s.observer.byID[tenant] {
		if q.holds(e, now) {
			found = append(found, e.source(now))
		}
	}
	s.observer.mu.Unlock()
	slices.SortFunc(found, func(a, b Source) int {
		order := q.order(&a, &b)
		if !q.Ascending {
			order = -order
		}
		return cmp.Or(order, cmp.Compare(a.ID, b.ID))
	})
	from := min(q.Page*q.Size, len(found))
	return found[from:min(from+q.Size, len(found))], int64(len(found)), nil
}

func (q *Query) holds(e *entry, now int64) bool {
	search := strings.ToLower(q.Search)
	return (q.Name == "" || strings.EqualFold(q.Name, e.key.source)) && (q.Host == "" || strings.EqualFold(q.Host, e.host)) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, e.status(now))) &&
		strings.Contains(strings.ToLower(e.key.source+"\n"+e.host+"\n"+strings.Join(e.programs, "\n")), search)
}

func (q *Query) order(a, b *Source) int {
	switch q.Sort {
	case "firstSeen":
		return a.First.Compare(b.First)
	case "source":
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host))
	case "host":
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Name, b.Name))
	case "events":
		return cmp.Compare(a.Events, b.Events)
	case "eventsPerHour":
		return cmp.Compare(a.PerHour, b.PerHour)
	case "unparsed":
		return cmp.Compare(a.share(), b.share())
	}
	return a.Last.Compare(b.Last)
}

// share is the part of the events that no parser understood.
func (s *Source) share() float64 {
	if s.Events == 0 {
		return 0
	}
	return float64(s.Unparsed) / float64(s.Events)
}

// UnparsedShare is the part of the events that no parser understood, 0 to 1.
func (s *Source) UnparsedShare() float64 { return s.share() }

// Get returns one source with its history, or fault.NotFound.
func (s *Service) Get(_ context.Context, tenant uint32, id string) (*Source, error) {
	now := s.options.Now().UnixNano()
	s.observer.mu.Lock()
	defer s.observer.mu.Unlock()
	e := s.observer.byID[tenant][id]
	if e == nil {
		return nil, unknown()
	}
	x := e.source(now)
	x.History = e.hours.list(now / int64(time.Hour))
	return &x, nil
}

func unknown() error { return fault.New(fault.NotFound, "no such log source") }
