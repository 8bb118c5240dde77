package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func sonicWallParser() content {
	return content{
		Info: Info{
			Name:    "sonicwall",
			Sources: []string{"sonicwall"},
			About:   "SonicWall firewalls: connections, dropped packets, intrusion prevention, web sites, logins (id=… sn=… m=…)",
			Samples: []Sample{
				{`<134>  id=firewall sn=0017C5000000 time="2026-03-04 05:06:07 UTC" fw=192.0.2.1 pri=1 c=32 m=82 msg="Possible port scan detected" n=1 src=203.0.113.9:4000:X1:scanner.example dst=192.0.2.10:22:X0 proto=tcp/ssh note="TCP scanned port list"`, []string{
					"source=sonicwall", "vendor=SonicWall", "host=192.0.2.1", "event_code=82", "category=intrusion_detection", "src_ip=203.0.113.9", "src_port=4000", "src_host=scanner.example", "in_iface=X1",
					"dst_ip=192.0.2.10", "dst_port=22", "proto=tcp", "app_proto=ssh", "message=Possible port scan detected", "time_quality=exact", "level=alert", "severity=high",
				}},
				{`id=firewall sn=0017C5000000 time="2026-03-04 05:06:07" fw=192.0.2.1 pri=6 c=262144 m=98 msg="Connection Opened" app=49175 n=7 src=10.0.0.8:40022:X0 dst=198.51.100.7:443:X1 proto=tcp/https sent=60`, []string{"category=network", "action=allow", "outcome=success", "src_bytes=60", "dst_port=443"}},
				{`id=firewall sn=0017C5000000 time="2026-03-04 05:06:07" fw=192.0.2.1 pri=5 c=64 m=36 msg="TCP packet dropped" n=3 src=203.0.113.9:4000:X1 dst=192.0.2.1:23 rule="7 (WAN->LAN)"`, []string{"action=drop", "outcome=failure", "rule_name=7 (WAN->LAN)"}},
				{`id=firewall sn=0017C5000000 time="2026-03-04 05:06:07" fw=192.0.2.1 pri=1 c=32 m=30 msg="Administrator login denied due to bad credentials" n=3 usr="admin" src=203.0.113.9:0:X1 dst=192.0.2.1:443:X1`, []string{"category=authentication", "action=login", "outcome=failure", "user=admin"}},
			},
		},
		parse: parseSonicWall,
	}
}

func isSonicWall(s string) bool {
	if !strings.HasPrefix(s, "id=") && !strings.HasPrefix(s, "sn=") {
		return false
	}
	near := s[:min(len(s), 160)]
	return strings.Contains(near, "sn=") && strings.Contains(near, " fw=") && strings.Contains(near, " m=")
}

func parseSonicWall(l *line) bool {
	s := strings.TrimLeft(l.text, " ")
	if !isSonicWall(s) {
		return false
	}
	l.text = s
	if !parseKV(l) {
		return false
	}
	own := slices.Clip(l.e.Fields)
	l.source = "sonicwall"
	l.knownAs("sonicwall", "SonicWall", "SonicOS")
	var code, action string
	for _, f := range own {
		switch f.Name {
		case "m":
			code = f.Value
			l.once(event.EventCode, code)
		case "fw":
			l.addPeer(event.HostIP, "", f.Value)
			if l.host == "" {
				l.host = f.Value
			}
		case "pri":
			if len(f.Value) == 1 && f.Value[0] >= '0' && f.Value[0] <= '7' {
				l.level = syslogLevels[f.Value[0]-'0']
				l.atLeast(syslogSeverity(int(f.Value[0] - '0')))
			}
		case "src", "dst":
			l.sonicWallEnd(f.Name == "src", f.Value)
		case event.Proto:
			proto, app, _ := strings.Cut(f.Value, "/")
			l.put(event.Proto, l.protocol(proto))
			l.once(event.AppProto, app)
		case "sent":
			l.onceInt(event.SrcBytes, f.Value)
		case "rcvd":
			l.onceInt(event.DstBytes, f.Value)
		case "usr", "user":
			l.account(f.Value)
		case "rule":
			l.once(event.RuleName, f.Value)
		case "ipscat", "spycat":
			l.put(event.RuleName, f.Value)
		case "srcMac":
			l.once(event.SrcMAC, f.Value)
		case "dstMac":
			l.once(event.DstMAC, f.Value)
		case "dstname":
			l.once(event.Domain, f.Value)
		case "arg":
			l.addURL(f.Value)
		case "result":
			l.onceInt(event.HTTPStatus, f.Value)
		case "fw_action", "af_action":
			action = f.Value
		}
	}
	l.sonicWallMeaning(code, action)
	return true
}

// sonicWallEnd reads ADDRESS:PORT:INTERFACE:NAME.
func (l *line) sonicWallEnd(src bool, s string) {
	ip, host, port, iface := side(src)
	addr, s, _ := strings.Cut(s, ":")
	number, s, _ := strings.Cut(s, ":")
	name, s, _ := strings.Cut(s, ":")
	l.once(ip, ipOrNone(addr))
	l.onceInt(port, number)
	l.once(iface, name)
	l.once(host, s)
}

func (l *line) sonicWallMeaning(code, action string) {
	text := l.message
	switch {
	case containsFold(text, "login denied"), containsFold(text, "login fail"), containsFold(text, "bad credentials"), containsFold(text, "logon failure"):
		l.happened("authentication", "login", "failure")
	case containsFold(text, "login allowed"), containsFold(text, "login success"), containsFold(text, "logged in"):
		l.happened("authentication", "login", "success")
	case containsFold(text, "logout"), containsFold(text, "logged out"):
		l.putThree("authentication", "logout", "success")
	case code == "98":
		l.putThree("network", "allow", "success")
	case code == "537":
		l.putThree("network", "session_close", "success")
	case code == "97":
		l.putThree("web", "request", "success")
	case containsFold(text, "attack"), containsFold(text, "port scan"), containsFold(text, "ips detection"), containsFold(text, "ips prevention"), containsFold(text, "spoof"), containsFold(text, "flood"):
		l.putThree("intrusion_detection", firewallAction(text), firewallOutcome(text))
	case action != "" && firewallAction(action) != "":
		l.putThree("network", firewallAction(action), firewallOutcome(action))
	default:
		l.putThree("network", firewallAction(text), firewallOutcome(text))
	}
}
