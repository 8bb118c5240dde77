package parse

import (
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// headerCases: the shapes in which syslog headers arrive. time "" is arrival.
var headerCases = []struct {
	line, time, quality, host, program, pid, message string
}{
	{"<86>Nov 23 08:16:36 vm sshd[42]: hello", "2026-11-23T08:16:36Z", "year_assumed", "vm", "sshd", "42", "hello"},
	{"<86>2026-11-23T08:16:36.084516+00:00 vm sshd[42]: hello\r", "2026-11-23T08:16:36.084516Z", "exact", "vm", "sshd", "42", "hello"},
	{"<86>1 2026-11-23T08:16:36.084516+02:00 vm sshd 42 - - hello\r\n", "2026-11-23T06:16:36.084516Z", "exact", "vm", "sshd", "42", "hello"},
	{"<13>1 2026-11-23T08:18:41+00:00 vm sshd - - [meta sequenceId=\"1\"] hello\n", "2026-11-23T08:18:41Z", "exact", "vm", "sshd", "", "hello"},
	{"<13>1 - - - - - - \uFEFFhello", "", "received", "192.0.2.1", "", "", "hello"},
	{"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.9 myproc 8710 - - %% It's time", "2003-08-24T12:14:15.000003Z", "exact", "192.0.2.9", "myproc", "8710", "%% It's time"},
	{"Dec 10 06:55:46 LabSZ foo[24200]: hello", "2025-12-10T06:55:46Z", "year_assumed", "LabSZ", "foo", "24200", "hello"},
	{"Nov 26 08:00:00 h foo: up to a day ahead", "2026-11-26T08:00:00Z", "year_assumed", "h", "foo", "", "up to a day ahead"},
	{"Nov 27 08:00:00 h foo: more than a day ahead", "2025-11-27T08:00:00Z", "year_assumed", "h", "foo", "", "more than a day ahead"},
	{"Feb 29 08:00:00 h foo: leap", "2024-02-29T08:00:00Z", "year_assumed", "h", "foo", "", "leap"},
	{"<134> Mar  4 05:06:07 acme-fw01 app: Info: x", "2026-03-04T05:06:07Z", "year_assumed", "acme-fw01", "app", "", "Info: x"},
	{"<134>:Mar  4 05:06:07 UTC: %ASA-6-302013: Built", "2026-03-04T05:06:07Z", "year_assumed", "192.0.2.1", "", "", "%ASA-6-302013: Built"},
	{"<134>Mar 7 2008 19:06:53: %ASA-6-302013: Built", "2008-03-07T19:06:53Z", "tz_assumed", "192.0.2.1", "", "", "%ASA-6-302013: Built"},
	{"<189>6705: Feb 17 13:40:03.673: %SYS-5-CONFIG_I: Configured", "2026-02-17T13:40:03.673Z", "year_assumed", "192.0.2.1", "", "", "%SYS-5-CONFIG_I: Configured"},
	{"<189>45: *Mar  1 18:46:11.000 UTC: %SYS-5-CONFIG_I: Configured", "2026-03-01T18:46:11Z", "year_assumed", "192.0.2.1", "", "", "%SYS-5-CONFIG_I: Configured"},
	{"AUG 10 22:18:24 2009 h foo: x", "2009-08-10T22:18:24Z", "tz_assumed", "h", "foo", "", "x"},
	{"<189>Mar  4 05:06:07 EST: %ASA-6-302013: Built", "2026-03-04T05:06:07Z", "year_assumed", "192.0.2.1", "", "", "%ASA-6-302013: Built"},
	{"<134>1 1772600767.25 MX84 flows src=1.2.3.4", "2026-03-04T05:06:07.25Z", "exact", "MX84", "", "", "flows src=1.2.3.4"},
	{"<134>Mar  4 05:06:08 relay Mar  4 05:06:07 fw01 foo: x", "2026-03-04T05:06:07Z", "year_assumed", "fw01", "foo", "", "x"},
	{"[2023-06-30 15:17:45,544] [INFO] [x] hello", "2023-06-30T15:17:45.544Z", "tz_assumed", "192.0.2.1", "", "", "[2023-06-30 15:17:45,544] [INFO] [x] hello"},
	{"<13>Feb 17 13:40:03 -- MARK --", "2026-02-17T13:40:03Z", "year_assumed", "192.0.2.1", "", "", "-- MARK --"},
	{"Feb 17 13:40:03 web -- MARK --", "2026-02-17T13:40:03Z", "year_assumed", "web", "", "", "-- MARK --"},
	{"<134> Mar  4 05:06:07 app: Info: no host", "2026-03-04T05:06:07Z", "year_assumed", "192.0.2.1", "app", "", "Info: no host"},
	{"<14>Mar  4 05:06:07 kernel[0]: no host", "2026-03-04T05:06:07Z", "year_assumed", "192.0.2.1", "kernel", "0", "no host"},
	{"<38>Mar  4 05:06:07 web [sshd]: Server listening on :: port 22.", "2026-03-04T05:06:07Z", "year_assumed", "web", "sshd", "", "Server listening on :: port 22."},
	{"Jun 14 15:16:01 combo ftpd(pam_other)[19939]: x", "2026-06-14T15:16:01Z", "year_assumed", "combo", "ftpd", "19939", "x"},
	{"May 11 04:02:33 host1 postfix/smtpd[26897]: warning: x", "2026-05-11T04:02:33Z", "year_assumed", "host1", "postfix/smtpd", "26897", "warning: x"},
	{"May 11 04:02:33 host1 /usr/sbin/foo[26]: x", "2026-05-11T04:02:33Z", "year_assumed", "host1", "foo", "26", "x"},
	{"<134>Mar  4 05:06:07 [10.0.0.143] ZscalerNSS: low", "2026-03-04T05:06:07Z", "year_assumed", "10.0.0.143", "ZscalerNSS", "", "low"},
	{"<134> 2026-03-04T05:06:07.123456+00:00 acme DNAC - - - rest", "2026-03-04T05:06:07.123456Z", "exact", "acme", "DNAC", "", "rest"},
	{"<134>1 Mar  4 05:06:07 acme cgxFlowLogV1 20681 - - 1,2,3", "2026-03-04T05:06:07Z", "year_assumed", "acme", "cgxFlowLogV1", "20681", "1,2,3"},
	{"<134>1 Mar  4 05:06:07 acme log: x", "2026-03-04T05:06:07Z", "year_assumed", "acme", "log", "", "x"},
	{"<134>1 2026-03-04T05:06:07Z acme foo 7 - - foo[8]: inner", "2026-03-04T05:06:07Z", "exact", "acme", "foo", "8", "inner"},
	{"<134>1 2026-03-04T05:06:07Z acme - - - - foo[8]: inner", "2026-03-04T05:06:07Z", "exact", "acme", "foo", "8", "inner"},
	{"Jul 27 14:41:57 combo syslogd 1.4.1: restart. ", "2026-07-27T14:41:57Z", "year_assumed", "combo", "syslogd", "", "restart. "},
	{"Jul 27 14:41:57 combo  -- root[2421]: ROOT LOGIN ON tty2", "2026-07-27T14:41:57Z", "year_assumed", "combo", "login", "2421", "ROOT LOGIN ON tty2"},
	{"févr. 17 13:40:03 web foo: x", "2026-02-17T13:40:03Z", "year_assumed", "web", "foo", "", "x"},
	{"avril 17 13:40:03 web foo: x", "2026-04-17T13:40:03Z", "year_assumed", "web", "foo", "", "x"},
	{"2026-03-04T05:06:07.1+01:00 web foo[1]: x", "2026-03-04T04:06:07.1Z", "exact", "web", "foo", "1", "x"},
	{"2026-03-04 05:06:07 WARN something", "2026-03-04T05:06:07Z", "tz_assumed", "192.0.2.1", "", "", "WARN something"},
	{"foo[12]: bare tag", "", "received", "192.0.2.1", "foo", "12", "bare tag"},
	{"<30>foo: only a tag", "", "received", "192.0.2.1", "foo", "", "only a tag"},
	{"<999>not a priority", "", "received", "192.0.2.1", "", "", "<999>not a priority"},
	{"<134>Mar  4 05:06:07 acme Detected an unauthorized user from 10.1.1.1 0x0004", "2026-03-04T05:06:07Z", "year_assumed", "acme", "", "", "Detected an unauthorized user from 10.1.1.1 0x0004"},
	{"Feb 30 13:40:03 web foo: no such day", "", "received", "192.0.2.1", "", "", "Feb 30 13:40:03 web foo: no such day"},
	{"<13>Mar  4 05:06:07 web foo: caf\xe9 a\x00b#012c\r\n", "2026-03-04T05:06:07Z", "year_assumed", "web", "foo", "", "caf\uFFFD a\uFFFDb#012c"},
	{"", "", "received", "192.0.2.1", "", "", ""},
	{"<134>1 1600-01-01T00:00:00Z acme foo - - - too old to count", "", "received", "acme", "foo", "", "too old to count"},
	{"<134>1 1905-01-01T00:00:00Z acme foo - - - any year", "1905-01-01T00:00:00Z", "exact", "acme", "foo", "", "any year"},
}

func TestHeader(t *testing.T) {
	p := New(Options{})
	for _, c := range headerCases {
		var e event.Event
		p.Parse(&Record{Raw: c.line, Arrived: arrival, Peer: "192.0.2.1"}, &e)
		checkInvariants(t, c.line, &e)
		want := arrival
		if c.time != "" {
			tm, err := time.Parse(time.RFC3339Nano, c.time)
			if err != nil {
				t.Fatal(err)
			}
			want = tm.UnixNano()
		}
		if e.Time != want {
			t.Errorf("%q: time %s, want %s", c.line, time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano), c.time)
		}
		for _, f := range [][2]string{
			{event.TimeQuality, c.quality},
			{event.Host, c.host},
			{event.Program, c.program},
			{event.PID, c.pid},
			{event.Message, c.message},
		} {
			if got := e.Get(f[0]); got != f[1] {
				t.Errorf("%q: %s %q, want %q", c.line, f[0], got, f[1])
			}
		}
	}
}

func TestZone(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	p := New(Options{})
	var e event.Event
	p.Parse(&Record{Raw: "Mar  4 05:06:07 web foo: x", Arrived: arrival, Zone: zone}, &e)
	if got, want := time.Unix(0, e.Time).UTC(), time.Date(2026, 3, 4, 3, 6, 7, 0, time.UTC); !got.Equal(want) {
		t.Errorf("time is %s, want %s", got, want)
	}
}
