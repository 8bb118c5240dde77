package eventstore

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// FieldCounts collects the answer to a FieldsRequest from single events and
// from sums.
type FieldCounts struct {
	request FieldsRequest
	wanted  map[string]bool
	fields  map[string]*fieldCount
}

type fieldCount struct {
	hits   uint64
	values map[string]uint64
}

// NewFieldCounts returns empty counts for a checked request.
func NewFieldCounts(r FieldsRequest) *FieldCounts {
	c := &FieldCounts{request: r, fields: map[string]*fieldCount{}}
	if len(r.Names) > 0 {
		c.wanted = map[string]bool{}
		for _, n := range r.Names {
			c.wanted[event.Resolve(n)] = true
			c.wanted[n] = true
		}
	}
	return c
}

// Wants tells whether the request asks for the field.
func (c *FieldCounts) Wants(name string) bool { return c.wanted == nil || c.wanted[name] }

// Names returns the fields asked for, aliases resolved; nil for all.
func (c *FieldCounts) Names() []string {
	names := make([]string, 0, len(c.wanted))
	for n := range c.wanted {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// AddHits counts n events that have the field.
func (c *FieldCounts) AddHits(name string, n uint64) {
	if c.Wants(name) && n > 0 {
		c.field(name).hits += n
	}
}

// AddValue counts n events that have the value in the field.
func (c *FieldCounts) AddValue(name, value string, n uint64) {
	if c.Wants(name) && c.request.Values > 0 {
		c.field(name).values[value] += n
	}
}

func (c *FieldCounts) field(name string) *fieldCount {
	f := c.fields[name]
	if f == nil {
		f = &fieldCount{values: map[string]uint64{}}
		c.fields[name] = f
	}
	return f
}

// Add counts the fields of one event.
func (c *FieldCounts) Add(e *event.Event) {
	for i, f := range e.Fields {
		first, repeated := true, false
		for _, before := range e.Fields[:i] {
			if before.Name == f.Name {
				first = false
				repeated = repeated || before.Value == f.Value
			}
		}
		if first {
			c.AddHits(strings.Clone(f.Name), 1)
		}
		if !repeated {
			c.AddValue(strings.Clone(f.Name), strings.Clone(f.Value), 1)
		}
	}
}

// Result returns the counts, the most frequent first, within the limits.
func (c *FieldCounts) Result() []FieldInfo {
	infos := make([]FieldInfo, 0, len(c.fields))
	for name, f := range c.fields {
		info := FieldInfo{Name: name, Hits: f.hits}
		for v, n := range f.values {
			info.Values = append(info.Values, ValueCount{v, n})
		}
		slices.SortFunc(info.Values, func(a, b ValueCount) int {
			return cmp.Or(cmp.Compare(b.Hits, a.Hits), strings.Compare(a.Value, b.Value))
		})
		info.Values = info.Values[:min(len(info.Values), c.request.Values)]
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b FieldInfo) int {
		return cmp.Or(cmp.Compare(b.Hits, a.Hits), strings.Compare(a.Name, b.Name))
	})
	return infos[:min(len(infos), c.request.Limit)]
}
