package sigma

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// fold returns s in the form in which text is compared without case: each rune
// in lower case, each byte that is no UTF-8 as it is. Rules and values go
// through this one function, so that they always agree.
func fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return string(appendFold(nil, s))
		}
	}
	return s
}

const (
	highBits = 0x8080808080808080
	ones     = 0x0101010101010101
)

// appendFold appends fold(s) to dst, eight bytes at a time where s is ASCII.
func appendFold(dst []byte, s string) []byte {
	for s != "" {
		n := asciiPrefix(s)
		start := len(dst)
		dst = append(dst, s[:n]...)
		foldASCII(dst[start:])
		s = s[n:]
		n = 0
		for n < len(s) && s[n] >= utf8.RuneSelf {
			r, width := utf8.DecodeRuneInString(s[n:])
			if r == utf8.RuneError && width == 1 {
				dst = append(dst, s[n])
			} else {
				dst = utf8.AppendRune(dst, unicode.ToLower(r))
			}
			n += width
		}
		s = s[n:]
	}
	return dst
}

// asciiPrefix returns how many bytes s has before its first that is not ASCII.
func asciiPrefix(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		if w&highBits != 0 {
			break
		}
	}
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	return i
}

func foldASCII(b []byte) {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		// The high bit of each byte of (w + 0x80-'A') tells bytes from 'A' on, that
		// of (w + 0x7f-'Z') bytes after 'Z'; what lies between gets 0x20 added.
		upper := (w + ones*(0x80-'A')) &^ (w + ones*(0x80-'Z'-1)) & highBits
		binary.LittleEndian.PutUint64(b[i:], w|upper>>2)
	}
	for ; i < len(b); i++ {
		if c := b[i]; 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// clip cuts a value to what is looked at.
func clip(s string) string {
	if len(s) > MaxValue {
		return s[:MaxValue]
	}
	return s
}
