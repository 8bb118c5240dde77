package workbench

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/rule"
)

func TestAttackTable(t *testing.T) {
	all := attack()
	if len(all) < 600 || all["T1110.001"].name != "Password Guessing" || !slices.Equal(all["T1110.001"].tactics, []string{"credential-access"}) {
		t.Errorf("%d techniques, T1110.001 is %+v", len(all), all["T1110.001"])
	}
	form := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	for id, x := range all {
		if !form.MatchString(id) || x.name == "" || len(x.tactics) == 0 || slices.ContainsFunc(x.tactics, func(n string) bool { return column(n) < 0 }) {
			t.Errorf("%s is %+v", id, x)
		}
		if p := parent(id); p != "" && all[p].id == "" {
			t.Errorf("%s has no technique above it", id)
		}
	}
	if !strings.Contains(attackText, "© 2025 The MITRE Corporation") {
		t.Error("the table does not bear its notice")
	}
	for name, want := range map[string]string{"stealth": "defense-evasion", "Defense Impairment": "defense-evasion", "TA0005": "defense-evasion", "TA0112": "defense-evasion", "defense_evasion": "defense-evasion", "impact": "impact", "TA0006": "credential-access"} {
		if c := column(name); c < 0 || matrixTactics[c].name != want {
			t.Errorf("%s is column %d, want %s", name, c, want)
		}
	}
	if column("nothing") != -1 {
		t.Error("nothing has a column")
	}
}

func TestCoverage(t *testing.T) {
	b := newBench(t, &memory.Store{}, func(c *Config) {
		c.Blind = func(_ context.Context, tenant uint32, rules []rule.Active) (map[string]string, error) {
			blind := map[string]string{}
			for _, r := range rules {
				if tenant == 1 && strings.Contains(r.YAML, "windows") {
					blind[r.ID] = "no events of windows have arrived"
				}
				if r.Staged {
					t.Errorf("the staged rule %s was asked about", r.ID)
				}
			}
			return blind, nil
		}
		c.Alerts = func(_ context.Context, tenant uint32, since time.Time) (map[string]int64, error) {
			if !since.Equal(noon.Add(-30 * 24 * time.Hour)) {
				t.Errorf("alerts since %v", since)
			}
			if tenant != 1 {
				return nil, nil
			}
			return map[string]int64{"T1110": 2, "T1110.001": 5, "T1046": 1, "T1003": 9}, nil
		}
	})
	create := func(id, product, tags string, status rule.Status) {
		text := "title: Rule " + id + "\nid: " + id + "\nlogsource: {product: " + product + "}\ntags: [" + tags + "]\ndetection: {s: {a: b}, condition: s}\n"
		if _, err := b.rules.Create(t.Context(), 1, "ann", rule.Change{YAML: []byte(text), Status: status, Staged: new(status == rule.Draft)}); err != nil {
			t.Fatal(err)
		}
	}
	create("a", "linux", "attack.credential-access, attack.t1110.001", rule.On)
	create("b", "windows", "attack.credential_access, attack.t1110", rule.On)
	create("c", "linux", "attack.t1110.003, attack.t1046", rule.On)              // tactics by its techniques
	create("d", "linux", "attack.stealth, attack.t1685", rule.On)                // of version 19
	create("e", "linux", "attack.defense-impairment, attack.t1070.001", rule.On) // a tactic of 19, a technique of 18
	create("f", "windows", "attack.defense-evasion", rule.On)
	create("g", "linux", "cve.2026.1", rule.On)
	create("h", "linux", "attack.impact, attack.t1485", rule.Off)
	create("i", "linux", "attack.impact, attack.t1486", rule.Draft)
	create("j", "linux", "attack.persistence, attack.t1078", rule.On) // of four tactics, meant for one

	c, err := b.Coverage(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.Rules != 6 || c.BlindRules != 2 || c.UnmappedRules != 1 || c.Techniques != 8 || len(c.Tactics) != 14 || c.AlertDays != 30 {
		t.Errorf("coverage %+v", c)
	}
	get := func(tactic string) TacticCoverage {
		return c.Tactics[slices.IndexFunc(c.Tactics, func(x TacticCoverage) bool { return x.Name == tactic })]
	}
	want := TacticCoverage{
		ID: "TA0006", Name: "credential-access", Title: "Credential Access", Names: []string{"credential-access"}, Rules: 2, BlindRules: 1,
		Techniques: []TechniqueCoverage{
			{ID: "T1110", Name: "Brute Force", Rules: 2, BlindRules: 1, Alerts: 7, RuleList: []CoveredRule{{"a", "Rule a", ""}, {"c", "Rule c", ""}, {"b", "Rule b", "no events of windows have arrived"}}},
			{ID: "T1110.001", Name: "Password Guessing", Rules: 1, Alerts: 5, RuleList: []CoveredRule{{"a", "Rule a", ""}}},
			{ID: "T1110.003", Name: "Password Spraying", Rules: 1, RuleList: []CoveredRule{{"c", "Rule c", ""}}},
		},
	}
	if d := cmp.Diff(want, get("credential-access")); d != "" {
		t.Error(d)
	}
	evasion := get("defense-evasion")
	if evasion.Rules != 2 || evasion.BlindRules != 1 || !slices.Equal(evasion.Names, []string{"defense-evasion", "stealth", "defense-impairment"}) || len(evasion.Techniques) != 3 || evasion.Techniques[2].ID != "T1685" || evasion.Techniques[2].Name != "" {
		t.Errorf("defense evasion %+v", evasion)
	}
	if x := get("persistence"); x.Rules != 1 || x.Techniques[0].ID != "T1078" {
		t.Errorf("persistence %+v", x)
	}
	for _, none := range []string{"initial-access", "privilege-escalation", "impact"} {
		if x := get(none); x.Rules+x.BlindRules+len(x.Techniques) != 0 {
			t.Errorf("%s has %+v", none, x)
		}
	}
	if other, err := b.Coverage(t.Context(), 2); err != nil || other.Rules+other.BlindRules != 0 || other.Tactics == nil {
		t.Errorf("another tenant: %+v, %v", other, err)
	}

	text, err := json.Marshal(c.Navigator())
	if err != nil {
		t.Fatal(err)
	}
	var layer struct {
		Name, Domain, Description string
		Versions                  map[string]string
		Techniques                []map[string]any
		Gradient                  struct {
			Colors             []string
			MinValue, MaxValue int
		}
	}
	if err := json.Unmarshal(text, &layer); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"attack": "18", "navigator": "5.1.0", "layer": "4.5"}, layer.Versions); d != "" {
		t.Error(d)
	}
	if layer.Domain != "enterprise-attack" || !strings.HasSuffix(layer.Description, "1 techniques of rules are not of ATT&CK 18 and are left out.") || layer.Gradient.MaxValue != 5 || len(layer.Gradient.Colors) < 2 {
		t.Errorf("layer %s", text)
	}
	known := attack()
	seen := map[string]bool{}
	for _, x := range layer.Techniques {
		id, tactic := x["techniqueID"].(string), x["tactic"].(string)
		if !slices.Contains(known[id].tactics, tactic) || seen[id+tactic] {
			t.Errorf("cell %v", x)
		}
		seen[id+tactic] = true
		if id == "T1110" && (x["score"] != 2.0 || x["comment"] != "2 rules, 1 blind, 7 alerts in 30 days\nRule a\nRule c\nRule b (blind: no events of windows have arrived)" || x["enabled"] != true) {
			t.Errorf("T1110 is %v", x)
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d cells", len(seen))
	}
}

// The built-in rules cover every tactic, in either vocabulary.
func TestBuiltinCoverage(t *testing.T) {
	b := newBench(t, &memory.Store{})
	b.builtin()
	c, err := b.Coverage(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range c.Tactics {
		t.Logf("%-22s %3d rules, %3d techniques", x.Name, x.Rules, len(x.Techniques))
	}
	if c.UnmappedRules > 0 || c.Rules == 0 {
		t.Errorf("%d rules, %d without tactic and technique", c.Rules, c.UnmappedRules)
	}
}
