package parse

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

func unzip(tb testing.TB, path string) []string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if zr, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		if data, err = io.ReadAll(zr); err != nil {
			tb.Fatal(err)
		}
	}
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n")
}

// TestRecordings: in recordings of real attacks and traffic every JSON record is
// read, has a time of its own, and is known for what it is.
func TestRecordings(t *testing.T) {
	for _, set := range []struct {
		pattern string
		sources string // any of them
	}{
		{"otrf/[cepr]*.ndjson.gz", "windows windows_security windows_sysmon windows_powershell windows_system windows_application windows_defender aws_cloudtrail"},
		{"otrf/NASHUA*conn.log.gz", "zeek"},
		{"otrf/NASHUA*dns.log.gz", "zeek"},
		{"zeek/dns.json.gz", "zeek"},
		{"zeek/notice.json.gz", "zeek"},
	} {
		files, err := filepath.Glob(filepath.Join(sharedData(t, "."), set.pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", set.pattern, len(files), err)
		}
		p := New(Options{})
		n := 0
		for _, file := range files {
			lines := unzip(t, file)
			for _, raw := range lines[:min(len(lines), 3000)] { // enough, and quick under the race detector
				var e event.Event
				p.Parse(&Record{Raw: raw, Arrived: arrival}, &e)
				checkInvariants(t, raw, &e)
				n++
				if !strings.Contains(" "+set.sources+" ", " "+e.Get(event.Source)+" ") || hasValue(&e, event.Tags, event.TagParseError) ||
					hasValue(&e, event.Tags, event.TagFieldsCut) || e.Get(event.TimeQuality) == qualityReceived {
					t.Fatalf("%s: source %q, tags %q, time %s: %.400s", filepath.Base(file), e.Get(event.Source), e.Get(event.Tags), e.Get(event.TimeQuality), raw)
				}
			}
		}
		t.Logf("%s: %d records", set.pattern, n)
	}
}

// TestJSONEqualsLibrary compares the scanner with encoding/json on every real
// record: the same records are refused, the same scalars are found.
func TestJSONEqualsLibrary(t *testing.T) {
	var lines []string
	for _, name := range []string{"cases/panther_events.jsonl", "cases/sigma_regression.jsonl", "cases/crowdsec_parse.jsonl"} {
		for _, line := range readLines(t, sharedData(t, name)) {
			lines = append(lines, line, line[:len(line)/2], line+"}", strings.Replace(line, ":", "", 1))
		}
	}
	p := New(Options{})
	for _, raw := range lines {
		var got []string
		j := jsonScanner{p: p, hear: func(_ *jsonNode, value string, kind jsonKind) {
			if kind != jsonDeep {
				got = append(got, value)
			}
		}}
		ok := j.scan(raw)
		if valid := json.Valid([]byte(raw)); ok != valid {
			t.Fatalf("scan says %v, encoding/json %v: %.300s", ok, valid, raw)
		}
		if !ok || strings.Contains(raw, `\u0000`) {
			continue
		}
		want := scalars(t, raw)
		if deep(raw) {
			continue
		}
		if strings.Join(got, "\x01") != strings.Join(want, "\x01") {
			t.Fatalf("scalars differ\n got %q\nwant %q", got, want)
		}
	}
	t.Logf("%d records", len(lines))
}

// scalars lists the values of a record in order, by the library.
func scalars(t *testing.T, raw string) []string {
	dec := json.NewDecoder(strings.NewReader(raw))
	dec.UseNumber()
	var out []string
	var value func()
	token := func() json.Token {
		tok, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	value = func() {
		switch v := token().(type) {
		case json.Delim:
			for dec.More() {
				if v == '{' {
					token()
				}
				value()
			}
			token()
		case string:
			out = append(out, v)
		case json.Number:
			out = append(out, v.String())
		case bool:
			if v {
				out = append(out, "true")
			} else {
				out = append(out, "false")
			}
		}
	}
	value()
	return out
}

// deep tells whether a record nests deeper than the scanner flattens.
func deep(raw string) bool {
	depth, most, quoted := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			most = max(most, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return most > maxDepth
}
