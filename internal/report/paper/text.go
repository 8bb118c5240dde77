package paper

import (
	"strings"
	"unicode"

	"github.com/kyra-mdr/kyra/internal/report/font"
)

// face is one of the two weights, with the widths of its characters.
type face struct {
	style  string // as the PDF library names it
	widths [1 << 16]uint16
}

// size is a way to set text.
type size struct {
	bold  bool
	small bool // may break anywhere: hashes
	pt    float64
	ink   colour
}

const mmPerPoint = 25.4 / 72

// width is that of s in millimetres.
func (p *printer) width(s string, z size) float64 {
	f := p.face(z)
	n := 0
	for _, r := range s {
		if r > 0xffff {
			r = font.Missing
		}
		n += int(f.widths[r])
	}
	return float64(n) * z.pt * mmPerPoint / 1000
}

// wrap breaks a text into lines of at most the width. Korean stays together by word, and
// breaks between syllables where a word is longer than a line.
func (p *printer) wrap(text string, width float64, z size) []string {
	var out []string
	for line := range strings.SplitSeq(font.Fit(strings.TrimSpace(text)), "\n") {
		out = append(out, p.wrapLine(line, width, z)...)
	}
	return out
}

func (p *printer) wrapLine(line string, width float64, z size) []string {
	var out []string
	current := ""
	for word := range strings.FieldsSeq(line) {
		with := word
		if current != "" {
			with = current + " " + word
		}
		if p.width(with, z) <= width {
			current = with
			continue
		}
		if current != "" && p.width(word, z) <= width {
			out = append(out, current)
			current = word
			continue
		}
		// The word alone is too long.
		rest := with
		for p.width(rest, z) > width {
			at := p.cut(rest, width, z)
			out = append(out, strings.TrimRight(rest[:at], " "))
			rest = strings.TrimLeft(rest[at:], " ")
		}
		current = rest
	}
	return append(out, current)
}

// cut is where to break a text that is too long: after a mark where there is one in its
// second half, else before the character that does not fit.
func (p *printer) cut(s string, width float64, z size) int {
	at, good := 0, 0
	for i, r := range s {
		if i > 0 && p.width(s[:i]+string(r), z) > width {
			break
		}
		at = i + len(string(r))
		if !z.small && (r == ' ' || strings.ContainsRune("-/,;:&?=_@.", r) || !unicode.IsLetter(r) && !unicode.IsDigit(r)) {
			good = at
		}
	}
	if good > at/2 && good < len(s) {
		return good
	}
	return max(at, 1)
}
