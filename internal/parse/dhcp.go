package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func dhcpParser() content {
	return content{
		Info: Info{
			Name:     "dhcp",
			Sources:  []string{"dhcpd", "dnsmasq-dhcp", "kea"},
			Programs: []string{"dhcpd", "dnsmasq-dhcp", "kea-dhcp4", "kea-dhcp6"},
			About:    "leases of ISC dhcpd, dnsmasq and Kea",
			Samples: []Sample{
				{`Mar  4 05:06:07 gw dhcpd[77]: DHCPACK on 10.0.0.9 to 00:00:5e:00:53:01 (laptop7) via eth0`, []string{
					"source=dhcpd", "category=network", "action=dhcp_assign", "outcome=success", "src_ip=10.0.0.9", "src_mac=00:00:5e:00:53:01", "src_host=laptop7", "in_iface=eth0", "event_code=DHCPACK",
				}},
				{`Mar  4 05:06:07 gw dhcpd[77]: DHCPREQUEST for 10.0.0.9 (10.0.0.1) from 00:00:5e:00:53:01 (laptop7) via eth0`, []string{"action=dhcp_request", "src_ip=10.0.0.9", "src_mac=00:00:5e:00:53:01", "src_host=laptop7"}},
				{`Mar  4 05:06:07 gw dnsmasq-dhcp[78]: DHCPACK(br0) 10.0.0.9 00:00:5e:00:53:01 laptop7`, []string{"source=dnsmasq-dhcp", "action=dhcp_assign", "src_ip=10.0.0.9", "src_host=laptop7", "in_iface=br0"}},
				{`Mar  4 05:06:07 gw dhcpd[77]: DHCPDISCOVER from 00:00:5e:00:53:01 via eth0: network lan: no free leases`, []string{"action=dhcp_discover", "outcome=failure", "reason=network lan: no free leases", "severity=medium"}},
				{`Mar  4 05:06:07 gw kea-dhcp4[79]: INFO  [kea-dhcp4.leases/79.1] DHCP4_LEASE_ALLOC [hwtype=1 00:00:5e:00:53:01], cid=[01:00], tid=0x1: lease 10.0.0.9 has been allocated for 3600 seconds`, []string{
					"source=kea", "action=dhcp_assign", "src_ip=10.0.0.9", "src_mac=00:00:5e:00:53:01", "event_code=DHCP4_LEASE_ALLOC",
				}},
			},
		},
		parse: parseDHCP,
	}
}

func parseDHCP(l *line) bool {
	switch program := l.p.lower(l.program); program {
	case "kea-dhcp4", "kea-dhcp6":
		l.source = "kea"
	case "dnsmasq-dhcp":
		l.source = program
	default:
		l.source = "dhcpd"
	}
	s := l.text
	if l.source == "kea" {
		l.kea(s)
		return true
	}
	if !strings.HasPrefix(s, "DHCP") {
		return l.program != ""
	}
	code, rest := cutWord(s)
	if name, iface, ok := strings.Cut(code, "("); ok {
		code = name
		l.add(event.InIface, strings.TrimSuffix(iface, ")"))
	}
	l.add(event.EventCode, code)
	action, outcome := dhcpAction(code)
	for rest != "" {
		var word string
		word, rest = cutWord(rest)
		word, why := strings.CutSuffix(word, ":")
		switch {
		case word == "via":
			word, rest = cutWord(rest)
			word, why = strings.CutSuffix(word, ":")
			l.once(event.InIface, word)
		case word != "" && word[0] == '(':
			name := strings.Trim(word, "()")
			if _, ok := address(name); !ok {
				l.once(event.SrcHost, name)
			}
		case isMAC(word):
			l.once(event.SrcMAC, word)
		default:
			if ip, ok := address(word); ok {
				l.once(event.SrcIP, ip)
			} else if l.source == "dnsmasq-dhcp" && word != "no" && l.indexOf(event.SrcMAC) >= 0 {
				l.once(event.SrcHost, word)
			}
		}
		if why {
			l.add(event.Reason, rest)
			if strings.Contains(rest, "no free leases") {
				outcome = "failure"
				l.atLeast(medium)
			}
			break
		}
	}
	l.is("network", action, outcome)
	return true
}

// dhcpAction says what a message of the protocol does.
func dhcpAction(code string) (action, outcome string) {
	switch code {
	case "DHCPACK":
		return "dhcp_assign", "success"
	case "DHCPNAK":
		return "dhcp_refuse", "failure"
	case "DHCPDECLINE":
		return "dhcp_decline", "failure"
	case "DHCPRELEASE":
		return "dhcp_release", "success"
	case "DHCPREQUEST":
		return "dhcp_request", ""
	case "DHCPDISCOVER":
		return "dhcp_discover", ""
	case "DHCPOFFER":
		return "dhcp_offer", ""
	default:
		return "dhcp", ""
	}
}

// kea reads "LEVEL [LOGGER] CODE [hwtype=1 MAC], cid=[…], tid=…: TEXT".
func (l *line) kea(s string) {
	level, rest := cutWord(s)
	if rest == "" || rest[0] != '[' {
		return
	}
	l.setLevel(level)
	_, rest, _ = strings.Cut(rest, "] ")
	code, rest := cutWord(rest)
	l.add(event.EventCode, code)
	if mac, ok := between(rest, "hwtype=1 ", "]"); ok && isMAC(mac) {
		l.add(event.SrcMAC, mac)
	}
	if _, lease, ok := strings.Cut(rest, ": lease "); ok {
		addr, _ := cutWord(lease)
		l.addPeer(event.SrcIP, "", addr)
	}
	switch {
	case strings.HasSuffix(code, "_LEASE_ALLOC"), strings.HasSuffix(code, "_LEASE_RENEW"):
		l.is("network", "dhcp_assign", "success")
	case strings.HasSuffix(code, "_RELEASE"):
		l.is("network", "dhcp_release", "success")
	case strings.HasSuffix(code, "_ALLOC_FAIL"):
		l.is("network", "dhcp_assign", "failure")
	}
}
