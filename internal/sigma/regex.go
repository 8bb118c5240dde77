package sigma

import (
	"cmp"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A regexProgram is what all lazy automata of one regular expression share.
type regexProgram struct {
	re       *regexp.Regexp // used where the automaton would not pay
	prog     *syntax.Prog   // nil: use re
	anchored bool           // a match begins where the value does
	context  bool           // what stands before matters: ^, \b and the like
	minLen   int
	needs    [][]string // of each list one literal must occur
	folded   []string   // one of these occurs in what it matches, folded; none: not known
	run      int        // the expression is "at least run runes", and nothing else
	runNL    bool       // a line feed counts among them

	bounds []rune // classes of runes: class i begins at bounds[i-1]
	ascii  [utf8.RuneSelf]uint16
}

const (
	maxClasses = 600
	maxStates  = 512
	// flushLimit is how often the automaton may outgrow its memory before the
	// expression is left to package regexp.
	flushLimit = 32
)

func newRegexProgram(re *regexp.Regexp) *regexProgram {
	r := &regexProgram{re: re}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return r
	}
	r.minLen, r.needs, r.folded = minBytes(tree), literalClauses(tree), foldedLiterals(tree)
	if tree.Op == syntax.OpRepeat && tree.Max == -1 && tree.Min > 16 {
		if o := tree.Sub[0].Op; o == syntax.OpAnyCharNotNL || o == syntax.OpAnyChar {
			r.run, r.runNL = tree.Min, o == syntax.OpAnyChar
			return r
		}
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil || !r.classify(prog) {
		return r
	}
	r.context = slices.ContainsFunc(prog.Inst, func(in syntax.Inst) bool { return in.Op == syntax.InstEmptyWidth })
	r.prog, r.anchored = prog, prog.StartCond()&syntax.EmptyBeginText != 0
	return r
}

// classify cuts the runes into classes that no instruction of prog tells apart.
func (r *regexProgram) classify(prog *syntax.Prog) bool {
	cuts := map[rune]bool{'\n': true, '\n' + 1: true, utf8.RuneSelf: true}
	add := func(lo, hi rune) { cuts[lo], cuts[hi+1] = true, true }
	add('0', '9')
	add('A', 'Z')
	add('_', '_')
	add('a', 'z')
	for i := range prog.Inst {
		in := &prog.Inst[i]
		switch {
		case in.Op != syntax.InstRune && in.Op != syntax.InstRune1:
		case len(in.Rune) == 1:
			add(in.Rune[0], in.Rune[0])
			for f := unicode.SimpleFold(in.Rune[0]); f != in.Rune[0]; f = unicode.SimpleFold(f) {
				add(f, f)
			}
		default:
			for j := 0; j+1 < len(in.Rune); j += 2 {
				add(in.Rune[j], in.Rune[j+1])
			}
		}
		if len(cuts) > maxClasses {
			return false
		}
	}
	delete(cuts, 0)
	for c := range cuts {
		r.bounds = append(r.bounds, c)
	}
	slices.SortFunc(r.bounds, cmp.Compare[rune])
	for c := range r.ascii {
		r.ascii[c] = uint16(r.search(rune(c)))
	}
	return true
}

func (r *regexProgram) search(c rune) int {
	n, found := slices.BinarySearch(r.bounds, c)
	if found {
		n++
	}
	return n
}

// minBytes is the least length of a match.
func minBytes(r *syntax.Regexp) int {
	switch r.Op {
	case syntax.OpLiteral:
		return len(r.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return minBytes(r.Sub[0])
	case syntax.OpRepeat:
		return r.Min * minBytes(r.Sub[0])
	case syntax.OpConcat:
		n := 0
		for _, s := range r.Sub {
			n += minBytes(s)
		}
		return n
	case syntax.OpAlternate:
		least := minBytes(r.Sub[0])
		for _, s := range r.Sub[1:] {
			least = min(least, minBytes(s))
		}
		return least
	}
	return 0
}

// literalClauses returns lists of literals; each match holds one of every list.
func literalClauses(r *syntax.Regexp) [][]string {
	switch r.Op {
	case syntax.OpLiteral:
		if r.Flags&syntax.FoldCase == 0 && !slices.Contains(r.Rune, utf8.RuneError) {
			return [][]string{{string(r.Rune)}}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return literalClauses(r.Sub[0])
	case syntax.OpRepeat:
		if r.Min > 0 {
			return literalClauses(r.Sub[0])
		}
	case syntax.OpConcat:
		var out [][]string
		for _, s := range r.Sub {
			out = append(out, literalClauses(s)...)
		}
		return out[:min(len(out), 6)]
	case syntax.OpAlternate:
		var all []string
		for _, s := range r.Sub {
			clauses := literalClauses(s)
			if len(clauses) == 0 {
				return nil
			}
			best := clauses[0]
			for _, c := range clauses {
				if len(c) == 1 && len(c[0]) > len(best[0]) {
					best = c
				}
			}
			all = append(all, best...)
		}
		if len(all) <= 8 {
			return [][]string{all}
		}
	}
	return nil
}

// foldedLiterals returns folded literals of which each value that tree matches holds
// one after folding, or nil where there are none worth looking for.
func foldedLiterals(tree *syntax.Regexp) []string {
	out := foldedAlternatives(tree)
	if len(out) > 64 {
		return nil
	}
	for _, l := range out {
		if l == "" || len(l) == 1 && ('a' <= l[0] && l[0] <= 'z' || l[0] == ' ') {
			return nil
		}
	}
	return out
}

func foldedAlternatives(r *syntax.Regexp) []string {
	switch r.Op {
	case syntax.OpLiteral:
		if slices.Contains(r.Rune, utf8.RuneError) { // matches any byte that is no UTF-8
			return nil
		}
		if r.Flags&syntax.FoldCase == 0 {
			return []string{fold(string(r.Rune))}
		}
		// Folding of regular expressions equates more than fold does (s with ſ):
		// only what lies between such runes is certain.
		pieces := strings.FieldsFunc(fold(string(r.Rune)), func(c rune) bool { return c >= utf8.RuneSelf || c == 's' })
		if len(pieces) == 0 {
			return nil
		}
		return []string{slices.MaxFunc(pieces, func(a, b string) int { return cmp.Compare(len(a), len(b)) })}
	case syntax.OpCapture, syntax.OpPlus:
		return foldedAlternatives(r.Sub[0])
	case syntax.OpRepeat:
		if r.Min > 0 {
			return foldedAlternatives(r.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, s := range r.Sub {
			if l := foldedAlternatives(s); l != nil && (best == nil || literalWorth(l) > literalWorth(best)) {
				best = l
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, s := range r.Sub {
			l := foldedAlternatives(s)
			if l == nil {
				return nil
			}
			all = append(all, l...)
		}
		return all
	}
	return nil
}

// literalWorth prefers few long literals.
func literalWorth(ls []string) int {
	if len(ls) > 16 {
		return 0
	}
	shortest := len(ls[0])
	for _, l := range ls {
		shortest = min(shortest, len(l))
	}
	return shortest*16 - len(ls)
}
