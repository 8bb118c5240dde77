package ingest

import (
	"bufio"
	"io"
	"slices"
	"strconv"

	"github.com/kyra-mdr/kyra/internal/framing"
)

// maxRELPFrame is the longest frame that is read to its end, to keep what fits
// into a record. A longer one is no syslog message.
const maxRELPFrame = 16 << 20

// A relpFrame is one command of a sender.
type relpFrame struct {
	txnr    string
	command string
	data    []byte // valid until the next frame is read
	cut     bool   // the sender's data was longer
}

// A relpFault is why a connection cannot go on; it is the reason that is counted.
type relpFault string

func (f relpFault) Error() string { return string(f) }

const (
	faultHeader relpFault = "header"       // not "number command length"
	faultLength relpFault = "frame_length" // longer than maxRELPFrame
	faultEnd    relpFault = "trailer"      // the data does not end where its length says
	faultMemory relpFault = "memory"       // all connections together hold too much
)

// A relpReader cuts a stream into frames: "number command length", then the data
// after a space if there is any, then LF.
type relpReader struct {
	r     *bufio.Reader
	data  []byte
	began func()              // a frame has begun
	room  func(size int) bool // whether the connection may hold size bytes of data
}

func (r *relpReader) next() (relpFrame, error) {
	if cap(r.data) > smallBuffer {
		r.data = nil // a long message came by: do not keep its memory
	}
	if _, err := r.r.Peek(1); err != nil {
		return relpFrame{}, err
	}
	r.began()
	txnr, _, err := r.word(9, false)
	if err != nil {
		return relpFrame{}, err
	}
	command, _, err := r.word(32, false)
	if err != nil {
		return relpFrame{}, err
	}
	digits, end, err := r.word(9, true)
	if err != nil {
		return relpFrame{}, err
	}
	length, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || !isNumber(txnr) || end == '\n' && length > 0 {
		return relpFrame{}, faultHeader
	}
	f := relpFrame{txnr: txnr, command: command}
	if end == '\n' {
		return f, nil
	}
	if length > maxRELPFrame {
		return f, faultLength
	}
	if err := r.take(&f, int(length)); err != nil {
		return f, err
	}
	last, err := r.r.ReadByte()
	switch {
	case err != nil:
		return f, midFrame(err)
	case last != '\n':
		return f, faultEnd
	}
	return f, nil
}

// word reads a word of at most limit bytes and what ends it: a space, or LF where
// the header may end.
func (r *relpReader) word(limit int, last bool) (word string, end byte, err error) {
	var buf [32]byte
	for n := 0; ; n++ {
		c, err := r.r.ReadByte()
		switch {
		case err != nil:
			return "", 0, midFrame(err)
		case n > 0 && (c == ' ' || last && c == '\n'):
			return string(buf[:n]), c, nil
		case n == limit, c <= ' ', c >= 0x7f:
			return "", 0, faultHeader
		}
		buf[n] = c
	}
}

// take reads the data. It takes memory as the data comes, not as its length says.
func (r *relpReader) take(f *relpFrame, length int) error {
	keep := min(length, framing.MaxRecord)
	r.data = r.data[:0]
	for len(r.data) < keep {
		step := min(keep-len(r.data), 32<<10)
		r.data = slices.Grow(r.data, step)
		if !r.room(cap(r.data)) {
			return faultMemory
		}
		n, err := io.ReadFull(r.r, r.data[len(r.data):len(r.data)+step])
		r.data = r.data[:len(r.data)+n]
		if err != nil {
			return midFrame(err)
		}
	}
	f.data, f.cut = r.data, length > keep
	_, err := r.r.Discard(length - keep)
	return midFrame(err)
}

// midFrame tells an end within a frame from one behind it.
func midFrame(err error) error {
	if err == io.EOF { //nolint:errorlint // readers return it bare
		return io.ErrUnexpectedEOF
	}
	return err
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
