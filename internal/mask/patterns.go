package mask

import "strings"

func isDigit(c byte) bool  { return c-'0' <= 9 }
func isLetter(c byte) bool { return (c|0x20)-'a' <= 'z'-'a' }
func isAlnum(c byte) bool  { return isDigit(c) || isLetter(c) }
func isHex(c byte) bool    { return isDigit(c) || (c|0x20)-'a' <= 5 }

// isLocal is what the part of an e-mail address before @ is made of.
func isLocal(c byte) bool {
	switch c {
	case '.', '_', '+', '-', '\'', '~', '!', '#', '$', '^':
		return true
	}
	return isAlnum(c)
}

const maxLocal, maxDomain = 64, 253

// emails adds the e-mail addresses, with @ as it is or as %40.
func emails(edits []edit, s string, action Action) []edit {
	for _, at := range []string{"@", "%40"} {
		for from := 0; ; {
			i := strings.Index(s[from:], at)
			if i < 0 {
				break
			}
			i += from
			from = i + len(at)
			start := localStart(s, i)
			end := domainEnd(s, from)
			if start == i || end == from {
				continue
			}
			edits = append(edits, edit{start: start, end: end, kind: Email, action: action})
			from = end
		}
	}
	return edits
}

// localStart tells where the local part that ends at i begins.
func localStart(s string, i int) int {
	start := i
	for start > 0 && i-start < maxLocal && isLocal(s[start-1]) {
		start--
	}
	start = afterEscape(s, start, i)
	for start < i && (s[start] == '.' || s[start] == '\'' || s[start] == '-') { // of the text around
		start++
	}
	return start
}

// afterEscape moves start behind what an escape of JSON or of an URL before it takes:
// the n of \n is no letter of an address, and asterisks there would be no JSON.
func afterEscape(s string, start, end int) int {
	skip := 0
	switch {
	case start > 0 && s[start-1] == '%' && start+1 < end && isHex(s[start]) && isHex(s[start+1]):
		skip = 2
	case start > 0 && s[start-1] == '\\' && oddSlashes(s[:start]) && strings.IndexByte(s, '"') >= 0:
		skip = 1
		if start < len(s) && s[start] == 'u' {
			skip = 5
		}
	}
	return min(start+skip, end)
}

func oddSlashes(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// domainEnd tells where the domain that begins at i ends, i if there is none: labels
// of letters, digits and hyphens, the last one of two letters or more.
func domainEnd(s string, i int) int {
	end, label := i, i
	for j := i; j <= len(s) && j-i <= maxDomain; j++ {
		if j < len(s) && (isAlnum(s[j]) || s[j] == '-' && j > label) {
			continue
		}
		if j == label { // an empty label: the text around has a dot too
			break
		}
		if label > i && letters(s[label:j]) {
			end = j
		}
		if j == len(s) || s[j] != '.' {
			break
		}
		label = j + 1
	}
	return end
}

// letters tells whether s may be a top-level domain.
func letters(s string) bool {
	if len(s) < 2 || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		if !isLetter(s[i]) {
			return strings.HasPrefix(s, "xn--")
		}
	}
	return true
}
