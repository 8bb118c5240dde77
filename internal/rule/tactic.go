package rule

import "strings"

// tactics are ATT&CK's enterprise tactics in their own order.
var tactics = [...]struct{ id, name string }{
	{"TA0043", "reconnaissance"},
	{"TA0042", "resource-development"},
	{"TA0001", "initial-access"},
	{"TA0002", "execution"},
	{"TA0003", "persistence"},
	{"TA0004", "privilege-escalation"},
	{"TA0005", "defense-evasion"},
	{"TA0006", "credential-access"},
	{"TA0007", "discovery"},
	{"TA0008", "lateral-movement"},
	{"TA0009", "collection"},
	{"TA0011", "command-and-control"},
	{"TA0010", "exfiltration"},
	{"TA0040", "impact"},
}

// Tactic returns the short name of an ATT&CK tactic, "credential-access", given as
// that, as "Credential Access", "credential_access" or "TA0006". What is no tactic
// comes back in the same spelling.
func Tactic(s string) string {
	name := strings.ToLower(strings.Map(func(r rune) rune {
		if r == '_' || r == ' ' {
			return '-'
		}
		return r
	}, strings.TrimSpace(s)))
	for _, t := range tactics {
		if strings.EqualFold(t.id, name) {
			return t.name
		}
	}
	return name
}

// TacticID returns the number of a tactic, "TA0006", or "" for what is none.
func TacticID(s string) string {
	name := Tactic(s)
	for _, t := range tactics {
		if t.name == name {
			return t.id
		}
	}
	return ""
}
