package app

import (
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/content"
	"github.com/kyra-mdr/kyra/internal/rule"
)

func TestCheckRule(t *testing.T) {
	const counts = "title: Many\nid: many\nlevel: high\ncorrelation: {type: event_count, rules: [%], group-by: [user], timespan: 5m, condition: {gte: 3}}\n"
	const counted = "---\ntitle: One\nid: one\nlogsource: {product: linux}\ndetection: {s: {a: b}, condition: s}\n"
	for name, tt := range map[string]struct{ text, wrong string }{
		"plain":             {strings.TrimPrefix(counted, "---\n"), ""},
		"with its own":      {strings.Replace(counts, "%", "one", 1) + counted, ""},
		"of the catalogue":  {strings.Replace(counts, "%", "elsewhere", 1), ""}, // the catalogue knows whether it is there
		"of both":           {strings.Replace(counts, "%", "one, elsewhere", 1) + counted, ""},
		"counting itself":   {strings.Replace(counts, "%", "many", 1), "itself"},
		"needs a list":      {strings.Replace(strings.TrimPrefix(counted, "---\n"), "a: b", "'a|expand': '%Admins%'", 1), ""},
		"unknown modifier":  {strings.Replace(strings.TrimPrefix(counted, "---\n"), "a: b", "'a|foo': b", 1), "line 4, column"},
		"without condition": {"title: x\nlogsource: {product: linux}\ndetection: {s: {a: b}}\n", "no condition"},
	} {
		_, err := content.Check([]byte(tt.text))
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: %v, want %q", name, err, tt.wrong)
		}
	}
}

// Alerts of a rule whose text has no id name it by the one that the catalogue gave.
func TestRulesWithoutIDAreToldApart(t *testing.T) {
	const plain = "title: One\nname: one\nlogsource: {product: linux}\ndetection: {s: {a: b}, condition: s}\n"
	const counts = "title: Many\nlevel: high\ncorrelation: {type: event_count, rules: [one], timespan: 5m, condition: {gte: 3}}\n---\n" + plain
	list, owners, problems := documentsOf([]rule.Active{{ID: "x1", YAML: plain}, {ID: "x2", YAML: counts}})
	var got []string
	for i := range list {
		got = append(got, owners[i]+":"+list[i].Document.ID)
	}
	if want := "x1:x1 x2:x2 x2:"; strings.Join(got, " ") != want || len(problems) > 0 {
		t.Errorf("documents are %v, want %s; problems %v", got, want, problems)
	}
}
