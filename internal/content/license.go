package content

import (
	"path"
	"regexp"
	"strings"
)

// DRL is the SPDX name of the Detection Rule License of SigmaHQ.
const DRL = "DRL-1.1"

// sigmaHQ is where rules of a tree that looks like SigmaHQ's come from.
const sigmaHQ = "https://github.com/SigmaHQ/sigma"

func isLicenseFile(name string) bool {
	base := strings.ToUpper(path.Base(name))
	return strings.HasPrefix(base, "LICENSE") || strings.HasPrefix(base, "LICENCE") || strings.HasPrefix(base, "COPYING")
}

var licenseTexts = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{DRL, regexp.MustCompile(`(?i)detection rule license\W+(\(?DRL\)?\W+)?(version\W+)?1\.1|DRL[ -]1\.1`)},
	{"DRL-1.0", regexp.MustCompile(`(?i)detection rule license|DRL[ -]1\.0`)},
	{"Apache-2.0", regexp.MustCompile(`(?i)apache license\W+version 2\.0`)},
	{"MIT", regexp.MustCompile(`(?i)\bMIT license\b|permission is hereby granted, free of charge`)},
	{"GPL-3.0", regexp.MustCompile(`(?i)gnu general public license\W+version 3`)},
	{"GPL-2.0", regexp.MustCompile(`(?i)gnu general public license\W+version 2`)},
	{"BSD-3-Clause", regexp.MustCompile(`(?i)bsd 3-clause`)},
}

// licenseOf names the licence of a text, "" where it is not known.
func licenseOf(text []byte) string {
	text = text[:min(len(text), 64<<10)]
	for _, l := range licenseTexts {
		if l.pattern.Match(text) {
			return l.name
		}
	}
	return ""
}

// spdx writes the licence that a rule names in its usual short form.
func spdx(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 200 {
		if known := licenseOf([]byte(s)); known != "" && !strings.Contains(s, "://") {
			return known
		}
	}
	return s
}

// looksLikeSigmaHQ tells whether a tree is laid out as SigmaHQ's repository and its
// releases are.
func (t *Tree) looksLikeSigmaHQ() bool {
	rules, others := false, false
	for _, f := range t.Files {
		first, _, ok := strings.Cut(f.Name, "/")
		if !ok {
			continue
		}
		rules = rules || strings.HasPrefix(f.Name, "rules/windows/")
		// The smaller releases hold this folder only; its names are theirs alone.
		others = others || strings.HasPrefix(f.Name, "rules/windows/process_creation/proc_creation_win_") || first == "rules-emerging-threats" || first == "rules-threat-hunting" || first == "rules-placeholder" || first == "rules-compliance"
	}
	return rules && (others || t.License == DRL)
}
