package parse

import (
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
)

// readAs parses lines of one sender in turn and returns the last event.
func readAs(t *testing.T, p *Parser, hint string, lines ...string) *event.Event {
	t.Helper()
	var e event.Event
	for _, raw := range lines {
		p.Parse(&Record{Tenant: 1, Raw: raw, Arrived: arrival, Peer: "192.0.2.1", Source: hint}, &e)
		checkInvariants(t, raw, &e)
	}
	return &e
}

func checkFields(t *testing.T, e *event.Event, fields ...string) {
	t.Helper()
	for _, want := range fields {
		name, value, _ := strings.Cut(want, "=")
		if !hasValue(e, name, value) {
			t.Errorf("%q: %s is %q, want %q", e.Raw, name, e.Get(name), value)
		}
	}
}

// TestTables: a row means what the header that came before it says, whatever came
// in between, and after a restart.
func TestTables(t *testing.T) {
	for _, c := range []struct {
		name, hint string
		lines      []string
		fields     []string
	}{
		{"iis", "", []string{
			"#Software: Microsoft Internet Information Services 10.0", "#Version: 1.0", "#Date: 2026-03-04 00:00:00",
			"#Fields: date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version cs(User-Agent) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken",
			"2026-03-04 05:06:07 W3SVC1 WEB7 10.0.0.5 POST /upload.aspx - 443 - 203.0.113.9 HTTP/1.1 curl/8 - www.e.org 200 0 0 512 99 15",
		}, []string{"source=iis", "host=WEB7", "src_ip=203.0.113.9", "dst_ip=10.0.0.5", "http_status=200", "dst_bytes=512", "src_bytes=99", "domain=www.e.org", "http_version=1.1", "user=", "outcome=success", "cs-host=www.e.org"}},
		{"proxy", "", []string{
			"#Software: SGOS 6.7.5.3", "#Fields: date time time-taken c-ip cs-username sc-filter-result sc-status cs-method cs-host cs-uri-path cs(User-Agent) sc-bytes",
			`2026-03-04 05:06:07 12 10.0.0.9 alice DENIED 403 GET evil.example /x "Mozilla/5.0 (X11; Linux)" 100`,
		}, []string{"source=bluecoat", "action=deny", "outcome=failure", "src_ip=10.0.0.9", "user=alice", "user_agent=Mozilla/5.0 (X11; Linux)", "domain=evil.example"}},
		{"zeek", "", []string{
			"#separator \\x09", "#path\tconn", "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice", "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring",
			"#path\tdns", "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqtype_name\tanswers",
			"1772600767.123456\tC1\t10.0.0.9\t4711\t10.0.0.1\t53\tudp\te.org\tA\t203.0.113.80,203.0.113.81",
		}, []string{"source=zeek", "dataset=dns", "category=dns", "src_ip=10.0.0.9", "dst_port=53", "dns_query=e.org", "dns_answer=203.0.113.80", "answers=203.0.113.81", "time_quality=exact", "id.orig_h=10.0.0.9", "session_id=C1"}},
		{"an older table of zeek", "", []string{
			"#path\tconn", "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice", "#path\tdns", "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqtype_name\tanswers",
			"1772600767.123456\tC1\t10.0.0.9\t4711\t10.0.0.1\t22\ttcp\tssh",
		}, []string{"dataset=conn", "category=network", "dst_port=22", "app_proto=ssh"}},
		{"csv", "csv", []string{`time,user,src_ip,"what, then",action`, `2026-03-04 05:06:07,alice,203.0.113.9,"a ""b"", c",login`}, []string{
			"source=csv", "user=alice", "src_ip=203.0.113.9", `what, then=a "b", c`, "action=login", "time_quality=tz_assumed",
		}},
		{"csv of another header", "csv", []string{"a,b", "1,2", "a,c,d", "a,user,d", "5,eve,6"}, []string{"user=eve", "d=6"}},
		{"flow", "", []string{"version account-id interface-id flow-direction srcaddr dstaddr srcport dstport protocol action start end log-status", "5 123456789012 eni-0a ingress 203.0.113.9 10.0.0.5 40000 443 6 ACCEPT 1772600767 1772600827 OK"}, []string{
			"source=aws_vpcflow", "direction=inbound", "action=allow", "dst_port=443",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := New(Options{})
			last := len(c.lines) - 1
			readAs(t, p, c.hint, c.lines[:last]...)
			state, err := p.State()
			if err != nil {
				t.Fatal(err)
			}
			e := readAs(t, p, c.hint, c.lines[last])
			checkFields(t, e, c.fields...)
			q := New(Options{})
			if err := q.Restore(state); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(e, readAs(t, q, c.hint, c.lines[last])); d != "" {
				t.Errorf("after restoring it differs: %s", d)
			}
		})
	}
}

// TestZeekTables reads real logs of Zeek.
func TestZeekTables(t *testing.T) {
	for _, name := range []string{"ssh", "ftp", "notice"} {
		f, err := os.Open(sharedData(t, "zeek/"+name+".log.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		in, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		p := New(Options{})
		rows, addresses := 0, 0
		for line := range strings.Lines(string(data)) {
			e := readAs(t, p, "", strings.TrimRight(line, "\n"))
			if e.Get(event.Source) != "zeek" {
				t.Fatalf("%s: source of %q is %s", name, line, e.Get(event.Source))
			}
			if line[0] == '#' {
				continue
			}
			rows++
			if e.Get(event.SrcIP) != "" && e.Get(event.Dataset) == name {
				addresses++
			}
		}
		t.Logf("%s: %d rows, %d with the initiator", name, rows, addresses)
		if rows == 0 || addresses*100 < rows*95 {
			t.Errorf("%s: %d of %d rows have the initiator's address and the dataset", name, addresses, rows)
		}
	}
}

// checkTables reads a header and a row of anything.
func checkTables(t *testing.T, header, row string, hint uint8) {
	t.Helper()
	hints := []string{"", "csv", "aws_vpcflow", "iis", "zeek"}
	p := New(Options{})
	readAs(t, p, hints[int(hint)%len(hints)], header, row, row)
	state, err := p.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := New(Options{}).Restore(state); err != nil {
		t.Fatal(err)
	}
}

// Two files of one host whose lines come in turns: each row is read by the header of
// its own file, and after a restart too.
func TestTablesOfStreams(t *testing.T) {
	p := New(Options{})
	read := func(stream, raw string) *event.Event {
		var e event.Event
		p.Parse(&Record{Tenant: 1, Raw: raw, Arrived: arrival, Peer: "web-1", Stream: stream}, &e)
		checkInvariants(t, raw, &e)
		return &e
	}
	const a, b = `C:\logs\W3SVC1\u_ex.log`, `C:\logs\W3SVC2\u_ex.log`
	read(a, "#Software: Microsoft Internet Information Services 10.0")
	read(b, "#Software: Microsoft Internet Information Services 10.0")
	read(a, "#Fields: date time s-ip cs-method cs-uri-stem c-ip sc-status")
	read(b, "#Fields: date time c-ip cs-method cs-uri-stem s-ip sc-status")
	for range 2 {
		for stream, raw := range map[string]string{
			a: "2026-03-04 05:06:07 10.0.0.5 GET /a 203.0.113.9 200",
			b: "2026-03-04 05:06:07 203.0.113.9 GET /a 10.0.0.5 200",
		} {
			checkFields(t, read(stream, raw), "source=iis", "src_ip=203.0.113.9", "dst_ip=10.0.0.5", "http_status=200")
		}
		state, err := p.State()
		if err != nil {
			t.Fatal(err)
		}
		p = New(Options{})
		if err := p.Restore(state); err != nil {
			t.Fatal(err)
		}
	}
	read(a, "#separator \\x09")
	read(a, "#path\tconn")
	read(b, "#path\tdns")
	read(a, "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice")
	read(b, "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery")
	checkFields(t, read(a, "1772600767.123456\tC1\t10.0.0.9\t4711\t10.0.0.1\t22\ttcp\tssh"), "dataset=conn", "service=ssh")
	checkFields(t, read(b, "1772600767.123456\tC1\t10.0.0.9\t4711\t10.0.0.1\t53\tudp\te.org"), "dataset=dns", "dns_query=e.org")
}

// A state that was written before streams were known is still good.
func TestStateWithoutStreams(t *testing.T) {
	state := []byte{2, 0, 0} // no repetitions
	state = append(state, 0, 1, 1)
	for _, part := range []string{"web-1", "", "w3c", "#Software: Microsoft Internet Information Services 10.0#Fields: date time c-ip cs-method cs-uri-stem s-ip sc-status"} {
		state = appendString(state, part)
	}
	state = append(state, 0, 0)
	p := New(Options{})
	if err := p.Restore(state); err != nil {
		t.Fatal(err)
	}
	var e event.Event
	p.Parse(&Record{Tenant: 1, Raw: "2026-03-04 05:06:07 203.0.113.9 GET /a 10.0.0.5 200", Arrived: arrival, Peer: "web-1"}, &e)
	checkFields(t, &e, "source=iis", "src_ip=203.0.113.9", "dst_ip=10.0.0.5")
}
