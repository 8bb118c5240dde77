package sigma

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// regexValue reads a regular expression, which may match anywhere in a value; with
// startswith and endswith it must match there.
func (it *item) regexValue(n *node) (value, error) {
	src := n.text
	switch it.anchor {
	case "startswith":
		src = `\A(?:` + src + `)`
	case "endswith":
		src = `(?:` + src + `)\z`
	}
	if it.flags != "" {
		src = "(?" + it.flags + ")" + src
	}
	re, err := regexp.Compile(src)
	if err == nil {
		return value{re: re}, nil
	}
	if what, at := beyondRE2(n.text); what != "" {
		out := n.errorf("regular expression: %s is not supported by RE2: write the rule without it, such as with a second search and \"not\"", what)
		if n.inline >= 0 {
			out.Column += int(n.inline) + utf8.RuneCountInString(n.text[:at])
		}
		return value{}, out
	}
	return value{}, n.errorf("regular expression (RE2): %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
}

// beyondRE2 finds what other engines know and RE2, which takes no more time than a
// value is long, cannot: its name and place in src.
func beyondRE2(src string) (what string, at int) {
	class := false
	for i := 0; i < len(src); i++ {
		rest := src[i:]
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			if !class && rest[1] >= '1' && rest[1] <= '9' || !class && (rest[1] == 'k' || rest[1] == 'g') {
				return "a back-reference", i
			}
			i++
		case class:
			class = rest[0] != ']'
		case rest[0] == '[':
			class = true
			if strings.HasPrefix(rest, "[]") || strings.HasPrefix(rest, "[^") {
				i++
			}
		case strings.HasPrefix(rest, "(?="), strings.HasPrefix(rest, "(?!"):
			return "look-ahead", i
		case strings.HasPrefix(rest, "(?<="), strings.HasPrefix(rest, "(?<!"):
			return "look-behind", i
		case strings.HasPrefix(rest, "(?>"):
			return "an atomic group", i
		case strings.HasPrefix(rest, "(?("):
			return "a conditional group", i
		case i > 0 && rest[0] == '+' && strings.IndexByte("*+?}", src[i-1]) >= 0 && (i < 2 || src[i-2] != '\\'):
			return "a possessive quantifier", i - 1
		}
	}
	return "", 0
}
