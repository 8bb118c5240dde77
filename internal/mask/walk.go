package mask

import "strings"

// maxDepth bounds nesting; what lies deeper is not looked at by key.
const maxDepth = 64

// A walker goes over the values of a JSON text, which may be cut or broken: it then
// ends where it does not understand.
type walker struct {
	text string
	at   int
	path []byte
	// leaf is told each value that holds no other: of a string the part between its
	// quotes.
	leaf func(path []byte, start, end int, str bool)
}

func (w *walker) space() {
	for w.at < len(w.text) && strings.IndexByte(" \t\r\n", w.text[w.at]) >= 0 {
		w.at++
	}
}

// str reads a string and tells where its inside is; false at the end of the text, up
// to which it then goes.
func (w *walker) str() (start, end int, whole bool) {
	w.at++
	start = w.at
	for w.at < len(w.text) {
		switch w.text[w.at] {
		case '\\':
			w.at++
		case '"':
			end = w.at
			w.at++
			return start, end, true
		}
		w.at++
	}
	w.at = len(w.text)
	return start, w.at, false
}

// value reads one value; false where the text ends or is no JSON.
func (w *walker) value(depth int) bool {
	w.space()
	if w.at >= len(w.text) || depth > maxDepth {
		return false
	}
	switch w.text[w.at] {
	case '{':
		return w.members('}', depth)
	case '[':
		return w.members(']', depth)
	case '"':
		start, end, whole := w.str()
		w.leaf(w.path, start, end, true)
		return whole
	}
	start := w.at
	for w.at < len(w.text) && strings.IndexByte(",]} \t\r\n:\"", w.text[w.at]) < 0 {
		w.at++
	}
	if w.at == start {
		return false
	}
	w.leaf(w.path, start, w.at, false)
	return true
}

func (w *walker) members(closing byte, depth int) bool {
	w.at++
	length := len(w.path)
	for {
		w.space()
		if w.at < len(w.text) && w.text[w.at] == closing {
			w.at++
			return true
		}
		if closing == '}' {
			if w.at >= len(w.text) || w.text[w.at] != '"' {
				return false
			}
			start, end, whole := w.str()
			w.space()
			if !whole || w.at >= len(w.text) || w.text[w.at] != ':' {
				return false
			}
			w.at++
			if length > 0 {
				w.path = append(w.path, '.')
			}
			w.path = append(w.path, unescape(w.text[start:end])...)
		}
		ok := w.value(depth + 1)
		w.path = w.path[:length]
		if !ok {
			return false
		}
		w.space()
		if w.at >= len(w.text) {
			return false
		}
		switch w.text[w.at] {
		case ',':
			w.at++
		case closing:
		default:
			return false
		}
	}
}
