package detect

import "github.com/kyra-mdr/kyra/internal/sigma"

// A router finds the groups of an event by the few fields that log sources ask
// for.
type router struct {
	slots  int
	feeds  [][]slotFeed // by number of a name: the slots that it fills
	groups [][]slotCondition
}

// slotFeed says that a name is the rank-th spelling of a slot's field.
type slotFeed struct{ slot, rank int32 }

// slotCondition is a condition over slots.
type slotCondition [][]slotTest

type slotTest struct {
	slot int32
	test
}

func newRouter(t *table, groups []group, names *sigma.Names) router {
	b := routerBuilder{table: t, names: names, slots: map[string]int32{}}
	for i := range groups {
		var needs []slotCondition
		for _, c := range groups[i].source.needs {
			needs = append(needs, b.condition(c))
		}
		b.groups = append(b.groups, needs)
	}
	b.router.slots = len(b.slots)
	return b.router
}

type routerBuilder struct {
	router
	table *table
	names *sigma.Names
	slots map[string]int32
}

func (b *routerBuilder) condition(c condition) slotCondition {
	var out slotCondition
	for _, tests := range c {
		var alternative []slotTest
		for _, x := range tests {
			alternative = append(alternative, slotTest{b.slot(x.field), x})
		}
		out = append(out, alternative)
	}
	return out
}

func (b *routerBuilder) slot(field string) int32 {
	if s, ok := b.slots[field]; ok {
		return s
	}
	s := int32(len(b.slots))
	b.slots[field] = s
	spellings := b.table.Spellings[field]
	if len(spellings) == 0 {
		spellings = []string{field}
	}
	for rank, name := range spellings {
		id := int(b.names.Add(name))
		for len(b.feeds) <= id {
			b.feeds = append(b.feeds, nil)
		}
		b.feeds[id] = append(b.feeds[id], slotFeed{s, int32(rank)})
	}
	return s
}

// match tells whether the slots' values lead to group g. Absent slots are nil.
func (r *router) match(g int, slots []*string) bool {
	for _, c := range r.groups[g] {
		if !c.holds(slots) {
			return false
		}
	}
	return true
}

func (c slotCondition) holds(slots []*string) bool {
	for _, alternative := range c {
		ok := true
		for i := range alternative {
			x := &alternative[i]
			if v := slots[x.slot]; v == nil || !x.holds(*v) {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}
