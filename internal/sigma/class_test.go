package sigma

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kyra-mdr/kyra/internal/event"
)

// drawSources draws sources that see the same fields under different names.
func drawSources(t *rapid.T) ([]Source, []func(string) []string, string) {
	spellings := []func(string) []string{
		func(f string) []string { return []string{f} },
		func(f string) []string {
			if f == "f" {
				return []string{"f2", "f"}
			}
			return []string{f}
		},
		func(f string) []string { return []string{f, "other", "g"} },
		func(f string) []string {
			if f == "h" {
				return []string{"g", "h"}
			}
			return []string{"f2", f}
		},
	}
	var sources []Source
	var text strings.Builder
	for i := range rapid.IntRange(1, 4).Draw(t, "sources") {
		s := Source{Fields: spellings[i]}
		for range rapid.IntRange(1, 3).Draw(t, "rules") {
			rule := drawRule(t)
			docs, err := Parse([]byte(rule))
			if err != nil {
				t.Fatalf("%v\n%s", err, rule)
			}
			s.Rules = append(s.Rules, docs...)
			fmt.Fprintf(&text, "source %d:\n%s", i, rule)
		}
		sources = append(sources, s)
	}
	return sources, spellings, text.String()
}

// TestClassesAgree: the rules of several sources in one class against the plain
// evaluator, over and over with the same scratch, whatever it remembers.
func TestClassesAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sources, spellings, text := drawSources(t)
		var all []int32
		for i := range sources {
			all = append(all, int32(i))
		}
		var events []event.Event
		for range rapid.IntRange(1, 5).Draw(t, "events") {
			e := drawEvent(t)
			for k := range e.Fields { // some are deep
				switch f := &e.Fields[k]; rapid.IntRange(0, 8).Draw(t, "deep") {
				case 0:
					f.Value = strings.Repeat("x", deepFrom) + f.Value
				case 1:
					f.Value += strings.Repeat("-", deepFrom)
				}
			}
			events = append(events, e)
		}
		o := ProgramOptions{Hidden: []string{"hidden"}}
		if rapid.Bool().Draw(t, "sample") {
			for i := range events {
				o.Sample = append(o.Sample, Sample{&events[i], all})
			}
		}
		p, err := NewProgram(sources, o)
		if err != nil {
			t.Fatal(err)
		}
		classes := [][]int32{all}
		if len(all) > 1 {
			classes = append(classes, all[:1], all[1:])
		}
		var made []*Class
		for _, c := range classes {
			made = append(made, p.Class(c))
		}
		s, in := p.NewScratch(), NewInput(p.names)
		for range 4 {
			for i := range events {
				in.Set(&events[i])
				for k, c := range classes {
					var want []int32
					rule := int32(0)
					for j, source := range sources {
						for _, d := range source.Rules {
							if slices.Contains(c, int32(j)) && Eval(d, ViewOf(&events[i], Options{Fields: spellings[j], Hidden: o.Hidden})) {
								want = append(want, rule)
							}
							rule++
						}
					}
					if got := s.MatchInput(made[k], in, nil); !slices.Equal(got, want) {
						t.Fatalf("class %v, event %q: found %v, want %v\n%s", c, events[i].Fields, got, want, text)
					}
				}
			}
			if rapid.Bool().Draw(t, "forget") {
				s.Forget()
			}
		}
	})
}

// TestGramsAgree: what a gram index finds, and that it calls absent only what is.
func TestGramsAgree(t *testing.T) {
	t.Parallel()
	words := []string{"mimikatz", "sekurlsa::", "kiwi", "kerberos::ptt", "abcdefg", "bcdefgh", "abc", "ab", "x", "é", "\u2122kk", "iiiiiii", "istanbul", "kelvin kelvin", "aaaaaaaa"}
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, 4).Draw(t, "shortest")
		var literals []string
		var ids []int32
		for _, w := range rapid.SliceOfDistinct(rapid.SampledFrom(words), rapid.ID[string]).Draw(t, "literals") {
			if len(w) > from*2 {
				literals, ids = append(literals, w), append(ids, int32(len(ids)))
			}
		}
		if rapid.Bool().Draw(t, "many short ones") {
			for c := 'c'; c < 'p'; c++ {
				literals, ids = append(literals, string(c)+string(c)), append(ids, int32(len(ids)))
			}
		}
		g := newGramIndex(literals, ids, &gramModel{})
		if g == nil {
			return
		}
		g.prepareAbsent()
		v := strings.Join(rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom(words), rapid.SampledFrom([]string{" ", "-", "A", "\u212a", "\u0130", "®", "\xe2", "\x84", "SEKURLSA::", "ISTANBUL", "\u0130stanbul", "\u212aelvin Kelvin", "\u212a\u0130wi", "xxxxxxxxxxxxx"})), 0, 8).Draw(t, "pieces"), "")
		folded := fold(v)
		var want []int32
		for i, l := range literals {
			if strings.Contains(folded, l) {
				want = append(want, ids[i])
			}
		}
		var found scanned
		g.scan([]byte(folded), &found)
		if got := distinct(found.ids); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: found %v, want %v", literals, folded, got, want)
		}
		if g.absent(v) && len(want) > 0 {
			t.Fatalf("%q in %q: called absent, there are %v", literals, v, want)
		}
	})
}

// TestParts: what is part of another value is found there, and only skipped where
// keywords were looked for in that.
func TestParts(t *testing.T) {
	t.Parallel()
	docs, err := Parse([]byte("title: t\nlogsource: {product: x}\ndetection: {s: ['needle in it'], condition: s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(docs, Options{Hidden: []string{"hidden"}})
	if err != nil {
		t.Fatal(err)
	}
	text := "a longer text that somewhere has a needle in it and goes on"
	s := m.NewScratch()
	for _, names := range [][]string{{"hidden", "part"}, {"whole", "part"}, {"part", "whole"}, {"hidden"}} {
		var e event.Event
		for _, n := range names {
			v := text
			if n == "part" {
				v = text[20:50]
			}
			e.Add(n, v)
		}
		for range 3 {
			if got := len(s.Match(&e, nil)) == 1; got != (len(names) > 1) {
				t.Errorf("%v: %t", names, got)
			}
		}
	}
}
