package evidence

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// The example of RFC 8785, section 3.2, and what it says of numbers.
func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"{\n \"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n \"literals\": [null, true, false]\n}": `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`: "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}",
		`-0`:                  `0`,
		`1e21`:                `1e+21`,
		`123456789012345680`:  `"123456789012345680"`,
		`9007199254740992`:    `9007199254740992`,
		`"<&>\u2028"`:         "\"<&>\u2028\"",
		`{"b":{"y":1,"x":2}}`: `{"b":{"x":2,"y":1}}`,
	} {
		got, err := Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s becomes %s, %v; want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{``, `{`, `1 2`, `1e999`, "\"\xff\"", strings.Repeat("[", 70) + strings.Repeat("]", 70)} {
		if got, err := Canonical([]byte(bad)); err == nil {
			t.Errorf("%q becomes %s", bad, got)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5,"x\u0000",null,true,{"password":"x"}]}`))
	f.Add([]byte(`[1e400,-0,12345678901234567890]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		once, err := Canonical(text)
		if err != nil {
			return
		}
		if twice, err := Canonical(once); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q, which becomes %q, %v", text, once, twice, err)
		}
	})
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]struct {
		out   string
		paths []string
	}{
		`{"password":"x"}`: {`{"password":"[redacted]"}`, []string{"password"}},
		`{"passwordPolicy":{"minLength":12,"s":"x"}}`: {`{"passwordPolicy":{"minLength":12,"s":"x"}}`, []string{}},
		`{"db_password":"x","API-Key":"y"}`:           {`{"API-Key":"[redacted]","db_password":"[redacted]"}`, []string{"API-Key", "db_password"}},
		`{"password":true,"tokens":3,"secret":null}`:  {`{"password":true,"secret":null,"tokens":3}`, []string{}},
		`{"secret":{"a":["x",1,{"b":"y"}],"e":""}}`:   {`{"secret":{"a":["[redacted]",1,{"b":"[redacted]"}],"e":""}}`, []string{"secret.a.*", "secret.a.*.b"}},
		`[{"token":"x"},{"token":"y"}]`:               {`[{"token":"[redacted]"},{"token":"[redacted]"}]`, []string{".*.token"}},
		`{"tokenExpiry":"2026","secretary":"ann"}`:    {`{"secretary":"ann","tokenExpiry":"2026"}`, []string{}},
	} {
		v, err := readJSON([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		paths := redact(v)
		out, err := appendCanonical(nil, v, 0)
		if err != nil || string(out) != want.out || !slices.Equal(paths, want.paths) {
			t.Errorf("%s becomes %s at %v, want %s at %v", in, out, paths, want.out, want.paths)
		}
	}
}
