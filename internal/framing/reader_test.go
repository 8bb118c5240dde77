package framing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// readAll returns the texts of all records, marked where they are cut or broken.
func readAll(src io.Reader) (texts []string, err error) {
	r := NewReader(src)
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return texts, err
		}
		text := string(rec.Text)
		if rec.Cut {
			text = fmt.Sprintf("cut:%d", len(text))
		}
		if rec.Problem != "" {
			text = "!" + text
		}
		texts = append(texts, text)
	}
}

func TestReader(t *testing.T) {
	long := strings.Repeat("x", MaxRecord)
	for name, tt := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":               {"", nil},
		"blank lines only":      {"\n \r\n\t\n", nil},
		"text lines":            {"one\ntwo\r\nthree", []string{"one", "two", "three"}},
		"blank lines between":   {"one\n\n \n\ttwo  \n", []string{"one", "\ttwo  "}},
		"text, NUL and Latin-1": {"a\x00b\ncaf\xe9\n", []string{"a\x00b", "caf\xe9"}},
		"many returns":          {"one\r\r\n", []string{"one"}},
		"byte order mark":       {"\xef\xbb\xbf{\"a\":1}\n", []string{`{"a":1}`}},
		"UTF-16 little":         {"\xff\xfeh\x00i\x00\n\x00y\x00", []string{"hi", "y"}},
		"UTF-16 big":            {"\xfe\xff\x00{\x00}\x00\n\x00y", []string{"{}", "y"}},

		"ndjson":             {"{\"a\":1}\n{\"b\":[1,{\"c\":\"}\"}]}\r\n\n{}", []string{`{"a":1}`, `{"b":[1,{"c":"}"}]}`, `{}`}},
		"raw bytes are kept": {`{ "a" : 12345678901234567890 , "b":"\u00e9 é \"\\" }`, []string{`{ "a" : 12345678901234567890 , "b":"\u00e9 é \"\\" }`}},
		"concatenated":       {`{"a":1}{"a":2} {"a":3}`, []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		"commas between":     {"{\"a\":1},\n{\"a\":2} , {\"a\":3}", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		"over lines":         {"{\n \"a\": [\n1,\n2]\n}\n{\"b\":\n1}\n", []string{"{\n \"a\": [\n1,\n2]\n}", "{\"b\":\n1}"}},
		"text sequence":      {"\x1e{\"a\":1}\n\x1e{\"a\":2}\n", []string{`{"a":1}`, `{"a":2}`}},
		"array":              {` [ {"a":1} , {"a":2},{"a":[3]}]`, []string{`{"a":1}`, `{"a":2}`, `{"a":[3]}`}},
		"array over lines":   {"[\n  {\"a\":1},\n  {\"a\":\n2}\n]\n", []string{`{"a":1}`, "{\"a\":\n2}"}},
		"array of strings":   {`["one","t\u0077o\n","", 3, null, [4]]`, []string{"one", "two\n", "3", "null", "[4]"}},
		"empty array":        {"[]", nil},
		"arrays in lines":    {"[{\"a\":1}]\n[{\"a\":2},{\"a\":3}]", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},

		"CloudTrail":        {`{"Records":[{"a":1},{"b":[2]}]}`, []string{`{"a":1}`, `{"b":[2]}`}},
		"Azure, over lines": {"{ \"records\" : [\n{\"a\":1},\n {\"a\":2}\n] }\n{\"records\":[{\"a\":3}]}\n{\"b\":4}", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`, `{"b":4}`}},
		"Graph":             {`{"@odata.context":"https://x","@odata.count":2,"value":[{"a":1},{"a":2}],"@odata.nextLink":"y"}`, []string{`{"a":1}`, `{"a":2}`}},
		"Workspace":         {`{"kind":"admin#reports#activities","etag":"\"x\"","items":[{"a":1}],"nextPageToken":"y"}{"b":1}`, []string{`{"a":1}`, `{"b":1}`}},
		"Kubernetes":        {`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{"a":{}},"items":[{"a":1}]}`, []string{`{"a":1}`}},
		"more behind":       {`{"items":[{"a":1}],"total":5}`, []string{`{"a":1}`, `{"total":5}`}},
		"wraps nothing":     {`{"Records":[]}`, []string{`{"Records":[]}`}},
		"no wrapper":        {`{"a":1,"Records":[{"b":1}]}{"kind":"Event","items":[{"b":1}]}{"Records":[1]}{"Records":{"a":[{}]}}`, []string{`{"a":1,"Records":[{"b":1}]}`, `{"kind":"Event","items":[{"b":1}]}`, `{"Records":[1]}`, `{"Records":{"a":[{}]}}`}},
		"a broken wrapper":  {"{\"Records\":[{\"a\":1},{\"b\":,},\n{\"c\":1}]}", []string{`{"a":1}`, `!{"b":,},`, `{"c":1}`}},
		"broken behind":     {"{\"Records\":[{\"a\":1}] x}\n{\"c\":1}", []string{`{"a":1}`, ` x}`, `{"c":1}`}},

		"broken line":          {"{\"a\":1}\n{\"b\":\n{\"c\":3}\n", []string{`{"a":1}`, `!{"b":`, `{"c":3}`}},
		"broken last line":     {"{\"a\":1}\n{\"b\":", []string{`{"a":1}`, `!{"b":`}},
		"open bracket":         {"{\"b\":[\n{\"c\":3}\n{\"d\":4}\n", []string{`!{"b":[`, `{"c":3}`, `{"d":4}`}},
		"open string":          {"{\"b\":\"x\n{\"c\":3}\n", []string{`!{"b":"x`, `{"c":3}`}},
		"escaped line end":     {"{\"b\":\"x\\\n{\"c\":3}\n", []string{`!{"b":"x\`, `{"c":3}`}},
		"text between":         {"{\"a\":1}\n  plain text\n{\"b\":2}\n", []string{`{"a":1}`, "  plain text", `{"b":2}`}},
		"text after value":     {"{\"a\":1} and more\n{\"b\":2}\n", []string{`!{"a":1} and more`, `{"b":2}`}},
		"broken concatenation": {`{"a":1}{"b":,}{"c":3}`, []string{`{"a":1}`, `!{"b":,}{"c":3}`}},
		"broken array":         {"[{\"a\":1},{\"b\":,},\n{\"c\":3}]\n", []string{`{"a":1}`, `!{"b":,},`, `{"c":3}`}},
		"broken array start":   {"[{main}] fatal\n{\"a\":1}\n]\n[{x}] y\n]", []string{`![{main}] fatal`, `{"a":1}`, `![{x}] y`}},
		"stray bracket":        {"{\"a\":1}\n]\n{\"b\":2}", []string{`{"a":1}`, "]", `{"b":2}`}},
		"text with a brace":    {"{main} thrown\nnext", []string{"!{main} thrown", "next"}},
		"not an array":         {"[Sun Dec 04 04:47:44 2005] [notice] x\n[  1.5] usb\n", []string{"[Sun Dec 04 04:47:44 2005] [notice] x", "[  1.5] usb"}},
		"number in brackets":   {"[1] a\n", []string{"[1] a"}},
		"too deep":             {strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200) + "\n{}", []string{"!" + strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "{}"}},

		"line at the limit":    {long + "\r\nnext", []string{long, "next"}},
		"line over the limit":  {long + "yz\nnext", []string{fmt.Sprint("cut:", MaxRecord), "next"}},
		"ten times the limit":  {strings.Repeat(long, 10) + "\nnext", []string{fmt.Sprint("cut:", MaxRecord), "next"}},
		"value over the limit": {`{"a":"` + long + "\\\"" + long + `"}{"b":1}` + "\n{}", []string{fmt.Sprint("cut:", MaxRecord), `{"b":1}`, "{}"}},
		"broken and too long":  {`{"a":"` + long + "\n{}", []string{fmt.Sprint("!cut:", MaxRecord), "{}"}},
		"element too long":     {`[{"a":"` + long + `"},{"b":1}]`, []string{fmt.Sprint("cut:", MaxRecord), `{"b":1}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readAll(strings.NewReader(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%.200q: (-want +got)\n%s", tt.in, diff)
			}
			if len(tt.in) > 10_000 {
				return
			}
			// How the bytes arrive changes nothing.
			got, err = readAll(iotest.OneByteReader(strings.NewReader(tt.in)))
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("byte by byte: %.200q: %v (-want +got)\n%s", tt.in, err, diff)
			}
			got, err = readAll(iotest.DataErrReader(strings.NewReader(tt.in)))
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("error with the last data: %.200q: %v (-want +got)\n%s", tt.in, err, diff)
			}
		})
	}
}

func TestReaderPlaces(t *testing.T) {
	in := "{\"a\":1}\n\n{\"b\":\n{\"c\":\n3} {\"d\":4}\n"
	r := NewReader(strings.NewReader(in))
	var got []string
	for {
		rec, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, fmt.Sprintf("%d %d %q", rec.Line, rec.End, rec.Text))
	}
	want := []string{`1 7 "{\"a\":1}"`, `3 14 "{\"b\":"`, `4 23 "{\"c\":\n3}"`, `5 31 "{\"d\":4}"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q: (-want +got)\n%s", in, diff)
	}
}

// A source that fails leaves the whole records, and not the torn one.
func TestReaderTornSource(t *testing.T) {
	boom := errors.New("boom")
	for in, want := range map[string][]string{
		"one\ntwo":                {"one"},
		"one\ntwo\n":              {"one", "two"},
		"{\"a\":1}\n{\"b\":2":     {`{"a":1}`},
		"{\"a\":1}\n{\"b\":\"":    {`{"a":1}`},
		"[{\"a\":1},":             {`{"a":1}`},
		"{\"a\":1}\n{\"b\":2} {}": {`{"a":1}`, `{"b":2}`, "{}"},
		"":                        nil,
		"\xff\xfea\x00\n\x00b":    {"a"},
	} {
		got, err := readAll(io.MultiReader(strings.NewReader(in), iotest.ErrReader(boom)))
		if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, boom) {
			t.Errorf("%q: err=%v (-want +got)\n%s", in, err, diff)
		}
	}
	if got, err := readAll(strings.NewReader(`[{"a":1},{"b":2}`)); !errors.Is(err, UnclosedArray) || len(got) != 2 {
		t.Errorf("unclosed array: %q, %v", got, err)
	}
}

func TestReaderLines(t *testing.T) {
	r := NewReader(strings.NewReader("{\"a\":1}{\"b\":2}\n\n[\"x\"]\r\n{\n\xef\xbb\xbf"))
	r.Lines()
	var got []string
	for {
		rec, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, string(rec.Text))
	}
	if diff := cmp.Diff([]string{`{"a":1}{"b":2}`, `["x"]`, "{", "\xef\xbb\xbf"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReaderOffset(t *testing.T) {
	// What follows the end of any record, read alone, gives the records after it.
	in := "{\"a\":1}\n{\"b\":2}{\"c\":3}\n{\"d\":\n{\"e\":5}\n"
	all, _ := readAll(strings.NewReader(in))
	r := NewReader(strings.NewReader(in))
	for i := range all {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		rest, err := readAll(strings.NewReader(in[rec.End:]))
		if diff := cmp.Diff(all[i+1:], append([]string{}, rest...)); diff != "" || err != nil {
			t.Errorf("after %q: %v (-want +got)\n%s", rec.Text, err, diff)
		}
	}
}

// line is any text that a line can hold.
func line() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		raw := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "raw")
		text := strings.Map(func(r rune) rune {
			if r == '\n' || r == '\r' {
				return '.'
			}
			return r
		}, string(raw))
		return "~" + text
	})
}

func TestReaderSplitsWhatIsJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(line(), 0, 20).Draw(t, "lines")
		end := rapid.SampledFrom([]string{"\n", "\r\n", "\n\n"}).Draw(t, "end")
		got, err := readAll(strings.NewReader(strings.Join(want, end)))
		if diff := cmp.Diff(append([]string{}, want...), append([]string{}, got...)); diff != "" || err != nil {
			t.Fatalf("%v (-want +got)\n%s", err, diff)
		}
	})
}

func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 4
		if depth == 0 {
			kinds = 2
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.String().Draw(t, "string")
		case 1:
			return rapid.Int().Draw(t, "number")
		case 2:
			return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "array")
		}
		return rapid.MapOfN(rapid.String(), value(depth-1), 0, 3).Draw(t, "object")
	})
}

func TestReaderSplitsJoinedJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []string
		for i := range rapid.IntRange(1, 10).Draw(t, "n") {
			v := map[string]any{"i": i, "v": value(3).Draw(t, "value")}
			data, err := json.Marshal(v)
			if rapid.Bool().Draw(t, "indented") {
				data, err = json.MarshalIndent(v, "", "  ")
			}
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, string(data))
		}
		form := rapid.SampledFrom([][3]string{
			{"", "\n", "\n"}, {"", "", ""}, {"", " \r\n", ""}, {"[", ",", "]"}, {"[\n", ",\n", "\n]\n"}, {" [ ", " , ", " ] "},
		}).Draw(t, "form")
		in := form[0] + strings.Join(want, form[1]) + form[2]
		got, err := readAll(strings.NewReader(in))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatalf("%q: %v (-want +got)\n%s", in, err, diff)
		}
	})
}

// Hostile bodies must not cost more than reading them some times.
func TestReaderStaysLinear(t *testing.T) {
	const size = 2 << 20
	for name, unit := range map[string]string{
		"nested over lines": "{\"a\":\n", "open arrays": "{\"a\":[{},\n", "arrays": "[[\n", "commas": "{},\n", "blank": "\n", "bracket": "[\n", "quotes": "\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(strings.NewReader("{}\n" + strings.Repeat(unit, size/len(unit))))
			for {
				if _, err := r.Next(); err != nil {
					break
				}
			}
			// Without a bound, each line of the first would be read 128 times.
			if r.wasted > maxWasted+MaxRecord {
				t.Errorf("%q: %d bytes read in vain", unit, r.wasted)
			}
			if cap(r.buf) > 4*MaxRecord {
				t.Errorf("%q: holds %d bytes", unit, cap(r.buf))
			}
		})
	}
}

func checkReader(t *testing.T, in []byte) {
	t.Helper()
	whole, err := readAll(bytes.NewReader(in))
	bytewise, err2 := readAll(iotest.OneByteReader(bytes.NewReader(in)))
	if diff := cmp.Diff(whole, bytewise); diff != "" || fmt.Sprint(err) != fmt.Sprint(err2) {
		t.Fatalf("%q: %v, %v (-whole +byte by byte)\n%s", in, err, err2, diff)
	}
}
