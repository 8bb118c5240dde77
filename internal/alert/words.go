package alert

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Search is literal: what is asked for must stand in title or description, in any
// case. Words only narrow down where to look: a text can contain what is asked for
// only if it has certain words. Which, the vocabulary tells: it holds every word of
// the tenant's texts once, in memory, and finds those that contain a string at the
// speed of bytes.Index. Then the index of words finds the few texts to look into.

// separator stands between title and description.
const separator = "\x1f"

func fold(title, description string) string {
	return strings.ToLower(title) + separator + strings.ToLower(description)
}

func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(",;()[]{}<>\"'|=", r)
}

// indexed tells whether a word is kept in the index. Plain numbers are not: counts
// change with every growth, and would fill the vocabulary.
func indexed(word string) bool {
	return len(word) <= maxWord && strings.TrimLeft(word, "0123456789") != ""
}

// Longer words are represented by longWord, which is in capitals and so in no
// folded text or query: a text that has one is looked into whatever is asked for.
const (
	maxWord  = 128
	longWord = "LONG"
)

// wordsOf returns the distinct words of a folded text that are kept in the index.
func wordsOf(folded string) []string {
	var words []string
	for word := range strings.FieldsFuncSeq(folded, isSeparator) {
		switch {
		case len(word) > maxWord:
			words = append(words, longWord)
		case indexed(word):
			words = append(words, word)
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// A vocabulary holds words by number, from 1 without gaps. Words only ever come.
// It is a value: extend leaves older copies usable.
type vocabulary struct {
	text  []byte // "\n" word "\n" word "\n" …
	start []int  // of word n at text[start[n-1]:]
}

func (v *vocabulary) len() int { return len(v.start) }

func (v *vocabulary) extend(words []string) {
	if len(v.text) == 0 {
		v.text = append(v.text, '\n')
	}
	for _, word := range words {
		v.start = append(v.start, len(v.text))
		v.text = append(append(v.text, word...), '\n')
	}
}

// find returns the numbers of up to limit words that have part where anchors say:
// "\n" before or after it anchors it to the word's begin or end. ok is false where
// there are more.
func (v *vocabulary) find(part string, limit int) (numbers []int64, ok bool) {
	needle := []byte(part)
	// A match may begin at the line break that ends the word before.
	shift := len(part) - len(strings.TrimPrefix(part, "\n"))
	for at := 0; ; {
		i := bytes.Index(v.text[at:], needle)
		if i < 0 {
			return numbers, true
		}
		at += i
		n, exact := slices.BinarySearch(v.start, at+shift)
		if exact {
			n++
		}
		if len(numbers) == limit {
			return numbers, false
		}
		numbers = append(numbers, int64(n))
		if n == len(v.start) {
			return numbers, true
		}
		at = v.start[n] - 1 // go on at the next word
	}
}

// A need is a list of words, by number, of which a text must have one.
type need []int64

// needs returns what words a text must have to contain the folded query. impossible
// tells that no text can; without needs the words tell nothing.
func (v *vocabulary) needs(query string, limit int) (needs []need, impossible bool) {
	long, _ := v.find("\n"+longWord+"\n", 1)
	for rest, begin := query, true; rest != ""; {
		end := strings.IndexFunc(rest, isSeparator)
		word, last := rest, end < 0
		if !last {
			word = rest[:end]
			_, size := utf8.DecodeRuneInString(rest[end:])
			rest = rest[end+size:]
		} else {
			rest = ""
		}
		part := word
		if !begin {
			part = "\n" + part
		}
		if !last {
			part += "\n"
		}
		begin = false
		// Words of digits may stand in texts without being in the vocabulary.
		if strings.TrimLeft(word, "0123456789") == "" {
			continue
		}
		found, ok := v.find(part, limit)
		if !ok {
			continue
		}
		found = append(found, long...)
		if len(found) == 0 {
			return nil, true
		}
		needs = append(needs, found)
	}
	return needs, false
}
