package api

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Events hold personal data, so that who searched for what is written down before the
// answer is given. A console that asks again and again for the same is one entry.
const (
	sameSearch  = 10 * time.Minute
	maxSearches = 10_000
)

// A searchKey names what somebody looks for, wherever in time.
type searchKey struct {
	tenant               uint32
	actor, action, query string
	reason, names        string
}

type searchSpan struct{ at, from, to int64 } // nanoseconds

// searches remembers which searches were written down lately.
type searches struct {
	mu    sync.Mutex
	noted map[searchKey]searchSpan
}

// covers tells whether an entry says already that k was looked for within [from, to).
func (s *searches) covers(k searchKey, at, from, to int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.noted[k]
	return ok && at-was.at < int64(sameSearch) && from >= was.from && to <= was.to+int64(sameSearch)
}

func (s *searches) add(k searchKey, v searchSpan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noted == nil || len(s.noted) >= maxSearches {
		s.noted = map[searchKey]searchSpan{}
	}
	s.noted[k] = v
}

// noteSearch writes down that somebody searched, and what for.
func (a *api) noteSearch(ctx context.Context, c *call, action string, s *Span, from, to int64, detail map[string]any) error {
	names, _ := detail["names"].([]string)
	k := searchKey{c.Tenant.Number, c.Actor, action, s.Query, s.Reason, strings.Join(names, "\x00")}
	now := a.Now()
	if a.searches.covers(k, now.UnixNano(), from, to) {
		return nil
	}
	detail["query"], detail["from"], detail["to"] = s.Query, time.Unix(0, from).UTC(), time.Unix(0, to).UTC()
	if s.Reason != "" {
		detail["reason"] = s.Reason
	}
	err := a.noteLook(ctx, c, now, action, "events", detail)
	if err == nil {
		a.searches.add(k, searchSpan{now.UnixNano(), from, to})
	}
	return err
}

// noteEvent writes down that somebody opened an event.
func (a *api) noteEvent(ctx context.Context, c *call, e *event.Event) error {
	const action = "search.event"
	now := a.Now()
	k := searchKey{tenant: c.Tenant.Number, actor: c.Actor, action: action, query: e.ID.String()}
	if a.searches.covers(k, now.UnixNano(), e.Time, e.Time) {
		return nil
	}
	err := a.noteLook(ctx, c, now, action, e.ID.String(), map[string]any{"time": time.Unix(0, e.Time).UTC()})
	if err == nil {
		a.searches.add(k, searchSpan{now.UnixNano(), e.Time, e.Time})
	}
	return err
}

func (a *api) noteLook(ctx context.Context, c *call, now time.Time, action, object string, detail map[string]any) error {
	return a.DB.Tx(ctx, func(tx *sqldb.DB) error {
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Tenant.Number, At: now, Actor: c.Actor, Action: action, Object: object, Detail: detail})
	})
}
