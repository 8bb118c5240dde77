package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func mikroTikParser() content {
	return content{
		Info: Info{
			Name:     "mikrotik",
			Sources:  []string{"mikrotik"},
			Programs: []string{"mikrotik"},
			About:    "MikroTik RouterOS: firewall rules that log, logins to the router, changes, DHCP leases, VPN sessions, behind their topics",
			Samples: []Sample{
				{`<134>Mar  4 05:06:07 r1 firewall,info drop-in input: in:ether1 out:(unknown 0), connection-state:new src-mac 00:00:5e:00:53:01, proto TCP (SYN), 203.0.113.9:51000->192.0.2.1:22, len 60`, []string{
					"source=mikrotik", "host=r1", "category=network", "action=drop", "outcome=failure", "proto=tcp", "tcp_flags=SYN", "src_ip=203.0.113.9", "src_port=51000", "dst_ip=192.0.2.1", "dst_port=22",
					"in_iface=ether1", "src_mac=00:00:5e:00:53:01", "rule_name=drop-in", "chain=input", "dataset=firewall",
				}},
				{`<30>Mar  4 05:06:07 r1 firewall,info forward: in:bridge out:ether1, connection-state:new,snat proto UDP, 10.0.0.8:40022->198.51.100.7:53, NAT (10.0.0.8:40022->192.0.2.1:40022)->198.51.100.7:53, len 70`, []string{"action=log", "src_ip=10.0.0.8", "dst_port=53", "src_nat_ip=192.0.2.1", "proto=udp", "out_iface=ether1"}},
				{`<30>Mar  4 05:06:07 r1 firewall,info input: in:ether1 out:(unknown 0), src-mac 00:00:5e:00:53:01, proto ICMP (type 8, code 0), 203.0.113.9->192.0.2.1, len 60`, []string{"proto=icmp", "src_ip=203.0.113.9", "dst_ip=192.0.2.1", "icmp=type 8, code 0", "length=60"}},
				{`<27>Mar  4 05:06:07 r1 system,error,critical login failure for user root from 203.0.113.9 via ssh`, []string{"category=authentication", "action=login", "outcome=failure", "user=root", "src_ip=203.0.113.9", "app_proto=ssh", "severity=medium"}},
				{`system,info,account user carol logged in from 10.0.0.9 via winbox`, []string{"source=mikrotik", "action=login", "outcome=success", "user=carol", "src_ip=10.0.0.9"}},
				{`<30>Mar  4 05:06:07 r1 system,info filter rule added by carol`, []string{"category=configuration", "action=config_change", "user=carol"}},
				{`<30>Mar  4 05:06:07 r1 dhcp,info dhcp1 assigned 10.0.0.77 to 00:00:5E:00:53:02`, []string{"src_ip=10.0.0.77", "src_mac=00:00:5E:00:53:02", "action=dhcp_assign"}},
			},
		},
		parse: parseMikroTik,
	}
}

// isMikroTik tells "topic,topic[,topic] text".
func isMikroTik(s string) bool {
	i := strings.IndexByte(s, ',')
	if i < 2 || i > 12 {
		return false
	}
	if !isTopic(s[:i]) {
		return false
	}
	second := s[i+1:]
	n := 0
	for n < len(second) && n < 14 && (second[n] >= 'a' && second[n] <= 'z' || second[n] == '-' || isDigit(second[n])) {
		n++
	}
	return n > 2 && n < len(second) && (second[n] == ' ' || second[n] == ',') && isTopic(second[:n])
}

// isTopic knows RouterOS' topics.
func isTopic(s string) bool {
	switch s {
	case "system", "firewall", "dhcp", "interface", "wireless", "ppp", "ipsec", "l2tp", "pptp", "ovpn", "sstp", "script", "dns", "hotspot", "account", "web-proxy", "caps", "ssh",
		"bridge", "route", "bgp", "ospf", "certificate", "wireguard", "info", "error", "warning", "critical", "debug", "packet", "raw", "radius", "snmp", "backup", "async", "event",
		"manager", "store", "telephony", "timer", "tftp", "upnp", "watchdog", "lte", "gsm", "netwatch", "poe-out", "iscsi", "e-mail", "state", "ike2", "ntp", "container":
		return true
	}
	return false
}

func parseMikroTik(l *line) bool {
	topics, text := cutWord(l.text)
	if !isMikroTik(l.text) {
		return false
	}
	l.source = "mikrotik"
	l.knownAs("mikrotik", "MikroTik", "RouterOS")
	first, rest, _ := strings.Cut(topics, ",")
	l.dataset = first
	l.add("topics", topics)
	for rest != "" {
		var word string
		if word, rest, _ = strings.Cut(rest, ","); word != "account" {
			if levelSeverity(word) != unsaid {
				l.level = word
				if word != "critical" { // RouterOS calls each failed login critical
					l.atLeast(levelSeverity(word))
				}
			}
		}
	}
	l.say(text)
	if first == "firewall" {
		l.mikroTikPacket(text)
		return true
	}
	l.says(mikroTikSayings, text)
	return true
}

// mikroTikPacket reads "PREFIX CHAIN: in:I out:O, …proto P (FLAGS), A:P->B:P, len N".
func (l *line) mikroTikPacket(s string) {
	head, rest, ok := strings.Cut(s, ": in:")
	if !ok {
		return
	}
	prefix, chain := "", head
	if i := strings.LastIndexByte(head, ' '); i > 0 {
		prefix, chain = head[:i], head[i+1:]
	}
	l.add("chain", chain)
	l.add(event.RuleName, prefix)
	action, outcome := netfilterAction(prefix)
	l.is("network", action, outcome)
	in, rest, _ := strings.Cut(rest, " out:")
	out, rest, _ := strings.Cut(rest, ", ")
	if !strings.HasPrefix(in, "(unknown") {
		l.add(event.InIface, in)
	}
	if !strings.HasPrefix(out, "(unknown") {
		l.add(event.OutIface, out)
	}
	if mac, ok := between(rest, "src-mac ", ","); ok {
		l.add(event.SrcMAC, mac)
	}
	if i := strings.Index(rest, "proto "); i >= 0 {
		proto, after, _ := strings.Cut(rest[i+6:], ", ")
		if name, flags, ok := strings.Cut(proto, " ("); ok { // "TCP (SYN)", "ICMP (type 8, code 0)"
			if !strings.HasSuffix(flags, ")") {
				var more string
				more, after, _ = strings.Cut(after, "), ")
				l.add("icmp", flags+", "+more)
			} else {
				l.add(event.TCPFlags, flags[:len(flags)-1])
			}
			proto = name
		}
		l.add(event.Proto, l.protocol(proto))
		rest = after
	}
	flow, rest, _ := strings.Cut(strings.TrimSpace(rest), ",")
	if a, b, ok := strings.Cut(flow, "->"); ok {
		l.addSource(addressPort(a))
		ip, port := addressPort(b)
		l.addPeer(event.DstIP, event.DstHost, ip)
		l.addInt(event.DstPort, port)
	}
	if nat, ok := between(rest, "NAT (", ")"); ok {
		if a, b, ok := strings.Cut(nat, "->"); ok {
			a, _ = addressPort(a)
			b, _ = addressPort(b)
			switch a {
			case l.e.Get(event.SrcIP):
				l.addPeer(event.SrcNATIP, "", b)
			case l.e.Get(event.DstIP):
				l.addPeer(event.DstNATIP, "", b)
			}
		}
	}
	if i := strings.Index(rest, "len "); i >= 0 {
		l.add("length", rest[i+4:i+4+digits(rest[i+4:])])
	}
}

var mikroTikSayings = []saying{
	{form: form("login failure for user {user} from {src_ip} via {app_proto}"), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form("user {user} logged in from {src_ip} via {app_proto}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("user {user} logged in via {app_proto}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("user {user} logged out from {src_ip} via {app_proto}"), category: "authentication", action: "logout", outcome: "success"},
	{form: form("{_} assigned {src_ip} to {src_mac}"), category: "network", action: "dhcp_assign", outcome: "success"},
	{form: form("{_} deassigned {src_ip} from {src_mac}"), category: "network", action: "dhcp_release", outcome: "success"},
	{form: form("{_} added by {user}"), category: "configuration", action: "config_change", outcome: "success", severity: low},
	{form: form("{_} changed by {user}"), category: "configuration", action: "config_change", outcome: "success", severity: low},
	{form: form("{_} removed by {user}"), category: "configuration", action: "config_change", outcome: "success", severity: low},
	{form: form("{user} logged in, {src_ip} from {_}"), category: "session", action: "session_open", outcome: "success"},
	{form: form("{user} logged in, {src_ip}"), category: "session", action: "session_open", outcome: "success"},
	{form: form("{user} logged out, {_}"), category: "session", action: "session_close", outcome: "success"},
	{form: form("{in_iface} link {state}"), category: "network"},
}
