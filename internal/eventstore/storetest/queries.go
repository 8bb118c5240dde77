package storetest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/query"
)

// corpus makes events of the kinds that logs have, and some that none have.
func corpus(random *rand.Rand, n int) []event.Event {
	pick := func(s ...string) string { return s[random.IntN(len(s))] }
	ip := func() string {
		return fmt.Sprintf("%d.%d.%d.%d", pickInt(random, 10, 192, 203), random.IntN(3), random.IntN(256), random.IntN(256))
	}
	events := make([]event.Event, n)
	for i := range events {
		e := &events[i]
		e.Arrived = base + random.Int64N(1e9)*1000
		user := pick("root", "Root", "bob", "alice.smith", "Ünal", "bob@example.org", "-", "0042")
		e.Add("severity", pick(event.Severities...))
		switch random.IntN(6) {
		case 0, 1:
			src := ip()
			msg := fmt.Sprintf("%s password for %s from %s port %d ssh2", pick("Failed", "Accepted", "FAILED"), user, src, random.IntN(65536))
			e.Raw = "Mar 14 12:00:0" + strconv.Itoa(random.IntN(10)) + " web-0" + strconv.Itoa(random.IntN(4)) + " sshd[" + strconv.Itoa(random.IntN(9999)) + "]: " + msg
			for _, f := range [][2]string{{"source", "sshd"}, {"program", "sshd"}, {"host", "web-0" + strconv.Itoa(random.IntN(4))}, {"user", user}, {"src_ip", src}, {"src_port", strconv.Itoa(random.IntN(65536))}, {"message", msg}} {
				e.Add(f[0], f[1])
			}
		case 2:
			src := pick(ip(), "2001:db8::"+strconv.Itoa(random.IntN(99)), "2001:DB8:0:1::5", "fe80::1", "::1", "010.001.1.1", "2001:0db8::7")
			e.Raw = src + ` - - "GET /a/b.php?x=1 HTTP/1.1" ` + pick("200", "404", "500")
			for _, f := range [][2]string{{"source", "nginx"}, {"src_ip", src}, {"http_status", pick("200", "404", "500", "499", "-")}, {"url_path", pick("/a/b.php", "/A/B.PHP", "/login", "/")}, {"request_time", fmt.Sprintf("%d.%03d", random.IntN(3), random.IntN(1000))}, {"bytes", pick("0", "17", "023", "5m", "10KB", "1500", "-3", "9007199254740993", "x")}} {
				e.Add(f[0], f[1])
			}
		case 3:
			e.Raw = `{"EventID":4625,"TargetUserName":"` + user + `"}`
			for _, f := range [][2]string{{"source", "windows_security"}, {"EventID", pick("4624", "4625", "1")}, {"TargetUserName", user}, {"process_path", pick(`C:\Windows\System32\cmd.exe`, `C:\Windows\explorer.exe`)}, {"status", pick("0xC000006D", "0x0")}} {
				e.Add(f[0], f[1])
			}
			if random.IntN(2) == 0 {
				e.Add("message", pick("An account failed to log on", "로그인에 실패했습니다", "Anmeldung fehlgeschlagen für Ünal"))
			}
		case 4:
			e.Raw = pick("로그인에 실패했습니다 root", "kernel: [12.345] DROP IN=eth0", "plain text with TAB\tand dots... 3.10", "a_b-c d.e", "user not found", "x", "Straße ſ K İ")
			for range random.IntN(4) {
				e.Add(event.Tags, pick("one", "Two words", "parse_error", "a\x02b", ""))
			}
			e.Add("note", pick("", "3.10", "0.563", "1000.00", "x\x01", "?", "a*b", "\x01"))
			if random.IntN(4) == 0 {
				e.Add("_time", pick("evil", "2024"))
				e.Add(event.SrcPort, pick("http", "80", "0.5"))
				e.Add(event.SrcPort, pick("22", "x"))
			}
		default:
			for range 1 + random.IntN(5) {
				e.Add(pick("user", "host", "k1", "k2", "related_ip", "count"), pick(user, ip(), strconv.Itoa(random.IntN(50)), "web-01", "two words", "Failed", strconv.Itoa(-random.IntN(9))))
			}
		}
	}
	return events
}

func pickInt(random *rand.Rand, n ...int) int { return n[random.IntN(len(n))] }

// randomNode makes a query tree, often of values that are there.
func randomNode(random *rand.Rand, events []event.Event, depth int) query.Node {
	if depth > 0 {
		switch random.IntN(4) {
		case 0:
			return query.And{Nodes: []query.Node{randomNode(random, events, depth-1), randomNode(random, events, depth-1)}}
		case 1:
			return query.Or{Nodes: []query.Node{randomNode(random, events, depth-1), randomNode(random, events, depth-1)}}
		case 2:
			return query.Not{Node: randomNode(random, events, depth-1)}
		}
	}
	e := &events[random.IntN(len(events))]
	if len(e.Fields) == 0 {
		return query.All{}
	}
	f := e.Fields[random.IntN(len(e.Fields))]
	field := query.NewField(f.Name)
	value := mutate(random, f.Value)
	text := []query.Field{{}, query.NewField("message"), query.NewField("raw")}[random.IntN(3)]
	switch random.IntN(12) {
	case 0, 1, 2:
		if field.Text() {
			return query.Contains{Field: field, Text: orX(value)}
		}
		return query.Equal{Field: field, Value: value}
	case 3, 4:
		return query.Contains{Field: text, Text: orX(piece(random, query.Text(e)))}
	case 5:
		return query.NewWildcard(field, pattern(random, value))
	case 6:
		return query.NewWildcard(text, pattern(random, orX(piece(random, query.Text(e)))))
	case 7:
		return query.Exists{Field: field}
	case 8:
		other := events[random.IntN(len(events))].Get(f.Name)
		r := query.Range{Field: field, Min: query.Bound{Value: f.Value, Exclusive: random.IntN(2) == 0}, Max: query.Bound{Value: other, Exclusive: random.IntN(2) == 0}}
		switch random.IntN(4) {
		case 0:
			r.Min = query.Bound{Open: true}
		case 1:
			r.Max = query.Bound{Open: true}
		}
		return r
	case 9:
		nets := []string{"10.0.0.0/8", "203.1.0.0/16", "192.2.128.0/17", "2001:db8::/32", "::/0", "0.0.0.0/0", "fe80::/10", "2001:db8:0:1::/64", "10.0.0.7/32"}
		return query.CIDR{Field: query.NewField([]string{"src_ip", "ip", "related_ip", "k1"}[random.IntN(4)]), Prefix: netip.MustParsePrefix(nets[random.IntN(len(nets))])}
	case 10:
		expressions := []string{`^R`, `oo`, `root|bob`, `\d+\.\d+$`, `^[a-z]+$`, `sshd\[\d+\]`, `for .* from`, `: Failed`, `(?i)failed`, `^Mar`, `^Failed`, `ssh2$`, `^$`, `.`, `\bweb\b`, `[^x]`, `b\.php`}
		where := []query.Field{field, text}[random.IntN(2)]
		return query.Regexp{Field: where, Re: regexp.MustCompile(expressions[random.IntN(len(expressions))])}
	default:
		at := e.Time
		name := event.Timestamp
		if random.IntN(2) == 0 {
			name, at = event.IngestTime, e.Arrived
		}
		return query.Span{Field: query.NewField(name), From: at - random.Int64N(3)*500*second, To: at + random.Int64N(2)*1000*second}
	}
}

func orX(s string) string {
	if s == "" {
		return "x"
	}
	return s
}

func mutate(random *rand.Rand, v string) string {
	r := []rune(v)
	if len(r) == 0 {
		return v
	}
	switch random.IntN(8) {
	case 0:
		return swapCase(v)
	case 1:
		return string(r[:random.IntN(len(r))])
	case 2:
		return string(r[random.IntN(len(r)):])
	case 3:
		return v + "0"
	}
	return v
}

func swapCase(v string) string {
	r := []rune(v)
	for i, c := range r {
		switch {
		case c >= 'a' && c <= 'z':
			r[i] = c - 32
		case c >= 'A' && c <= 'Z':
			r[i] = c + 32
		}
	}
	return string(r)
}

func piece(random *rand.Rand, text string) string {
	r := []rune(text)
	if len(r) == 0 {
		return "x"
	}
	from := random.IntN(len(r))
	to := min(len(r), from+1+random.IntN(12))
	if random.IntN(2) == 0 { // along the words
		for from > 0 && r[from-1] != ' ' {
			from--
		}
		for to < len(r) && r[to] != ' ' {
			to++
		}
	}
	if random.IntN(3) == 0 {
		return swapCase(string(r[from:to]))
	}
	return string(r[from:to])
}

func pattern(random *rand.Rand, v string) []query.Part {
	r := []rune(v)
	cut := 0
	if len(r) > 0 {
		cut = random.IntN(len(r))
	}
	literal := func(s []rune) query.Part { return query.Part{Kind: query.Literal, Text: string(s)} }
	star, one := query.Part{Kind: query.Any}, query.Part{Kind: query.One}
	var parts []query.Part
	switch random.IntN(6) {
	case 0:
		parts = []query.Part{literal(r[:cut]), star}
	case 1:
		parts = []query.Part{star, literal(r[cut:])}
	case 2:
		parts = []query.Part{star, literal(r[cut:min(len(r), cut+3)]), star}
	case 3:
		parts = []query.Part{literal(r[:cut]), star, literal(r[min(len(r), cut+2):])}
	case 4:
		parts = []query.Part{literal(r[:cut]), one, literal(r[min(len(r), cut+1):])}
	default:
		parts = []query.Part{literal(r), one}
	}
	var full []query.Part
	for _, p := range parts {
		if p.Kind != query.Literal || p.Text != "" {
			full = append(full, p)
		}
	}
	if len(full) == 1 && full[0].Kind == query.Any {
		full = append(full, one)
	}
	return full
}

// compare checks a query's total and events against Match.
func compare(t *testing.T, s *suite, events []event.Event, n query.Node) bool {
	t.Helper()
	want := map[event.ID]bool{}
	for i := range events {
		if n.Match(&events[i]) {
			want[events[i].ID] = true
		}
	}
	res := s.search(t, eventstore.Request{Filter: n, Limit: len(events)})
	ok := int(res.Total) == len(want) && len(res.Events) == len(want)
	for i := range res.Events {
		ok = ok && want[res.Events[i].ID]
	}
	if ok {
		return true
	}
	t.Errorf("%s: total %d, %d events, want %d", n, res.Total, len(res.Events), len(want))
	got := map[event.ID]bool{}
	for i := range res.Events {
		got[res.Events[i].ID] = true
		if !want[res.Events[i].ID] {
			t.Logf("should not match: %.600q", fmt.Sprint(res.Events[i]))
			break
		}
	}
	for i := range events {
		if want[events[i].ID] && !got[events[i].ID] {
			t.Logf("should match: %.600q", fmt.Sprint(events[i]))
			break
		}
	}
	return false
}

func testRandomQueries(t *testing.T, s *suite) {
	seed := uint64(20260314)
	rounds := 60
	if v := os.Getenv("KYRA_QUERY_ROUNDS"); v != "" {
		rounds, _ = strconv.Atoi(v)
		seed = uint64(time.Now().UnixNano())
	}
	random := rand.New(rand.NewPCG(seed, 1))
	events := corpus(random, 3000/scale)
	events = s.put(t, events...)
	failures := 0
	for i := range rounds {
		if !compare(t, s, events, randomNode(random, events, i%3)) {
			if failures++; failures > 10 {
				t.Fatalf("seed %d: too many differences", seed)
			}
		}
	}
}

// testQueries asks what people ask.
func testQueries(t *testing.T, s *suite) {
	random := rand.New(rand.NewPCG(8, 8))
	events := s.put(t, corpus(random, 2000/scale)...)
	for _, q := range []string{
		"", "program:sshd AND user:root", "program:SSHD user:ROOT", "failed", "FAILED password", `"failed password for root"`, "severity:(high OR critical) -source:nginx",
		"src_ip:10.0.0.0/8", "ip:2001:db8::/32", "src_ip:[192.0.0.0 TO 192.2.255.255]", "http_status:>=400", "http_status:[400 TO 499]", "request_time:>1.5", "bytes:>100", "bytes:[0 TO 20]",
		"url_path:*.php", "user:a*", "user:*o*", "user:r??t", "host:web-0?", "로그인", "실패", "tags:one", `tags:"two words"`, "tags:*", "NOT tags:*", `note:""`, "note:*", "note:3.10", `raw:"sshd"`, `raw:/sshd\[1\d*\]: Failed/`,
		"message:failed", "message:*", "NOT message:*", "raw:*", "web-01", "web-0*", "EventID:4625", `process_path:*\\cmd.exe`, `C:\\Windows*`, "status:0xc000006d", "timestamp:[2026-03-14T12:10 TO 2026-03-14T12:20]", "ingest_time:>2026-03-14T12:05", "src_port:http", "src_port:[1 TO 1000]",
		`"; | delete"`, `user:"a\" | stats count()"`, "user:`x`", `{`, `user:"*"`, "_time:evil", "_msg:x", "_stream:x", `"password for" -root`, "2*", "user:-", "k1:>=10", "count:<0", "straße", "ſ", "k", "i*", "?",
	} {
		if q == "{" {
			continue
		}
		compare(t, s, events, parse(t, q))
	}
}
