package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func pamParser() content {
	return content{
		Info: Info{
			Name:    "pam",
			Sources: []string{"pam"},
			About:   "Linux PAM inside any program: failed authentication, sessions, password changes, locked accounts (source is the program's, dataset pam)",
			Samples: []Sample{
				{"Dec 10 06:55:46 LabSZ sshd[24200]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=173.234.31.186  user=root", []string{
					"source=sshd", "dataset=pam", "category=authentication", "action=login", "outcome=failure", "user=root", "src_ip=173.234.31.186", "tty=ssh", "severity=high",
				}},
				{"Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4 ", []string{
					"source=sshd", "program=sshd", "pid=19939", "dataset=pam", "outcome=failure", "src_ip=218.188.2.4",
				}},
				{"Dec 10 06:55:46 LabSZ sshd[24200]: PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=a.example.org  user=root", []string{
					"source=sshd", "count=5", "outcome=failure", "src_host=a.example.org", "user=root",
				}},
				{"Jun 14 15:16:02 combo sshd(pam_unix)[19937]: check pass; user unknown", []string{"outcome=failure", "reason=invalid user", "action=login"}},
				{"Jun 15 04:06:18 combo su(pam_unix)[21416]: session opened for user cyrus by (uid=0)", []string{
					"source=su", "category=session", "action=session_open", "outcome=success", "user=cyrus",
				}},
				{"Jun 15 04:06:19 combo su(pam_unix)[21416]: session closed for user cyrus", []string{"action=session_close", "user=cyrus"}},
				{"Mar  4 05:06:07 web passwd[12]: pam_unix(passwd:chauthtok): password changed for alice", []string{
					"source=shadow-utils", "category=iam", "action=password_change", "outcome=success", "user=alice",
				}},
				{"Mar  4 05:06:07 web gdm-password[12]: pam_faillock(gdm-password:auth): Consecutive login failures for user bob account temporarily locked", []string{
					"source=pam", "program=gdm-password", "action=account_lock", "user=bob", "severity=medium",
				}},
			},
		},
		parse: parsePAM,
	}
}

// parsePAM reads lines that begin with "pam_X(service:type): ", "PAM N more
// authentication failures" and those whose tag says "(pam_unix)".
func parsePAM(l *line) bool {
	s := l.text
	module := l.tagged
	if strings.HasPrefix(s, "pam_") {
		head, rest, ok := strings.Cut(s, ": ")
		if !ok {
			return false
		}
		s = rest
		if i := strings.IndexByte(head, '('); i > 0 && head[len(head)-1] == ')' {
			module = head[:i]
			service, kind, _ := strings.Cut(head[i+1:len(head)-1], ":")
			l.add("pam_service", service)
			l.add("pam_type", kind)
		} else {
			module = head
		}
	}
	l.dataset = "pam"
	if strings.HasPrefix(module, "pam_") {
		l.add("pam_module", module)
	}
	switch {
	case strings.HasPrefix(s, "authentication failure"):
		pamFailure(l, s, "authentication failed")
	case strings.HasPrefix(s, "PAM "), strings.HasPrefix(s, "more authentication failure"):
		rest := strings.TrimPrefix(s, "PAM ")
		d := digits(rest)
		if d == 0 || d > 9 || !strings.HasPrefix(rest[d:], " more authentication failure") {
			break
		}
		if number(rest[:d]) > 1 {
			l.times(rest[:d])
		}
		pamFailure(l, rest, "authentication failed")
	case strings.HasPrefix(s, "check pass; user unknown"), strings.HasPrefix(s, "could not identify user"):
		l.is("authentication", "login", "failure")
		l.add(event.Reason, "invalid user")
		l.atLeast(low)
	case strings.HasPrefix(s, "authentication success"):
		l.is("authentication", "login", "success")
		pamPairs(l, s)
	case strings.HasPrefix(s, "session opened for user "):
		l.is("session", "session_open", "success")
		user, by, _ := strings.Cut(s[len("session opened for user "):], " by ")
		pamUser(l, event.User, event.UserID, user)
		pamUser(l, event.SrcUser, "src_user_id", by)
	case strings.HasPrefix(s, "session closed for user "):
		l.is("session", "session_close", "success")
		pamUser(l, event.User, event.UserID, s[len("session closed for user "):])
	case strings.HasPrefix(s, "password changed for "):
		l.is("iam", "password_change", "success")
		l.add(event.User, s[len("password changed for "):])
	case strings.HasPrefix(s, "Consecutive login failures for user "):
		user, _ := cutWord(s[len("Consecutive login failures for user "):])
		l.is("iam", "account_lock", "success")
		l.add(event.User, user)
		l.add(event.Reason, "too many attempts")
		l.atLeast(medium)
	case strings.HasPrefix(s, "received for user "):
		user, rest, _ := strings.Cut(s[len("received for user "):], ": ")
		l.is("authentication", "login", "failure")
		l.add(event.User, user)
		if reason, ok := between(rest, "(", ")"); ok {
			l.add(event.Reason, reason)
		}
		l.atLeast(medium)
	case strings.HasPrefix(s, "user ") && strings.Contains(s, " tally "):
		user, _ := cutWord(s[len("user "):])
		l.is("authentication", "login", "failure")
		l.add(event.User, user)
		l.add(event.Reason, "too many attempts")
		l.atLeast(medium)
	case strings.HasPrefix(s, "requirement ") && strings.Contains(s, " not met by user "):
		l.is("authentication", "login", "failure")
		l.add(event.Reason, "policy")
		if user, ok := between(s, " not met by user \"", "\""); ok {
			l.add(event.User, user)
		}
		l.atLeast(low)
	}
	return true
}

// pamUser reads "alice", "alice(uid=0)" and "(uid=0)".
func pamUser(l *line, name, id, s string) {
	s = strings.TrimRight(s, " ")
	if i := strings.LastIndex(s, "(uid="); i >= 0 {
		l.addInt(id, strings.TrimSuffix(s[i+len("(uid="):], ")"))
		s = s[:i]
	}
	l.add(name, s)
}

func pamFailure(l *line, s, reason string) {
	l.is("authentication", "login", "failure")
	l.add(event.Reason, reason)
	if pamPairs(l, s) == "root" {
		l.atLeast(high)
	} else {
		l.atLeast(medium)
	}
}

// pamPairs reads "logname= uid=0 euid=0 tty=ssh ruser= rhost=H  user=U" and
// returns U. A user name is the last thing on the line and may hold spaces.
func pamPairs(l *line, s string) (user string) {
	_, s, _ = strings.Cut(s, ";")
	for s != "" {
		s = skipSpaces(s)
		if name, ok := strings.CutPrefix(s, "user="); ok {
			user = strings.TrimRight(name, " ")
			l.add(event.User, user)
			return user
		}
		var word string
		word, s = cutField(s)
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "tty":
			l.add(event.TTY, value)
		case "ruser":
			l.add(event.SrcUser, value)
		case "rhost":
			l.addSource(value, "")
		case "uid", "euid", "logname":
			l.add(key, value)
		}
	}
	return ""
}
