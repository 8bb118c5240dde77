package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func sudoParser() content {
	return content{
		Info: Info{
			Name:     "sudo",
			Sources:  []string{"sudo"},
			Programs: []string{"sudo"},
			About:    "sudo: commands run, refused and mistyped passwords",
			Samples: []Sample{
				{"Mar  4 05:06:07 web sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update", []string{
					"source=sudo", "program=sudo", "category=process", "action=sudo", "outcome=success", "user=alice", "target_user=root",
					"tty=pts/0", "cwd=/home/alice", "cmdline=/usr/bin/apt update", "process_path=/usr/bin/apt", "severity=info",
				}},
				{"Mar  4 05:06:07 web sudo: bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/bash", []string{
					"outcome=failure", "reason=incorrect password", "count=3", "user=bob", "target_user=root", "cmdline=/bin/bash", "severity=medium",
				}},
				{"Mar  4 05:06:07 web sudo[99]: eve : user NOT in sudoers ; TTY=pts/2 ; PWD=/tmp ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow", []string{
					"outcome=failure", "reason=user NOT in sudoers", "user=eve", "severity=high", "pid=99",
				}},
				{"Mar  4 05:06:07 web sudo: eve : command not allowed ; TTY=pts/2 ; PWD=/tmp ; USER=root ; GROUP=adm ; TSID=00001A ; ENV=A=1 ; COMMAND=/bin/sh -c 'a ; b'", []string{
					"outcome=failure", "reason=command not allowed", "group=adm", "TSID=00001A", "ENV=A=1", "cmdline=/bin/sh -c 'a ; b'", "severity=high",
				}},
				{"Mar  4 05:06:07 web sudo: alice : (command continued) --and --more", []string{"action=sudo", "user=alice", "cmdline=--and --more"}},
				{"Mar  4 05:06:07 web sudo: pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)", []string{
					"source=sudo", "dataset=pam", "category=session", "action=session_open", "user=root", "src_user=alice",
				}},
			},
		},
		parse: parseSudo,
	}
}

// parseSudo reads "U : [REASON ;] TTY=… ; PWD=… ; USER=… ; COMMAND=…".
func parseSudo(l *line) bool {
	if l.program == "" {
		l.program = "sudo"
	}
	s := strings.TrimLeft(l.text, " ")
	user, rest, ok := strings.Cut(s, " : ")
	if !ok || strings.IndexByte(user, ' ') >= 0 {
		return l.program == "sudo"
	}
	outcome, reason := "success", ""
	if more, ok := strings.CutPrefix(rest, "(command continued) "); ok {
		l.is("process", "sudo", "unknown")
		l.add(event.User, user)
		l.add(event.Cmdline, more)
		return true
	}
	mark := len(l.e.Fields)
	seen := false
	for rest != "" {
		part := rest
		if cmd, ok := strings.CutPrefix(rest, "COMMAND="); ok { // the rest is the command, whatever is in it
			l.add(event.Cmdline, cmd)
			path, _ := cutWord(cmd)
			l.add(event.ProcessPath, path)
			seen = true
			break
		}
		if i := strings.Index(rest, " ; "); i >= 0 {
			part, rest = rest[:i], rest[i+3:]
		} else {
			rest = ""
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok || !isUpper(key) {
			reason = strings.TrimSuffix(part, " ;")
			continue
		}
		switch key {
		case "TTY":
			l.add(event.TTY, value)
		case "PWD":
			l.add(event.CWD, value)
		case "USER":
			l.add(event.TargetUser, value)
		case "GROUP":
			l.add(event.Group, value)
		default:
			l.add(key, value)
		}
		seen = true
	}
	switch {
	case reason == "":
	case strings.Contains(reason, "incorrect password attempt"):
		if d := digits(reason); d > 0 && number(reason[:d]) > 1 {
			l.times(reason[:d])
		}
		outcome, reason = "failure", "incorrect password"
		l.atLeast(medium)
	case strings.Contains(reason, "NOT "), strings.Contains(reason, "not allowed"):
		outcome = "failure"
		l.atLeast(high)
	case strings.HasPrefix(reason, "problem with"), strings.HasPrefix(reason, "unable to"):
		outcome = "unknown"
	case seen: // "a password is required", "sorry, you must have a tty to run sudo"
		outcome = "failure"
		l.atLeast(medium)
	default:
		l.e.Fields = l.e.Fields[:mark]
		return true
	}
	l.is("process", "sudo", outcome)
	l.add(event.Reason, reason)
	l.add(event.User, user)
	return true
}

// isUpper tells whether s is made of capital letters, as sudo's keys are.
func isUpper(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return s != ""
}
