package wazuh

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

type patternKind int

const (
	osMatch patternKind = iota // OS_Match: literals, ^ $ | only
	osRegex                    // OS_Regex: its own small language
	pcre2
	network
)

// An item is one detection item of Sigma: field|modifiers: values. An empty field
// searches the whole event.
type item struct {
	field, modifiers string
	values           []string
}

// items returns what a test means: one of the items must hold.
func (t *test) items(field string) ([]item, error) {
	if t.list {
		modifier := "expand"
		if t.kind == network {
			modifier = "cidr|expand"
		}
		return []item{{field, modifier, []string{"%" + t.pattern + "%"}}}, nil
	}
	switch t.kind {
	case network:
		return networkItem(field, t.pattern)
	case pcre2:
		if _, err := regexp.Compile(t.pattern); err != nil {
			return nil, fmt.Errorf("the regular expression %q is not RE2: %w", t.pattern, err)
		}
		return []item{{field, "re", []string{t.pattern}}}, nil
	case osMatch:
		return literals(field, splitAlternatives(t.pattern), unescapeMatch), nil
	}
	alternatives := splitAlternatives(t.pattern)
	plain := true
	for _, a := range alternatives {
		plain = plain && isPlain(a)
	}
	if plain {
		return literals(field, alternatives, unescapeRegex), nil
	}
	var out []string
	for _, a := range alternatives {
		re, err := translate(a)
		if err != nil {
			return nil, err
		}
		out = append(out, re)
	}
	re := "(?i)" + strings.Join(out, "|")
	if re == `(?i).+` && field != "" {
		return []item{{field, "exists", []string{"true"}}}, nil
	}
	if _, err := regexp.Compile(re); err != nil {
		return nil, fmt.Errorf("the expression %q cannot be translated: %w", t.pattern, err)
	}
	return []item{{field, "re", []string{re}}}, nil
}

func networkItem(field, text string) ([]item, error) {
	var out []string
	for _, w := range words(text) {
		if strings.HasSuffix(w, ".") { // 10. and 192.168. are prefixes
			parts := strings.Count(w, ".")
			w = w + strings.TrimSuffix(strings.Repeat("0.", 4-parts), ".") + fmt.Sprintf("/%d", 8*parts)
		}
		if a, err := netip.ParseAddr(w); err == nil {
			w = netip.PrefixFrom(a, a.BitLen()).String()
		}
		if _, err := netip.ParsePrefix(w); err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network", w)
		}
		out = append(out, w)
	}
	if len(out) == 0 {
		return nil, errors.New("an address is missing")
	}
	return []item{{field, "cidr", out}}, nil
}

// splitAlternatives cuts at | that are not escaped. Empty ones, which come from
// patterns that are written over several lines, are left out.
func splitAlternatives(s string) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '|':
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	kept := out[:0]
	for _, a := range append(out, s[start:]) {
		if a != "" {
			kept = append(kept, a)
		}
	}
	return kept
}

// literals groups texts by where they must stand.
func literals(field string, alternatives []string, unescape func(string) string) []item {
	var where [4][]string // contains, startswith, endswith, equal
	for _, a := range alternatives {
		begins := strings.HasPrefix(a, "^")
		a = strings.TrimPrefix(a, "^")
		ends := strings.HasSuffix(a, "$") && !strings.HasSuffix(a, `\$`)
		if ends {
			a = a[:len(a)-1]
		}
		i := 0
		if begins {
			i++
		}
		if ends {
			i += 2
		}
		where[i] = append(where[i], escapeSigma(unescape(a)))
	}
	var out []item
	for i, modifier := range []string{"contains", "startswith", "endswith", ""} {
		if len(where[i]) == 0 {
			continue
		}
		if field == "" {
			modifier = "" // keywords look for the text anywhere
		}
		out = append(out, item{field, modifier, where[i]})
	}
	return out
}

// escapeSigma writes text so that Sigma takes it as it is.
func escapeSigma(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '*', '?':
			b.WriteByte('\\')
		case '\\': // only before what it would escape
			if i+1 == len(s) || strings.IndexByte(`\*?`, s[i+1]) >= 0 {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// unescapeMatch takes the backslash off what OS_Match gives a meaning to.
func unescapeMatch(s string) string { return unescapeChars(s, `|^$\`) }

// unescapeRegex does so for OS_Regex.
func unescapeRegex(s string) string { return unescapeChars(s, `|^$\()<`) }

func unescapeChars(s, chars string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(chars, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isPlain tells whether an expression of OS_Regex has no classes, groups or
// repetitions.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) && strings.IndexByte(`wWdDsStp.`, s[i]) >= 0 {
				return false
			}
		case '(', ')':
			return false
		}
	}
	return true
}

// classes are what a backslash and a letter mean in OS_Regex.
var classes = map[byte]string{
	'w': `[A-Za-z0-9@_-]`, 'W': `[^A-Za-z0-9@_-]`,
	'd': `[0-9]`, 'D': `[^0-9]`,
	's': ` `, 'S': `[^ ]`,
	't': `\t`,
	'p': `[()*+,\-.:;<=>?\[\]!"'#$%&|{}]`,
	'.': `.`,
}

// translate writes an expression of OS_Regex as RE2. Only what has a class may be
// repeated there; + and * behind anything else are characters.
func translate(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			class, ok := classes[s[i]]
			if !ok {
				b.WriteString(regexp.QuoteMeta(s[i : i+1]))
				continue
			}
			b.WriteString(class)
			if i+1 < len(s) && (s[i+1] == '+' || s[i+1] == '*') {
				i++
				b.WriteByte(s[i])
			}
		case c == '\\':
			return "", fmt.Errorf("the expression %q ends in a backslash", s)
		case c == '^' && i == 0, c == '$' && i == len(s)-1, c == '(', c == ')':
			b.WriteByte(c)
		default:
			n := 1
			for i+n < len(s) && s[i+n] >= 0x80 {
				n++
			}
			b.WriteString(regexp.QuoteMeta(s[i : i+n]))
			i += n - 1
		}
	}
	return b.String(), nil
}
