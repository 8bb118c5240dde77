package evtx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// Tokens of binary XML ([MS-EVEN6] 2.2.12), without the bit that says that more
// follows.
const (
	tokenEnd       = 0x00
	tokenOpen      = 0x01
	tokenCloseOpen = 0x02
	tokenEmpty     = 0x03
	tokenClose     = 0x04
	tokenValue     = 0x05
	tokenAttribute = 0x06
	tokenCDATA     = 0x07
	tokenCharRef   = 0x08
	tokenEntity    = 0x09
	tokenPITarget  = 0x0a
	tokenPIData    = 0x0b
	tokenTemplate  = 0x0c
	tokenNormal    = 0x0d
	tokenOptional  = 0x0e
	tokenFragment  = 0x0f
	moreBit        = 0x40
)

// Bounds of what one record may ask for: files may be made to do harm.
const (
	maxDepth  = 64
	maxNodes  = 50_000
	maxValues = 10_000
)

// A node is an element, a text, a place for a value, or an instance of a template.
type node struct {
	kind   nodeKind
	name   string // of an element
	text   string
	value  int // index in the values of the instance
	attrs  []attribute
	kids   []node
	def    *template
	values []value
}

type nodeKind uint8

const (
	elementNode nodeKind = iota
	textNode
	valueNode
	instanceNode
)

type attribute struct {
	name string
	kids []node // texts and places
}

// A value is the bytes of the chunk that fill a place.
type value struct {
	kind       uint8
	start, end int
}

// A template is the skeleton of records that have the same shape.
type template struct {
	nodes []node
	err   error
	ready bool // false while it is being read: it then contains itself
}

// A chunk holds records that refer to each other's names and templates by place.
type chunk struct {
	data      []byte
	names     map[uint32]string
	templates map[uint32]*template
}

func (c *chunk) reset(data []byte) {
	c.data = data
	c.names = map[uint32]string{}
	c.templates = map[uint32]*template{}
}

// A parser reads binary XML between two places of a chunk.
type parser struct {
	c        *chunk
	pos, end int
	nested   bool // within a value: elements carry no dependency
	nodes    int
	err      error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.pos = p.end
}

var errCut = errors.New("it ends within its binary XML")

// take returns the next n bytes, nil where there are fewer.
func (p *parser) take(n int) []byte {
	if n < 0 || p.pos+n > p.end {
		if p.err == nil {
			p.err = errCut
		}
		p.pos = p.end
		return nil
	}
	b := p.c.data[p.pos : p.pos+n]
	p.pos += n
	return b
}

func (p *parser) u8() int {
	if b := p.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (p *parser) u16() int {
	if b := p.take(2); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

func (p *parser) u32() uint32 {
	if b := p.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// fragment reads nodes up to the end token or the end of the range.
func (p *parser) fragment(depth int) []node {
	var out []node
	for p.err == nil && p.pos < p.end {
		switch token := p.c.data[p.pos]; token &^ moreBit {
		case tokenEnd:
			p.pos++
			return out
		case tokenFragment:
			p.take(4)
		case tokenOpen:
			out = append(out, p.element(depth))
		case tokenTemplate:
			out = append(out, p.instance(depth))
		case tokenPITarget:
			p.pos++
			p.name()
		case tokenPIData:
			p.pos++
			p.text()
		default:
			p.fail("unexpected token 0x%02x in its binary XML", token)
		}
	}
	return out
}

func (p *parser) grow() {
	if p.nodes++; p.nodes > maxNodes {
		p.fail("it has more than %d elements and texts", maxNodes)
	}
}

func (p *parser) element(depth int) node {
	n := node{kind: elementNode}
	if depth >= maxDepth {
		p.fail("its elements are nested more than %d deep", maxDepth)
		return n
	}
	p.grow()
	more := p.u8()&moreBit != 0
	if !p.nested {
		p.u16() // dependency: the value without which the element is left out
	}
	p.u32() // size
	n.name = p.name()
	if more {
		length := int(p.u32())
		for last := p.pos + length; p.err == nil && p.pos < last && p.pos < p.end && p.c.data[p.pos]&^moreBit == tokenAttribute; {
			p.pos++
			name := p.name()
			n.attrs = append(n.attrs, attribute{name, p.texts()})
		}
	}
	switch token := p.u8(); token {
	case tokenEmpty:
		return n
	case tokenCloseOpen:
	default:
		p.fail("unexpected token 0x%02x behind the start of an element", token)
		return n
	}
	for p.err == nil {
		n.kids = append(n.kids, p.texts()...)
		if p.pos >= p.end {
			p.fail("the element %q is not closed", n.name)
			break
		}
		switch token := p.c.data[p.pos]; token &^ moreBit {
		case tokenClose:
			p.pos++
			return n
		case tokenOpen:
			n.kids = append(n.kids, p.element(depth+1))
		case tokenTemplate:
			n.kids = append(n.kids, p.instance(depth+1))
		case tokenFragment:
			p.take(4)
		case tokenPITarget:
			p.pos++
			p.name()
		case tokenPIData:
			p.pos++
			p.text()
		default:
			p.fail("unexpected token 0x%02x in the element %q", token, n.name)
		}
	}
	return n
}

// texts reads texts and places for values as long as there are some.
func (p *parser) texts() []node {
	var out []node
	for p.err == nil && p.pos < p.end {
		n := node{kind: textNode}
		switch p.c.data[p.pos] &^ moreBit {
		case tokenValue:
			p.pos++
			if kind := p.u8(); kind != kindString {
				p.fail("a text of type 0x%02x in its binary XML", kind)
				return out
			}
			n.text = p.text()
		case tokenCDATA:
			p.pos++
			n.text = p.text()
		case tokenCharRef:
			p.pos++
			n.text = string(rune(p.u16()))
		case tokenEntity:
			p.pos++
			n.text = entity(p.name())
		case tokenNormal, tokenOptional:
			p.pos++
			n.kind, n.value = valueNode, p.u16()
			p.u8() // its type: the value tells it again
		default:
			return out
		}
		p.grow()
		out = append(out, n)
	}
	return out
}

func entity(name string) string {
	switch name {
	case "amp":
		return "&"
	case "lt":
		return "<"
	case "gt":
		return ">"
	case "quot":
		return `"`
	case "apos":
		return "'"
	}
	return "&" + name + ";"
}

// text reads a counted UTF-16 text.
func (p *parser) text() string { return decode(p.take(2 * p.u16())) }

// name reads the place of a name, and the name where it lies right here.
func (p *parser) name() string {
	at := p.u32()
	if int(at) == p.pos {
		return p.nameHere(at)
	}
	if s, ok := p.c.names[at]; ok {
		return s
	}
	q := parser{c: p.c, pos: int(at), end: len(p.c.data)}
	if q.pos > q.end {
		p.fail("a name lies outside of the chunk")
		return ""
	}
	s := q.nameHere(at)
	if q.err != nil {
		p.fail("a name cannot be read")
	}
	return s
}

func (p *parser) nameHere(at uint32) string {
	p.u32() // the next one of its hash
	p.u16() // hash
	s := p.text()
	p.u16() // zero
	if p.err == nil {
		p.c.names[at] = s
	}
	return s
}

// instance reads a use of a template with its values.
func (p *parser) instance(depth int) node {
	n := node{kind: instanceNode}
	if depth >= maxDepth {
		p.fail("its templates are nested more than %d deep", maxDepth)
		return n
	}
	p.take(2) // token, version
	p.u32()   // short id
	at := p.u32()
	here := int(at) == p.pos
	n.def = p.template(at, depth)
	if here {
		p.take(20) // next, id
		p.take(int(p.u32()))
	}
	count := int(p.u32())
	if count > maxValues {
		p.fail("it has %d values: at most %d are read", count, maxValues)
	}
	if p.err != nil {
		return n
	}
	n.values = make([]value, 0, count)
	sizes := p.take(4 * count)
	if p.err != nil {
		return n
	}
	for ; len(sizes) > 0; sizes = sizes[4:] {
		start := p.pos
		p.take(int(binary.LittleEndian.Uint16(sizes)))
		n.values = append(n.values, value{sizes[2], start, p.pos})
	}
	return n
}

// template returns the template at a place of the chunk.
func (p *parser) template(at uint32, depth int) *template {
	if t, ok := p.c.templates[at]; ok {
		switch {
		case !t.ready:
			p.fail("a template contains itself")
		case t.err != nil:
			p.fail("%w", t.err)
		}
		return t
	}
	t := &template{}
	p.c.templates[at] = t
	q := parser{c: p.c, pos: int(at), end: len(p.c.data)}
	if q.pos > q.end {
		q.fail("a template lies outside of the chunk")
	}
	q.take(20)
	if size := int(q.u32()); q.err == nil && q.pos+size <= q.end {
		q.end = q.pos + size
	} else {
		q.fail("a template is larger than its chunk")
	}
	t.nodes = q.fragment(depth + 1)
	t.err, t.ready = q.err, true
	if q.err != nil {
		p.fail("%w", q.err)
	}
	return t
}

// decode reads UTF-16; half pairs become U+FFFD.
func decode(b []byte) string {
	ascii := true
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] >= 0x80 || b[i+1] != 0 {
			ascii = false
			break
		}
	}
	if ascii {
		out := make([]byte, len(b)/2)
		for i := range out {
			out[i] = b[2*i]
		}
		return string(out)
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
