package framing

// maxDepth is how deep a JSON value may nest to be taken for one value. Deeper
// input is kept as lines of text.
const maxDepth = 128

// A verdict is what a scanner knows after the bytes it has seen.
type verdict uint8

const (
	unfinished verdict = iota // the value goes on
	complete                  // the value ended
	malformed                 // this is no JSON value
)

// states of a valueScanner.
const (
	wantValue      = iota // a value
	wantValueOrEnd        // after '[': a value or ']'
	wantKey               // after ',' in an object
	wantKeyOrEnd          // after '{'
	wantColon             // after a key
	wantCommaOrEnd        // after a member or an element
	inString              // inside a string that is a value
	inKey                 // inside a string that is a key
	inScalar              // inside a number, true, false or null
)

// A valueScanner finds the end of one JSON value in a stream that arrives in
// pieces. It checks the structure, because that alone tells a value that
// stretches over lines from a broken line followed by good ones. It is lenient
// inside tokens: numbers are not checked, and strings may hold control
// characters, but no line feed.
type valueScanner struct {
	state   uint8
	escaped bool // the byte before was a backslash, inside a string
	depth   int
	objects [maxDepth / 64]uint64 // one bit for each open level: 1 is an object
}

func (s *valueScanner) reset() { *s = valueScanner{} }

// endsAtEOF reports whether the value is complete if nothing follows.
func (s *valueScanner) endsAtEOF() bool { return s.state == inScalar && s.depth == 0 }

// scan reads on in b and returns how many bytes of it belong to the value. After
// unfinished that is all of b; after malformed it is the bytes before the fault.
func (s *valueScanner) scan(b []byte) (int, verdict) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch s.state {
		case inString, inKey:
			j, v := s.scanString(b[i:])
			i += j
			if v != complete {
				return i, v
			}
			if s.state == inKey {
				s.state = wantColon
			} else if s.endValue() {
				return i + 1, complete
			}
			continue
		case inScalar:
			for i < len(b) && isScalar(b[i]) {
				i++
			}
			if i == len(b) {
				return i, unfinished
			}
			if s.endValue() {
				return i, complete
			}
			c = b[i] // the byte that ended the scalar is read below
		}
		if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
			continue
		}
		switch s.state {
		case wantValue, wantValueOrEnd:
			switch {
			case c == '{':
				if !s.push(true) {
					return i, malformed
				}
			case c == '[':
				if !s.push(false) {
					return i, malformed
				}
			case c == '"':
				s.state = inString
			case c == ']' && s.state == wantValueOrEnd:
				s.depth--
				if s.endValue() {
					return i + 1, complete
				}
			case isScalar(c):
				s.state = inScalar
			default:
				return i, malformed
			}
		case wantKey, wantKeyOrEnd:
			switch {
			case c == '"':
				s.state = inKey
			case c == '}' && s.state == wantKeyOrEnd:
				s.depth--
				if s.endValue() {
					return i + 1, complete
				}
			default:
				return i, malformed
			}
		case wantColon:
			if c != ':' {
				return i, malformed
			}
			s.state = wantValue
		case wantCommaOrEnd:
			object := s.inObject()
			switch {
			case c == ',' && object:
				s.state = wantKey
			case c == ',':
				s.state = wantValue
			case c == '}' && object, c == ']' && !object:
				s.depth--
				if s.endValue() {
					return i + 1, complete
				}
			default:
				return i, malformed
			}
		}
	}
	return len(b), unfinished
}

// scanString reads to the closing quote and returns its index in b.
func (s *valueScanner) scanString(b []byte) (int, verdict) {
	i := 0
	if s.escaped && len(b) > 0 {
		s.escaped = false
		if b[0] == '\n' {
			return 0, malformed
		}
		i = 1
	}
	for i < len(b) {
		switch b[i] {
		case '"':
			return i, complete
		case '\n':
			return i, malformed
		case '\\':
			if i+1 == len(b) {
				s.escaped = true
				return len(b), unfinished
			}
			if b[i+1] == '\n' {
				return i + 1, malformed
			}
			i += 2
		default:
			i++
		}
	}
	return len(b), unfinished
}

func (s *valueScanner) push(object bool) bool {
	if s.depth == maxDepth {
		return false
	}
	word, bit := s.depth/64, uint64(1)<<(s.depth%64)
	if object {
		s.objects[word] |= bit
		s.state = wantKeyOrEnd
	} else {
		s.objects[word] &^= bit
		s.state = wantValueOrEnd
	}
	s.depth++
	return true
}

func (s *valueScanner) inObject() bool {
	d := s.depth - 1
	return s.objects[d/64]&(1<<(d%64)) != 0
}

// endValue is called when a value has ended; it reports whether that was the outermost.
func (s *valueScanner) endValue() bool {
	if s.depth == 0 {
		return true
	}
	s.state = wantCommaOrEnd
	return false
}

func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}
