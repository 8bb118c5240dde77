package framing

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shared returns a path in the folder of samples beside the repository.
func shared(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	full := filepath.Join(dir, "..", "shared", path)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("no samples: %v", err)
	}
	return full
}

// What rsyslog and syslog-ng really sent, in each of their framings.
func TestSyslogCaptures(t *testing.T) {
	for _, name := range []string{"cap_rsyslog.jsonl", "cap_sng.jsonl"} {
		f, err := os.Open(shared(t, "data/captures/"+name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 16<<20)
		streams := 0
		for lines.Scan() {
			var capture struct {
				T    string
				Port int
				Data string
			}
			if err := json.Unmarshal(lines.Bytes(), &capture); err != nil {
				t.Fatal(err)
			}
			// Where the recorder replaced bytes, counts cannot be right any more.
			if capture.T != "tcp" || capture.Data == "" || strings.Contains(capture.Data, "\ufffd") {
				continue
			}
			streams++
			// A capture ends where it was cut off: only its last message may be torn.
			messages, s := cutStream([]byte(capture.Data), 1000)
			for i, m := range messages {
				if !strings.HasPrefix(m, "<") || strings.Contains(m, "\n") || strings.HasSuffix(m, "\r") {
					t.Errorf("%s port %d: message %d of %d is %q", name, capture.Port, i, len(messages), m)
				}
			}
			if want := strings.Count(capture.Data, "<86>") + strings.Count(capture.Data, "<13>"); len(messages) != want {
				t.Errorf("%s port %d: %d messages, want %d", name, capture.Port, len(messages), want)
			}
			if s.Resyncs() > 1 {
				t.Errorf("%s port %d: %d resyncs", name, capture.Port, s.Resyncs())
			}
		}
		if streams == 0 {
			t.Errorf("%s: no TCP stream", name)
		}
	}
}

func TestReaderRealFiles(t *testing.T) {
	for _, name := range []string{"OpenSSH_2k.log", "Linux_2k.log", "Apache_2k.log"} {
		data, err := os.ReadFile(shared(t, "data/loghub/"+name))
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for line := range bytes.Lines(data) {
			if len(bytes.TrimSpace(line)) > 0 {
				want++
			}
		}
		got, err := readAll(bytes.NewReader(data))
		if err != nil || len(got) != want || strings.HasPrefix(got[0], "!") {
			t.Errorf("%s: %d records, want %d, %v", name, len(got), want, err)
		}
	}
}
