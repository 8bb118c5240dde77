package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func postfixParser() content {
	return content{
		Info: Info{
			Name:    "postfix",
			Sources: []string{"postfix"},
			Programs: []string{
				"postfix", "postfix/smtpd", "postfix/submission/smtpd", "postfix/smtps/smtpd", "postfix/submissions/smtpd", "postfix/postscreen", "postfix/cleanup", "postfix/qmgr", "postfix/smtp",
				"postfix/lmtp", "postfix/local", "postfix/virtual", "postfix/pipe", "postfix/bounce", "postfix/error", "postfix/anvil", "postfix/master", "postfix/pickup", "postfix/scache",
				"postfix/tlsproxy", "postfix/dnsblog", "postfix/trivial-rewrite", "postfix/postfix-script", "postfix/proxymap", "postfix/verify", "postfix/tlsmgr", "postfix/flush",
			},
			About: "Postfix: connections, logins, rejected and delivered mail",
			Samples: []Sample{
				{`Mar  4 05:06:07 mx postfix/smtpd[26897]: warning: unknown[203.0.113.42]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=eve@e.org`, []string{
					"source=postfix", "program=postfix/smtpd", "category=authentication", "action=login", "outcome=failure", "user=eve@e.org", "src_ip=203.0.113.42", "severity=medium", "auth_method=LOGIN", "app_proto=smtp",
				}},
				{`Mar  4 05:06:07 mx postfix/smtpd[26897]: NOQUEUE: reject: RCPT from mail.e.org[203.0.113.42]: 554 5.7.1 <bob@e.net>: Relay access denied; from=<a@e.org> to=<bob@e.net> proto=ESMTP helo=<x>`, []string{
					"category=email", "action=reject", "outcome=failure", "src_ip=203.0.113.42", "src_host=mail.e.org", "sender=a@e.org", "recipient=bob@e.net", "reason=554 5.7.1 <bob@e.net>: Relay access denied", "helo=x",
				}},
				{`Mar  4 05:06:07 mx postfix/smtpd[26897]: 4XyZ1234: client=c.e.org[203.0.113.43]:51000, sasl_method=PLAIN, sasl_username=alice`, []string{
					"action=login", "outcome=success", "user=alice", "src_ip=203.0.113.43", "src_port=51000", "auth_method=PLAIN", "session_id=4XyZ1234",
				}},
				{`Mar  4 05:06:07 mx postfix/smtp[26898]: 4XyZ1234: to=<b@e.com>, orig_to=<c@e.com>, relay=mx.e.com[198.51.100.25]:25, delay=1.2, dsn=2.0.0, status=sent (250 ok)`, []string{
					"action=deliver", "outcome=success", "recipient=b@e.com", "dst_ip=198.51.100.25", "dst_host=mx.e.com", "dst_port=25", "status=sent", "reason=250 ok",
				}},
				{`Mar  4 05:06:07 mx postfix/smtpd[26897]: connect from unknown[203.0.113.42]`, []string{"category=network", "action=connect", "src_ip=203.0.113.42", "src_host="}},
				{`Mar  4 05:06:07 mx postfix/postscreen[26]: PREGREET 11 after 0.1 from [203.0.113.42]:40000: EHLO x`, []string{"src_ip=203.0.113.42", "src_port=40000", "action=pregreet"}},
				{`Mar  4 05:06:07 mx postfix/qmgr[26]: 4XyZ1234: from=<a@e.org>, size=1234, nrcpt=1 (queue active)`, []string{"sender=a@e.org", "size=1234", "session_id=4XyZ1234", "category=email"}},
			},
		},
		parse: parsePostfix,
	}
}

func parsePostfix(l *line) bool {
	l.source = "postfix"
	s := l.text
	if rest, ok := strings.CutPrefix(s, "warning: "); ok {
		l.setLevel("warning")
		s = rest
	} else if rest, ok := strings.CutPrefix(s, "fatal: "); ok {
		l.setLevel("error")
		s = rest
	}
	if who, rest, ok := strings.Cut(s, ": SASL "); ok && strings.Contains(rest, "authentication fail") {
		l.mailPeer(who, true)
		method, rest := cutWord(rest)
		l.is("authentication", "login", "failure")
		l.add(event.AuthMethod, method)
		_, user, _ := strings.Cut(rest, "sasl_username=")
		user, _, _ = strings.Cut(user, ",")
		l.account(user)
		l.add(event.AppProto, "smtp")
		l.atLeast(medium)
		return true
	}
	if l.says(postfixSayings, s) {
		return true
	}
	id, rest, ok := strings.Cut(s, ": ")
	if !ok || !isQueueID(id) {
		return true
	}
	l.add(event.SessionID, id)
	l.mailPairs(rest)
	return true
}

// isQueueID tells a message's number in the queue.
func isQueueID(s string) bool {
	if len(s) < 6 || len(s) > 20 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && !isLetter(c) {
			return false
		}
	}
	return true
}

// mailPeer adds "host[address]:port" as one side of a connection.
func (l *line) mailPeer(s string, src bool) {
	ip, host, port, _ := side(src)
	name, rest, ok := strings.Cut(s, "[")
	if !ok {
		l.addPeer(ip, host, name)
		return
	}
	addr, rest, _ := strings.Cut(rest, "]")
	l.addPeer(ip, "", addr)
	if name != "unknown" && name != "localhost" {
		l.addNonDash(host, name)
	}
	if p, ok := strings.CutPrefix(rest, ":"); ok {
		l.addInt(port, p[:digits(p)])
	}
}

// mailPairs reads "client=…, sasl_username=…" and "to=<…>, relay=…, status=sent (…)".
func (l *line) mailPairs(s string) {
	category, action, outcome := "email", "", ""
	for s != "" {
		n := keyLen(s)
		if n == 0 {
			break
		}
		key := s[:n]
		value, rest, more := strings.Cut(s[n+1:], ", ")
		if key == "message-id" || key == "status" {
			value, rest = s[n+1:], ""
		}
		value, _, _ = strings.Cut(value, " (queue active)")
		switch key {
		case "client":
			l.mailPeer(value, true)
		case "sasl_method":
			l.add(event.AuthMethod, value)
		case "sasl_username":
			category, action, outcome = "authentication", "login", "success"
			l.account(value)
		case "from":
			l.add("sender", strings.Trim(value, "<>"))
		case "to":
			l.add("recipient", strings.Trim(value, "<>"))
		case "relay":
			if value != "none" {
				l.mailPeer(value, false)
			}
		case "status":
			status, reason, _ := strings.Cut(value, " (")
			l.add("status", status)
			l.add(event.Reason, strings.TrimSuffix(reason, ")"))
			action, outcome = "deliver", "failure"
			if status == "sent" {
				outcome = "success"
			}
		default:
			l.native("", key, strings.Trim(value, "<>"))
		}
		if !more {
			break
		}
		s = rest
	}
	l.is(category, action, outcome)
}

// mailFrom adds the initiator of a wording that names it as HOST[ADDRESS].
func mailFrom(l *line) {
	if i := l.indexOf("client"); i >= 0 {
		client := l.e.Fields[i].Value
		l.e.Fields = append(l.e.Fields[:i], l.e.Fields[i+1:]...)
		l.mailPeer(client, true)
	}
	for _, name := range [...]string{"sender", "recipient", "helo"} {
		if i := l.indexOf(name); i >= 0 {
			l.e.Fields[i].Value = strings.Trim(l.e.Fields[i].Value, "<>")
		}
	}
}

var postfixSayings = []saying{
	{form: form("NOQUEUE: reject: {_} from {client}: {reason}; from={sender} to={recipient} proto={_} helo={helo}"), category: "email", action: "reject", outcome: "failure", severity: low, also: mailFrom},
	{form: form("NOQUEUE: reject: {_} from {client}: {reason}"), category: "email", action: "reject", outcome: "failure", severity: low, also: mailFrom},
	{form: form("connect from {client}"), category: "network", action: "connect", also: mailFrom},
	{form: form("disconnect from {client} {_}"), category: "network", action: "disconnect", also: mailFrom},
	{form: form("disconnect from {client}"), category: "network", action: "disconnect", also: mailFrom},
	{form: form("lost connection after {reason} from {client}"), category: "network", action: "disconnect", also: mailFrom},
	{form: form("timeout after {reason} from {client}"), category: "network", action: "disconnect", also: mailFrom},
	{form: form("too many errors after {reason} from {client}"), category: "network", action: "disconnect", outcome: "failure", severity: low, also: mailFrom},
	{form: form("hostname {src_host} does not resolve to address {src_ip}"), category: "network"},
	{form: form("Anonymous TLS connection established from {client}: {tls_version} with {_}"), category: "network", action: "tls", outcome: "success", also: mailFrom},
	{form: form("CONNECT from {client} to {_}"), category: "network", action: "connect", also: mailFrom},
	{form: form("PREGREET {_} from {client}: {_}"), category: "network", action: "pregreet", severity: low, also: mailFrom},
	{form: form("DNSBL rank {rank} for {client}"), category: "network", action: "blocklisted", severity: low, also: mailFrom},
	{form: form("HANGUP after {_} from {client} in {_}"), category: "network", action: "disconnect", also: mailFrom},
	{form: form("PASS {_} {client}"), category: "network", action: "allow", also: mailFrom},
}
