// Package sight knows what arrives: for each tenant, which log sources the events
// of the last days belong to and which fields were filled in them. From that it
// tells which rules are blind, that is, can never match, and why. It looks at a
// part of the events, in bounded memory, and never changes any.
package sight

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Period is how far back a log source or field counts as arriving.
const Period = 7 * 24 * time.Hour

// Options are what a Service needs from others. Log is required.
type Options struct {
	Log *slog.Logger
	// Lists returns the tenant's value lists by name. nil: there are none.
	Lists func(ctx context.Context, tenant uint32) (map[string][]string, error)
	// Active returns the tenant's rules: those that a correlation of another text
	// counts are looked for among them. nil: only those given.
	Active func(ctx context.Context, tenant uint32) ([]rule.Active, uint64, error)
	Now    func() time.Time // nil: time.Now
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	db       *sqldb.DB
	options  Options
	observer *observer

	mu     sync.Mutex
	states map[uint32]state
	texts  map[textKey][]document
}

// New returns the use cases on db.
func New(db *sqldb.DB, options Options) *Service {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Service{db: db, options: options, observer: newObserver(options.Now), states: map[uint32]state{}, texts: map[textKey][]document{}}
}

// Observe may look at e, which it does not keep. Call it for every event: it
// chooses itself, and costs some nanoseconds where it does not look.
func (s *Service) Observe(e *event.Event) { s.observer.observe(e) }

// Learn says what rules need. Blind and Health do it by themselves; calling it
// when rules are loaded makes their log sources known at once.
func (s *Service) Learn(needs []detect.Need) { s.observer.learn(needs) }

// Run writes down what was seen each minute until ctx is done, and once more.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for minute := 0; ; minute++ {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.Flush(last); err != nil {
				s.options.Log.WarnContext(last, "what was seen last is not written down", "err", err)
			}
			return nil
		case <-tick.C:
		}
		err := s.Flush(ctx)
		if err == nil && minute%60 == 0 {
			err = s.forget(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.options.Log.WarnContext(ctx, "what was seen is not written down: trying again in a minute", "err", err)
		}
	}
}

// A Source is a log source whose events arrive.
type Source struct {
	LogSource   sigma.LogSource
	First, Last time.Time
	Fields      map[string]time.Time // names that were filled, and when last
}

func newSource(l sigma.LogSource) *Source {
	return &Source{LogSource: l, Fields: map[string]time.Time{}}
}

func (s *Source) seen(first, last int64) {
	f, l := time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
	if s.First.IsZero() || f.Before(s.First) {
		s.First = f
	}
	if l.After(s.Last) {
		s.Last = l
	}
}

func (s *Source) fill(name string, last int64) {
	if t := time.UnixMicro(last).UTC(); t.After(s.Fields[name]) {
		s.Fields[name] = t
	}
}

// state is what is known of a tenant for a short while.
type state struct {
	at      time.Time
	sources map[string]*Source
}

const keepState = 15 * time.Second

// state returns the log sources of the last Period by their text. It is not to be
// changed.
func (s *Service) state(ctx context.Context, tenant uint32) (map[string]*Source, error) {
	now := s.options.Now()
	s.mu.Lock()
	known, ok := s.states[tenant]
	s.mu.Unlock()
	if ok && now.Sub(known.at) < keepState && !now.Before(known.at) {
		return known.sources, nil
	}
	from := now.Add(-Period).UnixMicro()
	sources, err := s.load(ctx, tenant, from)
	if err != nil {
		return nil, err
	}
	s.observer.merge(tenant, sources, from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) >= maxStates {
		clear(s.states)
	}
	s.states[tenant] = state{now, sources}
	return sources, nil
}

const maxStates = 64

// Seen returns the log sources whose events arrived in the last Period, by name.
func (s *Service) Seen(ctx context.Context, tenant uint32) ([]Source, error) {
	sources, err := s.state(ctx, tenant)
	if err != nil {
		return nil, err
	}
	out := make([]Source, 0, len(sources))
	for _, x := range sources {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Source) int { return cmp.Compare(a.LogSource.String(), b.LogSource.String()) })
	return out, nil
}

// parseSource reads what sigma.LogSource.String prints.
func parseSource(text string) sigma.LogSource {
	parts := strings.SplitN(text, "/", 3)
	for i, p := range parts {
		if p == "*" {
			parts[i] = ""
		}
	}
	parts = append(parts, "", "")
	return sigma.LogSource{Product: parts[0], Category: parts[1], Service: parts[2]}
}
