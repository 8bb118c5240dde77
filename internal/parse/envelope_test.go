package parse

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// TestEnvelopes: one failed login, as each collector wraps it, is one event.
func TestEnvelopes(t *testing.T) {
	const text = "Failed password for invalid user eve from 203.0.113.9 port 40022 ssh2"
	login := []string{
		"source=sshd", "category=authentication", "action=login", "outcome=failure", "user=eve", "src_ip=203.0.113.9", "src_port=40022",
		"host=web1", "program=sshd", "message=" + text,
	}
	for _, c := range []struct {
		name, line string
		fields     []string
		time       string // "" is 2026-03-04T05:06:07Z
	}{
		{
			"Beats", `{"@timestamp":"2026-03-04T05:06:09.1Z","message":"Mar  4 05:06:07 web1 sshd[42]: ` + text + `","host":{"name":"agent7"},"event":{"module":"system","dataset":"system.auth"},"fileset":{"name":"auth"},"log":{"file":{"path":"/var/log/auth.log"},"offset":7},"input":{"type":"log"},"agent":{"type":"filebeat","hostname":"agent7"}}`,
			[]string{"pid=42", "log.file.path=/var/log/auth.log", "dataset=system.auth", "agent.type=filebeat"},
			"",
		},
		{
			"Beats of journald", `{"@timestamp":"2026-03-04T05:06:07Z","message":"` + text + `","host":{"name":"web1"},"process":{"name":"sshd","pid":42},"log":{"syslog":{"appname":"sshd","priority":6}},"event":{"kind":"event"}}`,
			[]string{"pid=42", "event.kind=event"},
			"",
		},
		{"rsyslog", `{"@timestamp":"2026-03-04T05:06:07+00:00", "host":"web1", "program":"sshd", "message":"` + text + `\r"}`, nil, ""},
		{
			"syslog-ng", `{"PROGRAM":"sshd","PRIORITY":"notice","MESSAGE":"` + text + `","ISODATE":"2026-03-04T05:06:07+00:00","HOST":"web1","FACILITY":"auth","DATE":"Mar 4 05:06:07"}`,
			[]string{"level=notice", "FACILITY=auth"},
			"",
		},
		{
			"HEC", `{"time":1772600768.5,"host":"hf1","source":"/var/log/secure","sourcetype":"linux_secure","event":"Mar  4 05:06:07 web1 sshd[42]: ` + text + `","fields":{"region":"eu"}}`,
			[]string{"pid=42", "sourcetype=linux_secure", "fields.source=/var/log/secure", "fields.region=eu"},
			"",
		},
		{
			"HEC of an object", `{"time":"1772600767","host":"web1","event":{"message":"` + text + `","program":"sshd","severity":"info"}}`,
			[]string{"event.program=sshd"},
			"",
		},
		{
			"Loki", `{"timestamp":"1772600767000000000","line":"` + text + `","labels":{"host":"web1","job":"sshd","level":"warn"}}`,
			[]string{"labels.job=sshd", "level=warn"},
			"",
		},
		{
			"OTLP", `{"timeUnixNano":"1772600767000000000","severityText":"WARN","body":"` + text + `","attributes":{"service.name":"sshd","enduser.id":"x"},"resource":{"host.name":"web1","service.name":"unknown_service:node"}}`,
			[]string{"level=WARN", "attributes.enduser.id=x"},
			"",
		},
		{
			"GELF", `{"version":"1.1","host":"web1","short_message":"` + text + `","full_message":"more","timestamp":1772600767.25,"level":4,"_program":"sshd","_src_port":"1"}`,
			[]string{"level=warning", "full_message=more"},
			"",
		},
		{
			"journald", `{"__REALTIME_TIMESTAMP":"1772600767000000","_HOSTNAME":"web1","SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd-session","_PID":"42","PRIORITY":"4","MESSAGE":"` + text + `","_UID":"0"}`,
			[]string{"pid=42", "level=warning", "_UID=0"},
			"",
		},
		{"journald without identifier", `{"_COMM":"sshd","__REALTIME_TIMESTAMP":"1772600767000000","_HOSTNAME":"web1","MESSAGE":[` + numbersOf(text) + `]}`, nil, ""},
		{
			"Fluent Bit", `{"date":1772600768.1,"log":"<38>Mar  4 05:06:07 web1 sshd[42]: ` + text + `\n","stream":"stderr","kubernetes":{"pod_name":"p","container_name":"rsyslog","host":"node3"}}`,
			[]string{"kubernetes.host=node3", "stream=stderr", "syslog_facility=4"},
			"",
		},
		{"Docker", `{"log":"Mar  4 05:06:07 web1 sshd[42]: ` + text + `\n","stream":"stdout","time":"2026-03-04T05:06:08.5Z"}`, []string{"stream=stdout"}, ""},
		{"CRI", `2026-03-04T05:06:08.123456789Z stderr F Mar  4 05:06:07 web1 sshd[42]: ` + text, []string{"stream=stderr", "logtag=F"}, ""},
		{
			"CRI in Loki", `{"timestamp":"2026-03-04T05:06:09Z","line":"2026-03-04T05:06:08.123456789Z stdout F {\"host\":\"web1\",\"program\":\"sshd\",\"message\":\"` + text + `\",\"time\":\"2026-03-04T05:06:07Z\"}","labels":{"namespace":"x"}}`,
			[]string{"labels.namespace=x"},
			"",
		},
		{"JSON in JSON", `{"log":"{\"message\":\"` + text + `\",\"program\":\"sshd\",\"k\":\"v\"}\n","kubernetes":{"host":"web1"},"time":"2026-03-04T05:06:07Z"}`, []string{"k=v"}, ""},
	} {
		var e event.Event
		how := New(Options{}).ParseExplain(&Record{Raw: c.line, Arrived: arrival, Peer: "192.0.2.1"}, &e)
		checkInvariants(t, c.line, &e)
		for _, want := range append(slices.Clip(login), c.fields...) {
			name, value, _ := strings.Cut(want, "=")
			if !hasValue(&e, name, value) {
				t.Errorf("%s: %s is %q, want %q (%v)\n  %s", c.name, name, e.Get(name), value, how, c.line)
			}
		}
		if got := time.Unix(0, e.Time).UTC().Format("2006-01-02T15:04:05Z"); got != "2026-03-04T05:06:07Z" {
			t.Errorf("%s: time is %s", c.name, got)
		}
	}
}

// numbersOf writes text as journald does where it is no UTF-8.
func numbersOf(text string) string {
	n := make([]int, len(text))
	for i := range len(text) {
		n[i] = int(text[i])
	}
	b, _ := json.Marshal(n)
	return strings.Trim(string(b), "[]")
}

// TestEnvelopeOfProduct: what a product writes keeps its meaning inside an
// envelope, and what merely looks like one is left alone.
func TestEnvelopeOfProduct(t *testing.T) {
	for _, c := range []struct {
		line   string
		fields []string
	}{
		{
			`{"time":1772600768,"sourcetype":"aws:cloudtrail","event":{"eventTime":"2026-03-04T05:06:07Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","sourceIPAddress":"203.0.113.9","userIdentity":{"type":"IAMUser","userName":"pedro"},"responseElements":{"ConsoleLogin":"Failure"}}}`,
			[]string{"source=aws_cloudtrail", "user=pedro", "outcome=failure", "eventName=ConsoleLogin", "event.eventName=ConsoleLogin"},
		},
		{
			`{"_EventID":4625,"_Channel":"Security","version":"1.1","host":"DC1","short_message":"An account failed to log on.","_TargetUserName":"bob","_IpAddress":"10.0.0.9"}`,
			[]string{"source=windows_security", "user=bob", "src_ip=10.0.0.9", "outcome=failure", "host=DC1"},
		},
		{
			`{"timestamp":"2026-03-04T05:06:07Z","severityNumber":17,"body":{"action":"opened","message":"Failed password for root from 203.0.113.9 port 5 ssh2","program":"sshd"},"resource":{"host.name":"web1"}}`,
			[]string{"source=sshd", "host=web1", "level=error", "user=root", "src_ip=203.0.113.9", "body.program=sshd", "severityNumber=17"},
		},
		{`{"event":"login","user":"bob","line":12}`, []string{"source=json", "user=bob", "message=login", "line=12"}},
		{`{"short_message":"x","level":3}`, []string{"level=error", "severity=medium"}},
		{`{"level":3,"message":"x"}`, []string{"level=3"}},
		{`{"event":{"action":"login","category":"authentication"},"message":"{not json"}`, []string{"action=login", "message={not json"}},
		{`{"message":"x","agent":{"name":"agent7"}}`, []string{"host=agent7"}},
	} {
		var e event.Event
		New(Options{}).Parse(&Record{Raw: c.line, Arrived: arrival, Peer: "192.0.2.1"}, &e)
		checkInvariants(t, c.line, &e)
		for _, want := range c.fields {
			name, value, _ := strings.Cut(want, "=")
			if !hasValue(&e, name, value) {
				t.Errorf("%s is %q, want %q\n  %s", name, e.Get(name), value, c.line)
			}
		}
	}
}

// TestCaptures reads what real clients sent.
func TestCaptures(t *testing.T) {
	var bodies []string
	for _, name := range []string{"rsyslog", "sng", "npm"} {
		for _, line := range readLines(t, sharedData(t, "captures/cap_"+name+".jsonl")) {
			var c struct{ T, Path, Body, Data string }
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(c.Path, "_bulk") || strings.Contains(c.Path, "collector") {
				bodies = append(bodies, strings.Split(c.Body, "\n")...)
			}
			if c.T == "udp" {
				bodies = append(bodies, c.Data)
			}
		}
	}
	var records, logins int
	for _, raw := range bodies {
		if raw == "" || strings.HasPrefix(raw, `{"index":`) || strings.HasPrefix(raw, `{"create":`) {
			continue
		}
		var e event.Event
		New(Options{}).Parse(&Record{Raw: raw, Arrived: arrival, Peer: "192.0.2.1"}, &e)
		checkInvariants(t, raw, &e)
		records++
		if strings.Contains(raw, "sshd") {
			if !strings.HasPrefix(e.Get(event.Source), "sshd") && e.Get(event.Source) != "pam" || e.Get(event.TimeQuality) != "exact" {
				t.Errorf("source %s, time %s: %s", e.Get(event.Source), e.Get(event.TimeQuality), raw)
			}
		}
		if strings.Contains(raw, "Invalid user webmaster") || strings.Contains(raw, "Failed password") {
			if e.Get(event.SrcIP) != "173.234.31.186" || e.Get(event.User) != "webmaster" || e.Get(event.Host) != "vm" {
				t.Errorf("%q of %s", e.Fields, raw)
			}
			logins++
		}
	}
	if records < 24 || logins < 6 {
		t.Errorf("%d records, %d logins", records, logins)
	}
}
