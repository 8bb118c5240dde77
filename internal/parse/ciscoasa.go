package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func asaParser() content {
	return content{
		Info: Info{
			Name:    "cisco_asa",
			Sources: []string{"cisco_asa", "cisco_ftd", "cisco_pix"},
			About:   "Cisco ASA, Firepower Threat Defense and PIX: connections, denied packets, logins, VPN sessions, commands, threat detection, and FTD's connection, intrusion, file and malware events",
			Samples: []Sample{
				{`<166>Mar  4 2026 05:06:07 fw1 : %ASA-6-302013: Built inbound TCP connection 77 for outside:203.0.113.9/50123 (203.0.113.9/50123) to dmz:10.0.0.5/443 (192.0.2.10/443)`, []string{
					"source=cisco_asa", "vendor=Cisco", "product=ASA", "host=fw1", "event_code=302013", "category=network", "action=allow", "outcome=success", "src_ip=203.0.113.9",
					"src_port=50123", "dst_ip=10.0.0.5", "dst_port=443", "dst_nat_ip=192.0.2.10", "proto=tcp", "in_iface=outside", "out_iface=dmz", "direction=inbound", "session_id=77", "level=info",
				}},
				{`<166>Mar  4 05:06:07 fw1 %ASA-6-302013: Built outbound TCP connection 78 for outside:198.51.100.7/443 (198.51.100.7/443) to inside:10.0.0.8/40022 (192.0.2.1/40022)`, []string{
					"src_ip=10.0.0.8", "src_port=40022", "src_nat_ip=192.0.2.1", "dst_ip=198.51.100.7", "dst_port=443", "direction=outbound", "in_iface=inside",
				}},
				{`<166>:Mar 04 05:06:07 UTC: %ASA-session-6-302014: Teardown TCP connection 78 for outside:198.51.100.7/443 to inside:10.0.0.8/40022 duration 0:00:10 bytes 4711 TCP FINs`, []string{
					"event_code=302014", "action=session_close", "src_ip=10.0.0.8", "dst_ip=198.51.100.7", "dst_port=443", "bytes=4711", "duration=0:00:10", "reason=TCP FINs",
				}},
				{`<164>Mar  4 05:06:07 fw1 %ASA-4-106023: Deny tcp src outside:203.0.113.9/50123 dst inside:10.0.0.5/22 by access-group "outside_in" [0x0, 0x0]`, []string{
					"category=network", "action=deny", "outcome=failure", "proto=tcp", "src_ip=203.0.113.9", "dst_port=22", "rule_name=outside_in", "level=warning", "in_iface=outside",
				}},
				{`%ASA-4-106023: Deny icmp src outside:203.0.113.9(LOCAL\eve) dst inside:10.0.0.5 (type 8, code 0) by access-group "out"`, []string{"proto=icmp", "user=eve", "dst_ip=10.0.0.5", "rule_name=out"}},
				{`<166>Mar  4 05:06:07 fw1 %ASA-6-106100: access-list acl permitted tcp inside/10.0.0.8(40022) -> outside/198.51.100.7(443) hit-cnt 1 first hit [0x1, 0x0]`, []string{
					"action=allow", "src_ip=10.0.0.8", "src_port=40022", "dst_ip=198.51.100.7", "dst_port=443", "rule_name=acl", "in_iface=inside",
				}},
				{`<162>Mar  4 05:06:07 fw1 %ASA-2-106001: Inbound TCP connection denied from 203.0.113.9/40000 to 192.0.2.10/23 flags SYN  on interface outside`, []string{
					"action=deny", "src_port=40000", "dst_port=23", "tcp_flags=SYN", "in_iface=outside", "severity=high",
				}},
				{`<164>Mar  4 05:06:07 fw1 %ASA-4-605004: Login denied from 203.0.113.9/51000 to outside:192.0.2.1/ssh for user "admin"`, []string{
					"category=authentication", "action=login", "outcome=failure", "user=admin", "src_ip=203.0.113.9", "severity=medium",
				}},
				{`<166>Mar  4 05:06:07 fw1 %ASA-6-113015: AAA user authentication Rejected : reason = Invalid password : local database : user = bob : user IP = 203.0.113.9`, []string{
					"action=login", "outcome=failure", "user=bob", "src_ip=203.0.113.9", "reason=Invalid password",
				}},
				{`<165>Mar  4 05:06:07 fw1 %ASA-5-111010: User 'enable_15', running 'CLI' from IP 10.0.0.9, executed 'no logging enable'`, []string{
					"category=configuration", "action=config_change", "user=enable_15", "src_ip=10.0.0.9", "cmdline=no logging enable",
				}},
				{`<164>Mar  4 05:06:07 fw1 %ASA-4-722051: Group <vpn> User <carol> IP <203.0.113.9> IPv4 Address <10.9.0.2> IPv6 address <::> assigned to session`, []string{
					"category=session", "action=session_open", "user=carol", "src_ip=203.0.113.9", "group=vpn", "outcome=success",
				}},
				{`<164>Mar  4 05:06:07 fw1 %ASA-4-113019: Group = vpn, Username = carol, IP = 203.0.113.9, Session disconnected. Session Type: SSL, Duration: 0h:32m:16s, Bytes xmt: 297103, Bytes rcv: 1216163, Reason: User Requested`, []string{
					"action=session_close", "user=carol", "src_ip=203.0.113.9", "reason=User Requested", "src_bytes=1216163", "dst_bytes=297103",
				}},
				{`<164>Mar  4 05:06:07 fw1 %ASA-4-733100: [ Scanning] drop rate-1 exceeded. Current burst rate is 20 per second, max configured rate is 10; Current average rate is 5 per second, max configured rate is 5; Cumulative total count is 77`, []string{
					"category=intrusion_detection", "rule_name=Scanning", "severity=medium",
				}},
				{`<113>Mar  4 05:06:07 ftd1 SFIMS : %FTD-1-430003: EventPriority: Low, DeviceUUID: 00000000-0000-0000-0000-000000000000, InstanceID: 1, AccessControlRuleAction: Block, AccessControlRuleName: deny, all, SrcIP: 10.0.0.8, DstIP: 198.51.100.7, SrcPort: 40022, DstPort: 443, Protocol: tcp, IngressInterface: inside, EgressInterface: outside, User: CORP\bob, ApplicationProtocol: HTTPS, InitiatorBytes: 100, ResponderBytes: 200, URL: https://example.com/x?y=1`, []string{
					"source=cisco_ftd", "host=ftd1", "event_code=430003", "action=deny", "outcome=failure", "rule_name=deny, all", "src_ip=10.0.0.8", "dst_port=443", "user=bob", "user_domain=CORP",
					"src_bytes=100", "url_path=/x", "app_proto=https", "SrcIP=10.0.0.8", "in_iface=inside",
				}},
				{`<113>Mar  4 05:06:07 ftd1 %FTD-1-430001: SrcIP: 203.0.113.9, DstIP: 10.0.0.5, SrcPort: 4000, DstPort: 80, Protocol: tcp, Priority: 1, GID: 1, SID: 2024, Revision: 3, Message: "SERVER-WEBAPP attempt", Classification: Attempted User Privilege Gain, InlineResult: Blocked`, []string{
					"category=intrusion_detection", "rule_id=2024", "rule_name=SERVER-WEBAPP attempt", "action=drop", "severity=high",
				}},
				{`<134> Mar  4 05:06:07 fw1 : %PIX-3-302022: Built inbound ICMP connection for faddr 203.0.113.9/1 gaddr 192.0.2.1/1 laddr 10.0.0.5/0`, []string{"source=cisco_pix", "event_code=302022", "host=fw1", "src_ip=203.0.113.9", "dst_ip=10.0.0.5"}},
				{`<166>Mar  4 05:06:07 fw1 %ASA-6-999999: no wording of ours`, []string{"source=cisco_asa", "event_code=999999", "category=", "message=%ASA-6-999999: no wording of ours"}},
			},
		},
		parse: parseASA,
	}
}

// isASA tells the facilities of ASA, FTD and PIX: "ASA", or "ASA-session".
func isASA(facility string) bool {
	return len(facility) >= 3 && (len(facility) == 3 || facility[3] == '-') && (facility[:3] == "ASA" || facility[:3] == "FTD" || facility[:3] == "PIX")
}

func parseASA(l *line) bool {
	at, facility, level, code, text := ciscoCode(l.text)
	if at < 0 || !isASA(facility) {
		return false
	}
	l.ciscoPrefix(l.text[:at])
	l.text = l.text[at:]
	product := facility[:3]
	code = code[len(facility)+3:]
	switch product {
	case "ASA":
		l.source = "cisco_asa"
	case "FTD":
		l.source = "cisco_ftd"
	default:
		l.source = "cisco_pix"
	}
	l.knownAs(l.source, "Cisco", product)
	l.add(event.EventCode, code)
	n := int(level[0] - '0')
	l.level = syslogLevels[n]
	l.atLeast(syslogSeverity(n))
	switch code {
	case "302013", "302015":
		l.asaBuilt(text)
	case "302014", "302016":
		l.asaTeardown(text)
	case "430001", "430002", "430003", "430004", "430005":
		l.ftdEvent(code, text)
	default:
		l.says(asaSayings[code], text)
	}
	return true
}

// asaBuilt reads "Built inbound TCP connection 77 for A (NAT-OF-A) to B (NAT-OF-B)":
// A is on the less trusted side, which an inbound connection comes from.
func (l *line) asaBuilt(s string) {
	var v [maxFormNames]string
	if !fill(asaBuiltForm, s, &v) {
		return
	}
	direction := strings.TrimSpace(v[0])
	l.named(event.Proto, v[1])
	l.named(event.SessionID, v[2])
	a, natA := cutParen(v[3])
	b, natB := cutParen(v[4])
	first := direction != "outbound"
	l.endpoint(first, a)
	l.endpoint(!first, b)
	if first {
		natA, natB = natB, natA
	}
	// Now natA is of the responder.
	l.natOf(event.DstNATIP, event.DstIP, natA)
	l.natOf(event.SrcNATIP, event.SrcIP, natB)
	if direction == "inbound" || direction == "outbound" {
		l.add(event.Direction, direction)
	}
	l.is("network", "allow", "success")
}

var asaBuiltForm = form("Built {_} {_} connection {_} for {_} to {_}")

// cutParen splits "outside:1.2.3.4/5 (6.7.8.9/5)(account)".
func cutParen(s string) (before, inside string) {
	before, rest, ok := strings.Cut(s, " (")
	if !ok {
		return s, ""
	}
	inside, _, _ = strings.Cut(rest, ")")
	return before, inside
}

// natOf adds a translated address that differs from the real one.
func (l *line) natOf(name, realName, s string) {
	s, _, _ = strings.Cut(s, "/")
	if a, ok := address(s); ok && a != l.e.Get(realName) {
		l.add(name, a)
	}
}

// asaTeardown reads "Teardown TCP connection 78 for A to B duration D bytes N WHY".
// It does not say who began: the side with the port of a service is taken for the
// responder, else B.
func (l *line) asaTeardown(s string) {
	var v [maxFormNames]string
	if !fill(asaTeardownForm, s, &v) {
		return
	}
	l.named(event.Proto, v[0])
	l.named(event.SessionID, v[1])
	a, b := v[2], v[3]
	swap := servicePort(a) && !servicePort(b)
	l.endpoint(!swap, a)
	l.endpoint(swap, b)
	l.add("duration", v[4])
	bytes, why := cutWord(v[5])
	l.add("bytes", bytes)
	l.add(event.Reason, strings.TrimSpace(why))
	l.is("network", "session_close", "success")
}

var asaTeardownForm = form("Teardown {_} connection {_} for {_} to {_} duration {_} bytes {_}")

// servicePort tells whether an endpoint's port is one that servers listen on.
func servicePort(s string) bool {
	_, port, _ := strings.Cut(s, "/")
	port = port[:digits(port)]
	n := number(port)
	return n > 0 && n < 1024
}

// ftdEvent reads "Key: value, Key: value" of connection, intrusion, file and
// malware events.
func (l *line) ftdEvent(code, s string) {
	action := ""
	for s != "" {
		key, rest, ok := strings.Cut(s, ": ")
		if !ok {
			break
		}
		value, next := ftdValue(rest)
		s = next
		key = strings.TrimSpace(key)
		l.native("", key, value)
		value = strings.Trim(value, `"`)
		switch key {
		case "SrcIP":
			l.addPeer(event.SrcIP, event.SrcHost, value)
		case "DstIP":
			l.addPeer(event.DstIP, event.DstHost, value)
		case "SrcPort":
			l.addInt(event.SrcPort, value)
		case "DstPort":
			l.addInt(event.DstPort, value)
		case "Protocol":
			l.add(event.Proto, l.protocol(value))
		case "ApplicationProtocol":
			l.add(event.AppProto, l.p.lower(value))
		case "IngressInterface":
			l.add(event.InIface, value)
		case "EgressInterface":
			l.add(event.OutIface, value)
		case "InitiatorBytes":
			l.addInt(event.SrcBytes, value)
		case "ResponderBytes":
			l.addInt(event.DstBytes, value)
		case "User":
			if value != "No Authentication Required" && value != "Unknown" {
				l.account(value)
			}
		case "URL":
			l.addURL(value)
		case "DNSQuery":
			l.add(event.DNSQuery, value)
		case "FileName":
			l.add(event.FilePath, value)
		case "FileSHA256":
			l.add(event.HashSHA256, value)
		case "SID":
			l.add(event.RuleID, value)
		case "Message", "ThreatName":
			l.once(event.RuleName, value)
		case "AccessControlRuleName":
			l.once(event.RuleName, value)
		case "Classification":
			l.add(event.RuleCategory, value)
		case "Priority":
			switch value {
			case "1":
				l.atLeast(high)
			case "2":
				l.atLeast(medium)
			}
		case "AccessControlRuleAction", "InlineResult", "FileAction":
			action = value
		}
	}
	category := "network"
	switch code {
	case "430001":
		category = "intrusion_detection"
	case "430004":
		category = "file"
	case "430005":
		category = "malware"
		l.atLeast(high)
	}
	switch {
	case strings.HasPrefix(action, "Block"), strings.HasPrefix(action, "Would"), action == "Dropped":
		word := "deny"
		if code == "430001" {
			word = "drop"
		}
		l.is(category, word, "failure")
	case action == "Allow", action == "Trust", action == "Fastpath":
		l.is(category, "allow", "success")
	default:
		l.is(category, "", "")
	}
}

// ftdValue reads up to the next ", Key: ".
func ftdValue(s string) (value, rest string) {
	for at := 0; ; {
		i := strings.Index(s[at:], ", ")
		if i < 0 {
			return s, ""
		}
		at += i + 2
		n := at
		for n < len(s) && (isLetter(s[n]) || isDigit(s[n]) || s[n] == '_') {
			n++
		}
		if n > at && n+1 < len(s) && s[n] == ':' && s[n+1] == ' ' {
			return s[:at-2], s[at:]
		}
	}
}
