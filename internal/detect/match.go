package detect

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

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
	set     *Ruleset
	scratch *sigma.Scratch // made when first needed
	input   *sigma.Input
	slots   []*string
	ranks   []int32
	key     []byte
	classes map[string]*class // by the values of the slots
	found   []int32
	shard   int
	events  uint64
	cut     bool // the event makes too much work
}

// maxClasses bounds the cache of classes, maxClassKey the values that are worth
// caching: senders choose them.
const (
	maxClasses  = 8192
	maxClassKey = 512
)

// matchers deals out shards.
var matchers atomic.Uint32

// NewMatcher returns a matcher for one goroutine. That of a nil rule set finds
// nothing.
func (rs *Ruleset) NewMatcher() *Matcher {
	if rs == nil {
		rs = &Ruleset{names: sigma.NewNames()}
	}
	return &Matcher{
		set:     rs,
		input:   sigma.NewInput(rs.names),
		slots:   make([]*string, rs.router.slots),
		ranks:   make([]int32, rs.router.slots),
		classes: map[string]*class{},
		shard:   int(matchers.Add(1) % shards),
	}
}

// Match appends the rules that match e to dst, base rules of correlations among
// them. It tags e where a value was too long to be looked at whole, and where there
// was too much to do for all rules to be asked.
func (m *Matcher) Match(e *event.Event, dst []Hit) []Hit {
	m.input.Set(e)
	c := m.classify(e)
	if c == nil {
		return dst
	}
	if m.scratch == nil {
		m.scratch = m.set.matching.program.NewScratch()
	}
	if c.parts == nil {
		dst = m.match(c, dst)
	}
	for _, p := range c.parts {
		dst = m.match(p, dst)
	}
	if m.input.Truncated() {
		m.set.matching.truncated.Add(1)
		e.Tag(event.TagTruncatedForDetection)
	}
	if m.cut {
		m.cut = false
		m.set.matching.cut.Add(1)
		e.Tag(event.TagDetectionCut)
	}
	return dst
}

// costEvery is how manieth event the cost of rules is measured on.
const costEvery = 64

func (m *Matcher) match(c *class, dst []Hit) []Hit {
	c.events[m.shard].Add(1)
	if m.events++; m.events%costEvery == 0 {
		m.found = m.scratch.MatchTimed(c.sigma, m.input, m.found[:0], &account{&m.set.matching, c, time.Now()})
	} else {
		m.found = m.scratch.MatchInput(c.sigma, m.input, m.found[:0])
	}
	for _, i := range m.scratch.Skipped() {
		m.cut = true
		m.set.matching.skipped[i].Add(1)
	}
	for _, i := range m.found {
		r := m.set.matching.rules[i]
		m.set.rules[r].matches.Add(1)
		dst = append(dst, Hit{m.set, r})
	}
	return dst
}

// An account takes down what rules cost.
type account struct {
	matching *matching
	class    *class
	since    time.Time
}

// Spent charges the time since the last call to rule, -1 meaning all of the class.
func (a *account) Spent(rule int32) {
	now := time.Now()
	n := uint64(now.Sub(a.since)) * costEvery
	if rule < 0 {
		a.class.nanos.Add(n)
	} else {
		a.matching.nanos[rule].Add(n)
	}
	a.since = now
}

// classify returns the class of e, nil where no rule concerns it.
func (m *Matcher) classify(e *event.Event) *class {
	l := m.input.Layout()
	if !l.Routed {
		l.Route, l.Routed = m.set.router.route(l.Names, l.Route[:0], m.ranks), true
	}
	if c, ok := l.Last.(*class); ok && sameRoute(l, e) {
		return c
	}
	l.Text, l.Ends, l.Last = l.Text[:0], l.Ends[:0], nil
	m.key = m.key[:0]
	for i := 0; i < len(l.Route); i += 2 {
		v := e.Fields[l.Route[i+1]].Value
		m.key = append(m.key, byte(l.Route[i]))
		m.key = binary.AppendUvarint(m.key, uint64(len(v)))
		m.key = append(m.key, v...)
		if len(m.key) > maxClassKey {
			return m.evaluate(e, l.Route)
		}
		l.Text = append(l.Text, v...)
		l.Ends = append(l.Ends, int32(len(l.Text)))
	}
	c, ok := m.classes[string(m.key)]
	if !ok {
		c = m.evaluate(e, l.Route)
		if len(m.classes) >= maxClasses {
			clear(m.classes)
		}
		m.classes[string(m.key)] = c
	}
	l.Last = c
	return c
}

// sameRoute tells whether the values that log sources ask for are those of the last
// event of the layout.
func sameRoute(l *sigma.Layout, e *event.Event) bool {
	from := int32(0)
	for i, end := range l.Ends {
		if string(l.Text[from:end]) != e.Fields[l.Route[2*i+1]].Value {
			return false
		}
		from = end
	}
	return true
}

func (m *Matcher) evaluate(e *event.Event, route []int32) *class {
	clear(m.slots)
	for i := 0; i < len(route); i += 2 {
		m.slots[route[i]] = &e.Fields[route[i+1]].Value
	}
	groups := m.set.router.groupsOf(m.slots, nil)
	if len(groups) == 0 {
		return nil
	}
	return m.set.matching.classOf(groups)
}

// route returns the groups of e.
func (m *Matcher) route(e *event.Event) []int32 {
	m.input.Set(e)
	c := m.classify(e)
	if c == nil {
		return nil
	}
	return slices.Clone(c.groups)
}

// forget empties what makes known values cheap.
func (m *Matcher) forget() {
	if m.scratch != nil {
		m.scratch.Forget()
	}
}
