package parse

import "strings"

func esaParser() content {
	return content{
		Info: Info{
			Name:    "cisco_esa",
			Sources: []string{"cisco_esa"},
			Programs: []string{
				"mail_logs", "authentication", "gui_logs", "http_logs", "antispam", "amp", "system_logs", "error_logs", "content_scanner", "cli_logs", "bounces", "textmail",
			},
			About: "Cisco Secure Email (AsyncOS): mail, authentication, web interface, antispam, malware and system logs, which begin with a level",
			Samples: []Sample{
				{`<134> Mar  4 05:06:07 esa1 authentication: Info: User bob from 203.0.113.9 failed authentication.`, []string{
					"source=cisco_esa", "vendor=Cisco", "host=esa1", "dataset=authentication", "category=authentication", "action=login", "outcome=failure", "user=bob", "src_ip=203.0.113.9", "level=Info", "severity=medium",
				}},
				{`<134> Mar  4 05:06:07 esa1 app: Wed Mar  4 05:06:07 2026 Info: The user admin successfully logged on from 203.0.113.9 using an HTTPS connection.`, []string{"source=cisco_esa", "action=login", "outcome=success", "user=admin", "src_ip=203.0.113.9"}},
				{`<134> Mar  4 05:06:07 gui_logs: Info: req:203.0.113.9 user:- id:J0P3 200 GET /login HTTP/1.1 python-requests/2.26.0`, []string{"category=web", "src_ip=203.0.113.9", "http_status=200", "http_method=GET", "url_path=/login"}},
				{`<134> Mar  4 05:06:07 esa1 mail_logs: Info: MID 107 ICID 9 From: <a@example.com>`, []string{"source=cisco_esa", "dataset=mail_logs", "MID=107"}},
			},
		},
		parse: parseESA,
	}
}

// esaText splits "[TIME [HOST LOG: ]]Level: text".
func esaText(s string) (level, text string, ok bool) {
	var c clock
	if rest, timed := c.bsdTime(s); timed {
		s = skipSpaces(rest)
		if i := strings.IndexByte(s, ':'); i > 0 && !isESALevel(s[:i]) { // host and log before the level
			s = skipSpaces(s[i+1:])
		}
	}
	level, text, ok = strings.Cut(s, ": ")
	return level, text, ok && isESALevel(level)
}

func isESALevel(s string) bool {
	switch s {
	case "Info", "Warning", "Critical", "Debug", "Trace", "Alert", "Error":
		return true
	}
	return false
}

// asyncOSWords stand in the lines of AsyncOS that carry no time of their own.
var asyncOSWords = [...]string{
	"req:", "http connection", "SSL error with client", "SMTP", "alert was sent", "sending alert", "case ", "PF: ", "ISQ: ", "ESA ", "MID ", "ICID ", "DCID ", "TLS connection failed",
	"The system time was changed", "Hostname is ", " SN: ", "authenticat", "logged on", "SenderBase", "Begin Logfile",
}

// esaLevel tells AsyncOS' lines under a tag that anything may have: those that begin
// with a time and a level, or with a level and hold a word of AsyncOS.
func esaLevel(s string) bool {
	_, text, ok := esaText(s)
	if !ok {
		return false
	}
	if month, _ := monthOf(s); month > 0 || len(s) > 4 && isWeekday(s) {
		return true
	}
	for _, word := range &asyncOSWords {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func parseESA(l *line) bool {
	level, text, ok := esaText(l.text)
	if !ok {
		return false
	}
	text = skipSpaces(text)
	l.knownAs("cisco_esa", "Cisco", "Secure Email")
	l.dataset = l.p.lower(l.program)
	l.setLevel(level)
	if id, ok := strings.CutPrefix(text, "MID "); ok {
		l.add("MID", id[:digits(id)])
	}
	l.says(esaSayings, text)
	return true
}

var esaSayings = []saying{
	{form: form("User {user} from {src_ip} was authenticated successfully."), category: "authentication", action: "login", outcome: "success"},
	{form: form("User {user} from {src_ip} failed authentication."), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form("The user {user} successfully logged on from {src_ip} using {_}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("An authentication attempt by the user {user} from {src_ip} failed"), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form("login:{src_ip} user:{user} session:{session_id}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("logout:{src_ip} user:{user} session:{session_id}"), category: "authentication", action: "logout", outcome: "success"},
	{form: form("PID {_}: User {user} logged out {_}"), category: "authentication", action: "logout", outcome: "success"},
	{form: form("req:{src_ip} user:{user} id:{_} {http_status} {http_method} {url_path} HTTP/{_} {user_agent}"), category: "web", action: "request"},
	{form: form("Error in http connection from host {src_ip} port {src_port} - {reason}"), category: "web", action: "request", outcome: "failure"},
	{form: form("File reputation query initiating. File Name = {file_path}, MID = {_}"), category: "file"},
	{form: form("File uploaded for analysis. SHA256: {hash_sha256}, file name: {file_path}"), category: "file"},
	{form: form("New SMTP ICID {session_id} interface {_} ({dst_ip}) address {src_ip} {_}"), category: "network", action: "session_open"},
}
