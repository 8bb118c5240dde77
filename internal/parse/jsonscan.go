package parse

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A jsonScanner walks one JSON object and hands out its scalars with what is known
// of their dotted names, without building a tree. Strings alias the input unless
// they hold escapes; numbers keep the text that the input has.
type jsonScanner struct {
	p    *Parser
	s    string
	i    int
	hear func(n *jsonNode, value string, kind jsonKind) // instead of the parser's line

	tree  jsonTree
	found jsonFound

	windows    windowsFields
	hasWindows bool // some of windows are set
}

// forget makes room for what the next record says.
func (j *jsonScanner) forget() {
	j.found = jsonFound{}
	if j.hasWindows {
		j.windows, j.hasWindows = windowsFields{}, false
	}
}

type jsonKind byte

const (
	jsonString jsonKind = iota
	jsonNumber
	jsonBool
	jsonDeep // nested deeper than we flatten, or wanted as text too: the JSON text
)

// maxDepth is how deep objects are flattened; maxNesting how deep they are read.
const (
	maxDepth   = 12
	maxNesting = 200
)

// scan reads s, which must be one object and nothing else.
func (j *jsonScanner) scan(s string) bool {
	j.s, j.i = s, 0
	j.space()
	if j.i >= len(j.s) || j.s[j.i] != '{' || !j.object(j.tree.top(), 1) {
		return false
	}
	j.space()
	return j.i == len(j.s)
}

func (j *jsonScanner) space() { j.i = afterSpaces(j.s, j.i) }

// object reads an object at '{'. Records of one kind have their keys in one order:
// each key is first compared with the one that followed its forerunner last time.
func (j *jsonScanner) object(in *jsonNode, depth int) bool {
	if depth > maxNesting {
		return false
	}
	s, i := j.s, j.i+1
	link := &in.inside
	for first := true; ; first = false {
		i = afterSpaces(s, i)
		if i >= len(s) {
			return false
		}
		switch c := s[i]; {
		case c == '}':
			j.i = i + 1
			return true
		case first:
		case c != ',':
			return false
		default:
			i = afterSpaces(s, i+1)
		}
		n := link.guess(s[i:])
		if n != nil {
			i += len(n.quoted)
		} else {
			j.i = i
			key, ok := j.text()
			if !ok {
				return false
			}
			i = afterSpaces(s, j.i)
			if i >= len(s) || s[i] != ':' {
				return false
			}
			i++
			n = j.tree.child(in, key)
			link.learn(n)
		}
		link = &n.after
		i = afterSpaces(s, i)
		if i < len(s) && s[i] == '"' { // most values are strings, most of those without escapes
			at := plainEnd(s, i+1)
			if at < len(s) && s[at] == '"' {
				j.tell(n, s[i+1:at], jsonString)
				i = at + 1
				continue
			}
			v, ok := j.escaped(i+1, at)
			if !ok {
				return false
			}
			j.tell(n, v, jsonString)
			i = j.i
			continue
		}
		j.i = i
		if !j.value(n, depth) {
			return false
		}
		i = j.i
	}
}

// afterSpaces returns where at or behind i something else than space stands.
func afterSpaces(s string, i int) int {
	if i < len(s) && s[i] <= ' ' {
		return afterMoreSpaces(s, i)
	}
	return i
}

func afterMoreSpaces(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// value reads one value of the name n.
func (j *jsonScanner) value(n *jsonNode, depth int) bool {
	s, i := j.s, afterSpaces(j.s, j.i)
	j.i = i
	if i >= len(s) {
		return false
	}
	switch c := s[i]; c {
	case '"':
		v, ok := j.text()
		if ok {
			j.tell(n, v, jsonString)
		}
		return ok
	case '{', '[':
		if depth >= maxDepth {
			if !j.skip(depth) {
				return false
			}
			j.tell(n, s[i:j.i], jsonDeep)
			return true
		}
		if c == '[' && n.role == roleMessage {
			if text, ok := j.bytesText(); ok {
				j.tell(n, text, jsonString)
				return true
			}
		}
		if c == '{' {
			if !j.object(n, depth+1) {
				return false
			}
		} else if !j.array(n, depth+1) {
			return false
		}
		if n.whole && j.i-i > 2 {
			j.tell(n, s[i:j.i], jsonDeep)
		}
		return true
	default:
		word := j.word()
		switch word {
		case "true", "false":
			j.tell(n, word, jsonBool)
		case "null":
		default:
			if !isNumber(word) {
				return false
			}
			j.tell(n, word, jsonNumber)
		}
		return true
	}
}

// array reads an array at '['; its elements share the array's name.
func (j *jsonScanner) array(n *jsonNode, depth int) bool {
	if depth > maxNesting {
		return false
	}
	j.i++
	for first := true; ; first = false {
		j.space()
		if j.i >= len(j.s) {
			return false
		}
		if j.s[j.i] == ']' {
			j.i++
			return true
		}
		if !first {
			if j.s[j.i] != ',' {
				return false
			}
			j.i++
		}
		if !j.value(n, depth) {
			return false
		}
	}
}

// tell hands out one scalar.
func (j *jsonScanner) tell(n *jsonNode, value string, kind jsonKind) {
	if j.hear != nil {
		j.hear(n, value, kind)
		return
	}
	if n.plain {
		if e := j.p.line.e; len(e.Fields) < maxJSONFields {
			j.found.shape |= n.marks
			e.Fields = append(e.Fields, event.Field{Name: n.name, Value: value})
			return
		}
	}
	if n != &unnamed {
		j.p.line.take(n, value, kind)
	}
}

// skip passes over a nested value.
func (j *jsonScanner) skip(depth int) bool {
	if j.s[j.i] == '{' {
		return j.object(&unnamed, max(depth+1, maxDepth+1))
	}
	return j.array(&unnamed, max(depth+1, maxDepth+1))
}

// word reads up to the next delimiter.
func (j *jsonScanner) word() string {
	from := j.i
	for j.i < len(j.s) {
		switch j.s[j.i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r', ':', '"', '{', '[':
			return j.s[from:j.i]
		}
		j.i++
	}
	return j.s[from:]
}

// isNumber checks JSON's grammar of numbers, and is not strict about zeros.
func isNumber(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	n := digits(s)
	if n == 0 {
		return false
	}
	s = s[n:]
	if s != "" && s[0] == '.' {
		n = digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n = digits(s)
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return s == ""
}

// text reads a string at '"'.
func (j *jsonScanner) text() (string, bool) {
	s := j.s
	if j.i >= len(s) || s[j.i] != '"' {
		return "", false
	}
	from := j.i + 1
	at := plainEnd(s, from)
	if at < len(s) && s[at] == '"' {
		j.i = at + 1
		return s[from:at], true
	}
	return j.escaped(from, at)
}

// escaped reads a string from from on, the first backslash of which stands at at.
func (j *jsonScanner) escaped(from, at int) (string, bool) {
	s := j.s
	for {
		k := strings.IndexByte(s[at:], '"')
		if k < 0 {
			return "", false
		}
		end := at + k
		bs := end
		for bs > from && s[bs-1] == '\\' {
			bs--
		}
		if (end-bs)&1 == 1 { // the quote is escaped
			at = end + 1
			continue
		}
		j.i = end + 1
		return unescapeJSON(&j.p.arena, s[from:end])
	}
}

// plainEnd returns where the first quote or backslash of s from i on stands, or
// len(s). It looks at eight bytes at once.
func plainEnd(s string, i int) int {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if m := hasByte(w, '"') | hasByte(w, '\\'); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if b[i] == '"' || b[i] == '\\' {
			return i
		}
	}
	return len(b)
}

// hasByte returns a word whose lowest set bit is in the first byte of w that is c;
// what is set above that means nothing.
func hasByte(w uint64, c byte) uint64 {
	x := w ^ uint64(c)*0x0101010101010101
	return (x - 0x0101010101010101) & ^x & 0x8080808080808080
}

// plainEscapes are the bytes that one letter after a backslash stands for.
var plainEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescapeJSON resolves escapes. What no text can hold (NUL, lone surrogates)
// becomes U+FFFD.
func unescapeJSON(a *arena, s string) (string, bool) {
	room := a.grab(len(s))
	src, dst := unsafe.Slice(unsafe.StringData(s), len(s)), room[:len(s)]
	i, o := 0, 0
	for i < len(src) {
		if i+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[i:])
			binary.LittleEndian.PutUint64(dst[o:], w)
			m := hasByte(w, '\\')
			if m == 0 {
				i, o = i+8, o+8
				continue
			}
			n := bits.TrailingZeros64(m) >> 3
			i, o = i+n, o+n
		} else if src[i] != '\\' {
			dst[o] = src[i]
			i, o = i+1, o+1
			continue
		}
		if i+1 >= len(src) {
			return "", false
		}
		c := src[i+1]
		i += 2
		if p := plainEscapes[c]; p != 0 {
			dst[o] = p
			o++
			for i+1 < len(src) && src[i] == '\\' { // ends of lines are several in a row
				if p = plainEscapes[src[i+1]]; p == 0 {
					break
				}
				dst[o] = p
				i, o = i+2, o+1
			}
			continue
		}
		if c != 'u' {
			return "", false
		}
		r, n := unicodeEscape(s[i:])
		if n == 0 {
			return "", false
		}
		i += n
		o += utf8.EncodeRune(dst[o:], r)
	}
	return a.keep(room[:o]), true
}

// unicodeEscape reads what follows "\u": four digits, and the other half of a
// surrogate pair where there is one. n is 0 if there are no four digits.
func unicodeEscape(s string) (r rune, n int) {
	r = hex4(s)
	if r < 0 {
		return 0, 0
	}
	n = 4
	if utf16.IsSurrogate(r) && len(s) >= 10 && s[4] == '\\' && s[5] == 'u' {
		if r2 := utf16.DecodeRune(r, hex4(s[6:])); r2 != utf8.RuneError {
			r, n = r2, 10
		}
	}
	if r == 0 || utf16.IsSurrogate(r) {
		r = utf8.RuneError
	}
	return r, n
}

// hex4 reads four hexadecimal digits, -1 without.
func hex4(s string) rune {
	if len(s) < 4 {
		return -1
	}
	r := rune(0)
	for i := range 4 {
		c := s[i]
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case (c|0x20)-'a' <= 5:
			r = r<<4 | rune((c|0x20)-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// quoted reads a value in double quotes in which a backslash takes the next
// quote, backslash or bracket literally; n is how many bytes it took, 0 if the
// quote does not end.
func quoted(l *line, s string) (value string, n int) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return s[1:i], i + 1
		case '\\':
			return quotedSlow(l, s)
		}
	}
	return "", 0
}

func quotedSlow(l *line, s string) (value string, n int) {
	a := &l.p.arena
	b := a.grab(len(s))
	for i := 1; i < len(s); i++ {
		c := s[i]
		if c == '"' {
			return a.keep(b), i + 1
		}
		if c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\' || s[i+1] == ']') {
			i++
			c = s[i]
		}
		b = append(b, c)
	}
	return "", 0
}
