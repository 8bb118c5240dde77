package collector

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
)

// A LogHandler writes the collector's own log from the level and in the form that
// collector.yaml names, which a reload may change.
type LogHandler struct {
	set        *logSetting
	text, json slog.Handler
}

type logSetting struct {
	level slog.LevelVar
	json  atomic.Bool
}

// NewLogHandler returns one that writes text to w, from level info on.
func NewLogHandler(w io.Writer) *LogHandler {
	h := &LogHandler{set: &logSetting{}}
	o := &slog.HandlerOptions{Level: &h.set.level}
	h.text, h.json = slog.NewTextHandler(w, o), slog.NewJSONHandler(w, o)
	return h
}

func (h *LogHandler) apply(c LogSet) {
	_ = h.set.level.UnmarshalText([]byte(c.Level)) // it was checked
	h.set.json.Store(c.Format == "json")
}

func (h *LogHandler) now() slog.Handler {
	if h.set.json.Load() {
		return h.json
	}
	return h.text
}

// Enabled implements slog.Handler.
func (h *LogHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.now().Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h *LogHandler) Handle(ctx context.Context, r slog.Record) error { return h.now().Handle(ctx, r) }

// WithAttrs implements slog.Handler.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &LogHandler{h.set, h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	return &LogHandler{h.set, h.text.WithGroup(name), h.json.WithGroup(name)}
}
