package content

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/sigma"
)

func correlationText(rules string) string {
	return fmt.Sprintf("title: Many of %s\nid: c\ncorrelation:\n    type: event_count\n    rules: [%s]\n    group-by: [user]\n    timespan: 5m\n    condition: {gte: 5}\nlevel: high\n", rules, rules)
}

func TestFilesAreCutIntoRules(t *testing.T) {
	t.Parallel()
	named := strings.Replace(ruleText("x", "Base"), "id: x", "name: base", 1)
	for name, c := range map[string]struct {
		text string
		want string // id@line of each rule, with the number of its documents
		bad  string // place and reason of each refusal
	}{
		"one":             {text: ruleText("a", "A"), want: "a@1/1"},
		"with a marker":   {text: "---\n" + ruleText("a", "A"), want: "a@2/1"},
		"two":             {text: ruleText("a", "A") + "---\n" + ruleText("b", "B"), want: "a@1/1 b@12/1"},
		"comments":        {text: "# words\n---\n" + ruleText("a", "A") + "---\n# end\n", want: "a@3/1"},
		"correlation":     {text: named + "---\n" + correlationText("base"), want: "c@1/2"},
		"two and one":     {text: ruleText("a", "A") + "---\n" + named + "---\n" + correlationText("base"), want: "a@1/1 c@12/2"},
		"of another file": {text: correlationText("elsewhere"), want: "c@1/1"},
		"second is bad":   {text: ruleText("a", "A") + "---\n" + strings.Replace(ruleText("b", "B"), "level: high", "level: huge", 1), want: "a@1/1", bad: "21:8 b/B level must be"},
		"not yaml":        {text: "title: x\ndetection: [", want: "", bad: "2:"},
		"other yaml":      {text: "on: push\njobs: {}\n", want: ""},
		"text":            {text: "title: A\nid: a\ndescription: |\n    ---\n    more\nlogsource: {product: x}\ndetection: {a: {b: c}, condition: a}\n", want: "a@1/1"},
		"bom":             {text: "\uFEFF" + ruleText("a", "A"), want: "a@1/1"},
		"windows lines":   {text: strings.ReplaceAll(ruleText("a", "A")+"---\n"+ruleText("b", "B"), "\n", "\r\n"), want: "a@1/1 b@12/1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			candidates, refused := readSigma([]File{{"f.yml", []byte(c.text)}, {"other.txt", nil}})
			var got []string
			for i := range candidates {
				x := &candidates[i]
				if r := x.complete("pack"); r != nil {
					t.Errorf("%+v", r)
					continue
				}
				again, err := sigma.Parse([]byte(x.Text))
				if err != nil || len(again) != len(x.docs) {
					t.Errorf("the text of %s holds %d documents, %v:\n%s", x.Meta.ID, len(again), err, x.Text)
				}
				got = append(got, fmt.Sprintf("%s@%d/%d", x.Meta.ID, x.Line, len(x.docs)))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("rules %q, want %q", got, c.want)
			}
			bad := ""
			for _, r := range refused {
				bad += fmt.Sprintf("%d:%d %s/%s %s", r.Line, r.Column, r.ID, r.Name, r.Reason)
			}
			if !strings.HasPrefix(bad, c.bad) || (bad == "") != (c.bad == "") {
				t.Errorf("refused %q, want %q", bad, c.bad)
			}
		})
	}
}

func TestRulesWithoutIDGetOneThatStays(t *testing.T) {
	t.Parallel()
	text := "# ours\n" + strings.Replace(ruleText("x", "A"), "id: x\n", "", 1)
	read := func(pack, file string) Candidate {
		t.Helper()
		c, refused := readSigma([]File{{file, []byte(text)}})
		if len(refused) > 0 || len(c) != 1 {
			t.Fatal(c, refused)
		}
		if r := c[0].complete(pack); r != nil {
			t.Fatal(r)
		}
		return c[0]
	}
	a := read("p", "f.yml")
	if a.Meta.ID != read("p", "f.yml").Meta.ID || a.Meta.ID == read("q", "f.yml").Meta.ID || a.Meta.ID == read("p", "g.yml").Meta.ID {
		t.Error("ids do not tell pack and file apart, or do not stay")
	}
	if !strings.Contains(a.Text, "\nid: "+a.Meta.ID+"\ntitle: A\n") {
		t.Errorf("the text is\n%s", a.Text)
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, pack, file, want string }{
		{"https://github.com/SigmaHQ/sigma", "p", "rules/a b.yml", "https://github.com/SigmaHQ/sigma/blob/HEAD/rules/a%20b.yml"},
		{"https://github.com/o/r.git", "p", "a.yml", "https://github.com/o/r/blob/HEAD/a.yml"},
		{"https://example.org/rules.zip", "p", "a.yml", "https://example.org/rules.zip#a.yml"},
		{"", "my rules", "x/a.yml", "file:my%20rules/x/a.yml"},
	} {
		if got := originOf(c.source, c.pack, c.file); got != c.want {
			t.Errorf("originOf(%q, %q, %q) = %q, want %q", c.source, c.pack, c.file, got, c.want)
		}
	}
}

func TestMetaTellsKinds(t *testing.T) {
	t.Parallel()
	filter := "title: F\nid: f\nlogsource: {product: windows}\nfilter: {rules: [a], s: {User: x}, condition: s}\n"
	for text, want := range map[string]string{ruleText("a", "A"): "detection", correlationText("a"): "correlation", filter: "filter"} {
		if m, err := Check([]byte(text)); err != nil || m.Type != want {
			t.Errorf("type %q, want %q, %v", m.Type, want, err)
		}
	}
	for text, want := range map[string]string{
		"title: [": "line ", ruleText("a", "A") + "---\n" + ruleText("a", "B"): "another rule has the id a",
		correlationText("c"): "itself",
	} {
		if _, err := Check([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
