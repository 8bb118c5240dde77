package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func arubaParser() content {
	return content{
		Info: Info{
			Name:     "aruba",
			Sources:  []string{"aruba_clearpass", "aruba_edgeconnect", "hpe_procurve", "hpe_comware", "huawei_vrp"},
			Programs: []string{"tunneld", "neighd"},
			About:    "HPE Aruba ClearPass and EdgeConnect, ProCurve and ArubaOS-Switch; Comware and Huawei VRP by the form of their messages",
			Samples: []Sample{
				{`<134>Mar  4 05:06:07 cp1 All Session Log Fields 4 1 0 Common.Alerts-Present=0,Common.Login-Status=REJECT,Common.Error-Code=201,Common.Username=bob,Common.NAS-IP-Address=10.0.0.2,Common.Host-MAC-Address=00005e005301`, []string{
					"source=aruba_clearpass", "vendor=Aruba", "host=cp1", "category=authentication", "action=login", "outcome=failure", "user=bob", "src_mac=00005e005301", "Common.Error-Code=201",
				}},
				{`<134>Mar  4 05:06:07 cp1 CPPM_System_Events 973 1 0 event_source=SnmpService,level=ERROR,category=Trap,description=Switch IP=10.0.0.67. Ignore v2c trap.,action_key=Failed`, []string{"source=aruba_clearpass", "level=ERROR", "event_source=SnmpService"}},
				{`Mar  4 05:06:07 ec1 tunneld[1234]: TID 0000000000000000: [tunneld.NOTICE]: New license token system max bandwidth 1000000`, []string{"source=aruba_edgeconnect", "program=tunneld", "level=NOTICE"}},
				{`<134> Mar  4 05:06:07 sw1 00179 mgr:  SME SSH from 192.0.2.22 - MANAGER Mode`, []string{"source=hpe_procurve", "host=sw1", "program=mgr", "event_code=00179", "category=authentication", "action=login", "src_ip=192.0.2.22"}},
				{`<134> Mar  4 05:06:07 sw2 %%10SHELL/5/SHELL_LOGIN: carol logged in from 10.0.0.9.`, []string{"source=hpe_comware", "event_code=SHELL_LOGIN", "level=notice", "category=authentication", "action=login", "user=carol", "src_ip=10.0.0.9"}},
				{`<188>Mar 4 2026 05:06:07 ne1 %%01SSH/4/SSH_FAIL(l)[7]:Failed to login through SSH. (IP=203.0.113.9, UserName=eve)`, []string{"source=huawei_vrp", "vendor=Huawei", "event_code=SSH_FAIL", "category=authentication", "outcome=failure", "user=eve", "src_ip=203.0.113.9"}},
			},
		},
		parse: parseAruba,
	}
}

// clearPass finds where the pairs of a ClearPass record begin: behind its filter's
// name and three numbers.
func clearPass(s string) int {
	near := s[:min(len(s), 160)]
	before, _, ok := strings.Cut(near, "=")
	if !ok {
		return -1
	}
	i := strings.LastIndexByte(before, ' ')
	if i < 6 {
		return -1
	}
	head := near[:i]
	for range 3 {
		j := strings.LastIndexByte(head, ' ')
		if j < 0 || !allDigits(head[j+1:]) {
			return -1
		}
		head = head[:j]
	}
	if !strings.HasPrefix(s, "CPPM_") && !strings.HasPrefix(s, "All ") && !strings.HasPrefix(near[i+1:], "Common.") && !strings.HasPrefix(near[i+1:], "RADIUS.") && !strings.HasPrefix(near[i+1:], "TACACS.") {
		return -1
	}
	return i + 1
}

// comware tells "%%10MODULE/LEVEL/MNEMONIC(l): text" of Comware and VRP.
func comware(s string) (maker, module, level, code, text string, ok bool) {
	i := strings.Index(s[:min(len(s), 32)], "%%")
	if i < 0 || i+8 > len(s) || !isDigit(s[i+2]) || !isDigit(s[i+3]) {
		return "", "", "", "", "", false
	}
	maker, s = s[i+2:i+4], s[i+4:]
	end := strings.IndexByte(s[:min(len(s), 96)], ':')
	if end < 0 {
		return "", "", "", "", "", false
	}
	head, text := s[:end], strings.TrimSpace(s[end+1:])
	module, head, a := strings.Cut(head, "/")
	level, code, b := strings.Cut(head, "/")
	if !a || !b || len(level) != 1 || level[0] < '0' || level[0] > '7' {
		return "", "", "", "", "", false
	}
	code, _, _ = strings.Cut(code, "(")
	code, _, _ = strings.Cut(code, "[")
	return maker, module, level, code, text, true
}

// proCurve tells "00179 mgr:  text".
func proCurve(s string) bool {
	s = strings.TrimLeft(s, " ")
	if digits(s) != 5 || len(s) < 10 || s[5] != ' ' {
		return false
	}
	program, _, ok := strings.Cut(s[6:min(len(s), 24)], ":")
	if !ok {
		return false
	}
	switch program {
	case "mgr", "ports", "port", "ssh", "telnet", "chassis", "snmp", "dhcp", "dhcp-snoop", "dhcpr", "auth", "FFI", "ip", "vlan", "system", "stp", "update", "SNTP", "timep", "crypto", "lacp", "ssl",
		"sessions", "udpf", "usb", "tftp", "cos", "lldp", "ldbal", "garp", "loop-protect", "802.1x", "console", "radius", "tacacs", "maclock", "macauth", "arp-protect", "igmp", "pim", "ospf", "vrrp",
		"HTTPS", "HTTP", "licensing", "dma", "fault-finder", "connfilt", "job", "dlptct", "mtm", "stack", "hpesp", "ACL", "QoS":
		return true
	}
	return false
}

func isAruba(s string) bool {
	if _, _, _, _, _, ok := comware(s); ok {
		return true
	}
	return proCurve(s) || clearPass(s) >= 0 || edgeConnect(s) != ""
}

// edgeConnect returns the level of "TID 0000000000000000: [tunneld.NOTICE]: ".
func edgeConnect(s string) string {
	near := s[:min(len(s), 80)]
	i := strings.Index(near, "TID 0")
	if i < 0 {
		return ""
	}
	tag, ok := between(near[i:], ": [", "]: ")
	if !ok {
		return ""
	}
	_, level, _ := strings.Cut(tag, ".")
	return level
}

func parseAruba(l *line) bool {
	s := l.text
	if maker, module, level, code, text, ok := comware(s); ok {
		if maker == "01" {
			l.knownAs("huawei_vrp", "Huawei", "VRP")
		} else {
			l.knownAs("hpe_comware", "HPE", "Comware")
		}
		l.dataset = l.p.lower(module)
		l.add(event.EventCode, code)
		n := int(level[0] - '0')
		l.level = syslogLevels[n]
		l.atLeast(syslogSeverity(n))
		if !l.says(comwareSayings, text) {
			l.loginFailure(text)
		}
		return true
	}
	if level := edgeConnect(s); level != "" {
		l.knownAs("aruba_edgeconnect", "Aruba", "EdgeConnect")
		l.setLevel(level)
		return true
	}
	if proCurve(s) {
		s = strings.TrimLeft(s, " ")
		l.knownAs("hpe_procurve", "HPE", "ProCurve")
		l.add(event.EventCode, s[:5])
		program, text, _ := strings.Cut(s[6:], ":")
		l.setProgram(program)
		l.text = strings.TrimLeft(text, " ")
		l.says(proCurveSayings, l.text)
		return true
	}
	at := clearPass(s)
	if at < 0 {
		return false
	}
	l.knownAs("aruba_clearpass", "Aruba", "ClearPass")
	l.pairs(s[at:], ',', clearPassPair)
	return true
}

func clearPassPair(l *line, key, value string) {
	switch key {
	case "level", "Level":
		l.setLevel(value)
	case "Common.Username", "RADIUS.Auth-Username", "User", "username":
		l.account(value)
	case "Common.Host-MAC-Address", "mac_address":
		l.once(event.SrcMAC, value)
	case "ip_address", "WEBAUTH.Host-IP-Address":
		l.once(event.SrcIP, ipOrNone(value))
	case "Common.Service", "service_name":
		l.once(event.RuleName, value)
	case "Common.Login-Status":
		switch value {
		case "REJECT", "TIMEOUT":
			l.happened("authentication", "login", "failure")
		case "ACCEPT":
			l.happened("authentication", "login", "success")
		}
	case "alert":
		if containsFold(value, "authentication failed") {
			l.happened("authentication", "login", "failure")
		}
	case "Action":
		if value == "MODIFY" || value == "ADD" || value == "REMOVE" {
			l.mean("configuration", "config_change", "success", low)
		}
	}
}

var (
	comwareSayings = []saying{
		{form: form("{user} logged in from {src_ip}"), category: "authentication", action: "login", outcome: "success"},
		{form: form("{user} logged out from {src_ip}"), category: "authentication", action: "logout", outcome: "success"},
		{form: form("{user} failed to log in from {src_ip}"), category: "authentication", action: "login", outcome: "failure", severity: medium},
		{form: form("Failed to login through SSH. (IP={src_ip}, UserName={user})"), category: "authentication", action: "login", outcome: "failure", severity: medium},
		{form: form("Failed to login. (Ip={src_ip}, UserName={user},{_}"), category: "authentication", action: "login", outcome: "failure", severity: medium},
		{form: form("-AAAType={_}-UserName={user}; AAA launched"), category: "authentication"},
		{form: form("-AAAType={_}-UserName={user}; AAA is successful."), category: "authentication", action: "login", outcome: "success"},
		{form: form("-AAAType={_}-UserName={user}; AAA is failed."), category: "authentication", action: "login", outcome: "failure", severity: medium},
		{form: form("-Line={_}-IPAddr={src_ip}-User={user}; Command is {cmdline}"), category: "configuration", action: "command", outcome: "success"},
	}
	proCurveSayings = []saying{
		{form: form("SME SSH from {src_ip} - {_}"), category: "authentication", action: "login", outcome: "success"},
		{form: form("SME TELNET from {src_ip} - {_}"), category: "authentication", action: "login", outcome: "success"},
		{form: form("User '{user}' logged in from {src_ip} to {_} session"), category: "authentication", action: "login", outcome: "success"},
		{form: form("Invalid user name/password on {_} session User '{user}' is trying to login from {src_ip}"), category: "authentication", action: "login", outcome: "failure", severity: medium},
		{form: form("port {in_iface} is {state}"), category: "network"},
	}
)
