package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestDefaultIsValidAndRoundTrips(t *testing.T) {
	cfg := Default()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(file(t, string(text)), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	got.EventStore.Nodes, got.WebhookAllow, got.Webhooks.Allow = nil, nil, nil // empty list and no list mean the same
	if d := cmp.Diff(cfg, got); d != "" {
		t.Error(d)
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kyra.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileThenEnvironment(t *testing.T) {
	path := file(t, "listen: 0.0.0.0:9000\nqueue:\n  max_bytes: 2GiB\nretention:\n  days: 30\n")
	cfg, err := Load(path, []string{"KYRA_RETENTION_DAYS=90", "KYRA_EVENTSTORE_NODES=a:1, b:2", "KYRA_DATABASE_URL=postgres://u:secret@h/db", "KYRA_TEST_POSTGRES_URL=x", "HOME=/root"})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listen, want.Queue.MaxBytes, want.Retention.Days = "0.0.0.0:9000", 2<<30, 90
	want.EventStore.Nodes, want.Database.URL = []string{"a:1", "b:2"}, "postgres://u:secret@h/db"
	if d := cmp.Diff(want, cfg); d != "" {
		t.Error(d)
	}
	shown, err := yaml.Marshal(cfg)
	if err != nil || strings.Contains(string(shown), "secret@") {
		t.Errorf("a secret is shown: %s, %v", shown, err)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"listne: x\n", "[1:1]"},
		{"queue:\n  max_bytes: lots\n", "not a size"},
		{"queue: [1]\n", "[1:8]"},
		{"retention:\n  days: many\n", "many"},
	} {
		if _, err := Load(file(t, c.yaml), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v does not name %q", c.yaml, err, c.want)
		}
	}
	if _, err := Load("", []string{"KYRA_LISTNE=x"}); err == nil || !strings.Contains(err.Error(), "KYRA_LISTNE") {
		t.Errorf("misspelt variable: %v", err)
	}
	cfg := Default()
	cfg.Listen, cfg.Queue.Partitions, cfg.Log.Level, cfg.Syslog.TLS = "nowhere", 0, "loud", ":6514"
	cfg.Syslog.RELP, cfg.Syslog.RELPTLS, cfg.GELF.UDP, cfg.GELF.TCP = "2514", "2515", "12201", "x"
	cfg.Collectors.Listen, cfg.Collectors.Address = "443", "kyra.example"
	err := cfg.Validate()
	for _, want := range []string{"listen:", "queue.partitions:", "log.level:", "syslog.tls:", "syslog.relp:", "syslog.relp_tls:", "gelf.udp:", "gelf.tcp:", "collectors.listen:", "collectors.address:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("faults %v do not name %s", err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "17": 17, "1KiB": 1024, "2 GiB": 2 << 30, "3MB": 3e6} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "1XB", "9999999999GiB", "1.5GiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}
