package parse

// A row takes the named values of a table's line, which mean what the same names
// mean in JSON.
type row struct {
	l    *line
	mark int
	top  *jsonNode
	link *follow
}

// row begins one.
func (l *line) row() row {
	l.p.json.forget()
	top := l.p.flat.top()
	l.source = ""
	return row{l: l, mark: len(l.e.Fields), top: top, link: &top.inside}
}

func (r *row) field(name, value string) { r.typed(name, value, jsonString) }

func (r *row) typed(name, value string, kind jsonKind) {
	n := r.link.named(name)
	if n == nil {
		n = r.l.p.flat.child(r.top, name)
		r.link.learn(n)
	}
	r.link = &n.after
	r.l.take(n, value, kind)
}

// end lets the reader of a known product take the row, and tells whether one did.
func (r *row) end() bool {
	found := &r.l.p.json.found
	if found.hasMessage {
		r.l.say(trimTail(found.message))
	}
	return r.l.readProduct(found.shape, r.mark)
}
