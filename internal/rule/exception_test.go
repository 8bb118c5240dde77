package rule_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// takes tells whether a Sigma filter takes an event of those fields.
func takes(t testing.TB, filter string, fields ...string) bool {
	t.Helper()
	docs, err := sigma.Parse([]byte(filter))
	if err != nil || len(docs) != 1 || docs[0].Filter == nil {
		t.Fatalf("no filter (%v):\n%s", err, filter)
	}
	var e event.Event
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	return sigma.Eval(docs[0], sigma.ViewOf(&e, sigma.Options{}))
}

func TestScope(t *testing.T) {
	for _, tt := range []struct {
		name     string
		scope    rule.Scope
		yes, no  [][]string
		contains string
	}{
		{
			"address of any field",
			rule.Scope{Entity: &rule.EntityScope{Type: "ip", Value: "10.0.0.5"}},
			[][]string{{"src_ip", "10.0.0.5"}, {"dst_ip", "10.0.0.5"}, {"related_ip", "10.0.0.5"}},
			[][]string{{"src_ip", "10.0.0.50"}, {"user", "10.0.0.5"}},
			"",
		},
		{
			"network",
			rule.Scope{Entity: &rule.EntityScope{Type: "ip", Field: "src_ip", Value: "10.0.0.0/24"}},
			[][]string{{"src_ip", "10.0.0.5"}},
			[][]string{{"src_ip", "10.0.1.5"}, {"dst_ip", "10.0.0.5"}},
			"src_ip|cidr",
		},
		{
			"wildcards are characters",
			rule.Scope{Entity: &rule.EntityScope{Field: "CommandLine", Value: `C:\a*\\b? "x"`}},
			[][]string{{"CommandLine", `C:\a*\\b? "x"`}, {"CommandLine", `c:\A*\\B? "X"`}},
			[][]string{{"CommandLine", `C:\aaa\\bb "x"`}, {"CommandLine", `C:\a*\b? "x"`}},
			"",
		},
		{"trailing backslash", rule.Scope{Entity: &rule.EntityScope{Field: "Path", Value: `C:\dir\`}}, [][]string{{"Path", `C:\dir\`}}, [][]string{{"Path", `C:\dir`}}, ""},
		{
			"fields",
			rule.Scope{Fields: map[string][]string{"User": {"svc", "ann"}, "Image": {`C:\x.exe`}}},
			[][]string{{"User", "SVC", "Image", `C:\X.exe`}, {"User", "ann", "Image", `C:\x.exe`}},
			[][]string{{"User", "svc"}, {"User", "bob", "Image", `C:\x.exe`}},
			"",
		},
		{"value that looks like yaml", rule.Scope{Fields: map[string][]string{"a: b": {"null", "- x\n# y", "%list%"}}}, [][]string{{"a: b", "null"}, {"a: b", "- x\n# y"}}, [][]string{{"a: b", ""}, {"a: b", "- x"}}, ""},
		{"unicode", rule.Scope{Fields: map[string][]string{"사용자": {"김 <&> \u2028"}}}, [][]string{{"사용자", "김 <&> \u2028"}}, nil, "김 <&>"},
		{"filter", rule.Scope{Filter: "selection:\n  Image|endswith: '\\backup.exe'\ncondition: selection\n"}, [][]string{{"Image", `C:\backup.exe`}}, [][]string{{"Image", "x"}}, ""},
		{"filter of what is kept", rule.Scope{Filter: "s:\n  User: ann\ncondition: not s"}, [][]string{{"User", "ann"}}, [][]string{{"User", "x"}}, ""},
		{"whole filter", rule.Scope{Filter: "title: t\nlogsource: {product: windows}\nfilter:\n  rules: [r1]\n  s: {User: ann}\n  condition: s\n"}, [][]string{{"User", "ann"}}, nil, ""},
	} {
		text, err := tt.scope.Sigma("r1")
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if !strings.Contains(text, tt.contains) {
			t.Errorf("%s has no %q:\n%s", tt.name, tt.contains, text)
		}
		for _, fields := range tt.yes {
			if !takes(t, text, fields...) {
				t.Errorf("%s does not take %q:\n%s", tt.name, fields, text)
			}
		}
		for _, fields := range tt.no {
			if takes(t, text, fields...) {
				t.Errorf("%s takes %q:\n%s", tt.name, fields, text)
			}
		}
	}
	for want, scope := range map[string]rule.Scope{
		"scope: Give exactly one":                         {},
		"scope: Give exactly one of":                      {Filter: "x", Fields: map[string][]string{"a": {"b"}}},
		"scope.entity.type: Allowed: domain, file, hash":  {Entity: &rule.EntityScope{Type: "planet", Value: "x"}},
		"scope.entity.value: Give a value":                {Entity: &rule.EntityScope{Type: "ip"}},
		"scope.entity.field: A field is a plain name":     {Entity: &rule.EntityScope{Field: "a|re", Value: "x"}},
		"scope.fields: Give 1 to 50":                      {Fields: map[string][]string{}},
		"scope.fields: Give each field a value":           {Fields: map[string][]string{"a": {}}},
		"scope.fields: A field is":                        {Fields: map[string][]string{"a|contains": {"x"}}},
		`scope.filter: line 2, column 12: condition: no`:  {Filter: "s: {a: b}\ncondition: t\n"},
		"scope.filter: line 3":                            {Filter: "title: x\nfilter:\n  rules: 5\n"},
		"scope.filter: the filter is for the rules other": {Filter: "title: t\nfilter:\n  rules: [other]\n  s: {User: ann}\n  condition: s\n"},
		"scope.filter: give one Sigma filter":             {Filter: "title: t\nfilter:\n  s: {User: ann}\n  condition: s\n---\ntitle: t\nfilter:\n  s: {User: ann}\n  condition: s\n"},
		"scope.filter: Allowed: up to 65536":              {Filter: strings.Repeat("x", 1<<17)},
	} {
		_, err := scope.Sigma("r1")
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Invalid || !strings.HasPrefix(f.Field+": "+f.Message, want) {
			t.Errorf("scope %+v = %v, want %s", scope, err, want)
		}
	}
}

func FuzzScope(f *testing.F) {
	f.Add("src_ip", "10.0.0.1", "s: {a: b}\ncondition: s")
	f.Add("a: b", "*\\?", "filter:\n  x")
	f.Add("-", "%x%", "s:\n - a\ncondition: 1 of them")
	f.Fuzz(func(t *testing.T, field, value, filter string) {
		s := rule.Scope{Fields: map[string][]string{field: {value}}}
		if text, err := s.Sigma("r"); err == nil {
			// What YAML cannot hold comes back as what JSON makes of it.
			if utf8.ValidString(field) && utf8.ValidString(value) && !takes(t, text, field, value) {
				t.Errorf("%q does not take %q", text, value)
			}
		} else if !errors.Is(err, fault.Invalid) {
			t.Errorf("fields %q: %q: %v", field, value, err)
		}
		if _, err := (&rule.Scope{Filter: filter}).Sigma("r"); err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("filter %q: %v", filter, err)
		}
	})
}

// silent previews as if nothing had been raised.
func silent(context.Context, uint32, string, string, string) (*rule.Preview, error) {
	return &rule.Preview{}, nil
}

func TestExceptions(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		s.SetSilences(silent)
		_, before := active(t, s, 1)
		soon := time.Now().Add(48 * time.Hour)
		x, err := s.CreateException(ctx, 1, "ann", "b1", rule.ExceptionDraft{
			Scope: &rule.Scope{Entity: &rule.EntityScope{Type: "ip", Field: "src_ip", Value: "10.0.0.5"}}, Reason: " the scanner ", ExpiresAt: &soon,
		})
		if err != nil {
			t.Fatal(err)
		}
		if x.RuleID != "b1" || x.RuleName != "Brute Force" || x.Reason != "the scanner" || x.Owner != "ann" || x.CreatedBy != "ann" || x.Expired || x.Version != 1 ||
			x.ExpiresAt == nil || !x.ExpiresAt.Equal(soon.UTC().Truncate(time.Microsecond)) || x.Scope.Kind() != rule.EntityKind || !takes(t, x.Sigma, "src_ip", "10.0.0.5") {
			t.Errorf("exception is %+v", x)
		}
		a := activeRule(t, s, 1, "b1")
		if len(a.Exceptions) != 1 || a.Exceptions[0].ID != x.ID || a.Exceptions[0].YAML != x.Sigma || !a.Exceptions[0].Until.Equal(*x.ExpiresAt) {
			t.Errorf("it runs as %+v", a)
		}
		if a := activeRule(t, s, 2, "b1"); len(a.Exceptions) != 0 {
			t.Errorf("for another tenant it runs as %+v", a)
		}
		_, created := active(t, s, 1)
		if created <= before {
			t.Error("the generation did not rise")
		}
		if err := s.RecordExceptionHits(ctx, db, []rule.ExceptionHits{{Tenant: 1, ID: x.ID, Hits: 3, Last: 5_000_000}, {Tenant: 1, ID: x.ID, Hits: 2, Last: 4_000_000}, {Tenant: 2, ID: x.ID, Hits: 9}}); err != nil {
			t.Fatal(err)
		}
		if x, err = s.GetException(ctx, 1, x.ID); err != nil || x.Hits != 5 || x.LastHitAt.UnixMicro() != 5000 {
			t.Errorf("exception is %+v, %v", x, err)
		}
		if _, same := active(t, s, 1); same != created {
			t.Error("hits raised the generation")
		}
		if x, err = s.ChangeException(ctx, 1, "bob", x.ID, rule.ExceptionDraft{Scope: &rule.Scope{Filter: "s: {user: ann}\ncondition: s"}, Owner: "soc", Forever: true, Version: 1}); err != nil ||
			x.ExpiresAt != nil || x.Owner != "soc" || x.Reason != "the scanner" || x.Version != 2 || x.Hits != 5 || !takes(t, x.Sigma, "user", "ann") {
			t.Errorf("changed exception is %+v, %v", x, err)
		}
		if _, changed := active(t, s, 1); changed <= created {
			t.Error("a change did not raise the generation")
		}
		if _, err := s.ChangeException(ctx, 1, "bob", x.ID, rule.ExceptionDraft{Reason: "x", Version: 1}); !errors.Is(err, fault.Conflict) {
			t.Errorf("change of an old version = %v", err)
		}
		for name, err := range map[string]error{
			"get":    second(s.GetException(ctx, 2, x.ID)),
			"change": second(s.ChangeException(ctx, 2, "eve", x.ID, rule.ExceptionDraft{Reason: "x"})),
			"delete": s.DeleteException(ctx, 2, "eve", x.ID),
			"nul":    second(s.GetException(ctx, 1, "\x00")),
			"rule":   second(s.CreateException(ctx, 1, "eve", "none", rule.ExceptionDraft{Reason: "x", Scope: &x.Scope})),
			"list":   third(s.ListExceptions(ctx, 1, rule.ExceptionQuery{RuleID: "none"})),
		} {
			if !errors.Is(err, fault.NotFound) {
				t.Errorf("%s = %v, want NotFound", name, err)
			}
		}
		past, far := time.Now().Add(-time.Second), time.Now().AddDate(11, 0, 0)
		for field, d := range map[string]rule.ExceptionDraft{
			"reason": {Scope: &x.Scope, Reason: "  "}, "scope": {Reason: "x"}, "owner": {Scope: &x.Scope, Reason: "x", Owner: strings.Repeat("x", 201)},
			"expiresAt": {Scope: &x.Scope, Reason: "x", ExpiresAt: &past},
		} {
			_, err := s.CreateException(ctx, 1, "ann", "b1", d)
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Field != field {
				t.Errorf("bad %s = %v", field, err)
			}
		}
		if _, err := s.CreateException(ctx, 1, "ann", "b1", rule.ExceptionDraft{Scope: &x.Scope, Reason: "x", ExpiresAt: &far}); !errors.Is(err, fault.Invalid) {
			t.Errorf("eleven years = %v", err)
		}
		if err := s.DeleteException(ctx, 1, "ann", x.ID); err != nil {
			t.Fatal(err)
		}
		if a := activeRule(t, s, 1, "b1"); len(a.Exceptions) != 0 {
			t.Errorf("a removed exception runs: %+v", a)
		}
		var actions []string
		entries, _, err := audit.List(ctx, db, 1, audit.Filter{Object: "b1"})
		for _, e := range entries {
			actions = append(actions, e.Actor+" "+e.Action)
		}
		if want := "ann rule.exception.delete, bob rule.exception.update, ann rule.exception.create"; err != nil || strings.Join(actions, ", ") != want {
			t.Errorf("audit has %s, %v", strings.Join(actions, ", "), err)
		}
	})
}

func TestListExceptions(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		s.SetSilences(silent)
		names := map[string]string{}
		for i, d := range []struct {
			rule, owner, reason string
			scope               rule.Scope
			expires             time.Duration
		}{
			{"b1", "Ann", "scanner", rule.Scope{Entity: &rule.EntityScope{Type: "ip", Value: "10.0.0.5"}}, 0},
			{"b1", "bob", "backup", rule.Scope{Fields: map[string][]string{"Image": {`C:\Backup.exe`}}}, 24 * time.Hour},
			{"b2", "bob", "test", rule.Scope{Filter: "s: {a: b}\ncondition: s"}, 90 * 24 * time.Hour},
			{"b2", "bob", "old", rule.Scope{Filter: "s: {a: b}\ncondition: s"}, time.Hour},
		} {
			draft := rule.ExceptionDraft{Scope: &d.scope, Reason: d.reason, Owner: d.owner}
			if d.expires > 0 {
				draft.ExpiresAt = new(time.Now().Add(d.expires))
			}
			x, err := s.CreateException(ctx, 1, "ann", d.rule, draft)
			if err != nil {
				t.Fatal(err)
			}
			names[x.ID] = fmt.Sprint(i)
		}
		if _, err := sqldb.Exec(ctx, db, `UPDATE rule_exception SET expires_at = $1 WHERE reason = 'old'`, time.Now().Add(-time.Second).UnixMicro()); err != nil {
			t.Fatal(err)
		}
		if a := activeRule(t, s, 1, "b2"); len(a.Exceptions) != 1 {
			t.Errorf("an expired exception runs: %+v", a)
		}
		for id, want := range map[string]int64{"b1": 2, "b2": 1, "b3": 0} {
			if d, err := s.Get(ctx, 1, id); err != nil || d.Exceptions != want {
				t.Errorf("%s has %d exceptions that hold, %v; want %d", id, d.Exceptions, err, want)
			}
			if d, err := s.Get(ctx, 2, id); err != nil || d.Exceptions != 0 {
				t.Errorf("another tenant's %s has %d exceptions, %v", id, d.Exceptions, err)
			}
		}
		for want, q := range map[string]rule.ExceptionQuery{
			"3 2 1 0":  {},
			"1 0":      {RuleID: "b1"},
			"0":        {Owner: "ann"},
			"3 2":      {Kind: "filter"},
			"2 1 0":    {State: "active"},
			"1":        {State: "expiring"},
			"3":        {State: "expired"},
			"1 ":       {Search: `c:\backup`},
			"0 ":       {Search: "SCANNER"},
			"":         {Search: "%"},
			"3 1 2 0":  {Sort: "expiresAt", Ascending: true},
			"0 1 2 3":  {Ascending: true},
			"0 2 1 3":  {Sort: "expiresAt"},
			"3 2 1 0 ": {Sort: "hits"},
		} {
			var got []string
			q.Size = 2
			for ; ; q.Page++ {
				page, total, err := s.ListExceptions(ctx, 1, q)
				if err != nil || total != int64(len(strings.Fields(want))) {
					t.Fatalf("ListExceptions(%+v): %d, %v", q, total, err)
				}
				if len(page) == 0 {
					break
				}
				for i := range page {
					got = append(got, names[page[i].ID])
					if page[i].Expired != (page[i].Reason == "old") {
						t.Errorf("exception %s is expired: %t", page[i].Reason, page[i].Expired)
					}
				}
			}
			if strings.Join(got, " ") != strings.TrimSpace(want) {
				t.Errorf("ListExceptions(%+v) = %v, want %s", q, got, want)
			}
		}
		if _, total, err := s.ListExceptions(ctx, 2, rule.ExceptionQuery{}); err != nil || total != 0 {
			t.Errorf("another tenant sees %d, %v", total, err)
		}
		for _, q := range []rule.ExceptionQuery{{Size: 101}, {Page: -1}, {Sort: "x"}, {Kind: "x"}, {State: "x"}} {
			if _, _, err := s.ListExceptions(ctx, 1, q); !errors.Is(err, fault.Invalid) {
				t.Errorf("ListExceptions(%+v) = %v, want Invalid", q, err)
			}
		}
	})
}

func TestExceptionThatWouldHideATruePositive(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := synced(t, db, shipped...)
		d := rule.ExceptionDraft{Scope: &rule.Scope{Filter: "s: {a: b}\ncondition: s"}, Reason: "noise"}
		if _, err := s.CreateException(ctx, 1, "ann", "b1", d); !errors.Is(err, fault.Unavailable) {
			t.Errorf("without a preview = %v, want Unavailable", err)
		}
		var list []rule.SilencedAlert
		s.SetSilences(func(_ context.Context, tenant uint32, id, yaml, filter string) (*rule.Preview, error) {
			if tenant != 1 || id != "b1" || yaml != shipped[0] || !takes(t, filter, "a", "b") {
				t.Errorf("preview of %d, %s, %s, %s", tenant, id, yaml, filter)
			}
			return &rule.Preview{List: list}, nil
		})
		list = []rule.SilencedAlert{{ID: "a1", Hidden: true}, {ID: "a2", TruePositive: true}}
		x, err := s.CreateException(ctx, 1, "ann", "b1", d)
		if err != nil {
			t.Fatalf("nothing true is hidden: %v", err)
		}
		list = append(list, rule.SilencedAlert{ID: "a3", Title: "Real", TruePositive: true, Hidden: true})
		_, err = s.CreateException(ctx, 1, "ann", "b1", d)
		if !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "a3 (Real)") {
			t.Errorf("hiding a true positive = %v, want Conflict naming it", err)
		}
		for name, change := range map[string]rule.ExceptionDraft{"scope": {Scope: d.Scope}, "forever": {Forever: true}, "expiry": {ExpiresAt: new(time.Now().Add(time.Hour))}} {
			if _, err := s.ChangeException(ctx, 1, "ann", x.ID, change); !errors.Is(err, fault.Conflict) {
				t.Errorf("changing %s = %v, want Conflict", name, err)
			}
		}
		if _, err := s.ChangeException(ctx, 1, "ann", x.ID, rule.ExceptionDraft{Reason: "better said"}); err != nil {
			t.Errorf("changing the reason = %v", err)
		}
		if _, total, err := s.ListExceptions(ctx, 1, rule.ExceptionQuery{}); err != nil || total != 1 {
			t.Errorf("%d exceptions, %v", total, err)
		}
	})
}

func TestFilterHasNoExceptions(t *testing.T) {
	db := sqldbtest.SQLite(t)
	s := rule.New(db, func([]byte) (rule.Meta, error) {
		return rule.Meta{ID: "f", Name: "Filter", Severity: "info", Type: "filter"}, nil
	})
	s.SetSilences(silent)
	if _, err := s.Create(t.Context(), 1, "ann", rule.Change{YAML: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	d := rule.ExceptionDraft{Scope: &rule.Scope{Filter: "s: {a: b}\ncondition: s"}, Reason: "noise"}
	if _, err := s.CreateException(t.Context(), 1, "ann", "f", d); !errors.Is(err, fault.Invalid) {
		t.Errorf("an exception of a filter = %v, want Invalid", err)
	}
}

// A filter of the catalogue silences as an exception does, and is held to the same.
func TestFilterThatWouldHideATruePositive(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := rule.New(db, func(yaml []byte) (rule.Meta, error) {
			docs, err := sigma.Parse(yaml)
			if err != nil {
				return rule.Meta{}, err
			}
			m := rule.Meta{ID: docs[0].ID, Name: docs[0].Title, Severity: "low", Type: "detection"}
			if docs[0].Filter != nil {
				m.Type = "filter"
			}
			return m, nil
		})
		for _, text := range []string{
			"title: W\nid: w\nname: win\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {a: b}, condition: s}\n",
			"title: L\nid: l\nlogsource: {product: linux}\ndetection: {s: {a: b}, condition: s}\n",
			"title: C\nid: c\ncorrelation: {type: temporal, rules: [w, l], timespan: 1m}\n",
		} {
			if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: []byte(text)}); err != nil {
				t.Fatal(err)
			}
		}
		s.SetOutcomes(func(context.Context, uint32, []string) (map[string]rule.Outcomes, error) {
			return map[string]rule.Outcomes{"w": {TruePositives: 1}, "l": {FalsePositives: 3}, "c": {TruePositives: 2}, "gone": {TruePositives: 1}}, nil
		})
		var tried []string
		s.SetSilences(func(_ context.Context, _ uint32, id, _, filter string) (*rule.Preview, error) {
			tried = append(tried, id)
			return &rule.Preview{List: []rule.SilencedAlert{{ID: "alert of " + id, TruePositive: true, Hidden: strings.Contains(filter, "hide")}}}, nil
		})
		filter := func(head, value string) []byte {
			return []byte("title: F\nid: f\n" + head + ", s: {a: " + value + "}, condition: s}\n")
		}
		for head, want := range map[string]string{
			"logsource: {product: windows}\nfilter: {rules: any":          "w",
			"logsource: {product: linux}\nfilter: {rules: any":            "",
			"filter: {rules: [c, win]":                                    "c w",
			"filter: {rules: [c]":                                         "c",
			"filter: {rules: [gone, l]":                                   "",
			"logsource: {product: linux}\nfilter: {rules: [w]":            "w", // named is named: the engine says that it does not reach it
			"logsource: {category: process_creation}\nfilter: {x: {y: z}": "w",
		} {
			tried = nil
			if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: filter(head, "x")}); err != nil {
				t.Errorf("%s: %v", head, err)
				continue
			}
			if got := strings.Join(tried, " "); got != want {
				t.Errorf("%s was tried on %q, want %q", head, got, want)
			}
			if _, err := s.Change(ctx, 1, "ann", "f", rule.Change{YAML: filter(head, "hide")}); errors.Is(err, fault.Conflict) != (want != "") {
				t.Errorf("%s may hide: %v", head, err)
			}
			// A draft silences nothing yet; then it is refused when it is switched on.
			if _, err := s.Change(ctx, 1, "ann", "f", rule.Change{YAML: filter(head, "hide"), Status: rule.Draft}); err != nil {
				t.Errorf("%s as a draft: %v", head, err)
			}
			_, err := s.Change(ctx, 1, "ann", "f", rule.Change{Status: rule.On})
			results, _ := s.Bulk(ctx, 1, "ann", []string{"f", "w"}, rule.Change{Status: rule.On})
			if errors.Is(err, fault.Conflict) != (want != "") || errors.Is(results[0].Err, fault.Conflict) != (want != "") || results[1].Err != nil {
				t.Errorf("%s switched on: %v, in bulk %v", head, err, results)
			}
			if err := s.Delete(ctx, 1, "ann", "f"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Create(ctx, 1, "ann", rule.Change{YAML: filter(head, "hide")}); errors.Is(err, fault.Conflict) != (want != "") {
				t.Errorf("%s created: %v", head, err)
			}
			_ = s.Delete(ctx, 1, "ann", "f") // where it was made
		}
	})
}

func TestExceptionsAreBounded(t *testing.T) {
	db := sqldbtest.SQLite(t)
	s := synced(t, db, shipped...)
	s.SetSilences(silent)
	d := rule.ExceptionDraft{Scope: &rule.Scope{Filter: "s: {a: b}\ncondition: s"}, Reason: "noise"}
	for range 200 {
		if _, err := s.CreateException(t.Context(), 1, "ann", "b1", d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CreateException(t.Context(), 1, "ann", "b1", d); !errors.Is(err, fault.Conflict) {
		t.Errorf("the 201st = %v, want Conflict", err)
	}
	own, err := s.Create(t.Context(), 1, "ann", rule.Change{YAML: []byte("Mine|low||")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateException(t.Context(), 1, "ann", own.ID, d); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), 1, "ann", own.ID); err != nil {
		t.Fatal(err)
	}
	if _, total, err := s.ListExceptions(t.Context(), 1, rule.ExceptionQuery{}); err != nil || total != 200 {
		t.Errorf("%d exceptions after the rule went, %v", total, err)
	}
}
