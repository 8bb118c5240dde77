package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// checkJSON says where text is no JSON. What follows here walks text that is, without
// copying it: what a sender wrote into a value goes into the record byte by byte.
func checkJSON(text []byte) error {
	if json.Valid(text) {
		return nil
	}
	var raw json.RawMessage
	err := json.Unmarshal(text, &raw)
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fault.New(fault.Invalid, "it is no JSON from byte %d on: %s", s.Offset, s.Error()).In("body")
	}
	return fault.New(fault.Invalid, "it is no JSON").In("body")
}

// members gives the keys of a JSON object, as they are written and without quotes,
// and their values; nothing of any other value.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		i := skipSpace(object, 0)
		if i >= len(object) || object[i] != '{' {
			return
		}
		for i = skipSpace(object, i+1); i < len(object) && object[i] == '"'; {
			end := skipString(object, i)
			key := object[i+1 : max(i+1, end-1)]
			i = skipSpace(object, skipSpace(object, end)+1) // the colon
			end = skipValue(object, i)
			if !yield(key, object[min(i, end):end]) {
				return
			}
			i = skipSpace(object, skipSpace(object, end)+1) // the comma or the brace
		}
	}
}

// elements gives the values of a JSON array with their numbers; nothing of any other
// value.
func elements(array []byte) iter.Seq2[int, []byte] {
	return func(yield func(n int, value []byte) bool) {
		i := skipSpace(array, 0)
		if i >= len(array) || array[i] != '[' {
			return
		}
		i = skipSpace(array, i+1)
		for n := 0; i < len(array) && array[i] != ']'; n++ {
			end := skipValue(array, i)
			if !yield(n, array[i:end]) {
				return
			}
			i = skipSpace(array, end)
			if i >= len(array) || array[i] != ',' {
				return
			}
			i = skipSpace(array, i+1)
		}
	}
}

// member is the value of an object's key; nil if it has none.
func member(object []byte, name string) []byte {
	var found []byte
	for key, value := range members(object) {
		if string(key) == name {
			found = value
		}
	}
	return found
}

// opens reports whether value begins with c, which tells its type.
func opens(value []byte, c byte) bool { return len(value) > 0 && value[0] == c }

// isNull reports whether value is null or not there.
func isNull(value []byte) bool { return len(value) == 0 || value[0] == 'n' }

// unquoted is a string without its quotes, any other scalar as it is.
func unquoted(value []byte) []byte {
	if len(value) >= 2 && value[0] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// decoded is the text of a JSON string.
func decoded(value []byte) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return string(unquoted(value))
	}
	return s
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return min(i, len(b))
}

// skipString returns the end of the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexAny(b[i:], `"\`)
		switch {
		case n < 0:
			return len(b)
		case b[i+n] == '"':
			return i + n + 1
		}
		i += n + 2
	}
	return len(b)
}

// skipValue returns the end of the value that begins at i.
func skipValue(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\r', '\t':
			i++
			continue
		default:
			for i < len(b) && bytes.IndexByte(scalarEnds, b[i]) < 0 {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return len(b)
}

var scalarEnds = []byte(",:]} \n\r\t")

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as a JSON string. Bytes that are no UTF-8 stay as they are:
// the parser keeps them beside what it shows of them.
func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
