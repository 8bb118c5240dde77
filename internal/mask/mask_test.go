package mask

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
)

var key = []byte("0123456789abcdef0123456789abcdef")

func set(t testing.TB, rules ...Rule) *Set {
	t.Helper()
	s, err := Compile(rules, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPatterns(t *testing.T) {
	s := set(t, Rule{Patterns: Patterns, Action: Mask})
	for _, x := range []struct{ in, want string }{
		// e-mail
		{"from=<kim@example.com>, to=<a.b+c@mail.example.co.kr>", "from=<***@example.com>, to=<***@mail.example.co.kr>"},
		{"GET /?m=kim%40example.com&x=1", "GET /?m=***%40example.com&x=1"},
		{`{"m":"a\nkim@example.com.","n":"C:\\kim@example.com"}`, `{"m":"a\n***@example.com.","n":"C:\\***@example.com"}`},
		{"root@10.0.0.1 a@b user@host @example.com x@example.c", "root@10.0.0.1 a@b user@host @example.com x@example.c"},
		// cards
		{"card 4111111111111111 ok", "card ************1111 ok"},
		{"4111 1111 1111 1111", "**** **** **** 1111"},
		{"5555-5555-5555-4444, 3782 822463 10005", "****-****-****-4444, **** ****** *0005"},
		{"4111111111111112 1234567890123452 4111-1111 1111-1111", "4111111111111112 1234567890123452 4111-1111 1111-1111"},
		{`{"card":4111111111111111,"l":[4111111111111111, 5555555555554444],"s":"[4111111111111111,1]"}`, `{"card":"************1111","l":["************1111", "************4444"],"s":"[************1111,1]"}`},
		{`{"s":"{\"card\":4111111111111111}","n":-4111111111111111}`, `{"s":"{\"card\":\"************1111\"}","n":"************1111"}`},
		{"x4111111111111111 0.4111111111111111 4111111111111111.5 a-1-4111111111111111", "x4111111111111111 0.4111111111111111 4111111111111111.5 a-1-4111111111111111"},
		{`{"a":"\t4111111111111111"} pan%3D4111111111111111`, `{"a":"\t************1111"} pan%3D************1111`},
		{"6229 2600 0000 0000 001", "6229 2600 0000 0000 001"},
		// resident registration numbers: the check digit, the hyphen without, and times
		{"900101-1234568 9001011234568 900101-1234567 9001011234567", "******-******* ************* ******-******* 9001011234567"},
		{"901301-1234567 900230-1234567 000229-3234567", "901301-1234567 900230-1234567 ******-*******"},
		{"1732571234567 2011013123456 1701011234567", "1732571234567 ************* 1701011234567"},
		// mobile numbers
		{"010-1234-5678 01012345678 +82-10-1234-5678 +821012345678 02-123-4567 011-234-5678", "***-****-5678 ***-****-5678 ***-****-5678 ***-****-5678 02-123-4567 ***-****-5678"},
		{"2026-11-25 21:57:23 1732571234567890123 550e8400-e29b-41d4-a716-446655440000", "2026-11-25 21:57:23 1732571234567890123 550e8400-e29b-41d4-a716-446655440000"},
	} {
		got, found := s.Apply(x.in, nil)
		if got != x.want {
			t.Errorf("%s\n got %s\nwant %s", x.in, got, x.want)
		}
		if (found.Total() > 0) != (x.in != x.want) {
			t.Errorf("%s: found %v", x.in, found)
		}
		if again, _ := s.Apply(got, nil); again != got {
			t.Errorf("%s becomes %s, and then %s", x.in, got, again)
		}
	}
}

func TestActions(t *testing.T) {
	hash := set(t, Rule{Patterns: Patterns, Fields: []string{"mail"}, Action: Hash})
	same := func(lines ...string) {
		t.Helper()
		want := ""
		for _, line := range lines {
			got, _ := hash.Apply(line, nil)
			i := strings.Index(got, "h:")
			if i < 0 || len(got) < i+18 {
				t.Fatalf("%s: %s", line, got)
			}
			if h := got[i : i+18]; want == "" {
				want = h
			} else if h != want {
				t.Errorf("%s: %s, want %s", line, h, want)
			}
		}
	}
	same("a kim@example.com", "b KIM@Example.com", "c kim%40example.com", `{"mail":"kim@example.com"}`, `{"mail":"kim\u0040example.com"}`, "mail=kim@example.com")
	same("4111111111111111", "4111-1111-1111-1111", `{"x":4111111111111111}`)
	same("010-1234-5678", "01012345678", "+82-10-1234-5678", "+821012345678")
	same("mail=kim", `mail="kim" x=1`, `{"mail":"kim"}`, `{"mail":"k\u0069m"}`, `x CEF:0|v|p|1|2|3|4|mail=kim`)
	other, err := Compile([]Rule{{Patterns: Patterns, Action: Hash}}, []byte("another"))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := hash.Apply("kim@example.com", nil)
	if b, _ := other.Apply("kim@example.com", nil); a == b {
		t.Error("two tenants share hashes")
	}
	gone := set(t, Rule{Patterns: []string{"email"}, Fields: []string{"pin"}, Action: Remove})
	if got, _ := gone.Apply(`{"pin":1234,"m":"x kim@example.com"}`, nil); got != `{"pin":"(removed)","m":"x (removed)"}` {
		t.Error(got)
	}
	// The first rule that speaks of a thing counts.
	first := set(t, Rule{Patterns: []string{"email"}, Action: Remove}, Rule{Patterns: []string{"email", "card"}, Action: Mask})
	if got, _ := first.Apply("kim@example.com 4111111111111111", nil); got != "(removed) ************1111" {
		t.Error(got)
	}
}

func TestKeys(t *testing.T) {
	s := set(t, Rule{Fields: []string{"user.name", "suser", "actor", "*.secret", "cs1"}, Action: Mask})
	for _, x := range []struct{ in, want string }{
		{`{"user":{"name":"kim","id":7},"User.Name":"lee"}`, `{"user":{"name":"***","id":7},"User.Name":"***"}`},
		{`{"actor":{"a":[1,true,null,"x\"y"]},"a":{"secret":{"b":"c"}}}`, `{"actor":{"a":["*","****",null,"***"]},"a":{"secret":{"b":"*"}}}`},
		{`<13>Jan 1 00:00:00 h app: {"us\u0065r": {"name": "한글"}}`, `<13>Jan 1 00:00:00 h app: {"us\u0065r": {"name": "**"}}`},
		{`CEF:0|v|p|1|2|3|4|suser=kim lee duser=x cs1=a\=b c`, `CEF:0|v|p|1|2|3|4|suser=******* duser=x cs1=******`},
		{"LEEF:1.0|v|p|1|2|suser=kim lee\tduser=x", "LEEF:1.0|v|p|1|2|suser=*******\tduser=x"},
		{"LEEF:2.0|v|p|1|2|^|suser=kim lee^duser=x", "LEEF:2.0|v|p|1|2|^|suser=*******^duser=x"},
		{`a=1 suser=kim suser="kim lee" suser='x y' b=2`, `a=1 suser=*** suser="*******" suser='***' b=2`},
		{`{"m":"suser=kim\nsuser=\"kim lee\" CEF"}`, `{"m":"suser=***\nsuser=\"*******\" CEF"}`},
		{`{"m":"CEF:0|v|p|1|2|3|4|suser=kim lee"}`, `{"m":"CEF:0|v|p|1|2|3|4|suser=*******"}`},
		{`{"user":{"name":"cut in the mid`, `{"user":{"name":"**************`},
		{`user=kim name=lee`, `user=*** name=lee`}, // the canonical name that user.name means
	} {
		got, _ := s.Apply(x.in, nil)
		if got != x.want {
			t.Errorf("%s\n got %s\nwant %s", x.in, got, x.want)
		}
		if again, _ := s.Apply(got, nil); again != got {
			t.Errorf("%s becomes %s, and then %s", x.in, got, again)
		}
	}
}

func TestFieldsOfAParser(t *testing.T) {
	s := set(t, Rule{Fields: []string{"user", "src_ip"}, Action: Mask})
	apply := func(record string, fields ...[2]string) (string, Found) {
		return s.Apply(record, func(yield func(name, value string)) {
			for _, f := range fields {
				yield(f[0], f[1])
			}
		})
	}
	line := "Failed password for kim from 203.0.113.9 port 22"
	if got, found := apply(line, [2]string{"user", line[20:23]}, [2]string{"src_ip", line[29:40]}); got != "Failed password for *** from *********** port 22" || found.By[Field] != 2 {
		t.Errorf("%s %v", got, found)
	}
	// Decoded: from hexadecimal digits, from escapes, and to lower case.
	for _, x := range []struct{ in, value, want string }{
		{"type=USER_AUTH acct=6B696D2E6C6565", "kim.lee", "type=USER_AUTH acct=*******"},
		{`{"a":"k\u0069m","b":"kimono"}`, "kim", `{"a":"***","b":"kimono"}`},
		{"User KIM logged in", strings.ToLower("KIM"), "User *** logged in"},
	} {
		if got, found := apply(x.in, [2]string{"user", strings.Clone(x.value)}); got != x.want || found.Missed != 0 {
			t.Errorf("%s: %s %v", x.in, got, found)
		}
	}
	if got, found := apply("nothing here", [2]string{"user", strings.Clone("kim")}); got != "nothing here" || found.Missed != 1 {
		t.Errorf("%s %v", got, found)
	}
	// A value across the syntax must not break it.
	whole := `{"a":"b","c":1}`
	if got, _ := apply(whole, [2]string{"user", whole[2:8]}); !json.Valid([]byte(got)) {
		t.Errorf("broken: %s", got)
	}
	object := `{"a":{"b":1}}`
	if got, _ := apply(object, [2]string{"user", object[5:12]}); got != `{"a":"*******"}` {
		t.Errorf("an object as text: %s", got)
	}
}

func TestCheck(t *testing.T) {
	for _, x := range []struct {
		r     Rule
		field string
	}{
		{Rule{Patterns: []string{"email"}, Action: "burn"}, "action"},
		{Rule{Patterns: []string{"iban"}, Action: Mask}, "patterns"},
		{Rule{Action: Mask}, "patterns"},
		{Rule{Fields: []string{"a b"}, Action: Mask}, "fields"},
		{Rule{Fields: []string{"message"}, Action: Mask}, "fields"},
		{Rule{Fields: []string{"event.original"}, Action: Mask}, "fields"},
	} {
		err := x.r.Check()
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Field != x.field {
			t.Errorf("%v: %v", x.r, err)
		}
	}
}

func TestNothingToMaskCostsNoMemory(t *testing.T) {
	s := set(t, Rule{Patterns: Patterns, Action: Mask})
	if n := testing.AllocsPerRun(100, func() { s.Apply(ordinary, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

const ordinary = `<86>Nov 25 21:57:23 web-01 sshd[23122]: Failed password for invalid user oracle from 203.0.113.9 port 51515 ssh2`

func BenchmarkNothingFound(b *testing.B) {
	s := set(b, Rule{Patterns: Patterns, Action: Mask})
	for name, line := range map[string]string{
		"sshd":  ordinary,
		"nginx": `203.0.113.9 - - [25/Nov/2026:21:57:23 +0000] "GET /static/app.js?v=20261125 HTTP/1.1" 200 5316 "https://www.example.com/" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"`,
		"forti": `date=2026-11-25 time=21:57:23 devname="fw01" devid="FGT60E4Q16004567" logid="0000000013" type="traffic" subtype="forward" srcip=10.1.2.3 srcport=51515 dstip=203.0.113.9 dstport=443 policyid=12 sentbyte=5316 rcvdbyte=10432 action="accept"`,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				if _, found := s.Apply(line, nil); found.Total() > 0 {
					b.Fatal("found")
				}
			}
		})
	}
}

func FuzzApply(f *testing.F) {
	for _, seed := range []string{
		`{"card":4111111111111111,"l":[4111111111111111],"s":"{\"user\":\"kim@example.com\"}"}`, `{"user":{"a":[1,-2e5,true]},"m":"user=\"kim\"\nkim@example.com"}`,
		`CEF:0|v|p|1|2|3|4|user=kim lee x=1`, "LEEF:2.0|v|p|1|2|x09|user=kim\tb=c", "900101-1234568 010-1234-5678 user='a", ordinary,
		`<Data Name="user">kim@example.com</Data>`, `{"a\\":4111111111111111}`, `["4111 1111 1111 1111",4111111111111111 ]`,
	} {
		f.Add(seed, uint16(3), uint8(5))
	}
	var sets []*Set
	for _, a := range []Action{Mask, Hash, Remove} {
		sets = append(sets, set(f, Rule{Patterns: Patterns, Fields: []string{"user", "x", "*.a"}, Action: a}))
	}
	f.Fuzz(func(t *testing.T, in string, at uint16, n uint8) {
		for _, s := range sets {
			got, _ := s.Apply(in, nil)
			if again, _ := s.Apply(got, nil); again != got {
				t.Fatalf("%q becomes %q, and then %q", in, got, again)
			}
			check(t, in, got)
			from := min(int(at), len(in))
			value := in[from:min(from+int(n), len(in))]
			got, _ = s.Apply(in, func(yield func(name, value string)) {
				yield("user", value)
				yield("x", strings.ToLower(value)+"")
			})
			check(t, in, got)
		}
	})
}

// check holds got to what is promised of every record.
func check(t *testing.T, in, got string) {
	t.Helper()
	if looksJSON(in) && json.Valid([]byte(in)) && !json.Valid([]byte(got)) {
		t.Fatalf("%q becomes %q, which is no JSON", in, got)
	}
	if len(got) > 20*len(in)+32 {
		t.Fatalf("%d bytes become %d", len(in), len(got))
	}
	if strings.Count(got, "\n") > strings.Count(in, "\n") {
		t.Fatalf("%q becomes %q", in, got)
	}
}
