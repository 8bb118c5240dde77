package sigma

import (
	"bytes"
	"slices"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A Scratch is the working memory of one goroutine for one Matcher.
type Scratch struct {
	m     *Matcher
	epoch uint32 // of this event: what carries another one is from before

	own    *Input // of Match
	in     *Input // the event under way
	fields []fieldState
	links  []link // values of fields, chained
	active []int32

	predicates []uint32 // 2·epoch + truth
	ruleEpoch  []uint32
	candidates []int32
	hits       []int32
	automata   []*dfa
}

type fieldState struct {
	epoch      uint32
	rank       int32
	head, tail int32 // in links
}

type link struct {
	value int32 // index in the event's fields
	next  int32 // -1: the last
}

// NewScratch returns working memory for one goroutine.
func (m *Matcher) NewScratch() *Scratch {
	regexes := 0
	for i := range m.preds {
		if m.preds[i].regex >= 0 {
			regexes++
		}
	}
	return &Scratch{
		m:          m,
		own:        NewInput(m.names),
		fields:     make([]fieldState, len(m.fields)),
		predicates: make([]uint32, len(m.preds)),
		ruleEpoch:  make([]uint32, len(m.rules)),
		automata:   make([]*dfa, regexes),
	}
}

// Match appends the indexes of the rules that match e to dst, in order.
func (s *Scratch) Match(e *event.Event, dst []int32) []int32 {
	s.own.Set(e)
	return s.MatchInput(s.own, dst)
}

// MatchInput is Match for an event that several matchers look at. The input must
// be of the Names that the matcher was compiled with.
func (s *Scratch) MatchInput(in *Input, dst []int32) []int32 {
	s.begin(in)
	for _, f := range s.active {
		s.fire(s.findField(f, s.hits[:0]))
	}
	if s.m.keywords != nil {
		for i := range in.event.Fields {
			if s.searched(int32(i)) {
				s.hits = s.m.keywords.scan(in.fold(int32(i)), s.hits[:0])
				s.fire(s.hits)
			}
		}
	}
	s.candidates = append(s.candidates, s.m.always...)
	start := len(dst)
	for _, r := range s.candidates {
		if s.eval(s.m.rules[r], 0) {
			dst = append(dst, r)
		}
	}
	slices.Sort(dst[start:])
	s.in = nil
	return dst
}

// collectHits hands each atom that fires for e to fire, some of them repeatedly.
func (s *Scratch) collectHits(e *event.Event, fire func([]int32)) {
	s.own.Set(e)
	s.begin(s.own)
	for _, f := range s.active {
		fire(s.findField(f, s.hits[:0]))
	}
	if s.m.keywords != nil {
		for i := range e.Fields {
			if s.searched(int32(i)) {
				s.hits = s.m.keywords.scan(s.own.fold(int32(i)), s.hits[:0])
				fire(s.hits)
			}
		}
	}
}

// searched tells whether keywords look at field i of the event: it is not hidden,
// and no field before it has the same long value and was looked at.
func (s *Scratch) searched(i int32) bool {
	return !s.hidden(i) && (s.in.same[i] == i || s.hidden(s.in.same[i]))
}

func (s *Scratch) hidden(i int32) bool {
	n := s.in.names[i]
	return n >= 0 && int(n) < len(s.m.hidden) && s.m.hidden[n]
}

// begin takes the event in: which of its values are which field.
func (s *Scratch) begin(in *Input) {
	if s.epoch++; s.epoch >= 1<<31 {
		s.forget()
	}
	s.in = in
	s.candidates = s.candidates[:0]
	s.links = s.links[:0]
	s.active = s.active[:0]
	for i, name := range in.names {
		if name < 0 || int(name) >= len(s.m.targets) {
			continue
		}
		for _, t := range s.m.targets[name] {
			s.add(t, in.same[i])
		}
	}
}

func (s *Scratch) add(t target, value int32) {
	f := &s.fields[t.field]
	at := int32(len(s.links))
	switch {
	case f.epoch != s.epoch:
		s.active = append(s.active, t.field)
		*f = fieldState{s.epoch, t.rank, at, at}
	case t.rank < f.rank: // a better name for the field
		*f = fieldState{s.epoch, t.rank, at, at}
	case t.rank > f.rank:
		return
	default:
		s.links[f.tail].next = at
		f.tail = at
	}
	s.links = append(s.links, link{value, -1})
}

// forget clears what carries epochs, once in two thousand million events.
func (s *Scratch) forget() {
	clear(s.fields)
	clear(s.predicates)
	clear(s.ruleEpoch)
	s.epoch = 1
}

// findField appends the atoms of field f that fire.
func (s *Scratch) findField(f int32, dst []int32) []int32 {
	x := s.m.fields[f]
	if x == nil {
		return dst
	}
	dst = append(dst, x.present...)
	text := x.needsText()
	for at := s.fields[f].head; at >= 0; at = s.links[at].next {
		v := s.links[at].value
		if text {
			dst = x.find(s.in.fold(v), dst)
		}
		if x.networks != nil {
			if a, ok := parseAddress(s.in.raw(v)); ok {
				dst = x.networks.find(a, dst)
			}
		}
	}
	s.hits = dst
	return dst
}

// fire notes what follows from atoms.
func (s *Scratch) fire(hits []int32) {
	for _, id := range hits {
		a := &s.m.atoms[id]
		if a.decides >= 0 {
			s.predicates[a.decides] = s.epoch<<1 | 1
		}
		for _, r := range a.rules {
			if s.ruleEpoch[r] != s.epoch {
				s.ruleEpoch[r] = s.epoch
				s.candidates = append(s.candidates, r)
			}
		}
	}
}

func (s *Scratch) eval(steps compiledRule, i int32) bool {
	x := &steps[i]
	switch x.kind {
	case predExpr:
		return s.holds(x.arg)
	case andExpr:
		for k := i + 1; k < x.end; k = steps[k].end {
			if !s.eval(steps, k) {
				return false
			}
		}
		return true
	case orExpr:
		for k := i + 1; k < x.end; k = steps[k].end {
			if s.eval(steps, k) {
				return true
			}
		}
		return false
	case notExpr:
		return !s.eval(steps, i+1)
	case atLeastExpr:
		n := int32(0)
		for k := i + 1; k < x.end && n < x.arg; k = steps[k].end {
			if s.eval(steps, k) {
				n++
			}
		}
		return n >= x.arg
	case trueExpr:
		return true
	}
	return false
}

// holds answers a predicate, once an event.
func (s *Scratch) holds(id int32) bool {
	if memo := s.predicates[id]; memo>>1 == s.epoch {
		return memo&1 == 1
	}
	p := &s.m.preds[id]
	if p.decided { // its atom would have fired
		return false
	}
	memo := s.epoch << 1
	if s.compute(p) {
		memo |= 1
	}
	s.predicates[id] = memo
	return memo&1 == 1
}

func (s *Scratch) compute(p *compiledPredicate) bool {
	if p.field < 0 {
		for i := range s.in.event.Fields {
			if s.searched(int32(i)) && (p.op == opPresent || s.valueHolds(p, int32(i))) {
				return true
			}
		}
		return false
	}
	f := &s.fields[p.field]
	present := f.epoch == s.epoch
	switch {
	case p.op == opPresent:
		return present
	case p.op == opAbsent:
		return !present
	case !present:
		return false
	}
	for at := f.head; at >= 0; at = s.links[at].next {
		if s.valueHolds(p, s.links[at].value) {
			return true
		}
	}
	return false
}

func (s *Scratch) valueHolds(p *compiledPredicate, value int32) bool {
	switch p.op {
	case opEqual, opPrefix, opSuffix, opContains:
		if p.cased {
			return textHolds(p.op, s.in.raw(value), p.text)
		}
		return bytesHold(p.op, s.in.fold(value), p.bytes)
	case opGlob:
		if p.cased {
			return p.glob.match(s.in.bytes(value))
		}
		return p.glob.match(s.in.fold(value))
	case opRegex:
		d := s.automata[p.regex]
		if d == nil {
			d = newDFA(p.program)
			s.automata[p.regex] = d
		}
		return d.match(s.in.raw(value))
	case opCIDR:
		a, ok := parseAddress(s.in.raw(value))
		return ok && p.net.Contains(a)
	case opCompare:
		n, ok := parseNumber(s.in.raw(value))
		return ok && compareNumbers(p.cmp, n, p.num)
	case opTime:
		n, ok := timePart(p.part, s.in.raw(value))
		return ok && compareNumbers(p.cmp, n, p.num)
	case opRef:
		return s.refHolds(p, value)
	}
	return false
}

func (s *Scratch) refHolds(p *compiledPredicate, value int32) bool {
	f := &s.fields[p.ref]
	if f.epoch != s.epoch {
		return false
	}
	for at := f.head; at >= 0; at = s.links[at].next {
		other := s.links[at].value
		if p.cased && textHolds(p.refOp, s.in.raw(value), s.in.raw(other)) {
			return true
		}
		if !p.cased && bytesHold(p.refOp, s.in.fold(value), s.in.fold(other)) {
			return true
		}
	}
	return false
}

func bytesHold(o op, v, text []byte) bool {
	switch o {
	case opEqual:
		return bytes.Equal(v, text)
	case opPrefix:
		return bytes.HasPrefix(v, text)
	case opSuffix:
		return bytes.HasSuffix(v, text)
	default:
		return bytes.Contains(v, text)
	}
}
