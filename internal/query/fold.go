package query

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hasCase tells whether s has other spellings that are equal with case ignored.
func hasCase(s string) bool {
	for _, r := range s {
		if unicode.SimpleFold(r) != r || r == 'İ' {
			return true
		}
	}
	return false
}

// HasCase tells whether there are other texts that equal s when case is ignored.
func HasCase(s string) bool { return hasCase(s) }

// FoldPattern returns a regular expression for all texts that equal s when case
// is ignored. It does not use the (?i) flag, whose folding differs (ſ is s there).
func FoldPattern(s string) string {
	var b strings.Builder
	for _, r := range s {
		low := unicode.ToLower(r)
		class := []rune{}
		for f := unicode.SimpleFold(low); ; f = unicode.SimpleFold(f) {
			if unicode.ToLower(f) == low {
				class = append(class, f)
			}
			if f == low {
				break
			}
		}
		if low == 'i' {
			class = append(class, 'İ') // folds to itself, yet its lower case is i
		}
		switch {
		case len(class) > 1:
			b.WriteByte('[')
			for _, c := range class {
				b.WriteRune(c)
			}
			b.WriteByte(']')
		case len(class) == 1:
			b.WriteString(regexp.QuoteMeta(string(class)))
		default: // no text has a lower case that has a lower case itself
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return b.String()
}

// wordRune tells whether r is part of a word.
func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// borderRune tells whether a search text that begins or ends with r asks for
// the border of a word there: not in scripts that write words without blanks or
// glue endings to them.
func borderRune(r rune) bool {
	return wordRune(r) && (r < utf8.RuneSelf ||
		!unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar))
}

// Borders tells whether the search text s asks for the border of a word at its
// begin and at its end.
func Borders(s string) (begin, end bool) {
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && borderRune(first), s != "" && borderRune(last)
}

// neighbour tells whether r beside a word makes it part of a longer one. What is
// no character counts as one: nobody knows what it was.
func neighbour(r rune) bool { return r == utf8.RuneError || wordRune(r) }

const (
	borderBefore = `(?:^|[^\pL\p{Nd}_\x{FFFD}])`
	borderAfter  = `(?:$|[^\pL\p{Nd}_\x{FFFD}])`
)

// containsWords tells whether text has phrase, which is in lower case, within
// the borders that it asks for.
func containsWords(text, phrase string) bool {
	if phrase == "" {
		return true
	}
	begin, end := Borders(phrase)
	text = strings.ToLower(text)
	for from := 0; ; {
		i := strings.Index(text[from:], phrase)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(phrase):])
		if (!begin || i == 0 || !neighbour(before)) && (!end || i+len(phrase) == len(text) || !neighbour(after)) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		from = i + size
	}
}

// Pattern returns the regular expression for a text that contains c.Text.
func (c Contains) Pattern() string {
	begin, end := Borders(strings.ToLower(c.Text))
	p := FoldPattern(c.Text)
	if begin {
		p = borderBefore + p
	}
	if end {
		p += borderAfter
	}
	return p
}

// Pattern returns the regular expression for w: for a whole value, or for a
// text that contains it.
func (w Wildcard) Pattern() string {
	var b strings.Builder
	text := w.Field.Text()
	if !text {
		b.WriteString(`(?s)\A`)
	}
	for i, p := range w.Parts {
		edge := i == 0 || i == len(w.Parts)-1
		switch {
		case p.Kind == Any && text && edge:
		case p.Kind == Any && text:
			b.WriteString(`\S*`)
		case p.Kind == Any:
			b.WriteString(`.*`)
		case p.Kind == One && text:
			b.WriteString(`\S`)
		case p.Kind == One:
			b.WriteString(`.`)
		default:
			begin, end := Borders(strings.ToLower(p.Text))
			if text && begin && i == 0 {
				b.WriteString(borderBefore)
			}
			b.WriteString(FoldPattern(p.Text))
			if text && end && i == len(w.Parts)-1 {
				b.WriteString(borderAfter)
			}
		}
	}
	if !text {
		b.WriteString(`\z`)
	}
	return b.String()
}
