package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func filterlogParser() content {
	return content{
		Info: Info{
			Name:     "pf",
			Sources:  []string{"pf", "pfsense", "opnsense"},
			Programs: []string{"filterlog"},
			About:    "pf's packets as pfSense and OPNsense log them (filterlog)",
			Samples: []Sample{
				{`<134>Mar  4 05:06:07 fw1 filterlog[69805]: 53,,,1000000301,em0,match,block,in,4,0x0,,64,420,0,none,6,tcp,60,203.0.113.9,10.0.0.5,53742,22,0,S,29633380,,65535,,mss`, []string{
					"source=pfsense", "program=filterlog", "category=network", "action=drop", "outcome=failure", "src_ip=203.0.113.9", "dst_ip=10.0.0.5", "src_port=53742", "dst_port=22", "proto=tcp",
					"in_iface=em0", "direction=inbound", "rule_id=1000000301", "tcp_flags=S", "host=fw1",
				}},
				{`<134>1 2026-03-04T05:06:07+01:00 fw2 filterlog 57126 - [meta sequenceId="1"] 98,,,881dd59a3e942966c90498ac104715a0,re0,match,pass,out,6,0x00,0x0ea87,51,udp,17,73,2001:db8::2f8a,2001:db8:1::1738,6881,51918,73`, []string{
					"source=opnsense", "action=allow", "outcome=success", "src_ip=2001:db8::2f8a", "dst_ip=2001:db8:1::1738", "dst_port=51918", "proto=udp", "out_iface=re0", "direction=outbound", "time_quality=exact",
				}},
				{`Mar  4 05:06:07 fw1 filterlog: 9,,,1000000103,igb0,match,block,in,4,0x0,,1,0,0,none,1,icmp,84,203.0.113.9,10.0.0.5,request,777,1`, []string{"proto=icmp", "icmp_type=request", "src_ip=203.0.113.9", "dst_port="}},
			},
		},
		parse: parseFilterlog,
	}
}

// parseFilterlog reads "rule,subrule,anchor,tracker,interface,reason,action,
// direction,version,…", the rest of which depends on the version and protocol.
func parseFilterlog(l *line) bool {
	var f [40]string
	n := csvColumns(l.text, f[:])
	if n < 15 || f[5] == "" || f[6] == "" || f[7] != "in" && f[7] != "out" {
		return false
	}
	l.source = "pfsense"
	if len(f[3]) == 32 || len(f[3]) == 36 { // a hash or a UUID
		l.source = "opnsense"
	}
	var proto, length string
	var at int // of the addresses
	switch f[8] {
	case "4":
		if n < 20 {
			return false
		}
		proto, length, at = f[16], f[17], 18
		l.add("ttl", f[11])
	case "6":
		if n < 17 {
			return false
		}
		proto, length, at = f[12], f[14], 15
	default:
		return false
	}
	switch f[6] {
	case "block", "reject":
		l.is("network", "drop", "failure")
	case "pass", "nat", "rdr", "binat":
		l.is("network", "allow", "success")
	default:
		l.is("network", "log", "unknown")
	}
	l.native("", event.Action, f[6])
	l.add("rule_number", f[0])
	l.add(event.RuleID, f[3])
	l.addNonDash("reason_code", f[5])
	if f[7] == "in" {
		l.add(event.InIface, f[4])
		l.add(event.Direction, "inbound")
	} else {
		l.add(event.OutIface, f[4])
		l.add(event.Direction, "outbound")
	}
	l.add("ip_version", f[8])
	l.add(event.Proto, l.protocol(proto))
	l.add("length", length)
	l.named(event.SrcIP, f[at])
	l.named(event.DstIP, f[at+1])
	rest := f[at+2 : n]
	switch {
	case strings.EqualFold(proto, "tcp"), strings.EqualFold(proto, "udp"):
		if len(rest) >= 2 {
			l.addInt(event.SrcPort, rest[0])
			l.addInt(event.DstPort, rest[1])
		}
		if len(rest) >= 4 && strings.EqualFold(proto, "tcp") {
			l.add(event.TCPFlags, rest[3])
		}
	case strings.HasPrefix(proto, "icmp"), strings.HasPrefix(proto, "ICMP"):
		if len(rest) > 0 {
			l.add("icmp_type", rest[0])
		}
	}
	return true
}
