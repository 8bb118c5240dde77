package victorialogs

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// mark is put behind values that the engine would change. A column is typed
// only if all its values parse, so nothing of a marked one is rewritten. It has
// two bytes because the engine takes "1\x01" for a number of two digits.
const mark = "\x01\x01"

// Mark returns how a value is stored: itself, or with a mark where the engine
// would rewrite it (what does not survive being parsed and printed), would take
// it for absent (empty), or where it ends like a mark.
func Mark(v string) string {
	if !marked(v) {
		return v
	}
	return v + mark
}

// Unmark returns the value that Mark was given.
func Unmark(stored string) string { return strings.TrimSuffix(stored, mark) }

func marked(v string) bool {
	n := len(v)
	if n == 0 || v[n-1] == mark[0] || v == "-0" {
		return true
	}
	if n < 3 || n > 40 || v[0] > '9' {
		return false
	}
	return lossy(v)
}

// lossy follows the engine's own parsing of version 1.43.1, which of numbers
// with two digits does not look at the second.
func lossy(v string) bool {
	dots, decimal := 0, true
	for i := range len(v) {
		switch c := v[i]; {
		case c == '.':
			dots++
		case c == '-' && i == 0:
		case c == '_':
		case c < '0' || c > '9':
			decimal = false
		}
	}
	switch {
	case dots == 3 && len(v) <= len("255.255.255.255") && v[0] >= '0':
		return !isIPv4(v)
	case dots == 1 && decimal:
		return lossyDecimal(v)
	case len(v) == len(timeLayout) && v[4] == '-' && v[10] == 'T':
		_, err := time.Parse(timeLayout, v)
		return err != nil
	}
	return false
}

const timeLayout = "2006-01-02T15:04:05.000Z"

func lossyDecimal(v string) bool {
	if strings.Contains(v, "_") {
		return true
	}
	s := strings.TrimPrefix(v, "-")
	whole, fraction, _ := strings.Cut(s, ".")
	w, err1 := strconv.ParseUint(whole, 10, 64)
	f, err2 := strconv.ParseUint(fraction, 10, 64)
	if err1 != nil || err2 != nil {
		return false // the engine does not parse these either
	}
	x := math.FMA(float64(f), math.Pow10(-len(fraction)), float64(w)) // the engine's formula
	if s != v {
		x = -x
	}
	var buf [64]byte
	return string(strconv.AppendFloat(buf[:0], x, 'f', -1, 64)) != v
}

// isIPv4 tells whether v is an address as it is printed.
func isIPv4(v string) bool {
	digits, n, parts := 0, 0, 1
	for i := range len(v) {
		switch c := v[i]; {
		case c == '.' && digits > 0:
			digits, n = 0, 0
			parts++
		case c >= '0' && c <= '9' && (digits == 0 || n > 0):
			digits++
			if n = 10*n + int(c-'0'); n > 255 {
				return false
			}
		default:
			return false
		}
	}
	return parts == 4 && digits > 0
}

// isInteger tells whether v is an integer as the engine prints it, small enough
// to be exact in comparisons.
func isInteger(v string) bool {
	digits := v
	if len(v) > 0 && v[0] == '-' {
		digits = v[1:]
	}
	if n := len(digits); n == 0 || n > 15 || digits[0] == '0' && (n > 1 || len(v) > 1) {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

// Lists: see the package comment.
const (
	listMark   = '\x02'
	escapeMark = '\x03'
)

// appendElement adds one element; the list's last needs a closing listMark.
func appendElement(dst []byte, v string) []byte {
	dst = append(dst, listMark)
	for i := range len(v) {
		switch v[i] {
		case listMark:
			dst = append(dst, escapeMark, '\x04')
		case escapeMark:
			dst = append(dst, escapeMark, '\x05')
		default:
			dst = append(dst, v[i])
		}
	}
	return dst
}

var unescape = strings.NewReplacer("\x03\x04", "\x02", "\x03\x05", "\x03")

// splitList returns the elements of a list.
func splitList(list string) []string {
	list = strings.TrimPrefix(list, string(listMark))
	list = strings.TrimSuffix(list, string(listMark))
	parts := strings.Split(list, string(listMark))
	if strings.ContainsRune(list, escapeMark) {
		for i := range parts {
			parts[i] = unescape.Replace(parts[i])
		}
	}
	return parts
}
