package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func suParser() content {
	return content{
		Info: Info{
			Name:     "su",
			Sources:  []string{"su"},
			Programs: []string{"su", "su-l", "runuser"},
			About:    "su in the wordings of util-linux, shadow, BSD and Solaris",
			Samples: []Sample{
				{"Mar  4 05:06:07 web su[77]: Successful su for root by alice", []string{
					"source=su", "category=authentication", "action=su", "outcome=success", "user=alice", "target_user=root", "severity=info",
				}},
				{"Mar  4 05:06:07 web su[77]: FAILED SU (to root) alice on pts/1", []string{"outcome=failure", "user=alice", "target_user=root", "tty=pts/1", "severity=high"}},
				{"Mar  4 05:06:07 web su[77]: (to bob) alice on pts/1", []string{"outcome=success", "user=alice", "target_user=bob", "tty=pts/1"}},
				{"Mar  4 05:06:07 web su: BAD SU alice to root on /dev/ttyp0", []string{"outcome=failure", "user=alice", "target_user=root", "tty=/dev/ttyp0"}},
				{"Mar  4 05:06:07 web su: + /dev/pts/0 alice:root", []string{"outcome=success", "user=alice", "target_user=root", "tty=/dev/pts/0"}},
				{"Mar  4 05:06:07 web su[77]: - pts/0 alice:bob", []string{"outcome=failure", "user=alice", "target_user=bob", "severity=medium"}},
				{"Mar  4 05:06:07 web su: failed: ttyq4 changing from ldap to root", []string{"outcome=failure", "user=ldap", "target_user=root", "tty=ttyq4"}},
				{"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8", []string{"host=mymachine", "outcome=failure", "user=lonvick", "target_user=root", "severity=high"}},
			},
		},
		parse: parseSu,
	}
}

// parseSu takes every line that su writes.
func parseSu(l *line) bool {
	if l.program == "" {
		l.program = "su"
	}
	s := l.text
	switch {
	case strings.HasPrefix(s, "Successful su for "):
		target, user, _ := strings.Cut(s[len("Successful su for "):], " by ")
		su(l, "success", user, target, "")
	case strings.HasPrefix(s, "FAILED su for "):
		target, user, _ := strings.Cut(s[len("FAILED su for "):], " by ")
		su(l, "failure", user, target, "")
	case strings.HasPrefix(s, "FAILED SU (to "):
		suParenthesis(l, "failure", s[len("FAILED SU (to "):])
	case strings.HasPrefix(s, "(to "):
		suParenthesis(l, "success", s[len("(to "):])
	case strings.HasPrefix(s, "BAD SU "):
		who, tty, _ := strings.Cut(s[len("BAD SU "):], " on ")
		user, target, _ := strings.Cut(who, " to ")
		su(l, "failure", user, target, tty)
	case strings.HasPrefix(s, "+ "), strings.HasPrefix(s, "- "):
		tty, who := cutWord(s[2:])
		user, target, ok := strings.Cut(strings.TrimRight(who, " "), ":")
		if !ok {
			user, target, ok = strings.Cut(who, "-") // Solaris: "+ pts/1 alice-root"
		}
		if ok && s[0] == '+' {
			su(l, "success", user, target, tty)
		} else if ok {
			su(l, "failure", user, target, tty)
		}
	case strings.HasPrefix(s, "failed: "):
		tty, rest, _ := strings.Cut(s[len("failed: "):], " changing from ")
		user, target, ok := strings.Cut(rest, " to ")
		if ok {
			su(l, "failure", user, target, tty)
		}
	case strings.HasPrefix(s, "'su "):
		target, rest, _ := strings.Cut(s[len("'su "):], "' ")
		outcome := "success"
		if strings.HasPrefix(rest, "failed") {
			outcome = "failure"
		}
		_, who, ok := strings.Cut(rest, " for ")
		user, tty, _ := strings.Cut(who, " on ")
		if ok {
			su(l, outcome, user, target, tty)
		}
	case strings.Contains(s, " to ") && strings.Contains(s, " on "): // BSD: "alice to root on /dev/ttyp0"
		who, tty, _ := strings.Cut(s, " on ")
		user, target, ok := strings.Cut(who, " to ")
		if ok && strings.IndexByte(user, ' ') < 0 && strings.IndexByte(target, ' ') < 0 {
			su(l, "success", user, target, tty)
		}
	}
	return true
}

// suParenthesis reads "root) alice on pts/1".
func suParenthesis(l *line, outcome, s string) {
	target, who, ok := strings.Cut(s, ") ")
	if !ok {
		return
	}
	user, tty, _ := strings.Cut(who, " on ")
	su(l, outcome, user, target, tty)
}

func su(l *line, outcome, user, target, tty string) {
	l.is("authentication", "su", outcome)
	l.add(event.User, user)
	l.add(event.TargetUser, target)
	l.add(event.TTY, tty)
	if outcome == "failure" {
		l.add(event.Reason, "authentication failed")
		l.atLeast(medium)
		if target == "root" {
			l.atLeast(high)
		}
	}
}
