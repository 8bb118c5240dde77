package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

const (
	cacheFor  = 3 * time.Second // how long another process's revocation may take to act here
	cacheSize = 10_000          // keys
	usedEvery = time.Minute     // how often a key's last use is written
)

// Authenticate tells who presents token from the address from. Every refusal is
// the same fault.Unauthenticated, whatever the reason: a guesser learns nothing.
func (s *Service) Authenticate(ctx context.Context, token string, from netip.Addr) (Caller, error) {
	refused := fault.New(fault.Unauthenticated, "missing or invalid API key")
	if !wellFormed(token) {
		return Caller{}, refused
	}
	now := s.now()
	d := digest(token)
	e, generation := s.known.get(d, now)
	if e == nil {
		k, err := byDigest(ctx, s.db, d)
		if errors.Is(err, fault.NotFound) {
			return Caller{}, refused
		}
		if err != nil {
			return Caller{}, unavailable("read the key", err)
		}
		t, err := s.tenants.ByNumber(ctx, k.Tenant)
		if err != nil {
			return Caller{}, unavailable("read the key's tenant", err)
		}
		e = &entry{key: k, tenant: *t, loaded: now}
		if k.LastUsed != nil {
			e.used = *k.LastUsed
		}
		s.known.put(d, e, generation)
	}
	if !e.key.permits(now, from) {
		return Caller{}, refused
	}
	if e.noteUse(now) {
		if err := setUsed(ctx, s.db, e.key.ID, now); err != nil && ctx.Err() == nil {
			// The caller did nothing wrong, and the next minute tries again.
			s.log.WarnContext(ctx, "last use of a key not written", "key", e.key.ID, "err", err)
		}
	}
	return Caller{
		Tenant: e.tenant, KeyID: e.key.ID, Name: e.key.Name, Scope: e.key.Scope, Actor: "key:" + e.key.Name,
	}, nil
}

// unavailable is what a failing database becomes: the key may be good.
func unavailable(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fault.New(fault.Unavailable, "keys cannot be checked now, try again").Because(fmt.Errorf("%s: %w", what, err))
}

// cache holds keys for a few seconds by their digest.
type cache struct {
	mu         sync.Mutex
	entries    map[string]*entry
	generation uint64 // grows when something was revoked
}

type entry struct {
	key    Key
	tenant tenant.Tenant
	loaded time.Time

	mu   sync.Mutex
	used time.Time // last written use
}

// noteUse tells whether this use is to be written.
func (e *entry) noteUse(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.used) < usedEvery {
		return false
	}
	e.used = now
	return true
}

// get returns a fresh entry or nil, and the generation to hand to put.
func (c *cache) get(digest string, now time.Time) (*entry, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[digest]
	if e != nil && (now.Sub(e.loaded) >= cacheFor || now.Before(e.loaded)) {
		e = nil
	}
	return e, c.generation
}

// put keeps e unless something was revoked since generation: e may have been read
// before.
func (c *cache) put(digest string, e *entry, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return
	}
	if c.entries == nil || len(c.entries) >= cacheSize {
		c.entries = map[string]*entry{}
	}
	c.entries[digest] = e
}

func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.entries = nil
}
