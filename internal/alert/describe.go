package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// describe fills a template in: {count} with the number of events, {field} with
// the values of that field, {field:one|many} or {count:one|many} with the word that
// agrees with their number. What has no value reads "unknown".
func describe(template string, count int64, values map[string][]string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "{")
		b.WriteString(before)
		if !ok {
			break
		}
		name, after, ok := strings.Cut(rest, "}")
		name, words, agrees := strings.Cut(name, ":")
		one, many, both := strings.Cut(words, "|")
		n := int64(len(values[name]))
		if name == "count" {
			n = count
		}
		switch {
		case !ok || !isFieldName(name) || agrees && !both:
			b.WriteByte('{')
			template = rest
			continue
		case agrees && n > 1:
			b.WriteString(many)
		case agrees:
			b.WriteString(one)
		case name == "count":
			b.WriteString(strconv.FormatInt(count, 10))
		default:
			b.WriteString(enumerate(values[name]))
		}
		template = after
	}
	return clip(b.String(), maxText)
}

func isFieldName(s string) bool {
	for _, r := range s {
		if r != '_' && r != '.' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return s != ""
}

// enumerate names up to three values, and the number of the others.
func enumerate(values []string) string {
	show := func(i int) string { return clip(values[i], maxValueShown) }
	switch len(values) {
	case 0:
		return "unknown"
	case 1:
		return show(0)
	case 2:
		return show(0) + " and " + show(1)
	case 3:
		return show(0) + ", " + show(1) + " and " + show(2)
	default:
		return show(0) + ", " + show(1) + " and " + strconv.Itoa(len(values)-2) + " more"
	}
}

// clean makes s storable in both databases and fit for one line: valid UTF-8
// without control characters.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexFunc(s, unicode.IsControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// clip cuts s to at most n characters, the last then an ellipsis.
func clip(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n--; n == 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// bound makes s fit into an index of both databases: what is longer than 512
// bytes keeps its beginning and is told apart by its hash.
func bound(s string) string {
	const limit, keep = 512, 400
	if len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:keep], "") + "#" + hex.EncodeToString(sum[:])
}

// cleanNote is clean for texts of several lines.
func cleanNote(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
