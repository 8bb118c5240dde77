package parse

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
)

// arrival is when the samples arrive.
var arrival = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixNano()

// TestSamples reads every sample of every parser as it would come in, and checks
// the fields that stand beside it.
func TestSamples(t *testing.T) {
	for _, c := range contents() {
		if len(c.Samples) < 2 {
			t.Errorf("%s has %d samples, want two at least", c.Name, len(c.Samples))
		}
		for _, sample := range c.Samples {
			p := New(Options{})
			var e event.Event
			got := p.ParseExplain(&Record{Raw: sample.Line, Arrived: arrival, Peer: "192.0.2.1"}, &e)
			checkInvariants(t, sample.Line, &e)
			for _, want := range sample.Fields {
				name, value, _ := strings.Cut(want, "=")
				if !hasValue(&e, name, value) {
					t.Errorf("%s: %q\n  %s is %q, want %q\n  header %s, parser %s: %s", c.Name, sample.Line, name, e.Get(name), value, got.Header, got.Parser, got.Why)
				}
			}
		}
	}
}

// TestOrdinaryWords: lines that begin as an appliance's might are left to be text.
func TestOrdinaryWords(t *testing.T) {
	for _, line := range []string{
		"Mar  4 05:06:07 web1 events processed=5 failed=0",
		"Mar  4 05:06:07 web1 12345 worker: done in 5 s",
		"12345 worker: done",
		"Mar  4 05:06:07 web1 app[12]: Info: the disk is full",
		"app: Error: no such file",
		"<13>Mar  4 05:06:07 web1 app: Warning: the disk is full",
		"system, info and all the rest",
		"Mar  4 05:06:07 web1 worker: loaded 50 %A-1 plans",
		"1,2026/03/04 05:06:07,not,a log of PAN-OS,at,all,1,2,3",
		"Mar  4 05:06:07 web1 core: started",
		"[action: none] id=\"7\" severity",
		"All 4 1 0 are well",
	} {
		var e event.Event
		New(Options{}).Parse(&Record{Raw: line, Arrived: arrival, Peer: "192.0.2.1"}, &e)
		if vendor := e.Get(event.Vendor); vendor != "" {
			t.Errorf("%s: taken for %s %s", line, vendor, e.Get(event.Source))
		}
	}
}

// TestServerOfFile: lines that many servers write alike are those of the server whose
// file they were read from.
func TestServerOfFile(t *testing.T) {
	const line = `203.0.113.9 - - [10/Oct/2025:13:55:36 +0200] "GET / HTTP/1.1" 404 162 "-" "curl/7.58.0"`
	for path, want := range map[string]string{"": "nginx", "/var/log/nginx/access.log": "nginx", "/var/log/apache2/access.log": "apache", "/var/log/httpd/access_log": "apache", "/var/log/caddy/a.log": "caddy", "/var/log/lighttpd/access.log": "lighttpd", "/var/log/nginx/httpd.example.com.log": "nginx", "/var/log/nginx/caddy-proxy.access.log": "nginx"} {
		var e event.Event
		New(Options{}).Parse(&Record{Raw: line, Arrived: arrival, Stream: path}, &e)
		if source, program, dataset := e.Get(event.Source), e.Get(event.Program), e.Get(event.Dataset); source != want || program != want || dataset != want+".access" {
			t.Errorf("%s: source %s, program %s, dataset %s", path, source, program, dataset)
		}
	}
}

// TestPaddedLogonProcess: Windows pads the name, rules do not.
func TestPaddedLogonProcess(t *testing.T) {
	for _, raw := range []string{
		`{"Channel":"Security","EventID":4624,"SourceName":"Microsoft-Windows-Security-Auditing","Hostname":"a","LogonProcessName":"Advapi  ","LogonType":"3"}`,
		`<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>4624</EventID><Channel>Security</Channel><Computer>a</Computer></System><EventData><Data Name='LogonProcessName'>Advapi  </Data></EventData></Event>`,
	} {
		var e event.Event
		New(Options{}).Parse(&Record{Raw: raw, Arrived: arrival}, &e)
		if got := e.Get("LogonProcessName"); got != "Advapi" {
			t.Errorf("%.30s…: %q", raw, got)
		}
	}
}

// TestProductHints: a sender's word for the product stands where the record does
// not show what it is, and gives way where it does.
func TestProductHints(t *testing.T) {
	for _, c := range []struct{ hint, line, source string }{
		{"github", `{"action":"opened","repository":{"full_name":"a/b"}}`, "github"},
		{"github", `{"actor":"cat","action":"repo.create","org":"o"}`, "github_audit"},
		{"azure_auditlogs", `{"x":1}`, "azure_auditlogs"},
		{"azure_auditlogs", `{"userPrincipalName":"bob","clientAppUsed":"Browser","status":{"errorCode":0}}`, "azure_signinlogs"},
		{"aws_guardduty", `{"eventSource":"s3.amazonaws.com","eventName":"GetObject"}`, "aws_cloudtrail"},
		{"postgresql", `no line of a server`, "postgresql"},
		{"mariadb", `2026-03-04  5:06:07 13 [Note] Access denied for user 'a'@'10.0.0.1' (using password: YES)`, "mariadb"},
	} {
		var e event.Event
		New(Options{}).Parse(&Record{Raw: c.line, Arrived: arrival, Source: c.hint}, &e)
		if got := e.Get(event.Source); got != c.source {
			t.Errorf("hint %s, %s: source %s, want %s", c.hint, c.line, got, c.source)
		}
	}
}

func hasValue(e *event.Event, name, value string) bool {
	found := false
	for _, f := range e.Fields {
		if f.Name == name {
			if f.Value == value {
				return true
			}
			found = true
		}
	}
	return !found && value == ""
}

// checkInvariants checks what holds for every event that Parse gives.
func checkInvariants(t *testing.T, raw string, e *event.Event) {
	t.Helper()
	if e.Raw != raw {
		t.Fatalf("raw is %q, want %q", e.Raw, raw)
	}
	seen := map[string]int{}
	for _, f := range e.Fields {
		seen[f.Name]++
		if f.Name == "" || !utf8.ValidString(f.Name) || !utf8.ValidString(f.Value) || strings.IndexByte(f.Value, 0) >= 0 {
			t.Fatalf("%q: field %q=%q is not clean text", raw, f.Name, f.Value)
		}
		if event.Numeric(f.Name) {
			if v, ok := canonicalInt(f.Value); !ok || v != f.Value {
				t.Fatalf("%q: numeric %s is %q", raw, f.Name, f.Value)
			}
		}
		if event.Address(f.Name) {
			if a, ok := address(f.Value); !ok || a != f.Value {
				t.Fatalf("%q: address %s is %q", raw, f.Name, f.Value)
			}
		}
	}
	for _, name := range []string{event.Source, event.Severity, event.Message, event.TimeQuality} {
		if seen[name] != 1 {
			t.Fatalf("%q: %s occurs %d times in %v", raw, name, seen[name], e.Fields)
		}
	}
	for _, name := range []string{event.Host, event.Program, event.PID, event.Dataset, event.Category, event.Action, event.Outcome} {
		if seen[name] > 1 {
			t.Fatalf("%q: %s occurs %d times in %v", raw, name, seen[name], e.Fields)
		}
	}
	if e.Get(event.Source) == "" || event.SeverityRank(e.Get(event.Severity)) == 0 {
		t.Fatalf("%q: source %q, severity %q", raw, e.Get(event.Source), e.Get(event.Severity))
	}
	for _, name := range []string{event.Timestamp, event.IngestTime, event.EventID, event.RawText} {
		if seen[name] != 0 {
			t.Fatalf("%q: %s is a field", raw, name)
		}
	}
}
