package sigma

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

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
	// Names may be shared by several matchers, so that one Input serves all of them.
	// All Compile calls must come before the first use.
	Names *Names
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

// Names numbers field names.
type Names struct{ ids map[string]int32 }

// NewNames returns an empty set of names.
func NewNames() *Names { return &Names{ids: map[string]int32{}} }

// Add numbers name, if it is new, and returns its number.
func (n *Names) Add(name string) int32 {
	id, ok := n.ids[name]
	if !ok {
		id = int32(len(n.ids))
		n.ids[strings.Clone(name)] = id
	}
	return id
}

// resolve appends the number of each field of e, -1 for names that no rule asks
// for.
func (n *Names) resolve(e *event.Event, dst []int32) []int32 {
	for i := range e.Fields {
		id, ok := n.ids[e.Fields[i].Name]
		if !ok {
			id = -1
		}
		dst = append(dst, id)
	}
	return dst
}

// A Matcher finds which of its rules match an event. It is immutable and may be
// shared; each goroutine needs its own Scratch.
type Matcher struct {
	names    *Names
	targets  [][]target // by name
	hidden   []bool     // by name
	preds    []compiledPredicate
	rules    []compiledRule
	atoms    []atomUse
	always   []int32 // rules that no atom finds
	fields   []*fieldIndex
	keywords *gramIndex
}

// A target says that a name of the event is the rank-th candidate for a field.
type target struct{ field, rank int32 }

// atomUse says what follows from an atom.
type atomUse struct {
	decides int32 // the predicate that is true exactly if the atom fires, or -1
	rules   []int32
}

type compiledPredicate struct {
	*predicate
	field, ref int32  // -1: all values
	bytes      []byte // text
	decided    bool   // an atom decides it
	glob       globMatcher
	regex      int32 // index of the automaton in the scratch
	program    *regexProgram
}

// A compiledRule is an expr in prefix order.
type compiledRule []step

type step struct {
	kind exprKind
	arg  int32 // predicate, or n of atLeastExpr
	end  int32 // the step after this subtree
}

// Compile builds the matcher of docs, which must be detection rules; Match tells
// rules by their index in docs. Placeholders are filled from o.Lists.
func Compile(docs []*Document, o Options) (*Matcher, error) {
	names := o.Names
	if names == nil {
		names = NewNames()
	}
	b := builder{
		m:       &Matcher{names: names},
		options: &o,
		fields:  map[string]int32{},
		preds:   map[string]int32{},
	}
	for _, d := range docs {
		if d.Correlation != nil {
			return nil, fmt.Errorf("compile %q: it is a correlation", d.Title)
		}
		filled, err := d.Fill(o.Lists)
		if err != nil {
			return nil, fmt.Errorf("compile %q: %w", d.Title, err)
		}
		b.roots = append(b.roots, filled.root)
		b.collect(filled.root)
	}
	b.build()
	return b.m, nil
}

type builder struct {
	m          *Matcher
	options    *Options
	roots      []*expr
	fields     map[string]int32 // rule field → field number
	fieldNames []string
	preds      map[string]int32 // predicate key → number
	byPred     map[*predicate]int32
	regexes    int32
	literals   map[*predicate][]string // folded literals of regular expressions
	cost       func(atom) float64
}

func (b *builder) field(name string) int32 {
	if name == "" {
		return -1
	}
	id, ok := b.fields[name]
	if !ok {
		id = int32(len(b.fieldNames))
		b.fields[name] = id
		b.fieldNames = append(b.fieldNames, name)
	}
	return id
}

// collect numbers the predicates of x, equal ones alike.
func (b *builder) collect(x *expr) {
	for _, k := range x.kids {
		b.collect(k)
	}
	if x.kind != predExpr {
		return
	}
	if b.byPred == nil {
		b.byPred = map[*predicate]int32{}
		b.literals = map[*predicate][]string{}
	}
	if _, ok := b.byPred[x.pred]; ok {
		return
	}
	key := x.pred.key()
	id, ok := b.preds[key]
	if !ok {
		id = int32(len(b.m.preds))
		b.preds[key] = id
		p := compiledPredicate{predicate: x.pred, bytes: []byte(x.pred.text), field: b.field(x.pred.field), ref: -1, regex: -1}
		switch x.pred.op {
		case opRef:
			p.ref = b.field(x.pred.text)
		case opGlob:
			p.glob = newGlobMatcher(x.pred.glob)
		case opRegex:
			p.program = newRegexProgram(x.pred.re)
			p.regex = b.regexes
			b.regexes++
		}
		b.m.preds = append(b.m.preds, p)
	}
	b.byPred[x.pred] = id
}

func (b *builder) build() {
	b.cost = b.guess
	if len(b.options.Sample) > 0 {
		b.cost = b.measured()
	}
	m := b.m
	ids := map[atom]int32{}
	var atoms []atom
	for i, root := range b.roots {
		m.rules = append(m.rules, b.flatten(nil, root))
		necessary, _, ok := b.necessary(root, false)
		if !ok {
			m.always = append(m.always, int32(i))
			continue
		}
		for _, a := range necessary {
			id, ok := ids[a]
			if !ok {
				id = int32(len(atoms))
				ids[a] = id
				atoms = append(atoms, a)
				m.atoms = append(m.atoms, atomUse{decides: -1})
			}
			if u := &m.atoms[id]; !slices.Contains(u.rules, int32(i)) {
				u.rules = append(u.rules, int32(i))
			}
		}
	}
	for i := range m.preds {
		if a, exact := b.atom(&m.preds[i]); exact {
			if id, ok := ids[a]; ok {
				m.atoms[id].decides = int32(i)
				m.preds[i].decided = true
			}
		}
	}
	model := &gramModel{}
	for _, a := range atoms {
		model.add(a.literal)
	}
	for i := range b.options.Sample {
		for _, f := range b.options.Sample[i].Fields {
			model.add(fold(clip(f.Value)))
		}
	}
	m.fields, m.keywords = buildIndexes(atoms, len(b.fieldNames), model)
	b.routeNames()
}

// routeNames fills in which names of events feed which fields.
func (b *builder) routeNames() {
	m := b.m
	type route struct {
		name int32
		target
	}
	var routes []route
	for f, field := range b.fieldNames {
		for rank, name := range b.options.candidates(field) {
			routes = append(routes, route{m.names.Add(name), target{int32(f), int32(rank)}})
		}
	}
	var hidden []int32
	for _, name := range b.options.Hidden {
		hidden = append(hidden, m.names.Add(name))
	}
	m.targets = make([][]target, len(m.names.ids))
	m.hidden = make([]bool, len(m.names.ids))
	for _, r := range routes {
		m.targets[r.name] = append(m.targets[r.name], r.target)
	}
	for _, h := range hidden {
		m.hidden[h] = true
	}
}

// flatten appends x to steps, the most decisive children first.
func (b *builder) flatten(steps compiledRule, x *expr) compiledRule {
	at := len(steps)
	s := step{kind: x.kind, arg: int32(x.n)}
	if x.kind == predExpr {
		s.arg = b.byPred[x.pred]
	}
	steps = append(steps, s)
	kids := slices.Clone(x.kids)
	if x.kind == andExpr || x.kind == orExpr {
		probability := make(map[*expr]float64, len(kids))
		for _, k := range kids {
			probability[k] = b.probability(k)
		}
		slices.SortStableFunc(kids, func(p, q *expr) int {
			d := probability[p] - probability[q]
			if x.kind == orExpr {
				d = -d
			}
			switch {
			case d < 0:
				return -1
			case d > 0:
				return 1
			}
			return 0
		})
	}
	for _, k := range kids {
		steps = b.flatten(steps, k)
	}
	steps[at].end = int32(len(steps))
	return steps
}

// necessary returns atoms of which at least one fires on each event for which x
// (or, with negated, not x) holds, and how often that is to be expected; false if
// there are none. It may name too many atoms, never too few.
func (b *builder) necessary(x *expr, negated bool) ([]atom, float64, bool) {
	switch x.kind {
	case trueExpr, falseExpr:
		never := (x.kind == falseExpr) != negated
		return nil, 0, never
	case notExpr:
		return b.necessary(x.kids[0], !negated)
	case atLeastExpr:
		if negated {
			return nil, 0, false
		}
		return b.anyOf(x.kids, false)
	case andExpr, orExpr:
		if (x.kind == andExpr) == negated {
			return b.anyOf(x.kids, negated)
		}
		var best []atom
		bestCost, found := math.Inf(1), false
		for _, k := range x.kids {
			if atoms, cost, ok := b.necessary(k, negated); ok && (!found || cost < bestCost) {
				best, bestCost, found = atoms, cost, true
			}
		}
		return best, bestCost, found
	case predExpr:
		return b.necessaryPredicate(&b.m.preds[b.byPred[x.pred]], negated)
	}
	return nil, 0, false
}

func (b *builder) anyOf(kids []*expr, negated bool) ([]atom, float64, bool) {
	var all []atom
	total := 0.0
	for _, k := range kids {
		atoms, cost, ok := b.necessary(k, negated)
		if !ok {
			return nil, 0, false
		}
		all = append(all, atoms...)
		total += cost
	}
	return all, total, true
}

func (b *builder) necessaryPredicate(p *compiledPredicate, negated bool) ([]atom, float64, bool) {
	present := atom{field: p.field, kind: opPresent}
	if negated {
		if p.op != opAbsent {
			return nil, 0, false
		}
		return []atom{present}, b.cost(present), true
	}
	if p.op == opAbsent || p.op == opPresent && p.field < 0 {
		return nil, 0, false
	}
	if p.op == opRegex {
		literals, ok := b.literals[p.predicate]
		if !ok {
			literals = foldedLiterals(p.re)
			b.literals[p.predicate] = literals
		}
		if len(literals) > 0 {
			var atoms []atom
			total := 0.0
			for _, l := range literals {
				a := atom{field: p.field, kind: opContains, literal: l}
				atoms = append(atoms, a)
				total += b.cost(a)
			}
			return atoms, total, true
		}
		if p.field < 0 {
			return nil, 0, false
		}
	}
	a, _ := b.atom(p)
	if p.field < 0 && a.kind == opPresent {
		return nil, 0, false
	}
	return []atom{a}, b.cost(a), true
}

// atom returns the narrowest atom that fires wherever p holds, and whether it
// fires only there.
func (b *builder) atom(p *compiledPredicate) (atom, bool) {
	present := atom{field: p.field, kind: opPresent}
	switch p.op {
	case opEqual, opPrefix, opSuffix, opContains:
		if p.text == "" && p.op != opEqual || p.cased && !utf8.ValidString(p.text) {
			return present, false
		}
		if p.field < 0 && p.op != opContains {
			return present, false
		}
		return atom{field: p.field, kind: p.op, literal: fold(p.text)}, !p.cased
	case opGlob:
		if l := longestLiteral(p.predicate.glob); l != "" {
			return atom{field: p.field, kind: opContains, literal: fold(l)}, false
		}
	case opCIDR:
		return atom{field: p.field, kind: opCIDR, net: p.net}, true
	case opPresent:
		return present, p.field >= 0
	}
	return present, false
}

func longestLiteral(p pattern) string {
	longest := ""
	for _, x := range p {
		if x.kind == literalPart && len(x.literal) > len(longest) && utf8.ValidString(x.literal) {
			longest = x.literal
		}
	}
	return longest
}

// probability estimates how often x holds, as if predicates were independent.
func (b *builder) probability(x *expr) float64 {
	switch x.kind {
	case trueExpr:
		return 1
	case falseExpr:
		return 0
	case notExpr:
		return 1 - b.probability(x.kids[0])
	case andExpr:
		p := 1.0
		for _, k := range x.kids {
			p *= b.probability(k)
		}
		return p
	case orExpr:
		p := 1.0
		for _, k := range x.kids {
			p *= 1 - b.probability(k)
		}
		return 1 - p
	case predExpr:
		atoms, cost, ok := b.necessary(x, false)
		switch {
		case !ok:
			return 0.5
		case len(atoms) == 1 && atoms[0].kind == opPresent && x.pred.op != opPresent:
			return 0.3
		}
		return min(cost, 1)
	}
	return 0.5
}
