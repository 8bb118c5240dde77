package collector

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestLogHasTheFormOfTheSettings(t *testing.T) {
	var out strings.Builder
	h := NewLogHandler(&out)
	log := slog.New(h).With("a", 1)
	log.Info("one")
	log.Debug("hidden")
	h.apply(LogSet{Level: "debug", Format: "json"})
	log.WithGroup("g").Debug("two", "b", 2)
	h.apply(LogSet{Level: "warn", Format: "text"})
	log.Info("hidden")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var got struct {
		Msg string
		A   int
		G   struct{ B int }
	}
	if len(lines) != 2 || !strings.Contains(lines[0], "msg=one a=1") || json.Unmarshal([]byte(lines[1]), &got) != nil {
		t.Fatalf("%q", lines)
	}
	if got.Msg != "two" || got.A != 1 || got.G.B != 2 {
		t.Errorf("%+v", got)
	}
}
