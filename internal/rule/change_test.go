package rule_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func activeRule(t *testing.T, s *rule.Service, tenant uint32, id string) *rule.Active {
	t.Helper()
	list, _, err := s.Active(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}

func TestStagedDraftRunsSilently(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		_, before := active(t, s, 1)
		if _, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Staged: new(true)}); !errors.Is(err, fault.Invalid) {
			t.Errorf("staging an active rule = %v, want Invalid", err)
		}
		d, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Status: "draft", Staged: new(true), Reason: " try it "})
		if err != nil || d.Status != rule.Draft || !d.Staged {
			t.Fatalf("Change = %+v, %v", d, err)
		}
		a := activeRule(t, s, 1, "b1")
		if a == nil || !a.Staged {
			t.Errorf("the staged draft runs as %+v", a)
		}
		if a := activeRule(t, s, 2, "b1"); a == nil || a.Staged {
			t.Errorf("for another tenant it runs as %+v", a)
		}
		if _, after := active(t, s, 1); after <= before {
			t.Error("the generation did not rise")
		}
		// A draft that is no longer staged does not run; nor does staging outlive a change of status.
		if d, err = s.Change(ctx, 1, "ann", "b1", rule.Change{Staged: new(false)}); err != nil || d.Staged || d.Status != rule.Draft || activeRule(t, s, 1, "b1") != nil {
			t.Errorf("Change = %+v, %v", d, err)
		}
		for _, c := range []rule.Change{{Staged: new(true)}, {Status: rule.On}, {Status: rule.Draft}} {
			if d, err = s.Change(ctx, 1, "ann", "b1", c); err != nil {
				t.Fatal(err)
			}
		}
		if d.Staged || activeRule(t, s, 1, "b1") != nil {
			t.Errorf("a draft is staged by its past: %+v", d)
		}
		entries, _, err := audit.List(ctx, db, 1, audit.Filter{Object: "b1", Size: 100})
		if err != nil || len(entries) != 5 || !strings.Contains(string(entries[4].Detail), `"reason":"try it"`) || !strings.Contains(string(entries[4].Detail), `"staged":true`) {
			t.Errorf("audit has %d entries, the first %s, %v", len(entries), entries[len(entries)-1].Detail, err)
		}
	})
}

func TestStagedAccountBeginsAnew(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db)
		d, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte("Mine|low||"), Status: rule.Draft, Staged: new(true)})
		if err != nil || !d.Staged {
			t.Fatalf("Create = %+v, %v", d, err)
		}
		day := int64(86400e9)
		seen := []rule.Staged{
			{Tenant: 1, RuleID: d.ID, Key: "user=ann", Count: 3, First: 100 * day, Last: 100*day + 5e9, Events: []event.ID{{Seq: 1}, {Seq: 2}}},
			{Tenant: 1, RuleID: d.ID, Key: "user=ann", Count: 2, First: 100*day + 6e9, Last: 100*day + 7e9, Events: []event.ID{{Seq: 2}, {Seq: 3}}},
			{Tenant: 1, RuleID: d.ID, Key: "user=bob", Count: 1, First: 102 * day, Last: 102 * day, Events: []event.ID{{Seq: 4}}},
			{Tenant: 1, RuleID: d.ID, Key: "user=ann", Count: 1, First: 102 * day, Last: 102 * day, Events: []event.ID{{Seq: 5}}},
		}
		if err := db.Tx(ctx, func(tx *sqldb.DB) error { return s.RecordStaged(ctx, tx, seen) }); err != nil {
			t.Fatal(err)
		}
		r, err := s.StagedReport(ctx, 1, d.ID)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%d events, %d alerts, %d keys, %s to %s;", r.Count, r.Alerts, r.Keys, r.First.Format("02 15:04:05"), r.Last.Format("02 15:04:05"))
		for _, x := range r.Days {
			got += fmt.Sprintf(" %s %d/%d", x.Day.Format("01-02"), x.Count, x.Alerts)
		}
		for _, k := range r.ByKey {
			got += fmt.Sprintf(" %s %d/%d %d", k.Key, k.Count, k.Alerts, len(k.Events))
		}
		if want := "7 events, 3 alerts, 2 keys, 11 00:00:00 to 13 00:00:00; 04-11 5/1 04-13 2/2 user=ann 6/2 4 user=bob 1/1 1"; got != want {
			t.Errorf("report is\n%s, want\n%s", got, want)
		}
		if _, err := s.StagedReport(ctx, 2, d.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("report for another tenant = %v", err)
		}
		if _, err := s.Change(ctx, 1, "ann", d.ID, rule.Change{YAML: []byte("Mine now|low||")}); err != nil {
			t.Fatal(err)
		}
		if r, err = s.StagedReport(ctx, 1, d.ID); err != nil || r.Count != 0 || r.First != nil || len(r.ByKey) != 0 || !r.Staged {
			t.Errorf("after a change of the text the report is %+v, %v", r, err)
		}
	})
}

func TestSeverityOverride(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		d, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Severity: new("Informational"), Reason: "noise here"})
		if err != nil || d.Severity != "info" || d.TextSeverity != "high" || d.Version != 1 {
			t.Fatalf("Change = %+v, %v", d, err)
		}
		if a := activeRule(t, s, 1, "b1"); a.SeverityOverride != "info" {
			t.Errorf("it runs as %+v", a)
		}
		if a := activeRule(t, s, 2, "b1"); a.SeverityOverride != "" {
			t.Errorf("for another tenant it runs as %+v", a)
		}
		if p, err := s.List(ctx, 1, rule.Query{Filter: rule.Filter{Severities: []string{"info"}}}); err != nil || p.Total != 1 {
			t.Errorf("List = %+v, %v", p, err)
		}
		// A new text of the pack leaves the tenant's choice alone.
		synced(t, db, "Brute Force 2|critical|b1|credential_access|T1110")
		if d, err = s.Get(ctx, 1, "b1"); err != nil || d.Severity != "info" || d.TextSeverity != "critical" {
			t.Errorf("Get = %+v, %v", d, err)
		}
		at := d.UpdatedAt
		if d, err = s.Change(ctx, 1, "ann", "b1", rule.Change{Severity: new("")}); err != nil || d.Severity != "critical" || !d.UpdatedAt.After(at) {
			t.Errorf("Change back = %+v, %v", d, err)
		}
		if a := activeRule(t, s, 1, "b1"); a.SeverityOverride != "" {
			t.Errorf("it runs as %+v", a)
		}
		if _, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Severity: new("urgent")}); !errors.Is(err, fault.Invalid) {
			t.Errorf("severity urgent = %v", err)
		}
	})
}

func TestChangeIsWholeOrNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		if _, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Status: rule.Off, YAML: []byte("X|low||")}); !errors.Is(err, fault.Forbidden) {
			t.Errorf("Change = %v, want Forbidden", err)
		}
		if d, err := s.Get(ctx, 1, "b1"); err != nil || d.Status != rule.On {
			t.Errorf("half of the change stayed: %+v, %v", d, err)
		}
		if _, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Reason: "why not"}); !errors.Is(err, fault.Invalid) {
			t.Errorf("an empty change = %v", err)
		}
		if _, err := s.Change(ctx, 1, "ann", "b1", rule.Change{Status: rule.Off, Reason: strings.Repeat("x", 1001)}); !errors.Is(err, fault.Invalid) {
			t.Errorf("a long reason = %v", err)
		}
	})
}

func TestBulk(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		if _, err := s.Change(ctx, 1, "ann", "b2", rule.Change{Status: rule.Draft}); err != nil {
			t.Fatal(err)
		}
		results, err := s.Bulk(ctx, 1, "ann", []string{"b1", "gone", "b2"}, rule.Change{Staged: new(true)})
		if err != nil || !errors.Is(results[0].Err, fault.Invalid) || !errors.Is(results[1].Err, fault.NotFound) || results[2].Err != nil {
			t.Fatalf("Bulk = %+v, %v", results, err)
		}
		results, err = s.Bulk(ctx, 1, "ann", []string{"b1", "b2"}, rule.Change{Status: "inactive"})
		if err != nil || results[0].Err != nil || results[1].Err != nil {
			t.Fatalf("Bulk = %+v, %v", results, err)
		}
		if ids, _ := active(t, s, 1); ids != "b3@1 b4@1" {
			t.Errorf("active: %s", ids)
		}
		for _, ids := range [][]string{nil, make([]string, 1001)} {
			if _, err := s.Bulk(ctx, 1, "ann", ids, rule.Change{Status: rule.On}); !errors.Is(err, fault.Invalid) {
				t.Errorf("Bulk of %d = %v", len(ids), err)
			}
		}
	})
}

func TestVersionsSayWhoAndWhy(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped[0])
		d, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte("One|low||"), Reason: "first"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Change(ctx, 1, "bob", d.ID, rule.Change{YAML: []byte("Two|low||\n"), Reason: "better"}); err != nil {
			t.Fatal(err)
		}
		if d, err = s.Restore(ctx, 1, "eve", d.ID, 1, ""); err != nil || d.Version != 3 || d.Name != "One" {
			t.Fatalf("Restore = %+v, %v", d, err)
		}
		var got []string
		for _, v := range versionsOf(t, s, d.ID) {
			got = append(got, fmt.Sprintf("%d %s: %s", v.Version, v.Actor, v.Reason))
		}
		if want := "3 eve: Version 1 restored, 2 bob: better, 1 ann: first"; strings.Join(got, ", ") != want {
			t.Errorf("versions are %s, want %s", strings.Join(got, ", "), want)
		}
		v, err := s.GetVersion(ctx, 1, d.ID, 2)
		if err != nil || v.YAML != "Two|low||\n" {
			t.Errorf("GetVersion = %+v, %v", v, err)
		}
		text, err := s.Diff(ctx, 1, d.ID, 0, 2)
		if want := "--- version 1\n+++ version 2\n@@ -1 +1 @@\n-One|low||\n\\ No newline at end of file\n+Two|low||\n"; err != nil || text != want {
			t.Errorf("Diff = %q, %v; want %q", text, err, want)
		}
		if text, err := s.Diff(ctx, 1, d.ID, 0, 1); err != nil || !strings.Contains(text, "--- version 0\n+++ version 1\n@@ -0,0 +1 @@\n+One") {
			t.Errorf("Diff of the first = %q, %v", text, err)
		}
		if text, err := s.Diff(ctx, 1, d.ID, 1, 3); err != nil || text != "" {
			t.Errorf("Diff of the same = %q, %v", text, err)
		}
		for name, err := range map[string]error{
			"version 9":      second(s.GetVersion(ctx, 1, d.ID, 9)),
			"diff 9":         second(s.Diff(ctx, 1, d.ID, 1, 9)),
			"of another":     second(s.GetVersion(ctx, 2, d.ID, 1)),
			"restore":        second(s.Restore(ctx, 2, "eve", d.ID, 1, "")),
			"restore 9":      second(s.Restore(ctx, 1, "eve", d.ID, 9, "")),
			"diff of others": second(s.Diff(ctx, 2, d.ID, 0, 1)),
		} {
			if !errors.Is(err, fault.NotFound) {
				t.Errorf("%s = %v, want NotFound", name, err)
			}
		}
		if _, err := s.Restore(ctx, 1, "eve", "b1", 1, ""); err != nil {
			t.Errorf("restoring what is = %v", err)
		}
	})
}

func TestRuleThatCountsOthers(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		synced(t, db, shipped...)
		s := rule.New(db, func(yaml []byte) (rule.Meta, error) { return rule.Meta{Name: "R", Severity: "low"}, nil })
		counting := func(names string) []byte {
			return []byte("title: c\ncorrelation: {type: temporal, rules: [" + names + "], timespan: 1m}\n---\ntitle: h\nname: here\nlogsource: {product: a}\ndetection: {s: {a: b}, condition: s}\n")
		}
		if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte("title: x\nname: named\nlogsource: {product: a}\ndetection: {s: {a: b}, condition: s}\n")}); err != nil {
			t.Fatal(err)
		}
		d, err := s.Create(ctx, 1, "ann", rule.Change{YAML: counting("b1, named, here")})
		if err != nil {
			t.Fatalf("counting known rules: %v", err)
		}
		for _, name := range []string{"gone", "name", "b"} {
			if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: counting("b1, " + name)}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), strconv.Quote(name)) {
				t.Errorf("counting %s = %v, want Invalid", name, err)
			}
			if _, err := s.Change(ctx, 1, "ann", d.ID, rule.Change{YAML: counting(name)}); !errors.Is(err, fault.Invalid) {
				t.Errorf("changing to count %s = %v, want Invalid", name, err)
			}
		}
		if _, err := s.Create(ctx, 2, "eve", rule.Change{YAML: counting("named")}); !errors.Is(err, fault.Invalid) {
			t.Errorf("counting another tenant's rule = %v, want Invalid", err)
		}
	})
}
