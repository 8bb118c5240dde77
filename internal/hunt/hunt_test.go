package hunt

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// spray is three detections of one user by different hosts, in any order of files.
const spray = `
title: One Account Fails on Many Hosts
id: 0b1f5a6e-0000-4000-8000-000000000001
correlation:
  type: value_count
  rules: [failed]
  group-by: [user]
  timespan: 10m
  condition: {field: host, gte: 3}
tags: [attack.credential-access, attack.t1110]
level: high
---
title: Failed logon
name: failed
logsource: {product: linux, service: sshd}
detection:
  s: {action: login, outcome: failure}
  condition: s
---
title: A word in a message
id: 0b1f5a6e-0000-4000-8000-000000000002
logsource: {product: linux}
detection:
  words: ['xylophone']
  condition: words
level: low
`

func options(tb testing.TB, text string) Options {
	tb.Helper()
	docs, err := sigma.Parse([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	var list []detect.Rule
	for _, d := range docs {
		list = append(list, detect.Rule{Document: d, Version: 1})
	}
	set, problems := detect.Compile(list)
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	return Options{Rules: set, Documents: docs}
}

// write makes files and returns their names.
func write(tb testing.TB, texts ...string) []string {
	tb.Helper()
	dir := tb.TempDir()
	var names []string
	for i, text := range texts {
		name := filepath.Join(dir, fmt.Sprintf("%02d.log", i))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func failure(minute int, host string) string {
	return fmt.Sprintf("2026-04-22T08:%02d:30+00:00 %s sshd[42]: Failed password for root from 203.0.113.9 port 22022 ssh2\n", minute, host)
}

func TestCorrelationOverFiles(t *testing.T) {
	// Each host has its own file, which goes on for long after the attack.
	rest := ""
	for m := 20; m < 60; m++ {
		rest += failure(m, "web1")
	}
	files := write(t, failure(1, "web1")+rest, failure(2, "web2")+strings.ReplaceAll(rest, "web1", "web2"), failure(3, "web3"))
	r, err := Run(t.Context(), options(t, spray), nil, files)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || r.Findings[0].Title != "One Account Fails on Many Hosts" || r.Findings[0].Count != 3 {
		t.Fatalf("findings %+v", r.Findings)
	}
	if f := r.Findings[0]; len(f.Places) != 3 || f.Places[2] != (Place{files[2], 1}) {
		t.Errorf("places %v", f.Places)
	}
	if r.Events != 83 || r.Files != 3 {
		t.Errorf("%d events in %d files", r.Events, r.Files)
	}
}

func TestWorkersDoNotChangeFindings(t *testing.T) {
	var texts []string
	for f := range 7 {
		text := ""
		for i := range 2000 {
			text += failure((f*7+i)%60, fmt.Sprintf("web%d", (i*f)%5))
			if i%97 == 0 {
				text += fmt.Sprintf("2026-04-22T08:15:30+00:00 h%d app: a xylophone <b>\n", f)
			}
		}
		texts = append(texts, text)
	}
	files := write(t, texts...)
	var want string
	for _, workers := range []int{1, 2, 8} {
		o := options(t, spray)
		o.Workers = workers
		r, err := Run(t.Context(), o, nil, files)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := r.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = b.String()
		}
		if b.String() != want || !strings.Contains(want, "xylophone") && workers == 1 {
			t.Errorf("%d workers find other things than one", workers)
		}
	}
}

func TestHeldIsBounded(t *testing.T) {
	o := options(t, spray)
	o.MaxHeld = 1
	r, err := Run(t.Context(), o, nil, write(t, failure(1, "a")+failure(2, "b"), failure(3, "c")))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "more events match than can be held") {
		t.Errorf("warnings %q", r.Warnings)
	}
	if len(r.Findings) != 1 { // these are in order anyway
		t.Errorf("%d findings", len(r.Findings))
	}
}

func TestPeriodLevelEach(t *testing.T) {
	word := "2026-04-22T08:%02d:30+00:00 h app: a xylophone\n"
	files := write(t, fmt.Sprintf(word+word+word, 1, 2, 3))
	run := func(change func(*Options)) *Result {
		o := options(t, spray)
		change(&o)
		r, err := Run(t.Context(), o, nil, files)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := run(func(*Options) {}); len(r.Findings) != 1 || r.Findings[0].Count != 3 {
		t.Errorf("%d findings", len(r.Findings))
	}
	if r := run(func(o *Options) { o.Each = true }); len(r.Findings) != 3 {
		t.Errorf("each by itself: %d findings", len(r.Findings))
	}
	if r := run(func(o *Options) { o.Least = "medium" }); len(r.Findings) != 0 {
		t.Errorf("from medium on: %d findings", len(r.Findings))
	}
	at := func(r *Result) string { return stamp(r.Findings[0].First) }
	r := run(func(o *Options) { o.From = time.Date(2026, 4, 22, 8, 3, 0, 0, time.UTC) })
	if r.Events != 1 || at(r) != "2026-04-22T08:03:30Z" {
		t.Errorf("from the third on: %d events", r.Events)
	}
}

func TestUnreadable(t *testing.T) {
	files := append(write(t, "2026-04-22T08:15:30+00:00 h app: a xylophone\n", "ElfFile\x00 and no more"), filepath.Join(t.TempDir(), "absent"))
	r, err := Run(t.Context(), options(t, spray), nil, files)
	if err != nil || len(r.Findings) != 1 || len(r.Warnings) != 2 || !strings.Contains(r.Warnings[0], "cut off within its header") || !strings.Contains(r.Warnings[1], "absent") {
		t.Errorf("error %v, result %+v", err, r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, options(t, spray), nil, files); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func TestReportsAreSafe(t *testing.T) {
	rules := strings.ReplaceAll(spray, "A word in a message", "'=1+1'")
	r, err := Run(t.Context(), options(t, rules), nil, write(t, "2026-04-22T08:15:30+00:00 web1 app: xylophone <script>alert(1)</script> \x1b[31m\n"))
	if err != nil {
		t.Fatal(err)
	}
	var page, table, text strings.Builder
	if err := errors.Join(r.WriteHTML(&page), r.WriteCSV(&table), r.WriteText(&text, false)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "<script>") || !strings.Contains(page.String(), "&lt;script&gt;") || !strings.Contains(page.String(), "<rect") {
		t.Errorf("the page runs what a log says: %s", page.String())
	}
	if strings.Contains(table.String(), ",=1+1") || !strings.Contains(table.String(), ",'=1+1") {
		t.Errorf("a cell is a formula: %s", table.String())
	}
	if strings.Contains(text.String(), "\x1b") {
		t.Errorf("a log steers the terminal: %q", text.String())
	}
	if !strings.Contains(text.String(), "1 events in 1 files, 3 rules, 1 findings: 0 critical 0 high 0 medium 1 low 0 info") {
		t.Errorf("summary: %s", text.String())
	}
}

// TestEventLogs runs each public rule over the Windows event log that must trigger
// it.
func TestEventLogs(t *testing.T) {
	data := filepath.Join("..", "..", "..", "shared", "data")
	cases, err := os.Open(filepath.Join(data, "cases", "sigma_regression.jsonl"))
	if err != nil {
		t.Skipf("no shared test data beside the repository: %v", err)
	}
	defer cases.Close()
	texts := publicRules(t, filepath.Join(data, "sigma-rules.tar.gz"))
	n := 0
	lines := bufio.NewScanner(cases)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c struct {
			ID     string `json:"rule_id"`
			Path   string `json:"rule_path"`
			Expect struct {
				Count int64 `json:"match_count"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		n++
		r, err := Run(t.Context(), options(t, texts[c.Path]), nil, []string{filepath.Join(data, "sigma_evtx", c.ID+".evtx.gz")})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Warnings) > 0 || r.Matches < c.Expect.Count {
			t.Errorf("%s: %d matches, want %d; warnings %q", c.Path, r.Matches, c.Expect.Count, r.Warnings)
		}
	}
	if n != 25 {
		t.Errorf("%d cases, want 25", n)
	}
}

func publicRules(tb testing.TB, path string) map[string]string {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]string{}
	for t := tar.NewReader(z); ; {
		head, err := t.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			tb.Fatal(err)
		}
		text, err := io.ReadAll(t)
		if err != nil {
			tb.Fatal(err)
		}
		out[strings.TrimPrefix(head.Name, "./")] = string(text)
	}
}

// TestSilence checks a correlation that is only known when its window has ended.
func TestSilence(t *testing.T) {
	const quiet = `
title: A Host Fell Silent
id: 0b1f5a6e-0000-4000-8000-000000000003
correlation:
  type: event_count
  rules: [beat]
  group-by: [host]
  timespan: 10m
  condition: {lt: 2}
level: medium
---
title: beat
name: beat
logsource: {product: linux}
detection:
  words: ['heartbeat']
  condition: words
`
	text := ""
	for m := range 30 {
		text += fmt.Sprintf("2026-04-22T08:%02d:30+00:00 steady app: other\n", 30+m)
		text += fmt.Sprintf("2026-04-22T08:%02d:00+00:00 steady app: heartbeat\n", m)
		if m == 0 {
			text += "2026-04-22T08:00:10+00:00 quiet app: heartbeat\n"
		}
	}
	r, err := Run(t.Context(), options(t, quiet), nil, write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]bool{}
	for _, f := range r.Findings {
		for _, e := range f.Entities {
			hosts[e.Value] = true
		}
	}
	if !hosts["quiet"] {
		t.Errorf("findings %+v", r.Findings)
	}
}
