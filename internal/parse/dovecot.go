package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func dovecotParser() content {
	return content{
		Info: Info{
			Name:     "dovecot",
			Sources:  []string{"dovecot"},
			Programs: []string{"dovecot", "imap-login", "pop3-login", "managesieve-login", "submission-login"},
			About:    "Dovecot: logins of IMAP, POP3, ManageSieve and submission, its authentication service, ends of sessions",
			Samples: []Sample{
				{`Mar  4 05:06:07 mx dovecot: imap-login: Login: user=<bob>, method=PLAIN, rip=203.0.113.9, lip=10.0.0.1, mpid=4711, TLS, session=<abc>`, []string{
					"source=dovecot", "program=dovecot", "host=mx", "category=authentication", "action=login", "outcome=success", "user=bob", "src_ip=203.0.113.9", "dst_ip=10.0.0.1", "auth_method=PLAIN", "app_proto=imap", "session_id=abc",
				}},
				{`Mar  4 05:06:07 mx dovecot: pop3-login: Disconnected (auth failed, 3 attempts in 10 secs): user=<eve>, method=LOGIN, rip=203.0.113.9, lip=10.0.0.1, session=<abd>`, []string{
					"action=login", "outcome=failure", "user=eve", "src_ip=203.0.113.9", "count=3", "severity=medium", "app_proto=pop3", "reason=auth failed, 3 attempts in 10 secs",
				}},
				{`Mar  4 05:06:07 mx dovecot: auth: passwd-file(eve,203.0.113.9,<abd>): unknown user`, []string{"category=authentication", "outcome=failure", "user=eve", "src_ip=203.0.113.9", "reason=unknown user"}},
				{`Mar  4 05:06:07 mx dovecot: imap-login: Disconnected (no auth attempts in 2 secs): user=<>, rip=203.0.113.9, lip=10.0.0.1, TLS, session=<x>`, []string{"category=network", "action=disconnect", "src_ip=203.0.113.9", "user="}},
				{`Mar  4 05:06:07 mx dovecot: imap(bob)<4711><abc>: Disconnected: Logged out in=50 out=900`, []string{"category=session", "action=session_close", "user=bob"}},
			},
		},
		parse: parseDovecot,
	}
}

func parseDovecot(l *line) bool {
	l.source = "dovecot"
	service, s := l.program, l.text
	if service == "dovecot" || service == "" {
		head, rest, ok := strings.Cut(s, ": ")
		if !ok {
			return true
		}
		service, s = head, rest
	}
	l.add("service", service)
	for _, level := range [...]string{"Info", "Error", "Warning", "Fatal", "Debug"} {
		if rest, ok := strings.CutPrefix(s, level); ok && strings.HasPrefix(rest, ": ") {
			l.setLevel(level)
			s = rest[2:]
		}
	}
	switch {
	case strings.HasSuffix(service, "-login"):
		l.add(event.AppProto, strings.TrimSuffix(service, "-login"))
		l.dovecotLogin(s)
	case strings.HasPrefix(service, "auth"):
		l.dovecotAuth(s)
	default:
		if name, rest, ok := strings.Cut(service, "("); ok {
			user, _, _ := strings.Cut(rest, ")")
			l.account(user)
			l.once(event.AppProto, name)
		}
		if strings.HasPrefix(s, "Disconnected") || strings.HasPrefix(s, "Logged out") || strings.HasPrefix(s, "Connection closed") {
			l.is("session", "session_close", "")
		}
	}
	return true
}

// dovecotLogin reads "Login: user=<…>, …" and "Disconnected (REASON): user=<…>, …".
func (l *line) dovecotLogin(s string) {
	what, pairs, ok := strings.Cut(s, ": user=")
	if !ok {
		return
	}
	what, reason, _ := strings.Cut(what, " (")
	reason = strings.TrimSuffix(reason, ")")
	switch {
	case what == "Login":
		l.is("authentication", "login", "success")
	case strings.Contains(reason, "auth failed") || strings.Contains(s, "Authentication failed"):
		l.is("authentication", "login", "failure")
		l.atLeast(medium)
		if n, ok := between(reason, "auth failed, ", " attempt"); ok && n != "1" {
			l.times(n)
		}
	default:
		l.is("network", "disconnect", "")
	}
	l.add(event.Reason, reason)
	pairs = "user=" + pairs
	for pairs != "" {
		var pair string
		pair, pairs, _ = strings.Cut(pairs, ", ")
		key, value, _ := strings.Cut(pair, "=")
		value = strings.Trim(value, "<>")
		switch key {
		case "user":
			l.account(value)
		case "method":
			l.add(event.AuthMethod, value)
		case "rip":
			l.addSource(value, "")
		case "lip":
			l.addPeer(event.DstIP, event.DstHost, value)
		case "rport":
			l.addInt(event.SrcPort, value)
		case "lport":
			l.addInt(event.DstPort, value)
		case "session":
			l.add(event.SessionID, value)
		}
	}
}

// dovecotAuth reads "DRIVER(USER,ADDRESS[,<SESSION>]): TEXT".
func (l *line) dovecotAuth(s string) {
	_, rest, ok := strings.Cut(s, "(")
	if !ok {
		return
	}
	who, text, ok := strings.Cut(rest, "): ")
	if !ok {
		return
	}
	user, rest, _ := strings.Cut(who, ",")
	addr, session, _ := strings.Cut(rest, ",")
	outcome := ""
	for _, words := range [...]string{"unknown user", "assword mismatch", "failed", "Authentication failure", "invalid", "not allowed"} {
		if strings.Contains(text, words) {
			outcome = "failure"
		}
	}
	if outcome == "" {
		return
	}
	l.is("authentication", "login", outcome)
	l.account(user)
	l.addSource(addr, "")
	l.add(event.SessionID, strings.Trim(session, "<>"))
	l.add(event.Reason, text)
	l.atLeast(medium)
}
