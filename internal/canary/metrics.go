package canary

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// figures are what the metrics page says, over all tenants.
type figures struct {
	mu         sync.Mutex
	ok, missed int64
	lastOK     time.Time
	seconds    float64 // of the last one, from sent to alerted
}

func (f *figures) came(r *Run, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ok++
	f.lastOK, f.seconds = now, r.Alerted.Sub(r.Sent).Seconds()
}

func (f *figures) lost(*Run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missed++
}

// WriteMetrics writes the figures in the text format of Prometheus.
func (s *Service) WriteMetrics(w io.Writer) {
	f := &s.metrics
	f.mu.Lock()
	defer f.mu.Unlock()
	last := int64(0)
	if !f.lastOK.IsZero() {
		last = f.lastOK.Unix()
	}
	_, _ = fmt.Fprintf(w, "kyra_canary_runs_total{state=\"ok\"} %d\nkyra_canary_runs_total{state=\"lost\"} %d\nkyra_canary_last_ok_timestamp_seconds %d\nkyra_canary_alert_seconds %g\n",
		f.ok, f.missed, last, f.seconds) // a scraper that left wants no metrics
}
