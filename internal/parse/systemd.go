package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func systemdParser() content {
	return content{
		Info: Info{
			Name:     "systemd",
			Sources:  []string{"systemd"},
			Programs: []string{"systemd", "systemd-logind"},
			About:    "systemd units that start, stop and fail; sessions of systemd-logind",
			Samples: []Sample{
				{"Mar  4 05:06:07 web systemd[1]: Started nginx.service - A high performance web server.", []string{"source=systemd", "category=host", "action=service_start", "outcome=success", "unit=nginx.service"}},
				{"Mar  4 05:06:07 web systemd[1]: Failed to start foo.service - Foo.", []string{"action=service_start", "outcome=failure", "unit=foo.service", "severity=low"}},
				{"Mar  4 05:06:07 web systemd[1]: foo.service: Main process exited, code=exited, status=1/FAILURE", []string{"action=service_exit", "outcome=failure", "unit=foo.service"}},
				{"Mar  4 05:06:07 web systemd[1]: Stopped OpenBSD Secure Shell server.", []string{"action=service_stop", "unit=OpenBSD Secure Shell server"}},
				{"Mar  4 05:06:07 web systemd-logind[500]: New session 12 of user alice.", []string{"source=systemd", "category=session", "action=session_open", "user=alice", "session_id=12"}},
				{"Mar  4 05:06:07 web systemd-logind[500]: Removed session 12.", []string{"action=session_close", "session_id=12"}},
			},
		},
		parse: parseSystemd,
	}
}

// parseSystemd takes every line of systemd's.
func parseSystemd(l *line) bool {
	if l.program == "" {
		l.program = "systemd"
	}
	s := strings.TrimSuffix(l.text, ".")
	switch {
	case strings.HasPrefix(s, "Started Session ") || strings.HasPrefix(s, "Starting "), strings.HasPrefix(s, "Stopping "):
	case strings.HasPrefix(s, "Started "):
		systemdUnit(l, "service_start", "success", s[len("Started "):])
	case strings.HasPrefix(s, "Stopped "):
		systemdUnit(l, "service_stop", "success", s[len("Stopped "):])
	case strings.HasPrefix(s, "Failed to start "):
		systemdUnit(l, "service_start", "failure", s[len("Failed to start "):])
		l.atLeast(low)
	case strings.HasPrefix(s, "New session "):
		id, rest := cutWord(s[len("New session "):])
		l.is("session", "session_open", "success")
		l.add(event.SessionID, id)
		if user, ok := strings.CutPrefix(rest, "of user "); ok {
			l.add(event.User, strings.Trim(user, "'"))
		}
	case strings.HasPrefix(s, "Removed session "):
		l.is("session", "session_close", "success")
		l.add(event.SessionID, s[len("Removed session "):])
	default:
		unit, rest, ok := strings.Cut(s, ": ")
		if !ok || strings.IndexByte(unit, ' ') >= 0 {
			break
		}
		switch {
		case strings.HasPrefix(rest, "Main process exited"):
			outcome := "failure"
			if strings.Contains(rest, "status=0/") {
				outcome = "success"
			}
			systemdUnit(l, "service_exit", outcome, unit)
		case strings.HasPrefix(rest, "Failed with result"):
			systemdUnit(l, "service_fail", "failure", unit)
			l.atLeast(low)
		}
	}
	return true
}

// systemdUnit adds the unit, whose description may follow its name.
func systemdUnit(l *line, action, outcome, unit string) {
	l.is("host", action, outcome)
	unit, _, _ = strings.Cut(unit, " - ")
	l.add("unit", unit)
}
