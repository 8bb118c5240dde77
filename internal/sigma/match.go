package sigma

import (
	"bytes"
	"slices"
	"unsafe"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A Scratch is the working memory of one goroutine for one Program.
type Scratch struct {
	p     *Program
	epoch uint32 // of this event: what carries another one is from before

	own   *Input // of Match
	class *Class // of Match

	in         *Input // the event under way
	now        *Class // its class
	planner    planner
	plan       *plan
	planEpoch  uint32
	fields     []fieldState
	predicates []uint32 // 2·epoch + truth
	ruleEpoch  []uint32
	candidates []int32
	found      scanned
	marks      []uint64 // bits by id, all 0 between uses
	searched   areas    // for keywords
	cache      valueCache
	serials    []serial // by field of the event
	automata   []*dfa
	cells      int // of all automata

	possible []uint32 // by predicate: the epoch in which a deep value may fulfil it
	deep     []look   // deep values of the event
	work     int
	skipped  []int32
}

// A serial names a value of the event in the cache, if it is of this epoch.
type serial struct{ epoch, number uint32 }

// fieldState says which values of the plan are a field's.
type fieldState struct {
	epoch  uint32
	lo, hi int32
}

// NewScratch returns working memory for one goroutine.
func (p *Program) NewScratch() *Scratch {
	return &Scratch{
		p:          p,
		planner:    planner{best: make([]bestName, len(p.fields))},
		fields:     make([]fieldState, len(p.fields)),
		predicates: make([]uint32, len(p.preds)),
		possible:   make([]uint32, len(p.preds)),
		ruleEpoch:  make([]uint32, len(p.rules)),
		automata:   make([]*dfa, p.regexes),
	}
}

// Match appends the indexes of the rules that match e to dst, in order.
func (s *Scratch) Match(e *event.Event, dst []int32) []int32 {
	s.own.Set(e)
	return s.MatchInput(s.class, s.own, dst)
}

// MatchInput appends the indexes of the rules of c that match the event of in to
// dst, in order. The input must be of the program's names.
func (s *Scratch) MatchInput(c *Class, in *Input, dst []int32) []int32 {
	s.begin(c, in)
	s.look()
	s.candidates = append(s.candidates, c.always...)
	s.afford()
	start := len(dst)
	for _, r := range s.candidates {
		if s.eval(int32(s.p.rules[r])) {
			dst = append(dst, r)
		}
	}
	slices.Sort(dst[start:])
	s.in = nil
	return dst
}

// An Account is told where time went.
type Account interface {
	// Spent charges the time since the call before to a rule, or, with -1, to what
	// serves all rules.
	Spent(rule int32)
}

// MatchTimed is MatchInput with an account.
func (s *Scratch) MatchTimed(c *Class, in *Input, dst []int32, a Account) []int32 {
	s.begin(c, in)
	s.look()
	a.Spent(-1)
	s.candidates = append(s.candidates, c.always...)
	s.afford()
	start := len(dst)
	for _, r := range s.candidates {
		if s.eval(int32(s.p.rules[r])) {
			dst = append(dst, r)
		}
		a.Spent(r)
	}
	slices.Sort(dst[start:])
	s.in = nil
	return dst
}

// Forget empties what makes values that recur cheap.
func (s *Scratch) Forget() { s.cache.forget() }

// begin takes the event in: which of its values are which field.
func (s *Scratch) begin(c *Class, in *Input) {
	if s.epoch++; s.epoch >= 1<<31 {
		s.forget()
	}
	s.in, s.now = in, c
	s.candidates = s.candidates[:0]
	if n := len(in.names); n > len(s.serials) {
		s.serials = append(s.serials, make([]serial, n-len(s.serials))...)
	}
	p := s.planner.planFor(c, in)
	if s.plan == p && p != &s.planner.loose {
		return
	}
	s.plan = p
	if s.planEpoch++; s.planEpoch == 0 {
		clear(s.fields)
		s.planEpoch = 1
	}
	for _, f := range p.fields {
		s.fields[f.field] = fieldState{s.planEpoch, f.lo, f.hi}
	}
}

// forget clears what carries epochs, once in two thousand million events.
func (s *Scratch) forget() {
	clear(s.predicates)
	clear(s.possible)
	clear(s.ruleEpoch)
	clear(s.serials)
	s.epoch = 1
}

// values returns the indexes of the values of field f.
func (s *Scratch) values(f int32) []int32 {
	x := &s.fields[f]
	if x.epoch != s.planEpoch {
		return nil
	}
	return s.plan.values[x.lo:x.hi]
}

// look fires what the values of the event say.
func (s *Scratch) look() {
	s.searched.n, s.work, s.deep = 0, 0, s.deep[:0]
	s.fire(s.plan.present)
	for i := range s.plan.looks[:s.plan.bare] {
		l := &s.plan.looks[i]
		u := l.unit.ready()
		v := s.in.raw(l.value)
		if u.keywords {
			s.searched.add(v)
		}
		s.work += len(v)
		if len(v) >= deepFrom && len(u.fields) > 0 && len(s.p.steps) > 0 {
			s.lookDeep(l)
			continue
		}
		hit, key := s.cache.find(u, v)
		if hit != nil {
			s.serials[l.value] = serial{s.epoch, hit.serial}
			s.work += int(hit.steps)
			s.fireFor(l, s.cache.ids[hit.lo:hit.hi])
			continue
		}
		s.found.ids, s.found.steps = s.found.ids[:0], 0
		u.find(s.in, l.value, &s.found)
		s.distinct()
		if n := s.cache.keep(key, u, v, s.found.ids, s.found.steps); n != 0 {
			s.serials[l.value] = serial{s.epoch, n}
		}
		s.work += s.found.steps
		s.fireFor(l, s.found.ids)
	}
	s.lookForKeywords()
}

// lookForKeywords fires what the values say that are no field.
func (s *Scratch) lookForKeywords() {
	looks := s.plan.looks[s.plan.bare:]
	if len(looks) == 0 {
		return
	}
	u := looks[0].unit.ready() // that of all
	for i := range looks {
		l := &looks[i]
		v := s.in.raw(l.value)
		if 2*len(v) < u.shortest || string(l.quiet) == v || u.contains.ascii && s.searched.within(v) {
			continue
		}
		none := u.contains.absent(v)
		if !none {
			s.found.ids, s.found.steps = s.found.ids[:0], 0
			u.contains.scan(s.in.fold(l.value), &s.found)
			s.fire(s.found.ids)
			none = len(s.found.ids) == 0
		}
		if none && len(v) <= maxQuiet && s.plan != &s.planner.loose {
			l.quiet = append(l.quiet[:0], v...)
		}
		s.searched.add(v)
	}
}

// areas are pieces of memory in which keywords were looked for: many values of an
// event are parts of others, such as of the message, and hold nothing new. (Of a
// literal that is ASCII that is true even if a value begins within a rune.)
type areas struct {
	n    int
	from [8]uintptr
	to   [8]uintptr
}

func (a *areas) within(v string) bool {
	from := uintptr(unsafe.Pointer(unsafe.StringData(v)))
	for i := range a.n {
		if a.from[i] <= from && from+uintptr(len(v)) <= a.to[i] {
			return true
		}
	}
	return false
}

// minArea is from which length on other values may well be parts of one.
const minArea = 32

func (a *areas) add(v string) {
	if len(v) < minArea || a.n == len(a.from) {
		return
	}
	from := uintptr(unsafe.Pointer(unsafe.StringData(v)))
	a.from[a.n], a.to[a.n] = from, from+uintptr(len(v))
	a.n++
}

// fireFor fires the atoms of a look.
func (s *Scratch) fireFor(l *look, ids []int32) {
	if !l.partial {
		s.fire(ids)
		return
	}
	for _, id := range ids {
		if f := s.now.uses[id].field; f < 0 || slices.Contains(s.values(f), l.value) {
			s.fire([]int32{id})
		}
	}
}

// fire notes what follows from atoms.
func (s *Scratch) fire(ids []int32) {
	for _, id := range ids {
		a := &s.now.uses[id]
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

// eval answers a step of a rule.
func (s *Scratch) eval(i int32) bool {
	x := &s.p.steps[i]
	if !x.memo {
		return s.evalStep(x, i)
	}
	values := s.values(x.field)
	if len(values) != 1 {
		return s.evalStep(x, i)
	}
	n := s.serials[values[0]]
	if n.epoch != s.epoch {
		return s.evalStep(x, i)
	}
	m, known := s.cache.recall(i, n.number)
	if known {
		return m.serial&1 == 1
	}
	result := s.evalStep(x, i)
	*m = memo{i, n.number << 1}
	if result {
		m.serial |= 1
	}
	return result
}

func (s *Scratch) evalStep(x *step, i int32) bool {
	steps := s.p.steps
	switch x.kind {
	case predExpr:
		return s.holds(x.arg)
	case andExpr:
		for k := i + 1; k < x.end; k = steps[k].end {
			if !s.eval(k) {
				return false
			}
		}
		return true
	case orExpr:
		for k := i + 1; k < x.end; k = steps[k].end {
			if s.eval(k) {
				return true
			}
		}
		return false
	case notExpr:
		return !s.eval(i + 1)
	case atLeastExpr:
		n := int32(0)
		for k := i + 1; k < x.end && n < x.arg; k = steps[k].end {
			if s.eval(k) {
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
	if s.now.decided[id>>6]>>(id&63)&1 != 0 { // its atom would have fired
		return false
	}
	p := &s.p.preds[id]
	result := s.answer(id, p)
	memo := s.epoch << 1
	if result {
		memo |= 1
	}
	s.predicates[id] = memo
	return result
}

func (s *Scratch) answer(id int32, p *compiledPredicate) bool {
	if p.field >= 0 {
		values := s.values(p.field)
		switch p.op {
		case opPresent:
			return len(values) > 0
		case opAbsent:
			return len(values) == 0
		}
		for _, v := range values {
			if !s.impossible(id, p, v) && s.valueHolds(p, v) {
				return true
			}
		}
		return false
	}
	any := false
	for i := range s.in.event.Fields {
		if s.hidden(int32(i)) {
			continue
		}
		if p.op == opPresent || p.op != opAbsent && s.valueHolds(p, int32(i)) {
			return true
		}
		any = true
	}
	return p.op == opAbsent && !any
}

func (s *Scratch) hidden(i int32) bool {
	n := s.in.names[i]
	return n >= 0 && int(n) < len(s.p.hidden) && s.p.hidden[n]
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
		return s.regexHolds(p, s.in.raw(value))
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

// maxCells bounds the memory of all automata together.
const maxCells = 4 << 20

func (s *Scratch) regexHolds(p *compiledPredicate, v string) bool {
	if s.cells > maxCells {
		clear(s.automata)
		s.cells = 0
	}
	d := s.automata[p.regex]
	if d == nil {
		d = newDFA(p.program)
		s.automata[p.regex] = d
		s.cells += len(d.next)
	}
	before := len(d.next)
	result := d.match(v)
	s.cells += len(d.next) - before
	return result
}

func (s *Scratch) refHolds(p *compiledPredicate, value int32) bool {
	for _, other := range s.values(p.ref) {
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
