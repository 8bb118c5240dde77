package assess

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

//go:embed classes.yaml
var classesText []byte

// A class is a kind of log sources that a framework wants to be watched.
type class struct {
	Name       string     `yaml:"name"`
	Sources    []string   `yaml:"sources"`
	Whole      bool       `yaml:"whole"`
	Events     string     `yaml:"events"`
	Accounts   []string   `yaml:"accounts"`
	Techniques []string   `yaml:"techniques"`
	Tactics    []string   `yaml:"tactics"`
	Rules      []selector `yaml:"rules"`
}

// A selector says which rules watch a class, by what they look at.
type selector struct {
	Product  []string `yaml:"product"`
	Category []string `yaml:"category"`
	Service  []string `yaml:"service"`
	Tagged   bool     `yaml:"tagged"`
}

// classes reads the embedded table, which a test reads too: it cannot fail in a program
// that passed its tests.
var classes = sync.OnceValue(func() map[string]*class {
	var t struct {
		Classes []class `yaml:"classes"`
	}
	if err := yaml.UnmarshalWithOptions(classesText, &t, yaml.Strict()); err != nil {
		panic(fmt.Sprintf("assess: classes.yaml: %v", err))
	}
	out := map[string]*class{}
	for i := range t.Classes {
		out[t.Classes[i].Name] = &t.Classes[i]
	}
	return out
})

// matches tells whether one of the patterns, in which * stands for any characters, is name.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// speaks tells whether a log source can speak of the class.
func (c *class) speaks(source string) bool { return matches(c.Sources, strings.ToLower(source)) }

// logSource is what a rule looks at.
type logSource = sigma.LogSource

// watches tells whether a rule watches the class. techniques are those of the check.
func (c *class) watches(w *watcher, techniques []string) bool {
	for i := range c.Rules {
		s := &c.Rules[i]
		if s.Tagged && !c.tagged(w, techniques) {
			continue
		}
		if slices.ContainsFunc(w.looks, s.fits) {
			return true
		}
	}
	return false
}

func (s *selector) fits(l logSource) bool {
	part := func(patterns []string, name string) bool {
		return len(patterns) == 0 || name != "" && matches(patterns, name)
	}
	return part(s.Product, l.Product) && part(s.Category, l.Category) && part(s.Service, l.Service)
}

func (c *class) tagged(w *watcher, techniques []string) bool {
	of := func(list []string, t string) bool {
		return slices.ContainsFunc(list, func(x string) bool { return t == x || strings.HasPrefix(t, x+".") })
	}
	return slices.ContainsFunc(w.Techniques, func(t string) bool { return of(techniques, t) || of(c.Techniques, t) }) ||
		slices.ContainsFunc(w.Tactics, func(t string) bool { return slices.Contains(c.Tactics, t) })
}

// textKey names the text of a rule for good: versions of a rule never repeat.
type textKey struct {
	tenant  uint32 // 0 for built-in rules
	id      string
	version int64
}

const maxTexts = 50_000

// looksAt returns what a rule looks at: the log sources that its text names.
func (a *Assessor) looksAt(tenant uint32, r *rule.Active) []logSource {
	key := textKey{tenant, r.ID, r.Version}
	if r.Builtin {
		key.tenant = 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.texts[key]; ok {
		return known
	}
	var out []logSource
	docs, _ := sigma.Parse([]byte(r.YAML)) // one that cannot be read looks at nothing
	for _, d := range docs {
		if d.Filter == nil && d.Correlation == nil && !slices.Contains(out, d.LogSource) {
			out = append(out, d.LogSource)
		}
	}
	if len(a.texts) >= maxTexts {
		clear(a.texts)
	}
	a.texts[key] = out
	return out
}
