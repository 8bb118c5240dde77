package detect

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/query"
)

// Narrow returns a query that every event fulfils which any rule of the set looks
// at, by the log sources of the rules; nil where that may be any event. It may let
// others through: what reads stored events saves by it, and matches all the same.
func (rs *Ruleset) Narrow() query.Node {
	if len(rs.groups) == 0 {
		return nil
	}
	var groups []query.Node
	for i := range rs.groups {
		n := rs.groups[i].source.narrow()
		if n == nil {
			return nil
		}
		groups = append(groups, n)
	}
	return anyOf(groups)
}

// narrow is the log source as a query, nil for any event. Where a field has several
// spellings the router looks at the first that the event has; the query takes all.
func (l *logSource) narrow() query.Node {
	table := loadTable()
	var needs []query.Node
	for _, c := range l.needs {
		var alternatives []query.Node
		for _, tests := range c {
			var all []query.Node
			for i := range tests {
				if n := tests[i].narrow(table.spellingsOf(tests[i].field)); n != nil {
					all = append(all, n)
				}
			}
			if len(all) == 0 {
				alternatives = nil
				break
			}
			alternatives = append(alternatives, allOf(all))
		}
		if len(alternatives) > 0 {
			needs = append(needs, anyOf(alternatives))
		}
	}
	if len(needs) == 0 {
		return nil
	}
	return allOf(needs)
}

func (t *table) spellingsOf(field string) []string {
	if s := t.Spellings[field]; len(s) > 0 {
		return s
	}
	return []string{field}
}

// narrow is the test as a query over the names of its field, nil where a query does
// not find all that holds.
func (x *test) narrow(names []string) query.Node {
	var out []query.Node
	for _, name := range names {
		f := query.NewField(name)
		if f.Text() || f.Time() { // words are looked for in these
			return nil
		}
		for _, v := range x.values {
			begins, ends := strings.HasPrefix(v, "*"), strings.HasSuffix(v, "*")
			switch {
			case v == "*":
				out = append(out, query.Exists{Field: f})
			case begins || ends:
				var parts []query.Part
				if begins && !ends {
					parts = []query.Part{{Kind: query.Any}, {Kind: query.Literal, Text: v[1:]}}
				} else { // as holds reads it
					parts = []query.Part{{Kind: query.Literal, Text: v[:len(v)-1]}, {Kind: query.Any}}
				}
				out = append(out, query.NewWildcard(f, parts))
			default:
				out = append(out, query.Equal{Field: f, Value: v})
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return anyOf(out)
}

func anyOf(nodes []query.Node) query.Node {
	var flat []query.Node
	for _, n := range nodes {
		if or, ok := n.(query.Or); ok {
			flat = append(flat, or.Nodes...)
			continue
		}
		flat = append(flat, n)
	}
	nodes = distinct(flat)
	if len(nodes) == 1 {
		return nodes[0]
	}
	return query.Or{Nodes: nodes}
}

func allOf(nodes []query.Node) query.Node {
	nodes = distinct(nodes)
	if len(nodes) == 1 {
		return nodes[0]
	}
	return query.And{Nodes: nodes}
}

func distinct(nodes []query.Node) []query.Node {
	var out []query.Node
	for _, n := range nodes {
		text := n.String()
		if !slices.ContainsFunc(out, func(o query.Node) bool { return o.String() == text }) {
			out = append(out, n)
		}
	}
	return out
}
