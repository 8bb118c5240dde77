package workbench

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/kyra-mdr/kyra/internal/rule"
)

//go:embed attack.tsv
var attackText string

// attackVersion is the version of ATT&CK that attack.tsv holds.
const attackVersion = "18"

// A technique is one of ATT&CK's.
type technique struct {
	id, name string
	tactics  []string
}

// attack is the embedded table, which a test reads too: it cannot fail in a program
// that passed its tests.
var attack = sync.OnceValue(func() map[string]technique {
	all := map[string]technique{}
	for line := range strings.Lines(attackText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		part := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		all[part[0]] = technique{part[0], part[2], strings.Fields(part[1])}
	}
	return all
})

// matrixTactics are the columns of the matrix in ATT&CK's order. Until version 18 one
// tactic, defense evasion, was what later versions part into stealth and defense
// impairment: rules of either vocabulary count in it.
var matrixTactics = []struct{ id, name, title string }{
	{"TA0043", "reconnaissance", "Reconnaissance"},
	{"TA0042", "resource-development", "Resource Development"},
	{"TA0001", "initial-access", "Initial Access"},
	{"TA0002", "execution", "Execution"},
	{"TA0003", "persistence", "Persistence"},
	{"TA0004", "privilege-escalation", "Privilege Escalation"},
	{"TA0005", "defense-evasion", "Defense Evasion"},
	{"TA0006", "credential-access", "Credential Access"},
	{"TA0007", "discovery", "Discovery"},
	{"TA0008", "lateral-movement", "Lateral Movement"},
	{"TA0009", "collection", "Collection"},
	{"TA0011", "command-and-control", "Command and Control"},
	{"TA0010", "exfiltration", "Exfiltration"},
	{"TA0040", "impact", "Impact"},
}

// column returns the index of the matrix's tactic for a name of either vocabulary,
// -1 for what is none.
func column(name string) int {
	for i, t := range matrixTactics {
		if slices.Contains(rule.TacticNames(t.name), rule.Tactic(name)) {
			return i
		}
	}
	return -1
}

// parent returns the technique of a sub-technique, "" for another.
func parent(id string) string {
	p, _, ok := strings.Cut(id, ".")
	if !ok {
		return ""
	}
	return p
}
