package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var npmClients = []client{
	{name: "npm-elasticsearch", send: node("elasticsearch.mjs")},
	{name: "npm-loki-json", send: node("loki.mjs", "json")},
	{name: "npm-loki-protobuf", send: node("loki.mjs", "protobuf")},
	{name: "npm-splunk", form: func(l *line) { l.Program = "" }, send: node("splunk.mjs")},
	{name: "npm-otlp-http", send: node("otlp.mjs", "http")},
	{name: "npm-otlp-proto", send: node("otlp.mjs", "proto")},
	{name: "npm-otlp-grpc", send: node("otlp.mjs", "grpc")},
}

// node runs a script of testdata/npm, which reads the lines from a file and ends
// when all are acknowledged.
func node(script string, args ...string) func(*testing.T, *server, []line) {
	return func(t *testing.T, s *server, lines []line) {
		node := program(t, "node")
		if _, err := os.Stat("testdata/npm/node_modules/.package-lock.json"); err != nil {
			missing(t, "what testdata/npm/package-lock.json lists")
		}
		text, err := json.Marshal(lines)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "lines.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), node, append([]string{script, s.url, s.token, file}, args...)...) //nolint:gosec // our own script
		cmd.Dir = "testdata/npm"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %.4000s", err, out)
		}
	}
}
