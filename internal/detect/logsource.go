package detect

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/goccy/go-yaml"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

//go:embed logsources.yaml
var tableText []byte

// A table is what logsources.yaml holds.
type table struct {
	Spellings map[string][]string `yaml:"spellings"`
	Sources   []tableEntry        `yaml:"sources"`
}

type tableEntry struct {
	Product   string              `yaml:"product"`
	Category  string              `yaml:"category"`
	Service   string              `yaml:"service"`
	Canonical bool                `yaml:"canonical"` // rules speak canonical names: native keys do not hide them
	When      []map[string]values `yaml:"when"`
	Fields    map[string]values   `yaml:"fields"`
	Spellings []string            `yaml:"spellings"` // where a native key may stand: {}, {lower}, {upper}, {small} and {spaced} are the key
}

// values is one text or a list.
type values []string

// UnmarshalYAML reads a node in place: given its text, the library would write
// every node out again first.
func (v *values) UnmarshalYAML(read func(any) error) error {
	var list []string
	if err := read(&list); err == nil {
		*v = list
		return nil
	}
	var one string
	if err := read(&one); err != nil {
		return err
	}
	*v = values{one}
	return nil
}

// loadTable reads the embedded table, which a test reads too: it cannot fail in a
// program that passed its tests.
var loadTable = sync.OnceValue(func() *table {
	t := &table{}
	if err := yaml.UnmarshalWithOptions(tableText, t, yaml.Strict()); err != nil {
		panic(fmt.Sprintf("detect: logsources.yaml: %v", err))
	}
	return t
})

// A logSource is the meaning of a rule's log source.
type logSource struct {
	name  sigma.LogSource
	needs []condition // all must hold
	// guessed are the parts of the name for which the table has no entry, so that
	// a general rule took its place.
	guessed []string
	// entries are those of the table whose fields apply, the most special first.
	entries   []*tableEntry
	canonical bool
}

// A condition holds if one of its alternatives does, each of which needs all its
// tests.
type condition [][]test

// A test asks for the value of a field of the event, by the name that the table
// uses.
type test struct {
	field  string
	values []string // lower case; a star at an end is a wildcard
}

// resolve says which events l means.
func (t *table) resolve(l sigma.LogSource) logSource {
	out := logSource{name: l}
	add := func(p, c, s string) *tableEntry {
		for i := range t.Sources {
			e := &t.Sources[i]
			if e.Product == p && e.Category == c && e.Service == s {
				if !slices.Contains(out.entries, e) {
					out.entries = append(out.entries, e)
				}
				out.canonical = out.canonical || e.Canonical
				return e
			}
		}
		return nil
	}
	exact := add(l.Product, l.Category, l.Service)
	part := func(name string, general condition, candidates ...*tableEntry) {
		for _, e := range candidates {
			if e != nil && len(e.When) > 0 {
				out.needs = append(out.needs, e.condition())
				return
			}
		}
		out.needs = append(out.needs, general)
		out.guessed = append(out.guessed, name)
	}
	var category, service, product *tableEntry
	if l.Category != "" {
		category = add(l.Product, l.Category, "")
		if alone := add("", l.Category, ""); category == nil {
			category = alone
		}
	}
	if l.Service != "" {
		service = add(l.Product, "", l.Service)
		if alone := add("", "", l.Service); service == nil {
			service = alone
		}
	}
	if l.Product != "" {
		product = add(l.Product, "", "")
	}
	if exact != nil && len(exact.When) > 0 {
		out.needs = []condition{exact.condition()}
		return out
	}
	if l.Product != "" {
		part(l.Product, generalProduct(l.Product), product)
	}
	if l.Category != "" {
		part(l.Category, generalCategory(l.Category), category)
	}
	if l.Service != "" {
		part(l.Service, generalService(l.Service), service)
	}
	return out
}

func (e *tableEntry) condition() condition {
	var out condition
	for _, alternative := range e.When {
		var tests []test
		for field, vs := range alternative {
			lower := make([]string, len(vs))
			for i, v := range vs {
				lower[i] = strings.ToLower(v)
			}
			tests = append(tests, test{field, lower})
		}
		slices.SortFunc(tests, func(a, b test) int { return strings.Compare(a.field, b.field) })
		out = append(out, tests)
	}
	return out
}

// The general rules serve log sources that the table does not know, so that a
// rule for any product routes on what its events say of themselves.

func generalProduct(p string) condition {
	return condition{
		{{event.Source, []string{p, p + "_*"}}},
		{{event.Product, []string{p}}},
		{{event.Vendor, []string{p}}},
		{{event.Program, []string{p}}},
		{{event.Dataset, []string{p, p + ".*"}}},
	}
}

func generalCategory(c string) condition {
	return condition{
		{{event.Category, []string{c}}},
		{{event.Dataset, []string{c, "*." + c}}},
	}
}

func generalService(s string) condition {
	return condition{
		{{event.Source, []string{s, "*_" + s}}},
		{{event.Program, []string{s}}},
		{{event.Dataset, []string{s, "*." + s}}},
	}
}

func (x *test) holds(v string) bool {
	for _, want := range x.values {
		switch {
		case want == "*":
			return true
		case strings.HasSuffix(want, "*"):
			if len(v) >= len(want)-1 && strings.EqualFold(v[:len(want)-1], want[:len(want)-1]) {
				return true
			}
		case strings.HasPrefix(want, "*"):
			if n := len(v) - (len(want) - 1); n >= 0 && strings.EqualFold(v[n:], want[1:]) {
				return true
			}
		case strings.EqualFold(v, want):
			return true
		}
	}
	return false
}

// candidates returns the names under which a rule's field may stand in an event,
// the best first: the native key, the native key in other spellings, then the
// aliases that lead to canonical fields.
func (l *logSource) candidates(field string) []string {
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	native := event.NativePrefix + field
	switch {
	case !event.IsCanonical(field):
		add(field)
	case l.canonical:
		add(field)
		add(native)
	default:
		add(native)
		add(field)
	}
	for _, e := range l.entries {
		for _, s := range e.Spellings {
			s = strings.ReplaceAll(s, "{}", field)
			s = strings.ReplaceAll(s, "{lower}", eachFirst(field, strings.ToLower))
			s = strings.ReplaceAll(s, "{upper}", eachFirst(field, strings.ToUpper))
			s = strings.ReplaceAll(s, "{small}", strings.ToLower(field))
			add(strings.ReplaceAll(s, "{spaced}", spaced(field)))
		}
	}
	for _, e := range l.entries {
		for _, name := range e.Fields[field] {
			add(name)
		}
	}
	if strings.Contains(field, ".") {
		add(event.Resolve(field))
	}
	return out
}

// eachFirst turns the first letter of each part of a dotted name, as the same
// product's other interfaces have it.
func eachFirst(s string, turn func(string) string) string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		if p != "" {
			parts[i] = turn(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, ".")
}

// spaced writes ThreatName as "Threat Name", as the Windows event log has it.
func spaced(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(s[i-1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hiddenFields are made by KYRA from the rest of an event: keywords do not search
// them.
func hiddenFields() []string {
	return []string{event.Tags, event.TimeQuality, event.Severity, event.Category, event.Outcome, event.CollectorID, event.Dataset}
}
