package compliance

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// frameworkFile is a catalogue as it is written.
type frameworkFile struct {
	Framework struct {
		Framework      `yaml:",inline"`
		DefaultProfile Profile  `yaml:"defaultProfile"`
		Languages      []string `yaml:"languages"`
		Totals         Totals   `yaml:"totals"`
		Licence        string   `yaml:"licence"`
		Notes          []string `yaml:"notes"`
	} `yaml:"framework"`
	Domains  []Domain      `yaml:"domains"`
	Controls []controlText `yaml:"controls"`
	Clauses  []controlText `yaml:"clauses"`  // of a management system: all manual, not counted
	Appendix []controlText `yaml:"appendix"` // for some entities only, not counted
}

type controlText struct {
	ID         string            `yaml:"id"`
	Domain     string            `yaml:"domain"`
	Title      string            `yaml:"title"`
	TitleKo    string            `yaml:"titleKo"`
	Mode       Mode              `yaml:"mode"`
	StrictMode Mode              `yaml:"strictMode"`
	Core       bool              `yaml:"core"`
	Category   string            `yaml:"category"`
	Catalogue  string            `yaml:"catalogue"` // TISAX calls a category so
	Weight     int               `yaml:"weight"`
	Level1     string            `yaml:"l1"`
	Checks     []string          `yaml:"checks"`
	Params     map[string]Params `yaml:"params"` // by check

	line int
}

type checkText struct {
	ID         string            `yaml:"id"`
	Title      string            `yaml:"title"`
	TitleKo    string            `yaml:"titleKo"`
	Group      string            `yaml:"group"`
	Tier       Tier              `yaml:"tier"`
	Evaluator  string            `yaml:"evaluator"`
	Measures   string            `yaml:"measures"`
	Source     []string          `yaml:"source"`
	Params     Params            `yaml:"params"`
	Thresholds map[string]string `yaml:"thresholds"`
	Absence    Outcome           `yaml:"absence"`
	Cadence    string            `yaml:"cadence"`
	Evidence   string            `yaml:"evidence"`
	Version    int               `yaml:"version"`

	line int
}

// UnmarshalYAML implements yaml.NodeUnmarshaler: it keeps the line.
func (c *controlText) UnmarshalYAML(n ast.Node) error {
	type plainText controlText
	var v plainText
	if err := yaml.NodeToValue(n, &v, yaml.Strict()); err != nil {
		return err
	}
	*c = controlText(v)
	c.line = n.GetToken().Position.Line
	return nil
}

// UnmarshalYAML implements yaml.NodeUnmarshaler: it keeps the line.
func (c *checkText) UnmarshalYAML(n ast.Node) error {
	type plainText checkText
	var v plainText
	if err := yaml.NodeToValue(n, &v, yaml.Strict()); err != nil {
		return err
	}
	*c = checkText(v)
	c.line = n.GetToken().Position.Line
	return nil
}

// decode reads one YAML document and refuses what it does not know.
func decode(file string, text []byte, v any) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("%s: the text is not valid UTF-8", file)
	}
	err := yaml.UnmarshalWithOptions(text, v, yaml.Strict())
	if err == nil {
		return nil
	}
	if y, ok := errors.AsType[yaml.Error](err); ok && y.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", file, y.GetToken().Position.Line, y.GetMessage())
	}
	return fmt.Errorf("%s: %w", file, err)
}

var cadences = map[string]time.Duration{"hourly": time.Hour, "daily": 24 * time.Hour, "weekly": 7 * 24 * time.Hour}

var slug = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (c *Catalogue) readChecks(file string, text []byte) error {
	var in struct {
		Checks []checkText `yaml:"checks"`
	}
	if err := decode(file, text, &in); err != nil {
		return err
	}
	c.Checks = make([]Check, len(in.Checks))
	for i := range in.Checks {
		t := &in.Checks[i]
		fail := func(format string, args ...any) error {
			return fmt.Errorf("%s:%d: check %q: %s", file, t.line, t.ID, fmt.Sprintf(format, args...))
		}
		cadence, ok := cadences[t.Cadence]
		switch {
		case !slug.MatchString(t.ID):
			return fail("an id has small letters, digits and dashes")
		case c.checks[t.ID] != nil:
			return fail("the id stands twice")
		case t.Title == "" || t.Group == "" || t.Measures == "" || t.Evidence == "" || t.Evaluator == "" || len(t.Source) == 0:
			return fail("title, group, evaluator, measures, source and evidence are required")
		case t.Tier != TierCore && t.Tier != TierExtended:
			return fail("tier is core or extended")
		case t.Absence != NoData && t.Absence != Fail:
			return fail("absence is noData or fail")
		case !ok:
			return fail("cadence is one of %s", ids(cadences))
		case t.Thresholds["pass"] == "" || t.Thresholds["partial"] == "" || t.Thresholds["fail"] == "" || len(t.Thresholds) != 3:
			return fail("thresholds are pass, partial and fail")
		}
		c.Checks[i] = Check{
			ID: t.ID, Title: t.Title, TitleKo: t.TitleKo, Group: t.Group, Tier: t.Tier, Evaluator: t.Evaluator, Measures: t.Measures, Evidence: t.Evidence, Sources: t.Source,
			Params: t.Params, Thresholds: t.Thresholds, Absence: t.Absence, Cadence: cadence, Version: max(t.Version, 1), line: t.line,
		}
		c.checks[t.ID] = &c.Checks[i]
	}
	return nil
}

var (
	frameworkID = regexp.MustCompile(`^[A-Z0-9]{2,20}$`)
	edition     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,30}$`)
)

// add takes in one framework.
func (c *Catalogue) add(file string, text []byte) error {
	var in frameworkFile
	if err := decode(file, text, &in); err != nil {
		return err
	}
	f := in.Framework.Framework
	f.DefaultProfile, f.Languages, f.Totals, f.Licence, f.Notes = in.Framework.DefaultProfile, in.Framework.Languages, in.Framework.Totals, in.Framework.Licence, in.Framework.Notes
	f.Domains, f.byID = in.Domains, map[string]*Control{}
	switch {
	case !frameworkID.MatchString(f.ID):
		return fmt.Errorf("%s: framework.id has 2 to 20 capital letters and digits", file)
	case !edition.MatchString(f.Edition):
		return fmt.Errorf("%s: framework.edition is a short name of the edition, of letters, digits, dots and dashes, such as 2027", file)
	case f.Name == "" || f.Version == "" || f.Authority == "":
		return fmt.Errorf("%s: framework.name, version and authority are required", file)
	case !slices.Contains(Profiles, f.DefaultProfile):
		return fmt.Errorf("%s: framework.defaultProfile is core or full", file)
	}
	for _, other := range c.Frameworks {
		if strings.EqualFold(other.Ref(), f.Ref()) {
			return fmt.Errorf("%s: %s is loaded already: give another edition", file, f.Ref())
		}
	}
	domains := map[string]int{}
	for _, d := range f.Domains {
		if _, ok := domains[d.ID]; ok || d.ID == "" || d.Title == "" {
			return fmt.Errorf("%s: domain %q: every domain has an id of its own and a title", file, d.ID)
		}
		domains[d.ID] = 0
	}
	f.Controls = make([]Control, 0, len(in.Controls)+len(in.Clauses)+len(in.Appendix))
	for _, part := range []struct {
		name     string
		controls []controlText
	}{{"", in.Controls}, {"clauses", in.Clauses}, {"appendix", in.Appendix}} {
		for i := range part.controls {
			k, err := c.control(file, &part.controls[i], part.name, domains)
			if err != nil {
				return err
			}
			if other := f.control(k.ID); other != nil {
				return fmt.Errorf("%s:%d: control %s stands in line %d already", file, k.line, k.ID, other.line)
			}
			f.Controls = append(f.Controls, k)
		}
	}
	for i := range f.Controls {
		f.byID[f.Controls[i].ID] = &f.Controls[i]
	}
	if err := f.checkTotals(file, domains); err != nil {
		return err
	}
	c.Frameworks = append(c.Frameworks, &f)
	return nil
}

func (f *Framework) control(id string) *Control {
	for i := range f.Controls {
		if f.Controls[i].ID == id {
			return &f.Controls[i]
		}
	}
	return nil
}

// control checks one control and links its checks.
func (c *Catalogue) control(file string, t *controlText, part string, domains map[string]int) (Control, error) {
	fail := func(format string, args ...any) (Control, error) {
		return Control{}, fmt.Errorf("%s:%d: control %q: %s", file, t.line, t.ID, fmt.Sprintf(format, args...))
	}
	k := Control{
		ID: t.ID, Domain: t.Domain, Title: t.Title, TitleKo: t.TitleKo, Mode: t.Mode, StrictMode: t.StrictMode, Core: t.Core,
		Category: t.Category, Apart: part != "", Weight: t.Weight, Level1: t.Level1, line: t.line,
	}
	if t.Catalogue != "" {
		k.Category = t.Catalogue
	}
	if k.StrictMode == "" {
		k.StrictMode = k.Mode
	}
	switch {
	case t.ID == "" || len(t.ID) > 40 || strings.ContainsAny(t.ID, " /?#%@"):
		return fail("an id has 1 to 40 bytes and none of the characters space / ? # %% @")
	case t.Title == "":
		return fail("the title is missing")
	case !slices.Contains(Modes, k.Mode) || !slices.Contains(Modes, k.StrictMode):
		return fail("mode is auto, assist or manual")
	case t.Category != "" && t.Catalogue != "":
		return fail("give one of category and catalogue")
	case k.Mode == Manual && len(t.Checks) > 0, k.Mode != Manual && len(t.Checks) == 0:
		return fail("a manual control has no checks, any other at least one")
	case t.Weight < 0 || t.Weight > 100:
		return fail("a weight is from 0 to 100")
	}
	if part == "" {
		if _, ok := domains[k.Domain]; !ok {
			return fail("there is no domain %q", k.Domain)
		}
		domains[k.Domain]++
	} else {
		// What stands apart is chosen by its domain, or as a whole where it has none.
		if k.Domain == "" {
			k.Domain = part
		}
		k.Category = k.Domain
	}
	for name, own := range t.Params {
		if !slices.Contains(t.Checks, name) {
			return fail("params speak of %q, which is none of its checks", name)
		}
		if err := c.checkParams(name, own); err != nil {
			return fail("%v", err)
		}
	}
	for i, name := range t.Checks {
		check := c.checks[name]
		if check == nil || slices.Contains(t.Checks[:i], name) {
			return fail("check %q is unknown or stands twice", name)
		}
		v := variantOf(check, t.Params[name])
		k.Checks = append(k.Checks, Link{Check: name, Params: v.Params, Absence: v.Absence, Key: v.Key()})
	}
	return k, nil
}

// checkParams refuses parameters that the check does not have, or of another kind.
func (c *Catalogue) checkParams(name string, own Params) error {
	check := c.checks[name]
	if check == nil {
		return fmt.Errorf("check %q is unknown", name)
	}
	for key, value := range own {
		if key == "absence" {
			if s, ok := value.(string); !ok || Outcome(s) != NoData && Outcome(s) != Fail {
				return fmt.Errorf("params.%s.absence is noData or fail", name)
			}
			continue
		}
		base, ok := check.Params[key]
		if !ok {
			return fmt.Errorf("check %q has no parameter %q: it has %s", name, key, ids(check.Params))
		}
		if kindOf(base) != kindOf(value) {
			return fmt.Errorf("params.%s.%s is %s", name, key, kindOf(base))
		}
	}
	return nil
}

func kindOf(v any) string {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "a finite number"
		}
		return "a number"
	case int, int64, uint64:
		return "a number"
	case bool:
		return "true or false"
	case string:
		return "a text"
	case []any, []string:
		return "a list"
	}
	return "something else"
}

// checkTotals compares what the file says of itself with what it holds.
func (f *Framework) checkTotals(file string, domains map[string]int) error {
	var have Totals
	for i := range f.Controls {
		k := &f.Controls[i]
		if k.Apart {
			continue
		}
		have.Full++
		if k.Core {
			have.Core++
		}
		switch k.Mode {
		case Auto:
			have.Auto++
		case Assist:
			have.Assist++
		case Manual:
			have.Manual++
		}
	}
	if have != f.Totals {
		return fmt.Errorf("%s: framework.totals says %+v, but the file has %+v", file, f.Totals, have)
	}
	if have.Core == 0 {
		return fmt.Errorf("%s: no control belongs to the core profile", file)
	}
	for _, d := range f.Domains {
		if domains[d.ID] != d.Controls {
			return fmt.Errorf("%s: domain %s says it has %d controls, but has %d", file, d.ID, d.Controls, domains[d.ID])
		}
	}
	return nil
}
