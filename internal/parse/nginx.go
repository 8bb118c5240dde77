package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func nginxParser() content {
	return content{
		Info: Info{
			Name:     "nginx",
			Sources:  []string{"nginx", "bunkerweb"},
			Programs: []string{"nginx"},
			About:    "nginx access log (common, combined, with virtual host, as JSON) and error log; other servers' access logs of the same form",
			Samples: []Sample{
				{`203.0.113.9 - alice [10/Oct/2025:13:55:36 +0200] "GET /a/b?x=1&y=2 HTTP/1.1" 404 162 "https://e.org/" "curl/7.58.0" "-"`, []string{
					"source=nginx", "dataset=nginx.access", "program=nginx", "category=web", "action=request", "outcome=failure", "src_ip=203.0.113.9", "user=alice",
					"http_method=GET", "url=/a/b?x=1&y=2", "url_path=/a/b", "url_query=x=1&y=2", "http_version=1.1", "http_status=404", "dst_bytes=162",
					"referrer=https://e.org/", "user_agent=curl/7.58.0", "time_quality=exact",
				}},
				{`<190>Mar  4 05:06:07 web nginx: 2001:db8::1 - - [04/Mar/2026:05:06:07 +0000] "POST /login HTTP/2.0" 200 12 "-" "Mozilla/5.0 (\x22x\x22)"`, []string{
					"source=nginx", "host=web", "src_ip=2001:db8::1", "http_method=POST", "outcome=success", `user_agent=Mozilla/5.0 (\x22x\x22)`, "referrer=",
				}},
				{`example.com 192.0.2.10 - - [29/Jul/2023:10:26:06 -0700] "\x16\x03\x01" 400 157 "-" "-"`, []string{
					"source=nginx", "domain=example.com", `url=\x16\x03\x01`, "http_method=", "http_status=400", "src_ip=192.0.2.10",
				}},
				{`example.com 192.0.2.10 - 5c2f0a9e0f4d4b7c8f12a3b4c5d6e7f8 - [29/Jul/2023:10:26:06 -0700] "GET / HTTP/1.1" 400 157 "-" "-"`, []string{
					"source=bunkerweb", "domain=example.com", "http_status=400", "src_ip=192.0.2.10",
				}},
				{`2025/11/05 20:47:03 [error] 24537#230441: *914 open() "/var/www/x" failed (2: No such file or directory), client: 203.0.113.9, server: _, request: "GET /x HTTP/2.0", host: "e.org"`, []string{
					"source=nginx", "dataset=nginx.error", "level=error", "severity=medium", "pid=24537", "src_ip=203.0.113.9", "http_method=GET", "url_path=/x", "domain=e.org",
				}},
				{`2025/11/05 20:47:03 [error] 24537#0: *914 user "bob": password mismatch, client: 203.0.113.9, server: e.org, request: "GET / HTTP/1.1", host: "e.org"`, []string{
					"category=authentication", "action=login", "outcome=failure", "user=bob", "reason=bad password", "src_ip=203.0.113.9",
				}},
				{`2025/11/05 20:47:03 [error] 24537#0: *914 [client 203.0.113.9] ModSecurity: Access denied with code 403 (phase 2). Matched "Operator x" against variable "ARGS:a" [file "/r.conf"] [line "66"] [id "942100"] [rev ""] [msg "SQL Injection Attack"] [hostname "10.0.0.5"] [uri "/a"] [unique_id "x"], client: 203.0.113.9, server: e.org, request: "GET /a?b HTTP/1.1", host: "e.org"`, []string{
					"source=nginx", "category=intrusion_detection", "action=deny", "rule_id=942100", "rule_name=SQL Injection Attack", "src_ip=203.0.113.9", "http_method=GET", "severity=medium",
				}},
				{`{"time_iso8601":"2026-03-04T05:06:07+00:00","remote_addr":"203.0.113.9","remote_user":"bob","request":"GET /a?b=c HTTP/1.1","status":"200","body_bytes_sent":"5","http_referer":"-","http_user_agent":"curl/8"}`, []string{
					"source=nginx", "dataset=nginx.access", "src_ip=203.0.113.9", "user=bob", "url_path=/a", "url_query=b=c", "http_status=200", "user_agent=curl/8", "dst_bytes=5",
				}},
			},
		},
		strict: true,
		parse: func(l *line) bool {
			server := ""
			if l.program == "nginx" || l.r.Source == "nginx" {
				server = "nginx"
			}
			if l.text != "" && l.text[0] == '{' && server != "" {
				if l.p.registry.json.parse(l) {
					l.source = "nginx"
					return true
				}
				return false
			}
			return parseNginxError(l) || parseAccess(l, server)
		},
	}
}

// parseNginxError reads "2025/11/05 20:47:03 [error] PID#TID: *CONN TEXT, client: …".
func parseNginxError(l *line) bool {
	s := l.text
	if len(s) < 27 || s[4] != '/' || s[7] != '/' || s[10] != ' ' {
		return false
	}
	var c clock
	rest, ok := c.isoTime(s)
	if !ok || !strings.HasPrefix(rest, " [") {
		return false
	}
	level, rest, ok := strings.Cut(rest[2:], "] ")
	if !ok || strings.IndexByte(level, ' ') >= 0 {
		return false
	}
	n := digits(rest)
	if n == 0 || n >= len(rest) || rest[n] != '#' {
		return false
	}
	if t, q, ok := l.resolve(&c); ok {
		l.setTime(t, q)
	}
	l.setLevel(level)
	l.pid = rest[:n]
	l.source, l.dataset, l.web = "nginx", "nginx.error", true
	_, rest, _ = strings.Cut(rest, ": ")
	if rest != "" && rest[0] == '*' {
		var conn string
		conn, rest = cutField(rest)
		l.add("connection", conn[1:])
	}
	text := rest
	if i := strings.Index(rest, ", client: "); i >= 0 {
		text = rest[:i]
		nginxPairs(l, rest[i+2:])
	}
	if strings.HasPrefix(text, "ModSecurity: ") || strings.HasPrefix(text, "[client ") && strings.Contains(text, "] ModSecurity: ") {
		l.modSecurityParts(text)
		l.modSecurityAction(text, false)
		return true
	}
	user, after := cQuoted(strings.TrimPrefix(text, "user "))
	if after > 0 && strings.HasPrefix(text, "user ") {
		tail := text[len("user ")+after:]
		reason := ""
		switch {
		case strings.HasPrefix(tail, ": password mismatch"):
			reason = "bad password"
		case strings.HasPrefix(tail, " was not found"):
			reason = "invalid user"
		}
		if reason != "" {
			l.is("authentication", "login", "failure")
			l.add(event.User, user)
			l.add(event.Reason, reason)
			l.atLeast(medium)
			return true
		}
	}
	l.add(event.Category, "web")
	if syslogError(level) {
		l.add(event.Action, "error")
		l.add(event.Outcome, "failure")
	}
	return true
}

// syslogError tells the levels that say that something failed.
func syslogError(level string) bool { return levelSeverity(level) >= medium }

// nginxPairs reads `client: 1.2.3.4, server: _, request: "…", host: "…"`.
func nginxPairs(l *line, s string) {
	for s != "" {
		key, rest, ok := strings.Cut(s, ": ")
		if !ok || strings.IndexByte(key, '"') >= 0 {
			return
		}
		value, n := cQuoted(rest)
		if n == 0 {
			n = strings.Index(rest, ", ")
			if n < 0 {
				n = len(rest)
			}
			value = rest[:n]
		}
		switch key {
		case "client":
			l.addSource(value, "")
		case "server":
			l.add("server", value)
		case "request":
			accessRequest(l, value)
		case "host":
			l.add(event.Domain, value)
		case "referrer":
			l.add(event.Referrer, value)
		case "upstream":
			l.add("upstream", value)
		}
		s = strings.TrimPrefix(strings.TrimPrefix(rest[n:], ","), " ")
	}
}
