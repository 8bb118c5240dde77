package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func f5Parser() content {
	return content{
		Info: Info{
			Name:     "f5_bigip",
			Sources:  []string{"f5_bigip"},
			Programs: []string{"asm", "apmd", "mcpd", "bigd", "tmm", "tmm1", "tmm2", "tmm3", "tmsh"},
			About:    "F5 BIG-IP: ASM and Advanced WAF requests, APM sessions, audit of the management, LTM messages by their numbers",
			Samples: []Sample{
				{`<134>Mar  4 05:06:07 big1 ASM:unit_hostname="big1.example.com",management_ip_address="192.0.2.9",policy_name="/Common/web",violations="Attack signature detected",support_id="77",request_status="blocked",response_code="0",ip_client="203.0.113.9",method="GET",protocol="HTTPS",query_string="a=b",sig_ids="200002147",sig_names="SQL-INJ, x",date_time="2026-03-04 05:06:07",severity="Critical",attack_type="SQL-Injection",username="N/A",src_port="4000",dest_port="443",dest_ip="192.0.2.10",uri="/login"`, []string{
					"source=f5_bigip", "vendor=F5", "host=big1", "category=web", "action=deny", "outcome=failure", "src_ip=203.0.113.9", "src_port=4000", "dst_ip=192.0.2.10", "dst_port=443", "http_method=GET", "url_path=/login",
					"url_query=a=b", "rule_name=SQL-INJ, x", "rule_category=SQL-Injection", "rule_id=200002147", "severity=high",
				}},
				{`<133>Mar  4 05:06:07 big1 notice apmd[123]: 01490500:5: /Common/ap:Common:1a2b3c4d: New session from client IP 203.0.113.9 (ST=/CC=/C=) at VIP 192.0.2.10 Listener /Common/vs (Reputation=Unknown)`, []string{
					"source=f5_bigip", "program=apmd", "pid=123", "event_code=01490500", "category=session", "action=session_open", "src_ip=203.0.113.9", "dst_ip=192.0.2.10", "level=notice",
				}},
				{`<133>Mar  4 05:06:07 big1 notice mcpd[456]: 01070417:5: AUDIT - user admin - transaction #7 - object 0 - modify { login { } } [Status=Command OK]`, []string{"event_code=01070417", "category=configuration", "action=config_change", "user=admin", "severity=low"}},
				{`<132>Mar  4 05:06:07 big1 warning httpd[789]: 01070417:4: AUDIT - user eve - RAW: httpd(mod_auth_pam): user=eve(eve) partition=[All] level=Guest tty=(unknown) host=203.0.113.9 attempts=1 start="Wed Mar  4 05:06:07 2026" end="Wed Mar  4 05:06:07 2026".: failed`, []string{
					"source=f5_bigip", "category=authentication", "action=login", "outcome=failure", "user=eve", "src_ip=203.0.113.9",
				}},
				{`<131>Mar  4 05:06:07 big1 err tmm1[17]: 01010028:3: No members available for pool /Common/web`, []string{"source=f5_bigip", "program=tmm1", "event_code=01010028", "level=error", "severity=medium"}},
			},
		},
		parse: parseF5,
	}
}

// f5Code tells "01490500:5: " at the start of s.
func f5Code(s string) (code, level, text string, ok bool) {
	if len(s) < 12 || s[8] != ':' || s[9] < '0' || s[9] > '7' || s[10] != ':' {
		return "", "", "", false
	}
	for i := range 8 {
		if c := s[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return "", "", "", false
		}
	}
	return s[:8], s[9:10], strings.TrimLeft(s[11:], " "), true
}

// f5Tag reads "notice apmd[123]: " before a message's number.
func f5Tag(s string) (program, pid, rest string, ok bool) {
	i := strings.IndexByte(s, ' ')
	if i < 3 || i > 9 || levelSeverity(s[:i]) == unsaid {
		return "", "", "", false
	}
	s = s[i+1:]
	j := strings.Index(s[:min(len(s), 48)], "]: ")
	if j < 0 {
		return "", "", "", false
	}
	program, pid, ok = strings.Cut(s[:j], "[")
	rest = s[j+3:]
	if _, _, _, code := f5Code(rest); !ok || !code || !allDigits(pid) {
		return "", "", "", false
	}
	return program, pid, rest, true
}

func isF5(s string) bool {
	if _, _, _, ok := f5Code(s); ok {
		return true
	}
	if strings.HasPrefix(s, "ASM:") || strings.HasPrefix(s, "unit_hostname=\"") {
		return true
	}
	_, _, _, ok := f5Tag(s)
	return ok
}

func parseF5(l *line) bool {
	s := l.text
	if program, pid, rest, ok := f5Tag(s); ok {
		l.program, l.pid, s = program, pid, rest
		l.text = rest
	}
	code, level, text, ok := f5Code(s)
	if !ok {
		s = strings.TrimPrefix(s, "ASM:")
		if !strings.HasPrefix(s, `unit_hostname="`) {
			return false
		}
		l.f5ASM(s)
		return true
	}
	l.knownAs("f5_bigip", "F5", "BIG-IP")
	l.add(event.EventCode, code)
	n := int(level[0] - '0')
	l.level = syslogLevels[n]
	l.atLeast(syslogSeverity(n))
	if rest, ok := strings.CutPrefix(text, "/"); ok { // the profile and the session
		if head, tail, ok := strings.Cut(rest, ": "); ok {
			l.add(event.SessionID, head[strings.LastIndexByte(head, ':')+1:])
			text = tail
		}
	}
	l.says(f5Sayings, text)
	return true
}

var f5Sayings = []saying{
	{form: form("New session from client IP {src_ip} ({_}) at VIP {dst_ip} Listener {_}"), category: "session", action: "session_open", outcome: "success"},
	{form: form("Session deleted{_}"), category: "session", action: "session_close", outcome: "success"},
	{form: form("Username '{user}'"), category: "authentication"},
	{form: form("Access policy result: Logon_Deny"), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form("Access policy result: {policy_result}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("AUDIT - user {user} - RAW: httpd({_}): user={_} host={src_ip} attempts={_}: failed"), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form("AUDIT - user {user} - RAW: httpd({_}): user={_} host={src_ip} attempts={_}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("AUDIT - user {user} - {_}"), category: "configuration", action: "config_change", outcome: "success", severity: low},
	{form: form("AUDIT - {_}user={user} {_}cmd_data={cmdline}"), category: "configuration", action: "config_change", outcome: "success", severity: low},
}

// f5ASM reads key="value" with commas between.
func (l *line) f5ASM(s string) {
	l.knownAs("f5_bigip", "F5", "BIG-IP ASM")
	if l.program == "ASM" {
		l.program = ""
	}
	var uri, query, status string
	for s != "" && len(l.e.Fields) < maxJSONFields {
		i := strings.IndexByte(s, '=')
		if i <= 0 || i > 64 {
			break
		}
		key := s[:i]
		if i+1 == len(s) || s[i+1] != '"' {
			break
		}
		value, n := quoted(l, s[i+1:])
		if n == 0 {
			break
		}
		s = strings.TrimLeft(s[i+1+n:], ", ")
		if value == "" || value == "N/A" {
			continue
		}
		l.native("", key, value)
		switch key {
		case "ip_client":
			l.named(event.SrcIP, value)
		case "dest_ip":
			l.named(event.DstIP, value)
		case "src_port":
			l.onceInt(event.SrcPort, value)
		case "dest_port":
			l.onceInt(event.DstPort, value)
		case "method":
			l.add(event.HTTPMethod, value)
		case "response_code":
			if value != "0" {
				l.addInt(event.HTTPStatus, value)
			}
		case "uri":
			uri = value
		case "query_string":
			query = value
		case "username":
			l.account(value)
		case "sig_names":
			l.put(event.RuleName, value)
		case "violations":
			l.once(event.RuleName, value)
		case "sig_ids":
			l.add(event.RuleID, value)
		case "attack_type":
			l.add(event.RuleCategory, value)
		case "request_status":
			status = value
		case "protocol":
			l.add(event.AppProto, l.p.lower(value))
		case "unit_hostname":
			if l.host == "" {
				l.host = value
			}
		case "severity":
			l.setLevel(value)
		case "support_id":
			l.add(event.EventCode, value)
		case "date_time":
			if !l.hasTime || l.quality == qualityYear {
				if t, q, ok := l.timeText(value); ok {
					l.setTime(t, q)
				}
			}
		}
	}
	l.add(event.URLPath, uri)
	l.add(event.URLQuery, query)
	switch status {
	case "blocked":
		l.putThree("web", "deny", "failure")
		l.atLeast(medium)
	case "alerted":
		l.putThree("web", "allow", "success")
		l.atLeast(low)
	default:
		l.putThree("web", "request", "success")
	}
}
