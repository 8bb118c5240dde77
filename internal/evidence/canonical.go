package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep lists and objects may lie in each other.
const maxDepth = 64

// Canonical returns the canonical form of JSON (RFC 8785): keys in the order of their
// UTF-16 code units, numbers as ECMAScript writes them, no space. A whole number that a
// double cannot hold becomes a text, as the RFC advises.
func Canonical(text []byte) ([]byte, error) {
	v, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	return appendCanonical(nil, v, 0)
}

// canonicalOf is Canonical of what v marshals to.
func canonicalOf(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Canonical(text)
}

func readJSON(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("canonical JSON: not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("canonical JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("canonical JSON: more than one value")
	}
	return v, nil
}

func appendCanonical(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("canonical JSON: more than %d levels", maxDepth)
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendText(b, v), nil
	case json.Number:
		return appendNumber(b, v)
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendCanonical(b, x, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.SortedFunc(maps.Keys(v), byUnits) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, key), ':')
			if b, err = appendCanonical(b, v[key], depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("canonical JSON: a %T is no value", v)
}

func byUnits(x, y string) int {
	return slices.Compare(utf16.Encode([]rune(x)), utf16.Encode([]rune(y)))
}

const digits = "0123456789abcdef"

func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\r':
			b = append(b, `\r`...)
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(b, '"')
}

func appendNumber(b []byte, n json.Number) ([]byte, error) {
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("canonical JSON: %s is no number that a double holds", n)
	}
	if f == 0 {
		return append(b, '0'), nil // and -0
	}
	if _, err := strconv.ParseInt(n.String(), 10, 64); (err == nil || errors.Is(err, strconv.ErrRange)) && math.Abs(f) > 1<<53 {
		return appendText(b, n.String()), nil
	}
	// encoding/json writes doubles as ECMAScript does.
	text, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	return append(b, text...), nil
}

// contentOf is the hash of a record's canonical JSON.
func contentOf(text []byte) []byte {
	sum := sha256.Sum256(text)
	return sum[:]
}

// chained is the hash of a record in a chain whose last hash is prev. It is of the
// record's own hash and not of its text, so that a place in the chain can be shown without
// showing what stands there.
func chained(prev, content []byte) []byte {
	h := sha256.New()
	h.Write(prev)
	h.Write(content)
	return h.Sum(nil)
}
