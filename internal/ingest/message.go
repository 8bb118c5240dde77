package ingest

import (
	"errors"
	"io"
	"iter"
	"math"
	"time"
	"unicode/utf8"

	"github.com/VictoriaMetrics/easyproto"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

const (
	// maxMessage bounds a body that can only be read whole, packed and unpacked. It
	// is what an OpenTelemetry collector takes when it is not told otherwise.
	maxMessage = 20 << 20

	// maxSpread bounds the records made of one message: what a message says once
	// for many records is written into each of them.
	maxSpread = 512 << 20

	// maxNesting bounds how deep the values of a message are.
	maxNesting = 32
)

var (
	errLongMessage = fault.New(fault.TooLarge, "the body is larger than %d bytes, decompressed: send smaller batches", maxMessage)
	errSpread      = fault.New(fault.TooLarge, "the records of the body take more than %d bytes with what it says of all of them: send smaller batches", maxSpread)
	errWire        = errors.New("broken protobuf")
)

// readMessage reads a body whole.
func readMessage(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(&bounded{body, maxMessage})
	if errors.Is(err, errTooLarge) {
		err = errLongMessage
	}
	return text, err
}

// fields gives the fields of a protobuf message in the order of the wire.
func fields(message []byte) iter.Seq2[*easyproto.FieldContext, error] {
	return func(yield func(*easyproto.FieldContext, error) bool) {
		var f easyproto.FieldContext
		for len(message) > 0 {
			rest, err := f.NextField(message)
			if err != nil {
				yield(&f, errWire)
				return
			}
			if message = rest; !yield(&f, nil) {
				return
			}
		}
	}
}

// fit builds a record around text, cut where the record would be too long.
func fit(dst []byte, text string, build func(dst []byte, text string) []byte) (record []byte, cut bool) {
	record = build(dst[:0], text)
	if over := len(record) - framing.MaxRecord; over > 0 && len(text) > 0 {
		// A byte of the text is a byte of the record at least.
		return build(record[:0], clip(text, len(text)-over)), true
	}
	return record, false
}

// clip cuts s to n bytes at most, between two characters.
func clip(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if n >= len(s) {
		return s
	}
	for back := 0; back < utf8.UTFMax && n > 0 && !utf8.RuneStart(s[n]); back++ {
		n--
	}
	return s[:n]
}

// appendTime appends a member with a time; nothing for one that no calendar has.
func appendTime(dst []byte, name string, t time.Time) []byte {
	if y := t.UTC().Year(); t.IsZero() || y < 1 || y > 9999 {
		return dst
	}
	dst = append(append(append(dst, '"'), name...), `":"`...)
	return append(t.UTC().AppendFormat(dst, time.RFC3339Nano), `",`...)
}

// nanoTime is the time of nanoseconds since 1970; the zero time for none.
func nanoTime(n uint64) time.Time {
	if n == 0 || n > math.MaxInt64 {
		return time.Time{}
	}
	return time.Unix(0, int64(n))
}
