package sigma

import (
	"net/netip"
	"regexp"
)

// An expr is what a rule says of an event: predicates joined by and, or, not and
// "at least n of".
type expr struct {
	kind exprKind
	kids []*expr
	n    int        // atLeastExpr: how many kids must hold
	pred *predicate // predExpr
	item *item      // pendingExpr: waits for lists
}

type exprKind uint8

const (
	predExpr exprKind = iota
	andExpr
	orExpr
	notExpr
	atLeastExpr
	trueExpr
	falseExpr
	pendingExpr
)

// join returns the conjunction or disjunction of kids in its shortest form.
func join(kind exprKind, kids []*expr) *expr {
	switch len(kids) {
	case 0:
		if kind == andExpr {
			return &expr{kind: trueExpr}
		}
		return &expr{kind: falseExpr}
	case 1:
		return kids[0]
	}
	var flat []*expr
	for _, k := range kids {
		if k.kind == kind {
			flat = append(flat, k.kids...)
		} else {
			flat = append(flat, k)
		}
	}
	return &expr{kind: kind, kids: flat}
}

func not(x *expr) *expr { return &expr{kind: notExpr, kids: []*expr{x}} }

// filled returns x with its placeholders replaced from lists.
func (x *expr) filled(lists map[string][]string) *expr {
	if x.kind == pendingExpr {
		return x.item.lower(lists)
	}
	if len(x.kids) == 0 {
		return x
	}
	out := *x
	out.kids = make([]*expr, len(x.kids))
	for i, k := range x.kids {
		out.kids[i] = k.filled(lists)
	}
	return &out
}

// A predicate is one question about one field, or about all values of the event
// where field is "" (a keyword).
type predicate struct {
	field string
	op    op
	cased bool
	text  string  // equal, prefix, suffix, contains: folded unless cased; regex: source; ref: the other field
	glob  pattern // glob: folded unless cased
	re    *regexp.Regexp
	net   netip.Prefix
	cmp   string // compare and time: gt, gte, lt, lte, eq, neq
	num   float64
	part  string // time: minute, hour, day, week, month, year
	refOp op     // ref: equal, prefix, suffix or contains
}

type op uint8

const (
	opEqual op = iota
	opPrefix
	opSuffix
	opContains
	opGlob
	opRegex
	opCIDR
	opPresent
	opAbsent
	opCompare
	opTime
	opRef
)

// stringPredicate turns a Sigma string into the cheapest predicate that means it.
func stringPredicate(field string, p pattern, cased bool) *predicate {
	p = p.normal()
	if !cased {
		for i := range p {
			p[i].literal = fold(p[i].literal)
		}
	}
	out := &predicate{field: field, cased: cased}
	if field == "" { // a keyword is looked for anywhere in a value
		p = p.wrap(true, true).normal()
	}
	core := p
	before := len(core) > 0 && core[0].kind == anyPart
	if before {
		core = core[1:]
	}
	after := len(core) > 0 && core[len(core)-1].kind == anyPart
	if after {
		core = core[:len(core)-1]
	}
	text, plain := core.literal()
	if !plain {
		out.op, out.glob = opGlob, p
		return out
	}
	out.text = text
	switch {
	case text == "" && before:
		out.op, out.cased = opPresent, false
	case before && after:
		out.op = opContains
	case before:
		out.op = opSuffix
	case after:
		out.op = opPrefix
	default:
		out.op = opEqual
	}
	return out
}
