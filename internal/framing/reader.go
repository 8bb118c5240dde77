package framing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// MaxRecord is the longest record that is kept whole, in bytes. What is longer
// is cut there and marked.
const MaxRecord = 1 << 20

// LinesType is the content type of a body that is lines whatever it looks like,
// such as of a log that quotes JSON.
const LinesType = "application/vnd.kyra.lines"

const (
	readSize = 64 << 10

	// maxWasted bounds the bytes of one body that are read ahead in vain, looking
	// for the end of values that turn out to be broken. After that a value must
	// end on its line. It keeps hostile bodies linear.
	maxWasted = 4 << 20
)

// A Record is one framed input.
type Record struct {
	Text    []byte // exact bytes, valid until the next call
	Line    int    // line of the body on which it begins, from 1
	End     int64  // offset in the body just after it
	Cut     bool   // it was longer than the limit
	Value   bool   // it is one JSON value, as it came
	Problem string // "" or why it was not kept as the JSON it seems to be
	At      int    // byte of the record at which the problem is, from 1
}

// A Reader cuts a body or file into records. What begins with a JSON object, or
// with an array of objects, arrays or strings, is read as JSON values: one a
// line, one after the other, stretched over lines, or as elements of the array.
// Anything else is text, one record a line. Objects that wrap records, as clouds hand
// them out ({"Records":[…]}), are read as the records that they wrap.
//
// In JSON, a broken value is kept as text up to the end of its line, and reading
// goes on with the next line; a line that is no JSON is text too. Strings that
// are elements of the array are decoded, all other values keep their bytes.
// Blank lines and blank strings are skipped, carriage returns at the end of a line are dropped. A
// byte order mark is dropped, and UTF-16 is read if it begins with one.
type Reader struct {
	src     io.Reader
	limit   int
	err     error // what ended src
	buf     []byte
	pos     int   // buf[pos:] is not consumed yet
	off     int64 // offset of buf[pos] in the body
	line    int   // line of buf[pos]
	started bool
	lines   bool // see Lines
	blank   bool // nothing but blanks when started
	json    bool
	array   bool // inside the outermost array
	wraps   bool // that array is in an object that wraps records
	behind  bool // behind the records of such an object, inside of it
	valued  bool // a value ended on this line: a comma may follow
	torn    bool // the source failed inside the record at pos
	wasted  int  // see maxWasted
	scan    valueScanner
}

// UnclosedArray is returned in place of io.EOF, after all records, when the body
// ended inside its JSON array: it may have been cut short on the way.
var UnclosedArray = errors.New("the JSON array is not closed") //nolint:staticcheck // ST1012: reads well with its package, as fault's kinds do

// NewReader returns a Reader of the plain bytes of src.
func NewReader(src io.Reader) *Reader { return NewReaderLimit(src, MaxRecord) }

// NewReaderLimit is NewReader with another limit than MaxRecord.
func NewReaderLimit(src io.Reader, limit int) *Reader {
	return &Reader{src: src, limit: limit, line: 1}
}

// Lines makes every line a record as it is, JSON or not. Call it before Next.
func (r *Reader) Lines() { r.lines = true }

// Blank reports whether the body began with nothing but blanks. Ask it after the
// first call of Next.
func (r *Reader) Blank() bool { return r.blank }

// Offset is how far the body has been consumed, in bytes.
func (r *Reader) Offset() int64 { return r.off }

// Next returns the next record, and io.EOF after the last one. When the source
// ends with another error, the records that were complete before it come first,
// then the error; the torn one at the end is left out, and Offset stands before it.
func (r *Reader) Next() (Record, error) {
	if !r.started {
		if err := r.start(); err != nil {
			return Record{}, err
		}
	}
	for {
		var rec Record
		var ok bool
		if r.json {
			rec, ok = r.nextValue()
		} else {
			rec, ok = r.nextLine()
		}
		if ok {
			return rec, nil
		}
		if r.torn || r.pos == len(r.buf) && r.err != nil {
			return Record{}, r.end()
		}
	}
}

// end is what to say when nothing is left.
func (r *Reader) end() error {
	if r.array && errors.Is(r.err, io.EOF) {
		r.array, r.wraps = false, false
		return UnclosedArray
	}
	return r.err
}

// start looks at the first bytes and decides how to read the rest.
func (r *Reader) start() error {
	r.started = true
	for len(r.buf) < 3 && r.fill() {
	}
	switch {
	case r.lines:
	case bytes.HasPrefix(r.buf, []byte{0xef, 0xbb, 0xbf}):
		r.advance(3)
	case bytes.HasPrefix(r.buf, []byte{0xff, 0xfe}), bytes.HasPrefix(r.buf, []byte{0xfe, 0xff}):
		rest := r.src
		if r.err != nil {
			rest = failing{r.err}
		}
		whole := io.MultiReader(bytes.NewReader(bytes.Clone(r.buf)), rest)
		decoder := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
		r.src, r.err, r.buf = transform.NewReader(whole, decoder), nil, r.buf[:0]
	}
	c, i := r.peek(0, true)
	if i < 0 && !errors.Is(r.err, io.EOF) {
		return r.err
	}
	r.blank = i < 0
	r.json = !r.lines && (c == '{' || c == recordSeparator || c == '[' && r.opensArray(i))
	return nil
}

// A failing source has ended with an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// opensArray reports whether the bracket at index i (from pos) begins an array of
// records, and not a text line such as "[Sun Dec 04 …]" or "[  12.5] usb".
func (r *Reader) opensArray(i int) bool {
	c, _ := r.peek(i+1, true)
	return c == '{' || c == '[' || c == '"' || c == ']'
}

// peek returns the first byte at or after index i (from pos) that is not blank,
// and its index; -1 if there is none. It does not pass the end of a line unless
// told to, nor look further than a record may be long.
func (r *Reader) peek(i int, lines bool) (byte, int) {
	for {
		for ; r.pos+i < len(r.buf); i++ {
			c := r.buf[r.pos+i]
			if !isBlank(c) && (!lines || c != '\n') {
				return c, i
			}
		}
		if i > r.limit || !r.fill() {
			return 0, -1
		}
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// fill reads more of the source behind what is held. It reports false when the
// source has ended; what is held is kept.
func (r *Reader) fill() bool {
	if r.err != nil {
		return false
	}
	if r.pos > 0 && cap(r.buf)-len(r.buf) < readSize/2 {
		n := copy(r.buf, r.buf[r.pos:])
		r.buf, r.pos = r.buf[:n], 0
	}
	if cap(r.buf)-len(r.buf) < readSize/2 {
		grown := make([]byte, len(r.buf), max(2*cap(r.buf), 2*readSize))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 {
		n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		r.err = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	r.err = io.ErrNoProgress
	return false
}

func (r *Reader) advance(n int) {
	r.line += bytes.Count(r.buf[r.pos:r.pos+n], []byte{'\n'})
	r.pos += n
	r.off += int64(n)
}

// nextLine returns the line at pos. It reports false for a blank line and at the end.
func (r *Reader) nextLine() (Record, bool) {
	n := 0
	for {
		if i := bytes.IndexByte(r.buf[r.pos+n:], '\n'); i >= 0 {
			n += i
			return r.takeLine(n, 1)
		}
		n = len(r.buf) - r.pos
		if n > r.limit+1 { // one more, for a carriage return
			return r.takeLongLine()
		}
		if !r.fill() {
			if !errors.Is(r.err, io.EOF) {
				r.torn = true
				return Record{}, false
			}
			return r.takeLine(n, 0)
		}
	}
}

// takeLine consumes n bytes of line and its terminator.
func (r *Reader) takeLine(n, terminator int) (Record, bool) {
	text := bytes.TrimRight(r.buf[r.pos:r.pos+n], "\r")
	rec := Record{Text: text, Line: r.line}
	if len(text) > r.limit {
		rec.Text, rec.Cut = text[:r.limit], true
	}
	r.advance(n + terminator)
	r.valued = false
	rec.End = r.off - int64(terminator)
	return rec, !isBlankLine(text)
}

func isBlankLine(text []byte) bool { return len(bytes.TrimLeft(text, " \t\r\n\v\f")) == 0 }

// takeLongLine consumes a line that is over the limit, to its end. The source
// writes over what it skips, so the part that is kept is copied.
func (r *Reader) takeLongLine() (Record, bool) {
	rec := Record{Text: bytes.Clone(r.buf[r.pos : r.pos+r.limit]), Line: r.line, Cut: true}
	r.skipLine()
	rec.End = r.off
	return rec, true
}

// skipLine consumes up to the next line feed, which stays.
func (r *Reader) skipLine() {
	for {
		if i := bytes.IndexByte(r.buf[r.pos:], '\n'); i >= 0 {
			r.advance(i)
			return
		}
		r.advance(len(r.buf) - r.pos)
		if !r.fill() {
			return
		}
	}
}

// nextValue returns the JSON value or the line at pos. It reports false when it
// has consumed something that is no record.
func (r *Reader) nextValue() (Record, bool) {
	if r.behind {
		return r.tail()
	}
	c, i := r.peek(0, false)
	switch {
	case i < 0: // all that is held is blank
		r.advance(len(r.buf) - r.pos)
		return Record{}, false
	case c == '\n' || c == recordSeparator, c == ',' && (r.array || r.valued):
		r.valued = r.valued && c != '\n'
		r.advance(i + 1)
		return Record{}, false
	case c == ']' && r.array:
		r.array, r.behind, r.wraps = false, r.wraps, false
		r.advance(i + 1)
		return Record{}, false
	case c == '[' && !r.array && r.opensArray(i):
		first, j := r.peek(i+1, false)
		r.array = true
		if j < 0 || first == '\n' || first == ']' {
			r.advance(i + 1)
			return Record{}, false
		}
		return r.value(j) // if it is broken, the bracket belongs to the text
	case c == '{' && !r.array:
		if n := r.wrapped(i); n > 0 {
			r.array, r.wraps = true, true
			r.advance(n)
			return Record{}, false
		}
		return r.value(i)
	case c == '{' || r.array:
		return r.value(i)
	}
	return r.nextLine()
}

// recordSeparator begins each value of a JSON text sequence (RFC 7464).
const recordSeparator = 0x1e

// value returns the JSON value that begins lead bytes after pos, or the line
// from pos on if it is none.
func (r *Reader) value(lead int) (Record, bool) {
	r.scan.reset()
	n := lead
	for {
		window, line := r.buf[r.pos+n:], false
		if r.wasted > maxWasted {
			if i := bytes.IndexByte(window, '\n'); i >= 0 {
				window, line = window[:i+1], true
			}
		}
		k, v := r.scan.scan(window)
		n += k
		switch {
		case v == complete, v == unfinished && errors.Is(r.err, io.EOF) && r.scan.endsAtEOF():
			if !r.separated(n) {
				return r.broken(n, "more text follows the JSON value")
			}
			return r.takeValue(lead, n)
		case v == malformed || line:
			return r.broken(n, "invalid JSON")
		case n-lead > r.limit:
			return r.takeLongValue(lead), true
		case r.fill():
		case !errors.Is(r.err, io.EOF):
			r.torn = true
			return Record{}, false
		case !r.scan.endsAtEOF():
			return r.broken(n, "the JSON value has no end")
		}
	}
}

// separated reports whether what stands at index n can follow a value.
func (r *Reader) separated(n int) bool {
	c, i := r.peek(n, false)
	switch {
	case i < 0:
		return r.err != nil
	case c == '\n' || c == ',' || c == recordSeparator:
		return true
	case r.array:
		return c == ']' || c == '{'
	}
	return c == '{' || c == '['
}

func (r *Reader) takeValue(lead, n int) (Record, bool) {
	raw := r.buf[r.pos+lead : r.pos+n]
	rec := Record{Text: raw, Line: r.line, Value: true}
	if raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err == nil {
			rec.Text, rec.Value = []byte(text), false
		}
	}
	if len(rec.Text) > r.limit {
		rec.Text, rec.Cut, rec.Value = rec.Text[:r.limit], true, false
	}
	r.advance(n)
	r.valued = true
	rec.End = r.off
	return rec, rec.Value || !isBlankLine(rec.Text)
}

// takeLongValue consumes a value that is over the limit, to its end as far as
// its structure tells, else to the end of the line.
func (r *Reader) takeLongValue(lead int) Record {
	rec := Record{Text: bytes.Clone(r.buf[r.pos+lead : r.pos+lead+r.limit]), Line: r.line, Cut: true}
	r.advance(len(r.buf) - r.pos) // all of it was scanned
	for r.fill() {
		k, v := r.scan.scan(r.buf[r.pos:])
		r.advance(k)
		if v == complete {
			break
		}
		if v == malformed {
			r.skipLine()
			break
		}
	}
	rec.End = r.off
	return rec
}

// broken returns the line at pos as text, with what is wrong with it.
func (r *Reader) broken(n int, what string) (Record, bool) {
	if i := bytes.IndexByte(r.buf[r.pos:r.pos+n], '\n'); i >= 0 {
		r.wasted += n - i
	}
	rec, ok := r.nextLine()
	if ok {
		rec.Problem, rec.At = what, n+1
	}
	return rec, ok
}
