package intel

import (
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct {
		t           Type
		value, want string // "": refused
	}{
		{IPv4, "203.0.113[.]7", "203.0.113.7"},
		{IPv4, "::ffff:203.0.113.7", "203.0.113.7"},
		{IPv4, "127.0.0.1", ""},
		{IPv4, "203.0.113.007", ""},
		{IPv6, "2001:DB8:0:0::1", "2001:db8::1"},
		{IPv6, "203.0.113.7", ""},
		{CIDR, "203.0.113.77/24", "203.0.113.0/24"},
		{CIDR, "0.0.0.0/0", ""},
		{CIDR, "::/0", ""},
		{Domain, "EVIL[.]example.", "evil.example"},
		{Domain, "bücher.example", "xn--bcher-kva.example"},
		{Domain, "BÜCHER.Example", "xn--bcher-kva.example"},
		{Domain, "*.evil.example", "evil.example"},
		{Domain, "evil。example", "evil.example"},
		{Domain, "com", ""},
		{Domain, "co.uk", ""},
		{Domain, "a..b", ""},
		{Domain, "203.0.113.7", ""},
		{Domain, strings.Repeat("a", 64) + ".example", ""},
		{URL, "hxxps://Evil[.]Example:443/A?b=C#d", "https://evil.example/A?b=C"},
		{URL, "http://user:pw@evil.example", "http://evil.example/"},
		{URL, "http://evil.example:8080?x", "http://evil.example:8080/?x"},
		{URL, "http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"},
		{URL, "javascript:alert(1)", ""},
		{URL, "http://evil.example/a b", ""},
		{MD5, "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e"},
		{SHA1, "d41d", ""},
		{Email, "Bob[at]Evil[dot]example", "bob@evil.example"},
		{Email, "bob@", ""},
		{"cve", "CVE-2021-44228", ""},
	} {
		got, err := Normalise(c.t, c.value)
		if (err == nil) != (c.want != "") || got != c.want {
			t.Errorf("Normalise(%s, %q) = %q, %v; want %q", c.t, c.value, got, err, c.want)
		}
		if err == nil {
			if again, err := Normalise(c.t, got); err != nil || again != got {
				t.Errorf("Normalise(%s, %q) again = %q, %v", c.t, got, again, err)
			}
		}
	}
}

func TestGuess(t *testing.T) {
	for value, want := range map[string]string{
		"203.0.113.7": "ipv4 203.0.113.7", "203.0.113.7:443": "ipv4 203.0.113.7", "203.0.113.0/24": "cidr 203.0.113.0/24", "203.0.113.7/32": "ipv4 203.0.113.7",
		"2001:db8::1": "ipv6 2001:db8::1", "2001:db8::/32": "cidr 2001:db8::/32", "evil.example": "domain evil.example", "evil.example/a": "url http://evil.example/a",
		"hxxp://evil[.]example/a": "url http://evil.example/a", "a@evil.example": "email a@evil.example", "d41d8cd98f00b204e9800998ecf8427e": "md5 d41d8cd98f00b204e9800998ecf8427e",
		strings.Repeat("aB", 32): "sha256 " + strings.Repeat("ab", 32), strings.Repeat("0", 40): "sha1 " + strings.Repeat("0", 40), "": "", "not an indicator": "", "evil.example:8080": "domain evil.example",
	} {
		kind, v, err := Guess(value)
		got := string(kind) + " " + v
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("Guess(%q) = %q, %v; want %q", value, got, err, want)
		}
	}
}

func FuzzGuess(f *testing.F) {
	for _, s := range []string{"203.0.113.7", "hxxp://a[.]b/c?d#e", "bücher.example", "a@b.c", "1:2", "::ffff:1.2.3.4/100", "xn--a.b", "http://[::1%25]/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, v, err := Guess(s)
		if err != nil {
			return
		}
		again, err := Normalise(kind, v)
		if err != nil || again != v || len(v) > MaxValue {
			t.Fatalf("%q becomes %s %q, then %q, %v", s, kind, v, again, err)
		}
	})
}
