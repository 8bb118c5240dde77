package clients

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var hostClients = []client{
	{name: "logger-udp", form: ownHost, now: true, input: "syslog-udp", send: logger(func(s *server) []string {
		return []string{"--udp", "--rfc3164", "-P", port(s.udp)}
	})},
	{name: "logger-tcp", form: ownHost, now: true, send: logger(func(s *server) []string {
		return []string{"--tcp", "--octet-count", "--rfc5424", "-P", port(s.tcp)}
	})},
	{name: "journal-upload", send: journalUpload},
}

// ownHost is the form of clients that name their host themselves.
func ownHost(l *line) {
	name, _ := os.Hostname()
	l.Host = name
}

// logger is util-linux's, with the lines on its standard input.
func logger(where func(*server) []string) func(*testing.T, *server, []line) {
	return func(t *testing.T, s *server, lines []line) {
		args := append([]string{"-n", "127.0.0.1", "-t", lines[0].Program, "--prio-prefix"}, where(s)...)
		cmd := exec.CommandContext(t.Context(), program(t, "logger"), args...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		paced(t, in, lines, func(l *line) string { return fmt.Sprintf("<%d>%s\n", 16*8+l.Severity, l.Message) })
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
	}
}

// journalUpload makes a journal of the lines and lets systemd-journal-upload send
// it.
func journalUpload(t *testing.T, s *server, lines []line) {
	remote, upload := program(t, "systemd-journal-remote"), program(t, "systemd-journal-upload")
	dir := t.TempDir()
	journal := filepath.Join(dir, "test.journal")
	make := exec.CommandContext(t.Context(), remote, "-o", journal, "-")
	make.Stdin = io.MultiReader(strings.NewReader(text(lines, func(l *line) string {
		return fmt.Sprintf("__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=8d2f3f0e7f0c4c0f8d4d2b1f1c7f2a11\n_MACHINE_ID=0b5ff0c5d0e94a54a1f4a3a4a1d0b7c2\nPRIORITY=%d\n_HOSTNAME=%s\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n\n",
			l.Time.UnixMicro(), l.Time.Sub(lines[0].Time)/time.Microsecond+1, l.Severity, l.Host, l.Program, l.Message)
	})))
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("make a journal: %v: %s", err, out)
	}
	url := strings.Replace(s.url, "http://", "http://kyra:"+s.token+"@", 1)
	if err := start(t, nil, upload, "--follow=no", "--url", url, "--file", journal, "--save-state="+filepath.Join(dir, "state"))(); err != nil {
		t.Fatal(err)
	}
}
