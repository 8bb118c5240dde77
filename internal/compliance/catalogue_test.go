package compliance_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

// The counts that the catalogues are known to have.
var counts = []struct {
	id                               string
	full, core, auto, assist, manual int
}{
	{"ISMSP", 101, 31, 24, 29, 48},
	{"ISO27001", 93, 49, 16, 33, 44},
	{"SOC2", 61, 36, 11, 25, 25},
	{"PCIDSS", 63, 39, 12, 27, 24},
	{"TISAX", 79, 31, 10, 21, 48},
	{"CMMC", 110, 77, 31, 46, 33},
	{"GDPR", 57, 25, 2, 23, 32},
	{"CCPA", 86, 38, 7, 31, 48},
	{"NISTCSF", 106, 62, 24, 38, 44},
}

func TestCatalogue(t *testing.T) {
	c := compliance.Builtin()
	if got := len(c.Checks); got != 64 {
		t.Errorf("%d checks, want 64", got)
	}
	core := 0
	for _, k := range c.Checks {
		if k.Tier == compliance.TierCore {
			core++
		}
	}
	if core != 53 {
		t.Errorf("%d core checks, want 53", core)
	}
	if len(c.Frameworks) != len(counts) {
		t.Fatalf("%d frameworks, want %d", len(c.Frameworks), len(counts))
	}
	links, controls := 0, 0
	for i, want := range counts {
		f := c.Frameworks[i]
		got := want
		got.id, got.full, got.core, got.auto, got.assist, got.manual = f.ID, 0, 0, 0, 0, 0
		seen := map[string]bool{}
		for j := range f.Controls {
			k := &f.Controls[j]
			if seen[k.ID] {
				t.Errorf("%s: control %s stands twice", f.ID, k.ID)
			}
			seen[k.ID] = true
			for _, l := range k.Checks {
				if c.Check(l.Check) == nil {
					t.Errorf("%s %s: check %s is unknown", f.ID, k.ID, l.Check)
				}
			}
			if f.ID == "ISMSP" && k.TitleKo == "" {
				t.Errorf("%s has no Korean title", k.ID)
			}
			if k.Apart {
				continue
			}
			if f.Domain(k.Domain) == nil {
				t.Errorf("%s %s: domain %s is unknown", f.ID, k.ID, k.Domain)
			}
			links += len(k.Checks)
			got.full++
			if k.Core {
				got.core++
			}
			switch k.Mode {
			case compliance.Auto:
				got.auto++
			case compliance.Assist:
				got.assist++
			case compliance.Manual:
				got.manual++
			}
		}
		controls += got.full
		if got != want {
			t.Errorf("have %+v, want %+v", got, want)
		}
	}
	if links != 669 || controls != 756 {
		t.Errorf("%d links of %d controls, want 669 of 756", links, controls)
	}
}

func TestWeightsOfCMMC(t *testing.T) {
	sum := 0
	f := compliance.Builtin().Find("cmmc")
	for i := range f.Controls {
		k := &f.Controls[i]
		if sum += k.Weight; (k.Weight == 0) != (k.ID == "CA.L2-3.12.4") {
			t.Errorf("%s weighs %d", k.ID, k.Weight)
		}
	}
	if sum != 313 {
		t.Errorf("the weights add up to %d, want 313", sum)
	}
}

func TestStrictOfISMSP(t *testing.T) {
	auto := 0
	f := compliance.Builtin().Find("ISMS-P")
	for i := range f.Controls {
		if k := &f.Controls[i]; k.Core && k.ModeIn(true) == compliance.Auto {
			auto++
		}
	}
	if auto != 15 {
		t.Errorf("%d core controls stay automatic when strict, want 15", auto)
	}
}

// The crosswalk is derived; the one that the catalogues' author generated must agree.
func TestCrosswalk(t *testing.T) {
	text, err := os.ReadFile("testdata/crosswalk.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Crosswalk map[string]map[string][]string `yaml:"crosswalk"`
	}
	if err := yaml.UnmarshalWithOptions(text, &want, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	c := compliance.Builtin()
	got := c.Crosswalk(c.Default())
	if diff := cmp.Diff(want.Crosswalk, got); diff != "" {
		t.Error(diff)
	}
	everywhere := 0
	for _, frameworks := range got {
		if len(frameworks) == 9 {
			everywhere++
		}
	}
	if everywhere != 11 {
		t.Errorf("%d checks reach all nine frameworks, want 11", everywhere)
	}
}

func TestVariants(t *testing.T) {
	c := compliance.Builtin()
	all := c.Variants(c.Default())
	keys := map[string]compliance.Variant{}
	for _, v := range all {
		keys[v.Key()] = v
	}
	if len(keys) != len(all) {
		t.Errorf("%d keys of %d variants", len(keys), len(all))
	}
	for _, f := range c.Frameworks {
		for i := range f.Controls {
			for _, l := range f.Controls[i].Checks {
				v, ok := keys[l.Key]
				if !ok {
					t.Fatalf("%s %s: no variant %s", f.ID, f.Controls[i].ID, l.Key)
				}
				if diff := cmp.Diff(l.Params, v.Params); diff != "" || v.Absence != l.Absence || v.Check != l.Check {
					t.Errorf("%s %s: %s is another: %s", f.ID, f.Controls[i].ID, l.Key, diff)
				}
			}
		}
	}
	v := keys["log-retention?piiMinDays=730"]
	if v.Params.Int("minDays") != 365 || v.Params.Int("piiMinDays") != 730 {
		t.Errorf("the log retention of ISMS-P is %v", v.Params)
	}
	if v := keys["network-mon?absence=fail"]; v.Absence != compliance.Fail || v.Params.String("sourceClass") != "network" {
		t.Errorf("network-mon without a source is %v", v)
	}
	if v := keys["role-separation"]; len(v.Params.Lists("conflicts")) != 2 {
		t.Errorf("conflicts are %v", v.Params["conflicts"])
	}
}

func TestFind(t *testing.T) {
	c := compliance.Builtin()
	for name, want := range map[string]string{
		"ISMSP": "ISMSP", "isms-p": "ISMSP", "ISMS-P": "ISMSP", "iso-27001": "ISO27001", "ISO 27001": "ISO27001", "soc-2": "SOC2", "PCI-DSS": "PCIDSS",
		"pci_dss": "PCIDSS", "tisax": "TISAX", "cmmc": "CMMC", "NIST-CSF": "NISTCSF", "nist csf": "NISTCSF", "gdpr": "GDPR", "ccpa": "CCPA", "tisax@6.0": "TISAX",
		"": "", "ISO": "", "SOC3": "", "tisax@7": "", "@": "", "한국": "",
	} {
		got := ""
		if f := c.Find(name); f != nil {
			got = f.ID
		}
		if got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

const later = `framework:
  id: TISAX
  name: TISAX (VDA ISA)
  edition: "2027"
  version: ISA 2027
  authority: ENX Association and VDA
  granularity: control question
  defaultProfile: core
  languages: [en]
  totals: {full: 1, core: 1, auto: 0, assist: 1, manual: 0}
  licence: own words
domains:
  - {id: "6", title: Suppliers, controls: 1}
controls:
  - {id: "6.1.3", domain: "6", title: Duties split clearly with IT providers, mode: assist, core: true, checks: [third-party-mon]}
`

func TestLaterEdition(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, later)
	c, err := compliance.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f := c.Find("tisax"); f.Edition != "6.0" {
		t.Errorf("the added edition %s took the place of the old one", f.Edition)
	}
	if f := c.Find("tisax@2027"); f == nil || f.Control("6.1.3") == nil {
		t.Error("the added edition is not there")
	}
	if len(c.Default()) != 9 || len(c.Editions("TISAX")) != 2 {
		t.Errorf("%d frameworks, %d editions of TISAX", len(c.Default()), len(c.Editions("TISAX")))
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, x := range map[string]struct{ from, to, want string }{
		"unknown key":       {"authority: ENX", "author: ENX", "add.yaml:6"},
		"unknown in line":   {"core: true,", "core: true, cor: true,", "add.yaml:15"},
		"unknown check":     {"[third-party-mon]", "[third-party]", `add.yaml:15: control "6.1.3": check "third-party" is unknown`},
		"check twice":       {"[third-party-mon]", "[third-party-mon, third-party-mon]", "stands twice"},
		"unknown mode":      {"mode: assist", "mode: automatic", "mode is auto, assist or manual"},
		"manual with check": {"mode: assist", "mode: manual", "a manual control has no checks"},
		"unknown domain":    {`domain: "6"`, `domain: "7"`, `there is no domain "7"`},
		"wrong totals":      {"full: 1", "full: 2", "framework.totals"},
		"wrong domain":      {"title: Suppliers, controls: 1", "title: Suppliers, controls: 3", "domain 6 says it has 3"},
		"edition twice":     {`edition: "2027"`, `edition: "6.0"`, "TISAX@6.0 is loaded already"},
		"no edition":        {`edition: "2027"`, `edition: "next year"`, "framework.edition"},
		"unknown param":     {"[third-party-mon]", "[third-party-mon], params: {third-party-mon: {days: 1}}", `has no parameter "days"`},
		"param of a kind":   {"[third-party-mon]", "[third-party-mon], params: {third-party-mon: {minRules: many}}", "minRules is a number"},
		"broken YAML":       {"domains:", "domains: [", "add.yaml:"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(later, x.from, x.to, 1)
			if text == later {
				t.Fatal("nothing was replaced")
			}
			dir := t.TempDir()
			write(t, dir, text)
			_, err := compliance.Load(dir)
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v, want %q", err, x.want)
			}
		})
	}
}

func write(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "add.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCategories(t *testing.T) {
	c := compliance.Builtin()
	all, apart := c.Find("SOC2").Categories()
	if want := []string{"security", "availability", "confidentiality", "processingIntegrity", "privacy"}; !slices.Equal(all, want) || apart != nil {
		t.Errorf("SOC 2 has %v, apart %v", all, apart)
	}
	if all, apart := c.Find("PCIDSS").Categories(); len(all) != 3 || len(apart) != 3 {
		t.Errorf("PCI DSS has %v, apart %v", all, apart)
	}
	if all, _ := c.Find("ISO27001").Categories(); !slices.Equal(all, []string{"clauses"}) {
		t.Errorf("ISO 27001 has %v", all)
	}
}
