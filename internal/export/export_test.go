package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	ID    string `json:"id"`
	Score int64  `json:"score"`
}

type item struct {
	inner
	Name   string     `json:"name"`
	Tags   []string   `json:"tags"`
	Owner  *string    `json:"owner"`
	Open   bool       `json:"open"`
	Ratio  float64    `json:"ratio"`
	At     time.Time  `json:"at"`
	Ended  *time.Time `json:"ended,omitempty"`
	Hidden string     `json:"-"`

	_ struct{} `additionalProperties:"true"`
}

func write(t testing.TB, f Format, items ...item) string {
	t.Helper()
	var b bytes.Buffer
	w, err := New[item](&b, f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range items {
		if err := w.Write(&items[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || w.Count() != int64(len(items)) {
		t.Fatal(w.Count(), err)
	}
	return b.String()
}

var at = time.Date(2026, 4, 22, 8, 15, 30, 0, time.UTC)

func TestFormats(t *testing.T) {
	a := item{inner: inner{"1", -5}, Name: `say "hi", all`, Tags: []string{"a,b", "c"}, Owner: new("kim"), Open: true, Ratio: 77.42, At: at, Ended: &at, Hidden: "x"}
	b := item{inner: inner{"2", 0}, Name: "two\nlines", At: at}
	for f, want := range map[Format]string{
		CSV: "id,score,name,tags,owner,open,ratio,at,ended\r\n" +
			`1,-5,"say ""hi"", all","[""a,b"",""c""]",kim,true,77.42,2026-04-22T08:15:30Z,2026-04-22T08:15:30Z` + "\r\n" +
			"2,0,\"two\nlines\",,,false,0,2026-04-22T08:15:30Z,\r\n",
		NDJSON: `{"id":"1","score":-5,"name":"say \"hi\", all","tags":["a,b","c"],"owner":"kim","open":true,"ratio":77.42,"at":"2026-04-22T08:15:30Z","ended":"2026-04-22T08:15:30Z"}` + "\n" +
			`{"id":"2","score":0,"name":"two\nlines","tags":null,"owner":null,"open":false,"ratio":0,"at":"2026-04-22T08:15:30Z"}` + "\n",
	} {
		if d := cmp.Diff(want, write(t, f, a, b)); d != "" {
			t.Errorf("%s: %s", f, d)
		}
	}
	var back []map[string]any
	if err := json.Unmarshal([]byte(write(t, JSON, a, b)), &back); err != nil || len(back) != 2 || back[0]["name"] != a.Name {
		t.Errorf("JSON reads as %v, %v", back, err)
	}
	if got := write(t, JSON); got != "[]" {
		t.Errorf("nothing is %q", got)
	}
	if got := write(t, CSV); got != "id,score,name,tags,owner,open,ratio,at,ended\r\n" {
		t.Errorf("nothing is %q", got)
	}
}

// names that spreadsheets, readers or encodings stumble over.
var names = []string{
	"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'x", " x", "x ", "", `"`, `""`, ",", "\n", "\r\n", "a\rb", "é", "한국어", "\u202egnp", "a\x00b", "x'; DROP TABLE", strings.Repeat("x", 70_000),
}

func TestReadersReadBackWhatWasWritten(t *testing.T) {
	items := make([]item, len(names))
	for i, n := range names {
		items[i] = item{Name: n, At: at}
	}
	text := write(t, CSV, items...)
	got := readWithGo(t, text)
	// encoding/csv turns \r\n inside of a cell into \n.
	for i, n := range names {
		want := n
		if n != "" && strings.ContainsRune("=+-@\t\r", rune(n[0])) {
			want = "'" + n
		}
		if want = strings.ReplaceAll(want, "\r\n", "\n"); got[i] != want {
			t.Errorf("%.20q reads as %.20q", n, got[i])
		}
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no Python here")
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import csv, io, json, sys
csv.field_size_limit(1 << 20)
rows = list(csv.reader(io.StringIO(sys.stdin.buffer.read().decode(), newline="")))
json.dump([r[2] for r in rows[1:]], sys.stdout)`)
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(text, "\x00", "")) // Python 3.10 and older refuse NUL
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	if err := json.Unmarshal(out, &read); err != nil || len(read) != len(names) {
		t.Fatalf("Python reads %d rows, %v", len(read), err)
	}
	for i, n := range names {
		want := strings.ReplaceAll(n, "\x00", "")
		if want != "" && strings.ContainsRune("=+-@\t\r", rune(want[0])) {
			want = "'" + want
		}
		if read[i] != want {
			t.Errorf("%.20q reads as %.20q in Python", n, read[i])
		}
	}
}

func readWithGo(t testing.TB, text string) []string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(text))
	var got []string
	for n := 0; ; n++ {
		row, err := r.Read()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			got = append(got, row[2])
		}
	}
}

func TestColumnsAndParse(t *testing.T) {
	if got := Columns[item](); !slices.Equal(got, []string{"id", "score", "name", "tags", "owner", "open", "ratio", "at", "ended"}) {
		t.Errorf("columns are %v", got)
	}
	for text, want := range map[string]Format{"csv": CSV, "JSON": JSON, "xml": "", "ndjson": "", "": ""} {
		if got, err := Parse(text); got != want || (err == nil) != (want != "") {
			t.Errorf("Parse(%q) = %q, %v", text, got, err)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, n := range names[:len(names)-1] {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := readWithGo(t, write(t, CSV, item{Name: name}))
		want := strings.ToValidUTF8(name, "\uFFFD")
		if len(got) != 1 {
			t.Fatalf("%q is read as %d rows", name, len(got))
		}
		if got[0] != strings.ReplaceAll(want, "\r\n", "\n") && got[0] != "'"+strings.ReplaceAll(want, "\r\n", "\n") {
			t.Errorf("%q reads as %q", name, got[0])
		}
	})
}

func BenchmarkCSV(b *testing.B) {
	w, err := New[item](io.Discard, CSV)
	if err != nil {
		b.Fatal(err)
	}
	it := item{inner: inner{"550e8400-e29b-41d4-a716-446655440000", 5}, Name: "47 failed logon attempts from 10.0.1.55 targeting root account", At: at, Open: true}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(&it); err != nil {
			b.Fatal(err)
		}
	}
}
