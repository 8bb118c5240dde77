package sigma

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/kyra-mdr/kyra/internal/event"
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

type corpusRule struct {
	path string
	docs []*Document
	err  error
}

// loadCorpus parses the SigmaHQ rules once for all tests.
var loadCorpus = sync.OnceValues(func() ([]corpusRule, error) {
	f, err := os.Open(corpusPath)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var out []corpusRule
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
		docs, err := Parse(data)
		out = append(out, corpusRule{h.Name, docs, err})
	}
})

var corpusPath string

func corpus(tb testing.TB) []corpusRule {
	tb.Helper()
	corpusPath = shared(tb, "sigma-rules.tar.gz")
	rules, err := loadCorpus()
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}

// corpusDocuments returns the rules that need no lists.
func corpusDocuments(tb testing.TB) []*Document {
	tb.Helper()
	var docs []*Document
	for _, r := range corpus(tb) {
		for _, d := range r.docs {
			if len(d.Placeholders) == 0 && d.Correlation == nil {
				docs = append(docs, d)
			}
		}
	}
	return docs
}

// flatten adds the members of a JSON object to e under dotted names.
func flattenJSON(e *event.Event, prefix string, v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeObject:
		v.GetObject().Visit(func(key []byte, v *fastjson.Value) {
			name := string(key)
			if prefix != "" {
				name = prefix + "." + name
			}
			flattenJSON(e, name, v)
		})
	case fastjson.TypeArray:
		for _, x := range v.GetArray() {
			flattenJSON(e, prefix, x)
		}
	case fastjson.TypeNull:
	case fastjson.TypeString:
		e.Add(prefix, string(v.GetStringBytes()))
	default:
		e.Add(prefix, v.String())
	}
}

// otrfEvents returns every step-th event of the recordings.
func otrfEvents(tb testing.TB, step int) []event.Event {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(shared(tb, "otrf"), "*.ndjson.gz"))
	if err != nil || len(files) == 0 {
		tb.Skip("no recordings")
	}
	var out []event.Event
	n := 0
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			tb.Fatal(err)
		}
		lines := bufio.NewScanner(z)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			if n++; n%step != 0 {
				continue
			}
			v, err := fastjson.ParseBytes(bytes.Clone(lines.Bytes()))
			if err != nil {
				continue // some recordings hold text
			}
			var e event.Event
			flattenJSON(&e, "", v)
			out = append(out, e)
		}
		if err := lines.Err(); err != nil {
			tb.Fatal(err)
		}
		f.Close()
	}
	return out
}

func TestCorpusParses(t *testing.T) {
	rules := corpus(t)
	ok, needsList := 0, 0
	for _, r := range rules {
		if r.err != nil {
			t.Logf("%s: %v", r.path, r.err)
			continue
		}
		ok++
		if len(r.docs[0].Placeholders) > 0 {
			needsList++
		}
	}
	t.Logf("%d of %d rules parse, %d of them need lists", ok, len(rules), needsList)
	if len(rules) < 3750 || ok < 3750 {
		t.Errorf("%d of %d rules parse; want at least 3750", ok, len(rules))
	}
}

// TestCorpusAgrees holds the matcher against the plain evaluator: all rules on
// real events.
func TestCorpusAgrees(t *testing.T) {
	step := 600
	if testing.Short() || raceEnabled {
		step = 4000
	}
	docs := corpusDocuments(t)
	events := otrfEvents(t, step)
	hidden := Options{Hidden: []string{"tags"}}
	measured := hidden
	measured.Sample = events[:len(events)/2]
	for name, o := range map[string]Options{"guessed": hidden, "measured": measured} {
		m, err := Compile(docs, o)
		if err != nil {
			t.Fatal(err)
		}
		s := m.NewScratch()
		matches := 0
		for i := range events {
			got := s.Match(&events[i], nil)
			var want []int32
			view := ViewOf(&events[i], o)
			for j, d := range docs {
				if Eval(d, view) {
					want = append(want, int32(j))
				}
			}
			matches += len(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%s, event %d: the matcher finds %v, the evaluator %v\n%v", name, i, got, want, events[i].Fields)
			}
		}
		t.Logf("%s: %d rules, %d events, %d matches, %d rules are always evaluated", name, len(docs), len(events), matches, len(m.class.always))
	}
}
