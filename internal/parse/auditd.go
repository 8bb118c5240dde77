package parse

import (
	"cmp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func auditdParser() content {
	return content{
		Info: Info{
			Name:     "auditd",
			Sources:  []string{"auditd"},
			Programs: []string{"auditd", "audispd", "audisp-syslog", "audit"},
			About:    "Linux audit as in audit.log, from audisp and from the kernel, raw and enriched: encoded values and proctitle in clear text, socket addresses, system calls by name; each record also has what the earlier records of its event said (exe, key, user, command)",
			Samples: []Sample{
				{`type=SYSCALL msg=audit(1772600767.123:4711): arch=c000003e syscall=59 success=yes exit=0 a0=55d a1=55e a2=55f a3=8 items=2 ppid=1200 pid=1201 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 comm="cat" exe="/usr/bin/cat" subj=unconfined key="passwd-read"` + "\x1d" + `ARCH=x86_64 SYSCALL=execve AUID="alice" UID="root" GID="root"`, []string{
					"source=auditd", "type=SYSCALL", "event_code=SYSCALL", "category=process", "SYSCALL=execve", "syscall=59", "outcome=success", "process_path=/usr/bin/cat", "exe=/usr/bin/cat", "program=cat", "pid=1201", "ppid=1200",
					"user=alice", "user_id=1000", "tty=pts0", "session_id=3", "rule_name=passwd-read", "key=passwd-read", "a0=55d", "time_quality=exact",
				}},
				{`type=EXECVE msg=audit(1772600767.123:4711): argc=3 a0="bash" a1="-c" a2=6563686F2022686922`, []string{
					"type=EXECVE", "category=process", "action=process_start", "a0=bash", "a1=-c", `a2=echo "hi"`, `cmdline=bash -c echo "hi"`, "program=bash",
				}},
				{`type=PROCTITLE msg=audit(1772600767.123:4711): proctitle=636174002F6574632F736861646F77`, []string{"proctitle=cat /etc/shadow", "cmdline=cat /etc/shadow", "action="}},
				{`node=web1 type=PATH msg=audit(1772600767.123:4711): item=1 name="/etc/cron.d/x" inode=5 dev=fd:00 mode=0100644 ouid=0 ogid=0 rdev=00:00 nametype=CREATE cap_fp=0`, []string{
					"host=web1", "category=file", "action=file_create", "file_path=/etc/cron.d/x", "name=/etc/cron.d/x", "nametype=CREATE",
				}},
				{`type=SOCKADDR msg=audit(1772600767.123:4711): saddr=020001BBCB0071090000000000000000`, []string{"category=network", "dst_ip=203.0.113.9", "dst_port=443", "saddr=020001BBCB0071090000000000000000"}},
				{`type=USER_LOGIN msg=audit(1772600767.500:4712): pid=2201 uid=0 auid=4294967295 ses=4294967295 msg='op=login acct=28696E76616C6964207573657229 exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=sshd res=failed'`, []string{
					"category=authentication", "action=login", "outcome=failure", "user=(invalid user)", "src_ip=203.0.113.9", "process_path=/usr/sbin/sshd", "severity=medium", "user_id=0", "op=login",
				}},
				{`type=USER_CMD msg=audit(1772600767.600:4713): pid=2301 uid=1000 auid=1000 ses=3 msg='cwd="/home/alice" cmd=636174202F6574632F736861646F77 exe="/usr/bin/sudo" terminal=pts/0 res=success'`, []string{
					"action=sudo", "cmdline=cat /etc/shadow", "cwd=/home/alice", "outcome=success", "user_id=1000",
				}},
				{`<30>Mar  4 05:06:07 web1 audisp-syslog: type=ADD_USER msg=audit(1772600767.700:4714): pid=2401 uid=0 auid=1000 ses=3 msg='op=adding user acct="mallory" exe="/usr/sbin/useradd" hostname=web1 addr=? terminal=pts/0 res=success'`, []string{
					"host=web1", "category=iam", "action=account_create", "target_user=mallory", "outcome=success",
				}},
				{`Mar  4 05:06:07 web1 kernel: audit: type=1400 audit(1772600767.800:44): apparmor="DENIED" operation="open" profile="/usr/sbin/mysqld" name="/etc/shadow" pid=77 comm="mysqld" requested_mask="r"`, []string{
					"type=AVC", "action=deny", "outcome=failure", "file_path=/etc/shadow", "program=mysqld", "source=auditd",
				}},
				{`Mar  4 05:06:07 web1 kernel: [12345.678901] audit: type=1130 audit(1772600767.850:45): pid=1 uid=0 auid=4294967295 ses=4294967295 msg='unit=cron comm="systemd" exe="/usr/lib/systemd/systemd" hostname=? addr=? terminal=? res=success'`, []string{
					"type=SERVICE_START", "action=service_start", "unit=cron", "outcome=success", "user_id=0",
				}},
				{`Mar  4 05:06:07 web1 audit[1201]: USER_LOGIN pid=2201 uid=0 auid=4294967295 ses=4294967295 msg='op=login acct="eve" exe="/usr/sbin/sshd" addr=203.0.113.9 terminal=sshd res=failed'`, []string{"type=USER_LOGIN", "outcome=failure", "user=eve", "src_ip=203.0.113.9", "pid=2201"}},
				{`type=CONFIG_CHANGE msg=audit(1772600767.900:4715): auid=0 ses=3 op=remove_rule key="passwd-read" list=4 res=1`, []string{"category=configuration", "action=config_change", "outcome=success", "op=remove_rule", "severity=low"}},
			},
		},
		parse: parseAudit,
	}
}

// isAudit tells a record of audit.log, of audisp or of the kernel's ring.
func isAudit(s string) bool {
	s = sinceBoot(s)
	switch {
	case strings.HasPrefix(s, "type="):
	case strings.HasPrefix(s, "node="):
		i := strings.IndexByte(s, ' ')
		if i < 0 || !strings.HasPrefix(s[i+1:], "type=") {
			return false
		}
		s = s[i+1:]
	case strings.HasPrefix(s, "audit: type="):
	default:
		return false
	}
	return before(s, "audit(", 64)
}

// sinceBoot takes away the kernel's own clock: "[12345.678901] ".
func sinceBoot(s string) string {
	if s != "" && s[0] == '[' {
		if i := strings.IndexByte(s, ']'); i > 0 && i < 24 && strings.HasPrefix(s[i:], "] audit: ") {
			return s[i+2:]
		}
	}
	return s
}

// auditJournal reads "TYPE PAIRS", which journald makes of a record: the header has
// its time, and nothing says to which event it belongs.
func (l *line) auditJournal(s string) bool {
	kind, rest := cutWord(s)
	if !isUpperWord(kind) || keyLen(rest) == 0 {
		return false
	}
	l.source, l.program, l.pid = "auditd", "", ""
	l.add("type", kind)
	l.add(event.EventCode, kind)
	a := audit{l: l, kind: kind, from: len(l.e.Fields)}
	a.pairs(rest)
	switch kind {
	case "SYSCALL":
		a.nameCall()
	case "EXECVE":
		a.commandLine()
	}
	a.meaning()
	return true
}

// parseAudit reads "[node=N ]type=T msg=audit(TIME:SERIAL): PAIRS".
func parseAudit(l *line) bool {
	s := l.text
	if s == "" {
		return false
	}
	if !isAudit(s) {
		return l.program == "audit" && l.auditJournal(s)
	}
	l.source = "auditd"
	s = strings.TrimPrefix(sinceBoot(s), "audit: ")
	if rest, ok := strings.CutPrefix(s, "node="); ok {
		var node string
		node, s = cutWord(rest)
		l.add("node", node)
		l.host = cmp.Or(l.host, node)
	}
	kind, s := cutWord(s[len("type="):])
	kind = auditType(kind)
	_, s, _ = strings.Cut(s, "audit(")
	id, s, ok := strings.Cut(s, ")")
	if !ok {
		return false
	}
	stamp, _, _ := strings.Cut(id, ":")
	if t, ok := epoch(stamp); ok {
		l.setTime(t, qualityExact)
	}
	l.pid, l.program = "", ""
	l.add("type", kind)
	l.add(event.EventCode, kind)
	a := audit{l: l, kind: kind, from: len(l.e.Fields)}
	a.pairs(strings.TrimPrefix(s, ":"))
	a.join(id)
	a.meaning()
	return true
}

// An audit is one record of an audit event while it is read.
type audit struct {
	l    *line
	kind string
	from int // where its own fields begin
}

// pairs reads the native fields. Those of a message of a program stand in quotes
// behind msg=; the kernel's daemon puts clear names behind a separator.
func (a *audit) pairs(s string) {
	l := a.l
	for s = strings.TrimLeft(s, " \x1d"); s != ""; s = strings.TrimLeft(s, " \x1d',") {
		if strings.HasPrefix(s, "msg='") {
			s = s[len("msg='"):]
			continue
		}
		i := strings.IndexAny(s, "= \x1d")
		if i <= 0 || s[i] != '=' || len(l.e.Fields) >= maxJSONFields {
			if i < 0 {
				return
			}
			s = s[i+1:]
			continue
		}
		key := s[:i]
		s = s[i+1:]
		value, clear := "", false
		if s != "" && s[0] == '"' {
			if end := strings.IndexByte(s[1:], '"'); end >= 0 {
				value, s, clear = s[1:1+end], s[end+2:], true
			}
		}
		if !clear {
			end := strings.IndexAny(s, " \x1d'")
			if key == "op" { // "op=adding user acct=": words up to the next key
				end = auditWords(s)
			}
			if end < 0 {
				end = len(s)
			}
			value, s = s[:end], s[end:]
			if a.encoded(key) {
				value = l.auditHex(value, key == "proctitle")
			}
		}
		a.field(key, value)
	}
}

// auditWords returns where a value of several words ends.
func auditWords(s string) int {
	at := 0
	for {
		i := strings.IndexAny(s[at:], " '\x1d")
		if i < 0 {
			return -1
		}
		at += i
		if s[at] != ' ' || keyLen(s[at+1:]) > 0 {
			return at
		}
		at++
	}
}

// encoded tells the fields that are in hexadecimal digits where they hold anything
// but plain letters.
func (a *audit) encoded(key string) bool {
	switch key {
	case "proctitle", "comm", "exe", "name", "cwd", "cmd", "acct", "key", "path", "dir", "data", "vm", "file", "watch", "ocomm", "device", "grp", "new_group", "unit":
		return true
	}
	return a.kind == "EXECVE" && auditArgument(key)
}

// auditArgument tells a0, a1, … and their parts a1[0].
func auditArgument(key string) bool {
	if len(key) < 2 || key[0] != 'a' || !isDigit(key[1]) {
		return false
	}
	n := 1 + digits(key[1:])
	return n == len(key) || key[n] == '['
}

// auditHex decodes hexadecimal digits; what is none stays. With spaced, the NULs
// between arguments become spaces.
func (l *line) auditHex(s string, spaced bool) string {
	if len(s) < 2 || len(s)%2 != 0 {
		return s
	}
	b := l.p.arena.grab(len(s) / 2)
	clean := true
	for i := 0; i < len(s); i += 2 {
		hi, lo := hexDigit(s[i]), hexDigit(s[i+1])
		if hi > 15 || lo > 15 {
			return s
		}
		c := hi<<4 | lo
		if c == 0 && spaced {
			c = ' '
		}
		clean = clean && c != 0 && c < 0x80
		b = append(b, c)
	}
	if !clean {
		return cleanText(string(b))
	}
	return l.p.arena.keep(b)
}

// hexDigit returns the value of an upper-case or lower-case digit, 16 for others.
func hexDigit(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

// field adds a native field; parts of one argument become one.
func (a *audit) field(key, value string) {
	l := a.l
	switch value {
	case "", "?", "(null)", "(none)":
		return
	}
	if i := strings.IndexByte(key, '['); i > 0 && a.kind == "EXECVE" {
		key = key[:i]
		if last := &l.e.Fields[len(l.e.Fields)-1]; last.Name == key {
			last.Value += value
			return
		}
	}
	switch key {
	case "pid":
		l.pid = value
	case event.CWD, event.TTY: // these mean here what they mean everywhere
		if a.own(key) == "" {
			l.add(key, value)
		}
	default:
		l.native("", key, value)
	}
}

// own returns the value of a native field, "" without.
func (a *audit) own(name string) string {
	for _, f := range a.l.e.Fields[a.from:] {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// auditJoined are the fields that later records of an event get from earlier ones.
var auditJoined = [...]string{"exe", "comm", "key", "SYSCALL", "success", "ppid", "auid", "uid", "ses", event.TTY, "AUID", "UID", event.CWD, event.Cmdline}

// join gives the record what earlier records of its event said, and notes what it
// says itself: the kernel writes the call first, then its arguments and files.
func (a *audit) join(id string) {
	l := a.l
	switch a.kind {
	case "SYSCALL":
		a.nameCall()
	case "EXECVE":
		a.commandLine()
	case "CWD", "PATH", "PROCTITLE", "SOCKADDR":
	case "EOE":
		return
	default:
		return // an event of one record
	}
	key := l.about(id)
	if n := l.p.audits.of(key); n != nil {
		a.recall(n.string())
	}
	if a.kind == "SYSCALL" || a.kind == "EXECVE" || a.kind == "CWD" {
		n := l.p.audits.keep(key)
		n.text = n.text[:0]
		for _, name := range &auditJoined {
			if value := a.own(name); value != "" && len(n.text)+len(name)+len(value)+2 <= maxAuditNote {
				n.text = append(append(append(append(n.text, name...), '\x1d'), value...), '\x1d')
			}
		}
		if l.pid != "" && len(n.text)+len(l.pid)+5 <= maxAuditNote {
			n.text = append(append(append(n.text, "pid\x1d"...), l.pid...), '\x1d')
		}
	}
}

// recall adds the fields of a note that the record does not have itself.
func (a *audit) recall(noted string) {
	for noted != "" {
		var name, value string
		name, noted, _ = strings.Cut(noted, "\x1d")
		value, noted, _ = strings.Cut(noted, "\x1d")
		switch {
		case name == "pid":
			if a.l.pid == "" {
				a.l.pid = value
			}
		case a.own(name) == "" && value != "":
			a.l.e.Add(name, value)
		}
	}
}

// commandLine joins the arguments.
func (a *audit) commandLine() {
	var b strings.Builder
	for _, f := range a.l.e.Fields[a.from:] {
		if auditArgument(f.Name) {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(f.Value)
		}
	}
	a.l.add(event.Cmdline, b.String())
}
