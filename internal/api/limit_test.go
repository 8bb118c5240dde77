package api

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFixedWindow(t *testing.T) {
	f := newFixedWindow()
	start := time.Unix(1_700_000_000, 500_000_000) // 20 s and a half into its minute
	for i := range 60 {
		if a := f.take("a", 60, 1, start); !a.ok || a.remaining != int64(59-i) || a.reset != 1_700_000_040 {
			t.Fatalf("request %d: %+v", i+1, a)
		}
	}
	a := f.take("a", 60, 1, start)
	if a.ok || a.remaining != 0 || a.wait != 39*time.Second+500*time.Millisecond {
		t.Errorf("request 61: %+v, want a refusal and a wait of 39.5 s", a)
	}
	if got := retrySeconds(a.wait); got != "40" {
		t.Errorf("Retry-After is %s, want 40", got)
	}
	if a := f.take("b", 60, 1, start); !a.ok || a.remaining != 59 {
		t.Errorf("another key: %+v", a)
	}
	if a := f.take("a", 60, 1, time.Unix(1_700_000_040, 0)); !a.ok || a.remaining != 59 {
		t.Errorf("the next window: %+v", a)
	}
}

func TestFixedWindowLooksWithoutCounting(t *testing.T) {
	f := newFixedWindow()
	now := time.Unix(0, 0)
	for range 5 {
		if a := f.take("a", 2, 0, now); !a.ok || a.remaining != 2 {
			t.Errorf("look: %+v", a)
		}
	}
	if a := f.take("a", 0, 1, now); !a.ok || a.limit != noLimit || a.remaining != noLimit-1 {
		t.Errorf("unlimited: %+v", a)
	}
}

func TestFixedWindowCountsExactlyUnderConcurrency(t *testing.T) {
	f := newFixedWindow()
	now := time.Unix(600, 0)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if f.take("a", 300, 1, now).ok {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != 300 {
		t.Errorf("%d requests passed, want 300", taken.Load())
	}
}

func TestAllowanceHeaders(t *testing.T) {
	h := http.Header{}
	newFixedWindow().take("a", 300, 3, time.Unix(1_700_000_030, 0)).write(h)
	for name, want := range map[string]string{
		"X-RateLimit-Limit":     "300",
		"X-RateLimit-Remaining": "297",
		"X-RateLimit-Reset":     "1700000040",
		"RateLimit-Policy":      `"default";q=300;w=60`,
		"RateLimit":             `"default";r=297;t=10`,
	} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAddressKey(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.1.55": "addr 10.0.1.55", "::ffff:10.0.1.55": "addr 10.0.1.55",
		"2001:db8::1": "addr 2001:db8::/64", "2001:db8::2": "addr 2001:db8::/64", "fe80::1%eth0": "addr fe80::/64",
	} {
		if got := addressKey(netip.MustParseAddr(in)); got != want {
			t.Errorf("addressKey(%s) = %q, want %q", in, got, want)
		}
	}
}
