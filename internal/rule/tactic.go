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
	{"TA0005", "stealth"}, // until ATT&CK 18 one with the next: defense-evasion
	{"TA0112", "defense-impairment"},
	{"TA0005", defenseEvasion},
	{"TA0006", "credential-access"},
	{"TA0007", "discovery"},
	{"TA0008", "lateral-movement"},
	{"TA0009", "collection"},
	{"TA0011", "command-and-control"},
	{"TA0010", "exfiltration"},
	{"TA0040", "impact"},
}

const defenseEvasion = "defense-evasion"

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

// TacticNames returns the short names that a filter for s must find: the older name
// defense-evasion covers the two that took its place, and TA0005 is the number of
// the older and of one newer.
func TacticNames(s string) []string {
	name := Tactic(s)
	switch {
	case name == defenseEvasion:
		return []string{defenseEvasion, "stealth", "defense-impairment"}
	case strings.EqualFold(strings.TrimSpace(s), "TA0005"):
		return []string{"stealth", defenseEvasion}
	}
	return []string{name}
}
