package rule_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func imported(t *testing.T, texts ...string) []rule.Imported {
	t.Helper()
	var out []rule.Imported
	for _, text := range texts {
		m, err := check([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		m.License, m.Origin = "DRL-1.1", "https://example.org/"+m.ID
		out = append(out, rule.Imported{Meta: m, YAML: text, File: m.ID + ".yml"})
	}
	return out
}

func happenings(r *rule.ImportResult) string {
	var out []string
	for _, o := range r.Outcomes {
		out = append(out, string(o.Happening))
	}
	for _, g := range r.Gone {
		out = append(out, fmt.Sprintf("gone %s edited=%t removed=%t", g.ID, g.Edited, g.Removed))
	}
	return strings.Join(out, " ")
}

func TestImportKeepsWhatTheTenantDecided(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := synced(t, db, shipped...)
		ctx := t.Context()
		s.SetSilences(func(context.Context, uint32, string, string, string) (*rule.Preview, error) {
			return &rule.Preview{}, nil
		})
		run := func(in rule.Import, texts ...string) *rule.ImportResult {
			t.Helper()
			in.Pack, in.Whole = "pack", true
			in.Rules = imported(t, texts...)
			r, err := s.Import(ctx, 2, "ann", in)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		text := func(id string, n int) string { return fmt.Sprintf("Rule %s\n%d\n|high|%s|discovery", id, n, id) }
		want := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		names := []string{"off", "loud", "edited", "both", "gone", "plain"}
		all := func(n int) []string {
			var out []string
			for _, id := range names {
				out = append(out, text(id, n))
			}
			return out
		}
		want("a dry run", happenings(run(rule.Import{DryRun: true}, all(1)...)), "created created created created created created")
		if _, err := s.Get(ctx, 2, "plain"); !errors.Is(err, fault.NotFound) {
			t.Errorf("a dry run left a rule: %v", err)
		}
		want("the first time", happenings(run(rule.Import{}, all(1)...)), "created created created created created created")

		for id, c := range map[string]rule.Change{
			"off": {Status: rule.Off}, "loud": {Severity: new("low")}, "edited": {YAML: []byte(text("edited", 77))}, "both": {YAML: []byte(text("both", 77))},
		} {
			if _, err := s.Change(ctx, 2, "bob", id, c); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.CreateException(ctx, 2, "bob", "loud", rule.ExceptionDraft{Scope: &rule.Scope{Fields: map[string][]string{"host": {"web-01"}}}, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
		_, before := active(t, s, 2)
		want("nothing new", happenings(run(rule.Import{}, all(1)...)), "unchanged unchanged edited edited unchanged unchanged")
		if _, g := active(t, s, 2); g != before {
			t.Error("an import without anything new changed the generation")
		}

		second := []string{text("off", 2), text("loud", 2), text("edited", 1), text("both", 2), text("plain", 2)}
		r := run(rule.Import{}, second...)
		want("the second version", happenings(r), "updated updated edited conflict updated gone gone edited=false removed=false")
		if o := r.Outcomes[3]; !strings.Contains(o.Ours, "-1\n+77\n") || !strings.Contains(o.Theirs, "-1\n+2\n") {
			t.Errorf("the conflict shows\n%s\n%s", o.Ours, o.Theirs)
		}
		off, _ := s.Get(ctx, 2, "off")
		loud, _ := s.Get(ctx, 2, "loud")
		both, _ := s.Get(ctx, 2, "both")
		if off.Status != rule.Off || off.YAML != text("off", 2) || off.Version != 2 || loud.Severity != "low" || both.YAML != text("both", 77) {
			t.Errorf("off is %s at version %d, loud is %s, both is %q", off.Status, off.Version, loud.Severity, both.YAML)
		}
		if a := activeRule(t, s, 2, "loud"); a == nil || len(a.Exceptions) != 1 || a.SeverityOverride != "low" {
			t.Errorf("loud runs as %+v", a)
		}
		if off.License != "DRL-1.1" || off.Origin != "https://example.org/off" || off.Pack != "pack" {
			t.Errorf("licence %q, origin %q, pack %q", off.License, off.Origin, off.Pack)
		}
		want("once more", happenings(run(rule.Import{}, second...)), "unchanged unchanged edited conflict unchanged gone gone edited=false removed=false")
		want("settled as ours", happenings(run(rule.Import{OnConflict: rule.Ours}, second...)), "unchanged unchanged edited edited unchanged gone gone edited=false removed=false")
		want("and settled it is", happenings(run(rule.Import{}, second...)), "unchanged unchanged edited edited unchanged gone gone edited=false removed=false")
		third := strings.Replace(strings.Join(second, ";"), text("both", 2), text("both", 3), 1)
		want("until it changes again", happenings(run(rule.Import{}, strings.Split(third, ";")...)), "unchanged unchanged edited conflict unchanged gone gone edited=false removed=false")
		want("theirs", happenings(run(rule.Import{OnConflict: rule.Theirs}, strings.Split(third, ";")...)), "unchanged unchanged edited updated unchanged gone gone edited=false removed=false")
		if both, _ = s.Get(ctx, 2, "both"); both.YAML != text("both", 3) {
			t.Errorf("theirs left %q", both.YAML)
		}

		want("pruned", happenings(run(rule.Import{Prune: true}, text("off", 2))),
			"unchanged gone both edited=false removed=true gone edited edited=true removed=false gone gone edited=false removed=true gone loud edited=false removed=true gone plain edited=false removed=true")
		if got, _ := active(t, s, 2); strings.Contains(got, "plain") || !strings.Contains(got, "edited") {
			t.Errorf("after pruning %s", got)
		}
		r = run(rule.Import{}, text("off", 2), text("loud", 2))
		want("what was pruned may come back", happenings(r), "unchanged created gone edited edited=true removed=false")
		if loud, _ = s.Get(ctx, 2, "loud"); loud.Severity != "high" || loud.Version != 3 {
			t.Errorf("it came back as %s at version %d", loud.Severity, loud.Version)
		}
		if _, err := s.Get(ctx, 3, "off"); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant sees it: %v", err)
		}
	})
}

func TestImportRefusesSingleRules(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := synced(t, db, shipped...)
		rules := imported(t, "A|high|a|discovery", "Again|high|a|discovery", "Shipped|high|b1|discovery", "No id|high||discovery", "Bad id|high|x y|discovery", "No level|huge|n|discovery", "Fine|low|f|discovery")
		rules = append(rules, rule.Imported{Meta: rule.Meta{ID: "z", Name: "Z", Severity: "low"}, YAML: "a\x00b"})
		r, err := s.Import(t.Context(), 2, "ann", rule.Import{Pack: "p", Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := happenings(r), "created refused refused refused refused refused created refused"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		for i, want := range map[int]string{1: "another rule of this import", 2: "comes with KYRA", 3: "no id"} {
			if !strings.Contains(r.Outcomes[i].Reason, want) {
				t.Errorf("rule %d is refused because %q", i, r.Outcomes[i].Reason)
			}
		}
	})
}

func TestImportMeetsRulesWrittenHere(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := synced(t, db)
		for _, text := range []string{"Same|high|same|discovery", "Mine|high|mine|discovery"} {
			if _, err := s.Create(t.Context(), 2, "ann", rule.Change{YAML: []byte(text)}); err != nil {
				t.Fatal(err)
			}
		}
		rules := imported(t, "Same|high|same|discovery", "Theirs|high|mine|discovery")
		r, err := s.Import(t.Context(), 2, "ann", rule.Import{Pack: "p", Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		if happenings(r) != "unchanged conflict" || r.Outcomes[1].Ours != "" || !strings.Contains(r.Outcomes[1].Theirs, "-Mine|") {
			t.Errorf("%s, %+v", happenings(r), r.Outcomes[1])
		}
		same, _ := s.Get(t.Context(), 2, "same")
		mine, _ := s.Get(t.Context(), 2, "mine")
		if same.Pack != "p" || same.Origin == "" || mine.Pack != "" {
			t.Errorf("packs %q and %q", same.Pack, mine.Pack)
		}
	})
}

func TestImportAsStagedDrafts(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := synced(t, db)
		in := rule.Import{Pack: "p", Rules: imported(t, "A|high|a|discovery"), Status: rule.Draft, Staged: true}
		if _, err := s.Import(t.Context(), 2, "ann", in); err != nil {
			t.Fatal(err)
		}
		if a := activeRule(t, s, 2, "a"); a == nil || !a.Staged || a.License != "DRL-1.1" {
			t.Errorf("it runs as %+v", a)
		}
		in.Status = rule.On
		if _, err := s.Import(t.Context(), 2, "ann", in); !errors.Is(err, fault.Invalid) {
			t.Errorf("an active rule was staged: %v", err)
		}
		for _, bad := range []rule.Import{{}, {Pack: "p", Status: "ON"}, {Pack: "p", OnConflict: "mine"}, {Pack: strings.Repeat("p", 201)}} {
			if _, err := s.Import(t.Context(), 2, "ann", bad); !errors.Is(err, fault.Invalid) {
				t.Errorf("%+v was taken: %v", bad, err)
			}
		}
	})
}

func TestValueLists(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := synced(t, db)
		ctx := t.Context()
		_, before := active(t, s, 2)
		l, isNew, err := s.SetValueList(ctx, 2, "ann", "Admins", "who may", []string{"root", "adm*"})
		if err != nil || !isNew || l.Version != 1 || l.Count != 2 || !cmp.Equal(l.Values, []string{"root", "adm*"}) {
			t.Fatalf("%+v, %t, %v", l, isNew, err)
		}
		if _, now := active(t, s, 2); now == before {
			t.Error("matchers are not told of a new list")
		}
		if l, isNew, err = s.SetValueList(ctx, 2, "bob", "Admins", "", nil); err != nil || isNew || l.Version != 2 || l.Count != 0 || l.UpdatedBy != "bob" {
			t.Errorf("%+v, %t, %v", l, isNew, err)
		}
		if all, err := s.ValueLists(ctx, 2); err != nil || len(all) != 1 || all[0].Name != "Admins" {
			t.Errorf("ValueLists() = %+v, %v", all, err)
		}
		if lists, err := s.Lists(ctx, 2); err != nil || len(lists) != 1 || len(lists["Admins"]) != 0 {
			t.Errorf("Lists() = %v, %v", lists, err)
		}
		if lists, err := s.Lists(ctx, 3); err != nil || len(lists) != 0 {
			t.Errorf("another tenant has %v, %v", lists, err)
		}
		if _, err := s.ValueList(ctx, 3, "Admins"); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant's list: %v", err)
		}
		if err := s.DeleteValueList(ctx, 3, "eve", "Admins"); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant removes it: %v", err)
		}
		if err := s.DeleteValueList(ctx, 2, "ann", "Admins"); err != nil {
			t.Error(err)
		}
		if err := s.DeleteValueList(ctx, 2, "ann", "Admins"); !errors.Is(err, fault.NotFound) {
			t.Errorf("removed twice: %v", err)
		}
		for name, values := range map[string][]string{
			"": {"x"}, "a b": {"x"}, "a/b": {"x"}, "empty": {""}, "nul": {"a\x00"}, "bytes": {"\xff"}, "long": {strings.Repeat("x", 2000)}, "many": make([]string, rule.MaxListValues+1),
		} {
			if _, _, err := s.SetValueList(ctx, 2, "ann", name, "", values); !errors.Is(err, fault.Invalid) {
				t.Errorf("list %q with %d values: %v", name, len(values), err)
			}
		}
		if _, _, err := s.SetValueList(ctx, 2, "ann", "big", "", slicesOf(strings.Repeat("x", 1000), 1100)); !errors.Is(err, fault.TooLarge) {
			t.Errorf("a list of 1.1 MB: %v", err)
		}
	})
}

func slicesOf(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}
