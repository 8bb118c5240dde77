package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func eximParser() content {
	return content{
		Info: Info{
			Name:     "exim",
			Sources:  []string{"exim"},
			Programs: []string{"exim", "exim4"},
			About:    "Exim's main and reject log: mail received, delivered, deferred and refused, failed logins",
			Samples: []Sample{
				{`2026-03-04 05:06:07 1abcDE-000123-XY <= alice@e.org H=c.e.org (helo) [203.0.113.9]:4711 I=[10.0.0.1]:587 P=esmtpsa X=TLS1.3:X:256 A=plain:alice S=1234 id=m@e.org`, []string{
					"source=exim", "category=email", "action=receive", "outcome=success", "session_id=1abcDE-000123-XY", "sender=alice@e.org", "user=alice", "auth_method=plain", "src_ip=203.0.113.9", "src_port=4711", "src_host=c.e.org", "dst_ip=10.0.0.1",
				}},
				{`2026-03-04 05:06:07 1abcDE-000123-XY => b@e.com R=dnslookup T=remote_smtp H=mx.e.com [198.51.100.25] X=TLS1.3:X:256 C="250 ok"`, []string{"action=deliver", "outcome=success", "recipient=b@e.com", "dst_ip=198.51.100.25", "dst_host=mx.e.com"}},
				{`2026-03-04 05:06:07 plain authenticator failed for (x) [203.0.113.9]:40000: 535 Incorrect authentication data (set_id=eve)`, []string{
					"source=exim", "category=authentication", "action=login", "outcome=failure", "user=eve", "src_ip=203.0.113.9", "src_port=40000", "auth_method=plain", "severity=medium",
				}},
				{`2026-03-04 05:06:07 H=(x) [203.0.113.9] F=<a@e.org> rejected RCPT <b@e.net>: relay not permitted`, []string{"source=exim", "action=reject", "outcome=failure", "src_ip=203.0.113.9", "sender=a@e.org", "recipient=b@e.net", "reason=relay not permitted"}},
			},
		},
		parse: parseExim,
	}
}

// eximID returns the length of a message's number, old form and new.
func eximID(s string) int {
	word, _ := cutField(s)
	switch n := len(word); {
	case n == 16 && word[6] == '-' && word[13] == '-' && isDigit(word[0]),
		n == 23 && word[6] == '-' && word[18] == '-' && isDigit(word[0]):
		return n
	}
	return 0
}

// isExim tells Exim's lines; only a time may stand before them.
func isExim(s string) bool {
	if len(s) > 20 && eximID(s) > 0 {
		return true
	}
	return before(s, " authenticator failed for ", 64) || strings.HasPrefix(s, "H=") && strings.Contains(s, " rejected ") && before(s, "[", 256)
}

func parseExim(l *line) bool {
	s := l.text
	if l.header == "none" {
		var c clock
		if rest, ok := c.isoTime(s); ok {
			s = skipSpaces(rest)
		}
	}
	if s == "" || l.program == "" && !isExim(s) {
		return false
	}
	l.source = "exim"
	if n := eximID(s); n > 0 {
		l.add(event.SessionID, s[:n])
		s = skipSpaces(s[n:])
	}
	if method, rest, ok := strings.Cut(s, " authenticator failed for "); ok {
		l.is("authentication", "login", "failure")
		l.add(event.AuthMethod, method)
		l.eximHost(rest, true)
		if user, ok := between(rest, "(set_id=", ")"); ok {
			l.account(user)
		}
		l.atLeast(medium)
		return true
	}
	if from, reason, ok := strings.Cut(s, " rejected "); ok && strings.Contains(from, "H=") {
		l.is("email", "reject", "failure")
		_, host, _ := strings.Cut(from, "H=")
		l.eximHost(host, true)
		if sender, ok := between(from, "F=<", ">"); ok {
			l.add("sender", sender)
		}
		if to, ok := between(reason, "<", ">"); ok {
			l.add("recipient", to)
		}
		if _, why, ok := strings.Cut(reason, ": "); ok {
			l.add(event.Reason, why)
		}
		l.atLeast(low)
		return true
	}
	mark, rest := cutWord(s)
	who, rest := cutWord(rest)
	switch mark {
	case "<=":
		l.is("email", "receive", "success")
		l.add("sender", strings.Trim(who, "<>"))
		l.eximPairs(rest, true)
	case "=>", "->", ">>", "*>":
		l.is("email", "deliver", "success")
		l.add("recipient", strings.Trim(who, "<>"))
		l.eximPairs(rest, false)
	case "**", "==":
		l.is("email", "deliver", "failure")
		l.add("recipient", strings.Trim(who, "<>"))
		l.eximPairs(rest, false)
		if i := strings.LastIndex(rest, ": "); i >= 0 {
			l.add(event.Reason, rest[i+2:])
		}
	}
	return true
}

// eximHost reads "name (helo) [address]:port".
func (l *line) eximHost(s string, src bool) {
	ip, host, port, _ := side(src)
	names, s, ok := strings.Cut(s, "[")
	if !ok {
		return
	}
	if name, _ := cutWord(names); name != "" && name[0] != '(' {
		l.add(host, name)
	}
	addr, rest, _ := strings.Cut(s, "]")
	l.addPeer(ip, "", addr)
	if p, ok := strings.CutPrefix(rest, ":"); ok {
		l.addInt(port, p[:digits(p)])
	}
}

// eximPairs reads "H=… I=[…]:p A=method:user S=…".
func (l *line) eximPairs(s string, received bool) {
	if _, host, ok := strings.Cut(" "+s, " H="); ok {
		l.eximHost(host, received)
	}
	for s != "" {
		var word string
		word, s = cutWord(s)
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			continue
		}
		switch key {
		case "I":
			if addr, ok := between(value, "[", "]"); ok {
				l.addPeer(event.DstIP, "", addr)
			}
		case "A":
			method, user, _ := strings.Cut(value, ":")
			l.add(event.AuthMethod, method)
			user, _, _ = strings.Cut(user, ":")
			l.account(user)
		case "S":
			l.add("size", value)
		case "id":
			l.add("message-id", value)
		case "P", "R", "T":
			l.add(key, value)
		}
	}
}
