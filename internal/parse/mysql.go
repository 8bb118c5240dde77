package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func mysqlParser() content {
	return content{
		Info: Info{
			Name:     "mysql",
			Sources:  []string{"mysql", "mariadb"},
			Programs: []string{"mysqld", "mysql", "mariadbd", "mariadb", "mysqld_safe", "mysql-server_auditing"},
			About:    "MySQL and MariaDB: error log, general log, the records of MariaDB's server_audit plug-in and of the JSON audit log",
			Samples: []Sample{
				{`2026-03-04T05:06:07.123456Z 12 [Note] [MY-010926] [Server] Access denied for user 'root'@'203.0.113.9' (using password: YES)`, []string{
					"source=mysql", "category=authentication", "action=login", "outcome=failure", "reason=bad password", "user=root", "src_ip=203.0.113.9", "level=Note", "severity=medium",
					"event_code=MY-010926", "session_id=12", "message=Access denied for user 'root'@'203.0.113.9' (using password: YES)", "time_quality=exact",
				}},
				{"Mar  4 05:06:07 db1 mysqld[88]: 2026-03-04T05:06:07.1Z 12 [Note] Access denied for user 'root'@'203.0.113.78' (using password: YES)", []string{
					"source=mysql", "program=mysqld", "user=root", "src_ip=203.0.113.78", "outcome=failure", "severity=medium", "host=db1",
				}},
				{`Mar  4 05:06:07 db1 mariadbd[88]: 2026-03-04  5:06:07 13 [Warning] Aborted connection 13 to db: 'unconnected' user: 'eve' host: '203.0.113.9' (This connection closed normally without authentication)`, []string{
					"source=mariadb", "category=network", "action=disconnect", "user=eve", "src_ip=203.0.113.9", "level=Warning", "severity=low", "session_id=13",
				}},
				{"2026-03-04T05:06:07.123456Z\t   14 Connect\tAccess denied for user 'eve'@'203.0.113.9' (using password: YES)", []string{"source=mysql", "program=mysql", "event_code=Connect", "session_id=14", "user=eve", "outcome=failure"}},
				{`2026-03-04 15:06:07 356 [Warning] Access denied for user 'eve'@'203.0.113.9' (using password: NO)`, []string{"source=mariadb", "program=mariadb", "reason=no password"}},
				{`2026-03-04  5:06:07 8 [Warning] Access denied for user 'eve'@'203.0.113.9' (using password: YES)`, []string{"source=mariadb", "user=eve", "src_ip=203.0.113.9", "outcome=failure"}},
				{`260304  5:06:07 [Warning] Access denied for user 'eve'@'203.0.113.9' (using password: YES)`, []string{"source=mariadb", "program=mariadb", "user=eve", "src_ip=203.0.113.9", "outcome=failure"}},
				{`20260304 05:06:07,db1,root,203.0.113.9,12,0,FAILED_CONNECT,shop,,1045`, []string{
					"source=mariadb", "dataset=server_audit", "category=authentication", "action=login", "outcome=failure", "user=root", "src_ip=203.0.113.9", "host=db1", "database=shop",
					"event_code=FAILED_CONNECT", "return_code=1045", "time_quality=tz_assumed",
				}},
				{`20260304 05:06:07,db1,bob,10.0.0.5,12,34,QUERY,shop,'create user mallory identified by \'x\'',0`, []string{
					"source=mariadb", "category=iam", "action=account_create", "outcome=success", "user=bob", `statement=create user mallory identified by \'x\'`,
				}},
				{`{"audit_record":{"name":"Connect","record":"1_2026","timestamp":"2026-03-04T05:06:07Z","connection_id":"12","status":1045,"user":"root","ip":"203.0.113.9","host":"","db":"shop"}}`, []string{
					"source=mysql", "dataset=audit", "category=authentication", "action=login", "outcome=failure", "user=root", "src_ip=203.0.113.9", "audit_record.name=Connect", "time_quality=exact",
				}},
			},
		},
		parse: func(l *line) bool {
			if l.text != "" && l.text[0] == '{' {
				return parseJSON(l)
			}
			return parseMySQLAudit(l) || parseMySQL(l)
		},
	}
}

// isMySQLLine tells "12 [Note] ", the general log's "12 Connect   " and the audit
// plug-in's "20260304 05:06:07,".
func isMySQLLine(s string) bool {
	if s[0] == ' ' { // the general log sets numbers to the right
		s = strings.TrimLeft(s, " ")
	}
	n := digits(s)
	if n == 0 || n > 19 || len(s) < n+10 {
		return false
	}
	if n == 8 && len(s) > 18 && s[8] == ' ' && s[11] == ':' && s[14] == ':' && s[17] == ',' {
		return true
	}
	if n == 6 && len(s) > 20 && s[6] == ' ' && s[9] == ':' && s[12] == ':' { // "221128 14:49:17 [Warning] "
		return strings.HasPrefix(s[15:], " [Warning] ") || strings.HasPrefix(s[15:], " [Note] ") || strings.HasPrefix(s[15:], " [ERROR] ")
	}
	if s[n] != ' ' || s[n+1] != '[' {
		return isMySQLGeneral(s[n:])
	}
	level, _, _ := strings.Cut(s[n+2:min(len(s), n+12)], "]")
	switch level {
	case "Note", "Warning", "ERROR", "System":
		return true
	}
	return false
}

// isMySQLGeneral tells what follows a connection's number in the general query log:
// a command, which a tab or the blanks that copying makes of it part from its text.
func isMySQLGeneral(s string) bool {
	s = s[1:]
	for _, command := range [...]string{"Connect", "Query", "Execute", "Prepare", "Init DB", "Quit"} {
		if rest, ok := strings.CutPrefix(s, command); ok {
			return strings.HasPrefix(rest, "\t") || strings.HasPrefix(rest, "  ")
		}
	}
	return false
}

// parseMySQL reads "12 [Note] [MY-010926] [Server] TEXT", the time of which is
// taken off already, and the general log's "12 Connect   TEXT".
func parseMySQL(l *line) bool {
	s := l.text
	var c clock
	if rest, ok := c.isoTime(s); ok { // the file's own time behind a syslog header
		if t, quality, ok := l.resolve(&c); ok {
			l.setTime(t, quality)
		}
		s = rest
	}
	s = strings.TrimLeft(s, " \t")
	if rest, ok := c.shortDate(s); ok { // the file's time up to MySQL 5.6
		if t, quality, ok := l.resolve(&c); ok {
			l.setTime(t, quality)
		}
		s = "0" + rest
	}
	n := digits(s)
	if n == 0 || n > 19 || len(s) < n+4 || s[n] != ' ' && s[n] != '\t' {
		return false
	}
	id := s[:n]
	s = strings.TrimLeft(s[n:], " \t")
	if s == "" || s[0] != '[' {
		return mysqlGeneral(l, id, s)
	}
	level, rest, ok := strings.Cut(s[1:], "] ")
	if !ok || len(level) > 12 {
		return false
	}
	switch level {
	case "Note", "Warning", "ERROR", "Error", "System":
	default:
		return false
	}
	code := ""
	if inner, after, ok := strings.Cut(rest, "] "); ok && strings.HasPrefix(inner, "[MY-") {
		code, rest = inner[1:], after
		if _, after, ok := strings.Cut(rest, "] "); ok && rest[0] == '[' {
			rest = after
		}
	}
	mysqlSource(l)
	if id != "0" {
		l.add(event.SessionID, id)
	}
	l.add(event.EventCode, code)
	l.level = level
	l.atLeast(mysqlLevel(level))
	l.text = rest
	if deniedAccount(l, rest) {
		return true
	}
	if strings.HasPrefix(rest, "Aborted connection ") {
		user, _ := between(rest, "user: '", "'")
		host, _ := between(rest, "host: '", "'")
		l.once(event.User, user)
		l.client(host)
		l.putThree("network", "disconnect", "failure")
	}
	return true
}

func mysqlLevel(level string) severity {
	switch level {
	case "ERROR", "Error":
		return medium
	case "Warning":
		return low
	}
	return info
}

// mysqlSource tells MariaDB from MySQL by what wrote the line.
func mysqlSource(l *line) {
	l.source = "mysql"
	if l.r.Source == "mariadb" || strings.HasPrefix(l.program, "mariadb") || l.r.Source == "" && l.program == "" && mariaTime(l.r.Raw) {
		l.source = "mariadb"
	}
	product := "MySQL"
	if l.source == "mariadb" {
		product = "MariaDB"
	}
	l.once(event.Product, product)
}

// mariaTime tells MariaDB's ways to write times, "2026-03-04  5:06:07", "2026-03-04
// 15:06:07" and, until 10.0, "260304  5:06:07": MySQL has written whole years since 5.6,
// and put a T between since 5.7.
func mariaTime(s string) bool {
	date := len("260304")
	if len(s) > 19 && s[4] == '-' && s[7] == '-' {
		date = len("2026-03-04")
	}
	if len(s) < date+len(" 15:06:07 ") {
		return false
	}
	for i := range date {
		if !isDigit(s[i]) && s[i] != '-' {
			return false
		}
	}
	s = s[date:]
	return s[0] == ' ' && (s[1] == ' ' || isDigit(s[1])) && isDigit(s[2]) && s[3] == ':'
}

// mysqlGeneral reads a line of the general query log.
func mysqlGeneral(l *line, id, s string) bool {
	command, text := s, ""
	if i := strings.IndexAny(s, " \t"); i > 0 {
		command, text = s[:i], strings.TrimLeft(s[i:], " \t")
	}
	switch command {
	case "Connect", "Query", "Quit", "Execute", "Prepare", "Init":
	default:
		return false
	}
	mysqlSource(l)
	l.add(event.SessionID, id)
	l.add(event.EventCode, command)
	l.text = text
	switch command {
	case "Connect":
		if !deniedAccount(l, text) {
			user, rest, _ := strings.Cut(text, "@")
			host, _, _ := strings.Cut(rest, " ")
			l.once(event.User, user)
			l.client(host)
			l.putThree("authentication", "login", "success")
		}
	case "Query", "Execute":
		databaseStatement(l, text)
	case "Quit":
		l.putThree("session", "logout", "success")
	}
	return true
}

// parseMySQLAudit reads "TIME,HOST,USER,CLIENT,CONNECTION,QUERY,OPERATION,DATABASE,OBJECT,RETCODE".
func parseMySQLAudit(l *line) bool {
	s := l.text
	if strings.Count(s, ",") < 8 {
		return false
	}
	first, rest, _ := strings.Cut(s, ",")
	if t, ok := auditStamp(l, first); ok {
		l.setTime(t, qualityZone)
		first, rest, _ = strings.Cut(rest, ",")
	}
	host := first
	var column [5]string // user, client, connection, query, operation
	for i := range column {
		column[i], rest, _ = strings.Cut(rest, ",")
	}
	operation := column[4]
	switch operation {
	case "CONNECT", "DISCONNECT", "FAILED_CONNECT", "QUERY", "READ", "WRITE", "CREATE", "ALTER", "RENAME", "DROP":
	default:
		return false
	}
	if !allDigits(column[2]) || !allDigits(column[3]) {
		return false
	}
	database, rest, _ := strings.Cut(rest, ",")
	object, code := rest, ""
	if i := strings.LastIndexByte(rest, ','); i >= 0 {
		object, code = rest[:i], rest[i+1:]
	}
	l.source, l.dataset = "mariadb", "server_audit"
	l.once(event.Product, "MariaDB")
	if l.host == "" {
		l.host = host
	}
	l.once(event.User, column[0])
	l.client(column[1])
	l.add(event.SessionID, column[2])
	l.add(event.EventCode, operation)
	l.add("database", database)
	l.add("return_code", code)
	outcome := "success"
	if code != "" && code != "0" {
		outcome = "failure"
	}
	switch operation {
	case "CONNECT", "FAILED_CONNECT":
		l.happened("authentication", "login", outcome)
	case "DISCONNECT":
		l.putThree("session", "logout", "success")
	case "QUERY":
		sql := strings.TrimSuffix(strings.TrimPrefix(object, "'"), "'")
		l.add("statement", sql)
		category, action := databaseAction(l.p, sql)
		l.happened(category, action, outcome)
	default:
		l.add("object_name", object)
		l.happened("database", l.p.lower(operation), outcome)
	}
	return true
}

// auditStamp reads "20260304 05:06:07".
func auditStamp(l *line, s string) (int64, bool) {
	if len(s) != 17 || s[8] != ' ' || digits(s) != 8 {
		return 0, false
	}
	c := clock{year: number(s[:4]), month: two(s, 4), day: two(s, 6)}
	if rest, ok := c.timeOfDay(s[9:]); !ok || rest != "" {
		return 0, false
	}
	t, _, ok := l.resolve(&c)
	return t, ok
}

// mysqlJSON reads the JSON audit log of Percona Server and MySQL Enterprise.
func mysqlJSON(l *line, from int) bool {
	var name, status, sql string
	for _, f := range l.e.Fields[from:] {
		switch f.Name {
		case "audit_record.name":
			name = f.Value
		case "audit_record.status":
			status = f.Value
		case "audit_record.sqltext":
			sql = f.Value
		case "audit_record.user":
			user, _, _ := strings.Cut(f.Value, "[")
			l.once(event.User, user)
		case "audit_record.ip":
			l.client(f.Value)
		case "audit_record.connection_id":
			l.once(event.SessionID, f.Value)
		case "audit_record.timestamp":
			l.timeOf(f.Value)
		}
	}
	l.source, l.dataset = "mysql", "audit"
	l.once(event.Product, "MySQL")
	l.once(event.EventCode, name)
	outcome := "success"
	if status != "" && status != "0" {
		outcome = "failure"
	}
	switch name {
	case "Connect":
		l.happened("authentication", "login", outcome)
	case "Quit":
		l.putThree("session", "logout", "success")
	default:
		category, action := databaseAction(l.p, sql)
		l.happened(category, action, outcome)
	}
	return true
}
