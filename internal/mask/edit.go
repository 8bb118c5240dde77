package mask

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

const (
	removed   = "(removed)"
	hashMark  = "h:"
	hashDigit = 16
	// maxStars bounds the asterisks for a value, and what its length tells.
	maxStars = 32
)

// An edit replaces record[start:end].
type edit struct {
	start, end int
	kind       Kind
	action     Action
	bare       bool   // a JSON value without quotes: what replaces it needs them
	plain      string // what the text means, "" where that is to be seen from it
}

// done tells whether value was written by this package.
func done(value string) bool {
	if value == removed {
		return true
	}
	if rest, ok := strings.CutPrefix(value, hashMark); ok && len(rest) == hashDigit {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	// Asterisks, alone or around what Mask lets stand.
	return strings.HasPrefix(value, "***@") || value != "" && strings.Trim(value, "*") == "" ||
		strings.HasPrefix(value, "************") && len(value) <= 19 && strings.Trim(value, "*0123456789") == ""
}

// within tells where value stands in record, whose memory it may share.
func within(record, value string) (at int, ok bool) {
	a, b := uintptr(unsafe.Pointer(unsafe.StringData(record))), uintptr(unsafe.Pointer(unsafe.StringData(value)))
	if b < a || b-a > uintptr(len(record)) || int(b-a)+len(value) > len(record) {
		return 0, false
	}
	return int(b - a), true
}

// write makes the record that edits lead to. Of edits that overlap one is left, over
// all that they cover.
func (s *Set) write(record string, edits []edit, found *Found) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Or(a.start-b.start, b.end-a.end) })
	n := 0
	for _, e := range edits {
		if n > 0 && e.start < edits[n-1].end {
			last := &edits[n-1]
			last.end = max(last.end, e.end)
			continue
		}
		edits[n] = e
		n++
	}
	out := make([]byte, 0, len(record)+64)
	from := 0
	syntax := syntax{text: record, json: looksJSON(record)}
	for _, e := range edits[:n] {
		start, quote := e.start, `"`
		if !e.bare {
			start, quote = syntax.bare(e.start, e.end)
		}
		if start < from {
			start = from
		}
		text := record[e.start:e.end]
		if done(text) {
			continue
		}
		out = append(out, record[from:start]...)
		out = append(out, quote...)
		plain := e.plain
		if plain == "" {
			plain = text
			if syntax.json {
				plain = unescape(text)
			}
		}
		out = s.replace(out, text, plain, e.kind, e.action)
		out = append(out, quote...)
		from = e.end
		found.By[e.kind]++
	}
	return string(append(out, record[from:]...))
}

// replace appends what stands for text, which means plain.
func (s *Set) replace(dst []byte, text, plain string, kind Kind, action Action) []byte {
	if kind == Field {
		if kind = kindOf(plain); kind != Field {
			text = plain
		}
	}
	switch action {
	case Remove:
		return append(dst, removed...)
	case Hash:
		mac := hmac.New(sha256.New, s.key)
		mac.Write([]byte(canonical(plain, kind)))
		var sum [sha256.Size]byte
		return hex.AppendEncode(append(dst, hashMark...), mac.Sum(sum[:0])[:hashDigit/2])
	}
	switch kind {
	case Email:
		if at := strings.LastIndexByte(text, '@'); at >= 0 {
			return append(append(dst, "***"...), text[at:]...)
		}
		return append(append(dst, "***"...), text[strings.LastIndex(text, "%40"):]...)
	case Card:
		return lastFour(dst, text)
	case ResidentNumber:
		if len(text) == 14 {
			return append(dst, "******-*******"...)
		}
		return append(dst, "*************"...)
	case Phone:
		digits := onlyDigits(text)
		return append(append(dst, "***-****-"...), digits[len(digits)-4:]...)
	}
	for range min(max(utf8.RuneCountInString(plain), 1), maxStars) {
		dst = append(dst, '*')
	}
	return dst
}

// lastFour appends a card number whose digits but the last four are asterisks.
func lastFour(dst []byte, card string) []byte {
	left := len(onlyDigits(card)) - 4
	for i := range len(card) {
		if isDigit(card[i]) && left > 0 {
			left--
			dst = append(dst, '*')
			continue
		}
		dst = append(dst, card[i])
	}
	return dst
}

// canonical is the one spelling of a value: the hash of a card is the same with blanks
// and without.
func canonical(value string, kind Kind) string {
	switch kind {
	case Email:
		return strings.ToLower(strings.Replace(value, "%40", "@", 1))
	case Card, ResidentNumber:
		return onlyDigits(value)
	case Phone:
		digits := onlyDigits(value)
		if rest, ok := strings.CutPrefix(digits, "82"); ok {
			return "0" + strings.TrimPrefix(rest, "0")
		}
		return digits
	}
	return value
}

// kindOf tells what the whole of value is.
func kindOf(value string) Kind {
	all := Set{patterns: [patterns]Action{Mask, Mask, Mask, Mask}}
	var few [4]edit
	for _, e := range all.look(few[:0], value) {
		if e.start == 0 && e.end == len(value) {
			return e.kind
		}
	}
	return Field
}

func onlyDigits(s string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, s)
}

// unescape reads text as the inside of a JSON string; what is none stays.
func unescape(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var plain string
	if json.Unmarshal([]byte(`"`+text+`"`), &plain) != nil {
		return text
	}
	return plain
}

// A syntax knows how values stand in a record. It is asked from left to right.
type syntax struct {
	text   string
	json   bool
	read   int  // up to where strings have been told apart
	inside bool // whether that is within one
}

// bare tells whether the value at start is one of JSON that stands without quotes, and
// the quotes that its replacement needs: those of its key, so that JSON within a
// string of JSON is understood too. A sign before a number belongs to the value.
func (x *syntax) bare(start, end int) (from int, quote string) {
	from = start
	if from > 0 && x.text[from-1] == '-' && isDigit(x.text[start]) {
		from--
	}
	before := strings.TrimRight(x.text[:from], " \t\r\n")
	if before == "" {
		return start, ""
	}
	if key, isKey := strings.CutSuffix(before, ":"); isKey {
		body, quoted := strings.CutSuffix(strings.TrimRight(key, " \t\r\n"), `"`)
		if !quoted {
			return start, ""
		}
		slashes := len(body) - len(strings.TrimRight(body, `\`))
		if slashes%2 == 0 { // content before a quote that ends a string
			slashes = 0
		}
		return from, strings.Repeat(`\`, slashes) + `"`
	}
	if c := before[len(before)-1]; !x.json || c != '[' && c != ',' {
		return start, ""
	}
	after := strings.TrimLeft(x.text[end:], " \t\r\n")
	if after == "" || after[0] != ',' && after[0] != ']' || x.inString(from) {
		return start, ""
	}
	return from, `"`
}

// inString tells whether position i lies within a string of JSON.
func (x *syntax) inString(i int) bool {
	for ; x.read < i; x.read++ {
		switch x.text[x.read] {
		case '\\':
			x.read++
		case '"':
			x.inside = !x.inside
		}
	}
	return x.inside
}
