package compliance

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed catalogue/*.yaml
var files embed.FS

// Catalogue is the checks and the frameworks that are loaded. It does not change.
type Catalogue struct {
	Checks []Check // in the order of the file
	// Frameworks are all editions, those that came with the program first and in their
	// documented order, then those of the folder by name.
	Frameworks []*Framework

	checks  map[string]*Check
	builtIn int
}

// order is that of the documentation.
var order = []string{"ismsp", "iso27001", "soc2", "pcidss", "tisax", "cmmc", "gdpr", "ccpa", "nistcsf"}

// Builtin returns the catalogue that the program carries.
var Builtin = sync.OnceValue(func() *Catalogue {
	c, err := Load("")
	if err != nil {
		panic(err) // a fault of the build, which the tests of this package would have found
	}
	return c
})

// Load returns the catalogue that the program carries and, beside it, the frameworks of
// the *.yaml files of folder; "" for none. An error names file and line. A later edition
// of a known framework stands beside the older one.
func Load(folder string) (*Catalogue, error) {
	text, err := files.ReadFile("catalogue/checks.yaml")
	if err != nil {
		return nil, err
	}
	c := &Catalogue{checks: map[string]*Check{}}
	if err := c.readChecks("checks.yaml", text); err != nil {
		return nil, err
	}
	for _, name := range order {
		text, err := files.ReadFile("catalogue/" + name + ".yaml")
		if err != nil {
			return nil, err
		}
		if err := c.add(name+".yaml", text); err != nil {
			return nil, err
		}
	}
	c.builtIn = len(c.Frameworks)
	if folder == "" {
		return c, nil
	}
	return c, c.addFolder(folder)
}

const maxFile = 4 << 20 // bytes of a catalogue

func (c *Catalogue) addFolder(folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("compliance.catalogues: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing was written
	names, err := fs.Glob(root.FS(), "*.yaml")
	if err != nil {
		return fmt.Errorf("compliance.catalogues: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		info, err := root.Stat(name)
		if err != nil {
			return fmt.Errorf("compliance.catalogues: %w", err)
		}
		if info.Size() > maxFile {
			return fmt.Errorf("%s: a catalogue has at most %d bytes", path.Join(folder, name), maxFile)
		}
		text, err := root.ReadFile(name)
		if err != nil {
			return fmt.Errorf("compliance.catalogues: %w", err)
		}
		if err := c.add(path.Join(folder, name), text); err != nil {
			return err
		}
	}
	return nil
}

// Check returns the check of that id, or nil.
func (c *Catalogue) Check(id string) *Check { return c.checks[id] }

// Default returns the frameworks in their default editions: those that came with the
// program, and of others the first by file name. An edition that is added changes no
// score until a tenant chooses it.
func (c *Catalogue) Default() []*Framework {
	var out []*Framework
	seen := map[string]bool{}
	for _, f := range c.Frameworks {
		if !seen[f.ID] {
			seen[f.ID] = true
			out = append(out, f)
		}
	}
	return out
}

// Editions returns the loaded editions of the framework of that id.
func (c *Catalogue) Editions(id string) []*Framework {
	var out []*Framework
	for _, f := range c.Frameworks {
		if f.ID == id {
			out = append(out, f)
		}
	}
	return out
}

// Find returns the framework that people call so: its id or its name in any case, with or
// without spaces and dashes ("ISMS-P", "iso 27001", "nist_csf"), of the default edition,
// or with the edition behind an @ ("tisax@6.0"). It is nil for an unknown name.
func (c *Catalogue) Find(name string) *Framework {
	id, edition, chosen := strings.Cut(name, "@")
	id = plain(id)
	for _, f := range c.Frameworks {
		if plain(f.ID) != id && plain(f.Name) != id {
			continue
		}
		if !chosen || strings.EqualFold(f.Edition, edition) {
			return f
		}
	}
	return nil
}

// plain is a name without what people write in different ways.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}, s)
}

// Crosswalk says which controls of each framework name a check: check → framework id →
// control ids in order. Controls that stand apart are left out.
func (c *Catalogue) Crosswalk(frameworks []*Framework) map[string]map[string][]string {
	out := map[string]map[string][]string{}
	for _, f := range frameworks {
		for i := range f.Controls {
			k := &f.Controls[i]
			if k.Apart {
				continue
			}
			for _, l := range k.Checks {
				if out[l.Check] == nil {
					out[l.Check] = map[string][]string{}
				}
				out[l.Check][f.ID] = append(out[l.Check][f.ID], k.ID)
			}
		}
	}
	return out
}

// Categories returns what an assessment of f may choose of, in order, and of those what
// it leaves out unless asked for.
func (f *Framework) Categories() (all, apart []string) {
	seen := map[string]bool{}
	for i := range f.Controls {
		k := &f.Controls[i]
		if k.Category == "" || seen[k.Category] {
			continue
		}
		seen[k.Category] = true
		all = append(all, k.Category)
		if k.Apart {
			apart = append(apart, k.Category)
		}
	}
	return all, apart
}

// ids is for messages.
func ids[T any](m map[string]T) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }
