package parse

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A jsonScanner walks one JSON object and hands out its scalars under dotted
// names, without building a tree. Strings alias the input unless they hold
// escapes; numbers keep the text that the input has.
type jsonScanner struct {
	p    *Parser
	s    string
	i    int
	path []byte
	emit func(name, value string, kind jsonKind)

	names map[string]jsonName
	found jsonFound
}

type jsonKind byte

const (
	jsonString jsonKind = iota
	jsonNumber
	jsonBool
	jsonDeep // nested deeper than we flatten: the JSON text
)

// maxDepth is how deep objects are flattened; maxNesting how deep they are read.
const (
	maxDepth   = 12
	maxNesting = 200
)

// scan reads s, which must be one object and nothing else.
func (j *jsonScanner) scan(s string) bool {
	j.s, j.i, j.path = s, 0, j.path[:0]
	j.space()
	if j.i >= len(j.s) || j.s[j.i] != '{' || !j.object(1) {
		return false
	}
	j.space()
	return j.i == len(j.s)
}

func (j *jsonScanner) space() {
	for j.i < len(j.s) {
		switch j.s[j.i] {
		case ' ', '\t', '\n', '\r':
			j.i++
		default:
			return
		}
	}
}

// object reads an object at '{'.
func (j *jsonScanner) object(depth int) bool {
	if depth > maxNesting {
		return false
	}
	j.i++
	for first := true; ; first = false {
		j.space()
		if j.i >= len(j.s) {
			return false
		}
		if j.s[j.i] == '}' {
			j.i++
			return true
		}
		if !first {
			if j.s[j.i] != ',' {
				return false
			}
			j.i++
			j.space()
		}
		key, ok := j.text()
		if !ok {
			return false
		}
		j.space()
		if j.i >= len(j.s) || j.s[j.i] != ':' {
			return false
		}
		j.i++
		if len(j.path) == 0 {
			// Names at the top need no joining until something is nested in them.
			if !j.value(key, depth) {
				return false
			}
			continue
		}
		mark := len(j.path)
		j.path = append(append(j.path, '.'), key...)
		ok = j.value("", depth)
		j.path = j.path[:mark]
		if !ok {
			return false
		}
	}
}

// name returns the present field's name.
func (j *jsonScanner) name(top string) string {
	if len(j.path) == 0 {
		return top
	}
	return j.p.names.of(j.path)
}

// value reads one value. top is its name where the path is empty.
func (j *jsonScanner) value(top string, depth int) bool {
	j.space()
	if j.i >= len(j.s) {
		return false
	}
	switch c := j.s[j.i]; c {
	case '"':
		v, ok := j.text()
		if ok {
			j.emit(j.name(top), v, jsonString)
		}
		return ok
	case '{', '[':
		if depth >= maxDepth {
			from := j.i
			if !j.skip(depth) {
				return false
			}
			j.emit(j.name(top), j.s[from:j.i], jsonDeep)
			return true
		}
		entered := len(j.path) == 0
		if entered {
			j.path = append(j.path, top...)
			if top == "" {
				j.path = append(j.path, '_')
			}
		}
		var ok bool
		if c == '{' {
			ok = j.object(depth + 1)
		} else {
			ok = j.array(depth + 1)
		}
		if entered {
			j.path = j.path[:0]
		}
		return ok
	default:
		word := j.word()
		switch word {
		case "true", "false":
			j.emit(j.name(top), word, jsonBool)
		case "null":
		default:
			if !isNumber(word) {
				return false
			}
			j.emit(j.name(top), word, jsonNumber)
		}
		return true
	}
}

// array reads an array at '['; its elements share the array's name.
func (j *jsonScanner) array(depth int) bool {
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
		if !j.value("", depth) {
			return false
		}
	}
}

// skip passes over a nested value.
func (j *jsonScanner) skip(depth int) bool {
	emit := j.emit
	j.emit = func(string, string, jsonKind) {}
	defer func() { j.emit = emit }()
	mark := len(j.path)
	if mark == 0 {
		j.path = append(j.path, '_')
	}
	var ok bool
	if j.s[j.i] == '{' {
		ok = j.object(max(depth+1, maxDepth+1))
	} else {
		ok = j.array(max(depth+1, maxDepth+1))
	}
	j.path = j.path[:mark]
	return ok
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
	if j.i >= len(j.s) || j.s[j.i] != '"' {
		return "", false
	}
	from := j.i + 1
	at := from
	escaped := false
	for {
		k := strings.IndexByte(j.s[at:], '"')
		if k < 0 {
			return "", false
		}
		end := at + k
		bs := end
		for bs > from && j.s[bs-1] == '\\' {
			bs--
		}
		if !escaped && strings.IndexByte(j.s[at:end], '\\') >= 0 {
			escaped = true
		}
		if (end-bs)&1 == 1 { // the quote is escaped
			at = end + 1
			continue
		}
		j.i = end + 1
		if !escaped {
			return j.s[from:end], true
		}
		return unescapeJSON(&j.p.arena, j.s[from:end])
	}
}

// unescapeJSON resolves escapes. What no text can hold (NUL, lone surrogates)
// becomes U+FFFD.
func unescapeJSON(a *arena, s string) (string, bool) {
	b := a.grab(len(s))
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b = append(b, s...)
			return a.keep(b), true
		}
		b = append(b, s[:i]...)
		s = s[i+1:]
		if s == "" {
			return "", false
		}
		c := s[0]
		s = s[1:]
		switch c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r := hex4(s)
			if r < 0 {
				return "", false
			}
			s = s[4:]
			if utf16.IsSurrogate(r) {
				if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
					if r2 := utf16.DecodeRune(r, hex4(s[2:])); r2 != utf8.RuneError {
						r, s = r2, s[6:]
					}
				}
			}
			if r == 0 || utf16.IsSurrogate(r) {
				r = utf8.RuneError
			}
			b = utf8.AppendRune(b, r)
		default:
			return "", false
		}
	}
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
