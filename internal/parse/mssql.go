package parse

import (
	"cmp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func mssqlParser() content {
	return content{
		Info: Info{
			Name:     "mssql",
			Sources:  []string{"mssql"},
			Programs: []string{"sqlservr", "mssql"},
			About:    "Microsoft SQL Server: the error log, and its logins and audit records in Windows' application log",
			Samples: []Sample{
				{`2022-12-20 12:36:54.17 Logon       Login failed for user 'SA'. Reason: Password did not match that for the login provided. [CLIENT: 172.17.0.3]`, []string{
					"source=mssql", "vendor=Microsoft", "product=SQL Server", "category=authentication", "action=login", "outcome=failure", "user=SA", "src_ip=172.17.0.3", "reason=bad password",
					"severity=medium", "message=Login failed for user 'SA'. Reason: Password did not match that for the login provided. [CLIENT: 172.17.0.3]",
				}},
				{`2022-12-20 12:36:54.17 Logon       Error: 18456, Severity: 14, State: 8.`, []string{"source=mssql", "event_code=18456", "category=", "severity=low"}},
				{`{"EventID":18456,"Channel":"Application","SourceName":"MSSQLSERVER","Hostname":"DB1","EventTime":"2026-03-04 05:06:07","Message":"Login failed for user 'sa'. Reason: Could not find a login matching the name provided. [CLIENT: 203.0.113.9]"}`, []string{
					"source=windows_application", "product=SQL Server", "category=authentication", "action=login", "outcome=failure", "user=sa", "src_ip=203.0.113.9", "reason=invalid user",
					"host=DB1", "event_code=18456", "severity=medium",
				}},
				{`{"EventID":33205,"Channel":"Application","SourceName":"MSSQLSERVER","Hostname":"DB1","EventTime":"2026-03-04 05:06:07","Message":"Audit event: audit_schema_version:1\nevent_time:2026-03-04 05:06:07.1\naction_id:CR  \nsucceeded:true\nserver_principal_name:CORP\\eve\ndatabase_name:master\nobject_name:mallory\nstatement:CREATE LOGIN mallory WITH PASSWORD = '******'\nclient_ip:203.0.113.9\napplication_name:SSMS"}`, []string{
					"source=windows_application", "dataset=mssql.audit", "category=iam", "action=account_create", "outcome=success", `user=CORP\eve`, "src_ip=203.0.113.9", "action_id=CR",
					"database=master", "object_name=mallory", "statement=CREATE LOGIN mallory WITH PASSWORD = '******'", "event_code=33205",
				}},
			},
		},
		parse: parseMSSQL,
	}
}

// isMSSQLLine tells the error log by the word behind its time.
func isMSSQLLine(s string) bool {
	return strings.HasPrefix(s, "Logon       ") || strings.HasPrefix(s, "spid") && len(s) > 13 && isDigit(s[4]) && strings.Contains(s[5:13], "  ") ||
		strings.HasPrefix(s, "Server      ")
}

// parseMSSQL reads "Logon       TEXT", the time of which is taken off already.
func parseMSSQL(l *line) bool {
	word, text := cutWord(l.text)
	if word != "Logon" && word != "Server" && !strings.HasPrefix(word, "spid") || text == "" {
		return false
	}
	l.source = "mssql"
	l.text = text
	l.once(event.Vendor, "Microsoft")
	l.once(event.Product, "SQL Server")
	if rest, ok := strings.CutPrefix(text, "Error: "); ok {
		code, _, _ := strings.Cut(rest, ",")
		l.addInt(event.EventCode, code)
		l.atLeast(low)
		return true
	}
	mssqlLogin(l, text)
	return true
}

// mssqlLogin reads what the server says of a login.
func mssqlLogin(l *line, text string) {
	var outcome string
	switch {
	case strings.HasPrefix(text, "Login failed for user '"):
		outcome = "failure"
	case strings.HasPrefix(text, "Login succeeded for user '"):
		outcome = "success"
	default:
		return
	}
	user, _ := between(text, "user '", "'")
	address, _ := between(text, "[CLIENT: ", "]")
	l.once(event.User, user)
	if address != "<local machine>" && address != "<named pipe>" {
		l.client(address)
	}
	if outcome == "failure" {
		reason, _ := between(text, "Reason: ", ". ")
		switch {
		case strings.HasPrefix(reason, "Password did not match"):
			reason = "bad password"
		case strings.HasPrefix(reason, "Could not find a login"):
			reason = "invalid user"
		case strings.HasPrefix(reason, "The account is disabled"):
			reason = "account disabled"
		}
		l.once(event.Reason, reason)
	}
	l.happened("authentication", "login", outcome)
}

// mssql gives the events of SQL Server in the application log their meaning.
func (w *windowsFields) mssql(l *line) {
	l.once(event.Product, "SQL Server")
	text := l.text
	if w[winData] != "" {
		text = w[winData]
	}
	switch w[winID] {
	case "18456", "18453", "18454", "18455":
		mssqlLogin(l, text)
	case "33205":
		mssqlAudit(l, text)
	}
}

// mssqlAudit reads the lines "name:value" of an audit record.
func mssqlAudit(l *line, text string) {
	l.dataset = "mssql.audit"
	var action, succeeded, statement, user, session string
	for text != "" {
		var row string
		row, text, _ = strings.Cut(text, "\n")
		name, value, ok := strings.Cut(strings.TrimPrefix(row, "Audit event: "), ":")
		value = strings.TrimSpace(value)
		if !ok || value == "" {
			continue
		}
		switch name {
		case "action_id":
			action = value
			l.e.Add("action_id", value)
		case "succeeded":
			succeeded = value
			l.e.Add("succeeded", value)
		case "statement":
			statement = value
			l.e.Add("statement", value)
		case "server_principal_name":
			user = value
			l.e.Add("server_principal_name", value)
		case "session_server_principal_name":
			session = value
		case "database_name":
			l.e.Add("database", value)
		case "object_name", "schema_name", "class_type", "application_name", "server_instance_name", "target_server_principal_name", "additional_information":
			l.e.Add(name, value)
			if name == "target_server_principal_name" {
				l.once(event.TargetUser, value)
			}
		case "client_ip":
			l.client(value)
		}
	}
	l.once(event.User, cmp.Or(user, session))
	outcome := "success"
	if succeeded == "false" {
		outcome = "failure"
	}
	switch action {
	case "LGIF":
		l.happened("authentication", "login", "failure")
	case "LGIS":
		l.happened("authentication", "login", outcome)
	case "LGO":
		l.happened("authentication", "logout", outcome)
	default:
		category, word := databaseAction(l.p, statement)
		l.happened(category, word, outcome)
	}
}
