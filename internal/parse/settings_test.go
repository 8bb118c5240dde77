package parse

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	seoul := time.FixedZone("+09:00", 9*3600)
	sshd := "<38>Nov 25 15:55:48 web1 sshd[24200]: Failed password for root from 203.0.113.9 port 22 ssh2"
	for _, c := range []struct {
		name, line string
		setting    Setting
		want       []string
		not        bool // the setting must not hold
	}{
		{"zone by host", sshd, Setting{Match: Match{Host: "WEB*"}, Zone: seoul}, []string{"timestamp=2026-11-25T06:55:48Z", "user=root", "time_quality=year_assumed"}, false},
		{"zone by source", sshd, Setting{Match: Match{Source: "sshd"}, Zone: seoul}, []string{"timestamp=2026-11-25T06:55:48Z"}, false},
		{"zone of another host", sshd, Setting{Match: Match{Host: "db*"}, Zone: seoul}, []string{"timestamp=2026-11-25T15:55:48Z"}, true},
		{"a time with a zone stays", "<38>1 2026-11-25T06:55:48Z web1 sshd 1 - - Accepted password for a from 1.2.3.4 port 5 ssh2", Setting{Zone: seoul}, []string{"timestamp=2026-11-25T06:55:48Z", "time_quality=exact"}, false},
		{"zone inside JSON", `{"host":"h","time":"2026-11-25 15:55:48","message":"x"}`, Setting{Match: Match{Host: "h"}, Zone: seoul}, []string{"timestamp=2026-11-25T06:55:48Z", "time_quality=tz_assumed"}, false},
		{"parser", "<38>Nov 25 06:55:48 web1 odd: 203.0.113.9 - bob [25/Nov/2026:06:55:36 +0000] \"GET /a HTTP/1.1\" 404 1 \"-\" \"-\"", Setting{Match: Match{Program: "odd"}, Parser: "nginx"}, []string{"parser=nginx", "http_status=404", "user=bob"}, false},
		{"format", "<38>Nov 25 06:55:48 web1 app: user=bob a=b c=d", Setting{Match: Match{Program: "app"}, Format: "kv"}, []string{"parser=kv", "user=bob"}, false},
		{"plain", `<38>Nov 25 06:55:48 web1 app: {"user":"bob"}`, Setting{Match: Match{Program: "app"}, Format: "plain"}, []string{"parser=text", "user=", `message={"user":"bob"}`, "host=web1"}, false},
		{"a format that it breaks", "<38>Nov 25 06:55:48 web1 app: hello", Setting{Match: Match{Program: "app"}, Format: "json"}, []string{"tags=parse_error", "message=hello"}, false},
		{"envelope", `{"log":"203.0.113.9 - - [25/Nov/2026:06:55:36 +0000] \"GET /a HTTP/1.1\" 404 1 \"-\" \"-\"","stream":"stdout","time":"2026-11-25T06:55:48Z"}`, Setting{Match: Match{Input: "http"}, Parser: "apache"}, []string{"http_status=404", "tags="}, false},
		{
			"aliases", `{"who":"bob","from":"::ffff:10.0.0.9","port":"0443","sev":"WARNING","when":"2026-11-25 15:00:00"}`,
			Setting{Zone: seoul, Aliases: []Alias{{"who", event.User}, {"from", event.SrcIP}, {"port", event.SrcPort}, {"sev", event.Severity}, {"when", event.Timestamp}}},
			[]string{"user=bob", "src_ip=10.0.0.9", "src_port=443", "severity=low", "timestamp=2026-11-25T06:00:00Z", "who=bob"},
			false,
		},
		{"aliases of what is no number", `{"port":"high","addr":"nowhere"}`, Setting{Aliases: []Alias{{"port", event.SrcPort}, {"addr", event.SrcIP}}}, []string{"src_port=", "src_ip="}, false},
		{"host", sshd, Setting{Host: "gate"}, []string{"host=gate"}, false},
		{"host pattern", "<38>Nov 25 06:55:48 relay app: node=n17 up", Setting{HostIn: regexp.MustCompile(`node=(\S+)`)}, []string{"host=n17"}, false},
		{"host pattern that fails", sshd, Setting{HostIn: regexp.MustCompile(`node=(\S+)`)}, []string{"host=web1"}, false},
		{"program", "<38>Nov 25 06:55:48 web1 Failed password for root from 203.0.113.9 port 22 ssh2", Setting{Program: "sshd"}, []string{"program=sshd", "user=root", "parser=sshd"}, false},
		{"program pattern", "<38>Nov 25 06:55:48 web1 - [svc:sshd] x", Setting{ProgramIn: regexp.MustCompile(`\[svc:(\w+)\]`)}, []string{"program=sshd"}, false},
		{"name", sshd, Setting{Match: Match{Key: "k1"}, NewName: "bastion"}, []string{"source=bastion", "user=root"}, false},
		{"another key", sshd, Setting{Match: Match{Key: "k2"}, NewName: "bastion"}, []string{"source=sshd"}, true},
	} {
		p := New(Options{})
		var e event.Event
		c.setting.ID = "s"
		for range 2 { // what is remembered from the first time changes nothing
			x := p.ParseExplain(&Record{Raw: c.line, Arrived: arrival, Input: "http", Key: "k1", Settings: NewSettings([]Setting{c.setting})}, &e)
			for _, w := range c.want {
				name, value, _ := strings.Cut(w, "=")
				got := e.Get(name)
				switch name {
				case "timestamp":
					got = time.Unix(0, e.Time).UTC().Format(time.RFC3339)
				case "parser":
					got = x.Parser
				}
				if got != value {
					t.Errorf("%s: %s is %q, want %q", c.name, name, got, value)
				}
			}
			if (len(x.Settings) == 0) != c.not {
				t.Errorf("%s: settings applied: %v", c.name, x.Settings)
			}
		}
	}
}

func TestTheFirstSettingDecides(t *testing.T) {
	t.Parallel()
	s := NewSettings([]Setting{
		{ID: "1", Match: Match{Host: "web1"}, Host: "a", Aliases: []Alias{{"n", event.User}}},
		{ID: "2", Host: "b", NewName: "two", Aliases: []Alias{{"m", event.User}, {"m", event.Group}}},
	})
	p := New(Options{})
	var e event.Event
	x := p.ParseExplain(&Record{Raw: `{"host":"web1","n":"bob","m":"eve"}`, Arrived: arrival, Settings: s}, &e)
	if e.Get("host") != "a" || e.Get("source") != "two" || e.Get("user") != "bob" || e.Get("group") != "eve" || len(x.Settings) != 2 {
		t.Errorf("got %v by %v", e.Fields, x.Settings)
	}
}

// TestRereadingCountsOnce: a record that settings have read anew repeats what came
// before it, not itself.
func TestRereadingCountsOnce(t *testing.T) {
	t.Parallel()
	s := NewSettings([]Setting{{Zone: time.FixedZone("", 3600), Match: Match{Host: "web1"}, Parser: "sshd"}})
	p := New(Options{})
	var e event.Event
	for _, raw := range []string{"<38>Nov 25 06:55:48 web1 sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2", "<38>Nov 25 06:55:50 web1 last message repeated 3 times"} {
		p.Parse(&Record{Raw: raw, Arrived: arrival, Settings: s}, &e)
	}
	if e.Get("count") != "3" || e.Get("user") != "root" {
		t.Errorf("the repetition is %v", e.Fields)
	}
}

func TestWildcard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{{"", "", true}, {"*", "", true}, {"web?", "WEB1", true}, {"web?", "web", false}, {"*a*b", "xaxb", true}, {"*a*b", "xbxa", false}, {"a*", "ba", false}, {"A", "a", true}} {
		if wildcard(c.pattern, c.s) != c.want {
			t.Errorf("wildcard(%q, %q) = %v", c.pattern, c.s, !c.want)
		}
	}
}

func checkSettings(t *testing.T, raw, format, parser, pattern, re string) {
	t.Helper()
	exp, err := regexp.Compile(re)
	if err != nil || len(re) > 64 || len(pattern) > 64 {
		return
	}
	s := NewSettings([]Setting{
		{ID: "1", Match: Match{Host: pattern}, HostIn: exp, ProgramIn: exp, Format: format, Zone: time.FixedZone("", 3600)},
		{ID: "2", Match: Match{Program: pattern}, Parser: parser, Aliases: []Alias{{"a", event.SrcIP}, {"message", event.Timestamp}, {"host", event.Count}}},
	})
	p := New(Options{})
	var e event.Event
	p.Parse(&Record{Raw: raw, Arrived: arrival, Settings: s}, &e)
	if e.Raw != raw || len(e.Fields) < 4 {
		t.Errorf("event of %q is %v", raw, e.Fields)
	}
}

func BenchmarkSettings(b *testing.B) {
	line := speedLines[0].line
	for _, c := range []struct {
		name string
		set  *Settings
	}{
		{"none", nil},
		{"of another host", NewSettings([]Setting{{Match: Match{Host: "db*"}, Zone: time.FixedZone("", 3600)}})},
		{"alias", NewSettings([]Setting{{Match: Match{Host: "web*"}, Aliases: []Alias{{"user", event.TargetUser}}}})},
		{"zone", NewSettings([]Setting{{Match: Match{Host: "web*"}, Zone: time.FixedZone("", 3600)}})},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := New(Options{})
			var e event.Event
			r := Record{Raw: line, Arrived: arrival, Peer: "192.0.2.1", Settings: c.set}
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(&r, &e)
			}
		})
	}
}
