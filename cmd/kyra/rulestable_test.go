package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/client"
)

func TestImportTable(t *testing.T) {
	t.Parallel()
	r := &client.ImportReport{Pack: "p\x1b[31m", DryRun: true, Counts: client.ImportCounts{Files: 9, Loaded: 7, Created: 7, Blind: 20, Refused: 2}}
	for i := range 20 {
		for range 1 + i%2 {
			r.Blind = append(r.Blind, client.BlindRule{Reason: "reason " + string(rune('a'+i))})
		}
	}
	r.Refused = []client.RefusedRule{{File: "a.yml", Line: 3, Column: 4, Reason: "no"}, {File: "b.yml", Reason: "too big\nred"}}
	var b bytes.Buffer
	if err := printImport(&b, r, false); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"pack       p\uFFFD[31m (dry run", "           2: reason b\n", "           and 5 other reasons: see --json\n", "           a.yml:3:4: no\n", "           b.yml: too big"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}
