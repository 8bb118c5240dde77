package detect

import "github.com/kyra-mdr/kyra/internal/sigma"

// A router finds the groups of an event by the few fields that log sources ask
// for.
type router struct {
	slots  int
	feeds  [][]slotFeed // by number of a name: the slots that it fills
	groups [][]slotCondition
	named  map[string][]slotFeed
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
	b := routerBuilder{router: router{named: map[string][]slotFeed{}}, table: t, names: names, slots: map[string]int32{}}
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

// route appends which slots the fields of an event with such names fill, as pairs
// of slot and index. ranks is memory for as many numbers as there are slots.
func (r *router) route(names, dst, ranks []int32) []int32 {
	for i, name := range names {
		if name < 0 || int(name) >= len(r.feeds) {
			continue
		}
	feeds:
		for _, f := range r.feeds[name] {
			for k := 0; k < len(dst); k += 2 {
				if dst[k] != f.slot {
					continue
				}
				if f.rank < ranks[f.slot] {
					dst[k+1], ranks[f.slot] = int32(i), f.rank
				}
				continue feeds
			}
			dst, ranks[f.slot] = append(dst, f.slot, int32(i)), f.rank
		}
	}
	return dst
}

// groupsOf appends the groups that the slots' values lead to.
func (r *router) groupsOf(slots []*string, dst []int32) []int32 {
	for g := range r.groups {
		if r.match(g, slots) {
			dst = append(dst, int32(g))
		}
	}
	return dst
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
		b.named[name] = append(b.named[name], slotFeed{s, int32(rank)})
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
