package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func shadowParser() content {
	return content{
		Info: Info{
			Name:    "shadow-utils",
			Sources: []string{"shadow-utils"},
			Programs: []string{
				"useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "gpasswd", "passwd", "chpasswd",
				"chage", "chfn", "chsh", "newusers", "adduser", "deluser", "addgroup", "delgroup",
			},
			About: "useradd, usermod, userdel, groupadd, gpasswd, passwd, chage and kin: accounts, groups, passwords",
			Samples: []Sample{
				{"Mar  4 05:06:07 web useradd[4711]: new user: name=mallory, UID=1001, GID=1001, home=/home/mallory, shell=/bin/bash, from=/dev/pts/0", []string{
					"source=shadow-utils", "program=useradd", "category=iam", "action=account_create", "outcome=success", "user=mallory", "user_id=1001",
					"home=/home/mallory", "shell=/bin/bash", "severity=low",
				}},
				{"Mar  4 05:06:07 web useradd[4711]: new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/bash, from=/dev/pts/0", []string{"user_id=0", "severity=high"}},
				{"Mar  4 05:06:07 web useradd[4711]: failed adding user 'bob', exit code: 9", []string{"action=account_create", "outcome=failure", "user=bob"}},
				{"Mar  4 05:06:07 web groupadd[4711]: new group: name=ops, GID=1002", []string{"action=group_create", "group=ops", "group_id=1002"}},
				{"Mar  4 05:06:07 web groupadd[4711]: group added to /etc/group: name=ops, GID=1002", []string{"action=group_create", "group=ops"}},
				{"Mar  4 05:06:07 web usermod[4712]: add 'mallory' to group 'sudo'", []string{"action=group_add", "user=mallory", "group=sudo", "severity=medium"}},
				{"Mar  4 05:06:07 web usermod[4712]: change user 'mallory' shell from '/bin/sh' to '/bin/bash'", []string{"action=account_change", "user=mallory"}},
				{"Mar  4 05:06:07 web usermod[4712]: lock user 'bob' password", []string{"action=account_lock", "user=bob"}},
				{"Mar  4 05:06:07 web userdel[4713]: delete user 'mallory'", []string{"action=account_delete", "user=mallory", "outcome=success"}},
				{"Mar  4 05:06:07 web userdel[4713]: removed group 'mallory' owned by 'mallory'", []string{"action=group_delete", "group=mallory"}},
				{"Mar  4 05:06:07 web gpasswd[4714]: user bob added by root to group wheel", []string{"action=group_add", "user=bob", "src_user=root", "group=wheel", "severity=medium"}},
				{"Mar  4 05:06:07 web passwd[4715]: password for 'bob' changed by 'root'", []string{"action=password_change", "user=bob", "src_user=root"}},
				{"Mar  4 05:06:07 web chage[4716]: changed password expiry for bob", []string{"action=password_expiry_change", "user=bob"}},
			},
		},
		parse: parseShadow,
	}
}

// parseShadow takes every line of these programs.
func parseShadow(l *line) bool {
	if l.program == "" {
		l.program = "shadow-utils"
	}
	s := l.text
	switch {
	case strings.HasPrefix(s, "new user: "), strings.HasPrefix(s, "new account added"):
		l.is("iam", "account_create", "success")
		l.atLeast(low)
		shadowPairs(l, s, event.User)
	case strings.HasPrefix(s, "new group: "), strings.HasPrefix(s, "group added to "):
		l.is("iam", "group_create", "success")
		shadowPairs(l, s, event.Group)
	case strings.HasPrefix(s, "failed adding user "):
		l.is("iam", "account_create", "failure")
		shadowQuoted(l, s, event.User)
		l.add(event.Reason, s[strings.LastIndexByte(s, ',')+1:])
	case strings.HasPrefix(s, "add '"):
		shadowMember(l, "group_add", s)
	case strings.HasPrefix(s, "delete '"):
		shadowMember(l, "group_remove", s)
	case strings.HasPrefix(s, "delete user '"):
		l.is("iam", "account_delete", "success")
		shadowQuoted(l, s, event.User)
		l.atLeast(low)
	case strings.HasPrefix(s, "lock user '"):
		l.is("iam", "account_lock", "success")
		shadowQuoted(l, s, event.User)
	case strings.HasPrefix(s, "unlock user '"):
		l.is("iam", "account_unlock", "success")
		shadowQuoted(l, s, event.User)
	case strings.HasPrefix(s, "change user '"), strings.HasPrefix(s, "change user name '"), strings.HasPrefix(s, "changed user '"):
		action := "account_change"
		if strings.HasSuffix(s, "' password") {
			action = "password_change"
		}
		l.is("iam", action, "success")
		shadowQuoted(l, s, event.User)
	case strings.HasPrefix(s, "removed group '"), strings.HasPrefix(s, "removed shadow group '"),
		strings.HasPrefix(s, "group '") && strings.Contains(s, "' removed"):
		l.is("iam", "group_delete", "success")
		shadowQuoted(l, s, event.Group)
	case strings.HasPrefix(s, "group changed in "), strings.HasPrefix(s, "change group '"):
		l.is("iam", "group_change", "success")
		shadowQuoted(l, s, event.Group)
	case strings.HasPrefix(s, "user ") && strings.Contains(s, " by ") && strings.Contains(s, " group "):
		shadowGpasswd(l, s)
	case strings.HasPrefix(s, "password for '"):
		l.is("iam", "password_change", "success")
		shadowQuoted(l, s, event.User)
		if by, ok := between(s, " changed by '", "'"); ok {
			l.add(event.SrcUser, by)
		}
	case strings.HasPrefix(s, "password changed for "), strings.HasPrefix(s, "password for user "):
		l.is("iam", "password_change", "success")
		user, _ := cutWord(s[strings.LastIndex(s, "for ")+len("for "):])
		l.add(event.User, user)
	case strings.HasPrefix(s, "changed password expiry for "):
		l.is("iam", "password_expiry_change", "success")
		l.add(event.User, s[len("changed password expiry for "):])
	}
	return true
}

// shadowPairs reads "name=bob, UID=1001, GID=1001, home=/home/bob, …".
func shadowPairs(l *line, s, name string) {
	_, s, _ = strings.Cut(s, ": ")
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, ", ")
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		switch key {
		case "name":
			l.add(name, value)
		case "UID":
			l.addInt(event.UserID, value)
			if value == "0" {
				l.atLeast(high) // a second root
			}
		case "GID":
			l.addInt("group_id", value)
		case "home", "shell", "from":
			l.add(key, value)
		}
	}
}

// shadowQuoted adds the first word in quotes.
func shadowQuoted(l *line, s, name string) {
	if v, ok := between(s, "'", "'"); ok {
		l.add(name, v)
	}
}

// shadowMember reads "add 'bob' to group 'sudo'".
func shadowMember(l *line, action, s string) {
	l.is("iam", action, "success")
	shadowQuoted(l, s, event.User)
	if group, ok := between(s, "group '", "'"); ok {
		shadowGroup(l, action, group)
	}
}

// shadowGpasswd reads "user bob added by root to group wheel".
func shadowGpasswd(l *line, s string) {
	user, rest := cutWord(s[len("user "):])
	action := "group_add"
	if strings.HasPrefix(rest, "removed") {
		action = "group_remove"
	}
	l.is("iam", action, "success")
	l.add(event.User, user)
	if by, ok := between(rest, " by ", " "); ok {
		l.add(event.SrcUser, by)
	}
	shadowGroup(l, action, rest[strings.LastIndexByte(rest, ' ')+1:])
}

// shadowGroup raises additions to groups that make an administrator.
func shadowGroup(l *line, action, group string) {
	l.add(event.Group, group)
	if action != "group_add" {
		return
	}
	switch group {
	case "root", "sudo", "wheel", "admin", "adm", "docker", "lxd", "shadow", "disk":
		l.atLeast(medium)
	}
}
