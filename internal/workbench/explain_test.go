package workbench

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
)

func eventOf(pairs ...string) *event.Event {
	e := &event.Event{Tenant: 1, ID: event.ID{Seq: 999}, Time: noon.UnixNano(), Arrived: noon.UnixNano()}
	for i := 0; i < len(pairs); i += 2 {
		e.Add(pairs[i], pairs[i+1])
	}
	return e
}

func TestReasons(t *testing.T) {
	b := newBench(t, &memory.Store{})
	const head = "title: T\nid: t\nlogsource: {product: windows, category: process_creation}\ndetection:\n"
	process := func(pairs ...string) *event.Event {
		return eventOf(append([]string{"source", "windows_sysmon", "Channel", "Microsoft-Windows-Sysmon/Operational", "EventID", "1"}, pairs...)...)
	}
	for _, tt := range []struct {
		detection string
		event     *event.Event
		fires     bool
		reason    string
	}{
		{"  s: {Image|endswith: '\\cmd.exe'}\n  condition: s\n", process("Image", `C:\Windows\cmd.exe`), true, "“T” matches the event"},
		{"  s: {Image|endswith: '\\cmd.exe'}\n  condition: s\n", eventOf("source", "nginx"), false, "the rule looks at windows/process_creation only: it wants"},
		{"  s: {Image|endswith: '\\cmd.exe'}\n  condition: s\n", process("Image", `C:\Windows\pwsh.exe`), false, `selection “s” does not hold: Image|endswith wants "\cmd.exe", and the event has "C:\Windows\pwsh.exe"`},
		{"  s: {Image|endswith: '\\cmd.exe'}\n  condition: s\n", process("Imag", `C:\Windows\pwsh.exe`), false, "selection “s” does not hold: the event has no field Image"},
		{"  s: {Image|endswith: '\\cmd.exe'}\n  f: {User|contains: adm}\n  condition: s and not f\n", process("Image", `C:\cmd.exe`, "User", "ADMIN"), false, `what must not hold does: selection “f”, by User|contains "adm" fits "ADMIN"`},
		{"  s: {a: 1}\n  t: {b: 2}\n  condition: s or t\n", process("a", "3"), false, `none of 2 alternatives holds; the first: selection “s” does not hold: a wants "1", and the event has "3"`},
		{"  s1: {a: 1}\n  s2: {b: 2}\n  s3: {c: 3}\n  condition: 2 of s*\n", process("a", "1", "c", "4"), false, `1 of 3 parts hold and 2 must; the first that does not: selection “s2” does not hold: the event has no field b`},
		{"  s: ['one', 'two']\n  condition: s\n", process("a", "1"), false, "selection “s” does not hold: none of 2 alternatives holds; the first: no value of the event has"},
	} {
		x, err := b.Explain(t.Context(), 1, Subject{Text: head + tt.detection}, tt.event)
		if err != nil {
			t.Fatal(err)
		}
		if x.Fires != tt.fires || !strings.HasPrefix(x.Reason, tt.reason) {
			t.Errorf("%s: fires %v: %s\nwant %v: %s", tt.detection, x.Fires, x.Reason, tt.fires, tt.reason)
		}
		if len(x.Documents) != 1 || x.Documents[0].Condition == nil || x.Documents[0].Matches != tt.fires || len(x.Windows) != 0 {
			t.Errorf("%s: %+v", tt.detection, x)
		}
	}
	if _, err := b.Explain(t.Context(), 1, Subject{Text: "title: x"}, process()); !errors.Is(err, fault.Invalid) {
		t.Errorf("a broken rule: %v", err)
	}
}

func TestExplainWindow(t *testing.T) {
	stores(t, func(t *testing.T, store eventstore.Store) {
		b := newBench(t, store)
		explain := func(text string, e event.Event) *Explanation {
			t.Helper()
			x, err := b.Explain(t.Context(), 1, Subject{Text: text}, &e)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		var lines []line
		for i := range 3 {
			lines = append(lines, failure(noon.Add(time.Duration(i)*time.Minute), fmt.Sprint("u", i), "203.0.113.9"))
		}
		for i := range 6 {
			lines = append(lines, failure(noon.Add(time.Duration(i)*time.Minute/2), "root", "203.0.113.8"), failure(noon.Add(time.Duration(i)*4*time.Minute), "root", "203.0.113.7"))
		}
		lines = append(lines, success(noon.Add(150*time.Second), "root", "203.0.113.8"))
		events := b.put(1, lines...)
		b.put(2, lines...)

		x := explain(bruteForce, events[1])
		if x.Fires || len(x.Windows) != 1 || x.Reason != "“Brute force” is 2 short: within 5m of src_ip \"203.0.113.9\" 3 events count, and it fires at gte 5" {
			t.Errorf("three of five: %v, %s", x.Fires, x.Reason)
		}
		w := x.Windows[0]
		if w.Measured != 3 || w.Counted != 3 || w.Condition != "gte 5" || w.Timespan != "5m" || w.Type != "event_count" || w.FiredAt != nil || len(w.Events) != 3 || !w.Events[1].This || w.Events[0].This || w.Events[0].ID != events[0].ID.String() || w.Events[0].Rule != "Failed login" {
			t.Errorf("window %+v", w)
		}
		if d := cmp.Diff([]GroupValue{{"src_ip", "203.0.113.9"}}, w.Group); d != "" {
			t.Error(d)
		}
		if x.Documents[0].Reason != "it matches" || !x.Documents[0].Matches || !x.Documents[0].LogSource.Holds {
			t.Errorf("document %+v", x.Documents[0])
		}

		// The first of six: it fires with the fifth.
		x = explain(bruteForce, events[3])
		if !x.Fires || x.Windows[0].Measured != 6 || !x.Windows[0].Fired || !x.Windows[0].FiredAt.Equal(noon.Add(2*time.Minute)) || x.Reason != "“Brute force” fires: within 5m of src_ip \"203.0.113.8\" 6 events count" {
			t.Errorf("six of five: %v, %s, %+v", x.Fires, x.Reason, x.Windows)
		}
		// Too slow: never more than two within five minutes.
		if x = explain(bruteForce, events[6]); x.Fires || x.Windows[0].Measured != 2 {
			t.Errorf("too slow: %v, %s", x.Fires, x.Reason)
		}
		// Not stored: run among those that are.
		extra := events[0]
		extra.ID, extra.Time = event.ID{Seq: 77}, noon.Add(150*time.Second).UnixNano()
		if x = explain(bruteForce, extra); x.Windows[0].Measured != 4 {
			t.Errorf("one more: %s", x.Reason)
		}

		const change = "  type: event_count\n  rules: [failed]\n  group-by: [src_ip]\n  timespan: 5m\n  condition: {gte: 5}\n"
		values := strings.Replace(bruteForce, change, "  type: value_count\n  rules: [failed]\n  group-by: [src_ip]\n  timespan: 5m\n  condition: {field: user, gt: 3}\n", 1)
		if x = explain(values, events[1]); x.Fires || x.Windows[0].Measured != 3 || !strings.Contains(x.Reason, "is 1 short: within 5m of src_ip \"203.0.113.9\" there are 3 different values of user, and it fires at gt 3") {
			t.Errorf("values: %s", x.Reason)
		}
		both := strings.Replace(bruteForce, "title: Brute force", "title: Success\nname: success\nlogsource: {product: linux, service: sshd}\ndetection: {s: {action: login, outcome: success}, condition: s}\n---\ntitle: Brute force", 1)
		both = strings.Replace(both, change, "  type: temporal\n  rules: [failed, success]\n  group-by: [src_ip]\n  timespan: 5m\n", 1)
		if x = explain(both, events[1]); x.Fires || !strings.HasPrefix(x.Reason, "“Brute force” waits for Success: within 5m of src_ip \"203.0.113.9\" 1 of 2 rules matched") {
			t.Errorf("temporal: %s", x.Reason)
		}
		if d := cmp.Diff([]string{"Failed login"}, x.Windows[0].SeenRules); d != "" {
			t.Error(d)
		}
		if x = explain(both, events[len(events)-1]); !x.Fires || len(x.Windows[0].AbsentRules) != 0 {
			t.Errorf("temporal with both: %s", x.Reason)
		}
		// An event that no rule takes.
		if x = explain(bruteForce, events[len(events)-1]); x.Fires || len(x.Windows) != 0 || !strings.HasPrefix(x.Reason, "selection “failed” does not hold: outcome wants \"failure\", and the event has \"success\"") {
			t.Errorf("not counted: %s", x.Reason)
		}
		// One that cannot be grouped.
		lacking := strings.Replace(bruteForce, "group-by: [src_ip]", "group-by: [src_ip, session_id]", 1)
		if x = explain(lacking, events[0]); x.Fires || x.Reason != "the event matches, but “Brute force” does not count it: it has no field session_id to group by" {
			t.Errorf("no group: %s", x.Reason)
		}
	})
}

func TestExplainChain(t *testing.T) {
	b := newBench(t, &memory.Store{})
	chain := strings.Replace(bruteForce, "title: Brute force", "title: Brute force\nname: brute", 1) + `---
title: Two waves
correlation: {type: event_count, rules: [brute], group-by: [src_ip], timespan: 1h, condition: {gte: 2}}
`
	var lines []line
	for wave := range 2 {
		for i := range 5 {
			lines = append(lines, failure(noon.Add(time.Duration(wave)*20*time.Minute+time.Duration(i)*time.Second), "root", "203.0.113.9"))
		}
	}
	b.put(1, lines[:5]...)
	e := eventOf("source", "sshd", "action", "login", "outcome", "failure", "src_ip", "203.0.113.9")
	e.Time = noon.Add(10 * time.Second).UnixNano()
	x, err := b.Explain(t.Context(), 1, Subject{Text: chain}, e)
	if err != nil {
		t.Fatal(err)
	}
	if x.Fires || len(x.Windows) != 1 || !x.Windows[0].Fired || !strings.HasSuffix(x.Reason, "; it raises nothing by itself, but counts for “Two waves”") {
		t.Errorf("one wave: %v, %s", x.Fires, x.Reason)
	}
}

func TestExplainOfTheCatalogue(t *testing.T) {
	b := newBench(t, &memory.Store{})
	d, err := b.rules.Create(t.Context(), 1, "ann", rule.Change{YAML: []byte("title: Failed\nlogsource: {product: linux, service: sshd}\ndetection: {s: {action: login, outcome: failure}, condition: s}\n"), Status: rule.Draft})
	if err != nil {
		t.Fatal(err)
	}
	e := b.put(1, failure(noon, "root", "203.0.113.9"))[0]
	x, err := b.Explain(t.Context(), 1, Subject{ID: d.ID}, &e)
	if err != nil || !x.Fires || x.Reason != "“Failed” matches the event; but the rule is DRAFT" || x.Rule != (RuleName{d.ID, "Failed"}) {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := b.rules.Change(t.Context(), 1, "ann", d.ID, rule.Change{Staged: new(true)}); err != nil {
		t.Fatal(err)
	}
	if x, err = b.Explain(t.Context(), 1, Subject{ID: d.ID}, &e); err != nil || x.Reason != "“Failed” matches the event; the rule is staged, so that it raises no alert" {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := b.Explain(t.Context(), 2, Subject{ID: d.ID}, &e); !errors.Is(err, fault.NotFound) {
		t.Errorf("another tenant's rule: %v", err)
	}
}
