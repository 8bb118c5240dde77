package sigma

import (
	"encoding/binary"
	"slices"
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
	dst = slices.Grow(dst, len(s)+8)
	for s != "" {
		n := len(dst)
		out := dst[n:cap(dst)]
		i := 0
		for i+8 <= len(s) && i+8 <= len(out) {
			w := load64(s, i)
			if w&highBits != 0 {
				break
			}
			binary.LittleEndian.PutUint64(out[i:], foldWord(w))
			i += 8
		}
		for i < len(s) && i < len(out) && s[i] < utf8.RuneSelf {
			out[i] = foldByte(s[i])
			i++
		}
		dst, s = dst[:n+i], s[i:]
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
		dst = slices.Grow(dst, len(s))
	}
	return dst
}

// foldWord folds the ASCII among eight bytes. Of the low seven bits b, the high
// bit of b + 0x80-'A' tells bytes from 'A' on, that of b + 0x7f-'Z' bytes after
// 'Z'; what lies between gets 0x20 added.
func foldWord(w uint64) uint64 {
	b := w &^ highBits
	upper := (b + ones*(0x80-'A')) &^ (b + ones*(0x80-'Z'-1)) &^ w & highBits
	return w | upper>>2
}

func foldByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// clip cuts a value to what is looked at.
func clip(s string) string {
	if len(s) > MaxValue {
		return s[:MaxValue]
	}
	return s
}
