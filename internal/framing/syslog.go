package framing

import "bytes"

// maxCount is the largest octet count that is believed. A larger one is text.
const maxCount = 16 << 20

// A Syslog cuts a syslog stream into messages. Each message is framed for itself,
// as senders of both kinds share ports and relays mix them: it is octet-counted
// (RFC 6587 3.4.1) when it begins with a count, a space and a priority, such as
// "172 <86>", and otherwise it ends with LF, CR LF or NUL. A lone number in front
// does not make a count: "54 <1 minute elapsed" is a line.
//
// A count is believed unless what follows the message cannot begin the next one.
// So a sender's text cannot forge messages inside a counted one. A message with a
// wrong count ends where a line ends or the next count begins: it garbles no
// other. Line ends around a message are dropped, empty messages are skipped, and
// what is longer than MaxRecord is cut.
//
// Read into Space, say how much with Filled, then take messages with Next until
// there is none. After the last byte call Close, and Next again. The zero Syslog
// is ready to use. It holds a little more than MaxRecord at most.
type Syslog struct {
	buf     []byte
	pos     int     // buf[pos:] is not consumed yet
	mode    framing // of the message at pos
	prefix  int     // length of its count and the space
	length  int     // its count
	scanned int     // bytes from pos on that hold no end of it
	skip    int     // bytes of a cut counted message that are still to come
	skipEnd bool    // the rest of a cut line, to its terminator, is still to come
	closed  bool
	resyncs int64
}

type framing uint8

const (
	undecided framing = iota
	counted
	lined
	miscounted // a line that ends where a count begins, too
)

type step uint8

const (
	needMore step = iota
	again
	got
)

// Space returns room to read into, at least 8 KiB.
func (s *Syslog) Space() []byte {
	const room = 8 << 10
	if s.pos == len(s.buf) {
		s.buf, s.pos = s.buf[:0], 0
		if cap(s.buf) > 4*room {
			s.buf = nil // a long message came by: do not keep its memory
		}
	}
	if cap(s.buf)-len(s.buf) < room && s.pos > 0 {
		n := copy(s.buf, s.buf[s.pos:])
		s.buf, s.pos = s.buf[:n], 0
	}
	if cap(s.buf)-len(s.buf) < room {
		grown := make([]byte, len(s.buf), max(2*cap(s.buf), 2*room))
		copy(grown, s.buf)
		s.buf = grown
	}
	return s.buf[len(s.buf):cap(s.buf)]
}

// Filled says that the first n bytes of Space hold input now.
func (s *Syslog) Filled(n int) { s.buf = s.buf[:len(s.buf)+n] }

// Partial reports whether input is held that makes no whole message yet.
func (s *Syslog) Partial() bool { return s.pos < len(s.buf) || s.skip > 0 || s.skipEnd }

// Size is how many bytes of memory the buffer takes.
func (s *Syslog) Size() int { return cap(s.buf) }

// Resyncs is how many counts were wrong.
func (s *Syslog) Resyncs() int64 { return s.resyncs }

// Close says that nothing follows: Next then also gives what has no end.
func (s *Syslog) Close() { s.closed = true }

// Next returns the next message, valid until Space is called, and whether it was
// cut. It reports false when more input is needed.
func (s *Syslog) Next() (message []byte, cut, ok bool) {
	for {
		message, cut, next := s.step()
		switch next {
		case needMore:
			return nil, false, false
		case got:
			if message = bytes.TrimRight(message, "\r\n\x00"); len(message) > 0 {
				return message, cut, true
			}
		case again:
		}
	}
}

func (s *Syslog) step() (message []byte, cut bool, next step) {
	if s.skip > 0 {
		n := min(s.skip, len(s.buf)-s.pos)
		s.skip -= n
		s.pos += n
	}
	if s.skipEnd {
		if i := lineEnd(s.buf[s.pos:]); i >= 0 {
			s.skipEnd = false
			s.pos += i
		} else {
			s.pos = len(s.buf)
		}
	}
	held := s.buf[s.pos:]
	if len(held) == 0 {
		return nil, false, needMore
	}
	switch s.mode {
	case undecided:
		prefix, length, known := octetCount(held)
		switch {
		case !known && !s.closed:
			return nil, false, needMore
		case known && length > 0:
			s.mode, s.prefix, s.length = counted, prefix, length
		default:
			s.mode = lined
		}
		return nil, false, again
	case counted:
		return s.stepCounted(held)
	case lined, miscounted:
	}
	return s.stepLine(held)
}

func (s *Syslog) stepCounted(held []byte) (message []byte, cut bool, next step) {
	end := s.prefix + min(s.length, MaxRecord)
	if len(held) < end {
		if !s.closed {
			return nil, false, needMore
		}
		return s.resync()
	}
	message = held[s.prefix:end]
	if s.length > MaxRecord {
		// Too long to wait for what follows it: a new message on a line of its own
		// is sign enough that the count is wrong.
		if beginsInside(message) {
			return s.resync()
		}
		cut, s.skip = true, s.length-MaxRecord
	} else if !canBegin(held[end:]) {
		return s.resync()
	}
	s.take(end)
	return message, cut, got
}

func (s *Syslog) resync() (message []byte, cut bool, next step) {
	s.resyncs++
	s.pos += s.prefix
	s.mode, s.scanned = miscounted, 0
	return nil, false, again
}

func (s *Syslog) stepLine(held []byte) (message []byte, cut bool, next step) {
	// A priority that begins the message, and a count that is torn at the end of
	// what was seen, are both looked at again.
	from := s.scanned
	if i := lineEnd(held[from:]); i >= 0 {
		s.scanned = from + i
	} else {
		s.scanned = len(held)
	}
	if s.mode == miscounted {
		if i := nextCount(held[:s.scanned], max(from-maxPrefix, 0)); i >= 0 {
			s.take(i)
			return held[:i], i > MaxRecord, got
		}
	}
	switch n := s.scanned; {
	case n < len(held):
		s.take(n + 1)
		return held[:min(n, MaxRecord)], n > MaxRecord && len(bytes.TrimRight(held[:n], "\r")) > MaxRecord, got
	case n > MaxRecord+1: // one more, for a carriage return
		s.take(n)
		s.skipEnd = true
		return held[:MaxRecord], true, got
	case s.closed:
		s.take(n)
		return held[:min(n, MaxRecord)], n > MaxRecord, got
	}
	return nil, false, needMore
}

func (s *Syslog) take(n int) {
	s.pos += n
	s.mode, s.scanned = undecided, 0
}

// lineEnd returns the index of the first LF or NUL, or -1.
func lineEnd(b []byte) int {
	n := bytes.IndexByte(b, '\n')
	if n < 0 {
		return bytes.IndexByte(b, 0)
	}
	if i := bytes.IndexByte(b[:n], 0); i >= 0 {
		return i
	}
	return n
}

// maxPrefix is the length of the longest count with space and priority.
const maxPrefix = len("123456789 <123>")

// octetCount reads ^[1-9][0-9]{0,8} <[0-9]{1,3}> at the start of b. It returns
// the length of count and space, and the count; 0, 0 if there is none. known is
// false if b is too short to tell.
func octetCount(b []byte) (prefix, length int, known bool) {
	i := 0
	for i < len(b) && i < 9 && isDigit(b[i]) {
		length = length*10 + int(b[i]-'0')
		i++
	}
	if len(b) > 0 && b[0] == '0' || i < len(b) && (i == 0 || b[i] != ' ') {
		return 0, 0, true
	}
	prefix = i + 1
	if prefix >= len(b) {
		return 0, 0, false
	}
	switch n, known := priority(b[prefix:]); {
	case !known:
		return 0, 0, false
	case n == 0 || length < n || length > maxCount:
		return 0, 0, true
	}
	return prefix, length, true
}

// priority returns the length of the <[0-9]{1,3}> at the start of b, 0 if there
// is none. known is false if b is too short to tell.
func priority(b []byte) (n int, known bool) {
	if len(b) == 0 {
		return 0, false
	}
	if b[0] != '<' {
		return 0, true
	}
	i := 1
	for i < len(b) && i < 4 && isDigit(b[i]) {
		i++
	}
	if i == len(b) {
		return 0, false
	}
	if i == 1 || b[i] != '>' {
		return 0, true
	}
	return i + 1, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// canBegin reports whether b, as far as it is there, can begin a message: a
// priority, a count, a date, a JSON object, or what stands between messages.
func canBegin(b []byte) bool {
	if len(b) == 0 || b[0] == '\n' || b[0] == '\r' || b[0] == 0 || b[0] == '{' {
		return true
	}
	if n, known := priority(b); n > 0 || !known {
		return true
	}
	if _, length, known := octetCount(b); length > 0 || !known {
		return true
	}
	if len(b) > 4 && b[4] == '-' && isDigit(b[0]) && isDigit(b[1]) && isDigit(b[2]) && isDigit(b[3]) {
		return true // 2026-11-23T08:16:36Z
	}
	i := bytes.Index([]byte("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec "), b[:min(len(b), 4)])
	return i >= 0 && i%4 == 0
}

// beginsInside reports whether a message seems to begin on a line inside b.
func beginsInside(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return false
		}
		b = b[i+1:]
		if n, _ := priority(b); n > 0 {
			return true
		}
		if _, length, _ := octetCount(b); length > 0 {
			return true
		}
	}
}

// nextCount returns the index of the first octet count in b that stands behind
// its first byte and is found by its priority at or after from; -1 if none.
func nextCount(b []byte, from int) int {
	for {
		i := bytes.Index(b[from:], []byte(" <"))
		if i < 0 {
			return -1
		}
		at := from + i
		from = at + 1
		start := at
		for start > 0 && at-start < 9 && isDigit(b[start-1]) {
			start--
		}
		for start < at && b[start] == '0' {
			start++
		}
		if start == 0 || start == at {
			continue
		}
		if _, length, _ := octetCount(b[start:]); length > 0 {
			return start
		}
	}
}
