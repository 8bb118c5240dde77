package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func paloAltoParser() content {
	return content{
		Info: Info{
			Name:    "paloalto",
			Sources: []string{"paloalto"},
			About:   "Palo Alto Networks PAN-OS: traffic, threat, URL, system, configuration, User-ID, GlobalProtect, HIP match, authentication and decryption logs as CSV; its CEF and LEEF under those names",
			Samples: []Sample{
				{`<14>Mar  4 05:06:07 pa1 1,2026/03/04 05:06:07,0123456789,TRAFFIC,end,2305,2026/03/04 05:06:06,10.0.0.8,198.51.100.7,192.0.2.1,198.51.100.7,"web, out",corp\bob,,ssl,vsys1,trust,untrust,ethernet1/2,ethernet1/1,fwd,2026/03/04 05:06:06,25149,1,40022,443,50022,443,0x400053,tcp,allow,5000,1000,4000,20,2026/03/04 05:05:36,30,any,0,77,0x0,10.0.0.0-10.255.255.255,Germany,0,10,10,tcp-fin,0,0,0,0,,pa1-dev,from-policy`, []string{
					"source=paloalto", "vendor=Palo Alto Networks", "product=PAN-OS", "dataset=paloalto.traffic", "host=pa1", "category=network", "action=allow", "outcome=success", "src_ip=10.0.0.8", "src_port=40022",
					"dst_ip=198.51.100.7", "dst_port=443", "src_nat_ip=192.0.2.1", "rule_name=web, out", "user=bob", "user_domain=corp", "app_proto=ssl", "proto=tcp", "in_iface=ethernet1/2", "out_iface=ethernet1/1",
					"session_id=25149", "src_bytes=1000", "dst_bytes=4000", "subtype=end", "session_end_reason=tcp-fin", "from=trust",
				}},
				{`1,2026/03/04 05:06:07,0123456789,THREAT,url,2305,2026/03/04 05:06:06,10.0.0.8,198.51.100.7,,,block-web,,,web-browsing,vsys1,trust,untrust,ethernet1/2,ethernet1/1,fwd,,25150,1,40023,80,0,0,0x0,tcp,block-url,"example.com/a,b?c=d",(9999),malware,high,client-to-server,78,0x0,,,,text/html,0,,,1,"curl/8.0 (a, b)",,,"http://ref.example/",,,,,0,0,0,0,,pa2,,,,get`, []string{
					"dataset=paloalto.threat", "category=web", "action=deny", "outcome=failure", "severity=high", "url=example.com/a,b?c=d", "url_path=/a,b", "domain=example.com", "user_agent=curl/8.0 (a, b)", "host=pa2", "rule_category=malware",
					"http_method=GET", "fields.action=block-url",
				}},
				{`1,2026/03/04 05:06:07,0123456789,THREAT,vulnerability,2305,2026/03/04 05:06:06,203.0.113.9,10.0.0.5,,,in,,,web-browsing,vsys1,untrust,trust,ethernet1/1,ethernet1/2,fwd,,25151,1,4000,80,0,0,0x0,tcp,reset-both,"",HTTP Directory Traversal(30844),any,critical,client-to-server`, []string{
					"category=intrusion_detection", "rule_name=HTTP Directory Traversal", "rule_id=30844", "severity=critical", "action=drop", "src_ip=203.0.113.9",
				}},
				{`<14>Mar  4 05:06:07 pa1 1,2026/03/04 05:06:07,0123456789,SYSTEM,auth,0,2026/03/04 05:06:06,,auth-fail,,0,0,general,medium,"failed authentication for user 'admin'. Reason: Invalid username/password. From: 203.0.113.9.",78,0x0,0,0,0,0,,pa1`, []string{
					"dataset=paloalto.system", "event_code=auth-fail", "category=authentication", "action=login", "outcome=failure", "user=admin", "src_ip=203.0.113.9", "severity=medium", "reason=Invalid username/password",
				}},
				{`1,2026/03/04 05:06:07,0123456789,CONFIG,0,0,2026/03/04 05:06:06,10.0.0.9,,set,carol,Web,Succeeded, config mgt-config users eve,78,0x0`, []string{
					"category=configuration", "action=config_change", "outcome=success", "user=carol", "src_ip=10.0.0.9", "event_code=set", "cmdline=config mgt-config users eve",
				}},
				{`1,2026/03/04 05:06:07,0123456789,GLOBALPROTECT,0,2305,2026/03/04 05:06:06,vsys1,gateway-auth,login,LDAP,,carol,DE,LAPTOP1,203.0.113.9,0.0.0.0,0.0.0.0,0.0.0.0,,,6.1,Windows,11,1,,,"",failure,,0,,0,gw1,77,0x0`, []string{
					"dataset=paloalto.globalprotect", "category=authentication", "action=login", "outcome=failure", "user=carol", "src_ip=203.0.113.9", "src_host=LAPTOP1", "event_code=gateway-auth", "auth_method=LDAP",
				}},
				{`CEF:0|Palo Alto Networks|PAN-OS|11.0|end|TRAFFIC|1|rt=Mar 04 2026 05:06:07 GMT deviceExternalId=01 src=10.0.0.8 dst=198.51.100.7 cs1Label=Rule cs1=web app=ssl spt=40022 dpt=443 proto=tcp act=allow dvchost=pa1`, []string{
					"source=paloalto", "dataset=paloalto.traffic", "category=network", "action=allow", "rule_name=web", "event_code=end", "host=pa1",
				}},
				{`LEEF:1.0|Palo Alto Networks|PAN-OS Syslog Integration|9.0|drop|cat=TRAFFIC|src=10.0.0.8|dst=198.51.100.7|srcPort=40022|dstPort=25|proto=tcp|action=drop|RuleName=deny all`, []string{
					"source=paloalto", "src_ip=10.0.0.8", "dst_port=25", "action=drop", "outcome=failure", "rule_name=deny all",
				}},
			},
		},
		parse: parsePaloAlto,
	}
}

// isPaloAlto tells "1,2026/03/04 05:06:07,SERIAL,TYPE,".
func isPaloAlto(s string) bool {
	n := digits(s)
	if n > 2 || len(s) < n+30 || s[n] != ',' || !isDigit(s[n+1]) || s[n+5] != '/' || s[n+8] != '/' || s[n+20] != ',' {
		return false
	}
	i := strings.IndexByte(s[n+21:], ',')
	return i >= 0 && i < 24 && n+22+i < len(s) && isUpperByte(s[n+22+i])
}

// maxColumns bounds the columns of one record.
const maxColumns = 160

// A column is where a field stands in a type's record.
type column struct {
	at   int
	name string
}

var (
	panHead = []column{
		{7, event.SrcIP},
		{8, event.DstIP},
		{9, event.SrcNATIP},
		{10, event.DstNATIP},
		{11, event.RuleName},
		{12, event.User},
		{13, event.TargetUser},
		{14, "app"},
		{15, "vsys"},
		{16, "from"},
		{17, "to"},
		{18, event.InIface},
		{19, event.OutIface},
		{22, event.SessionID},
		{24, event.SrcPort},
		{25, event.DstPort},
		{29, event.Proto},
		{30, "act"},
	}
	panColumns = map[string][]column{
		"TRAFFIC": append(slices.Clip(panHead), []column{
			{31, "bytes"}, {32, event.SrcBytes}, {33, event.DstBytes}, {34, "packets"}, {36, "elapsed"}, {37, event.RuleCategory}, {41, "srcloc"}, {42, "dstloc"}, {46, "session_end_reason"}, {52, "device_name"}, {53, "action_source"},
		}...),
		"THREAT": append(slices.Clip(panHead), []column{
			{31, "misc"},
			{32, "threatid"},
			{33, event.RuleCategory},
			{34, "sev"},
			{35, event.Direction},
			{38, "srcloc"},
			{39, "dstloc"},
			{41, "contenttype"},
			{43, "filedigest"},
			{46, event.UserAgent},
			{47, "filetype"},
			{48, "xff"},
			{49, event.Referrer},
			{50, "sender"},
			{51, "subject"},
			{52, "recipient"},
			{59, "device_name"},
			{63, "method"},
		}...),
		"DECRYPTION":     append(slices.Clip(panHead), []column{{39, "tls_version"}, {43, "policy_name"}, {60, "subject_cn"}, {61, "issuer_cn"}, {63, event.TLSSNI}}...),
		"SYSTEM":         {{7, "vsys"}, {8, event.EventCode}, {9, "object"}, {12, "module"}, {13, "sev"}, {14, "opaque"}, {22, "device_name"}},
		"CONFIG":         {{7, event.SrcIP}, {8, "vsys"}, {9, event.EventCode}, {10, event.User}, {11, "client"}, {12, "result"}, {13, event.Cmdline}, {21, "device_name"}},
		"USERID":         {{7, "vsys"}, {8, event.SrcIP}, {9, event.User}, {10, "datasourcename"}, {11, event.EventCode}, {16, "datasource"}, {17, "datasourcetype"}},
		"GLOBALPROTECT":  {{7, "vsys"}, {8, event.EventCode}, {9, "stage"}, {10, event.AuthMethod}, {11, "tunnel_type"}, {12, event.User}, {13, "srcregion"}, {14, event.SrcHost}, {15, event.SrcIP}, {17, "private_ip"}, {21, "client_ver"}, {22, "client_os"}, {25, event.Reason}, {26, "error"}, {27, "opaque"}, {28, "status"}, {33, "portal"}},
		"HIPMATCH":       {{7, event.User}, {8, "vsys"}, {9, event.SrcHost}, {10, "os"}, {11, event.SrcIP}, {12, event.RuleName}},
		"AUTHENTICATION": {{7, "vsys"}, {8, event.SrcIP}, {9, event.User}, {11, "object"}, {12, event.RuleName}, {15, "mfa_vendor"}, {17, "serverprofile"}, {18, "opaque"}, {19, "clienttype"}, {20, "event"}},
		"CORRELATION":    {{7, event.SrcIP}, {8, event.User}, {9, "vsys"}, {10, event.RuleCategory}, {11, "sev"}, {17, "device_name"}, {19, event.RuleName}, {20, event.RuleID}, {21, "evidence"}},
	}
)

func parsePaloAlto(l *line) bool {
	if !isPaloAlto(l.text) {
		return false
	}
	var columns [maxColumns]string
	n := csvColumns(l.text, columns[:])
	if n < 8 || !isUpperWord(columns[3]) {
		return false
	}
	kind := columns[3]
	if kind == "HIP-MATCH" {
		kind = "HIPMATCH"
	}
	l.source = "paloalto"
	l.knownAs("paloalto", "Palo Alto Networks", "PAN-OS")
	var short [48]byte
	l.dataset = l.p.names.of(append(append(short[:0], "paloalto."...), l.p.lower(kind[:min(len(kind), 32)])...))
	l.add("serial", columns[2])
	l.add("type", columns[3])
	l.add("subtype", columns[4])
	l.panTime(columns[:n])
	x := pan{kind: kind, subtype: columns[4]}
	for _, c := range panColumns[kind] {
		if c.at < n {
			x.field(l, c.name, columns[c.at])
		}
	}
	x.done(l)
	return true
}

// csvColumns splits comma-separated columns; a quoted one keeps its commas.
func csvColumns(s string, columns []string) int {
	n := 0
	for n < len(columns) {
		if s != "" && s[0] == '"' {
			value, took := csvQuoted(s)
			if took > 0 {
				columns[n] = value
				n++
				s = s[took:]
				if s == "" || s[0] != ',' {
					return n
				}
				s = s[1:]
				continue
			}
		}
		i := strings.IndexByte(s, ',')
		if i < 0 {
			columns[n] = s
			return n + 1
		}
		columns[n] = s[:i]
		n++
		s = s[i+1:]
	}
	return n
}

// csvQuoted reads a value in which a quote is doubled; took is 0 where it does not
// end before a comma or the end.
func csvQuoted(s string) (value string, took int) {
	doubled := false
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			doubled = true
			i++
			continue
		}
		if i+1 < len(s) && s[i+1] != ',' {
			return "", 0
		}
		value = s[1:i]
		if doubled {
			value = strings.ReplaceAll(value, `""`, `"`)
		}
		return value, i + 1
	}
	return "", 0
}

// panTime takes the time of high resolution where the record ends with one, else
// the generated time, unless the header has told one with its zone.
func (l *line) panTime(columns []string) {
	for i := len(columns) - 1; i > len(columns)-8 && i > 40; i-- {
		if c := columns[i]; len(c) >= 24 && c[10] == 'T' {
			if t, q, ok := l.timeText(c); ok && q == qualityExact {
				l.setTime(t, q)
				return
			}
		}
	}
	if l.hasTime && l.quality == qualityExact {
		return
	}
	if t, q, ok := l.timeText(columns[6]); ok {
		l.setTime(t, q)
	}
}

// pan gathers what the columns of one record say together.
type pan struct {
	kind, subtype                                           string
	action, severity, misc, threat, description, result, ev string
}

func (x *pan) field(l *line, name, value string) {
	if value == "" || value == "0.0.0.0" || value == " " {
		return
	}
	switch name {
	case event.SrcIP, event.DstIP:
		l.named(name, value)
	case event.SrcNATIP, event.DstNATIP:
		if a, ok := address(value); ok && a != "0.0.0.0" && a != "::" {
			l.add(name, a)
		}
	case event.User:
		l.account(value)
	case "app":
		if value != "not-applicable" && value != "incomplete" && value != "insufficient-data" {
			l.add(event.AppProto, value)
		}
		l.add(name, value)
	case "act":
		x.action = value
	case "sev":
		x.severity = value
		l.level = value
		l.atLeast(panSeverity(value))
	case "misc":
		x.misc = value
	case "threatid":
		x.threat = value
		if i := strings.LastIndexByte(value, '('); i >= 0 && strings.HasSuffix(value, ")") {
			l.add(event.RuleID, value[i+1:len(value)-1])
			l.put(event.RuleName, strings.TrimSpace(value[:i]))
		} else {
			l.put(event.RuleName, value)
		}
		l.add(name, value)
	case event.Direction:
		l.add("direction_of_attack", value)
	case "method":
		l.add(event.HTTPMethod, strings.ToUpper(value))
	case "opaque":
		x.description = value
		l.add(name, value)
	case "status", "result":
		x.result = value
		l.add(name, value)
	case "event":
		x.ev = value
		l.add(name, value)
	case "device_name":
		if _, ok := address(l.host); ok || l.host == "" {
			l.host = value
		}
		l.add(name, value)
	case "filedigest":
		if len(value) == 64 {
			l.add(event.HashSHA256, value)
		}
		l.add(name, value)
	case event.Cmdline:
		l.add(name, strings.TrimSpace(value))
	default:
		l.named(name, value)
	}
}

func panSeverity(s string) severity {
	switch s {
	case "critical":
		return critical
	case "high":
		return high
	case "medium":
		return medium
	case "low":
		return low
	}
	return info
}

// done says what happened.
func (x *pan) done(l *line) {
	switch x.kind {
	case "TRAFFIC", "DECRYPTION":
		l.mean("network", firewallAction(x.action), firewallOutcome(x.action), unsaid)
	case "THREAT":
		category := "intrusion_detection"
		switch x.subtype {
		case "url":
			category = "web"
			l.addURL(x.misc)
			l.bareURL(x.misc)
		case "file", "data", "wildfire", "virus", "wildfire-virus":
			category = "file"
			if x.subtype != "file" && x.subtype != "data" {
				category = "malware"
			}
			l.add(event.FilePath, x.misc)
		default:
			l.add("misc", x.misc)
		}
		action := firewallAction(x.action)
		if category == "intrusion_detection" && action == "deny" {
			action = "drop"
		}
		l.mean(category, action, firewallOutcome(x.action), unsaid)
	case "SYSTEM":
		if x.subtype == "auth" || x.subtype == "globalprotect" || x.subtype == "userid" || strings.HasPrefix(x.description, "User ") {
			l.says(panSayings, x.description)
		} else if x.description != "" {
			l.mean("host", "", "", unsaid)
		}
	case "CONFIG":
		l.mean("configuration", "config_change", outcomeWord(x.result), low)
	case "USERID":
		l.mean("authentication", "user_mapping", "", unsaid)
	case "GLOBALPROTECT":
		code := l.e.Get(event.EventCode)
		outcome := outcomeWord(x.result)
		switch {
		case strings.Contains(code, "auth"), strings.Contains(code, "login"):
			l.happened("authentication", "login", outcome)
		case strings.Contains(code, "logout"):
			l.mean("session", "session_close", outcome, unsaid)
		case strings.Contains(code, "connected"):
			l.mean("session", "session_open", outcome, unsaid)
		default:
			l.mean("session", "", outcome, unsaid)
		}
	case "AUTHENTICATION":
		outcome := "unknown"
		switch {
		case containsFold(x.ev, "fail"), containsFold(x.description, "fail"), containsFold(x.ev, "denied"):
			outcome = "failure"
		case containsFold(x.ev, "succe"), containsFold(x.ev, "allow"), containsFold(x.description, "succe"):
			outcome = "success"
		}
		l.happened("authentication", "login", outcome)
	case "CORRELATION":
		l.mean("intrusion_detection", "correlation", "", unsaid)
	}
	if x.action != "" && x.action != l.e.Get(event.Action) {
		l.native("", event.Action, x.action)
	}
}

// bareURL adds the server of a URL without scheme.
func (l *line) bareURL(url string) {
	if i := strings.Index(url, "://"); i >= 0 {
		url = url[i+3:]
	}
	name, path, ok := strings.Cut(url, "/")
	if name, _ = addressPort(name); name != "" && strings.IndexByte(name, ' ') < 0 {
		l.once(event.Domain, name)
	}
	if ok {
		path, _, _ = strings.Cut(path, "?")
		l.put(event.URLPath, "/"+path)
	}
}

// firewallAction puts firewalls' words for what became of traffic into ours.
func firewallAction(word string) string {
	switch {
	case word == "":
		return ""
	case containsFold(word, "drop"), containsFold(word, "reset"), containsFold(word, "silent"), containsFold(word, "discard"):
		return "drop"
	case containsFold(word, "deny"), containsFold(word, "denied"), containsFold(word, "block"), containsFold(word, "reject"), containsFold(word, "prevent"), containsFold(word, "quarantine"):
		return "deny"
	case containsFold(word, "allow"), containsFold(word, "accept"), containsFold(word, "permit"), containsFold(word, "pass"), containsFold(word, "detect"), containsFold(word, "continue"),
		containsFold(word, "alert"), containsFold(word, "sinkhole"), containsFold(word, "encrypt"), containsFold(word, "decrypt"):
		return "allow"
	}
	return ""
}

func firewallOutcome(word string) string {
	switch firewallAction(word) {
	case "drop", "deny":
		return "failure"
	case "allow":
		return "success"
	}
	return ""
}

var panSayings = []saying{
	{form: form("failed authentication for user '{user}'. Reason: {reason}. From: {src_ip}"), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form("failed authentication for user '{user}'.  Reason: {reason}. From: {src_ip}"), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form("authenticated for user '{user}'. From: {src_ip}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("authenticated for user '{user}'.   From: {src_ip}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("User {user} logged in via {_} from {src_ip} using {_}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("User {user} logged out via {_} from {src_ip}"), category: "authentication", action: "logout", outcome: "success"},
	{form: form("{_} user authentication failed. {_}User name: {user}{_}Login from: {src_ip},"), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form("{_} user authentication succeeded. {_}Login from: {src_ip}, Source region: {_}, User name: {user},"), category: "authentication", action: "login", outcome: "success"},
}
