package ruletest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// TestDocuments: the rules that the manual shows load.
func TestDocuments(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "writing-rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) < 3 {
		t.Errorf("only %d rules in the manual", len(blocks))
	}
	var rules []detect.Rule
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		docs, err := sigma.Parse([]byte(b))
		if err != nil {
			t.Errorf("%v in\n%s", err, b)
			continue
		}
		for _, d := range docs {
			rules = append(rules, detect.Rule{Document: d, Version: 1})
		}
	}
	if _, problems := detect.Compile(rules); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}
