package detect

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// shared returns a path below the folder of shared test data, which lies beside
// the repository; the test is skipped where there is none.
func shared(tb testing.TB, name string) string {
	tb.Helper()
	path, err := sharedPath(name)
	if err != nil {
		tb.Skipf("no shared test data: %v", err)
	}
	return path
}

func sharedPath(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", filepath.FromSlash(name))
	_, err = os.Stat(path)
	return path, err
}

// loadTexts reads the SigmaHQ rules once for all tests.
var loadTexts = sync.OnceValues(func() ([][]byte, error) {
	path, err := sharedPath("sigma-rules.tar.gz")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(h.Name, ".yml") {
			continue
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
})

// loadCorpus parses them once.
var loadCorpus = sync.OnceValues(func() ([]Rule, error) {
	texts, err := loadTexts()
	if err != nil {
		return nil, err
	}
	var out []Rule
	for _, text := range texts {
		docs, err := sigma.Parse(text)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			out = append(out, Rule{Document: d, Version: 1})
		}
	}
	return out, nil
})

func corpus(tb testing.TB, o Options) *Ruleset {
	tb.Helper()
	shared(tb, "sigma-rules.tar.gz")
	rules, err := loadCorpus()
	if err != nil {
		tb.Fatal(err)
	}
	rs, problems := o.Compile(rules)
	for _, p := range problems {
		if p.Kind != NeedsList {
			tb.Errorf("%s: %s", p.Rule, p.Message)
		}
	}
	return rs
}

// parseJSON gives the event that the pipeline would make of a JSON record.
func parseJSON(p *parse.Parser, line string) event.Event {
	var e event.Event
	p.Parse(&parse.Record{Raw: line, Arrived: 1_772_600_000_000_000_000, Input: "test"}, &e)
	return e
}

// TestRegression: each of SigmaHQ's own test events must fire its rule, as nested
// and as flat JSON.
func TestRegression(t *testing.T) {
	f, err := os.Open(shared(t, "cases/sigma_regression.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rs := corpus(t, Options{})
	m := rs.NewMatcher()
	p := parse.New(parse.Options{})
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 8<<20)
	cases := 0
	for lines.Scan() {
		var c struct {
			ID     string            `json:"id"`
			Events []json.RawMessage `json:"events"`
			Flat   []json.RawMessage `json:"flat"`
			Expect struct {
				RuleFires  string `json:"rule_fires"`
				MatchCount int    `json:"match_count"`
			} `json:"expect"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases++
		for form, records := range map[string][]json.RawMessage{"nested": c.Events, "flat": c.Flat} {
			fired := 0
			for _, r := range records {
				e := parseJSON(p, string(r))
				if slices.ContainsFunc(m.Match(&e, nil), func(h Hit) bool { return h.RuleID() == c.Expect.RuleFires }) {
					fired++
				}
			}
			if fired < c.Expect.MatchCount {
				t.Errorf("%s, %s: it fires for %d events, want %d", c.ID, form, fired, c.Expect.MatchCount)
			}
		}
	}
	if err := lines.Err(); err != nil || cases != 25 {
		t.Errorf("%d cases, error %v", cases, err)
	}
}

// recording returns the events of a recording, every step-th of them.
func recording(tb testing.TB, name string, step int) []event.Event {
	tb.Helper()
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	p := parse.New(parse.Options{})
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 8<<20)
	var out []event.Event
	for n := 0; lines.Scan(); n++ {
		if n%step == 0 {
			out = append(out, parseJSON(p, lines.Text()))
		}
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}

// TestRecordings: on recorded attacks every rule that two other engines fire
// fires here as well, at least as often.
func TestRecordings(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("reads all recordings: only in the full run without race detector")
	}
	manifest, err := os.ReadFile(shared(t, "otrf/manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	rs := corpus(t, Options{})
	m := rs.NewMatcher()
	known := map[string]bool{}
	for i := range rs.rules {
		known[rs.rules[i].document.ID] = true
	}
	wanted := 0
	for line := range strings.Lines(string(manifest)) {
		var c struct {
			File      string `json:"file"`
			Reference []struct {
				ID    string         `json:"id"`
				Title string         `json:"title"`
				Hits  map[string]int `json:"hits"`
				Both  bool           `json:"both"`
			} `json:"reference_sigma"`
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Reference) == 0 || !strings.HasSuffix(c.File, ".ndjson.gz") {
			continue
		}
		fired := map[string]int{}
		for _, e := range recording(t, shared(t, "otrf/"+c.File), 1) {
			for _, h := range m.Match(&e, nil) {
				fired[h.RuleID()]++
			}
		}
		for _, r := range c.Reference {
			if !r.Both || !known[r.ID] {
				continue
			}
			wanted++
			least := -1
			for _, n := range r.Hits {
				if least < 0 || n < least {
					least = n
				}
			}
			if fired[r.ID] < least {
				t.Errorf("%s: %q (%s) fires %d times, others %v", c.File, r.Title, r.ID, fired[r.ID], r.Hits)
			}
		}
	}
	t.Logf("%d rules of recordings compared", wanted)
}

var candidates sync.Map // by group and field

// remembered returns the names of a group's fields: to work them out each time would
// make the plain evaluator look slower than it is.
func remembered(g *group) func(string) []string {
	return func(field string) []string {
		type key struct {
			source sigma.LogSource
			field  string
		}
		k := key{g.source.name, field}
		if names, ok := candidates.Load(k); ok {
			return names.([]string)
		}
		names := g.source.candidates(field)
		candidates.Store(k, names)
		return names
	}
}

// plain answers as Match does, in the plainest way: every rule of every log source
// of the event.
func plain(rs *Ruleset, e *event.Event) []int32 {
	var out []int32
	slots := make([]*string, rs.router.slots)
	rs.router.fill(e, slots)
	for g := range rs.groups {
		if !rs.router.match(g, slots) {
			continue
		}
		x := &rs.groups[g]
		view := sigma.ViewOf(e, sigma.Options{Fields: remembered(x), Hidden: hiddenFields()})
		for _, r := range x.rules {
			if sigma.Eval(rs.rules[r].document, view) {
				out = append(out, r)
			}
		}
	}
	slices.Sort(out)
	return out
}

func recordings(tb testing.TB, step int) []event.Event {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(shared(tb, "otrf"), "*.ndjson.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	var out []event.Event
	for _, f := range files {
		out = append(out, recording(tb, f, step)...)
	}
	return out
}

// TestMatchAgrees holds router and matchers against the plain evaluator on real
// events.
func TestMatchAgrees(t *testing.T) {
	step := 300
	if testing.Short() || raceEnabled {
		step = 2000
	}
	events := recordings(t, step)
	for name, o := range map[string]Options{"guessed": {}, "measured": {Sample: events}} {
		rs := corpus(t, o)
		m := rs.NewMatcher()
		matches := 0
		for i := range events {
			var got []int32
			for _, h := range m.Match(&events[i], nil) {
				got = append(got, h.rule)
			}
			slices.Sort(got)
			if want := plain(rs, &events[i]); !slices.Equal(got, want) {
				t.Fatalf("%s, event %d: the matcher finds %v, the evaluator %v\n%v", name, i, got, want, events[i].Fields)
			}
			matches += len(got)
		}
		t.Logf("%s: %d events, %d matches", name, len(events), matches)
	}
}
