// Package ruletest proves rules with log lines: beside the rule file x.yml stands
// x.txtar with logs that must raise the rule and logs that must not. It parses,
// matches and correlates as the pipeline does, and never touches a store.
//
// A section positive/NAME.log must raise the first document of the rule file,
// negative/NAME.log must not. Each section is a log of its own, one record a line;
// its first line may be "# source: NAME", the source that the sender would name. A
// line "# silence: 3h" lets that time pass in which nothing arrives, for rules that
// ask for what is missing. Records arrive as far apart as their times are.
package ruletest

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// arrival is when the first line of each log arrives, which decides the year of
// times that have none; each further line comes a millisecond later.
var arrival = time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)

// A Log is one section of a test file.
type Log struct {
	Name     string // "positive/guessed.log"
	Positive bool   // it must raise the rule
	Source   string // "" = automatic
	Lines    []string
	Silences []Silence
}

// A Silence is time that passes behind a line without anything arriving.
type Silence struct {
	Behind int // line, from 0
	Length time.Duration
}

// A Result is what a log did.
type Result struct {
	Log
	Findings []alert.Finding // of the rule, batches of one line
	Matches  uint64          // events that matched the rule or what it counts
	Failure  string          // why it is wrong; "" where it is as it should be
	Why      []string        // of a failure: what came closest, or what fired
}

// A Test is a rule file with its logs.
type Test struct {
	Path  string
	Rule  *sigma.Document // the first of the file
	Rules []detect.Rule   // all of the file, and what its correlations count
	Logs  []Log
}

// Load reads the rule file at name and the txtar file beside it.
func Load(fsys fs.FS, name string) (*Test, error) {
	docs, err := readRules(fsys, name)
	if err != nil {
		return nil, err
	}
	return load(fsys, name, docs)
}

func readRules(fsys fs.FS, name string) ([]*sigma.Document, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read rule: %w", err)
	}
	docs, err := sigma.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("%s: holds no rule", name)
	}
	return docs, nil
}

// logsPath is where the logs of a rule file lie.
func logsPath(name string) string { return strings.TrimSuffix(name, path.Ext(name)) + ".txtar" }

func load(fsys fs.FS, name string, docs []*sigma.Document) (*Test, error) {
	t := &Test{Path: name, Rule: docs[0]}
	for _, d := range docs {
		t.Rules = append(t.Rules, detect.Rule{Document: d, Version: 1})
	}
	logs := logsPath(name)
	text, err := fs.ReadFile(fsys, logs)
	if err != nil {
		return nil, fmt.Errorf("read logs of rule: %w", err)
	}
	positive, negative := 0, 0
	for _, f := range txtar.Parse(text).Files {
		l, err := readLog(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", logs, err)
		}
		if l.Positive {
			positive++
		} else {
			negative++
		}
		t.Logs = append(t.Logs, l)
	}
	if positive == 0 || negative == 0 {
		return nil, fmt.Errorf("%s: at least one positive and one negative log are needed, it has %d and %d", logs, positive, negative)
	}
	return t, nil
}

func readLog(f txtar.File) (Log, error) {
	l := Log{Name: f.Name}
	dir, _ := path.Split(f.Name)
	switch dir {
	case "positive/":
		l.Positive = true
	case "negative/":
	default:
		return l, fmt.Errorf("section %q is neither positive/NAME.log nor negative/NAME.log", f.Name)
	}
	for line := range bytes.Lines(f.Data) {
		s := strings.TrimRight(string(line), "\r\n")
		source, ok := strings.CutPrefix(s, "# source:")
		silence, quiet := strings.CutPrefix(s, "# silence:")
		switch {
		case ok && len(l.Lines) == 0:
			l.Source = strings.TrimSpace(source)
		case quiet && len(l.Lines) > 0:
			length, err := time.ParseDuration(strings.TrimSpace(silence))
			if err != nil || length <= 0 {
				return l, fmt.Errorf("section %q: %q must be a time such as 90m or 3h", f.Name, s)
			}
			l.Silences = append(l.Silences, Silence{len(l.Lines) - 1, length})
		case s != "":
			l.Lines = append(l.Lines, s)
		}
	}
	if len(l.Lines) == 0 {
		return l, fmt.Errorf("section %q holds no lines", f.Name)
	}
	return l, nil
}

// Run runs each log through a parser and a detector of its own.
func (t *Test) Run() ([]Result, error) {
	rs, problems := detect.Compile(t.Rules)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: %s: %s", t.Path, problems[0].Rule, problems[0].Message)
	}
	var out []Result
	for _, l := range t.Logs {
		out = append(out, t.run(rs, l))
	}
	return out, nil
}

func (t *Test) run(rs *detect.Ruleset, l Log) Result {
	r := Result{Log: l}
	events, hits, findings := replay(rs, l)
	for _, h := range hits {
		r.Matches += uint64(len(h))
	}
	for i := range findings {
		if f := &findings[i]; f.Rule.ID == t.Rule.ID && f.Title == t.Rule.Title {
			r.Findings = append(r.Findings, *f)
		}
	}
	switch {
	case l.Positive && len(r.Findings) == 0:
		r.Failure = fmt.Sprintf("it must raise %q, but %d of its lines match and nothing is raised", t.Rule.Title, r.Matches)
		r.Why = t.closest(rs, events, hits)
	case !l.Positive && len(r.Findings) > 0:
		r.Failure = fmt.Sprintf("it must not raise %q, but does for %q", t.Rule.Title, r.Findings[0].Key)
		r.Why = t.fired(hits)
	}
	return r
}

// replay runs a log as the pipeline would, and returns its events, what each
// matched, and what was found.
func replay(rs *detect.Ruleset, l Log) ([]event.Event, [][]detect.Hit, []alert.Finding) {
	parser := parse.New(parse.Options{})
	matcher := rs.NewMatcher()
	detector := detect.New(func(uint32) *detect.Ruleset { return rs })
	var findings []alert.Finding
	emit := func(f *alert.Finding) { findings = append(findings, *f) }
	events := make([]event.Event, len(l.Lines))
	hits := make([][]detect.Hit, len(l.Lines))
	silences := l.Silences
	clock := arrival.UnixNano()
	for i, line := range l.Lines {
		record := parse.Record{Raw: line, Arrived: arrival.Add(time.Duration(i) * time.Millisecond).UnixNano(), Source: l.Source, Input: "test"}
		e := &events[i]
		parser.Parse(&record, e)
		e.ID = event.ID{Seq: 1, Index: uint32(i)}
		clock = max(clock+int64(time.Millisecond), arrival.UnixNano()+e.Time-events[0].Time)
		e.Arrived = clock
		hits[i] = matcher.Match(e, nil)
		detector.Apply(e, hits[i], emit)
		for ; len(silences) > 0 && silences[0].Behind == i; silences = silences[1:] {
			clock += int64(silences[0].Length)
			detector.Advance(clock)
		}
		detector.EndBatch(emit)
	}
	return events, hits, findings
}
