package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/kyra-mdr/kyra/internal/detect/ruletest"
)

// rulesFolder holds a good rule, a correlation over a rule of another file, and
// what can be wrong.
const rulesFolder = `
-- good/shell.yml --
title: Root Shell
id: 11111111-1111-4111-8111-111111111111
logsource: {product: linux, service: sudo}
detection:
    selection:
        cmdline|endswith: /bash
    condition: selection
level: high
-- good/shell.txtar --
-- positive/bash.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/bash
-- negative/list.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/ls
-- good/many.yml --
title: Many Root Shells
id: 22222222-2222-4222-8222-222222222222
correlation:
    type: event_count
    rules: [11111111-1111-4111-8111-111111111111]
    group-by: [user]
    timespan: 1m
    condition: {gte: 2}
level: high
-- good/many.txtar --
-- positive/two.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/bash
Nov 24 09:14:06 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/bash
-- negative/one.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/bash
-- bad/shell.yml --
title: Shell
id: 33333333-3333-4333-8333-333333333333
logsource: {product: linux, service: sudo}
detection:
    selection:
        cmdline|endswith: /bash
    filter:
        user: anna
    condition: selection and not filter
level: high
-- bad/shell.txtar --
-- positive/zsh.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   berta : TTY=pts/0 ; PWD=/home/berta ; USER=root ; COMMAND=/usr/bin/zsh
-- positive/excluded.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/bash
-- positive/other_source.log --
# source: linux
Nov 24 09:14:05 app-01 cron[1]: (root) CMD (/usr/bin/bash)
-- negative/bash.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   berta : TTY=pts/0 ; PWD=/home/berta ; USER=root ; COMMAND=/usr/bin/bash
-- bad/zsh.yml --
title: Z Shell
id: 44444444-4444-4444-8444-444444444444
logsource: {product: linux, service: sudo}
detection:
    selection:
        cmdline|endswith: /zsh
    condition: selection
level: low
-- bad/slow.yml --
title: Many Shells
id: 55555555-5555-4555-8555-555555555555
correlation:
    type: event_count
    rules: [any_shell]
    group-by: [user]
    timespan: 1m
    condition: {gte: 3}
level: high
---
title: Any shell
id: 66666666-6666-4666-8666-666666666666
name: any_shell
logsource: {product: linux, service: sudo}
detection:
    selection:
        cmdline|contains: sh
    condition: selection
-- bad/slow.txtar --
-- positive/two.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/bash
Nov 24 09:14:25 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/zsh
-- negative/none.log --
# source: linux
Nov 24 09:14:05 app-01 sudo:   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/ls
-- bad/broken.yml --
title: Broken
detection:
    selection:
        a|nosuch: b
    condition: selection
-- bad/unresolved.yml --
title: Counts What Is Not There
id: 88888888-8888-4888-8888-888888888888
correlation:
    type: event_count
    rules: [nosuch]
    group-by: [user]
    timespan: 1m
    condition: {gte: 3}
-- bad/onesided.yml --
title: One Side
id: 77777777-7777-4777-8777-777777777777
logsource: {product: linux}
detection:
    selection:
        a: b
    condition: selection
-- bad/onesided.txtar --
-- positive/a.log --
x
`

func rulesTest(t *testing.T, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtarFiles(rulesFolder) {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range args {
		if !strings.HasPrefix(a, "-") {
			args[i] = filepath.Join(dir, a)
		}
	}
	var out bytes.Buffer
	cmd := newRulesTestCommand()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetContext(t.Context())
	err := cmd.Execute()
	return strings.ReplaceAll(out.String(), dir+string(filepath.Separator), ""), err
}

// txtarFiles splits an archive whose files may be archives of logs: a section
// with a folder "positive/" or "negative/" belongs to the file before it.
func txtarFiles(text string) []txtar.File {
	var out []txtar.File
	for _, f := range txtar.Parse([]byte(text)).Files {
		if strings.HasPrefix(f.Name, "positive/") || strings.HasPrefix(f.Name, "negative/") {
			last := &out[len(out)-1]
			last.Data = append(last.Data, txtar.Format(&txtar.Archive{Files: []txtar.File{f}})...)
			continue
		}
		out = append(out, f)
	}
	return out
}

func TestRulesTestGood(t *testing.T) {
	t.Parallel()
	out, err := rulesTest(t, "good")
	if err != nil || out != "2 rules, 4 logs: 0 failed, 0 rules without logs, 0 broken\n" {
		t.Errorf("error %v, output\n%s", err, out)
	}
	out, err = rulesTest(t, filepath.Join("good", "many.yml"))
	if err != nil || !strings.HasPrefix(out, "1 rules, 2 logs: 0 failed") {
		t.Errorf("one file: error %v, output\n%s", err, out)
	}
}

func TestRulesTestExplains(t *testing.T) {
	t.Parallel()
	out, err := rulesTest(t, "bad")
	if !errors.Is(err, errRulesFailed) {
		t.Errorf("error is %v", err)
	}
	for _, want := range []string{
		"FAILED    bad/shell.txtar: positive/zsh.log\n          it must raise \"Shell\"",
		"line 1: selection: line 6 of the rule: cmdline|endswith wants '/bash', the event has '/usr/bin/zsh'",
		"raised instead: \"Z Shell\"",
		"line 1: filter: line 8 of the rule takes it away: user is 'anna'",
		"line 1 is of another log source than linux/*/sudo: it wants source 'sudo' (it is 'cron')",
		"FAILED    bad/shell.txtar: negative/bash.log\n          it must not raise \"Shell\", but does for",
		"lines that match: '1'",
		"event_count within 1m0s: gte 3",
		"counted for 'user=anna': 2 events within 20s",
		"UNTESTED  bad/zsh.yml",
		"BROKEN    bad/broken.yml",
		"BROKEN    bad/onesided.yml\n          onesided.txtar: at least one positive and one negative log are needed",
		"BROKEN    bad/unresolved.yml\n          line 5: it refers to the rule \"nosuch\"",
		"6 rules, 6 logs: 5 failed, 2 rules without logs, 3 broken\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestRulesTestUntested(t *testing.T) {
	t.Parallel()
	zsh := filepath.Join("bad", "zsh.yml")
	if out, err := rulesTest(t, zsh); !errors.Is(err, errRulesFailed) || !strings.Contains(out, "UNTESTED") {
		t.Errorf("error %v, output %s", err, out)
	}
	if out, err := rulesTest(t, "--allow-untested", zsh); err != nil || out != "1 rules, 0 logs: 0 failed, 1 rules without logs, 0 broken\n" {
		t.Errorf("error %v, output %s", err, out)
	}
	if _, err := rulesTest(t, "nosuch"); err == nil {
		t.Error("a folder that is not there passes")
	}
}

func TestRulesTestJSON(t *testing.T) {
	t.Parallel()
	out, err := rulesTest(t, "--json", "bad")
	var r ruletest.Report
	if jsonErr := json.Unmarshal([]byte(out), &r); jsonErr != nil || !errors.Is(err, errRulesFailed) {
		t.Fatalf("errors %v, %v; output %s", err, jsonErr, out)
	}
	if len(r.Failures) != 5 || len(r.Untested) != 2 || len(r.Problems) != 3 || r.Failures[0].Section == "" {
		t.Errorf("report %+v", r)
	}
	if out, err := rulesTest(t, "--json", "good"); err != nil || out != `{"rules":2,"logs":4,"failures":[],"untested":[],"problems":[]}`+"\n" {
		t.Errorf("error %v, output %s", err, out)
	}
}
