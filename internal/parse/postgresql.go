package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func postgresParser() content {
	return content{
		Info: Info{
			Name:     "postgresql",
			Sources:  []string{"postgresql"},
			Programs: []string{"postgres", "postgresql"},
			About:    "PostgreSQL: server log as text with the usual prefixes, CSV and JSON, and the audit records of pgaudit",
			Samples: []Sample{
				{`2026-03-04 05:06:07.123 UTC [4711] bob@shop FATAL:  password authentication failed for user "bob"`, []string{
					"source=postgresql", "vendor=PostgreSQL", "category=authentication", "action=login", "outcome=failure", "reason=bad password", "user=bob", "database=shop", "pid=4711",
					"level=FATAL", "severity=medium", `message=password authentication failed for user "bob"`, "time_quality=exact",
				}},
				{`2026-03-04 05:06:07 UTC:203.0.113.9(53210):eve@shop:[4711]:FATAL:  no pg_hba.conf entry for host "203.0.113.9", user "eve", database "shop", no encryption`, []string{
					"source=postgresql", "outcome=failure", "reason=policy", "user=eve", "src_ip=203.0.113.9", "src_port=53210", "database=shop", "severity=medium",
				}},
				{`Mar  4 05:06:07 db1 postgres[4711]: [3-1] 2026-03-04 05:06:07.123 UTC [4711] bob@shop LOG:  AUDIT: SESSION,1,1,ROLE,CREATE ROLE,,,"create role mallory, superuser",<none>`, []string{
					"source=postgresql", "dataset=pgaudit", "category=iam", "action=account_create", "outcome=success", "user=bob", "audit_class=ROLE", "audit_command=CREATE ROLE",
					"statement=create role mallory, superuser", "host=db1", "event_code=CREATE ROLE",
				}},
				{`2026-03-04 05:06:07.123 UTC,"bob","shop",4711,"203.0.113.9:53210",69a7b0a1.1267,1,"authentication",2026-03-04 05:06:07 UTC,3/22,0,FATAL,28P01,"password authentication failed for user ""bob""",,,,,,,,,"","client backend",,0`, []string{
					"source=postgresql", "outcome=failure", "user=bob", "database=shop", "pid=4711", "src_ip=203.0.113.9", "src_port=53210", "event_code=28P01", "level=FATAL", "session_id=69a7b0a1.1267",
					`message=password authentication failed for user "bob"`,
				}},
				{`{"timestamp":"2026-03-04 05:06:07.123 UTC","user":"bob","dbname":"shop","pid":4711,"remote_host":"203.0.113.9","remote_port":53210,"session_id":"69a7b0a1.1267","error_severity":"LOG","message":"connection authorized: user=bob database=shop","backend_type":"client backend"}`, []string{
					"source=postgresql", "category=authentication", "action=login", "outcome=success", "user=bob", "src_ip=203.0.113.9", "src_port=53210", "severity=info", "dbname=shop", "pid=4711",
				}},
				{`2026-03-04 05:06:07.123 UTC [4711] LOG:  database system is ready to accept connections`, []string{"source=postgresql", "category=", "severity=info", "level=LOG"}},
				{`2026-03-04 05:06:07.123 UTC [4711] bob@shop LOG:  statement: drop table items;`, []string{
					"source=postgresql", "category=database", "action=drop", "statement=drop table items;", "user=bob",
				}},
			},
		},
		strict: true,
		parse: func(l *line) bool {
			if l.text != "" && l.text[0] == '{' {
				return parseJSON(l)
			}
			return parsePostgres(l)
		},
	}
}

// postgresLevels are the server's words for how grave a line is, each with what
// it means: FATAL ends a session, not the server.
func postgresLevel(word string) (severity, bool) {
	switch word {
	case "PANIC":
		return high, true
	case "FATAL":
		return medium, true
	case "ERROR", "WARNING":
		return low, true
	case "LOG", "INFO", "NOTICE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5", "DETAIL", "HINT", "STATEMENT", "QUERY", "CONTEXT", "LOCATION":
		return info, true
	}
	return unsaid, false
}

// isPostgresLine tells the server's lines by the process number in their prefix and
// the level before a colon and two spaces; of CSV, those in UTC.
func isPostgresLine(s string) bool {
	if len(s) < 12 {
		return false
	}
	switch s[0] {
	case '[', ':':
		end := strings.Index(s[:min(len(s), 256)], ":  ")
		if end < 0 {
			return false
		}
		at := strings.LastIndexAny(s[:end], " :") + 1
		_, ok := postgresLevel(s[at:end])
		i := strings.IndexByte(s[:at], '[')
		return ok && i >= 0 && isDigit(s[i+1])
	case 'U', 'G':
		return (strings.HasPrefix(s, "UTC,") || strings.HasPrefix(s, "GMT,")) && strings.Count(s, ",") > 21
	}
	return false
}

// parsePostgres reads "PREFIX LEVEL:  TEXT", of which the header's time is taken
// off already, and CSV.
func parsePostgres(l *line) bool {
	s := l.text
	if rest, ok := postgresCounter(s); ok { // syslog: "[3-1] ", then the prefix with a time of its own
		s = rest
		var c clock
		if after, ok := c.isoTime(s); ok {
			if t, quality, ok := l.resolve(&c); ok {
				l.setTime(t, quality)
			}
			s = strings.TrimLeft(after, " ")
		}
	}
	if zone, rest, ok := strings.Cut(s, ","); ok && len(zone) <= 5 && allLetters(zone) {
		if l.hasTime && (zone == "UTC" || zone == "GMT") && l.r.Zone == nil {
			l.quality = qualityExact
		}
		return postgresCSV(l, rest)
	}
	end := strings.Index(s, ":  ")
	if end < 0 || end > 256 {
		return false
	}
	at := strings.LastIndexAny(s[:end], " :") + 1
	level, ok := postgresLevel(s[at:end])
	if !ok {
		return false
	}
	postgresPrefix(l, strings.TrimRight(s[:at], " :"))
	postgresText(l, s[at:end], level, s[end+3:])
	return true
}

func allLetters(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) {
			return false
		}
	}
	return true
}

// postgresCounter takes off what the server puts before each line for syslog.
func postgresCounter(s string) (rest string, ok bool) {
	if len(s) < 6 || s[0] != '[' {
		return s, false
	}
	n := digits(s[1:])
	if n == 0 || len(s) < n+5 || s[1+n] != '-' {
		return s, false
	}
	m := digits(s[2+n:])
	if m == 0 || !strings.HasPrefix(s[2+n+m:], "] ") {
		return s, false
	}
	return s[4+n+m:], true
}

// postgresPrefix reads what administrators put before the level: process number
// in brackets, user@database, address(port), and name=value pairs.
func postgresPrefix(l *line, prefix string) {
	for word := range strings.FieldsFuncSeq(prefix, func(r rune) bool { return r == ' ' || r == ',' }) {
		for word != "" {
			part := word
			if i := strings.IndexByte(word, ':'); i >= 0 && strings.Count(word, ":") < 6 {
				part, word = word[:i], word[i+1:]
			} else {
				word = ""
			}
			postgresPrefixPart(l, part)
		}
	}
}

func postgresPrefixPart(l *line, part string) {
	if name, value, ok := strings.Cut(part, "="); ok {
		switch name {
		case "user":
			l.once(event.User, value)
		case "db", "database":
			l.once("database", value)
		case "client", "host":
			l.client(value)
		case "app":
			l.once("application_name", value)
		}
		return
	}
	if n := len(part); n > 2 && part[0] == '[' && part[n-1] == ']' && allDigits(part[1:n-1]) {
		l.pid = part[1 : n-1]
		return
	}
	if addr, port, ok := strings.Cut(part, "("); ok {
		l.client(addr)
		l.addInt(event.SrcPort, strings.TrimSuffix(port, ")"))
		return
	}
	if user, database, ok := strings.Cut(part, "@"); ok && user != "[unknown]" {
		l.once(event.User, user)
		l.once("database", database)
	}
}

// postgresText gives the server's text its meaning.
func postgresText(l *line, word string, level severity, text string) {
	l.source = "postgresql"
	l.once(event.Vendor, "PostgreSQL")
	l.once(event.Product, "PostgreSQL")
	l.level = word
	l.atLeast(level)
	l.text = text
	if rest, ok := strings.CutPrefix(text, "AUDIT: "); ok {
		pgAudit(l, rest)
		return
	}
	first, rest := cutWord(text)
	switch first {
	case "statement:", "STATEMENT:":
		databaseStatement(l, rest)
	case "execute":
		_, sql, _ := strings.Cut(text, ": ")
		databaseStatement(l, sql)
	case "duration:":
		_, sql, _ := strings.Cut(text, "statement: ")
		databaseStatement(l, sql)
	case "connection":
		postgresConnection(l, rest)
	case "disconnection:":
		l.putThree("session", "logout", "success")
		postgresPairs(l, rest)
	case "no":
		if after, ok := strings.CutPrefix(rest, "pg_hba.conf entry for host "); ok {
			host, _, _ := strings.Cut(strings.TrimPrefix(after, `"`), `"`)
			l.client(host)
			postgresFailed(l, text, "policy")
		}
	case "role":
		if strings.HasSuffix(text, `" does not exist`) && word == "FATAL" {
			name, _ := between(text, `"`, `"`)
			l.once(event.User, name)
			postgresFailed(l, text, "invalid user")
		}
	default:
		if i := strings.Index(text, " authentication failed for user "); i > 0 && i < 32 {
			postgresFailed(l, text, "bad password")
		}
	}
}

func postgresFailed(l *line, text, reason string) {
	if user, ok := between(text, `user "`, `"`); ok {
		l.once(event.User, user)
	}
	if database, ok := between(text, `database "`, `"`); ok {
		l.once("database", database)
	}
	l.add(event.Reason, reason)
	l.happened("authentication", "login", "failure")
}

func postgresConnection(l *line, rest string) {
	kind, pairs := cutWord(rest)
	switch kind {
	case "authorized:":
		l.putThree("authentication", "login", "success")
	case "received:":
		l.putThree("network", "connection", "success")
	default:
		return
	}
	postgresPairs(l, pairs)
}

func postgresPairs(l *line, s string) {
	for pair := range strings.FieldsSeq(s) {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "user":
			l.once(event.User, value)
		case "database":
			l.once("database", value)
		case "host":
			l.client(value)
		case "port":
			l.addInt(event.SrcPort, value)
		case "application_name":
			l.once("application_name", value)
		}
	}
}

// pgAudit reads "SESSION,1,1,READ,SELECT,TABLE,public.items,select …,<none>".
func pgAudit(l *line, s string) {
	var column string
	names := [...]string{"audit_type", "audit_statement", "audit_substatement", "audit_class", "audit_command", "object_type", "object_name", "statement", "parameter"}
	command, class := "", ""
	for _, name := range names {
		column, s = csvColumn(l, s)
		switch name {
		case "audit_command":
			command = column
		case "audit_class":
			class = column
		}
		if column != "" && column != "<none>" && column != "<not logged>" {
			l.e.Add(name, column)
		}
	}
	l.dataset = "pgaudit"
	l.add(event.EventCode, command)
	category, action := databaseAction(l.p, command)
	if class == "ROLE" && category == "database" {
		category = "iam"
	}
	l.putThree(category, action, "success")
}

// csvColumn takes one column off a line of comma-separated values.
func csvColumn(l *line, s string) (value, rest string) {
	if s == "" || s[0] != '"' {
		value, rest, _ = strings.Cut(s, ",")
		return value, rest
	}
	plain := true
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			plain = false
			i++
			continue
		}
		value, rest = s[1:i], strings.TrimPrefix(s[i+1:], ",")
		if plain {
			return value, rest
		}
		b := l.p.arena.grab(len(value))
		for j := 0; j < len(value); j++ {
			b = append(b, value[j])
			if value[j] == '"' {
				j++
			}
		}
		return l.p.arena.keep(b), rest
	}
	return s[1:], ""
}

// postgresColumns are the columns of the CSV log behind the time.
var postgresColumns = [...]string{
	event.User, "database", event.PID, "connection_from", event.SessionID, "session_line_num", "command_tag", "session_start_time", "virtual_transaction_id",
	"transaction_id", "error_severity", event.EventCode, event.Message, "detail", "hint", "internal_query", "internal_query_pos", "context", "statement", "query_pos",
	"location", "application_name", "backend_type", "leader_pid", "query_id",
}

func postgresCSV(l *line, s string) bool {
	if strings.Count(s, ",") < 21 {
		return false
	}
	mark := len(l.e.Fields)
	var column, message, word, pid string
	for _, name := range postgresColumns {
		column, s = csvColumn(l, s)
		switch name {
		case event.PID:
			pid = column
		case "connection_from":
			l.client(column)
		case "error_severity":
			word = column
		case event.Message:
			message = column
		case event.EventCode:
			if column != "00000" {
				l.add(name, column)
			}
		default:
			l.add(name, column)
		}
	}
	level, ok := postgresLevel(word)
	if !ok {
		l.e.Fields = l.e.Fields[:mark]
		return false
	}
	l.pid = pid
	postgresText(l, word, level, message)
	return true
}

// postgresJSON reads the server's JSON log.
func postgresJSON(l *line, from int) bool {
	var word, message string
	for _, f := range l.e.Fields[from:] {
		switch f.Name {
		case "error_severity":
			word = f.Value
		case "remote_host":
			l.client(f.Value)
		case "state_code":
			if f.Value != "00000" {
				l.once(event.EventCode, f.Value)
			}
		}
	}
	level, ok := postgresLevel(word)
	if !ok {
		return false
	}
	message = l.text
	postgresText(l, word, level, message)
	return true
}
