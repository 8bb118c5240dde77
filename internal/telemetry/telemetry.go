// Package telemetry is how a process tells of itself: its logger, its metrics
// and whether it is ready. It holds no state of others and never stops anything.
package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// NewLogger returns a logger that writes lines of text or JSON to w.
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// MetricsHandler answers in the Prometheus text format with set and with the
// figures of the Go runtime and the process.
func MetricsHandler(set *metrics.Set) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		set.WritePrometheus(w)
		metrics.WriteProcessMetrics(w)
	})
}

// A Check tells what is wrong with one part, nil where nothing is.
type Check func(ctx context.Context) error

// Health answers /healthz and /readyz. The zero value is ready for use.
type Health struct {
	mu      sync.Mutex
	names   []string
	checks  map[string]Check
	serving bool
}

// Add names a part that must be well for the process to be ready.
func (h *Health) Add(name string, c Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checks == nil {
		h.checks = map[string]Check{}
	}
	if _, ok := h.checks[name]; !ok {
		h.names = append(h.names, name)
	}
	h.checks[name] = c
}

// SetServing tells that everything has started, or that stopping has begun.
func (h *Health) SetServing(serving bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving = serving
}

// Live answers 200 as long as the process can answer at all.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

// Ready answers 200 when everything serves, else 503, with a line for each part.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	h.mu.Lock()
	names := append([]string(nil), h.names...)
	checks := make([]Check, len(names))
	for i, n := range names {
		checks[i] = h.checks[n]
	}
	serving := h.serving
	h.mu.Unlock()

	parts, status := map[string]string{}, http.StatusOK
	for i, check := range checks {
		parts[names[i]] = "ok"
		if err := check(ctx); err != nil {
			parts[names[i]] = err.Error()
			status = http.StatusServiceUnavailable
		}
	}
	parts["server"] = "ok"
	if !serving {
		parts["server"] = "starting or stopping"
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(parts); err != nil {
		return // the caller has gone
	}
}
