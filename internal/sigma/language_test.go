package sigma

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"
	"golang.org/x/tools/txtar"

	"github.com/kyra-mdr/kyra/internal/event"
)

// TestLanguage runs testdata: rules, events, and for each event the titles of the
// rules that match, of the matcher and of the plain evaluator.
func TestLanguage(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			runLanguage(t, txtar.Parse(text))
		})
	}
}

func runLanguage(t *testing.T, a *txtar.Archive) {
	sections := map[string][]byte{}
	for _, f := range a.Files {
		sections[f.Name] = f.Data
	}
	docs, err := Parse(sections["rule.yml"])
	if err != nil {
		t.Fatal(err)
	}
	var o Options
	if lists, ok := sections["lists.json"]; ok {
		if err := json.Unmarshal(lists, &o.Lists); err != nil {
			t.Fatal(err)
		}
	}
	var want [][]string
	if err := json.Unmarshal(sections["want.json"], &want); err != nil {
		t.Fatal(err)
	}
	m, err := Compile(docs, o)
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewScratch()
	lines := strings.Split(strings.TrimSpace(string(sections["events.ndjson"])), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d events, %d answers", len(lines), len(want))
	}
	for i, line := range lines {
		var e event.Event
		flattenJSON(&e, "", fastjson.MustParse(line))
		compiled, plain := []string{}, []string{}
		for _, r := range s.Match(&e, nil) {
			compiled = append(compiled, docs[r].Title)
		}
		for _, d := range docs {
			filled, err := d.Fill(o.Lists)
			if err != nil {
				t.Fatal(err)
			}
			if Eval(filled, ViewOf(&e, o)) {
				plain = append(plain, d.Title)
			}
		}
		if d := cmp.Diff(want[i], compiled); d != "" {
			t.Errorf("%s: the matcher (want -, got +):\n%s", line, d)
		}
		if d := cmp.Diff(want[i], plain); d != "" {
			t.Errorf("%s: the plain evaluator (want -, got +):\n%s", line, d)
		}
	}
}
