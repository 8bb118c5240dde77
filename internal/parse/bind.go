package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func bindParser() content {
	return content{
		Info: Info{
			Name:     "bind",
			Sources:  []string{"bind", "named"},
			Programs: []string{"named", "bind", "bind9", "named-pkcs11"},
			About:    "BIND: queries, answers refused, zone transfers, updates, response policy zones",
			Samples: []Sample{
				{`Mar  4 05:06:07 ns1 named[1201]: client @0x7f0a 203.0.113.9#4711 (e.org): query: e.org IN A +E(0)K (10.0.0.1)`, []string{
					"source=bind", "host=ns1", "category=dns", "action=query", "src_ip=203.0.113.9", "src_port=4711", "dst_ip=10.0.0.1", "dns_query=e.org", "dns_type=A",
				}},
				{`04-Mar-2026 05:06:07.123 queries: info: client @0x7f0a 203.0.113.9#4711 (x.e.org): view internal: query: x.e.org IN TXT + (10.0.0.1)`, []string{
					"source=bind", "dns_query=x.e.org", "dns_type=TXT", "level=info", "dataset=bind.queries", "time_quality=tz_assumed",
				}},
				{`Mar  4 05:06:07 ns1 named[1201]: client 203.0.113.9#4712 (e.org): query (cache) 'e.org/ANY/IN' denied`, []string{"action=query", "outcome=failure", "dns_query=e.org", "dns_type=ANY", "src_ip=203.0.113.9", "severity=low"}},
				{`Mar  4 05:06:07 ns1 named[1201]: client 203.0.113.9#4713 (e.net): zone transfer 'e.net/AXFR/IN' denied`, []string{"action=zone_transfer", "outcome=failure", "dns_query=e.net", "dns_type=AXFR", "severity=medium"}},
				{`Mar  4 05:06:07 ns1 named[1201]: client @0x7f 10.0.0.9#4714 (bad.example): rpz QNAME NXDOMAIN rewrite bad.example/A/IN via bad.example.rpz`, []string{"action=block", "dns_query=bad.example", "rule_name=bad.example.rpz", "dns_type=A"}},
			},
		},
		parse: parseBind,
	}
}

// isBind tells a line of named's own log file or a client's query.
func isBind(s string) bool {
	if len(s) > 24 && s[2] == '-' && s[6] == '-' && s[11] == ' ' && isDigit(s[0]) && isDigit(s[7]) {
		return true
	}
	return strings.HasPrefix(s, "client ") && before(s, "#", 64) && (before(s, " query: ", 400) || strings.HasSuffix(s, " denied"))
}

func parseBind(l *line) bool {
	s := l.text
	if s == "" || l.program == "" && !isBind(s) {
		return false
	}
	if isDigit(s[0]) {
		s = l.bindHead(s)
	}
	l.source = "bind"
	l.say(s)
	client, ok := strings.CutPrefix(s, "client ")
	if !ok {
		return true
	}
	client = strings.TrimPrefix(client, "@")
	if strings.HasPrefix(client, "0x") {
		_, client = cutWord(client)
	}
	who, rest := cutWord(client)
	who = strings.TrimSuffix(who, ":")
	addr, port, _ := strings.Cut(who, "#")
	port, _, _ = strings.Cut(port, "/")
	l.addSource(addr, port)
	l.add(event.Category, "dns")
	switch {
	case strings.Contains(rest, "query: "):
		_, rest, _ = strings.Cut(rest, "query: ")
		name, rest := cutWord(rest)
		_, rest = cutWord(rest) // the class
		kind, rest := cutWord(rest)
		l.add(event.Action, "query")
		l.dnsName(name, kind)
		if server, ok := between(rest, "(", ")"); ok {
			if _, extra, ok := strings.Cut(rest, ") ("); ok && server == "0" {
				server = strings.TrimSuffix(extra, ")")
			}
			l.addPeer(event.DstIP, "", server)
		} else if i := strings.LastIndexByte(rest, '('); i >= 0 {
			l.addPeer(event.DstIP, "", strings.TrimSuffix(rest[i+1:], ")"))
		}
		if i := strings.LastIndexByte(rest, '('); i >= 0 && l.indexOf(event.DstIP) < 0 {
			l.addPeer(event.DstIP, "", strings.TrimSuffix(rest[i+1:], ")"))
		}
	case strings.Contains(rest, "rpz "):
		l.is("", "block", "failure")
		if _, what, ok := strings.Cut(rest, " rewrite "); ok {
			name, via := cutWord(what)
			l.bindName(name)
			l.add(event.RuleName, strings.TrimPrefix(via, "via "))
		}
	case strings.HasSuffix(rest, "' denied"), strings.Contains(rest, "transfer of '"), strings.Contains(rest, "transfer '"):
		action, sev := "query", low
		switch {
		case strings.Contains(rest, "transfer"):
			action, sev = "zone_transfer", medium
		case strings.Contains(rest, "update"):
			action, sev = "update", medium
		}
		outcome := "success"
		if strings.HasSuffix(rest, " denied") {
			outcome = "failure"
		}
		l.is("", action, outcome)
		if name, ok := between(rest, "'", "'"); ok {
			l.bindName(name)
		}
		l.atLeast(sev)
	}
	return true
}

// bindHead reads "04-Mar-2026 05:06:07.123 category: level: " of named's files.
func (l *line) bindHead(s string) string {
	if len(s) < 24 || s[2] != '-' || s[6] != '-' {
		return s
	}
	var c clock
	month, n := monthOf(s[3:])
	c.day, c.month, c.year = two(s, 0), month, number(s[7:11])
	rest, ok := c.timeOfDay(s[12:])
	if n != 3 || !ok || c.day < 1 || c.year < 1970 {
		return s
	}
	if t, q, ok := l.resolve(&c); ok {
		l.setTime(t, q)
	}
	rest = skipSpaces(rest)
	for range 2 {
		word, after := cutWord(rest)
		name, ok := strings.CutSuffix(word, ":")
		if !ok || name == "client" {
			break
		}
		if levelSeverity(name) != unsaid {
			l.setLevel(name)
		} else {
			l.dataset = "bind." + name
		}
		rest = after
	}
	return rest
}

// bindName reads "name/TYPE/CLASS".
func (l *line) bindName(s string) {
	name, kind, _ := strings.Cut(s, "/")
	kind, _, _ = strings.Cut(kind, "/")
	l.dnsName(name, kind)
}

// dnsName adds what was asked for.
func (l *line) dnsName(name, kind string) {
	if len(name) > 1 {
		name = strings.TrimSuffix(name, ".")
	}
	l.add(event.DNSQuery, name)
	l.add(event.DNSType, kind)
}
