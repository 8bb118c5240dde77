package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func iosParser() content {
	return content{
		Info: Info{
			Name:    "cisco_ios",
			Sources: []string{"cisco_ios", "cisco_nxos"},
			About:   "Cisco IOS, IOS XE and NX-OS: %FACILITY-SEVERITY-MNEMONIC messages behind sequence numbers, clocks and uptimes: logins, access lists, commands, interfaces, port security",
			Samples: []Sample{
				{`<189>1234: sw1: 001240: *Mar  4 05:06:07.123 UTC: %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: admin] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] at 05:06:07 UTC Wed Mar 4 2026`, []string{
					"source=cisco_ios", "vendor=Cisco", "host=sw1", "event_code=SEC_LOGIN-4-LOGIN_FAILED", "category=authentication", "action=login", "outcome=failure", "user=admin",
					"src_ip=203.0.113.9", "reason=Login Authentication Failed", "dst_port=22", "level=warning", "severity=medium",
				}},
				{`<190>Mar  4 05:06:07 192.0.2.2 sw2: 3132779: Mar  4 2026 05:06:06.398 UTC: %SEC-6-IPACCESSLOGP: list 150 denied tcp 203.0.113.9(59832) -> 10.0.0.5(22), 3 packets`, []string{
					"host=sw2", "category=network", "action=deny", "outcome=failure", "rule_name=150", "proto=tcp", "src_ip=203.0.113.9", "src_port=59832", "dst_ip=10.0.0.5", "dst_port=22", "packets=3",
					"time_quality=exact", "program=",
				}},
				{`Mar  4 05:06:07 rt1 99: Mar  4 05:06:07.020: %FMANFP-6-IPACCESSLOGDP: F0: fman_fp_image:  list ACL permitted icmp 10.0.0.26 -> 10.1.8.34 (8/0), 2 packets`, []string{
					"host=rt1", "action=allow", "proto=icmp", "rule_name=ACL", "src_ip=10.0.0.26", "dst_ip=10.1.8.34",
				}},
				{`<189>77: Mar  4 05:06:07.000: %SYS-5-CONFIG_I: Configured from console by carol on vty0 (10.0.0.9)`, []string{
					"category=configuration", "action=config_change", "user=carol", "src_ip=10.0.0.9", "severity=low",
				}},
				{`<189>78: Mar  4 05:06:07.000: %PARSER-5-CFGLOG_LOGGEDCMD: User:carol  logged command:no access-list 150`, []string{"action=config_change", "user=carol", "cmdline=no access-list 150"}},
				{`<189>79: Mar  4 05:06:07.000: %SEC_LOGIN-5-LOGIN_SUCCESS: Login Success [user: carol] [Source: 10.0.0.9] [localport: 22] at 05:06:07 UTC Wed Mar 4 2026`, []string{"action=login", "outcome=success", "user=carol", "src_ip=10.0.0.9"}},
				{`<186>80: 2y10w: %PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address 0000.5e00.5301 on port FastEthernet0/8.`, []string{
					"category=intrusion_detection", "src_mac=0000.5e00.5301", "in_iface=FastEthernet0/8", "severity=high",
				}},
				{`<187>: 2026 Mar  4 05:06:07 UTC: %AUTHPRIV-3-SYSTEM_MSG: pam_aaa:Authentication failed for user admin from 203.0.113.9 - sshd[4711]`, []string{
					"source=cisco_nxos", "category=authentication", "outcome=failure", "user=admin", "src_ip=203.0.113.9",
				}},
				{`<189>: 2026 Mar  4 05:06:07 UTC: %VSHD-5-VSHD_SYSLOG_CONFIG_I: Configured from vty by carol on 10.0.0.9@pts/0`, []string{"source=cisco_nxos", "action=config_change", "user=carol", "src_ip=10.0.0.9"}},
				{`<187>81: Mar  4 05:06:07.000: %LINK-3-UPDOWN: Interface GigabitEthernet1/0/3, changed state to down`, []string{"in_iface=GigabitEthernet1/0/3", "state=down", "category=network"}},
			},
		},
		parse: parseIOS,
	}
}

// ciscoCode finds "%FACILITY-SEVERITY-MNEMONIC: " near the start of s.
func ciscoCode(s string) (at int, facility, level, code, text string) {
	near := s[:min(len(s), 120)]
	for at = 0; ; at++ {
		i := strings.IndexByte(near[at:], '%')
		if i < 0 {
			return -1, "", "", "", ""
		}
		at += i
		if at > 0 && s[at-1] != ' ' && s[at-1] != ':' || at+6 > len(s) || !isUpperByte(s[at+1]) {
			continue
		}
		n := at + 1
		for n < len(s) && n < at+80 && (isUpperByte(s[n]) || isDigit(s[n]) || s[n] == '_' || s[n] == '-' || s[n] >= 'a' && s[n] <= 'z') {
			n++
		}
		if n >= len(s) || s[n] != ':' {
			continue
		}
		code = s[at+1 : n]
		last := strings.LastIndexByte(code, '-')
		if last < 3 || code[last-2] != '-' || code[last-1] < '0' || code[last-1] > '7' || last+1 == len(code) {
			continue
		}
		return at, code[:last-2], code[last-1 : last], code, strings.TrimLeft(s[n+1:], " ")
	}
}

func isUpperByte(c byte) bool { return c >= 'A' && c <= 'Z' }

// ciscoPrefix reads what stands between the header and the message's number:
// "sw1: 001240: *Mar  4 05:06:07.123 UTC: ". The device's name may have been taken
// for a program.
func (l *line) ciscoPrefix(s string) {
	l.ciscoName(l.program)
	l.program, l.pid, l.tagged = "", "", ""
	for s != "" {
		s = strings.TrimLeft(s, ": *.")
		if s == "" {
			return
		}
		var c clock
		rest, ok := c.bsdTime(s)
		if !ok && len(s) > 20 && isDigit(s[0]) && s[4] == ' ' {
			if year := number(s[:4]); year > 1970 {
				if rest, ok = c.bsdTime(s[5:]); ok {
					c.year = year
				}
			}
		}
		if ok {
			if t, q, ok := l.resolve(&c); ok && (!l.hasTime || q == qualityExact || l.quality == qualityYear && q == qualityZone) {
				l.setTime(t, q)
			}
			s = rest
			if i := strings.IndexByte(s, ':'); i >= 0 { // an unknown zone
				s = s[i+1:]
			} else {
				return
			}
			continue
		}
		word, more, found := strings.Cut(s, ": ")
		if !found {
			word, more = strings.TrimRight(s, ": "), ""
		}
		l.ciscoName(word)
		s = more
	}
}

// ciscoName takes a word for the device's name unless it is a counter.
func (l *line) ciscoName(word string) {
	word = strings.TrimSpace(word)
	if word == "" || allDigits(word) || word == "SFIMS" || word == "ASA" || word == "FTD" || word == "PIX" || !isHostWord(word) || isUptime(word) {
		return
	}
	if _, ok := address(l.host); ok || l.host == "" {
		l.host = trimHost(word)
	}
}

// isUptime tells "2y10w", "1d03h" and "00:05:12".
func isUptime(s string) bool {
	if !isDigit(s[0]) {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; c {
		case 'y', 'w', 'd', 'h', ':', '.':
		default:
			if !isDigit(c) {
				return false
			}
		}
	}
	return strings.IndexByte(s, '.') < 0
}

func parseIOS(l *line) bool {
	at, facility, level, code, text := ciscoCode(l.text)
	if at < 0 {
		return false
	}
	l.ciscoPrefix(l.text[:at])
	l.text = l.text[at:]
	l.source = "cisco_ios"
	product := "IOS"
	if isNXOS(facility) {
		l.source, product = "cisco_nxos", "NX-OS"
	}
	l.knownAs(l.source, "Cisco", product)
	l.add(event.EventCode, code)
	l.dataset = l.p.lower(facility)
	n := int(level[0] - '0')
	l.level = syslogLevels[n]
	l.atLeast(syslogSeverity(n))
	mnemonic := code[len(facility)+3:]
	if i := strings.Index(text, "fman_fp_image:"); i >= 0 && i < 32 {
		text = strings.TrimLeft(text[i+len("fman_fp_image:"):], " ")
	}
	if !l.says(iosSayings[mnemonic], text) && facility == "AUTHPRIV" {
		if l.loginFailure(text) {
			l.put(event.Category, "authentication")
		}
	}
	return true
}

// isNXOS knows facilities that only NX-OS has.
func isNXOS(facility string) bool {
	switch facility {
	case "VSHD", "AUTHPRIV", "ETHPORT", "ETH_PORT_CHANNEL", "VPC", "SYSMGR", "MODULE", "VDC_MGR", "FEATURE-MGR", "DAEMON", "USER", "ACLLOG", "KERN", "PFMA", "NOHMS", "ASCII-CFG":
		return true
	}
	return false
}

var iosSayings = func() map[string][]saying {
	acl := func(s string) []saying {
		return []saying{
			{form: form("list {rule_name} denied " + s), category: "network", action: "deny", outcome: "failure"},
			{form: form("list {rule_name} permitted " + s), category: "network", action: "allow", outcome: "success"},
		}
	}
	ports := acl("{proto} {src2} -> {dst2}, {packets} packet{_}")
	kinds := acl("{proto} {src2} -> {dst_ip} ({icmp}), {packets} packet{_}")
	bare := acl("{proto} {src_ip} -> {dst_ip}, {packets} packet{_}")
	login := func(s, outcome string, g severity) saying {
		return saying{form: form(s), category: "authentication", action: "login", outcome: outcome, severity: g}
	}
	config := func(s string) saying {
		return saying{form: form(s), category: "configuration", action: "config_change", outcome: "success", severity: low}
	}
	iface := []saying{{form: form("Interface {in_iface}, changed state to {state}"), category: "network"}, {form: form("Line protocol on Interface {in_iface}, changed state to {state}"), category: "network"}}
	return map[string][]saying{
		"IPACCESSLOGP":  ports,
		"ACCESSLOGP":    ports,
		"IPACCESSLOGDP": kinds,
		"ACCESSLOGDP":   kinds,
		"IPACCESSLOGRP": bare,
		"IPACCESSLOGNP": bare,
		"ACCESSLOGNP":   bare,
		"IPACCESSLOGSP": append(kinds[:2:2], bare...),
		"ACCESSLOGSP":   append(kinds[:2:2], bare...),
		"IPACCESSLOGS":  {{form: form("list {rule_name} denied {src_ip} {packets} packet{_}"), category: "network", action: "deny", outcome: "failure"}, {form: form("list {rule_name} permitted {src_ip} {packets} packet{_}"), category: "network", action: "allow", outcome: "success"}},
		"LOGIN_FAILED":  {login("Login failed [user: {user}] [Source: {src_ip}] [localport: {dst_port}] [Reason: {reason}]", "failure", medium)},
		"LOGIN_SUCCESS": {login("Login Success [user: {user}] [Source: {src_ip}] [localport: {dst_port}]", "success", info)},
		"QUIET_MODE_ON": {{form: form("Still timeleft for watching failures is {_} [user: {user}] [Source: {src_ip}] [localport: {dst_port}]"), category: "authentication", action: "account_lock", severity: medium}},
		"SSH2_USERAUTH": {
			login("User '{user}' authentication for SSH2 Session from {src_ip} (tty = {_}) using crypto cipher '{_}', hmac '{_}' Succeeded", "success", info),
			login("User '{user}' authentication for SSH2 Session from {src_ip} (tty = {_}) using crypto cipher '{_}', hmac '{_}' Failed", "failure", medium),
		},
		"SSH2_SESSION": {{form: form("SSH2 Session request from {src_ip} (tty = {_})"), category: "session", action: "session_open"}},
		"LOGOUT":       {{form: form("User {user} has exited tty session {_}({src_ip})"), category: "session", action: "session_close", outcome: "success"}},
		"CONFIG_I": {
			config("Configured from {_} by {user} on {_} ({src_ip})"), config("Configured from {_} by {user}"), config("Configured from {_}"),
		},
		"VSHD_SYSLOG_CONFIG_I": {config("Configured from {_} by {user} on {src_ip}@{_}"), config("Configured from {_} by {user} on {_}")},
		"CFGLOG_LOGGEDCMD":     {config("User:{user}  logged command:{cmdline}")},
		"RELOAD":               {{form: form("Reload requested by {user} on {_}"), category: "configuration", action: "restart", severity: medium}, {form: form("Reload requested{_}"), category: "configuration", action: "restart", severity: medium}},
		"PSECURE_VIOLATION":    {{form: form("Security violation occurred, caused by MAC address {src_mac} on port {in_iface}."), category: "intrusion_detection", action: "deny", outcome: "failure", severity: medium}},
		"DHCP_SNOOPING_DENY":   {{form: form("{_} Invalid ARPs ({_}) on {in_iface}, vlan {vlan}.([{src_mac}/{src_ip}/{_}/{dst_ip}/{_}])"), category: "intrusion_detection", action: "deny", outcome: "failure", severity: medium}},
		"HOSTFLAPPING":         {{form: form("Host {src_mac} in vlan {vlan} is flapping between port {in_iface} and port {out_iface}"), category: "network"}},
		"UPDOWN":               iface,
		"CHANGED":              {{form: form("Interface {in_iface}, changed state to {state}"), category: "network"}},
		"ERR_DISABLE":          {{form: form("{reason} error detected on {in_iface}, putting {_}"), category: "network", severity: medium}},
		"AUTHFAIL":             {{form: form("Authentication failure for SNMP req from host {src_ip}"), category: "authentication", action: "login", outcome: "failure"}},
		"SYSTEM_MSG": {
			login("pam_aaa:Authentication failed for user {user} from {src_ip} - {_}", "failure", medium),
			login("pam_aaa:Authentication failed from {src_ip} - {_}", "failure", medium),
			login("pam_aaa:Authentication failed for user {user} - {_}", "failure", medium),
		},
		"VIOLATION": {{form: form("Security violation on the interface {in_iface}, new MAC address ({src_mac}) is seen.{_}"), category: "intrusion_detection", action: "deny", outcome: "failure", severity: medium}},
	}
}()
