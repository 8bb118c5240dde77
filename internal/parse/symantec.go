package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func symantecParser() content {
	return content{
		Info: Info{
			Name:     "symantec_ep",
			Sources:  []string{"symantec_ep"},
			Programs: []string{"symantecserver"},
			About:    "Symantec Endpoint Protection Manager: risks, intrusion prevention, firewall traffic, behaviour, scans, administration",
			Samples: []Sample{
				{`<54>Mar  4 05:06:07 sepm1 SymantecServer: Virus found,IP Address: 10.0.0.8,Computer name: ws7,Source: Auto-Protect scan,Risk name: EICAR Test String,Occurrences: 1,File path: C:\tmp\x.com,"Still contains, 2",Actual action: Quarantined,Requested action: Cleaned,Event time: 2026-03-04 05:06:07,User: bob`, []string{
					"source=symantec_ep", "vendor=Symantec", "host=sepm1", "category=malware", "action=quarantine", "outcome=success", "rule_name=EICAR Test String", "src_ip=10.0.0.8", "src_host=ws7", "user=bob",
					`file_path=C:\tmp\x.com`, "severity=high",
				}},
				{`<54>Mar  4 05:06:07 sepm1 SymantecServer: ws7,Local Host IP: 10.0.0.8,Local Port: 50221,Remote Host IP: 203.0.113.9,Remote Host Name: evil.example,Remote Port: 445,Outbound,Application: C:/x.exe,Action: Blocked,Rule: Block all`, []string{
					"category=network", "action=deny", "outcome=failure", "src_ip=10.0.0.8", "src_port=50221", "dst_ip=203.0.113.9", "dst_port=445", "direction=outbound", "process_path=C:/x.exe", "rule_name=Block all",
				}},
				{`<54>Mar  4 05:06:07 sepm1 SymantecServer: ws7,Event Description: "Web Attack: Fake Scan",Local Host IP: 10.0.0.8,Remote Host IP: 203.0.113.9,Inbound,TCP,Intrusion ID: 7,User Name: bob`, []string{
					"category=intrusion_detection", "rule_name=Web Attack: Fake Scan", "rule_id=7", "src_ip=203.0.113.9", "dst_ip=10.0.0.8", "direction=inbound", "proto=tcp",
				}},
				{`<54>Mar  4 05:06:07 sepm1 SymantecServer: Site: S,Server Name: sepm1,Domain Name: D,Admin: eve,Event Description: Administrator log on failed`, []string{"category=authentication", "action=login", "outcome=failure", "user=eve"}},
			},
		},
		parse: parseSymantec,
	}
}

// parseSymantec reads "Key: value" between commas, some values of which are quoted.
func parseSymantec(l *line) bool {
	if !strings.EqualFold(l.program, "SymantecServer") || l.text == "" {
		return false
	}
	var columns [maxColumns]string
	n := csvColumns(l.text, columns[:])
	l.knownAs("symantec_ep", "Symantec", "Endpoint Protection")
	s := sepRecord{}
	for _, c := range columns[:n] {
		key, value, ok := strings.Cut(c, ": ")
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"`)
		switch {
		case ok && len(key) <= 48 && value != "":
			l.native("", key, value)
			s.pair(l, key, value)
		case strings.EqualFold(c, "inbound"), strings.EqualFold(c, "outbound"):
			s.direction = l.p.lower(c)
			l.once(event.Direction, s.direction)
		case c == "TCP" || c == "UDP" || c == "ICMP":
			l.once(event.Proto, l.protocol(c))
		case c == "Blocked" || c == "Allowed":
			s.action = c
		}
	}
	s.done(l)
	return true
}

// sepRecord gathers what decides together.
type sepRecord struct {
	localIP, remoteIP, localPort, remotePort, remoteHost string
	direction, action, risk, intrusion, text             string
	admin                                                bool
}

func (s *sepRecord) pair(l *line, key, value string) {
	switch key {
	case "Local Host IP", "Local Host":
		s.localIP = value
	case "Remote Host IP":
		s.remoteIP = value
	case "Local Port":
		s.localPort = value
	case "Remote Port":
		s.remotePort = value
	case "Remote Host Name":
		s.remoteHost = value
	case "IP Address":
		l.once(event.SrcIP, ipOrNone(value))
	case "Computer name", "Computer":
		l.once(event.SrcHost, value)
	case "User", "User Name", "User1":
		l.account(value)
	case "Admin":
		s.admin = true
		l.account(value)
	case "Application", "Application name":
		l.once(event.ProcessPath, value)
	case "File path":
		l.once(event.FilePath, value)
	case "Application hash":
		if len(value) == 64 {
			l.once(event.HashSHA256, value)
		}
	case "Action", "Actual action":
		s.action = value
	case "Risk name", "Risk Name":
		s.risk = value
		l.put(event.RuleName, value)
	case "Rule":
		l.once(event.RuleName, value)
	case "Intrusion ID":
		s.intrusion = value
		l.once(event.RuleID, value)
	case "Event Description":
		s.text = value
	}
}

func (s *sepRecord) done(l *line) {
	src, dst, srcPort, dstPort := s.localIP, s.remoteIP, s.localPort, s.remotePort
	inbound := s.direction == "inbound"
	if inbound {
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
	}
	l.once(event.SrcIP, ipOrNone(src))
	l.once(event.DstIP, ipOrNone(dst))
	l.onceInt(event.SrcPort, srcPort)
	l.onceInt(event.DstPort, dstPort)
	if inbound {
		l.once(event.SrcHost, s.remoteHost)
	} else {
		l.once(event.DstHost, s.remoteHost)
	}
	switch {
	case s.risk != "":
		outcome := "success"
		action := "detect"
		switch {
		case containsFold(s.action, "quarantin"):
			action = "quarantine"
		case containsFold(s.action, "clean"), containsFold(s.action, "delet"):
			action = "clean"
		case containsFold(s.action, "left alone"), containsFold(s.action, "failed"):
			outcome = "failure"
		}
		l.putThree("malware", action, outcome)
		l.atLeast(high)
	case s.intrusion != "":
		l.once(event.RuleName, s.text)
		l.putThree("intrusion_detection", firewallAction(s.action), firewallOutcome(s.action))
		l.atLeast(medium)
	case containsFold(s.text, "log on failed"):
		l.happened("authentication", "login", "failure")
	case containsFold(s.text, "log on succeeded"):
		l.happened("authentication", "login", "success")
	case s.admin:
		l.mean("configuration", "config_change", "success", low)
	case s.remoteIP != "":
		l.putThree("network", firewallAction(s.action), firewallOutcome(s.action))
	}
}
