package rules_test

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/rules"
)

// parsed is one rule file: the rule that raises alerts and what it counts.
type parsed struct {
	path  string
	text  []byte
	rule  *sigma.Document
	bases []*sigma.Document
}

// read parses every rule file of the package.
func read(t *testing.T) []parsed {
	t.Helper()
	paths, err := fs.Glob(rules.FS, "*/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	var out []parsed
	for _, path := range paths {
		text, err := rules.FS.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := sigma.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		out = append(out, parsed{path, text, docs[0], docs[1:]})
	}
	return out
}

// defenseEvasion is the tactic that version 19 of ATT&CK cut into "stealth" and
// "defense-impairment". Rules are tagged in both vocabularies, so that they are
// found by whichever a reader knows.
const defenseEvasion = "defense-evasion"

// classic are the 14 tactics of ATT&CK until version 18, in the order of an attack.
func classic() []string {
	return []string{
		"reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation",
		defenseEvasion, "credential-access", "discovery", "lateral-movement", "collection", "command-and-control",
		"exfiltration", "impact",
	}
}

// current are the tactics since version 19.
func current() []string {
	return append(slices.DeleteFunc(classic(), func(t string) bool { return t == defenseEvasion }), "stealth", "defense-impairment")
}

var (
	techniqueForm = regexp.MustCompile(`^T1\d{3}(\.\d{3})?$`)
	placeholder   = regexp.MustCompile(`\{([^{}]*)\}`)
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	ids, titles, names := map[string]string{}, map[string]string{}, map[string]string{}
	unique := func(seen map[string]string, what, value, path string) {
		if first, ok := seen[value]; ok {
			t.Errorf("%s: %s %q is also that of %s", path, what, value, first)
		}
		seen[value] = path
	}
	for _, p := range read(t) {
		for i, d := range append([]*sigma.Document{p.rule}, p.bases...) {
			if _, err := uuid.Parse(d.ID); err != nil {
				t.Errorf("%s: id %q: %v", p.path, d.ID, err)
			}
			unique(ids, "id", d.ID, p.path)
			unique(titles, "title", d.Title, p.path)
			if d.Author != "KYRA project" || d.License != "Apache-2.0" || d.Status != "test" && d.Status != "stable" {
				t.Errorf("%s: author %q, license %q, status %q", p.path, d.Author, d.License, d.Status)
			}
			if _, err := time.Parse(time.DateOnly, d.Date); err != nil {
				t.Errorf("%s: date: %v", p.path, err)
			}
			if i > 0 {
				unique(names, "name", d.Name, p.path)
				if d.Level != "informational" {
					t.Errorf("%s: %q is only counted, but its level is %q", p.path, d.Title, d.Level)
				}
			}
		}
		d := p.rule
		if d.Description == "" || len(d.References) == 0 || len(d.FalsePositives) == 0 || event.SeverityRank(d.Severity()) == 0 || d.Level == "" {
			t.Errorf("%s: description, references, falsepositives and level must be there", p.path)
		}
		if len(d.Tactics()) == 0 || len(d.Techniques()) == 0 {
			t.Errorf("%s: tags %v name no tactic or no technique", p.path, d.Tags)
		}
		checkTactics(t, p)
		for _, x := range d.Techniques() {
			if !techniqueForm.MatchString(x) || !strings.Contains(strings.Join(d.References, " "), strings.ReplaceAll(x, ".", "/")) {
				t.Errorf("%s: technique %q is malformed or not among the references", p.path, x)
			}
		}
		if d.Kyra.Description == "" {
			t.Errorf("%s: kyra.description is missing", p.path)
		}
		for _, m := range placeholder.FindAllStringSubmatch(d.Kyra.Description, -1) {
			if name, _, _ := strings.Cut(m[1], ":"); name != "count" && !event.IsCanonical(name) {
				t.Errorf("%s: {%s} in the description is not a field", p.path, m[1])
			}
		}
		for _, f := range slices.Concat(d.Kyra.Entity, d.Kyra.Entities) {
			if !event.IsCanonical(f) {
				t.Errorf("%s: entity %q is not a field", p.path, f)
			}
		}
		if c := d.Correlation; c != nil {
			for _, name := range c.Rules {
				if !slices.ContainsFunc(p.bases, func(b *sigma.Document) bool { return b.Name == name }) {
					t.Errorf("%s: counts %q, which is not in the file: each file stands alone", p.path, name)
				}
			}
		} else if len(p.bases) > 0 {
			t.Errorf("%s: more than one rule in a file", p.path)
		}
	}
}

// checkTactics wants both vocabularies, the current one first: an alert shows the
// first tag.
func checkTactics(t *testing.T, p parsed) {
	t.Helper()
	got := p.rule.Tactics()
	for _, x := range got {
		if !slices.Contains(classic(), x) && !slices.Contains(current(), x) {
			t.Errorf("%s: %q is not a tactic of ATT&CK", p.path, x)
		}
		if rule.TacticID(x) == "" {
			t.Errorf("%s: internal/rule does not know the tactic %q", p.path, x)
		}
	}
	newer := slices.Contains(got, "stealth") || slices.Contains(got, "defense-impairment")
	if older := slices.Contains(got, defenseEvasion); newer != older || older && got[0] == defenseEvasion {
		t.Errorf("%s: tactics %v must name stealth or defense-impairment and, behind it, defense-evasion, or none of them", p.path, got)
	}
}

// TestCoverage keeps what the product promises: breadth, and the two rules that
// its reference shows.
func TestCoverage(t *testing.T) {
	t.Parallel()
	all := read(t)
	tactics, folders, correlations := map[string]int{}, map[string]int{}, 0
	for _, p := range all {
		for _, x := range p.rule.Tactics() {
			tactics[x]++
		}
		folder, _, _ := strings.Cut(p.path, "/")
		folders[folder]++
		if p.rule.Correlation != nil {
			correlations++
		}
	}
	t.Logf("%d rules, %d of them correlations; by tactic %v; by folder %v", len(all), correlations, tactics, folders)
	if len(all) < 150 || correlations < 25 {
		t.Errorf("%d rules with %d correlations, at least 150 with 25 are promised", len(all), correlations)
	}
	for _, x := range append(classic(), current()...) {
		if tactics[x] < 2 {
			t.Errorf("%d rules for the tactic %s", tactics[x], x)
		}
	}
	for _, x := range []string{
		"windows", "activedirectory", "linux", "sshd", "sudo", "firewall", "web", "dns", "aws", "azure", "m365", "gcp", "okta",
		"kubernetes", "docker", "database",
	} {
		if folders[x] < 3 {
			t.Errorf("%d rules in the folder %s", folders[x], x)
		}
	}
	for title, want := range map[string][3]string{
		"Brute Force Authentication Attempt": {"high", "credential-access", "T1110"},
		"TCP SYN Scan Detection":             {"high", "discovery", "T1046"},
	} {
		i := slices.IndexFunc(all, func(p parsed) bool { return p.rule.Title == title })
		if i < 0 {
			t.Errorf("there is no rule %q", title)
			continue
		}
		d := all[i].rule
		if got := [3]string{d.Level, d.Tactics()[0], d.Techniques()[0]}; got != want {
			t.Errorf("%s is %v, not %v", title, got, want)
		}
	}
}
