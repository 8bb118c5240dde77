package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func sophosParser() content {
	return content{
		Info: Info{
			Name:    "sophos",
			Sources: []string{"sophos_xg", "sophos_utm", "sophos"},
			About:   "Sophos Firewall (XG, XGS) and Sophos UTM: packets, web and application filter, intrusion prevention, antivirus, logins, events",
			Samples: []Sample{
				{`<30>device_name="SFW" timestamp="2026-03-04T05:06:07+0100" device_model="XGS" device_serial_id="C01" log_id="010102600002" log_type="Firewall" log_component="Firewall Rule" log_subtype="Denied" log_version=1 severity="Information" fw_rule_id="12" fw_rule_name="deny all" in_interface="Port2" out_interface="Port1" src_mac="00:00:5e:00:53:01" src_ip="203.0.113.9" dst_ip="10.0.0.5" protocol="TCP" src_port=4000 dst_port=22 bytes_sent=60 bytes_received=0`, []string{
					"source=sophos_xg", "vendor=Sophos", "host=SFW", "category=network", "action=deny", "outcome=failure", "src_ip=203.0.113.9", "src_port=4000", "dst_ip=10.0.0.5", "dst_port=22", "proto=tcp",
					"rule_id=12", "rule_name=deny all", "in_iface=Port2", "src_bytes=60", "event_code=010102600002", "dataset=sophos.firewall", "time_quality=exact", "severity=info",
				}},
				{`<30>device="SFW" date=2026-03-04 time=05:06:07 timezone="CET" device_name="XG210" device_id=S1 log_id=062910617702 log_type="Event" log_component="GUI" log_subtype="Admin" status="Failed" priority=Notice user_name="admin" src_ip=203.0.113.9 message="User admin failed to login to GUI because of wrong credentials"`, []string{
					"source=sophos_xg", "host=XG210", "category=authentication", "action=login", "outcome=failure", "user=admin", "src_ip=203.0.113.9", "severity=medium",
				}},
				{`device="SFW" date=2026-03-04 time=05:06:07 timezone="CET" device_name="XG210" device_id=S1 log_id=050901616001 log_type="Content Filtering" log_component="HTTP" log_subtype="Denied" fw_rule_id=5 user_name="bob" category="Malware" url="http://example.com/a?b" src_ip=10.0.0.8 dst_ip=198.51.100.7 protocol="TCP" src_port=40022 dst_port=80 domain=example.com`, []string{
					"category=web", "action=deny", "user=bob", "url_path=/a", "domain=example.com", "rule_category=Malware",
				}},
				{`<30>2026:03:04-05:06:07 utm1 ulogd[12511]: id="2001" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped" action="drop" fwrule="60001" initf="eth6" srcmac="00:00:5e:00:53:01" dstmac="00:00:5e:00:53:02" srcip="203.0.113.9" dstip="10.0.0.5" proto="6" length="60" ttl="56" srcport="5319" dstport="22" tcpflags="SYN"`, []string{
					"source=sophos_utm", "host=utm1", "program=ulogd", "action=drop", "outcome=failure", "src_ip=203.0.113.9", "dst_port=22", "proto=tcp", "rule_id=60001", "in_iface=eth6", "event_code=2001", "dataset=sophos.packetfilter",
					"tcp_flags=SYN", "message=Packet dropped",
				}},
				{`<30>2026:03:04-05:06:07 utm1 aua[7]: id="3005" severity="warn" sys="System" sub="auth" name="Authentication failed" srcip="203.0.113.9" host="" user="eve" caller="webadmin" reason="DENIED"`, []string{
					"category=authentication", "action=login", "outcome=failure", "user=eve", "src_ip=203.0.113.9", "reason=DENIED",
				}},
			},
		},
		parse: parseSophos,
	}
}

// isSophos tells the first keys of a Sophos Firewall and of a UTM.
func isSophos(s string) bool {
	switch {
	case strings.HasPrefix(s, `device="SFW"`):
		return true
	case strings.HasPrefix(s, "device_name="):
		return strings.Contains(s, " log_id=") && strings.Contains(s, " log_type=")
	case strings.HasPrefix(s, `id="`):
		return strings.Contains(s[:min(len(s), 64)], `" severity="`) && strings.Contains(s[:min(len(s), 96)], ` sys="`)
	}
	return false
}

func parseSophos(l *line) bool {
	if !isSophos(l.text) {
		return false
	}
	utm := l.text[0] == 'i'
	if !parseKV(l) {
		return false
	}
	if utm {
		l.sophosUTM()
	} else {
		l.sophosXG()
	}
	return true
}

func (l *line) sophosXG() {
	own := slices.Clip(l.e.Fields)
	l.source = "sophos_xg"
	l.once(event.Vendor, "Sophos")
	l.once(event.Product, "Firewall")
	var kind, component, sub, status, text string
	for _, f := range own {
		switch f.Name {
		case "log_type":
			kind = f.Value
		case "log_component":
			component = f.Value
		case "log_subtype":
			sub = f.Value
		case "status":
			status = f.Value
		case "message":
			text = f.Value
		case "log_id":
			l.once(event.EventCode, f.Value)
		case "device_name":
			if l.host == "" || l.host == l.r.Peer {
				l.host = f.Value
			}
		case "fw_rule_id":
			l.once(event.RuleID, f.Value)
		case "fw_rule_name", "signature_msg", "virus", "malware":
			l.put(event.RuleName, f.Value)
		case "signature_id":
			l.put(event.RuleID, f.Value)
		case "in_interface", "in_display_interface":
			l.once(event.InIface, f.Value)
		case "out_interface", "out_display_interface":
			l.once(event.OutIface, f.Value)
		case "protocol":
			l.once(event.Proto, l.protocol(f.Value))
		case "bytes_sent", "sent_bytes":
			l.onceInt(event.SrcBytes, f.Value)
		case "bytes_received", "recv_bytes":
			l.onceInt(event.DstBytes, f.Value)
		case "src_trans_ip":
			l.addPeer(event.SrcNATIP, "", f.Value)
		case "dst_trans_ip":
			l.addPeer(event.DstNATIP, "", f.Value)
		case "app_name", "application":
			l.once(event.AppProto, l.p.lower(f.Value))
		case "priority":
			l.setLevel(f.Value)
		case "con_id":
			l.once(event.SessionID, f.Value)
		case "http_status":
		case "url":
		}
	}
	l.dataset = l.sophosSet(kind)
	if text == "" {
		text = l.message
	}
	word := sub
	if firewallAction(word) == "" {
		word = status
	}
	category := "network"
	switch kind {
	case "Content Filtering", "Web filter", "WAF", "Web Filter", "Application filter":
		category = "web"
		if c := l.e.Get(event.Category); c != "" { // the site's
			l.once(event.RuleCategory, c)
		}
		if url := l.e.Get(event.URL); url != "" && l.e.Get(event.URLPath) == "" {
			l.splitURL(url)
		}
	case "IDP", "IPS", "ATP":
		category = "intrusion_detection"
		l.atLeast(medium)
	case "Anti-Virus", "Anti-virus", "Sandbox", "Sandstorm":
		category = "malware"
	case "Event", "Events":
		l.sophosEvent(component, sub, status, text)
		return
	}
	l.putThree(category, firewallAction(word), firewallOutcome(word))
}

// splitURL adds path and query of a URL that stands as a field already.
func (l *line) splitURL(url string) {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		rest = url
	}
	i := strings.IndexByte(rest, '/')
	if i < 0 {
		return
	}
	path, query, _ := strings.Cut(rest[i:], "?")
	l.once(event.URLPath, path)
	l.once(event.URLQuery, query)
}

func (l *line) sophosEvent(component, sub, status, text string) {
	outcome := outcomeWord(status)
	if status == "Successful" || status == "Established" {
		outcome = "success"
	}
	switch {
	case sub == "Authentication", containsFold(text, "log in"), containsFold(text, "login"), containsFold(text, "logged in"), containsFold(component, "authentication"):
		if containsFold(text, "logged out") {
			l.putThree("authentication", "logout", outcome)
			return
		}
		if outcome == "unknown" && containsFold(text, "fail") {
			outcome = "failure"
		}
		l.happened("authentication", "login", outcome)
	case sub == "Admin":
		l.putThree("configuration", "config_change", outcome)
		l.atLeast(low)
	default:
		l.putThree("host", "", outcome)
	}
}

func (l *line) sophosUTM() {
	own := slices.Clip(l.e.Fields)
	l.source = "sophos_utm"
	l.once(event.Vendor, "Sophos")
	l.once(event.Product, "UTM")
	var sub, name, action string
	for _, f := range own {
		switch f.Name {
		case "fields.id":
			l.once(event.EventCode, f.Value)
		case "sub":
			sub = f.Value
		case "name":
			name = f.Value
		case event.Action:
			action = f.Value
		case "fwrule":
			l.once(event.RuleID, f.Value)
		case "initf":
			l.once(event.InIface, f.Value)
		case "outitf":
			l.once(event.OutIface, f.Value)
		case "srcmac":
			l.once(event.SrcMAC, f.Value)
		case "dstmac":
			l.once(event.DstMAC, f.Value)
		case "tcpflags":
			l.once(event.TCPFlags, f.Value)
		case "statuscode":
			l.onceInt(event.HTTPStatus, f.Value)
		case "reason":
			l.once(event.Reason, f.Value)
		case "url":
			l.splitURL(f.Value)
			l.bareURL(f.Value)
		}
	}
	l.dataset = l.sophosSet(sub)
	if name != "" {
		l.say(name)
	}
	switch sub {
	case "packetfilter":
		l.putThree("network", firewallAction(action), firewallOutcome(action))
	case "http":
		l.putThree("web", firewallAction(action), firewallOutcome(action))
	case "ips":
		l.putThree("intrusion_detection", firewallAction(action), firewallOutcome(action))
		l.atLeast(medium)
	case "auth":
		outcome := "success"
		if containsFold(name, "fail") {
			outcome = "failure"
		}
		l.happened("authentication", "login", outcome)
	}
}

// sophosSet makes "sophos.firewall" of a kind.
func (l *line) sophosSet(kind string) string {
	if kind == "" {
		return ""
	}
	const maker = "sophos."
	short := [96]byte{}
	copy(short[:], maker)
	set := appendSnake(short[len(maker):len(maker)], kind[:min(len(kind), 32)])
	return l.p.names.of(short[:len(maker)+len(set)])
}
