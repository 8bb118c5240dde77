package parse

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// sharedData returns the folder of real logs beside the repository, or skips.
func sharedData(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			tb.Fatal("no go.mod above the package")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("real logs are not here: %v", err)
	}
	return path
}

func readLines(tb testing.TB, path string) []string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var lines []string
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		lines = append(lines, in.Text())
	}
	if err := in.Err(); err != nil {
		tb.Fatal(err)
	}
	return lines
}

func readTable(tb testing.TB, path string) []map[string]string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.LazyQuotes = true
	rows, err := r.ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	table := make([]map[string]string, 0, len(rows)-1)
	for _, row := range rows[1:] {
		m := make(map[string]string, len(row))
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		table = append(table, m)
	}
	return table
}

// TestLoghub compares 6,000 real lines with their published split into time,
// host, program, process number and text.
func TestLoghub(t *testing.T) {
	for _, set := range []struct {
		name   string
		layout string
		time   func(m map[string]string) string
		host   string // column, "" for none
	}{
		{"OpenSSH", "Jan 2 15:04:05", func(m map[string]string) string { return m["Date"] + " " + m["Day"] + " " + m["Time"] }, "Component"},
		{"Linux", "Jan 2 15:04:05", func(m map[string]string) string { return m["Month"] + " " + m["Date"] + " " + m["Time"] }, "Level"},
		{"Apache", "Mon Jan 02 15:04:05 2006", func(m map[string]string) string { return m["Time"] }, ""},
	} {
		t.Run(set.name, func(t *testing.T) {
			lines := readLines(t, sharedData(t, "loghub/"+set.name+"_2k.log"))
			table := readTable(t, sharedData(t, "loghub/"+set.name+"_2k.log_structured.csv"))
			if len(lines) != 2000 || len(table) != len(lines) {
				t.Fatalf("%d lines, %d rows", len(lines), len(table))
			}
			p := New(Options{})
			wrong := 0
			check := func(i int, what, got, want string) {
				if got == want {
					return
				}
				if wrong++; wrong <= 20 {
					t.Errorf("line %d %q\n  %s is %q, want %q", i+1, lines[i], what, got, want)
				}
			}
			for i, raw := range lines {
				m := table[i]
				var e event.Event
				p.Parse(&Record{Raw: raw, Arrived: arrival, Peer: "192.0.2.1"}, &e)
				checkInvariants(t, raw, &e)
				when, err := time.Parse(set.layout, set.time(m))
				if err != nil {
					t.Fatal(err)
				}
				layout := strings.TrimSuffix(set.layout, " 2006")
				check(i, "time", time.Unix(0, e.Time).UTC().Format(layout), when.Format(layout))
				text := strings.TrimSpace(e.Get(event.Message))
				if e.Get(event.Count) == "" || !strings.Contains(m["Content"], "repeated") {
					check(i, "message", text, strings.TrimSpace(m["Content"]))
				}
				if set.host != "" {
					check(i, "host", e.Get(event.Host), m[set.host])
				}
				pid := m["PID"] + m["Pid"]
				check(i, "pid", e.Get(event.PID), pid)
				switch set.name {
				case "OpenSSH":
					check(i, "source", e.Get(event.Source), "sshd")
					check(i, "program", e.Get(event.Program), "sshd")
				case "Linux":
					program, _, _ := strings.Cut(m["Component"], "(")
					check(i, "program", e.Get(event.Program), loghubProgram(program))
				case "Apache":
					check(i, "source", e.Get(event.Source), "apache")
					check(i, "level", e.Get(event.Level), m["Level"])
				}
			}
			if wrong > 20 {
				t.Errorf("%d differences in all", wrong)
			}
		})
	}
}

// loghubProgram takes versions and command lines off what the set calls component.
func loghubProgram(s string) string {
	switch {
	case strings.HasPrefix(s, "syslogd "):
		return "syslogd"
	case strings.HasPrefix(s, "-- "): // login(1) overwrites its name so
		return "login"
	}
	return s
}
