package sigma

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kyra-mdr/kyra/internal/event"
)

// print writes a trace as one line for each part.
func (t *Trace) print(b *strings.Builder, indent string) {
	mark := map[bool]string{true: "+", false: "-"}[t.Holds]
	fmt.Fprintf(b, "%s%s %s", indent, mark, t.Kind)
	if t.Needed > 0 {
		fmt.Fprintf(b, " %d", t.Needed)
	}
	for _, s := range []string{t.Text, t.Name, t.Field} {
		if s != "" {
			fmt.Fprintf(b, " %q", s)
		}
	}
	if t.Line > 0 {
		fmt.Fprintf(b, " at %d:%d", t.Line, t.Column)
	}
	if t.Kind == TraceItem {
		for _, w := range t.Wanted {
			fmt.Fprintf(b, " %s%q", map[bool]string{true: "+", false: "-"}[w.Holds], w.Value)
			if w.By != "" {
				fmt.Fprintf(b, "<%s>", w.By)
			}
		}
		fmt.Fprintf(b, " has %q as %q", t.Actual, t.FoundAs)
	}
	if t.Reason != "" {
		fmt.Fprintf(b, ": %s", t.Reason)
	}
	b.WriteString("\n")
	for _, p := range t.Parts {
		p.print(b, indent+"  ")
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	docs, err := Parse([]byte(`title: t
logsource: {product: windows}
detection:
  img:
    Image|endswith: ['\cmd.exe', '\sh.exe']
    CommandLine|contains|all: [whoami, /all, net]
  keys: [mimikatz, Secret]
  filter_admin:
    User|expand: '%Admins%'
  filter_empty:
    Parent: null
  filter_case:
    Hash|re: '^ab'
    Name: whoami
    Port|gt: 5
    Net|cidr: 10.0.0.0/8
    Gone|neq: x
  condition: (img or keys) and not 1 of filter_*
`))
	if err != nil {
		t.Fatal(err)
	}
	var e event.Event
	for _, f := range [][2]string{
		{"winlog.Image", `C:\Windows\cmd.exe`},
		{"CommandLine", "whoami /all"},
		{"Note", "the SECRET"},
		{"User", "ann"},
		{"Hash", "ABC"},
		{"Name", "whoami.exe"},
		{"Port", "http"},
		{"Net", "host"},
	} {
		e.Add(f[0], f[1])
	}
	trace := docs[0].Explain(&e, Options{Fields: func(f string) []string { return []string{"winlog." + f, f} }, Lists: map[string][]string{"Admins": {"bob", "Ann"}}})
	var b strings.Builder
	trace.print(&b, "")
	want := `- and "(img or keys) and not 1 of filter_*"
  + or "img or keys"
    - selection "img" at 4:3
      - and at 5:5
        + item "Image" at 5:5 +"\\cmd.exe"<C:\Windows\cmd.exe> -"\\sh.exe" has ["C:\\Windows\\cmd.exe"] as "winlog.Image"
        - item "CommandLine" at 6:5 +"whoami"<whoami /all> +"/all"<whoami /all> -"net" has ["whoami /all"] as "CommandLine": 1 of 3 values do not fit, and all must
    + selection "keys" at 7:3
      + or at 7:9
        - item at 7:10 -"mimikatz" has [] as "": no value of the event fits
        + item at 7:20 +"Secret"<the SECRET> has ["the SECRET"] as "Note"
  - not "not 1 of filter_*"
    + of 1 "1 of filter_*"
      + selection "filter_admin" at 8:3
        + and at 9:5
          + item "User" at 9:5 +"%Admins%"<ann> has ["ann"] as "User"
      - selection "filter_case" at 12:3
        - and at 13:5
          - item "Hash" at 13:5 -"^ab" has ["ABC"] as "Hash": no value fits; without regard to case one would: add |i
          - item "Name" at 14:5 -"whoami" has ["whoami.exe"] as "Name": no value fits; the event's contains one: |contains would fit
          - item "Port" at 15:5 -"5" has ["http"] as "Port": the event's value is not a number
          - item "Net" at 16:5 -"10.0.0.0/8" has ["host"] as "Net": the event's value is not an IP address
          + item "Gone" at 17:5 -"x" has [] as "": the event does not have the field
      + selection "filter_empty" at 10:3
        + and at 11:5
          + item "Parent" at 11:5 +"" has [] as "": the event does not have the field
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("trace (want -, got +):\n%s", d)
	}
	without := docs[0].Explain(&e, Options{})
	if i := findItem(without, "User"); i == nil || i.Holds || i.Reason != "it needs the list Admins" {
		t.Errorf("without the list its item is %+v", i)
	}
	text, err := json.Marshal(findItem(trace, "Image"))
	if err != nil || string(text) != `{"kind":"item","holds":true,"line":5,"column":5,"field":"Image","modifiers":["endswith"],"wanted":[{"value":"\\cmd.exe","holds":true,"by":"C:\\Windows\\cmd.exe"},{"value":"\\sh.exe","holds":false}],"foundAs":"winlog.Image","actual":["C:\\Windows\\cmd.exe"]}` {
		t.Errorf("JSON is %s, %v", text, err)
	}
	if i := findItem(trace, "Gone"); !slices.Equal(i.LookedFor, []string{"winlog.Gone", "Gone"}) {
		t.Errorf("a field that is not there was looked for as %q", i.LookedFor)
	}
}

func findItem(t *Trace, field string) *Trace {
	if t.Kind == TraceItem && t.Field == field {
		return t
	}
	for _, p := range t.Parts {
		if x := findItem(p, field); x != nil {
			return x
		}
	}
	return nil
}

// TestExplainAgrees: a trace comes to what the plain evaluator says, and so does
// each part of it to what its parts say.
func TestExplainAgrees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := drawRule(t)
		docs, err := Parse([]byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		e := drawEvent(t)
		trace := docs[0].Explain(&e, Options{})
		if want := Eval(docs[0], ViewOf(&e, Options{})); trace.Holds != want {
			t.Fatalf("the trace says %t, the evaluator %t\n%s\n%v", trace.Holds, want, text, e.Fields)
		}
		if _, err := json.Marshal(trace); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter   string
		rules    []string
		ann, bob bool // is taken away
	}{
		{"{rules: [r1, r2], s: {User: ann}, condition: s}", []string{"r1", "r2"}, true, false},
		{"{rules: any, s: {User: ann}, condition: not s}", nil, true, false},
		{"{s: {User: ann}, t: {User: carl}, condition: not s and not t}", nil, true, false},
		{"{s: {User: ann}, t: {User: bob}, condition: s and not t}", nil, true, false},
		{"{s: {User: ann}, t: {User: bob}, condition: not (s or t)}", nil, true, true},
		{"{rules: [r1], s: {User: ann}, t: {User: bob}, condition: not 1 of them}", []string{"r1"}, true, true},
		{"{rules: [r1], s: [ann], condition: s}", []string{"r1"}, true, false},
	} {
		docs, err := Parse([]byte("title: f\nlogsource: {product: windows}\nfilter: " + c.filter + "\n"))
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		d := docs[0]
		if d.Filter == nil || !slices.Equal(d.Filter.Rules, c.rules) || d.LogSource.Product != "windows" {
			t.Errorf("%s is read as %+v", c.filter, d.Filter)
			continue
		}
		for _, user := range []string{"ann", "bob", "else"} {
			var e event.Event
			e.Add("User", user)
			got, want := Eval(d, ViewOf(&e, Options{})), user == "ann" && c.ann || user == "bob" && c.bob
			if got != want {
				t.Errorf("%s takes %s away: %t, want %t", c.filter, user, got, want)
			}
			if trace := d.Explain(&e, Options{}); trace.Holds != want {
				t.Errorf("%s: the trace of %s says %t", c.filter, user, trace.Holds)
			}
		}
	}
	for filter, want := range map[string]string{
		"[a]":          "line 3, column 9: filter must be a map, not a list",
		"{rules: [a]}": "has no condition",
		"{rules: {a: b}, s: {a: b}, condition: s}": "rules must be a list",
		"{rules: [a], s: {a: b}, condition: x}":    `line 3, column 44: condition: no search is named "x"`,
	} {
		_, err := Parse([]byte("title: f\nlogsource: {product: windows}\nfilter: " + filter + "\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", filter, err, want)
		}
	}
	l := LogSource{Product: "windows", Category: "process_creation"}
	if !(LogSource{Product: "windows"}).Covers(l) || !l.Covers(l) || l.Covers(LogSource{Product: "windows"}) {
		t.Error("log sources do not cover each other as they should")
	}
}
