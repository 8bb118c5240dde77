package parse

import (
	"net/netip"
	"strings"
)

// cutWord splits at the first space; spaces before the rest are dropped.
func cutWord(s string) (word, rest string) {
	word, rest, _ = strings.Cut(s, " ")
	return word, skipSpaces(rest)
}

func skipSpaces(s string) string {
	for s != "" && s[0] == ' ' {
		s = s[1:]
	}
	return s
}

// digits returns how many bytes at the start of s are decimal digits.
func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isLetter(c byte) bool { return (c|0x20)-'a' <= 'z'-'a' }

func allDigits(s string) bool { return s != "" && digits(s) == len(s) }

// number reads up to nine digits; it returns -1 where s is anything else.
func number(s string) int {
	if s == "" || len(s) > 9 {
		return -1
	}
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// canonicalInt returns s as a decimal integer of 64 bits without leading zeros,
// or false.
func canonicalInt(s string) (string, bool) {
	digitsOf := s
	if s != "" && s[0] == '-' {
		digitsOf = s[1:]
	}
	if !allDigits(digitsOf) {
		return "", false
	}
	trimmed := digitsOf
	for len(trimmed) > 1 && trimmed[0] == '0' {
		trimmed = trimmed[1:]
	}
	if len(trimmed) > 19 || len(trimmed) == 19 && trimmed > "9223372036854775807" {
		return "", false
	}
	switch {
	case trimmed == "0":
		return "0", true
	case len(trimmed) == len(digitsOf):
		return s, true
	case len(digitsOf) == len(s):
		return trimmed, true
	default:
		return "-" + trimmed, true
	}
}

const smallNumbers = "0 1 2 3 4 5 6 7 8 9 101112131415161718192021222324252627282930313233"

// smallNumber returns the decimal form of 0 to 33 without allocating.
func smallNumber(n int) string {
	if n < 10 {
		return smallNumbers[2*n : 2*n+1]
	}
	return smallNumbers[2*n : 2*n+2]
}

// address returns s as an IP address in its usual spelling: without brackets
// and zone, and IPv4 not dressed as IPv6.
func address(s string) (string, bool) {
	if isIPv4(s) {
		return s, true
	}
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
		if isIPv4(s) {
			return s, true
		}
	}
	if len(s) < 2 || len(s) > 64 || strings.IndexByte(s, ':') < 0 {
		return "", false
	}
	if i := strings.IndexByte(s, '%'); i > 0 {
		s = s[:i]
	}
	if len(s) > 7 && strings.EqualFold(s[:7], "::ffff:") && isIPv4(s[7:]) {
		return s[7:], true
	}
	for i := range len(s) {
		c := s[i]
		if !isDigit(c) && c != ':' && c != '.' && (c|0x20)-'a' > 5 {
			return "", false
		}
	}
	if _, err := netip.ParseAddr(s); err != nil {
		return "", false
	}
	return s, true
}

func isIPv4(s string) bool {
	if len(s) < 7 || len(s) > 15 {
		return false
	}
	dots, value, width := 0, 0, 0
	for i := range len(s) {
		c := s[i]
		switch {
		case isDigit(c):
			value = value*10 + int(c-'0')
			width++
			if value > 255 || width > 3 {
				return false
			}
		case c == '.' && width > 0:
			dots++
			value, width = 0, 0
		default:
			return false
		}
	}
	return dots == 3 && width > 0
}

// addressPort splits "1.2.3.4:80", "[::1]:80", "1.2.3.4" and "::1".
func addressPort(s string) (addr, port string) {
	i := strings.LastIndexByte(s, ':')
	if i > 0 && allDigits(s[i+1:]) {
		if s[i-1] == ']' || strings.IndexByte(s[:i], ':') < 0 {
			return strings.Trim(s[:i], "[]"), s[i+1:]
		}
	}
	return s, ""
}

// between returns what stands between the first before and the next after it.
func between(s, before, after string) (string, bool) {
	i := strings.Index(s, before)
	if i < 0 {
		return "", false
	}
	s = s[i+len(before):]
	j := strings.Index(s, after)
	if j < 0 {
		return "", false
	}
	return s[:j], true
}
