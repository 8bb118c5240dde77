package content

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// run imports files as a zip for tenant 2.
func (b *bundle) run(t *testing.T, o Options, files ...entry) *Report {
	t.Helper()
	tree, err := Unpack("pack.zip", zipOf(t, files...), Sigma())
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.importer.Import(t.Context(), 2, "ann", tree, Sigma(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// summary is a report in one line.
func (r *Report) summary() string {
	s := fmt.Sprintf("%d new %d updated %d unchanged %d edited %d conflicts %d refused", r.Created, r.Updated, r.Unchanged, r.Edited, r.Conflicting, len(r.Refused))
	for _, g := range r.Gone {
		s += " gone:" + g.ID
	}
	for _, x := range r.Skipped {
		s += fmt.Sprintf(" skipped:%d", x.Count)
	}
	return s
}

func TestImportTells(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := setup(t, db)
		e := event.Event{Tenant: 2}
		for _, f := range [][2]string{{"source", "windows"}, {"Channel", "Microsoft-Windows-Sysmon/Operational"}, {"EventID", "1"}, {"Image", "x"}} {
			e.Add(f[0], f[1])
		}
		b.sight.Observe(&e)
		broken := strings.Replace(ruleText("d", "D"), "condition: a", "condition: z", 1)
		noID := strings.Replace(ruleText("x", "Without"), "id: x\n", "", 1)
		files := []entry{
			{"LICENSE.md", "MIT License"},
			{"a.yml", ruleText("a", "A")},
			{"b.yml", strings.Replace(ruleText("b", "B"), "Image", "ParentImage", 1) + "license: DRL 1.1\n"},
			{"c.yml", correlationText("a")},
			{"c2.yml", strings.Replace(correlationText("b, a"), "id: c", "id: c2", 1)},
			{"c3.yml", strings.Replace(correlationText("b"), "id: c", "id: c3", 1)},
			{"c4.yml", strings.Replace(correlationText("elsewhere"), "id: c", "id: c4", 1)},
			{"c5.yml", strings.Replace(correlationText("c5"), "id: c", "id: c5", 1)},
			{"d.yml", broken},
			{"e.yml", noID},
			{"a-again.yml", ruleText("a", "A once more")},
			{"old.yml", ruleText("old", "Old") + "status: deprecated\n"},
		}
		r := b.run(t, Options{}, files...)
		if got, want := r.summary(), "7 new 0 updated 0 unchanged 0 edited 0 conflicts 3 refused skipped:1"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		var refused, blind []string
		for _, x := range r.Refused {
			reason, _, _ := strings.Cut(x.Reason, ":")
			refused = append(refused, fmt.Sprintf("%s:%d:%d %s", x.File, x.Line, x.Column, reason))
		}
		for _, x := range r.Blind {
			blind = append(blind, x.ID+": "+x.Reason)
		}
		// Files are read in order of their names.
		if d := cmp.Diff([]string{
			"a.yml:1:1 another rule of this import has the id a",
			"c5.yml:5:1 it counts itself",
			"d.yml:9:16 condition",
		}, refused); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{
			"b: no event of windows/process_creation has the field ParentImage",
			"c3: no event of windows/process_creation has the field ParentImage",
			"c4: the rule elsewhere, which it counts, is not active",
		}, blind); d != "" {
			t.Error(d)
		}
		licenses := map[string]string{}
		active, _, err := b.rules.Active(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range active {
			licenses[a.ID] = a.License
			if !strings.HasPrefix(a.Origin, "file:pack/") {
				t.Errorf("rule %s comes from %s", a.ID, a.Origin)
			}
		}
		if licenses["a"] != "MIT" || licenses["b"] != DRL {
			t.Errorf("licences are %v", licenses)
		}
		// What could not be read, or was left out by level, is not gone.
		files[1].text = broken
		r = b.run(t, Options{Prune: true, MinLevel: "critical"}, files...)
		if len(r.Gone) > 0 {
			t.Errorf("gone: %v", r.Gone)
		}
		r = b.run(t, Options{}, files[:9]...)
		if len(r.Gone) != 2 || r.Gone[0].File != "e.yml" || r.Gone[1].File != "a-again.yml" {
			t.Errorf("gone: %v", r.Gone)
		}
	})
}

// TestImportKnowsItsPack has the same rules come from elsewhere.
func TestImportKnowsItsPack(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	b := setup(t, db)
	b.run(t, Options{Pack: "vendor", Source: "https://github.com/o/r", License: "DRL 1.1"}, entry{"a.yml", ruleText("a", "A")})
	if r := b.run(t, Options{Pack: "found somewhere"}, entry{"x/a.yml", ruleText("a", "A")}); r.Unchanged != 1 {
		t.Error(r.summary())
	}
	packed, err := b.rules.Packed(t.Context(), 2, "")
	if err != nil || len(packed) != 1 || packed[0].Pack != "vendor" || packed[0].Origin != "https://github.com/o/r/blob/HEAD/a.yml" || packed[0].License != DRL {
		t.Errorf("%+v, %v", packed, err)
	}
	b.run(t, Options{Pack: "other vendor", Source: "https://example.org/rules"}, entry{"b.yml", ruleText("a", "A")})
	if packed, _ = b.rules.Packed(t.Context(), 2, "other vendor"); len(packed) != 1 || packed[0].Origin != "https://example.org/rules#b.yml" {
		t.Errorf("%+v", packed)
	}
}

func TestImportOptionsAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, sqldbtest.SQLite(t))
	tree, err := Unpack("x.yml", []byte(ruleText("a", "A")), Sigma())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{MinLevel: "loud"}, {Status: "ON"}, {OnConflict: "mine"}, {Staged: true}, {Pack: strings.Repeat("p", 300)}} {
		if _, err := b.importer.Import(t.Context(), 2, "ann", tree, Sigma(), o); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v was taken: %v", o, err)
		}
	}
	if _, err := b.importer.Import(t.Context(), 2, "ann", newTree("empty"), Sigma(), Options{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("nothing was imported: %v", err)
	}
	if r := b.run(t, Options{Status: rule.Off}, entry{"a.yml", ruleText("a", "A")}); r.Created != 1 {
		t.Error(r.summary())
	}
	if d, err := b.rules.Get(t.Context(), 2, "a"); err != nil || d.Status != rule.Off {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestRepacked has a tree sent elsewhere be the same there.
func TestRepacked(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{"p.zip": zipOf(t, entry{"rules/a.yml", "one"}, entry{"rules/b.yml", "two"}), "a.yml": []byte("three")} {
		tree, err := Unpack(name, data, Sigma())
		if err != nil {
			t.Fatal(err)
		}
		again, packed, err := tree.Repack()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Unpack(again, packed, Sigma())
		if err != nil || got.Name != tree.Name || got.single != tree.single || !cmp.Equal(got.Files, tree.Files) {
			t.Errorf("%s became %+v, %v", name, got, err)
		}
	}
}

func TestExportNamesAreSafe(t *testing.T) {
	t.Parallel()
	rules := []rule.Packed{
		{ID: "1", Name: "Ä | b", Pack: "../p", File: "../../etc/x.yml", YAML: "1"},
		{ID: "2", Name: "same", YAML: "2"},
		{ID: "3", Name: "Same", YAML: "3"},
		{ID: "4", Name: "conv", Pack: "w", File: "0010-rules.xml", YAML: "4"},
		{ID: "5", Name: "conv", Pack: "w", File: "0010-rules.xml", YAML: "5"},
		{ID: "6", Name: "!!!", YAML: "6", Author: "a|b\nc"},
	}
	var b bytes.Buffer
	if err := WriteZip(&b, rules); err != nil {
		t.Fatal(err)
	}
	tree, err := Unpack("x.zip", b.Bytes(), Sigma())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"own/rule.yml", "own/same-3.yml", "own/same.yml", "p/etc/x.yml", "w/0010-rules-5.yml", "w/0010-rules.yml"}
	if d := cmp.Diff(want, names(tree)); d != "" {
		t.Error(d)
	}
}
