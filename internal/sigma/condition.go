package sigma

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A search is a named part of a detection.
type search struct {
	name string
	expr *expr
}

// maxConditionDepth bounds nested parentheses and nots.
const maxConditionDepth = 200

// conditionParser reads the grammar
//
//	or   = and { "or" and }
//	and  = not { "and" not }
//	not  = { "not" } atom
//	atom = "(" or ")" | ( "all" | "any" | NUMBER ) "of" ( "them" | PATTERN ) | NAME
type conditionParser struct {
	tokens   []string
	pos      int
	depth    int
	searches []search
}

func parseCondition(text string, searches []search) (*expr, error) {
	p := &conditionParser{tokens: tokens(text), searches: searches}
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.tokens) {
		return nil, p.unexpected("and, or or the end")
	}
	return x, nil
}

func tokens(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '(', ')', '|':
			out = append(out, s[i:i+1])
			i++
		default:
			n := strings.IndexAny(s[i:], " \t\r\n()|")
			if n < 0 {
				n = len(s) - i
			}
			out = append(out, s[i:i+n])
			i += n
		}
	}
	return out
}

func (p *conditionParser) peek() string {
	if p.pos < len(p.tokens) {
		return p.tokens[p.pos]
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

func (p *conditionParser) unexpected(want string) error {
	switch t := p.peek(); t {
	case "":
		return fmt.Errorf("condition ends where %s is expected", want)
	case "|":
		return fmt.Errorf("condition: aggregations after | are no longer Sigma: write a correlation instead")
	default:
		return fmt.Errorf("condition: %q stands where %s is expected", t, want)
	}
}

func (p *conditionParser) or() (*expr, error) { return p.chain("or", orExpr, p.and) }

func (p *conditionParser) and() (*expr, error) { return p.chain("and", andExpr, p.not) }

func (p *conditionParser) chain(word string, kind exprKind, next func() (*expr, error)) (*expr, error) {
	var kids []*expr
	for {
		x, err := next()
		if err != nil {
			return nil, err
		}
		kids = append(kids, x)
		if !p.word(word) {
			return join(kind, kids), nil
		}
	}
}

func (p *conditionParser) not() (*expr, error) {
	if p.depth++; p.depth > maxConditionDepth {
		return nil, fmt.Errorf("condition is nested too deep")
	}
	defer func() { p.depth-- }()
	if p.word("not") {
		x, err := p.not()
		if err != nil {
			return nil, err
		}
		return not(x), nil
	}
	return p.atom()
}

func (p *conditionParser) atom() (*expr, error) {
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
	case p.pos+1 < len(p.tokens) && strings.EqualFold(p.tokens[p.pos+1], "of"):
		p.pos += 2
		return p.quantified(t)
	}
	for _, s := range p.searches {
		if s.name == t {
			p.pos++
			return s.expr, nil
		}
	}
	if slices.Contains([]string{"and", "or", "not", "of", "all", "any", "them"}, strings.ToLower(t)) {
		return nil, p.unexpected("the name of a search")
	}
	return nil, fmt.Errorf("condition: no search is named %q", t)
}

func (p *conditionParser) quantified(count string) (*expr, error) {
	pattern := p.peek()
	if pattern == "" || pattern == "(" || pattern == ")" || pattern == "|" {
		return nil, p.unexpected("them or a pattern of names")
	}
	p.pos++
	var kids []*expr
	for _, s := range p.searches {
		if strings.EqualFold(pattern, "them") && !strings.HasPrefix(s.name, "_") || parsePattern(pattern).matches(s.name) {
			kids = append(kids, s.expr)
		}
	}
	if len(kids) == 0 {
		return nil, fmt.Errorf("condition: no search fits %q", pattern)
	}
	switch strings.ToLower(count) {
	case "all":
		return join(andExpr, kids), nil
	case "any", "1":
		return join(orExpr, kids), nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("condition: %q stands where all, any or a number is expected before \"of\"", count)
	}
	if n > len(kids) {
		return nil, fmt.Errorf("condition: %d of %s can never hold: only %d fit", n, pattern, len(kids))
	}
	if n == len(kids) {
		return join(andExpr, kids), nil
	}
	return &expr{kind: atLeastExpr, n: n, kids: kids}, nil
}
