package sigma

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const head = "title: t\nlogsource: {product: x}\n"

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text         string
		line, column int
		message      string
	}{
		{"", 0, 0, "holds no rule"},
		{"- a\n", 1, 1, "must be a map"},
		{"title: [\n", 1, 8, "YAML"},
		{"title: t\ndetection: {a: {b: c}, condition: a}\n", 1, 1, "no logsource"},
		{"logsource: {product: x}\ndetection: {a: {b: c}, condition: a}\n", 1, 1, "no title"},
		{head, 1, 1, "no detection"},
		{"title: t\nlogsource: {definition: x}\ndetection: {a: {b: c}, condition: a}\n", 2, 13, "neither product"},
		{"title: t\nlevel: urgent\n", 2, 8, "level must be one of"},
		{"title: t\ntitle: u\n", 2, 1, "already defined"},
		{head + "detection:\n  a:\n    b: c\n", 4, 3, "no condition"},
		{head + "detection:\n  a:\n    b|cntains: c\n  condition: a\n", 5, 5, `unknown modifier "cntains"`},
		{head + "detection:\n  a:\n    b|re: '(?<=x)y'\n  condition: a\n", 5, 12, "look-behind is not supported by RE2"},
		{head + "detection:\n  a:\n    b|re: 'a[b'\n  condition: a\n", 5, 11, "regular expression (RE2)"},
		{head + "detection:\n  a:\n    b|cidr: 10.0.0.0/33\n  condition: a\n", 5, 13, "is not a network"},
		{head + "detection:\n  a:\n    b|gt: many\n  condition: a\n", 5, 11, "gt needs a number"},
		{head + "detection:\n  a:\n    b|exists: maybe\n  condition: a\n", 5, 15, "exists needs true or false"},
		{head + "detection:\n  a:\n    b|contains: null\n  condition: a\n", 5, 17, "null is only possible"},
		{head + "detection:\n  a:\n    b|contains|startswith: c\n  condition: a\n", 5, 5, "cannot stand together"},
		{head + "detection:\n  a:\n    b|i: c\n  condition: a\n", 5, 5, `only possible after "re"`},
		{head + "detection:\n  a:\n    b|base64: 'c*'\n  condition: a\n", 5, 15, "wildcards"},
		{head + "detection:\n  a:\n    b: []\n  condition: a\n", 5, 5, "empty list"},
		{head + "detection:\n  a:\n    b: {c: d}\n  condition: a\n", 5, 9, "a value must be"},
		{head + "detection:\n  a:\n    b|contains|windash: ' -a -b -c -d -e -f -g -h -i -j'\n  condition: a\n", 5, 25, "makes more than"},
		{head + "detection:\n  a: []\n  condition: a\n", 4, 6, "is empty"},
		{head + "detection:\n  a: {b: c}\n  condition: a and\n", 5, 19, "ends where"},
		{head + "detection:\n  a: {b: c}\n  condition: a b\n", 5, 16, `"b" stands where`},
		{head + "detection:\n  a: {b: c}\n  condition: x\n", 5, 14, `no search is named "x"`},
		{head + "detection:\n  a: {b: c}\n  condition: 1 of x*\n", 5, 19, `no search fits "x*"`},
		{head + "detection:\n  a: {b: c}\n  condition: 2 of them\n", 5, 14, "can never hold"},
		{head + "detection:\n  a: {b: c}\n  condition: (a\n", 5, 16, "ends where"},
		{head + "detection:\n  a: {b: c}\n  condition: a | count() > 5\n", 5, 14, "needs a window"},
		{head + "detection:\n  a: {b: c}\n  timeframe: 5x\n  condition: a | count() > 5\n", 5, 14, "timeframe must be"},
		{head + "detection:\n  a: {b: c}\n  timeframe: 5m\n  condition: a | count( > 5\n", 6, 27, "where \")\" is expected"},
		{head + "detection:\n  a: {b: c}\n  timeframe: 5m\n  condition: a | count() by x\n", 6, 30, "comparison such as"},
		{head + "detection:\n  a: {b: c}\n  timeframe: 5m\n  condition: a | count() > x\n", 6, 28, "where a number is expected"},
		{head + "detection:\n  a: {b: c}\n  timeframe: 5m\n  condition: a | max(f) > 5\n", 6, 18, "no correlation means max"},
		{head + "detection:\n  a: {b: c}\n  timeframe: 5m\n  condition: a | near z\n", 6, 23, "no search is named"},
		{head + "detection:\n  a: {b: c}\n  timeframe: 5m\n  condition: [a, a | count() > 5]\n", 6, 20, "one condition"},
		{head + "detection:\n  a:\n    b|re: 'ab(?!c)'\n  condition: a\n", 5, 14, "look-ahead is not supported by RE2"},
		{head + "detection:\n  a:\n    b|re: (?<!x)y\n  condition: a\n", 5, 11, "look-behind is not supported by RE2"},
		{head + "detection:\n  a:\n    b|re: '(a)\\1'\n  condition: a\n", 5, 15, "a back-reference is not supported by RE2"},
		{head + "detection:\n  a:\n    b|re: 'a(?>b)'\n  condition: a\n", 5, 13, "an atomic group is not supported by RE2"},
		{head + "detection:\n  a:\n    b|re: 'ab++'\n  condition: a\n", 5, 14, "possessive"},
		{head + "detection: {a: {b: c}, condition: a}\nkyra: {entitys: [user]}\n", 4, 8, `unknown key "entitys"`},
		{head + "detection: {a: {b: c}, condition: a}\nkyra: {description: '{count'}\n", 4, 21, "has no"},
		{"title: t\ncorrelation: {type: event_sum}\n", 2, 21, "type must be one of"},
		{"title: t\ncorrelation: {type: event_count, rules: [a], condition: {gte: 1}}\n", 2, 15, "no timespan"},
		{"title: t\ncorrelation: {type: event_count, rules: [a], timespan: 5x, condition: {gte: 1}}\n", 2, 56, "timespan must be"},
		{"title: t\ncorrelation: {type: event_count, rules: [a], timespan: 5m}\n", 2, 15, "no condition"},
		{"title: t\ncorrelation: {type: event_count, rules: [a], timespan: 5m, condition: {gte: 1, gt: 5}}\n", 2, 80, "only one"},
		{"title: t\ncorrelation: {type: value_count, rules: [a], timespan: 5m, condition: {gte: 1}}\n", 2, 72, "needs a field"},
		{"title: t\nfilter: {rules: [a]}\n", 2, 10, "has no condition"},
	} {
		_, err := Parse([]byte(c.text))
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("Parse(%q) gives %v, want an *Error", c.text, err)
			continue
		}
		if e.Line != c.line || e.Column != c.column || !strings.Contains(e.Message, c.message) {
			t.Errorf("Parse(%q) gives %d:%d %q, want %d:%d with %q", c.text, e.Line, e.Column, e.Message, c.line, c.column, c.message)
		}
	}
}

func TestParseDocument(t *testing.T) {
	t.Parallel()
	docs, err := Parse([]byte(`
title: Brute force
id: 1e6e0428-da0f-43d1-9c26-040c184b212f
name: brute
status: test
level: High
description: |
  Many.
author: Ann, Bob
license: DRL 1.1
date: 2026-11-25
references: [https://example.org]
tags: [attack.credential_access, attack.credential-access, attack.t1110.001, attack.g0016, cve.2024-1]
falsepositives: [none]
correlation:
  type: value_count
  rules: [a, b]
  group-by: [src]
  timespan: 1h
  aliases:
    src: {a: src_ip, b: c-ip}
  condition: {field: user, gt: 5}
generate: true
kyra:
  description: "{count} by {src_ip}, {user}, {src_ip}"
  entity: [src_ip]
---
title: Second
logsource: {Category: x, category: Process_Creation, product: Windows}
detection:
  a: {f|expand: '%one%%two%', g|expand: '%one%'}
  condition: a
`))
	if err != nil {
		t.Fatal(err)
	}
	d := docs[0]
	want := &Correlation{
		Type: ValueCount, Rules: []string{"a", "b"}, GroupBy: []string{"src"}, Timespan: time.Hour, Generate: true, Line: 17,
		Condition: Threshold{Op: "gt", Value: 5, Field: []string{"user"}},
		Aliases:   map[string]map[string]string{"src": {"a": "src_ip", "b": "c-ip"}},
	}
	if diff := cmp.Diff(want, d.Correlation); diff != "" {
		t.Errorf("correlation (want -, got +):\n%s", diff)
	}
	got := []any{d.ID, d.Name, d.Level, d.Severity(), d.Description, d.Author, d.License, d.Date, d.Tactics(), d.Techniques(), TemplateFields(d.Kyra.Description), d.Kyra.Entity}
	fields := []any{
		"1e6e0428-da0f-43d1-9c26-040c184b212f", "brute", "high", "high", "Many.", "Ann, Bob", "DRL 1.1", "2026-11-25",
		[]string{"credential-access", "credential-access"},
		[]string{"T1110.001"},
		[]string{"src_ip", "user"},
		[]string{"src_ip"},
	}
	if diff := cmp.Diff(fields, got); diff != "" {
		t.Errorf("document (want -, got +):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"one", "two"}, docs[1].Placeholders); diff != "" {
		t.Errorf("placeholders (want -, got +):\n%s", diff)
	}
	if l := docs[1].LogSource; l != (LogSource{Product: "windows", Category: "process_creation"}) || docs[1].Line != 28 {
		t.Errorf("log source is %v at line %d", l, docs[1].Line)
	}
	if _, err := docs[1].Fill(map[string][]string{"one": {"x"}}); err == nil || !strings.Contains(err.Error(), "needs the list two") {
		t.Errorf("Fill without a list gives %v", err)
	}
	if docs[1].Severity() != "medium" {
		t.Errorf("severity without level is %q", docs[1].Severity())
	}
}

func TestThresholdHolds(t *testing.T) {
	t.Parallel()
	for op, want := range map[string][3]bool{
		"gt": {false, false, true}, "gte": {false, true, true}, "lt": {true, false, false},
		"lte": {true, true, false}, "eq": {false, true, false}, "neq": {true, false, true}, "": {},
	} {
		for i, n := range []float64{4, 5, 6} {
			if got := (Threshold{Op: op, Value: 5}).Holds(n); got != want[i] {
				t.Errorf("%v %s 5 is %t", n, op, got)
			}
		}
	}
}

func TestHostileYAML(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("a: &a [x,x,x,x,x,x,x,x,x,x]\n")
	for c := 'b'; c < 'k'; c++ {
		bomb.WriteString(string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 10) + "]\n")
	}
	for name, text := range map[string]string{
		"brackets": strings.Repeat("[", 1<<19),
		"dashes":   strings.Repeat("- ", 1<<18),
		"marks":    strings.Repeat("? ", 1<<18),
		"bomb":     bomb.String(),
		"colons":   strings.Repeat("a: ", 1<<18),
		"size":     strings.Repeat("#", MaxDocument+1),
		"latin":    "title: \xe4\n",
	} {
		start := time.Now()
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s takes %v", name, d)
		}
	}
}
