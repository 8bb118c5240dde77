package sigma

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// A dfa answers whether a regular expression matches anywhere in a value. It
// builds its states as values need them, keeps at most maxStates, and starts
// again when they are full. One goroutine uses it.
type dfa struct {
	*regexProgram
	states  []dfaState
	next    []int32 // by state and class, the last column for the end of the value
	index   map[string]int32
	mark    []uint32
	epoch   uint32
	stack   []uint32
	closed  []uint32
	roots   []uint32
	key     []byte
	flushes int
	idle    [utf8.RuneSelf]bool // bytes on which the first state stays as it is
}

type dfaState struct {
	pcs    []uint32
	before rune // a rune of the class of what was read last, -1 at the beginning
}

// Entries of next that are no states.
const (
	unknownState int32 = 0
	matchState   int32 = -1
	deadState    int32 = -2
)

func newDFA(p *regexProgram) *dfa {
	d := &dfa{regexProgram: p}
	if p.prog != nil {
		d.mark = make([]uint32, len(p.prog.Inst))
		d.reset()
	}
	return d
}

// columns counts the classes and the end of the value.
func (d *dfa) columns() int { return len(d.bounds) + 2 }

func (d *dfa) reset() {
	d.states = append(d.states[:0], dfaState{}) // state 0 is "unknown"
	d.next = append(d.next[:0], make([]int32, d.columns())...)
	d.index = make(map[string]int32)
	d.idle = [utf8.RuneSelf]bool{}
	d.state(nil, -1)
}

// firstState waits for a match to begin.
const firstState int32 = 1

// state returns the state that waits at the instructions pcs, which are sorted.
func (d *dfa) state(pcs []uint32, before rune) int32 {
	d.key = binary.LittleEndian.AppendUint32(d.key[:0], uint32(before))
	for _, pc := range pcs {
		d.key = binary.LittleEndian.AppendUint32(d.key, pc)
	}
	if i, ok := d.index[string(d.key)]; ok {
		return i
	}
	i := int32(len(d.states))
	d.states = append(d.states, dfaState{slices.Clone(pcs), before})
	d.next = append(d.next, make([]int32, d.columns())...)
	d.index[string(d.key)] = i
	return i
}

// beforeRune reduces what was read last to what the next step can tell apart.
func beforeRune(r rune) rune {
	switch {
	case r == '\n':
		return '\n'
	case syntax.IsWordChar(r):
		return 'a'
	}
	return ' '
}

// step returns what follows state s on rune r, -1 being the end of the value.
func (d *dfa) step(s int32, r rune) int32 {
	flags := syntax.EmptyOpContext(d.states[s].before, r)
	d.nextEpoch()
	d.closed = d.closed[:0]
	d.roots = append(append(d.roots[:0], d.states[s].pcs...), uint32(d.prog.Start))
	for _, root := range d.roots {
		d.stack = append(d.stack[:0], root)
		for len(d.stack) > 0 {
			pc := d.stack[len(d.stack)-1]
			d.stack = d.stack[:len(d.stack)-1]
			if d.mark[pc] == d.epoch {
				continue
			}
			d.mark[pc] = d.epoch
			in := &d.prog.Inst[pc]
			switch in.Op {
			case syntax.InstAlt, syntax.InstAltMatch:
				d.stack = append(d.stack, in.Out, in.Arg)
			case syntax.InstCapture, syntax.InstNop:
				d.stack = append(d.stack, in.Out)
			case syntax.InstEmptyWidth:
				if syntax.EmptyOp(in.Arg)&^flags == 0 {
					d.stack = append(d.stack, in.Out)
				}
			case syntax.InstMatch:
				return matchState
			case syntax.InstFail:
			default:
				d.closed = append(d.closed, pc)
			}
		}
	}
	if r < 0 {
		return deadState
	}
	d.nextEpoch()
	d.roots = d.roots[:0]
	for _, pc := range d.closed {
		in := &d.prog.Inst[pc]
		if in.MatchRune(r) && d.mark[in.Out] != d.epoch {
			d.mark[in.Out] = d.epoch
			d.roots = append(d.roots, in.Out)
		}
	}
	if d.anchored && len(d.roots) == 0 {
		return deadState
	}
	slices.Sort(d.roots)
	before := rune(-1)
	if d.context {
		before = beforeRune(r)
	}
	return d.state(d.roots, before)
}

func (d *dfa) nextEpoch() {
	if d.epoch++; d.epoch == 0 {
		clear(d.mark)
		d.epoch = 1
	}
}

// match tells whether the expression matches somewhere in v.
func (d *dfa) match(v string) bool {
	if len(v) < d.minLen {
		return false
	}
	if d.run > 0 {
		return d.hasRun(v)
	}
	for _, clause := range d.needs {
		if !slices.ContainsFunc(clause, func(l string) bool { return strings.Contains(v, l) }) {
			return false
		}
	}
	if d.prog == nil || d.flushes > flushLimit {
		return d.re.MatchString(v)
	}
	columns := d.columns()
	s := firstState
	for i := 0; i < len(v); {
		if s == firstState && v[i] < utf8.RuneSelf && d.idle[v[i]] {
			i++
			continue
		}
		r, width := rune(v[i]), 1
		var class int
		if r < utf8.RuneSelf {
			class = int(d.ascii[r])
		} else {
			r, width = utf8.DecodeRuneInString(v[i:])
			class = d.search(r)
		}
		i += width
		n := d.next[int(s)*columns+class]
		if n == unknownState {
			if len(d.states) >= maxStates {
				d.flushes++
				d.reset()
				return d.re.MatchString(v)
			}
			n = d.step(s, r)
			d.next[int(s)*columns+class] = n
			if s == firstState && n == s {
				d.stayOn(class)
			}
		}
		if n < 0 {
			return n == matchState
		}
		s = n
	}
	end := int(s)*columns + columns - 1
	if d.next[end] == unknownState {
		d.next[end] = d.step(s, -1)
	}
	return d.next[end] == matchState
}

// stayOn notes that the first state stays as it is on a class.
func (d *dfa) stayOn(class int) {
	for c := range d.idle {
		d.idle[c] = d.idle[c] || int(d.ascii[c]) == class
	}
}

func (d *dfa) hasRun(v string) bool {
	n := 0
	for _, r := range v {
		if r == '\n' && !d.runNL {
			n = 0
			continue
		}
		if n++; n >= d.run {
			return true
		}
	}
	return false
}
