package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func netfilterParser() content {
	return content{
		Info: Info{
			Name:     "iptables",
			Sources:  []string{"iptables", "ufw"},
			Programs: []string{"kernel", "ulogd", "ulogd2", "ufw", "iptables", "nftables"},
			About:    "packets logged by iptables, nftables and ufw, with and without header",
			Samples: []Sample{
				{"Mar  4 05:06:07 gw kernel: [12345.678901] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 SRC=203.0.113.9 DST=192.0.2.10 LEN=60 TOS=0x00 PREC=0x00 TTL=50 ID=54321 DF PROTO=TCP SPT=43210 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0 ", []string{
					"source=ufw", "program=kernel", "category=network", "action=drop", "outcome=failure", "rule_name=[UFW BLOCK]", "src_ip=203.0.113.9", "dst_ip=192.0.2.10",
					"src_port=43210", "dst_port=22", "proto=tcp", "tcp_flags=SYN", "in_iface=eth0", "direction=inbound", "src_mac=52:54:00:65:43:21", "dst_mac=52:54:00:12:34:56", "LEN=60",
				}},
				{"<4>Mar  4 05:06:07 gw kernel: FW-ACCEPT: IN=eth0 OUT=eth1 SRC=10.0.0.5 DST=10.0.1.9 LEN=76 TTL=63 PROTO=UDP SPT=53 DPT=3000 LEN=56", []string{
					"source=iptables", "action=allow", "outcome=success", "rule_name=FW-ACCEPT", "proto=udp", "out_iface=eth1", "LEN=76",
				}},
				{"IN=eth0 OUT= SRC=198.51.100.7 DST=192.0.2.1 LEN=40 PROTO=6 SPT=1 DPT=23 SYN ACK", []string{"source=iptables", "action=log", "proto=tcp", "dst_port=23", "tcp_flags=SYN ACK"}},
				{"Mar  4 05:06:07 gw kernel: DROP IN=eth0 OUT= SRC=192.0.2.1 DST=10.0.0.9 LEN=88 PROTO=ICMP TYPE=3 CODE=1 [SRC=10.0.0.9 DST=10.9.9.9 LEN=60 PROTO=TCP SPT=5 DPT=6 ]", []string{
					"action=drop", "proto=icmp", "src_ip=192.0.2.1", "dst_ip=10.0.0.9", "TYPE=3", "dst_port=",
				}},
				{"Mar  4 05:06:07 gw kernel: [WAN_LOCAL-default-D]IN=eth0 OUT= SRC=2001:db8::5 DST=2001:db8::1 PROTO=TCP SPT=40000 DPT=443", []string{"action=drop", "src_ip=2001:db8::5", "rule_name=[WAN_LOCAL-default-D]"}},
			},
		},
		parse: parseNetfilter,
	}
}

// parseNetfilter reads "PREFIX IN=… OUT=… SRC=… DST=… PROTO=… SPT=… DPT=… FLAGS".
// Keys that a canonical field carries whole are not kept under their own names.
func parseNetfilter(l *line) bool {
	s := l.text
	i := strings.Index(s, "IN=")
	if i < 0 || !strings.Contains(s[i:], " OUT=") {
		return false
	}
	prefix := netfilterPrefix(s[:i])
	s = s[i:]
	action, outcome := netfilterAction(prefix)
	l.is("network", action, outcome)
	l.source = "iptables"
	if strings.Contains(prefix, "UFW") {
		l.source = "ufw"
	}
	l.add(event.RuleName, strings.TrimRight(prefix, ": "))
	var in, out string
	flagsFrom, flagsTo, at := -1, -1, 0
	length := false
	for at < len(s) {
		if s[at] == ' ' {
			at++
			continue
		}
		if s[at] == '[' { // the inner packet of an ICMP error
			break
		}
		end := strings.IndexByte(s[at:], ' ')
		if end < 0 {
			end = len(s)
		} else {
			end += at
		}
		word := s[at:end]
		key, value, pair := strings.Cut(word, "=")
		if !pair {
			switch word {
			case "SYN", "ACK", "FIN", "RST", "PSH", "URG", "CWR", "ECE":
				if flagsFrom < 0 {
					flagsFrom = at
				}
				flagsTo = end
			}
			at = end
			continue
		}
		switch key {
		case "IN":
			in = value
		case "OUT":
			out = value
		case "SRC":
			l.addPeer(event.SrcIP, event.SrcHost, value)
		case "DST":
			l.addPeer(event.DstIP, event.DstHost, value)
		case "SPT":
			l.addInt(event.SrcPort, value)
		case "DPT":
			l.addInt(event.DstPort, value)
		case "PROTO":
			l.add(event.Proto, l.protocol(value))
		case "MAC":
			if len(value) == 41 && isMAC(value[:17]) && isMAC(value[18:35]) {
				l.add(event.DstMAC, value[:17])
				l.add(event.SrcMAC, value[18:35])
			}
			l.add("MAC", value)
		case "LEN":
			if !length { // UDP has its own after it
				l.add("LEN", value)
				length = true
			}
		case "TTL", "TYPE", "CODE", "WINDOW", "UID", "MARK", "PHYSIN", "PHYSOUT":
			l.add(key, value)
		}
		at = end
	}
	l.add(event.InIface, in)
	l.add(event.OutIface, out)
	if flagsFrom >= 0 {
		l.add(event.TCPFlags, s[flagsFrom:flagsTo])
	}
	switch {
	case in != "" && out == "":
		l.add(event.Direction, "inbound")
	case in == "" && out != "":
		l.add(event.Direction, "outbound")
	}
	return true
}

// netfilterPrefix takes the kernel's uptime off what stands before "IN=".
func netfilterPrefix(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 2 && s[0] == '[' {
		if end := strings.IndexByte(s, ']'); end > 0 {
			up := strings.TrimSpace(s[1:end])
			if n := digits(up); n > 0 && n < len(up) && up[n] == '.' && allDigits(up[n+1:]) {
				s = strings.TrimSpace(s[end+1:])
			}
		}
	}
	return s
}

// netfilterAction tells from the words of a prefix what the rule did.
func netfilterAction(prefix string) (action, outcome string) {
	switch {
	case containsFold(prefix, "drop"), containsFold(prefix, "deny"), containsFold(prefix, "denied"), containsFold(prefix, "block"),
		containsFold(prefix, "reject"), strings.Contains(prefix, "-D]"):
		return "drop", "failure"
	case containsFold(prefix, "accept"), containsFold(prefix, "allow"), strings.Contains(prefix, "-A]"):
		return "allow", "success"
	default:
		return "log", "unknown"
	}
}

// isMAC tells whether s is six hexadecimal pairs.
func isMAC(s string) bool {
	for i := range len(s) {
		if i%3 == 2 && s[i] != ':' || i%3 != 2 && !isDigit(s[i]) && (s[i]|0x20)-'a' > 5 {
			return false
		}
	}
	return len(s) == 17
}

// containsFold tells whether lower, in small letters, is in s in any case.
func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		k := 0
		for k < len(lower) && s[i+k]|0x20 == lower[k] {
			k++
		}
		if k == len(lower) {
			return true
		}
	}
	return false
}

// protocol names an IP protocol, given by number or in any case.
func (l *line) protocol(s string) string {
	switch s {
	case "TCP", "tcp", "6":
		return "tcp"
	case "UDP", "udp", "17":
		return "udp"
	case "ICMP", "icmp", "1":
		return "icmp"
	case "ICMPv6", "ICMPV6", "58":
		return "icmpv6"
	case "2":
		return "igmp"
	case "41":
		return "ipv6"
	case "47":
		return "gre"
	case "50":
		return "esp"
	case "51":
		return "ah"
	case "89":
		return "ospf"
	case "132":
		return "sctp"
	}
	return l.p.lower(s)
}
