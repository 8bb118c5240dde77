package sigma

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/refused.txt anew")

// TestCorpusRefused compares which rules of SigmaHQ do not load, or not without a
// list of the operator's, and why, with a list that people have looked at.
func TestCorpusRefused(t *testing.T) {
	t.Parallel()
	var got []string
	for _, r := range corpus(t) {
		name := r.path[strings.LastIndexByte(r.path, '/')+1:]
		if r.err != nil {
			got = append(got, fmt.Sprintf("%s: refused: %v", name, r.err))
			continue
		}
		for _, d := range r.docs {
			if _, err := d.Fill(nil); err != nil {
				got = append(got, fmt.Sprintf("%s: blind: %v", name, err))
			}
		}
	}
	slices.Sort(got)
	text := strings.Join(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/refused.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), text); d != "" {
		t.Errorf("rules that do not load (want -, got +):\n%s", d)
	}
}
