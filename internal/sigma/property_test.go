package sigma

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/kyra-mdr/kyra/internal/event"
)

// Words, fields and values are few, so that random rules and random events meet.
func drawText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "B", "ab", "Abc", "cab", "é", "É", "ſ", "s", "K", "\u212a", "ß", "10.0.0.1", "10.1.2.3", "::ffff:10.0.0.1", "fe80::1", "5", "-3", "1e1", "abcabcabc", "\xff", "a\xffb", "cmd.exe /c whoami"}),
		rapid.StringOfN(rapid.SampledFrom([]rune("abAB c\\é-/5.")), 0, 8, -1),
	).Draw(t, "text")
}

func drawValue(t *rapid.T) string {
	v := strings.ToValidUTF8(drawText(t), "?")
	switch rapid.IntRange(0, 3).Draw(t, "wild") {
	case 0:
		return v
	case 1:
		return "*" + v
	case 2:
		return v + "?*"
	}
	if len(v) > 1 {
		_, n := utf8.DecodeRuneInString(v)
		return v[:n] + "*" + v[n:]
	}
	return v + `\*`
}

var propertyFields = []string{"f", "g", "h"}

func drawItem(t *rapid.T) string {
	field := rapid.SampledFrom(append([]string{""}, propertyFields...)).Draw(t, "field")
	mods := rapid.SampledFrom([]string{
		"", "", "|contains", "|startswith", "|endswith", "|contains|all", "|cased", "|contains|cased", "|neq", "|re", "|re|i", "|cidr", "|exists",
		"|gt", "|lte", "|fieldref", "|fieldref|contains", "|windash", "|base64offset|contains", "|wide|contains", "null",
	}).Draw(t, "mods")
	if field == "" && !slices.Contains([]string{"", "|contains", "|contains|all", "|cased", "|re", "|re|i", "|windash"}, mods) {
		field = "f"
	}
	var values []string
	for range rapid.IntRange(1, 3).Draw(t, "values") {
		switch {
		case mods == "null":
			values = append(values, "null")
			continue
		case strings.HasPrefix(mods, "|re"):
			values = append(values, rapid.SampledFrom([]string{`^a.*c$`, `[bé]+`, `\bab\b`, `(?i)sk`, `a{2,}|x`, `.{20,}`, `K`, `\d+\.\d`, `^$`, `[^a]b`, `(ab|ca)+b?`}).Draw(t, "re"))
		case mods == "|cidr":
			values = append(values, rapid.SampledFrom([]string{"10.0.0.0/8", "10.0.0.0/16", "10.0.0.1", "fe80::/10"}).Draw(t, "net"))
		case mods == "|exists":
			values = append(values, rapid.SampledFrom([]string{"true", "false"}).Draw(t, "exists"))
		case mods == "|gt" || mods == "|lte":
			values = append(values, rapid.SampledFrom([]string{"5", "-3", "0.5"}).Draw(t, "number"))
		case strings.HasPrefix(mods, "|fieldref"):
			values = append(values, rapid.SampledFrom(propertyFields).Draw(t, "ref"))
		case strings.Contains(mods, "base64") || strings.Contains(mods, "wide"):
			values = append(values, rapid.SampledFrom([]string{"a", "whoami", "é"}).Draw(t, "plain"))
		default:
			values = append(values, drawValue(t))
		}
	}
	if mods == "null" {
		return fmt.Sprintf("{%q: null}", field)
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = "'" + strings.ReplaceAll(v, "'", "''") + "'"
	}
	return fmt.Sprintf("{%q: [%s]}", field+mods, strings.Join(quoted, ", "))
}

func drawRule(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("title: t\nlogsource: {product: x}\ndetection:\n")
	for _, name := range []string{"s1", "s2", "x"} {
		fmt.Fprintf(&b, "  %s: %s\n", name, drawItem(t))
	}
	b.WriteString("  condition: " + drawCondition(t, 3) + "\n")
	return b.String()
}

func drawCondition(t *rapid.T, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom([]string{"s1", "s2", "x", "1 of s*", "all of them", "2 of them"}).Draw(t, "leaf")
	}
	a := drawCondition(t, depth-1)
	switch rapid.IntRange(0, 4).Draw(t, "node") {
	case 0:
		return a
	case 1:
		return "not (" + a + ")"
	case 2:
		return "(" + a + " or " + drawCondition(t, depth-1) + ")"
	}
	return "(" + a + " and " + drawCondition(t, depth-1) + ")"
}

func drawEvent(t *rapid.T) event.Event {
	var e event.Event
	for range rapid.IntRange(0, 5).Draw(t, "fields") {
		e.Add(rapid.SampledFrom([]string{"f", "g", "h", "f2", "other", "hidden"}).Draw(t, "name"), drawText(t))
	}
	return e
}

// TestMatcherAgrees: random rules on random events, the matcher against the plain
// evaluator, with other names for fields, hidden fields and a sample.
func TestMatcherAgrees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			Hidden: []string{"hidden"},
			Fields: func(f string) []string {
				if f == "f" {
					return []string{"f2", "f"}
				}
				return []string{f}
			},
		}
		var docs []*Document
		var texts []string
		for range rapid.IntRange(1, 4).Draw(t, "rules") {
			text := drawRule(t)
			parsed, err := Parse([]byte(text))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			docs = append(docs, parsed...)
			texts = append(texts, text)
		}
		var events []event.Event
		for range rapid.IntRange(1, 6).Draw(t, "events") {
			events = append(events, drawEvent(t))
		}
		if rapid.Bool().Draw(t, "sample") {
			o.Sample = events[:1]
		}
		m, err := Compile(docs, o)
		if err != nil {
			t.Fatal(err)
		}
		s := m.NewScratch()
		for i := range events {
			got := s.Match(&events[i], nil)
			var want []int32
			for j, d := range docs {
				if Eval(d, ViewOf(&events[i], o)) {
					want = append(want, int32(j))
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("event %q: the matcher finds %v, the evaluator %v\n%s", events[i].Fields, got, want, strings.Join(texts, "\n"))
			}
		}
	})
}

// TestDFAAgrees: the lazy automaton against package regexp, on the expressions of
// the corpus as well where it is at hand.
func TestDFAAgrees(t *testing.T) {
	t.Parallel()
	sources := []string{
		``, `a`, `^a`, `a$`, `^$`, `\ba`, `a\b`, `\Ba`, `(?m)^a$`, `(?s)a.b`, `a.b`, `(?i)kiss`, `[^a]`, `a|b|^c`, `a{3,5}`, `.{18,}`, `(?s).{18,}`,
		`[a-f0-9]{8}`, `(a|ab)(c|bcd)(d*)`, `\x{FFFD}`, `é+`, `(?i)É`, `[\p{L}]{2}`, `x*`, `\d+(\.\d+){3}`, `(?i)(set|get)[-_ ]?item`, `\.(exe|dll)["' ]`,
	}
	if path, err := sharedPath("sigma-rules.tar.gz"); err == nil {
		corpusPath = path
		for _, d := range corpusDocuments(t) {
			d.root.walk(func(p *predicate) {
				if p.op == opRegex {
					sources = append(sources, p.text)
				}
			})
		}
	}
	type pair struct {
		re  *regexp.Regexp
		dfa *dfa
	}
	var pairs []pair
	for _, src := range sources {
		re := regexp.MustCompile(src)
		pairs = append(pairs, pair{re, newDFA(newRegexProgram(re))})
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(
			rapid.StringOfN(rapid.SampledFrom([]rune("abckKs\u212aſé1.\n -_\"(){}$+")), 0, 40, -1),
			rapid.StringMatching(`(powershell|cmd|SET-item|http)[a-z0-9 ./\\$+(){}"'-]{0,60}`),
			rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")) }),
		).Draw(t, "value")
		for _, p := range pairs {
			if got, want := p.dfa.match(v), p.re.MatchString(v); got != want {
				t.Fatalf("%q on %q: the automaton says %t", p.re, v, got)
			}
		}
	})
}

func (x *expr) walk(f func(*predicate)) {
	if x.pred != nil {
		f(x.pred)
	}
	for _, k := range x.kids {
		k.walk(f)
	}
}

func TestDFAFlushes(t *testing.T) {
	t.Parallel()
	// Each state remembers where among the last sixteen characters an a was: more
	// states than may be kept.
	re := regexp.MustCompile(`a.{16}b`)
	d := newDFA(newRegexProgram(re))
	text := make([]byte, 3000)
	x := uint32(1)
	for round := range 200 {
		for i := range text {
			x = x*1664525 + 1013904223
			text[i] = "aacc"[x>>30]
		}
		if round%3 == 0 {
			text[len(text)-1] = 'b'
		}
		if got, want := d.match(string(text)), re.Match(text); got != want {
			t.Fatalf("round %d: %t, want %t", round, got, want)
		}
		if len(d.states) > maxStates {
			t.Fatalf("%d states, more than %d", len(d.states), maxStates)
		}
	}
	if d.flushes == 0 {
		t.Error("the automaton never outgrew its bound")
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("AZaz@[`{\x80\xc3\x89"))), 0, 40).Draw(t, "bytes")
		s := string(b)
		var want strings.Builder
		for i := 0; i < len(s); {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				want.WriteString(s[i : i+1])
			} else {
				want.WriteString(strings.ToLower(string(r)))
			}
			i += n
		}
		if got := fold(s); got != want.String() {
			t.Fatalf("fold(%q) = %q, want %q", s, got, want.String())
		}
		if got := string(appendFold([]byte("X"), s)); got != "X"+want.String() {
			t.Fatalf("appendFold(%q) = %q, want %q", s, got, want.String())
		}
	})
}

// TestNoAllocation: an event that matches nothing costs no memory, once automata
// are built.
func TestNoAllocation(t *testing.T) {
	docs, err := Parse([]byte(`
title: a
logsource: {product: x}
detection:
  s: {f|contains: 'needle', g|endswith: 'xyz'}
  re: {f|re: 'val[0-9]+ue'}
  glob: {f: 'has*a*pin'}
  net: {ip|cidr: 10.0.0.0/8}
  n: {n|gt: 100}
  ref: {f|fieldref: g}
  keys: ['something', 'else*where']
  filter: {f|startswith: 'not'}
  condition: (s or re or glob or net or n or ref or keys) and not filter
`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(docs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewScratch()
	var e event.Event
	e.Add("f", "has no pin for value, though it is as long as many values are: "+strings.Repeat("é padding", 40))
	e.Add("g", "G")
	e.Add("ip", "192.168.1.1")
	e.Add("n", "none")
	e.Add("else", "else nothing")
	dst := make([]int32, 0, 8)
	if got := s.Match(&e, dst); len(got) != 0 {
		t.Fatalf("it matches %v", got)
	}
	if n := testing.AllocsPerRun(200, func() { dst = s.Match(&e, dst[:0]) }); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}

// TestLongValues: a value is looked at as if it ended at MaxValue.
func TestLongValues(t *testing.T) {
	t.Parallel()
	docs, err := Parse([]byte(`
title: inside
logsource: {product: x}
detection: {s: {f|contains: 'needle'}, condition: s}
---
title: end
logsource: {product: x}
detection: {s: {f|endswith: 'pppp'}, condition: s}
`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(docs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		value string
		want  []int32
	}{
		{strings.Repeat("p", MaxValue-6) + "needle", []int32{0}},
		{strings.Repeat("p", MaxValue-5) + "needle", nil},
		{strings.Repeat("p", MaxValue) + "tail", []int32{1}},
	} {
		var e event.Event
		e.Add("f", c.value)
		if got := m.NewScratch().Match(&e, nil); !slices.Equal(got, c.want) {
			t.Errorf("…%s: %v, want %v", c.value[MaxValue-10:], got, c.want)
		}
		for i, d := range docs {
			if Eval(d, ViewOf(&e, Options{})) != slices.Contains(c.want, int32(i)) {
				t.Errorf("…%s: the evaluator disagrees on %s", c.value[MaxValue-10:], d.Title)
			}
		}
	}
}

// TestEpochWraps: after two thousand million events what was remembered is
// forgotten.
func TestEpochWraps(t *testing.T) {
	t.Parallel()
	docs, err := Parse([]byte("title: t\nlogsource: {product: x}\ndetection: {s: {f: a, g: b}, condition: s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(docs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewScratch()
	var yes, no event.Event
	yes.Add("f", "A")
	yes.Add("g", "B")
	no.Add("f", "A")
	s.Match(&yes, nil)
	s.epoch = 1<<31 - 3
	for i := range 6 {
		if got := s.Match(&no, nil); len(got) != 0 {
			t.Fatalf("%d: %v", i, got)
		}
		if got := s.Match(&yes, nil); len(got) != 1 {
			t.Fatalf("%d: %v", i, got)
		}
	}
}
