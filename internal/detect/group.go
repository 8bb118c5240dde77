package detect

import (
	"fmt"
	"sync/atomic"

	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A group is the rules of one log source.
type group struct {
	source  logSource
	matcher *sigma.Matcher
	rules   []int32 // the matcher's rule → rule
	events  atomic.Uint64
}

// groupRules puts rules of one log source into one matcher.
func (c *compiler) groupRules() {
	c.groups = map[sigma.LogSource]int32{}
	var members [][]int32
	var sources []sigma.LogSource
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
			sources = append(sources, r.document.LogSource)
			c.docs = append(c.docs, nil)
		}
		r.group = g
		members[g] = append(members[g], int32(i))
		c.docs[g] = append(c.docs[g], r.document)
	}
	c.set.groups = make([]group, len(members))
	for g := range c.set.groups {
		x := &c.set.groups[g]
		x.source = loadTable().resolve(sources[g])
		x.rules = members[g]
		m, err := sigma.Compile(c.docs[g], sigma.Options{
			Fields: x.source.candidates,
			Hidden: hiddenFields(),
			Names:  c.set.names,
			Sample: c.options.Sample,
		})
		if err != nil { // admit has checked all that Compile refuses
			panic(fmt.Sprintf("detect: %v", err))
		}
		x.matcher = m
	}
}
