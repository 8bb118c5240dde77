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

// appendFold appends fold(s) to dst, eight bytes at a time while s is ASCII.
func appendFold(dst []byte, s string) []byte {
	start := len(dst)
	dst = append(dst, s...)
	b := dst[start:]
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if w&highBits != 0 {
			return appendFoldRunes(dst[:start+i], s[i:])
		}
		// The high bit of each byte of (w + 0x80-'A') tells bytes from 'A' on, that
		// of (w + 0x7f-'Z') bytes after 'Z'; what lies between gets 0x20 added.
		upper := (w + ones*(0x80-'A')) &^ (w + ones*(0x80-'Z'-1)) & highBits
		binary.LittleEndian.PutUint64(b[i:], w|upper>>2)
	}
	for ; i < len(b); i++ {
		c := b[i]
		if c >= utf8.RuneSelf {
			return appendFoldRunes(dst[:start+i], s[i:])
		}
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return dst
}

func appendFoldRunes(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		i += n
	}
	return dst
}

// clip cuts a value to what is looked at.
func clip(s string) string {
	if len(s) > MaxValue {
		return s[:MaxValue]
	}
	return s
}
