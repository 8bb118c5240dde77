package sigma

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
)

func TestAggregations(t *testing.T) {
	t.Parallel()
	const head = "title: Old\nid: old\nlevel: high\nlogsource: {product: x}\nkyra: {entity: [user]}\ndetection:\n  sel: {a: 1}\n  other: {b|expand: '%l%'}\n  third: {c: 1}\n  timeframe: 10m\n  condition: "
	for condition, want := range map[string]Correlation{
		"sel | count() > 5":                       {Type: EventCount, Condition: Threshold{Op: "gt", Value: 5}},
		"sel or third | COUNT() BY user >=5":      {Type: EventCount, GroupBy: []string{"user"}, Condition: Threshold{Op: "gte", Value: 5}},
		"sel | count(dst) by src, user,host < 3":  {Type: ValueCount, GroupBy: []string{"src", "user", "host"}, Condition: Threshold{Op: "lt", Value: 3, Field: []string{"dst"}}},
		"1 of them | count(dst) by src user == 3": {Type: ValueCount, GroupBy: []string{"src", "user"}, Condition: Threshold{Op: "eq", Value: 3, Field: []string{"dst"}}},
		"sel | sum(bytes) by src > 1e6":           {Type: ValueSum, GroupBy: []string{"src"}, Condition: Threshold{Op: "gt", Value: 1e6, Field: []string{"bytes"}}},
		"sel | avg(bytes) != 7":                   {Type: ValueAvg, Condition: Threshold{Op: "neq", Value: 7, Field: []string{"bytes"}}},
		"sel and not third | near other":          {Type: Temporal, Expression: "sel and not third near other", Terms: []Term{{Present: []int{0, 1}}}, Rules: []string{"old/events", "old/other"}},
		"sel | near other and not third by host":  {Type: Temporal, GroupBy: []string{"host"}, Expression: "sel near other and not third", Terms: []Term{{Present: []int{0, 1}, Absent: []int{2}}}, Rules: []string{"old/events", "old/other", "old/third"}},
		"sel | near 1 of other or third by host":  {Type: Temporal, GroupBy: []string{"host"}, Expression: "sel near 1 of other or third", Terms: []Term{{Present: []int{0, 1}}, {Present: []int{0, 2}}}, Rules: []string{"old/events", "old/other", "old/third"}},
	} {
		docs, err := Parse([]byte(head + condition + "\n"))
		if err != nil {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		top := docs[len(docs)-1]
		want.Timespan, want.Line = 10*time.Minute, 11
		if want.Rules == nil {
			want.Rules = []string{"old/events"}
		}
		if d := cmp.Diff(&want, top.Correlation); d != "" {
			t.Errorf("%s (want -, got +):\n%s", condition, d)
		}
		if top.ID != "old" || top.Level != "high" || len(top.Kyra.Entity) != 1 || len(top.Placeholders) != 0 || Main(docs) != top {
			t.Errorf("%s: the correlation is %+v", condition, top)
		}
		var names []string
		for _, d := range docs[:len(docs)-1] {
			names = append(names, d.Name)
			if d.ID != "" || d.Correlation != nil || d.LogSource.Product != "x" || len(d.Kyra.Entity) != 0 {
				t.Errorf("%s: a rule of it is %+v", condition, d)
			}
			if needs := strings.Contains(d.Name, "other") || strings.HasPrefix(condition, "1 of"); needs != (len(d.Placeholders) == 1) {
				t.Errorf("%s: %s needs the lists %v", condition, d.Name, d.Placeholders)
			}
		}
		if !slices.Equal(names, want.Rules) {
			t.Errorf("%s: its rules are %v", condition, names)
		}
	}
	docs, err := Parse([]byte(head + "sel | near third\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, field := range []string{"a", "c"} {
		var e event.Event
		e.Add(field, "1")
		got = append(got, Eval(docs[0], ViewOf(&e, Options{})), Eval(docs[1], ViewOf(&e, Options{})))
	}
	if !slices.Equal(got, []bool{true, false, false, true}) {
		t.Errorf("the rules match %v", got)
	}
}

func TestParseEach(t *testing.T) {
	t.Parallel()
	docs, errs := ParseEach([]byte(`title: one
logsource: {product: x}
detection: {s: {a|re: 'a(?=b)'}, condition: s}
---
title: two
logsource: {product: x}
detection: {s: {a: b}, condition: s}
---
[a, list]
---
title: three
logsource: {product: x}
detection: {s: {a: b}, condition: t}
---
action: repeat
title: four
detection: {condition: s}
---
action: jump
---
action: global
title: none
`))
	var got []string
	for _, d := range docs {
		got = append(got, d.Title)
	}
	if d := cmp.Diff([]string{"two", "four"}, got); d != "" {
		t.Errorf("documents (want -, got +):\n%s", d)
	}
	got = nil
	for _, e := range errs {
		got = append(got, fmt.Sprint(e.Line, ":", e.Column, " ", e.Message[:20]))
	}
	want := []string{"3:25 regular expression: ", "9:1 a rule must be a map", "13:35 condition: no search", "19:9 action must be one o"}
	for i := range want {
		want[i] = want[i][:min(len(want[i]), strings.Index(want[i], " ")+21)]
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("errors (want -, got +):\n%s", d)
	}
	for text, want := range map[string]string{
		"action: global\ntitle: x\n": "only documents that others can build on",
		"action: repeat\ntitle: x\n": "has no document before it",
		"title: t\nid: i\nlogsource: {product: x}\ndetection: {s: {a: b}, condition: s}\n---\ntitle: [\n": "YAML",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", text, err, want)
		}
	}
}

func TestSharedIDs(t *testing.T) {
	t.Parallel()
	docs, err := Parse([]byte(`action: global
title: t
id: shared
logsource: {product: x}
---
detection: {s: {a: 1}, condition: s}
---
detection: {s: {a: 2}, condition: s}
---
id: own
detection: {s: {a: 3}, condition: s}
---
action: repeat
detection: {s: {a: 4}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range docs {
		got = append(got, d.ID)
	}
	if d := cmp.Diff([]string{"shared", "shared-2", "own", "own-2"}, got); d != "" {
		t.Errorf("ids (want -, got +):\n%s", d)
	}
}
