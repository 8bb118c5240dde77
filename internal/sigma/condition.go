package sigma

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxConditionDepth bounds nested parentheses and nots.
const maxConditionDepth = 200

// conditionParser reads the grammar
//
//	or   = and { "or" and }
//	and  = not { "and" not }
//	not  = { "not" } atom
//	atom = "(" or ")" | ( "all" | "any" | NUMBER ) "of" ( "them" | PATTERN ) | NAME
type conditionParser struct {
	source   string
	tokens   []conditionToken
	pos      int
	depth    int
	searches []*clause // by name
}

type conditionToken struct{ start, end int }

// A conditionError says what is wrong with a condition, and at which byte of it.
type conditionError struct {
	at      int
	message string
}

func (e *conditionError) Error() string { return e.message }

func newConditionParser(text string, searches []*clause) *conditionParser {
	return &conditionParser{source: text, tokens: tokens(text), searches: searches}
}

func parseCondition(text string, searches []*clause) (*clause, error) {
	p := newConditionParser(text, searches)
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.tokens) {
		return nil, p.unexpected("and, or or the end")
	}
	return x, nil
}

func tokens(s string) []conditionToken {
	var out []conditionToken
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '(', ')', '|':
			out = append(out, conditionToken{i, i + 1})
			i++
		default:
			n := strings.IndexAny(s[i:], " \t\r\n()|")
			if n < 0 {
				n = len(s) - i
			}
			out = append(out, conditionToken{i, i + n})
			i += n
		}
	}
	return out
}

func (p *conditionParser) peek() string { return p.token(p.pos) }

func (p *conditionParser) token(i int) string {
	if i < len(p.tokens) {
		return p.source[p.tokens[i].start:p.tokens[i].end]
	}
	return ""
}

// word takes the next token if it is the keyword w, in any case.
func (p *conditionParser) word(w string) bool {
	if strings.EqualFold(p.peek(), w) {
		p.pos++
		return true
	}
	return false
}

// since returns the text from token from to the one that was taken last.
func (p *conditionParser) since(from int) string {
	return p.source[p.tokens[from].start:p.tokens[p.pos-1].end]
}

// errorf complains of the token i.
func (p *conditionParser) errorf(i int, format string, args ...any) error {
	at := len(p.source)
	if i < len(p.tokens) {
		at = p.tokens[i].start
	}
	return &conditionError{at, "condition: " + fmt.Sprintf(format, args...)}
}

func (p *conditionParser) unexpected(want string) error {
	switch t := p.peek(); t {
	case "":
		return p.errorf(p.pos, "it ends where %s is expected", want)
	case "|":
		return p.errorf(p.pos, "an aggregation such as \"| count() by field > 5\" is only possible in a rule with one condition, at its end")
	default:
		return p.errorf(p.pos, "%q stands where %s is expected", t, want)
	}
}

func (p *conditionParser) or() (*clause, error) { return p.chain("or", clauseOr, p.and) }

func (p *conditionParser) and() (*clause, error) { return p.chain("and", clauseAnd, p.not) }

func (p *conditionParser) chain(word string, kind clauseKind, next func() (*clause, error)) (*clause, error) {
	from := p.pos
	var kids []*clause
	for {
		x, err := next()
		if err != nil {
			return nil, err
		}
		kids = append(kids, x)
		if p.word(word) {
			continue
		}
		if len(kids) == 1 {
			return x, nil
		}
		return &clause{kind: kind, text: p.since(from), kids: kids}, nil
	}
}

func (p *conditionParser) not() (*clause, error) {
	if p.depth++; p.depth > maxConditionDepth {
		return nil, p.errorf(p.pos, "it is nested too deep")
	}
	defer func() { p.depth-- }()
	from := p.pos
	if p.word("not") {
		x, err := p.not()
		if err != nil {
			return nil, err
		}
		return &clause{kind: clauseNot, text: p.since(from), kids: []*clause{x}}, nil
	}
	return p.atom()
}

func (p *conditionParser) atom() (*clause, error) {
	t := p.peek()
	switch {
	case t == "(":
		p.pos++
		x, err := p.or()
		if err != nil {
			return nil, err
		}
		if p.peek() != ")" {
			return nil, p.unexpected(`")"`)
		}
		p.pos++
		return x, nil
	case t == "" || t == ")" || t == "|":
		return nil, p.unexpected("the name of a search")
	case strings.EqualFold(p.token(p.pos+1), "of"):
		return p.quantified(t)
	}
	for _, s := range p.searches {
		if s.name == t {
			p.pos++
			return s, nil
		}
	}
	if slices.Contains([]string{"and", "or", "not", "of", "all", "any", "them"}, strings.ToLower(t)) {
		return nil, p.unexpected("the name of a search")
	}
	names := make([]string, len(p.searches))
	for i, s := range p.searches {
		names[i] = s.name
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, p.errorf(p.pos, "no search is named %q: there is none at all", t)
	}
	return nil, p.errorf(p.pos, "no search is named %q: there are %s", t, strings.Join(names[:min(len(names), 20)], ", "))
}

func (p *conditionParser) quantified(count string) (*clause, error) {
	from := p.pos
	p.pos += 2
	pattern := p.peek()
	if pattern == "" || pattern == "(" || pattern == ")" || pattern == "|" {
		return nil, p.unexpected("them or a pattern of names")
	}
	p.pos++
	var kids []*clause
	for _, s := range p.searches {
		if strings.EqualFold(pattern, "them") && !strings.HasPrefix(s.name, "_") || parsePattern(pattern).matches(s.name) {
			kids = append(kids, s)
		}
	}
	if len(kids) == 0 {
		return nil, p.errorf(from+2, "no search fits %q", pattern)
	}
	out := &clause{kind: clauseOf, text: p.since(from), kids: kids}
	switch strings.ToLower(count) {
	case "all":
		out.n = len(kids)
		return out, nil
	case "any":
		out.n = 1
		return out, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return nil, p.errorf(from, "%q stands where all, any or a number is expected before \"of\"", count)
	}
	if n > len(kids) {
		return nil, p.errorf(from, "%d of %s can never hold: only %d fit", n, pattern, len(kids))
	}
	out.n = n
	return out, nil
}
