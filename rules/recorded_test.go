package rules_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// recorded returns the path of a log that others recorded, which is no part of
// the repository, and skips the test where it is absent.
func recorded(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the recorded logs are not beside the repository: %v", err)
	}
	return path
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(text), "\n"), "\n")
}

// whole is all rules compiled together.
type whole struct {
	set  *detect.Ruleset
	byID map[string]*sigma.Document
}

func compileAll(t *testing.T) whole {
	t.Helper()
	w := whole{byID: map[string]*sigma.Document{}}
	var all []detect.Rule
	for _, p := range read(t) {
		for _, d := range append([]*sigma.Document{p.rule}, p.bases...) {
			all = append(all, detect.Rule{Document: d, Version: 1})
			w.byID[d.ID] = d
		}
	}
	set, problems := detect.Compile(all)
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	w.set = set
	return w
}

// run parses lines as one sender's and returns what they raise.
func (w whole) run(lines []string, source string) []alert.Finding {
	parser, matcher := parse.New(parse.Options{}), w.set.NewMatcher()
	detector := detect.New(func(uint32) *detect.Ruleset { return w.set })
	arrival := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixNano()
	var out []alert.Finding
	emit := func(f *alert.Finding) { out = append(out, *f) }
	var e event.Event
	var hits []detect.Hit
	for i, line := range lines {
		parser.Parse(&parse.Record{Raw: line, Source: source, Arrived: arrival + int64(i)}, &e)
		e.ID = event.ID{Seq: 1, Index: uint32(i)}
		hits = matcher.Match(&e, hits[:0])
		detector.Apply(&e, hits, emit)
		if i%200 == 199 {
			detector.EndBatch(emit)
		}
	}
	detector.EndBatch(emit)
	return out
}

// TestOpenSSH compares the alerts over a recorded day of guessing with a count
// made from the text alone.
func TestOpenSSH(t *testing.T) {
	t.Parallel()
	lines := readLines(t, recorded(t, "loghub/OpenSSH_2k.log"))
	failed := regexp.MustCompile(`sshd\[\d+\]: (?:message repeated (\d+) times: \[ )?Failed password for .* from ([0-9.]+) port`)
	want := map[string]bool{}
	tries := map[string][]time.Time{}
	total := int64(0)
	for _, line := range lines {
		m := failed.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		when, err := time.Parse(time.Stamp, line[:15])
		if err != nil {
			t.Fatal(err)
		}
		n := 1
		if m[1] != "" {
			n, _ = strconv.Atoi(m[1])
		}
		total += int64(n)
		recent := slices.DeleteFunc(tries[m[2]], func(x time.Time) bool { return when.Sub(x) >= 5*time.Minute })
		for range n {
			recent = append(recent, when)
		}
		tries[m[2]] = recent
		if len(recent) >= 5 {
			want["src_ip="+m[2]] = true
		}
	}
	got := map[string]bool{}
	counted := int64(0)
	other := map[string]bool{}
	for _, f := range compileAll(t).run(lines, "linux") {
		if f.Title != "Brute Force Authentication Attempt" {
			other[f.Severity+" "+f.Title] = true
			continue
		}
		got[f.Key] = true
		counted += f.Count
		if f.Tactic != "credential-access" || f.Technique != "T1110" || f.Source != "sshd" || f.Severity != "high" {
			t.Errorf("finding is %s, %s, %s, %s", f.Tactic, f.Technique, f.Source, f.Severity)
		}
	}
	if len(want) == 0 || len(got) != len(want) {
		t.Errorf("alerts for %d addresses, by the text it must be %d: %v, %v", len(got), len(want), got, want)
	}
	for key := range want {
		if !got[key] {
			t.Errorf("no alert for %s", key)
		}
	}
	if counted > total {
		t.Errorf("%d attempts counted, there are %d: something counts twice", counted, total)
	}
	t.Logf("%d addresses, %d of %d failures; beside it %v", len(got), counted, total, other)
}

// TestOldLinux runs a log that has what PAM writes of logins, and klogind's 23
// refusals of one address within seconds.
func TestOldLinux(t *testing.T) {
	t.Parallel()
	got := map[string]int{}
	for _, f := range compileAll(t).run(readLines(t, recorded(t, "loghub/Linux_2k.log")), "linux") {
		got[f.Title]++
	}
	if got["Login Failures Reported by PAM"] == 0 || got["Application Login Guessing"] != 1 || len(got) > 2 {
		t.Errorf("findings: %v", got)
	}
	t.Log(got)
}

// TestApacheErrors runs a log in which nothing is an attack.
func TestApacheErrors(t *testing.T) {
	t.Parallel()
	if got := compileAll(t).run(readLines(t, recorded(t, "loghub/Apache_2k.log")), "apache"); len(got) > 0 {
		t.Errorf("findings: %v", got)
	}
}

// TestOthersCases runs logs for which another project says what must be found, as
// far as their products are parsed here. A case is passed if each detection has an
// alert for its address with one of its techniques.
func TestOthersCases(t *testing.T) {
	t.Parallel()
	w := compileAll(t)
	sources := map[string]string{"nginx": "nginx", "apache2": "apache", "sshd": "linux", "litespeed": "nginx", "caddy": ""}
	passed, ran := 0, 0
	for _, line := range readLines(t, recorded(t, "cases/crowdsec_detect.jsonl")) {
		var c struct {
			ID, Product string
			Lines       []string
			Expect      struct {
				Detections []struct {
					Title      string
					Src, Mitre []string
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		source, ok := sources[c.Product]
		if !ok || c.ID == "crowdsec/litespeed-admin-bf" { // a log of a format of its own
			continue
		}
		ran++
		findings := w.run(c.Lines, source)
		good := true
		for _, want := range c.Expect.Detections {
			if !slices.ContainsFunc(findings, func(f alert.Finding) bool {
				return concerns(f, want.Src) && shareTechnique(w.byID[f.Rule.ID].Techniques(), want.Mitre)
			}) {
				good = false
				t.Errorf("%s: nothing found for %s from %v", c.ID, want.Title, want.Src)
			}
		}
		if good {
			passed++
		}
	}
	if ran < 14 {
		t.Errorf("only %d cases ran", ran)
	}
	t.Logf("passed %d of %d", passed, ran)
}

// TestAttackRecordings runs recordings of attacks, tens of thousands of events of
// ordinary Windows among them: each attack is found, and what else is found is a
// handful.
func TestAttackRecordings(t *testing.T) {
	t.Parallel()
	w := compileAll(t)
	events, others := 0, map[string]int{}
	for _, c := range []struct{ file, title string }{
		{"cmd_bitsadmin_download_psh_script", "Download or Command Through BITS"},
		{"cmd_netsh_fw_mod_open_ports", "Port Opened in the Windows Firewall by Command"},
		{"cmd_sam_copy_esentutl", "Password Hives Saved From the Registry"},
		{"covenant_psremoting_command", "LSASS Opened With the Rights to Read Its Memory"},
		{"ec2_proxy_s3_exfiltration", "Credentials of a Machine Used Elsewhere"},
		{"empire_persistence_registry_modification_run_keys_elevated_user", "Autostart Entry With a Script or From a Folder of Users"},
		{"empire_shell_net_localgroup_administrators", "Administrators Listed"},
		{"empire_shell_reg_dump_sam", "Password Hives Saved From the Registry"},
		{"psh_lsass_memory_dump_comsvcs", "LSASS Memory Dumped With comsvcs.dll"},
		{"psh_mshta_html_application_execution", "mshta Runs a Foreign Script"},
		{"psh_python_webserver", "Web Server Started by Hand on Windows"},
		{"reg_cmd_process_commandline_logging_disabled", "Recording of Commands or Scripts Switched Off"},
		{"schtask_create", "Scheduled Task That Runs a Script or From a Folder of Users"},
	} {
		lines := readZipped(t, recorded(t, "otrf/"+c.file+".ndjson.gz"))
		events += len(lines)
		found := false
		for _, f := range w.run(lines, "") {
			if f.Title == c.title {
				found = true
			} else if event.SeverityRank(f.Severity) > event.SeverityRank("low") {
				others[f.Title]++
			}
		}
		if !found {
			t.Errorf("%s: %q was not raised", c.file, c.title)
		}
	}
	total := 0
	for title, n := range others {
		if title != "Windows Event Log Cleared" { // those who recorded cleared it first
			total += n
		}
	}
	if total > 6 {
		t.Errorf("%d findings besides in %d events: %v", total, events, others)
	}
	t.Logf("%d events, besides %v", events, others)
}

func readZipped(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(text), "\n"), "\n")
}

// concerns tells whether one of the addresses is an entity of f.
func concerns(f alert.Finding, addresses []string) bool {
	return slices.ContainsFunc(f.Entities, func(e alert.Entity) bool {
		return e.Field == event.SrcIP && slices.Contains(addresses, e.Value)
	})
}

// shareTechnique tells whether a and b have a technique in common, sub-techniques
// left aside.
func shareTechnique(a, b []string) bool {
	for _, x := range a {
		main, _, _ := strings.Cut(x, ".")
		if slices.ContainsFunc(b, func(y string) bool { return strings.HasPrefix(y, main) }) {
			return true
		}
	}
	return false
}
