package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// databaseStatement adds a statement that a database was given.
func databaseStatement(l *line, sql string) {
	if sql == "" {
		return
	}
	l.add("statement", sql)
	category, action := databaseAction(l.p, sql)
	l.putThree(category, action, "success")
}

// databaseAction names what a statement does after its first words.
func databaseAction(p *Parser, sql string) (category, action string) {
	first, rest := cutWord(strings.TrimLeft(sql, " \t\r\n("))
	second, _ := cutWord(rest)
	if len(first) > 16 || first == "" {
		return "database", "query"
	}
	switch action = p.lower(strings.TrimRight(first, ";")); action {
	case "create", "alter", "drop":
		if len(second) > 16 {
			break
		}
		switch p.lower(second) {
		case "user", "role", "login":
			switch action {
			case "create":
				return "iam", "account_create"
			case "alter":
				return "iam", "account_change"
			default:
				return "iam", "account_delete"
			}
		}
	case "grant", "revoke":
		return "iam", action
	case "select", "insert", "update", "delete", "truncate", "copy", "set", "call", "execute", "begin", "commit", "rollback", "show", "load", "rename":
	default:
		return "database", "query"
	}
	return "database", action
}

// quotedAccount reads "'root'@'203.0.113.9'".
func quotedAccount(s string) (user, host string, ok bool) {
	rest, found := strings.CutPrefix(s, "'")
	if !found {
		return "", "", false
	}
	user, rest, found = strings.Cut(rest, "'@'")
	if !found {
		return "", "", false
	}
	host, _, found = strings.Cut(rest, "'")
	return user, host, found
}

// deniedAccount gives "Access denied for user 'root'@'203.0.113.9' …" its meaning.
func deniedAccount(l *line, text string) bool {
	_, account, ok := strings.Cut(text, "Access denied for user ")
	if !ok {
		return false
	}
	user, host, ok := quotedAccount(account)
	if !ok {
		return false
	}
	l.once(event.User, user)
	l.client(host)
	reason := "bad password"
	if strings.Contains(text, "using password: NO") {
		reason = "no password"
	}
	l.add(event.Reason, reason)
	l.happened("authentication", "login", "failure")
	return true
}
