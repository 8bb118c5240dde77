package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func apacheParser() content {
	return content{
		Info: Info{
			Name:     "apache",
			Sources:  []string{"apache"},
			Programs: []string{"apache", "apache2", "httpd"},
			About:    "Apache httpd access log (common, combined, vhost_combined) and error log of 2.2 and 2.4, ModSecurity in it",
			Samples: []Sample{
				{`www.example.org:443 203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] "GET /wp-login.php HTTP/1.1" 200 1543 "-" "Mozilla/5.0"`, []string{
					"source=apache", "dataset=apache.access", "program=apache", "domain=www.example.org", "server_port=443", "src_ip=203.0.113.9", "url_path=/wp-login.php", "outcome=success",
				}},
				{`Mar  4 05:06:07 web apache2[77]: 203.0.113.9 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`, []string{
					"source=apache", "program=apache2", "user=frank", "http_version=1.0", "dst_bytes=2326", "url=/apache_pb.gif",
				}},
				{`[Sun Dec 04 04:47:44 2005] [error] mod_jk child workerEnv in error state 6`, []string{
					"source=apache", "dataset=apache.error", "level=error", "severity=medium", "message=mod_jk child workerEnv in error state 6", "time_quality=tz_assumed",
				}},
				{`[Sun Dec 04 05:15:09 2005] [error] [client 222.166.160.184] Directory index forbidden by rule: /var/www/html/`, []string{"src_ip=222.166.160.184", "outcome=failure"}},
				{`[Fri Sep 09 10:42:29.902022 2011] [auth_basic:error] [pid 35708:tid 4328636416] [client 72.15.99.187:51234] AH01617: user bob: authentication failure for "/secret": Password Mismatch`, []string{
					"category=authentication", "action=login", "outcome=failure", "user=bob", "reason=bad password", "event_code=AH01617", "module=auth_basic", "pid=35708",
					"src_ip=72.15.99.187", "src_port=51234",
				}},
				{`[Fri Sep 09 10:42:29.902022 2011] [auth_basic:error] [pid 35708] [client 72.15.99.187:51234] AH01618: user eve not found: /secret, referer: http://e.org/`, []string{
					"user=eve", "reason=invalid user", "referrer=http://e.org/",
				}},
				{`[Fri Sep 09 10:42:29.902022 2011] [:error] [pid 9] [client 203.0.113.9] ModSecurity: Access denied with code 403 (phase 2). Pattern match "x" at ARGS:a. [file "/r.conf"] [line "37"] [id "950901"] [msg "SQL Injection Attack"] [hostname "e.org"] [uri "/index.php"] [unique_id "x"]`, []string{
					"category=intrusion_detection", "action=deny", "rule_id=950901", "rule_name=SQL Injection Attack", "url_path=/index.php", "domain=e.org",
				}},
			},
		},
		strict: true,
		parse: func(l *line) bool {
			return parseApacheError(l) || parseAccess(l, "apache")
		},
	}
}

// parseApacheError reads "[TIME] [MODULE:LEVEL] [pid P:tid T] [client IP:PORT] TEXT".
func parseApacheError(l *line) bool {
	s := l.text
	if len(s) < 28 || s[0] != '[' || s[4] != ' ' || !isWeekday(s[1:]) {
		return false
	}
	var c clock
	rest, ok := c.bsdTime(s[1:])
	if !ok || !strings.HasPrefix(rest, "] ") {
		return false
	}
	if t, q, ok := l.resolve(&c); ok {
		l.setTime(t, q)
	}
	rest = rest[2:]
	l.source, l.dataset, l.web = "apache", "apache.error", true
	level, body := "", rest
	for rest != "" && rest[0] == '[' {
		part, after, ok := strings.Cut(rest[1:], "]")
		if !ok || !apachePart(l, part, &level) {
			break
		}
		rest = skipOneSpace(after)
		if !strings.HasPrefix(part, "client ") { // the address stays in the text
			body = rest
		}
	}
	text := rest
	if len(text) > 8 && text[0] == 'A' && text[1] == 'H' && digits(text[2:]) == 5 && text[7] == ':' {
		l.add(event.EventCode, text[:7])
		text = skipSpaces(text[8:])
	}
	l.say(body)
	if i := strings.LastIndex(text, ", referer: "); i >= 0 {
		l.add(event.Referrer, text[i+len(", referer: "):])
		text = text[:i]
	}
	apacheText(l, text, level)
	return true
}

// apachePart reads one bracketed part before the text, and tells whether it was one.
func apachePart(l *line, part string, level *string) bool {
	switch {
	case strings.HasPrefix(part, "pid "):
		l.pid, _, _ = strings.Cut(part[len("pid "):], ":")
	case strings.HasPrefix(part, "client "):
		addr, port := addressPort(part[len("client "):])
		l.addSource(addr, port)
	case strings.HasPrefix(part, "tid "), strings.HasPrefix(part, "remote "):
	case *level != "":
		return false
	default:
		module, name, ok := strings.Cut(part, ":")
		if !ok {
			module, name = "", part
		}
		if levelSeverity(name) == unsaid && !strings.HasPrefix(name, "trace") {
			return false
		}
		*level = name
		l.setLevel(name)
		l.add("module", module)
	}
	return true
}

// apacheText finds failed logins and what ModSecurity blocked.
func apacheText(l *line, text, level string) {
	if rest, ok := strings.CutPrefix(text, "user "); ok {
		user, reason := "", ""
		if i := strings.Index(rest, ": authentication failure for "); i > 0 {
			user, reason = rest[:i], "bad password"
		} else if i := strings.Index(rest, " not found"); i > 0 {
			user, reason = rest[:i], "invalid user"
		}
		if user != "" {
			l.is("authentication", "login", "failure")
			l.add(event.User, user)
			l.add(event.Reason, reason)
			l.atLeast(medium)
			return
		}
	}
	if strings.HasPrefix(text, "ModSecurity: ") {
		l.modSecurityParts(text)
		l.modSecurityAction(text, false)
		return
	}
	l.add(event.Category, "web")
	if syslogError(level) {
		l.add(event.Action, "error")
		l.add(event.Outcome, "failure")
	}
}
