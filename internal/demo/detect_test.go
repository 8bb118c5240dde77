package demo_test

import (
	"io/fs"
	"iter"
	"slices"
	"testing"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/demo"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/rules"
)

// builtin compiles the built-in rules.
func builtin(t *testing.T) *detect.Ruleset {
	t.Helper()
	paths, err := fs.Glob(rules.FS, "*/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	var all []detect.Rule
	for _, path := range paths {
		text, err := rules.FS.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := sigma.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, d := range docs {
			all = append(all, detect.Rule{Document: d, Version: 1})
		}
	}
	set, problems := detect.Compile(all)
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	return set
}

// findings replays lines through parsing and detection.
func findings(t *testing.T, lines iter.Seq[demo.Line]) []alert.Finding {
	t.Helper()
	const batch = 500
	set := builtin(t)
	parser, matcher := parse.New(parse.Options{}), set.NewMatcher()
	detector := detect.New(func(uint32) *detect.Ruleset { return set })
	var out []alert.Finding
	emit := func(f *alert.Finding) { out = append(out, *f) }
	var e event.Event
	var hits []detect.Hit
	n := 0
	for l := range lines {
		parser.Parse(&parse.Record{Raw: l.Text, Source: l.Source, Arrived: moment().UnixNano()}, &e)
		e.ID = event.ID{Seq: uint64(n / batch), Index: uint32(n % batch)}
		hits = matcher.Match(&e, hits[:0])
		detector.Apply(&e, hits, emit)
		if n++; n%batch == 0 {
			detector.EndBatch(emit)
		}
	}
	detector.EndBatch(emit)
	return out
}

func TestEveryStageIsSeen(t *testing.T) {
	t.Parallel()
	tactics, byRule := map[string]bool{}, map[string]int64{}
	for _, f := range findings(t, demo.Recording(moment())) {
		tactics[f.Tactic] = true
		byRule[f.Title] += f.Count
	}
	if len(tactics) < 6 {
		t.Errorf("findings over %d tactics: %v", len(tactics), tactics)
	}
	for _, s := range demo.Stages() {
		for _, title := range s.Rules {
			if byRule[title] == 0 {
				t.Errorf("stage %q: no finding of %q", s.Name, title)
			}
		}
	}
	t.Logf("%d rules over %d tactics: %v", len(byRule), len(tactics), byRule)
}

// Nobody looks at a product that cries wolf: a day on which nothing happens
// raises nothing that is more than low.
func TestOrdinaryDayIsQuiet(t *testing.T) {
	t.Parallel()
	low := []string{"low", "info"}
	all := findings(t, demo.Ordinary(moment()))
	for _, f := range all {
		if !slices.Contains(low, f.Severity) {
			t.Errorf("%s (%s) for %s: %v", f.Title, f.Severity, f.Key, f.Values)
		}
	}
	if len(all) > 20 {
		t.Errorf("%d findings on an ordinary day", len(all))
	}
}
