package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func checkPointParser() content {
	return content{
		Info: Info{
			Name:     "checkpoint",
			Sources:  []string{"checkpoint"},
			Programs: []string{"checkpoint"},
			About:    "Check Point gateways and management, as Log Exporter writes them for syslog, Splunk, CEF and LEEF: connections, threat prevention, logins, audit",
			Samples: []Sample{
				{`<134>1 2026-03-04T05:06:08Z gw1 CheckPoint 7776 - [action:"Drop"; flags:"278528"; ifdir:"inbound"; ifname:"eth1"; loguid:"{0x60928f1d,0x8}"; origin:"192.0.2.1"; time:"1772600767"; version:"5"; __policy_id_tag:"product=VPN-1 & FireWall-1[db_tag={X};policy_name=Standard\]"; dst:"10.0.0.5"; product:"VPN-1 & FireWall-1"; proto:"6"; rule_name:"Cleanup"; s_port:"52780"; service:"22"; src:"203.0.113.9"]`, []string{
					"source=checkpoint", "vendor=Check Point", "product=VPN-1 & FireWall-1", "host=gw1", "category=network", "action=drop", "outcome=failure", "src_ip=203.0.113.9", "src_port=52780", "dst_ip=10.0.0.5",
					"dst_port=22", "proto=tcp", "rule_name=Cleanup", "direction=inbound", "in_iface=eth1", "service=22", "time_quality=exact",
				}},
				{`<134>1 2026-03-04T05:06:07Z gw1 CheckPoint 7777 - [action:"Prevent"; product:"IPS"; protection_name:"SQL injection"; attack:"Web"; severity:"4"; src:"203.0.113.9"; dst:"10.0.0.5"; proto:"17"; service:"53"; user:"bob (bob)"]`, []string{
					"category=intrusion_detection", "action=drop", "outcome=failure", "rule_name=SQL injection", "severity=critical", "proto=udp", "user=bob",
				}},
				{`time=1772600767|hostname=gw2|product=SmartConsole|action=Accept|operation=Log In|administrator=carol|client_ip=10.0.0.9|audit_status=Failure|subject=Administrator Login`, []string{
					"host=gw2", "category=authentication", "action=login", "outcome=failure", "user=carol", "src_ip=10.0.0.9", "time_quality=exact",
				}},
				{`CEF:0|Check Point|VPN-1 & FireWall-1|Check Point|Log|https|Unknown|act=Accept deviceDirection=0 rt=1772600767000 spt=40022 dpt=443 cs2Label=Rule Name cs2=web src=10.0.0.8 dst=198.51.100.7 proto=6 product=VPN-1 & FireWall-1`, []string{
					"source=checkpoint", "action=allow", "outcome=success", "rule_name=web", "proto=tcp", "direction=inbound",
				}},
			},
		},
		parse: parseCheckPoint,
	}
}

// isCheckPoint tells the two forms of Log Exporter that have no header of their own.
func isCheckPoint(s string) bool {
	return strings.HasPrefix(s, `[action:"`) || strings.HasPrefix(s, `[flags:"`) || strings.HasPrefix(s, "time=") && strings.Contains(s[:min(len(s), 64)], "|hostname=")
}

func parseCheckPoint(l *line) bool {
	s := l.text
	bars := strings.HasPrefix(s, "time=") && strings.IndexByte(s, '|') > 0
	if !bars && (s == "" || s[0] != '[' || !strings.Contains(s, `:"`)) {
		return false
	}
	l.source = "checkpoint"
	l.add(event.Vendor, "Check Point")
	if l.program == "CheckPoint" {
		l.program = ""
	}
	if bars {
		for s != "" {
			var pair string
			pair, s, _ = strings.Cut(s, "|")
			if key, value, ok := strings.Cut(pair, "="); ok {
				l.checkPointPair(strings.TrimSpace(key), value)
			}
		}
	} else {
		s = s[1:]
		for {
			s = strings.TrimLeft(s, " ;")
			i := strings.IndexByte(s, ':')
			if i <= 0 || i > 128 {
				break
			}
			key := s[:i]
			s = strings.TrimLeft(s[i:], ":")
			if s == "" || s[0] != '"' {
				break
			}
			value, n := quoted(l, s)
			if n == 0 {
				break
			}
			s = s[n:]
			l.checkPointPair(key, value)
		}
	}
	l.checkPointMeaning()
	return true
}

// checkPointPair keeps a key under its own name and gives it its meaning.
func (l *line) checkPointPair(key, value string) {
	if key == "" || value == "" || value == " " || len(key) > 128 || len(l.e.Fields) >= maxJSONFields {
		return
	}
	l.native("", key, value)
	switch key {
	case "src", "client_ip", "client_inbound_interface":
		if a, ok := address(value); ok {
			l.once(event.SrcIP, a)
		}
	case "dst":
		l.addPeer(event.DstIP, event.DstHost, value)
	case "s_port", "sport_svc":
		l.onceInt(event.SrcPort, value)
	case "service", "svc":
		l.onceInt(event.DstPort, value)
	case "proto":
		l.once(event.Proto, l.protocol(value))
	case "service_id", "app_proto":
		l.once(event.AppProto, l.p.lower(value))
	case "ifdir":
		l.once(event.Direction, value)
	case "ifname":
		if l.e.Get("ifdir") == "outbound" {
			l.once(event.OutIface, value)
		} else {
			l.once(event.InIface, value)
		}
	case "xlatesrc":
		l.addPeer(event.SrcNATIP, "", value)
	case "xlatedst":
		l.addPeer(event.DstNATIP, "", value)
	case "rule_uid":
		l.once(event.RuleID, value)
	case "rule_name", "protection_name":
		l.put(event.RuleName, value)
	case "product":
		l.once(event.Product, value)
	case "user", "src_user_name", "administrator":
		who, _, _ := strings.Cut(strings.TrimSpace(value), " (")
		l.account(who)
	case "resource":
		l.addURL(value)
		l.bareURL(value)
	case "http_method", "method":
		l.once(event.HTTPMethod, value)
	case "user_agent", "client_name":
		l.once(event.UserAgent, value)
	case "file_name":
		l.once(event.FilePath, value)
	case "file_sha256":
		l.once(event.HashSHA256, value)
	case "file_md5":
		l.once(event.HashMD5, value)
	case "client_inbound_bytes", "received_bytes":
		l.onceInt(event.DstBytes, value)
	case "client_outbound_bytes", "sent_bytes":
		l.onceInt(event.SrcBytes, value)
	case "attack", "app_category":
		l.once(event.RuleCategory, value)
	case "reason", "action_reason":
		l.once(event.Reason, value)
	case "hostname", "origin_sic_name":
		if key == "hostname" {
			l.host = value
		}
	case "origin":
		if l.host == "" {
			l.host = value
		}
		l.addPeer(event.HostIP, "", value)
	case "time":
		if t, q, ok := l.timeText(value); ok {
			l.setTime(t, q)
		}
	}
}

// onceInt is once for numbers.
func (l *line) onceInt(name, value string) {
	if v, ok := canonicalInt(value); ok {
		l.once(name, v)
	}
}

// checkPointMeaning says what happened, by the blade and the action.
func (l *line) checkPointMeaning() {
	e := l.e
	action := e.Get("fields.action")
	if action == "" {
		action = e.Get(event.Action)
	}
	blade := e.Get(event.Product)
	category := "network"
	switch {
	case e.Get("operation") != "" || strings.HasPrefix(blade, "SmartConsole") || strings.HasPrefix(blade, "SmartDashboard"):
		outcome := "success"
		if status := e.Get("audit_status"); status != "" && status != "Success" {
			outcome = "failure"
		}
		op := e.Get("operation")
		switch {
		case strings.EqualFold(op, "log in"), strings.HasSuffix(op, "Login"), strings.HasSuffix(e.Get("subject"), "Login"):
			l.happened("authentication", "login", outcome)
		case strings.EqualFold(op, "log out"):
			l.putThree("authentication", "logout", outcome)
		default:
			l.mean("configuration", "config_change", outcome, low)
		}
		return
	case containsFold(blade, "ips"), containsFold(blade, "threat"), containsFold(blade, "smartdefense"), containsFold(blade, "anti-bot"), containsFold(blade, "anti-exploit"):
		category = "intrusion_detection"
	case containsFold(blade, "anti-virus"), containsFold(blade, "anti-malware"), containsFold(blade, "emulation"):
		category = "malware"
	case containsFold(blade, "url filtering"), containsFold(blade, "application control"):
		category = "web"
	}
	switch action {
	case "Log In", "Failed Log In", "log in":
		outcome := "success"
		if strings.HasPrefix(action, "Failed") || e.Get("auth_status") == "Failed Login" {
			outcome = "failure"
		}
		l.happened("authentication", "login", outcome)
	case "Log Out":
		l.putThree("authentication", "logout", "success")
	default:
		word := firewallAction(action)
		if category == "intrusion_detection" && word == "deny" {
			word = "drop"
		}
		l.putThree(category, word, firewallOutcome(action))
	}
	if category == "intrusion_detection" || category == "malware" {
		switch e.Get("fields.severity") {
		case "4", "Critical":
			l.atLeast(critical)
		case "3", "High":
			l.atLeast(high)
		case "2", "Medium":
			l.atLeast(medium)
		}
	}
	if rule := e.Get("Rule_Name"); rule != "" { // CEF's label
		l.put(event.RuleName, rule)
	}
}
