package mask

import (
	"encoding/hex"
	"strings"
)

// A secret is the value of a named field that a parser read otherwise than it stands.
type secret struct {
	value  string
	action Action
}

func isKeyByte(c byte) bool {
	switch c {
	case '_', '.', '-', '@':
		return true
	}
	return isAlnum(c)
}

// looksJSON tells whether there is a JSON object or array: at the beginning, or behind
// a header.
func looksJSON(record string) bool { return jsonStart(record) >= 0 }

// jsonStart is where the JSON of a record begins, or -1.
func jsonStart(record string) int {
	text := strings.TrimLeft(record, " \t\r\n\uFEFF")
	if text == "" {
		return -1
	}
	if text[0] == '{' || text[0] == '[' && len(text) > 1 && strings.IndexByte("{[\"-0123456789 \t\r\n", text[1]) >= 0 {
		return len(record) - len(text)
	}
	if i := strings.Index(record, `{"`); i >= 0 {
		return i
	}
	return -1
}

// keys adds the values of the keys that stand in the record.
func (s *Set) keys(edits []edit, record string) []edit {
	if at := jsonStart(record); at >= 0 {
		w := walker{text: record, at: at, leaf: func(path []byte, start, end int, str bool) {
			if a := s.actionOf(string(path)); a != "" && end > start && (str || record[start:end] != "null") {
				edits = append(edits, edit{start: start, end: end, kind: Field, action: a, bare: !str})
			}
		}}
		w.value(0)
	}
	return s.pairs(edits, record)
}

// pairs adds the values of key=value, as it stands alone and in CEF and LEEF.
func (s *Set) pairs(edits []edit, r string) []edit {
	form := formOf(r)
	for i := strings.IndexByte(r, '='); i >= 0 && i < len(r); {
		key := i
		for key > 0 && isKeyByte(r[key-1]) && i-key < maxFieldLen {
			key--
		}
		next := i + 1
		if key = afterEscape(r, key, i); key < i {
			if a := s.actionOf(strings.Trim(r[key:i], ".-")); a != "" {
				start, end := form.value(r, i+1)
				if end > start {
					edits = append(edits, edit{start: start, end: end, kind: Field, action: a})
					next = end
				}
			}
		}
		more := strings.IndexByte(r[next:], '=')
		if more < 0 {
			break
		}
		i = next + more
	}
	return edits
}

// A form is how pairs end.
type form struct {
	cef   bool
	delim string // of LEEF; "" for another form
	json  bool   // within strings of JSON
}

func formOf(r string) form {
	f := form{json: looksJSON(r)}
	if i := strings.Index(r, "CEF:"); i >= 0 && strings.Count(r[i:], "|") >= 7 {
		f.cef = true
	} else if i := strings.Index(r, "LEEF:"); i >= 0 {
		f.delim = "\t"
		if parts := strings.SplitN(r[i:], "|", 7); strings.HasPrefix(r[i:], "LEEF:2") && len(parts) == 7 {
			d := parts[5]
			switch code, isHex := strings.CutPrefix(strings.ToLower(d), "0x"); {
			case isHex, strings.HasPrefix(d, "x"):
				if b, err := hex.DecodeString(strings.TrimPrefix(code, "x")); err == nil && len(b) == 1 {
					f.delim = string(b)
				}
			case len(d) == 1:
				f.delim = d
			}
		}
	}
	return f
}

// value tells where the value at i stands, without its quotes.
func (f *form) value(r string, i int) (start, end int) {
	if f.cef {
		return i, f.cefEnd(r, i)
	}
	if f.delim != "" {
		return i, f.until(r, i, f.delim)
	}
	slashes := i
	for slashes < len(r) && r[slashes] == '\\' {
		slashes++
	}
	if slashes < len(r) && (r[slashes] == '"' && (!f.json || slashes > i) || r[slashes] == '\'') {
		return slashes + 1, closing(r, slashes+1, r[i:slashes+1])
	}
	if strings.HasPrefix(r[i:], removed) {
		return i, i
	}
	return i, f.until(r, i, " \t\r\n,;&\"'<>)]}|")
}

// closing tells where the string ends that quote opened: at the next that is escaped
// as much, or less.
func closing(r string, i int, quote string) int {
	q := quote[len(quote)-1]
	slashes := 0
	for ; i < len(r); i++ {
		switch r[i] {
		case '\\':
			slashes++
			continue
		case q:
			if slashes <= len(quote)-1 || len(quote) == 1 && slashes%2 == 0 {
				return i - slashes
			}
		case '\n':
			return i
		}
		slashes = 0
	}
	return len(r)
}

// until tells where one of the bytes of stop stands. In strings of JSON their end and
// escaped control characters stop too.
func (f *form) until(r string, i int, stop string) int {
	for ; i < len(r); i++ {
		if f.json && r[i] == '\\' {
			if i+1 == len(r) || strings.IndexByte(`ntrbfu"`, r[i+1]) >= 0 {
				return i
			}
			i++
			continue
		}
		if f.json && r[i] == '"' || strings.IndexByte(stop, r[i]) >= 0 {
			return i
		}
	}
	return min(i, len(r))
}

// cefEnd tells where a value of a CEF extension ends: before the blank that stands
// before the next key, at the end of the line otherwise.
func (f *form) cefEnd(r string, i int) int {
	word := i // where the last word began
	j := i
	for ; j < len(r) && r[j] != '\n' && r[j] != '\r'; j++ {
		switch c := r[j]; {
		case c == '\\':
			if f.json && j+1 < len(r) && r[j+1] == '"' {
				return i + len(strings.TrimRight(r[i:j], " "))
			}
			j++
		case c == '"' && f.json:
			return i + len(strings.TrimRight(r[i:j], " "))
		case c == ' ':
			word = j + 1
		case c == '=' && word > i && word < j && keyed(r[word:j]):
			return i + len(strings.TrimRight(r[i:word], " "))
		}
	}
	j = min(j, len(r))
	return i + len(strings.TrimRight(r[i:j], " "))
}

func keyed(s string) bool {
	for k := range len(s) {
		if !isKeyByte(s[k]) {
			return false
		}
	}
	return true
}

// seek adds a value that a parser read otherwise than it stands: decoded, or in
// another case.
func (s *Set) seek(edits []edit, record string, h secret) []edit {
	if at := jsonStart(record); at >= 0 {
		before := len(edits)
		w := walker{text: record, at: at, leaf: func(_ []byte, start, end int, str bool) {
			if text := record[start:end]; text == h.value || str && unescape(text) == h.value {
				edits = append(edits, edit{start: start, end: end, kind: Field, action: h.action, bare: !str})
			}
		}}
		w.value(0)
		if len(edits) > before {
			return edits
		}
	}
	before := len(edits)
	for _, text := range []string{h.value, hex.EncodeToString([]byte(h.value))} {
		edits = s.words(edits, record, text, h)
		if len(edits) > before {
			break
		}
	}
	return edits
}

// words adds every place where text stands, in any case, as words of their own.
func (s *Set) words(edits []edit, record, text string, h secret) []edit {
	for i := 0; i+len(text) <= len(record); i++ {
		if record[i]|0x20 != text[0]|0x20 || !strings.EqualFold(record[i:i+len(text)], text) {
			continue
		}
		end := i + len(text)
		if i > 0 && isAlnum(record[i-1]) || end < len(record) && (isAlnum(record[end]) || record[end] == '=') {
			continue
		}
		edits = append(edits, edit{start: i, end: end, kind: Field, action: h.action, plain: h.value})
		i = end - 1
	}
	return edits
}
