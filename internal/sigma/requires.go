package sigma

// A Requirement says which fields an event must have filled for a rule to match
// it: one field, or at least so many of other requirements.
type Requirement struct {
	Field string
	Least int // where Field is ""
	Of    []*Requirement
}

// Requires returns what d asks of an event's fields, whatever their values; nil
// where an event without any field may match, and for correlations.
func (d *Document) Requires() *Requirement {
	if d.root == nil {
		return nil
	}
	return d.root.requires(false)
}

// requires leaves out what is not certain: a nil part is met by every event.
func (x *expr) requires(negated bool) *Requirement {
	switch x.kind {
	case predExpr:
		return x.pred.requires(negated)
	case pendingExpr:
		if negated || x.item.neq || x.item.field == "" {
			return nil
		}
		return &Requirement{Field: x.item.field}
	case notExpr:
		return x.kids[0].requires(!negated)
	case andExpr, orExpr, atLeastExpr:
		least := len(x.kids)
		switch {
		case x.kind == atLeastExpr && negated: // fewer than n hold: so many do not
			least = len(x.kids) - x.n + 1
		case x.kind == atLeastExpr:
			least = x.n
		case (x.kind == orExpr) != negated:
			least = 1
		}
		return requireOf(least, x.kids, negated)
	}
	return nil
}

// requireOf joins the requirements of kids. Those without any count as met.
func requireOf(least int, kids []*expr, negated bool) *Requirement {
	out := &Requirement{Least: least}
	fields := map[string]int{}
	for _, k := range kids {
		r := k.requires(negated)
		if r == nil {
			out.Least--
			continue
		}
		// Many values of one field are one requirement, where one or all must hold.
		if r.Field != "" && (least == 1 || least == len(kids)) {
			if fields[r.Field]++; fields[r.Field] > 1 {
				if least == len(kids) {
					out.Least--
				}
				continue
			}
		}
		out.Of = append(out.Of, r)
	}
	switch {
	case out.Least <= 0 || len(out.Of) == 0:
		return nil
	case len(out.Of) == 1:
		return out.Of[0]
	}
	return out
}

// requires tells which field must be there, and filled, for p to hold or, negated,
// not to hold.
func (p *predicate) requires(negated bool) *Requirement {
	if p.field == "" {
		return nil
	}
	one := &Requirement{Field: p.field}
	switch {
	case p.op == opAbsent:
		if negated {
			return one
		}
		return nil
	case negated:
		return nil
	case p.op == opEqual && p.text == "", p.op == opRegex && p.re.MatchString(""):
		return nil // an empty value will do
	case p.op == opRef:
		return &Requirement{Least: 2, Of: []*Requirement{one, {Field: p.text}}}
	}
	return one
}
