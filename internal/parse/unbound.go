package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func unboundParser() content {
	return content{
		Info: Info{
			Name:     "unbound",
			Sources:  []string{"unbound"},
			Programs: []string{"unbound"},
			About:    "Unbound: queries, replies, names that local zones answer",
			Samples: []Sample{
				{`Mar  4 05:06:07 gw unbound: [1234:0] info: 10.0.0.9 e.org. A IN`, []string{"source=unbound", "category=dns", "action=query", "src_ip=10.0.0.9", "dns_query=e.org", "dns_type=A", "pid=1234"}},
				{`[1772600767] unbound[1234:1] info: 10.0.0.9 e.org. AAAA IN NXDOMAIN 0.012 0 45`, []string{"source=unbound", "action=answer", "outcome=failure", "dns_type=AAAA", "rcode=NXDOMAIN", "pid=1234", "time_quality=exact", "program=unbound"}},
				{`Mar  4 05:06:07 gw unbound: [1234:0] info: bad.example. always_nxdomain 10.0.0.9@4711 bad.example. A IN`, []string{"action=block", "src_ip=10.0.0.9", "src_port=4711", "dns_query=bad.example", "rule_name=bad.example. always_nxdomain"}},
			},
		},
		parse: parseUnbound,
	}
}

// isUnbound tells "[EPOCH] unbound[".
func isUnbound(s string) bool {
	return len(s) > 30 && s[0] == '[' && digits(s[1:]) == 10 && strings.HasPrefix(s[11:], "] unbound[")
}

func parseUnbound(l *line) bool {
	s := l.text
	if isUnbound(s) {
		if t, ok := epoch(s[1:11]); ok {
			l.setTime(t, qualityExact)
		}
		l.program = "unbound"
		s = s[len("[1772600767] unbound"):]
	}
	if l.program != "unbound" {
		return false
	}
	l.source = "unbound"
	if s != "" && s[0] == '[' {
		pid, rest, ok := strings.Cut(s[1:], "] ")
		if !ok {
			return true
		}
		pid, _, _ = strings.Cut(pid, ":")
		l.pid, s = pid, rest
	}
	level, s, ok := strings.Cut(s, ": ")
	if !ok {
		return true
	}
	l.setLevel(level)
	s = strings.TrimPrefix(strings.TrimPrefix(s, "reply: "), "query: ")
	l.say(s)
	var words [8]string
	n := 0
	for rest := s; rest != "" && n < len(words); n++ {
		words[n], rest = cutWord(rest)
	}
	if ip, ok := address(words[0]); ok && n >= 4 && words[3] == "IN" {
		l.add(event.SrcIP, ip)
		l.dnsName(words[1], words[2])
		if n == 4 {
			l.is("dns", "query", "")
			return true
		}
		outcome := "failure"
		if words[4] == "NOERROR" {
			outcome = "success"
		}
		l.is("dns", "answer", outcome)
		l.add("rcode", words[4])
		return true
	}
	if addr, port, ok := strings.Cut(words[2], "@"); ok && n >= 6 && words[5] == "IN" {
		if ip, ok := address(addr); ok {
			action, outcome := "block", "failure"
			if strings.Contains(words[1], "transparent") || words[1] == "static" || words[1] == "redirect" || words[1] == "inform" {
				action, outcome = "answer", ""
			}
			l.is("dns", action, outcome)
			l.add(event.SrcIP, ip)
			l.addInt(event.SrcPort, port)
			l.dnsName(words[3], words[4])
			l.add(event.RuleName, s[:len(words[0])+1+len(words[1])])
		}
	}
	return true
}
