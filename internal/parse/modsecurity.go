package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func modSecurityParser() content {
	return content{
		Info: Info{
			Name:     "modsecurity",
			Sources:  []string{"modsecurity"},
			Programs: []string{"modsecurity", "modsec_audit"},
			About:    "ModSecurity 2 and 3 and Coraza: audit log as JSON, and in sections where they arrive as one record; what they write into the error logs of Apache and nginx is read there",
			Samples: []Sample{
				{`{"transaction":{"client_ip":"203.0.113.9","time_stamp":"Wed Mar  4 05:06:07 2026","server_id":"a1","client_port":51234,"host_ip":"10.0.0.5","host_port":80,"unique_id":"17454609004.922163","request":{"method":"GET","http_version":1.1,"uri":"/login.php?user=admin","headers":{"Host":"e.org","User-Agent":"curl/8"}},"response":{"http_code":403,"headers":{}},"producer":{"modsecurity":"ModSecurity v3.0.8"},"messages":[{"message":"SQL Injection Attack Detected via libinjection","details":{"match":"detected SQLi","ruleId":"942100","severity":"2","file":"/r.conf"}}]}}`, []string{
					"source=modsecurity", "category=intrusion_detection", "action=deny", "outcome=failure", "src_ip=203.0.113.9", "src_port=51234", "dst_ip=10.0.0.5", "dst_port=80", "http_method=GET", "url_path=/login.php",
					"domain=e.org", "user_agent=curl/8", "http_status=403", "rule_id=942100", "rule_name=SQL Injection Attack Detected via libinjection", "session_id=17454609004.922163", "severity=medium", "time_quality=tz_assumed",
				}},
				{`{"transaction":{"time":"04/Mar/2026:05:06:07 +0000","transaction_id":"X3","remote_address":"203.0.113.9","remote_port":4711,"local_address":"10.0.0.5","local_port":443},"request":{"request_line":"POST /a?b=1 HTTP/1.1","headers":{"Host":"e.org"}},"response":{"protocol":"HTTP/1.1","status":200},"audit_data":{"messages":["Warning. Pattern match \"x\" at ARGS:b. [file \"/r.conf\"] [line \"37\"] [id \"941100\"] [msg \"XSS Attack\"]"]}}`, []string{
					"source=modsecurity", "action=log", "src_ip=203.0.113.9", "src_port=4711", "dst_port=443", "http_method=POST", "url_path=/a", "http_status=200", "rule_id=941100", "rule_name=XSS Attack", "time_quality=exact",
				}},
				{`{"transaction":{"timestamp":"2026/03/04 05:06:07","id":"ABC","client_ip":"203.0.113.9","client_port":54481,"host_ip":"10.0.0.5","host_port":80,"request":{"method":"POST","uri":"/x"},"response":{"status":403},"is_interrupted":true},"messages":[{"actionset":"deny","message":"Pattern match","data":{"id":100521,"msg":"some message","severity":5}}]}`, []string{
					"source=modsecurity", "action=deny", "src_ip=203.0.113.9", "rule_id=100521", "rule_name=some message", "http_status=403",
				}},
				{"--6b253045-A--\n[04/Mar/2026:05:06:07 +0000] X3abc 203.0.113.9 4711 10.0.0.5 443\n--6b253045-B--\nGET /a?b=1 HTTP/1.1\nHost: e.org\nUser-Agent: curl/8\n\n--6b253045-F--\nHTTP/1.1 403 Forbidden\n\n--6b253045-H--\nMessage: Access denied with code 403 (phase 2). Pattern match \"x\" at ARGS:b. [file \"/r.conf\"] [id \"941100\"] [msg \"XSS Attack\"]\nAction: Intercepted (phase 2)\n\n--6b253045-Z--", []string{
					"source=modsecurity", "action=deny", "src_ip=203.0.113.9", "dst_ip=10.0.0.5", "http_method=GET", "url_path=/a", "domain=e.org", "user_agent=curl/8", "http_status=403", "rule_id=941100", "rule_name=XSS Attack", "session_id=X3abc",
				}},
			},
		},
		parse: func(l *line) bool {
			if l.text != "" && l.text[0] == '{' {
				return parseJSON(l)
			}
			return parseModSecuritySections(l)
		},
	}
}

// modSecurityJSON reads an audit log of ModSecurity 3, ModSecurity 2 or Coraza.
func modSecurityJSON(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var message, told string
	denied, method := false, ""
	for _, f := range own {
		switch f.Name {
		case "transaction.client_ip", "transaction.remote_address":
			l.client(f.Value)
		case "transaction.client_port", "transaction.remote_port":
			l.addInt(event.SrcPort, f.Value)
		case "transaction.host_ip", "transaction.local_address":
			l.addPeer(event.DstIP, event.DstHost, f.Value)
		case "transaction.host_port", "transaction.local_port":
			l.addInt(event.DstPort, f.Value)
		case "transaction.unique_id", "transaction.transaction_id", "transaction.id":
			l.once(event.SessionID, f.Value)
		case "transaction.time_stamp", "transaction.time", "transaction.timestamp":
			l.modSecurityTime(f.Value)
		case "transaction.request.method":
			method = f.Value
			l.add(event.HTTPMethod, f.Value)
		case "transaction.request.uri":
			l.addURL(f.Value)
		case "request.request_line":
			accessRequest(l, f.Value)
		case "transaction.response.http_code", "transaction.response.status", "response.status":
			l.addInt(event.HTTPStatus, f.Value)
		case "transaction.request.headers.Host", "request.headers.Host":
			l.once(event.Domain, f.Value)
		case "transaction.request.headers.User-Agent", "request.headers.User-Agent":
			l.once(event.UserAgent, f.Value)
		case "transaction.messages.details.ruleId", "messages.data.id":
			l.once(event.RuleID, f.Value)
		case "transaction.messages.message":
			message, told = firstOf(message, f.Value), firstOf(told, f.Value)
		case "messages.data.msg":
			told = f.Value
		case "audit_data.messages", "messages.message":
			message = firstOf(message, f.Value)
		case "transaction.is_interrupted", "audit_data.action.intercepted":
			denied = denied || f.Value == "true"
		}
	}
	l.knownAs("modsecurity", "OWASP", "ModSecurity")
	l.modSecurityParts(message)
	l.once(event.RuleName, told)
	if status := l.e.Get(event.HTTPStatus); method != "" && message != "" && (status == "403" || status == "406") { // version 3 does not say what it did
		denied = true
	}
	l.modSecurityAction(message, denied)
	l.titled(message)
	return true
}

func firstOf(had, value string) string {
	if had != "" {
		return had
	}
	return value
}

// modSecurityTime reads "Wed Mar  4 05:06:07 2026" and "04/Mar/2026:05:06:07 +0000".
func (l *line) modSecurityTime(s string) {
	var c clock
	_, ok := c.clfTime(s)
	if !ok && len(s) > 20 && isWeekday(s) {
		c = clock{}
		_, ok = c.bsdTime(s)
	}
	if !ok {
		return
	}
	if t, q, ok := l.resolve(&c); ok {
		l.setTime(t, q)
	}
}

// modSecurityParts reads the brackets behind a message.
func (l *line) modSecurityParts(text string) {
	for _, part := range [...][2]string{{`[id "`, event.RuleID}, {`[msg "`, event.RuleName}, {`[hostname "`, event.Domain}, {`[uri "`, event.URLPath}} {
		if v, ok := between(text, part[0], `"]`); ok && v != "" {
			l.once(part[1], v)
		}
	}
}

// modSecurityAction tells what was denied from what was noted.
func (l *line) modSecurityAction(text string, denied bool) {
	action := "log"
	if denied || strings.Contains(text, "Access denied") {
		action = "deny"
		l.atLeast(medium)
	}
	l.putThree("intrusion_detection", action, "failure")
}

// isModSecuritySections tells "--6b253045-A--".
func isModSecuritySections(s string) bool {
	return len(s) > 16 && s[0] == '-' && s[1] == '-' && strings.HasPrefix(s[10:], "-A--")
}

// parseModSecuritySections reads an audit log's sections that arrive as one record.
func parseModSecuritySections(l *line) bool {
	if !isModSecuritySections(l.text) {
		return false
	}
	mark := l.text[:10]
	section := byte(0)
	first := false
	message, denied := "", false
	for text := range strings.SplitSeq(l.text, "\n") {
		text = strings.TrimSuffix(text, "\r")
		if rest, ok := strings.CutPrefix(text, mark); ok && len(rest) == 4 && rest[0] == '-' {
			section, first = rest[1], true
			continue
		}
		switch section {
		case 'A':
			if first {
				modSecurityHead(l, text)
			}
		case 'B':
			if first {
				accessRequest(l, text)
			} else if name, value, ok := strings.Cut(text, ": "); ok {
				switch {
				case strings.EqualFold(name, "Host"):
					l.once(event.Domain, value)
				case strings.EqualFold(name, "User-Agent"):
					l.once(event.UserAgent, value)
				}
			}
		case 'F':
			if _, rest := cutField(text); first && strings.HasPrefix(text, "HTTP/") {
				status, _ := cutField(rest)
				l.addInt(event.HTTPStatus, status)
			}
		case 'H':
			if rest, ok := strings.CutPrefix(text, "Message: "); ok {
				message = firstOf(message, rest)
				l.modSecurityParts(rest)
			}
			denied = denied || strings.HasPrefix(text, "Action: Intercepted")
		}
		first = false
	}
	l.knownAs("modsecurity", "OWASP", "ModSecurity")
	l.modSecurityAction(message, denied)
	l.titled(message)
	return true
}

// modSecurityHead reads "[TIME] ID CLIENT PORT SERVER PORT".
func modSecurityHead(l *line, s string) {
	stamp, rest, ok := strings.Cut(strings.TrimPrefix(s, "["), "] ")
	if !ok {
		return
	}
	l.modSecurityTime(stamp)
	var part [5]string
	for i := range part {
		part[i], rest = cutField(rest)
	}
	l.once(event.SessionID, part[0])
	l.client(part[1])
	l.addInt(event.SrcPort, part[2])
	l.addPeer(event.DstIP, event.DstHost, part[3])
	l.addInt(event.DstPort, part[4])
}
