package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var syslogNGClients = []client{
	{name: "syslog-ng", send: syslogNG(func(s *server) string {
		return fmt.Sprintf(`syslog("127.0.0.1" port(%s) transport("tcp"))`, port(s.tcp))
	})},
	{name: "syslog-ng-network", send: syslogNG(func(s *server) string {
		return fmt.Sprintf(`network("127.0.0.1" port(%s) transport("tcp"))`, port(s.tcp))
	})},
	{name: "syslog-ng-http", levels: &shortLevels, send: syslogNG(func(s *server) string {
		return fmt.Sprintf(`http(url("%s/_bulk") method("POST") user("kyra") password("%s") headers("Content-Type: application/x-ndjson") batch-lines(500) batch-timeout(200) delimiter("\n") body-suffix("\n")
  body("{\"index\":{\"_index\":\"syslog\"}}\n$(format-json --scope rfc5424 --exclude DATE --key ISODATE @timestamp=${ISODATE})"))`, s.url, s.token)
	})},
}

// syslogNG is syslog-ng, which reads the lines from a file.
func syslogNG(destination func(*server) string) func(*testing.T, *server, []line) {
	return func(t *testing.T, s *server, lines []line) {
		daemon, env, modules := syslogNGProgram(t)
		dir := t.TempDir()
		file := filepath.Join(dir, "lines")
		if err := os.WriteFile(file, []byte(text(lines, (*line).syslog)), 0o600); err != nil {
			t.Fatal(err)
		}
		conf := filepath.Join(dir, "syslog-ng.conf")
		config := fmt.Sprintf("@version: 3.38\n@module json-plugin\noptions { keep-hostname(yes); keep-timestamp(yes); chain-hostnames(no); ts-format(iso); frac-digits(6); time-zone(\"UTC\"); stats-freq(0); };\n"+
			"source s { file(\"%s\" follow-freq(1)); };\ndestination d { %s; };\nlog { source(s); destination(d); };\n", file, destination(s))
		if err := os.WriteFile(conf, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"-F", "-f", conf, "-R", filepath.Join(dir, "persist"), "-c", filepath.Join(dir, "ctl"), "-p", filepath.Join(dir, "pid"), "--no-caps"}
		start(t, env, daemon, append(args, modules...)...)
	}
}

// syslogNGProgram finds syslog-ng: installed, or unpacked by scripts/clients, as
// its package cannot be there together with rsyslog's.
func syslogNGProgram(t *testing.T) (daemon string, env, args []string) {
	t.Helper()
	if path, err := exec.LookPath("syslog-ng"); err == nil {
		return path, nil, nil
	}
	root, err := filepath.Abs("../../../bin/clients/syslog-ng")
	if err != nil {
		t.Fatal(err)
	}
	daemon = filepath.Join(root, "usr/sbin/syslog-ng")
	if _, err := os.Stat(daemon); err != nil {
		missing(t, "syslog-ng")
	}
	var libraries []string
	for _, pattern := range []string{"lib/*-linux-gnu", "usr/lib/*-linux-gnu", "usr/lib/syslog-ng"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		libraries = append(libraries, found...)
	}
	modules, err := filepath.Glob(filepath.Join(root, "usr/lib/syslog-ng/3.*"))
	if err != nil || len(modules) != 1 {
		t.Fatalf("modules of syslog-ng: %v %v", modules, err)
	}
	return daemon, []string{"LD_LIBRARY_PATH=" + strings.Join(libraries, ":")}, []string{"--module-path", modules[0]}
}
