package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func cronParser() content {
	return content{
		Info: Info{
			Name:     "cron",
			Sources:  []string{"cron"},
			Programs: []string{"cron", "crond", "crontab", "anacron"},
			About:    "cron and crontab: commands run, tables edited",
			Samples: []Sample{
				{"Mar  4 05:17:01 web CRON[4711]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)", []string{
					"source=cron", "program=CRON", "category=process", "action=process_start", "outcome=success", "user=root", "cmdline=cd / && run-parts --report /etc/cron.hourly",
				}},
				{"Mar  4 05:17:01 web crontab[4711]: (bob) REPLACE (bob)", []string{"category=configuration", "action=config_change", "user=bob", "target_user=bob", "severity=low"}},
				{"Mar  4 05:17:01 web crontab[4711]: (bob) AUTH (crontab command not allowed)", []string{"outcome=failure", "user=bob", "reason=crontab command not allowed", "severity=medium"}},
				{"Mar  4 05:17:01 web CRON[4711]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)", []string{"source=cron", "dataset=pam", "action=session_open"}},
			},
		},
		parse: parseCron,
	}
}

// parseCron reads "(USER) VERB (DETAIL)".
func parseCron(l *line) bool {
	if l.program == "" {
		l.program = "cron"
	}
	s := l.text
	if s == "" || s[0] != '(' {
		return true
	}
	user, rest, ok := strings.Cut(s[1:], ") ")
	if !ok {
		return true
	}
	verb, detail, ok := strings.Cut(rest, " (")
	if !ok {
		return true
	}
	detail = strings.TrimSpace(strings.TrimSuffix(detail, ")"))
	switch verb {
	case "CMD":
		l.is("process", "process_start", "success")
		l.add(event.Cmdline, detail)
	case "REPLACE", "DELETE", "END EDIT":
		l.is("configuration", "config_change", "success")
		l.add(event.TargetUser, detail)
		l.atLeast(low)
	case "BEGIN EDIT", "LIST", "RELOAD":
		l.add(event.Category, "configuration")
		l.add(event.TargetUser, strings.TrimPrefix(detail, "crontabs/"))
	case "AUTH":
		l.is("configuration", "config_change", "failure")
		l.add(event.Reason, detail)
		l.atLeast(medium)
	case "CMDOUT", "CMDEND", "INFO", "STARTUP":
	case "ERROR", "BAD FILE MODE", "WRONG FILE OWNER":
		l.add(event.Category, "configuration")
		l.add(event.Reason, detail)
		l.atLeast(low)
	default:
		return true
	}
	l.add(event.User, user)
	return true
}
