package detect

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A group is the rules of one log source.
type group struct {
	source logSource
	rules  []int32
}

// groupRules puts rules of one log source together and compiles them all.
func (c *compiler) groupRules() {
	c.groups = map[sigma.LogSource]int32{}
	var members [][]int32
	var names []sigma.LogSource
	for i := range c.set.rules {
		r := &c.set.rules[i]
		if r.document.Correlation != nil {
			continue
		}
		g, ok := c.groups[r.document.LogSource]
		if !ok {
			g = int32(len(members))
			c.groups[r.document.LogSource] = g
			members = append(members, nil)
			names = append(names, r.document.LogSource)
		}
		r.group = g
		members[g] = append(members[g], int32(i))
	}
	sources := make([]sigma.Source, len(members))
	c.set.groups = make([]group, len(members))
	for g := range c.set.groups {
		x := &c.set.groups[g]
		x.source, x.rules = loadTable().resolve(names[g]), members[g]
		sources[g].Fields = x.source.candidates
		for _, r := range x.rules {
			sources[g].Rules = append(sources[g].Rules, c.set.rules[r].document)
			c.set.matching.rules = append(c.set.matching.rules, r)
		}
	}
	c.set.router = newRouter(loadTable(), c.set.groups, c.set.names)
	p, err := sigma.NewProgram(sources, sigma.ProgramOptions{
		Names:  c.set.names,
		Hidden: hiddenFields(),
		Sample: c.sample(),
	})
	if err != nil { // admit has checked all that NewProgram refuses
		panic(fmt.Sprintf("detect: %v", err))
	}
	c.set.matching.program = p
	c.set.matching.nanos = make([]atomic.Uint64, len(c.set.matching.rules))
	c.set.matching.skipped = make([]atomic.Uint64, len(c.set.matching.rules))
	c.set.matching.byGroups = map[string]*class{}
}

// sample routes the sample.
func (c *compiler) sample() []sigma.Sample {
	slots := make([]*string, c.set.router.slots)
	out := make([]sigma.Sample, 0, len(c.options.Sample))
	for i := range c.options.Sample {
		e := &c.options.Sample[i]
		c.set.router.fill(e, slots)
		if groups := c.set.router.groupsOf(slots, nil); len(groups) > 0 {
			out = append(out, sigma.Sample{Event: e, Sources: groups})
		}
	}
	return out
}

// A class is the groups that some events concern, which are matched together.
type class struct {
	groups []int32
	parts  []*class // of each group, where they are not matched together
	sigma  *sigma.Class
	events [shards]counter
	nanos  atomic.Uint64 // spent on values, before any rule
}

// shards keeps matchers of different goroutines from counting in one place.
const shards = 8

type counter struct {
	atomic.Uint64
	_ [56]byte // the rest of a cache line
}

// A matching is the compiled rules, and the classes that events have needed so far.
type matching struct {
	program *sigma.Program
	rules   []int32         // the program's rule → rule
	nanos   []atomic.Uint64 // by the program's rule
	skipped []atomic.Uint64

	truncated, cut atomic.Uint64

	mu       sync.Mutex
	byGroups map[string]*class
	size     int // of those that match several groups together, in atoms
}

// maxClassAtoms bounds the memory of classes: senders choose which groups their
// events concern together. Those that come after it are matched group by group.
const maxClassAtoms = 1 << 18

// classOf returns the class of groups, which are in order.
func (x *matching) classOf(groups []int32) *class {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.classLocked(groups)
}

func (x *matching) classLocked(groups []int32) *class {
	key := fmt.Sprint(groups)
	c := x.byGroups[key]
	if c != nil {
		return c
	}
	c = &class{groups: slices.Clone(groups)}
	if len(groups) > 1 && x.size > maxClassAtoms {
		// Not kept: as many as there are ways to choose from the groups may come.
		for _, g := range groups {
			c.parts = append(c.parts, x.classLocked([]int32{g}))
		}
		return c
	}
	c.sigma = x.program.Class(groups)
	x.byGroups[key] = c
	if len(groups) > 1 {
		x.size += c.sigma.Atoms()
	}
	return c
}

// A Limits counts events of which rules did not see all.
type Limits struct {
	Truncated uint64 // a value was longer than sigma.MaxValue: what follows was not looked at
	Cut       uint64 // there was too much to do: not all rules were asked, see RuleStats.Skipped
}

// Limits returns how often events went beyond what detection does for one.
func (rs *Ruleset) Limits() Limits {
	return Limits{rs.matching.truncated.Load(), rs.matching.cut.Load()}
}

// account fills in how many events each rule concerned and how long it took. What
// serves all rules of an event is shared out among them.
func (x *matching) account(groups []group, out []RuleStats) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, r := range x.rules {
		out[r].Nanos, out[r].Skipped = x.nanos[i].Load(), x.skipped[i].Load()
	}
	for _, c := range x.byGroups {
		seen, rules := uint64(0), uint64(0)
		for i := range c.events {
			seen += c.events[i].Load()
		}
		for _, g := range c.groups {
			rules += uint64(len(groups[g].rules))
		}
		for _, g := range c.groups {
			for _, r := range groups[g].rules {
				out[r].Evaluations += seen
				out[r].Nanos += c.nanos.Load() / rules
			}
		}
	}
}

// fill puts the values that log sources ask for into slots.
func (r *router) fill(e *event.Event, slots []*string) {
	clear(slots)
	ranks := make([]int32, len(slots))
	for i := range e.Fields {
		for _, f := range r.named[e.Fields[i].Name] {
			if slots[f.slot] == nil || f.rank < ranks[f.slot] {
				slots[f.slot], ranks[f.slot] = &e.Fields[i].Value, f.rank
			}
		}
	}
}
