package alert

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDescribe(t *testing.T) {
	values := func(n int) map[string][]string {
		m := map[string][]string{"src_ip": {"10.0.1.55"}, "user": {}}
		for i := range n {
			m["user"] = append(m["user"], []string{"root", "admin", "guest"}[min(i, 2)]+strings.Repeat("x", max(0, i-2)))
		}
		return m
	}
	const template = "{count} failed logon attempts from {src_ip} targeting {user} account"
	for _, tt := range []struct {
		template string
		count    int64
		users    int
		want     string
	}{
		{template, 47, 1, "47 failed logon attempts from 10.0.1.55 targeting root account"},
		{template, 1234567, 2, "1234567 failed logon attempts from 10.0.1.55 targeting root and admin account"},
		{template, 3, 3, "3 failed logon attempts from 10.0.1.55 targeting root, admin and guest account"},
		{template, 3, 14, "3 failed logon attempts from 10.0.1.55 targeting root, admin and 12 more account"},
		{template, 3, 0, "3 failed logon attempts from 10.0.1.55 targeting unknown account"},
		{"{user} {user:account|accounts}", 3, 1, "root account"},
		{"{user} {user:account|accounts}", 3, 14, "root, admin and 12 more accounts"},
		{"{user} {user:account|accounts}", 3, 0, "unknown account"},
		{"{count} {count:try|tries}", 1, 3, "1 try"},
		{"{count} {count:try|tries}", 2, 3, "2 tries"},
		{"{count:try}", 2, 3, "{count:try}"},
		{"no names", 1, 1, "no names"},
		{"{dst_ip}", 1, 1, "unknown"},
		{"{", 1, 1, "{"},
		{"a { b } {count", 1, 1, "a { b } {count"},
		{"{}{count}{{count}}", 5, 1, "{}5{5}"},
		{"", 1, 1, ""},
	} {
		if got := describe(tt.template, tt.count, values(tt.users)); got != tt.want {
			t.Errorf("describe(%q, %d, %d users) = %q, want %q", tt.template, tt.count, tt.users, got, tt.want)
		}
	}
}

// A value that looks like a template is only text.
func TestDescribeOnce(t *testing.T) {
	got := describe("by {user}", 9, map[string][]string{"user": {"{count}"}})
	if got != "by {count}" {
		t.Errorf("got %q", got)
	}
}

func TestCleanClipBound(t *testing.T) {
	if got := clean("a\x00b\nc\xffd한"); got != "a b c\uFFFDd한" {
		t.Errorf("clean = %q", got)
	}
	if got := cleanNote("a\x00b\nc\r\td\xff"); got != "ab\nc\td\uFFFD" {
		t.Errorf("cleanNote = %q", got)
	}
	for _, tt := range []struct{ in, want string }{{"한글한글", "한글한글"}, {"한글한글한", "한글한…"}, {"", ""}, {"abcd", "abcd"}, {"abcde", "abc…"}} {
		if got := clip(tt.in, 4); got != tt.want {
			t.Errorf("clip(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	long := strings.Repeat("한", 1000)
	if a, b := bound(long+"1"), bound(long+"2"); a == b || len(a) > 512 || !utf8.ValidString(a) {
		t.Errorf("bound gives %q and %q", a, b)
	}
	if bound("short") != "short" {
		t.Error("bound changes what is short")
	}
	if s := fmt.Sprint(enumerate([]string{strings.Repeat("x", 10_000)})); len(s) > 300 {
		t.Errorf("a value of %d bytes is shown", len(s))
	}
}
