package sigma

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/kyra-mdr/kyra/internal/event"
)

// Options say how rules see events. The zero value is usable.
type Options struct {
	// Lists fills placeholders by name.
	Lists map[string][]string
	// Fields returns the names under which a rule's field may stand in an event,
	// the best first: the first that the event has is the field, with all its
	// values. nil means the field's own name.
	Fields func(field string) []string
	// Hidden names fields whose values keywords do not search.
	Hidden []string
	// Sample is traffic such as is to be expected: the matcher finds each rule by
	// what is rare in it. Without one it guesses.
	Sample []event.Event
}

func (o *Options) candidates(field string) []string {
	if o.Fields == nil {
		return []string{field}
	}
	return o.Fields(field)
}

// A Source is rules that concern the same events and see them in the same way:
// those of one log source.
type Source struct {
	Rules  []*Document
	Fields func(field string) []string // as in Options
}

// A Sample is an event with the sources that it concerns, by index.
type Sample struct {
	Event   *event.Event
	Sources []int32
}

// ProgramOptions are the choices of a Program; see Options.
type ProgramOptions struct {
	Names  *Names
	Lists  map[string][]string
	Hidden []string
	Sample []Sample
}

// A Program is rules of any number of sources, compiled. It is immutable and may
// be shared; each goroutine needs its own Scratch.
type Program struct {
	names     *Names
	hidden    []bool  // by name
	fields    []field // by number of a field
	preds     []compiledPredicate
	steps     []step
	rules     []rootStep
	costs     [][]fieldCost // by rule
	mostOf    []int32       // by rule: no piece of the event costs more
	ruleAtoms [][]int32     // of each rule: one of them fires where it matches; none: it is always a candidate
	atoms     []atom
	decides   []int32 // by atom: the predicate that is true exactly if it fires, or -1
	sources   []sourceRules
	regexes   int
	model     *gramModel
	units     atomic.Int32 // how many have a number
}

// A field is the names under which it may stand, the best first.
type field struct{ names []int32 }

// sourceRules are the rules lo to hi, and the fields that they ask for.
type sourceRules struct {
	lo, hi   int32
	fields   []int32
	keywords []int32 // atoms that decide keywords
}

type compiledPredicate struct {
	*predicate
	field, ref int32  // -1: all values
	bytes      []byte // text
	glob       globMatcher
	regex      int32 // index of the automaton in the scratch
	program    *regexProgram
	exact      bool // its atom fires only where it holds
	deep       bool // it has atoms for deep values
}

// A step is a node of an expr; those of a rule stand in prefix order.
type step struct {
	kind   exprKind
	memo   bool  // what it says of a value is worth remembering
	arg    int32 // predicate, or n of atLeastExpr
	end    int32 // the step after this subtree
	field  int32 // all that it looks at is values of this field; -1: not so
	weight int32 // work for each sixteen bytes of them
}

// A rootStep is where a rule begins in the steps.
type rootStep int32

// NewProgram compiles the rules of sources, which must be detection rules. They
// are numbered in order, over all sources.
func NewProgram(sources []Source, o ProgramOptions) (*Program, error) {
	names := o.Names
	if names == nil {
		names = NewNames()
	}
	b := builder{
		p:         &Program{names: names},
		fields:    map[string]int32{},
		preds:     map[predicateKey]int32{},
		byPred:    map[*predicate]int32{},
		necessity: map[int32]necessity{},
	}
	for i := range sources {
		if err := b.add(&sources[i], o.Lists); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Hidden {
		names.Add(name)
	}
	b.p.hidden = make([]bool, len(names.ids))
	for _, name := range o.Hidden {
		b.p.hidden[names.Add(name)] = true
	}
	b.cost = guess
	b.p.model = &gramModel{}
	if len(o.Sample) > 0 {
		b.cost = b.measured(o.Sample)
	}
	b.build()
	return b.p, nil
}

type builder struct {
	p       *Program
	roots   []*expr
	fields  map[string]int32 // names of a field, joined → number
	preds   map[predicateKey]int32
	byPred  map[*predicate]int32
	current *Source
	known   map[string]int32 // rule field of the current source → number

	necessity map[int32]necessity // by predicate, for the present cost function
	cost      func(atom) float64
}

// add numbers the fields and predicates of a source.
func (b *builder) add(s *Source, lists map[string][]string) error {
	b.current, b.known = s, map[string]int32{}
	r := sourceRules{lo: int32(len(b.roots))}
	for _, d := range s.Rules {
		if d.Correlation != nil {
			return fmt.Errorf("compile %q: it is a correlation", d.Title)
		}
		filled, err := d.Fill(lists)
		if err != nil {
			return fmt.Errorf("compile %q: %w", d.Title, err)
		}
		root := filled.root
		if root == nil {
			root = &expr{kind: falseExpr}
		}
		b.roots = append(b.roots, root)
		b.collect(root)
	}
	r.hi = int32(len(b.roots))
	for _, f := range b.known {
		if !slices.Contains(r.fields, f) {
			r.fields = append(r.fields, f)
		}
	}
	slices.Sort(r.fields)
	b.p.sources = append(b.p.sources, r)
	return nil
}

func (b *builder) field(name string) int32 {
	if name == "" {
		return -1
	}
	id, ok := b.known[name]
	if ok {
		return id
	}
	candidates := []string{name}
	if b.current.Fields != nil {
		candidates = b.current.Fields(name)
	}
	key := strings.Join(candidates, "\x00")
	id, ok = b.fields[key]
	if !ok {
		id = int32(len(b.p.fields))
		b.fields[key] = id
		var f field
		for _, c := range candidates {
			f.names = append(f.names, b.p.names.Add(c))
		}
		b.p.fields = append(b.p.fields, f)
	}
	b.known[name] = id
	return id
}

// predicateKey is equal for predicates that ask the same.
type predicateKey struct {
	field, ref int32
	op, refOp  op
	cased      bool
	text, cmp  string
	part, glob string
	num        float64
	net        netip.Prefix
}

// collect numbers the predicates of x, equal ones alike.
func (b *builder) collect(x *expr) {
	for _, k := range x.kids {
		b.collect(k)
	}
	if x.kind != predExpr {
		return
	}
	if _, ok := b.byPred[x.pred]; ok {
		return
	}
	p := x.pred
	key := predicateKey{b.field(p.field), -1, p.op, p.refOp, p.cased, p.text, p.cmp, p.part, "", p.num, p.net}
	if p.op == opRef {
		key.ref = b.field(p.text)
	}
	if p.op == opGlob {
		key.glob = p.glob.key()
	}
	id, ok := b.preds[key]
	if !ok {
		id = int32(len(b.p.preds))
		b.preds[key] = id
		c := compiledPredicate{predicate: p, bytes: []byte(p.text), field: key.field, ref: key.ref, regex: -1}
		switch p.op {
		case opGlob:
			c.glob = newGlobMatcher(p.glob)
		case opRegex:
			c.program = newRegexProgram(p.re)
			c.regex = int32(b.p.regexes)
			b.p.regexes++
		}
		_, c.exact = atomOf(&c)
		c.deep = c.field >= 0 && len(deepAtoms(&c)) > 0
		b.p.preds = append(b.p.preds, c)
	}
	b.byPred[p] = id
}

// key is equal for equal patterns.
func (p pattern) key() string {
	var b strings.Builder
	for _, x := range p {
		fmt.Fprintf(&b, "%d%q", x.kind, x.literal)
	}
	return b.String()
}

// build chooses by which atoms rules are found.
func (b *builder) build() {
	p := b.p
	ids := map[atom]int32{}
	clear(b.necessity)
	for _, root := range b.roots {
		p.rules = append(p.rules, rootStep(len(p.steps)))
		b.flatten(root)
		p.costs = append(p.costs, b.costOf(root))
		p.mostOf = append(p.mostOf, most(p.costs[len(p.costs)-1]))
		necessary, _, ok := b.necessary(root, false)
		var atoms []int32
		if ok {
			atoms = []int32{} // even where it never matches
			for _, a := range necessary {
				id, known := ids[a]
				if !known {
					id = int32(len(p.atoms))
					ids[a] = id
					p.atoms = append(p.atoms, a)
					p.decides = append(p.decides, -1)
					p.model.add(a.literal)
				}
				if !slices.Contains(atoms, id) {
					atoms = append(atoms, id)
				}
			}
		}
		p.ruleAtoms = append(p.ruleAtoms, atoms)
	}
	b.decideKeywords(ids)
	for i := range p.preds {
		if a, exact := atomOf(&p.preds[i]); exact {
			if id, ok := ids[a]; ok {
				p.decides[id] = int32(i)
			}
		}
	}
}

// decideKeywords adds atoms for keywords that no rule is found by: to look for a
// keyword in all values by itself costs more than to look for all of them at once.
func (b *builder) decideKeywords(ids map[atom]int32) {
	p := b.p
	for i := range p.sources {
		s := &p.sources[i]
		for _, root := range b.roots[s.lo:s.hi] {
			b.eachPredicate(root, func(id int32) {
				a, exact := atomOf(&p.preds[id])
				if !exact || a.field >= 0 || len(a.literal) < 4 {
					return
				}
				at, ok := ids[a]
				if !ok {
					at = int32(len(p.atoms))
					ids[a] = at
					p.atoms = append(p.atoms, a)
					p.decides = append(p.decides, id)
				}
				if !slices.Contains(s.keywords, at) {
					s.keywords = append(s.keywords, at)
				}
			})
		}
	}
}

func (b *builder) eachPredicate(x *expr, do func(int32)) {
	for _, k := range x.kids {
		b.eachPredicate(k, do)
	}
	if x.kind == predExpr {
		do(b.byPred[x.pred])
	}
}

// A Matcher finds which of its rules match an event: a program whose rules all
// concern every event.
type Matcher struct {
	program *Program
	class   *Class
}

// Compile builds the matcher of docs, which must be detection rules; Match tells
// rules by their index in docs.
func Compile(docs []*Document, o Options) (*Matcher, error) {
	var sample []Sample
	for i := range o.Sample {
		sample = append(sample, Sample{&o.Sample[i], []int32{0}})
	}
	p, err := NewProgram([]Source{{docs, o.Fields}}, ProgramOptions{Lists: o.Lists, Hidden: o.Hidden, Sample: sample})
	if err != nil {
		return nil, err
	}
	return &Matcher{p, p.Class([]int32{0})}, nil
}

// NewScratch returns working memory for one goroutine.
func (m *Matcher) NewScratch() *Scratch {
	s := m.program.NewScratch()
	s.own, s.class = NewInput(m.program.names), m.class
	return s
}
