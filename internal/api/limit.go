package api

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	window      = 60 // seconds; windows start at whole minutes
	noLimit     = 1<<31 - 1
	limitShards = 16
)

// fixedWindow counts requests by key in windows of a minute. It is one per
// process.
type fixedWindow struct {
	seed   maphash.Seed
	shards [limitShards]limitShard
}

type limitShard struct {
	mu      sync.Mutex
	current int64            // the window that counts is for
	counts  map[string]int64 // cleared when a new window starts, which bounds it
}

func newFixedWindow() *fixedWindow { return &fixedWindow{seed: maphash.MakeSeed()} }

// allowance is what a caller may still do.
type allowance struct {
	limit, remaining int64
	reset            int64 // Unix seconds at which the window ends
	wait             time.Duration
	ok               bool
}

// take counts cost requests of key; cost 0 only looks. A refused request is not
// counted. limit 0 means that there is none: such callers are counted all the
// same and see a limit that nobody reaches.
func (f *fixedWindow) take(key string, limit, cost int64, now time.Time) allowance {
	if limit <= 0 {
		limit = noLimit
	}
	w := now.Unix() / window
	s := &f.shards[maphash.String(f.seed, key)%limitShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != w || s.counts == nil {
		s.current, s.counts = w, map[string]int64{}
	}
	n := s.counts[key]
	a := allowance{limit: limit, reset: (w + 1) * window, ok: n+cost <= limit}
	if a.ok && cost > 0 {
		n += cost
		s.counts[key] = n
	}
	a.remaining = max(0, limit-n)
	a.wait = time.Unix(a.reset, 0).Sub(now)
	return a
}

// used tells how many requests of key were counted in the window that goes on.
func (f *fixedWindow) used(key string, now time.Time) int64 {
	s := &f.shards[maphash.String(f.seed, key)%limitShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != now.Unix()/window {
		return 0
	}
	return s.counts[key]
}

// The names as the reference writes them: http.Header.Set would send
// X-Ratelimit-Limit, which is equal in HTTP but not to a reader's eye.
const (
	headerLimit     = "X-RateLimit-Limit"
	headerRemaining = "X-RateLimit-Remaining"
	headerReset     = "X-RateLimit-Reset"
	headerPolicy    = "RateLimit-Policy" // IETF draft-ietf-httpapi-ratelimit-headers
	headerRate      = "RateLimit"
)

func (a allowance) write(h http.Header) {
	limit, remaining := strconv.FormatInt(a.limit, 10), strconv.FormatInt(a.remaining, 10)
	h[headerLimit] = []string{limit}
	h[headerRemaining] = []string{remaining}
	h[headerReset] = []string{strconv.FormatInt(a.reset, 10)}
	h[headerPolicy] = []string{`"default";q=` + limit + ";w=" + strconv.Itoa(window)}
	h[headerRate] = []string{`"default";r=` + remaining + ";t=" + retrySeconds(a.wait)}
}

// addressKey is what callers without a key are counted by: an IPv4 address, or
// the /64 that one IPv6 subscriber has to itself.
func addressKey(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		p, _ := addr.Prefix(64) // 64 is a valid length of every IPv6 address
		return "addr " + p.String()
	}
	return "addr " + addr.String()
}
