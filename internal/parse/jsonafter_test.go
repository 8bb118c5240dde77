package parse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// told is all that Parse says of a record.
func told(p *Parser, raw string) string {
	var e event.Event
	how := p.ParseExplain(&Record{Raw: raw, Arrived: arrival, Peer: "192.0.2.1"}, &e)
	return fmt.Sprintf("%v %d %q", how, e.Time, e.Fields)
}

// TestMemoryChangesNothing: a parser that has seen other records, whose keys and
// minutes it remembers, reads a record as a new parser does.
func TestMemoryChangesNothing(t *testing.T) {
	var lines []string
	for _, c := range contents() {
		for _, s := range c.Samples {
			if strings.HasPrefix(s.Line, "{") {
				lines = append(lines, s.Line, strings.ReplaceAll(s.Line, `":`, `" :`), strings.ReplaceAll(s.Line, `,"`, `, "`))
			}
		}
	}
	lines = append(lines, shortJSON...)
	p := New(Options{})
	for step := 1; step < 30; step += 4 {
		for i := range lines {
			raw := lines[i*step%len(lines)]
			if got, want := told(p, raw), told(New(Options{}), raw); got != want {
				t.Fatalf("%s\n after others %s\n alone        %s", raw, got, want)
			}
		}
	}
}

// TestNamesWithoutEnd: a sender whose every key is new fills no memory, and what
// comes after it is read as before.
func TestNamesWithoutEnd(t *testing.T) {
	p := New(Options{})
	want := told(p, shortJSON[3])
	for i := range 3 * maxNames {
		told(p, fmt.Sprintf(`{"k%d":{"x":1,"y":{"z":2}}}`, i))
	}
	if p.json.tree.n > maxNames {
		t.Errorf("%d names are remembered, want %d at most", p.json.tree.n, maxNames)
	}
	if got := told(p, shortJSON[3]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// checkJSONAfter reads a record alone and after another.
func checkJSONAfter(t *testing.T, before, raw string) {
	t.Helper()
	p := New(Options{RepeatSources: 2})
	alone := told(p, raw)
	told(p, before)
	if after := told(p, raw); after != alone && !strings.HasPrefix(strings.TrimLeft(raw, " \uFEFF"), "<") && strings.HasPrefix(raw, "{") {
		t.Fatalf("%q after %q\n after %s\n alone %s", raw, before, after, alone)
	}
}
