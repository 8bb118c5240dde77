package evtx

import "errors"

// Bounds of what templates may multiply a chunk to: made for harm, sixty thousand
// bytes could become gigabytes.
const (
	maxJSON      = 1 << 20  // text of one record
	maxChunkJSON = 16 << 20 // of all records of a chunk
	maxWork      = 200_000  // nodes looked at for one record
)

var errLarge = errors.New("its templates would make it larger than a record can be")

// A renderer writes records as JSON.
type renderer struct {
	c     *chunk
	out   []byte
	depth int
	work  int
	total int // bytes of all records of the chunk
	err   error
}

func (r *renderer) reset(c *chunk) {
	r.c, r.out, r.depth, r.work, r.err = c, r.out[:0], 0, 0, nil
}

// busy counts n nodes and tells whether the bounds still hold.
func (r *renderer) busy(n int) bool {
	r.work += n
	if r.work > maxWork || len(r.out) > maxJSON || r.total+len(r.out) > maxChunkJSON {
		r.fail(errLarge)
	}
	return r.err == nil
}

// record renders the binary XML between two places of the chunk.
func (r *renderer) record(from, to int) ([]byte, error) {
	p := parser{c: r.c, pos: from, end: to}
	nodes := p.fragment(0)
	if p.err != nil {
		return nil, p.err
	}
	kids := r.children(nil, nodes, nil)
	if len(kids) == 0 && r.err == nil {
		return nil, errors.New("it has no element")
	}
	r.out = append(r.out, '{')
	r.members(kids, false)
	r.out = append(r.out, '}')
	r.total += len(r.out)
	return r.out, r.err
}

// A child is an element with the values of the instance that it stands in.
type child struct {
	*node
	values []value
}

// children returns the elements among nodes, those of templates and of values that
// are XML themselves among them.
func (r *renderer) children(dst []child, nodes []node, values []value) []child {
	if r.depth++; r.depth > maxDepth {
		r.fail(errors.New("its templates are nested too deep"))
	}
	defer func() { r.depth-- }()
	for i := range nodes {
		if !r.busy(1) {
			return dst
		}
		n := &nodes[i]
		switch n.kind {
		case elementNode:
			dst = append(dst, child{n, values})
		case instanceNode:
			dst = r.children(dst, n.def.nodes, n.values)
		case valueNode:
			v, ok := valueOf(values, n)
			if !ok || v.kind != kindXML {
				continue
			}
			p := parser{c: r.c, pos: v.start, end: v.end, nested: true}
			inner := p.fragment(r.depth)
			r.busy(p.nodes)
			if p.err != nil {
				r.fail(p.err)
				return dst
			}
			dst = r.children(dst, inner, nil)
		}
	}
	return dst
}

func (r *renderer) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func valueOf(values []value, n *node) (value, bool) {
	if n.value >= len(values) {
		return value{}, false
	}
	return values[n.value], true
}

// members writes elements as the members of an object; those of one name make an
// array. In EventData the name is that of the attribute Name.
func (r *renderer) members(kids []child, data bool) {
	names := make([]string, len(kids))
	next := make([]int, len(kids)) // of the same name, 0 = none; -1: it is written with an earlier one
	last := make(map[string]int, len(kids))
	for i := range kids {
		names[i] = kids[i].name
		if data {
			if n := r.attributeText(&kids[i], "Name"); n != "" {
				names[i] = n
			}
		}
		if before, ok := last[names[i]]; ok {
			next[before] = i
		}
		last[names[i]] = i
	}
	written := false
	for i := range kids {
		if next[i] < 0 {
			continue
		}
		if written {
			r.out = append(r.out, ',')
		}
		written = true
		r.out = appendString(r.out, names[i])
		r.out = append(r.out, ':')
		if next[i] == 0 {
			r.element(&kids[i], data)
			continue
		}
		r.out = append(r.out, '[')
		for j := i; ; {
			r.element(&kids[j], data)
			after := next[j]
			if j != i {
				next[j] = -1
			}
			if after == 0 {
				break
			}
			r.out = append(r.out, ',')
			j = after
		}
		r.out = append(r.out, ']')
	}
}

// element writes the value of an element: null, a text or number, or an object of
// its attributes, text and elements.
func (r *renderer) element(e *child, data bool) {
	if !r.busy(1) {
		return
	}
	if r.depth++; r.depth > maxDepth {
		r.fail(errors.New("its elements are nested too deep"))
		return
	}
	defer func() { r.depth-- }()
	kids := r.children(nil, e.kids, e.values)
	start := len(r.out)
	r.out = append(r.out, '{')
	written := false
	if attributes := r.attributes(e, data); attributes {
		written = true
	}
	if len(kids) == 0 {
		text := len(r.out)
		if written {
			r.out = append(r.out, `,"#text":`...)
		}
		filled := r.texts(e.kids, e.values)
		switch {
		case !written: // the text alone
			r.out = append(r.out[:start], r.out[start+1:]...)
			return
		case !filled:
			r.out = r.out[:text]
		}
		r.out = append(r.out, '}')
		return
	}
	if written {
		r.out = append(r.out, ',')
	}
	r.members(kids, e.name == "EventData")
	r.out = append(r.out, '}')
}

// attributes writes the attributes that say something and tells whether there are
// any.
func (r *renderer) attributes(e *child, data bool) bool {
	start := len(r.out)
	r.out = append(r.out, `"#attributes":{`...)
	n := 0
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.name == "xmlns" || data && a.name == "Name" {
			continue
		}
		at := len(r.out)
		if n > 0 {
			r.out = append(r.out, ',')
		}
		r.out = appendString(r.out, a.name)
		r.out = append(r.out, ':')
		if !r.texts(a.kids, e.values) {
			r.out = r.out[:at]
			continue
		}
		n++
	}
	if n == 0 {
		r.out = r.out[:start]
		return false
	}
	r.out = append(r.out, '}')
	return true
}

// texts writes texts and values: one value with its type, more as one string. It
// tells whether there was anything but null.
func (r *renderer) texts(nodes []node, values []value) bool {
	if len(nodes) == 1 && nodes[0].kind == valueNode {
		v, ok := valueOf(values, &nodes[0])
		if !ok || v.kind == kindNull {
			r.out = append(r.out, "null"...)
			return false
		}
		r.out = appendValue(r.out, v.kind, r.c.data[v.start:v.end])
		return true
	}
	var text []byte
	filled := false
	for i := range nodes {
		if !r.busy(1 + len(text)>>10) {
			return false
		}
		switch nodes[i].kind {
		case textNode:
			text, filled = append(text, nodes[i].text...), true
		case valueNode:
			if v, ok := valueOf(values, &nodes[i]); ok && v.kind != kindNull {
				text, filled = appendPlain(text, v.kind, r.c.data[v.start:v.end]), true
			}
		}
	}
	if !filled {
		r.out = append(r.out, "null"...)
		return false
	}
	r.out = appendString(r.out, string(text))
	return true
}

// attributeText returns an attribute as plain text, "" where it is absent.
func (r *renderer) attributeText(e *child, name string) string {
	for i := range e.attrs {
		if e.attrs[i].name != name {
			continue
		}
		if kids := e.attrs[i].kids; len(kids) == 1 && kids[0].kind == textNode {
			return kids[0].text
		}
		var text []byte
		for j := range e.attrs[i].kids {
			if !r.busy(1 + len(text)>>10) {
				return ""
			}
			n := &e.attrs[i].kids[j]
			if n.kind == textNode {
				text = append(text, n.text...)
			} else if v, ok := valueOf(e.values, n); ok {
				text = appendPlain(text, v.kind, r.c.data[v.start:v.end])
			}
		}
		return string(text)
	}
	return ""
}
