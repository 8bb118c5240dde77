package eventstore

import (
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// steps are the widths a histogram may have; each is at most four times the one
// before, so that at most maxBuckets means at least a quarter of them.
var steps = []int64{
	1, 2, 5, 10, 20, 50, 100, 200, 500,
	1e3, 2e3, 5e3, 10e3, 20e3, 50e3, 100e3, 200e3, 500e3,
	1e6, 2e6, 5e6, 10e6, 20e6, 50e6, 100e6, 200e6, 500e6,
	1e9, 2e9, 5e9, 10e9, 15e9, 30e9,
	minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute,
	hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour,
	day, 2 * day, 5 * day, 10 * day, 30 * day, 90 * day, 180 * day, 360 * day,
}

const (
	minute = int64(time.Minute)
	hour   = int64(time.Hour)
	day    = 24 * hour

	maxBuckets = 120
)

// Step returns the round width of buckets, in nanoseconds, that cuts the time
// range into about 30 to 120.
func Step(from, to int64) int64 {
	for _, s := range steps {
		if buckets(from, to, s) <= maxBuckets {
			return s
		}
	}
	return steps[len(steps)-1]
}

// buckets counts the aligned buckets of the step that from ≤ t < to touches.
func buckets(from, to, step int64) int64 {
	if to <= from {
		return 0
	}
	return (Floor(to-1, step)-Floor(from, step))/step + 1
}

// Floor returns the begin of the bucket that t is in.
func Floor(t, step int64) int64 {
	t -= t % step
	return t
}

// Buckets returns the empty buckets of a request, for a store to fill.
func Buckets(from, to, step int64) []Bucket {
	b := make([]Bucket, buckets(from, to, step))
	for i := range b {
		b[i].Time = Floor(from, step) + int64(i)*step
	}
	return b
}

// Count adds n events of a time and a severity to the buckets.
func Count(b []Bucket, step, t int64, severity string, n uint64) {
	bucket := &b[(Floor(t, step)-b[0].Time)/step]
	bucket.Count += n
	rank := event.SeverityRank(severity)
	if rank == 0 {
		rank = 1
	}
	bucket.BySeverity[len(bucket.BySeverity)-rank] += n
}

// Clamp limits a time range to the times that are kept. The result is empty
// (to ≤ from) if nothing of it is.
func Clamp(from, to int64) (int64, int64) {
	return max(from, MinTime), min(to, MaxTime+1)
}
