package detect

import (
	"slices"
	"sync"

	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A Need is what must arrive for a rule to match at all.
type Need struct {
	LogSource sigma.LogSource
	// Fields holds, for each field that every match requires, the names under
	// which an event may have it. A rule may need more: see Missing.
	Fields [][]string
	Lists  []string // value lists that its placeholders need
	root   *needed
}

// needed is a sigma.Requirement with the names of its field.
type needed struct {
	field string
	names []string
	least int
	of    []*needed
}

// Needs returns what d needs. A correlation needs nothing itself: the rules that
// it counts do.
func Needs(d *sigma.Document) Need {
	n := Need{LogSource: d.LogSource, Lists: d.Placeholders}
	if r := d.Requires(); r != nil {
		n.root = neededNames.of(d.LogSource).need(r)
		if n.root.field != "" {
			n.Fields = append(n.Fields, n.root.names)
		} else if n.root.least == len(n.root.of) {
			for _, kid := range n.root.of {
				if kid.field != "" {
					n.Fields = append(n.Fields, kid.names)
				}
			}
		}
	}
	return n
}

// Names calls do with each name under which the events' fields may matter to the
// rule, some more than once.
func (n *Need) Names(do func(name string)) { n.root.each(do) }

func (x *needed) each(do func(string)) {
	if x == nil {
		return
	}
	for _, name := range x.names {
		do(name)
	}
	for _, kid := range x.of {
		kid.each(do)
	}
}

// Missing tells which fields keep the rule from ever matching where has tells
// which names of fields are filled: of each inner list one would do. It is nil
// where the rule may match.
func (n *Need) Missing(has func(name string) bool) [][]string {
	if n.root == nil {
		return nil
	}
	return n.root.missing(has)
}

func (x *needed) missing(has func(string) bool) [][]string {
	if x.field != "" {
		if slices.ContainsFunc(x.names, has) {
			return nil
		}
		return [][]string{{x.field}}
	}
	var lacks [][][]string
	for _, kid := range x.of {
		if m := kid.missing(has); m != nil {
			lacks = append(lacks, m)
		}
	}
	short := x.least - (len(x.of) - len(lacks))
	if short <= 0 {
		return nil
	}
	// What is the least to add? With one to choose among single fields, any of them.
	slices.SortStableFunc(lacks, func(a, b [][]string) int { return len(a) - len(b) })
	if short == 1 && len(lacks) > 1 {
		var any []string
		for _, m := range lacks {
			if len(m) == 1 {
				any = appendNew(any, m[0]...)
			}
		}
		if len(any) > 0 {
			return [][]string{any}
		}
	}
	var out [][]string
	for _, m := range lacks[:short] {
		for _, clause := range m {
			if !slices.ContainsFunc(out, func(o []string) bool { return slices.Equal(o, clause) }) {
				out = append(out, clause)
			}
		}
	}
	return out
}

func appendNew(list []string, more ...string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// fieldNames remembers under which names the fields of a log source stand: many
// rules ask the same.
type fieldNames struct {
	mu      sync.Mutex
	sources map[sigma.LogSource]*sourceNames
}

type sourceNames struct {
	source logSource
	mu     sync.Mutex
	names  map[string][]string
}

// Bounds of what is remembered: people write rules.
const (
	maxNamedSources = 2048
	maxNamedFields  = 1024 // of one source
)

var neededNames = &fieldNames{sources: map[sigma.LogSource]*sourceNames{}}

func (f *fieldNames) of(l sigma.LogSource) *sourceNames {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sources[l]
	if s == nil {
		if len(f.sources) >= maxNamedSources {
			clear(f.sources)
		}
		s = &sourceNames{source: loadTable().resolve(l), names: map[string][]string{}}
		f.sources[l] = s
	}
	return s
}

func (s *sourceNames) need(r *sigma.Requirement) *needed {
	if r.Field == "" {
		out := &needed{least: r.Least}
		for _, kid := range r.Of {
			out.of = append(out.of, s.need(kid))
		}
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	names, ok := s.names[r.Field]
	if !ok {
		if len(s.names) >= maxNamedFields {
			clear(s.names)
		}
		names = s.source.candidates(r.Field)
		s.names[r.Field] = names
	}
	return &needed{field: r.Field, names: names}
}
