package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func dnsmasqParser() content {
	return content{
		Info: Info{
			Name:     "dnsmasq",
			Sources:  []string{"dnsmasq", "pihole"},
			Programs: []string{"dnsmasq", "pihole-ftl"},
			About:    "dnsmasq and Pi-hole: queries, answers, blocked names",
			Samples: []Sample{
				{`Mar  4 05:06:07 gw dnsmasq[77]: query[AAAA] e.org from 10.0.0.9`, []string{"source=dnsmasq", "category=dns", "action=query", "dns_query=e.org", "dns_type=AAAA", "src_ip=10.0.0.9"}},
				{`Mar  4 05:06:07 gw dnsmasq[77]: reply e.org is 203.0.113.80`, []string{"action=answer", "dns_query=e.org", "dns_answer=203.0.113.80"}},
				{`Mar  4 05:06:07 gw dnsmasq[77]: 12 10.0.0.9/4711 query[A] e.org from 10.0.0.9`, []string{"action=query", "src_ip=10.0.0.9", "src_port=4711", "dns_type=A", "session_id=12"}},
				{`Mar  4 05:06:07 gw dnsmasq[77]: gravity blocked ads.example is 0.0.0.0`, []string{"source=pihole", "action=block", "dns_query=ads.example", "outcome=failure"}},
				{`Mar  4 05:06:07 gw dnsmasq[77]: forwarded e.org to 9.9.9.9`, []string{"action=forward", "dns_query=e.org", "dst_ip=9.9.9.9"}},
			},
		},
		parse: parseDnsmasq,
	}
}

func parseDnsmasq(l *line) bool {
	l.source = "dnsmasq"
	s := l.text
	if n := digits(s); n > 0 && n < len(s) && s[n] == ' ' { // log-queries=extra
		peer, rest := cutWord(s[n+1:])
		addr, port, ok := strings.Cut(peer, "/")
		if ip, good := address(addr); ok && good {
			l.add(event.SessionID, s[:n])
			l.add(event.SrcIP, ip)
			l.addInt(event.SrcPort, port)
			s = rest
		}
	}
	if rest, ok := strings.CutPrefix(s, "query["); ok {
		kind, rest, ok := strings.Cut(rest, "] ")
		if !ok {
			return true
		}
		name, from := cutWord(rest)
		l.is("dns", "query", "")
		l.dnsName(name, kind)
		if from, ok := strings.CutPrefix(from, "from "); ok && l.indexOf(event.SrcIP) < 0 {
			l.addPeer(event.SrcIP, event.SrcHost, from)
		}
		return true
	}
	what, rest, ok := strings.Cut(s, " is ")
	if !ok {
		if name, to, ok := strings.Cut(strings.TrimPrefix(s, "forwarded "), " to "); ok && strings.HasPrefix(s, "forwarded ") {
			l.is("dns", "forward", "")
			l.dnsName(name, "")
			to, _ = cutWord(to)
			l.addPeer(event.DstIP, event.DstHost, strings.TrimSuffix(to, "#53"))
		}
		return true
	}
	i := strings.LastIndexByte(what, ' ')
	if i < 0 {
		return true
	}
	kind, name := what[:i], what[i+1:]
	switch {
	case strings.Contains(kind, "blocked"), strings.Contains(kind, "blacklisted"), strings.Contains(kind, "denied"):
		l.source = "pihole"
		l.is("dns", "block", "failure")
		l.add(event.RuleName, kind)
	case kind == "reply", kind == "cached", strings.HasPrefix(kind, "cached"), kind == "config", kind == "DHCP", strings.HasPrefix(kind, "/"), kind == "validation":
		l.is("dns", "answer", "")
		l.add("answered_by", kind)
	default:
		return true
	}
	l.dnsName(name, "")
	l.add(event.DNSAnswer, rest)
	return true
}
