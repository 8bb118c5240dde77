package framing

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileReader(t *testing.T) {
	for _, x := range []struct {
		name, text string
		want       []string
		err        error
	}{
		{"lines", "a\nb\n", []string{"a", "b"}, io.EOF},
		{"shorter than the signature", "a", []string{"a"}, io.EOF},
		{"nothing", "", nil, io.EOF},
		{"an array", `[{"a":1},{"b":2}]`, []string{`{"a":1}`, `{"b":2}`}, io.EOF},
		{"an array that is not closed", `[{"a":1}`, []string{`{"a":1}`}, UnclosedArray},
	} {
		t.Run(x.name, func(t *testing.T) {
			f, err := NewFileReader(strings.NewReader(x.text), 100)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var got []string
			for {
				rec, err := f.Next()
				if err != nil {
					if !errors.Is(err, x.err) {
						t.Errorf("ended with %v", err)
					}
					break
				}
				got = append(got, string(rec.Text))
			}
			if strings.Join(got, "|") != strings.Join(x.want, "|") {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}

func TestFileReaderEventLog(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "sigma_evtx", "*.evtx.gz"))
	if len(files) == 0 {
		t.Skip("no shared test data beside the repository")
	}
	file, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f, err := NewFileReader(file, MaxRecord)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rec, err := f.Next()
	if err != nil || !rec.Value || rec.Line != 1 || !strings.HasPrefix(string(rec.Text), `{"Event":{"System":`) {
		t.Fatalf("record %+v %s, error %v", rec, rec.Text, err)
	}
	if _, err := f.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last record: %v", err)
	}
	if f.Faults() != "" {
		t.Error(f.Faults())
	}
	if _, err := NewFileReader(strings.NewReader("ElfFile\x00 and no more"), 100); err == nil {
		t.Error("an event log that ends within its header is read")
	}
}
