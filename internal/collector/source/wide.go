package source

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// byteOrder reads the byte order mark of UTF-16 off the beginning of a file, nil where
// there is none: Windows programs write so.
func byteOrder(head []byte) binary.ByteOrder {
	switch {
	case len(head) < 2:
	case head[0] == 0xff && head[1] == 0xfe:
		return binary.LittleEndian
	case head[0] == 0xfe && head[1] == 0xff:
		return binary.BigEndian
	}
	return nil
}

func byteOrderOf(file io.ReaderAt) (binary.ByteOrder, error) {
	head := make([]byte, 2)
	n, err := file.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return byteOrder(head[:n]), err
}

// takeWide cuts UTF-16: it is cut as UTF-8, and what was used is counted back, as each
// character has its own number of bytes in either.
func (c *cutter) takeWide(b []byte, rest, last bool) cutting {
	text := decodeWide(b, c.order, last)
	out := c.takeBytes(text, rest, last)
	units := 0
	for used := text[:out.used]; len(used) > 0; {
		r, size := utf8.DecodeRune(used)
		used = used[size:]
		units += utf16.RuneLen(r)
	}
	out.used = 2 * units
	if len(out.records) > 0 { // the mark itself
		if out.records[0] = strings.TrimPrefix(out.records[0], "\ufeff"); out.records[0] == "" {
			out.records = slices.Delete(out.records, 0, 1)
			for i := range out.cut {
				out.cut[i]--
			}
		}
	}
	return out
}

// decodeWide leaves half a character at the end out, unless nothing follows it.
func decodeWide(b []byte, order binary.ByteOrder, last bool) []byte {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	if n := len(units); n > 0 && !last && units[n-1] >= 0xd800 && units[n-1] < 0xdc00 {
		units = units[:n-1]
	}
	text := make([]byte, 0, len(units)+len(units)/8)
	for _, r := range utf16.Decode(units) {
		text = utf8.AppendRune(text, r)
	}
	return text
}
