package evtx

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Types of values ([MS-EVEN6] 2.2.12.5, winevt.h EVT_VARIANT_TYPE).
const (
	kindNull       = 0x00
	kindString     = 0x01
	kindANSI       = 0x02
	kindInt8       = 0x03
	kindUint8      = 0x04
	kindInt16      = 0x05
	kindUint16     = 0x06
	kindInt32      = 0x07
	kindUint32     = 0x08
	kindInt64      = 0x09
	kindUint64     = 0x0a
	kindFloat      = 0x0b
	kindDouble     = 0x0c
	kindBool       = 0x0d
	kindBinary     = 0x0e
	kindGUID       = 0x0f
	kindSize       = 0x10
	kindFileTime   = 0x11
	kindSystemTime = 0x12
	kindSID        = 0x13
	kindHex32      = 0x14
	kindHex64      = 0x15
	kindXML        = 0x21
	arrayBit       = 0x80
)

// appendValue writes a value as JSON. Numbers that the log shows as hexadecimal
// stay so, as text: rules ask for 0x1410.
func appendValue(dst []byte, kind uint8, b []byte) []byte {
	if kind&arrayBit != 0 {
		return appendArray(dst, kind&^arrayBit, b)
	}
	if kind == kindString {
		return appendUTF16(dst, b)
	}
	text := appendPlain(nil, kind, b)
	if isNumber(kind) && len(b) >= width(kind) {
		return append(dst, text...)
	}
	return appendString(dst, string(text))
}

func isNumber(kind uint8) bool { return kind >= kindInt8 && kind <= kindUint64 || kind == kindBool }

// appendPlain writes a value as text, as the event viewer shows it.
func appendPlain(dst []byte, kind uint8, b []byte) []byte {
	if w := width(kind); w > 0 && len(b) < w {
		return appendHex(dst, b)
	}
	le := binary.LittleEndian
	switch kind {
	case kindNull:
		return dst
	case kindString:
		return append(dst, decode(b)...)
	case kindANSI:
		for _, c := range b {
			if c == 0 {
				break
			}
			dst = utf8.AppendRune(dst, rune(c))
		}
		return dst
	case kindInt8:
		return strconv.AppendInt(dst, int64(int8(b[0])), 10) //nolint:gosec // the type says that it is signed
	case kindUint8:
		return strconv.AppendUint(dst, uint64(b[0]), 10)
	case kindInt16:
		return strconv.AppendInt(dst, int64(int16(le.Uint16(b))), 10) //nolint:gosec // as above
	case kindUint16:
		return strconv.AppendUint(dst, uint64(le.Uint16(b)), 10)
	case kindInt32:
		return strconv.AppendInt(dst, int64(int32(le.Uint32(b))), 10) //nolint:gosec // as above
	case kindUint32:
		return strconv.AppendUint(dst, uint64(le.Uint32(b)), 10)
	case kindInt64:
		return strconv.AppendInt(dst, int64(le.Uint64(b)), 10) //nolint:gosec // as above
	case kindUint64:
		return strconv.AppendUint(dst, le.Uint64(b), 10)
	case kindFloat:
		return strconv.AppendFloat(dst, float64(math.Float32frombits(le.Uint32(b))), 'g', -1, 32)
	case kindDouble:
		return strconv.AppendFloat(dst, math.Float64frombits(le.Uint64(b)), 'g', -1, 64)
	case kindBool:
		return strconv.AppendBool(dst, le.Uint32(b) != 0)
	case kindGUID:
		return fmt.Appendf(dst, "{%08X-%04X-%04X-%X-%X}", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
	case kindSize, kindHex32, kindHex64:
		n := uint64(le.Uint32(b))
		if len(b) >= 8 {
			n = le.Uint64(b)
		}
		return strconv.AppendUint(append(dst, "0x"...), n, 16)
	case kindFileTime:
		return fileTime(le.Uint64(b)).AppendFormat(dst, time.RFC3339Nano)
	case kindSystemTime:
		t := time.Date(int(le.Uint16(b)), time.Month(le.Uint16(b[2:])), int(le.Uint16(b[6:])), int(le.Uint16(b[8:])), int(le.Uint16(b[10:])), int(le.Uint16(b[12:])), int(le.Uint16(b[14:]))*1e6, time.UTC)
		return t.AppendFormat(dst, time.RFC3339Nano)
	case kindSID:
		return appendSID(dst, b)
	}
	return appendHex(dst, b) // binary, and what no document names
}

// width is the least number of bytes of a value.
func width(kind uint8) int {
	switch kind {
	case kindInt8, kindUint8:
		return 1
	case kindInt16, kindUint16:
		return 2
	case kindInt32, kindUint32, kindFloat, kindBool, kindSize, kindHex32:
		return 4
	case kindInt64, kindUint64, kindDouble, kindFileTime, kindHex64:
		return 8
	case kindGUID, kindSystemTime:
		return 16
	case kindSID:
		return 8
	}
	return 0
}

func appendHex(dst, b []byte) []byte {
	start := len(dst)
	dst = hex.AppendEncode(dst, b)
	for i := start; i < len(dst); i++ {
		if dst[i] >= 'a' {
			dst[i] -= 'a' - 'A'
		}
	}
	return dst
}

// appendSID writes a security identifier ([MS-DTYP] 2.4.2): S-1-5-18.
func appendSID(dst, b []byte) []byte {
	n := int(b[1])
	if len(b) < 8+4*n {
		return appendHex(dst, b)
	}
	authority := uint64(binary.BigEndian.Uint16(b[2:]))<<32 | uint64(binary.BigEndian.Uint32(b[4:]))
	dst = append(dst, "S-"...)
	dst = strconv.AppendUint(dst, uint64(b[0]), 10)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, authority, 10)
	for i := range n {
		dst = append(dst, '-')
		dst = strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(b[8+4*i:])), 10)
	}
	return dst
}

// appendArray writes an array: texts end with zero, all else has its width.
func appendArray(dst []byte, kind uint8, b []byte) []byte {
	if w := width(kind); w == 0 && kind != kindString || kind == kindSID || kind == kindSize {
		return appendString(dst, string(appendHex(nil, b)))
	}
	dst = append(dst, '[')
	for n := 0; len(b) > 0; n++ {
		if n > 0 {
			dst = append(dst, ',')
		}
		if kind != kindString {
			w := min(width(kind), len(b))
			dst = appendValue(dst, kind, b[:w])
			b = b[w:]
			continue
		}
		end := 0
		for end+1 < len(b) && (b[end] != 0 || b[end+1] != 0) {
			end += 2
		}
		dst = appendUTF16(dst, b[:end])
		b = b[min(end+2, len(b)):]
	}
	return append(dst, ']')
}

const hexDigits = "0123456789abcdef"

// appendUTF16 writes UTF-16 as a JSON string. A zero at the end is none of the text.
func appendUTF16(dst, b []byte) []byte {
	if n := len(b) &^ 1; n >= 2 && b[n-1] == 0 && b[n-2] == 0 {
		b = b[:n-2]
	}
	dst = append(dst, '"')
	for i := 0; i+1 < len(b); i += 2 {
		c := rune(binary.LittleEndian.Uint16(b[i:]))
		if utf16.IsSurrogate(c) {
			low := rune(0)
			if i+3 < len(b) {
				low = rune(binary.LittleEndian.Uint16(b[i+2:]))
			}
			if c = utf16.DecodeRune(c, low); c != utf8.RuneError {
				i += 2
			}
		}
		dst = appendRune(dst, c)
	}
	return append(dst, '"')
}

// appendString writes s as a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		dst = appendRune(dst, c)
	}
	return append(dst, '"')
}

func appendRune(dst []byte, c rune) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', byte(c))
	case c >= 0x20 && c < utf8.RuneSelf:
		return append(dst, byte(c))
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	case c < 0x20:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return utf8.AppendRune(dst, c)
}
