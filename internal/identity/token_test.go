package identity

import (
	"regexp"
	"strings"
	"testing"
)

func TestToken(t *testing.T) {
	form := regexp.MustCompile(`^kyra_[0-9A-Za-z]{38}$`)
	seen := map[string]bool{}
	for range 1000 {
		token := newToken()
		if !form.MatchString(token) || !wellFormed(token) || seen[token] {
			t.Fatalf("newToken() = %q: seen before %v, well formed %v", token, seen[token], wellFormed(token))
		}
		seen[token] = true
	}
}

func TestWellFormedRefuses(t *testing.T) {
	good := newToken()
	flip := func(i int) string {
		c := byte('a')
		if good[i] == c {
			c = 'b'
		}
		return good[:i] + string(c) + good[i+1:]
	}
	for _, s := range []string{
		"", "kyra_", good[1:], good + "0", good[:len(good)-1], strings.ToUpper(good), "x" + good[1:],
		flip(5), flip(20), flip(len(good) - 1), strings.Replace(good, good[10:11], "-", 1), " " + good[1:],
	} {
		if wellFormed(s) {
			t.Errorf("wellFormed(%q) = true, want false", s)
		}
	}
}

func TestDigestHidesTheToken(t *testing.T) {
	token := newToken()
	if d := digest(token); len(d) != 64 || strings.Contains(d, token[5:12]) || d != digest(token) || d == digest(newToken()) {
		t.Errorf("digest(%q) = %q", token, d)
	}
}
