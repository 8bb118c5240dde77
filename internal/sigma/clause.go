package sigma

import "slices"

// A clause is a part of a detection as it is written, from the condition down to
// single lines. It is kept beside what it is lowered to, so that Explain can
// speak the rule's own words.
type clause struct {
	kind         clauseKind
	text         string // of the condition, for parts of it
	name         string // of a selection
	kids         []*clause
	n            int // clauseOf: how many must hold
	item         *item
	line, column int
}

type clauseKind uint8

const (
	clauseAnd  clauseKind = iota // in a condition
	clauseOr                     // in a condition
	clauseNot                    // in a condition
	clauseOf                     // "1 of filter_*"
	clauseName                   // a selection
	clauseMap                    // the lines of a map: all
	clauseList                   // the members of a list: one
	clauseItem                   // one line
)

// lower turns c into what is evaluated.
func (c *clause) lower() *expr {
	switch c.kind {
	case clauseAnd, clauseMap:
		return join(andExpr, c.lowerKids())
	case clauseOr, clauseList:
		return join(orExpr, c.lowerKids())
	case clauseNot:
		return not(c.kids[0].lower())
	case clauseName:
		return c.kids[0].lower()
	case clauseItem:
		return c.item.lowerOrWait()
	}
	kids := c.lowerKids()
	switch c.n {
	case 1:
		return join(orExpr, kids)
	case len(kids):
		return join(andExpr, kids)
	}
	return &expr{kind: atLeastExpr, n: c.n, kids: kids}
}

func (c *clause) lowerKids() []*expr {
	out := make([]*expr, len(c.kids))
	for i, k := range c.kids {
		out[i] = k.lower()
	}
	return out
}

// lowerOrWait lowers an item that needs no list.
func (it *item) lowerOrWait() *expr {
	if len(it.placeholders(nil)) > 0 {
		return &expr{kind: pendingExpr, item: it}
	}
	return it.lower(nil)
}

// holdsWithout tells whether the condition c holds for an event for which no
// selection does.
func (c *clause) holdsWithout() bool {
	switch c.kind {
	case clauseAnd:
		return !slices.ContainsFunc(c.kids, func(k *clause) bool { return !k.holdsWithout() })
	case clauseOr:
		return slices.ContainsFunc(c.kids, (*clause).holdsWithout)
	case clauseNot:
		return !c.kids[0].holdsWithout()
	}
	return false
}

// waiting returns the first line below c that needs a list, or nil.
func (c *clause) waiting(list string) *clause {
	if c == nil {
		return nil
	}
	if c.item != nil && slices.Contains(c.item.placeholders(nil), list) {
		return c
	}
	for _, k := range c.kids {
		if found := k.waiting(list); found != nil {
			return found
		}
	}
	return nil
}
