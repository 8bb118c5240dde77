package detect

import (
	"encoding/binary"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A Hit is a rule of a rule set that matches an event. It goes to Apply.
type Hit struct {
	set  *Ruleset
	rule int32
}

// RuleID returns the id of the rule.
func (h Hit) RuleID() string { return h.set.rules[h.rule].document.ID }

// Document returns the rule.
func (h Hit) Document() *sigma.Document { return h.set.rules[h.rule].document }

// A Matcher finds the rules that match one event. It keeps no state of the
// stream; each goroutine needs its own.
type Matcher struct {
	set       *Ruleset
	scratches []*sigma.Scratch // by group, made when first needed
	input     *sigma.Input
	slots     []*string
	ranks     []int32
	key       []byte
	classes   map[string][]int32 // values of the slots → groups
	uncached  []int32
	found     []int32
}

// maxClasses bounds the cache of classes, maxClassKey the values that are worth
// caching: senders choose them.
const (
	maxClasses  = 8192
	maxClassKey = 512
)

// NewMatcher returns a matcher for one goroutine. That of a nil rule set finds
// nothing.
func (rs *Ruleset) NewMatcher() *Matcher {
	if rs == nil {
		rs = &Ruleset{names: sigma.NewNames()}
	}
	return &Matcher{
		set:       rs,
		input:     sigma.NewInput(rs.names),
		scratches: make([]*sigma.Scratch, len(rs.groups)),
		slots:     make([]*string, rs.router.slots),
		ranks:     make([]int32, rs.router.slots),
		classes:   map[string][]int32{},
	}
}

// Match appends the rules that match e to dst, base rules of correlations among
// them.
func (m *Matcher) Match(e *event.Event, dst []Hit) []Hit {
	m.input.Set(e)
	for _, g := range m.route(e) {
		x := &m.set.groups[g]
		x.events.Add(1)
		s := m.scratches[g]
		if s == nil {
			s = x.matcher.NewScratch()
			m.scratches[g] = s
		}
		m.found = s.MatchInput(m.input, m.found[:0])
		for _, i := range m.found {
			r := x.rules[i]
			m.set.rules[r].matches.Add(1)
			dst = append(dst, Hit{m.set, r})
		}
	}
	return dst
}

// route returns the groups of e.
func (m *Matcher) route(e *event.Event) []int32 {
	r := &m.set.router
	clear(m.slots)
	for i, name := range m.input.Names() {
		if name < 0 || int(name) >= len(r.feeds) {
			continue
		}
		for _, f := range r.feeds[name] {
			if m.slots[f.slot] == nil || f.rank < m.ranks[f.slot] {
				m.slots[f.slot], m.ranks[f.slot] = &e.Fields[i].Value, f.rank
			}
		}
	}
	m.key = m.key[:0]
	for i, v := range m.slots {
		if v == nil {
			continue
		}
		m.key = append(m.key, byte(i))
		m.key = binary.AppendUvarint(m.key, uint64(len(*v)))
		m.key = append(m.key, *v...)
		if len(m.key) > maxClassKey {
			m.uncached = m.evaluate(m.uncached[:0])
			return m.uncached
		}
	}
	groups, ok := m.classes[string(m.key)]
	if !ok {
		groups = m.evaluate(nil)
		if len(m.classes) >= maxClasses {
			clear(m.classes)
		}
		m.classes[string(m.key)] = groups
	}
	return groups
}

func (m *Matcher) evaluate(dst []int32) []int32 {
	for g := range m.set.groups {
		if m.set.router.match(g, m.slots) {
			dst = append(dst, int32(g))
		}
	}
	return dst
}
