package query

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/kyra-mdr/kyra/internal/event"
)

func sample() *event.Event {
	e := &event.Event{
		ID: event.ID{Partition: 2, Seq: 26, Index: 63}, Tenant: 1,
		Time:    time.Date(2011, 4, 3, 10, 20, 30, 500, time.UTC).UnixNano(),
		Arrived: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano(),
		Raw:     "Apr  3 10:20:30 web-01 sshd[123]: Failed password for Root from 203.0.113.7 port 4022 ssh2 (로그인에 실패)",
	}
	for _, f := range [][2]string{
		{"source", "sshd"},
		{"program", "sshd"},
		{"host", "web-01"},
		{"user", "Root"},
		{"severity", "medium"},
		{"message", "Failed password for Root from 203.0.113.7 port 4022 ssh2 (로그인에 실패)"},
		{"src_ip", "203.0.113.7"},
		{"src_port", "4022"},
		{"http_status", "404"},
		{"dst_ip", "2001:db8::5"},
		{"process_path", `C:\Windows\System32\cmd.exe`},
		{"tags", "one"},
		{"tags", "Two words"},
		{"note", ""},
		{"status", "odd"},
		{"ratio", "3.10"},
		{"net", "10.0.0.0/8"},
		{"a:b c", "x"},
		{"city", "İstanbul"},
	} {
		e.Add(f[0], f[1])
	}
	return e
}

func TestMatch(t *testing.T) {
	for q, want := range map[string]bool{
		"": true, "  ": true, "*": true, "*:*": true, "NOT *": false,
		"program:sshd user:root": true, "program:sshd AND user:root": true, "program:sshd && user:root": true, "program:sshd and user:root": true,
		"program:SSHD": true, "program:ssh": false, "program:sshdx": false, "user:bob": false,
		"user:(bob OR root)": true, "user:(bob root)": false, "user:(root -bob)": true, "user:(NOT root)": false,
		"user:bob OR program:sshd": true, "user:bob || program:sshd": true, "user:bob or program:sshd": true,
		"user:bob OR program:sshd user:alice": false, "(user:bob OR program:sshd) user:root": true,
		"-user:bob": true, "!user:root": false, "NOT user:root": false, "not user:root": false, "+user:root +program:sshd": true,
		"program:sshd -user:root": false, "NOT NOT user:root": true, "- user:bob": true,
		"user.name:root": true, "host.name:web-01": true, "status:404": true, "status:odd": true, "fields.status:odd": false,
		"failed": true, "FAILED password": true, `"failed PASSWORD for"`: true, `"failed for"`: false, "fail": false, "fail*": true, "*ailed": true, "*aile*": true, "f?iled": true, "f?led": false,
		"fai*ed": true, "failed*root": false, "203.0.113.7": true, "203.0.113": true, "203.0.11": false, "203.0.11*": true,
		"medium": true, "odd": true, "words": true, "로그인": true, "그인": true, "실패": true,
		"message:password": true, "message:web": false, "raw:web-01": true, "raw:sshd": true, "message:sshd": false, "raw:medium": false, `message:"for root"`: true,
		"user:ro*": true, "user:*t": true, "user:r??t": true, "user:r?t": false, "user:*oo*": true, "user:o*": false, "user:*": true, "usr:*": false, "note:*": true, `note:""`: true, `user:""`: false, `usr:""`: false,
		`process_path:*\\cmd.exe`: true, `process_path:*\cmd.exe`: true, `process_path:"C:\Windows\System32\cmd.exe"`: true, `process_path:"c:\\windows\\system32\\CMD.exe"`: true, `process_path:C:\\Windows*`: true,
		"http_status:[400 TO 499]": true, "http_status:{404 TO 499]": false, "http_status:[400 TO 404}": false, "http_status:[400 TO *]": true, "http_status:[* TO 403]": false, "http_status:[* TO *]": true,
		"http_status:>=404": true, "http_status:>404": false, "http_status:<405": true, "http_status:<= 404": true, "http_status:(>=400 <500)": true, "http_status:>50": true,
		"ratio:[3.1 TO 3.1]": true, "ratio:3.1": false, "ratio:3.10": true, "user:[a TO z]": true, "user:[s TO z]": false, "user:>=100": false, `user:["ro" TO "rz"}`: true,
		"src_ip:203.0.113.0/24": true, "src_ip:203.0.112.0/24": false, "src_ip:[203.0.113.1 TO 203.0.113.9]": true, "src_ip:>=203.0.113.10": false, "dst_ip:2001:db8::/32": true, "dst_ip:2001:db9::/32": false, "dst_ip:2001:DB8::5": true, "ip:203.0.113.0/24": true, "ip:203.0.113.7": true, "ip:2001:db8::/32": true, "net:10.0.0.0/8": true, "src_ip:fe80::/10": false, "2001:db8::5": true,
		"tags:one": true, `tags:"two words"`: true, "tags:two": false, "tags:two*": true, "-tags:one": false,
		"id:e2-00000000001a-0003f": true, "id:e2-*": true, "id:e3-*": false,
		"timestamp:2011-04-03": true, "timestamp:2011-04-04": false, "timestamp:[2011-04-01 TO 2011-04-30]": true, "timestamp:{2011-04-03 TO *]": false, "timestamp:>=2011-04-03T10:20": true, "@timestamp:<2011-04-03T10:20": false, "timestamp:*": true,
		`timestamp:"2011-04-03T10:20:30.0000005Z"`: true, `timestamp:["2011-04-03T10:20:30.000000501Z" TO *]`: false, `timestamp:2011-04-03T19:20:30+09:00`: true, "ingest_time:[2026-01-02 TO 2026-01-02]": true,
		"user:/^R..t$/": true, "user:/^r..t$/": false, "user:/(?i)^r..t$/": true, "/sshd\\[[0-9]+\\]/": true, "/10:20:31/": false, "message:/sshd/": false, `host:/web\/01/`: false,
		`a\:b\ c:x`: true, `a\:b\ c:y`: false, "10:20:30": true, "city:iSTANBUL": true, "city:istanbul": true,
		"user not found": false, "session or failed": false, `"not" password`: false, "password for": true,
		`user:"Root"`: true, `(((user:root)))`: true, `user:((root))`: true,
	} {
		n, err := Parse(q)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		if got := n.Match(sample()); got != want {
			t.Errorf("%s: got %v, want %v (tree %s)", q, got, want, n)
		}
		again, err := Parse(n.String())
		if err != nil || again.String() != n.String() || again.Match(sample()) != want {
			t.Errorf("%s: prints as %s, which reads as %v, %v", q, n, again, err)
		}
	}
}

func TestText(t *testing.T) {
	e := &event.Event{Raw: ` {"message":"hello there","k":"deep value"}`}
	e.Add("message", "hello there")
	e.Add("k", "deep value")
	for q, want := range map[string]bool{"hello": true, "deep": true, "k": false, "raw:hello": true, "raw:deep": false} {
		n, err := Parse(q)
		if err != nil || n.Match(e) != want {
			t.Errorf("%s: want %v, error %v", q, want, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for q, pos := range map[string]int{
		"(user:root": 0, "user:root)": 9, "user:": 5, "user:root AND": 13, "OR user:root": 0, "user:root OR": 12, `"open`: 0, `user:"open`: 5, "()": 1, "user:()": 6,
		"user:[1 2]": 8, "user:[1 TO": 10, "user:[1 TO 2": 12, "user:[ TO 2]": 7, "[1 TO 2]": 0, ">5": 0, "user:>": 6, "us*r:x": 0, ":x": 0, "user:(a:b)": 6,
		"root~1": 4, `"a b"~3`: 5, "root^2": 4, "timestamp:yesterday": 10, "timestamp:2011*": 10, "timestamp:>soon": 10, "user:/(/": 5, `"a"b`: 3, "user:a]": 6, "-": 1, "NOT": 3, "user:[a* TO b]": 6, "timestamp:/x/": 10,
		"한글:(": 4, strings.Repeat("(", 65) + "a": 64, strings.Repeat("!", 65) + "a": 64, strings.Repeat("a", 8193): 8192, "a\xffb": 1, `message:""`: 8,
	} {
		n, err := Parse(q)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.60s: no error but %v", q, n)
			continue
		}
		if e.Pos != pos {
			t.Errorf("%.60s: error at %d, want %d: %v", q, e.Pos, pos, e)
		}
	}
}

// TestFold: the pattern accepts exactly what equality does, for every character.
func TestFold(t *testing.T) {
	byLower := map[rune][]rune{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if l := unicode.ToLower(r); l != r && r != unicode.ReplacementChar {
			byLower[l] = append(byLower[l], r)
		}
	}
	for l, uppers := range byLower {
		if unicode.ToLower(l) != l {
			continue
		}
		p := FoldPattern(string(l))
		for _, u := range append(uppers, l) {
			w := NewWildcard(NewField("f"), []Part{{Literal, string(l)}})
			if !w.re.MatchString(string(u)) {
				t.Errorf("%q: pattern %s lacks %q", l, p, u)
			}
			if !hasCase(string(u)) {
				t.Errorf("%q has no other spelling, yet %q is one", u, l)
			}
		}
	}
	if NewWildcard(NewField("f"), []Part{{Literal, "s"}}).re.MatchString("ſ") {
		t.Error("ſ is taken for s")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`a:b AND "c d" OR NOT (e:f* g:[1 TO 2}) -h:/x y/`, `a | delete`, "`a`", `"\"`, `a:"\\" | b`, `a\`, "\x00:\x01", `*) or (*`, `# x`, `a:i("x")`, `_time:5m`, `{a="b"}`, "a:\u2028b", `timestamp:["2011-01-01T00:00:00.5Z" TO *}`,
		`/a\/b/`, `/\ /`, `a:/[ ]/`, `x:>="1 2"`, `x:>5)`, `한글:값*`, `a:*b*?c\*`, `a&&b||c`, `ip:::1/64`, `(a:(>1 <"2") b)`, `and or not`, `a:1 or b:2 and not c:3`,
	} {
		f.Add(s)
	}
	e := sample()
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		text := n.String()
		if len(text) > MaxLength {
			return
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%q prints as %q: %v", s, text, err)
		}
		if again.String() != text {
			t.Fatalf("%q prints as %q, then as %q", s, text, again.String())
		}
		if n.Match(e) != again.Match(e) {
			t.Fatalf("%q and %q disagree", s, text)
		}
	})
}
