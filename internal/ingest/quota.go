package ingest

import (
	"sync"
	"time"
)

// burst is how long a tenant may save up quota.
const burst = 2 * time.Second

// quotas counts the events of each tenant against its plan: a bucket that fills
// at the plan's rate and holds two seconds of it. It may owe events: see admit.
type quotas struct {
	mu      sync.Mutex
	buckets map[uint32]*bucket
}

type bucket struct {
	rate   int
	tokens float64
	at     time.Time
}

// take grants as many of n events as t has left, at least none, and says how long
// to wait for the others, at most until the bucket is full.
func (q *quotas) take(t Tenant, n int) (granted int, wait time.Duration) {
	if t.EventsPerSecond <= 0 {
		return n, 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.refill(t)
	granted = max(0, min(n, int(b.tokens))) // admit leaves debts
	b.tokens -= float64(granted)
	if granted == n {
		return granted, 0
	}
	missing := min(float64(n-granted), b.capacity()) - b.tokens
	return granted, max(time.Duration(missing/float64(b.rate)*float64(time.Second)), time.Millisecond)
}

// admit grants all of n events of a body, or none. A body that has begun is taken to its
// end, and one may begin as long as any quota is left: else a sender that can only repeat
// its whole body would never get through, or leave half of it twice. The bucket then owes
// what it did not hold, and the next body waits until that has come in. wait is 0 where
// they are granted.
func (q *quotas) admit(t Tenant, n int, begun bool) (wait time.Duration) {
	if t.EventsPerSecond <= 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.refill(t)
	if !begun && b.tokens < 1 {
		return max(time.Duration((1-b.tokens)/float64(b.rate)*float64(time.Second)), time.Millisecond)
	}
	b.tokens -= float64(n)
	return 0
}

// refund gives back n events that were granted and not taken by the queue.
func (q *quotas) refund(t Tenant, n int) {
	if t.EventsPerSecond <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.refill(t)
	b.tokens = min(b.tokens+float64(n), b.capacity())
}

// refill returns the bucket of t as it is now. A plan that changed takes effect here.
func (q *quotas) refill(t Tenant) *bucket {
	now := time.Now()
	b := q.buckets[t.Number]
	if b == nil || b.rate != t.EventsPerSecond {
		b = &bucket{rate: t.EventsPerSecond, at: now}
		b.tokens = b.capacity()
		if q.buckets == nil {
			q.buckets = make(map[uint32]*bucket)
		}
		q.buckets[t.Number] = b
	}
	b.tokens = min(b.tokens+now.Sub(b.at).Seconds()*float64(b.rate), b.capacity())
	b.at = now
	return b
}

func (b *bucket) capacity() float64 { return float64(b.rate) * burst.Seconds() }
