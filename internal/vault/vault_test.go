package vault

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

func TestPutGet(t *testing.T) {
	dir := t.TempDir()
	v, err := Open(filepath.Join(dir, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("evidence "), 10_000)
	ref, err := v.PutBytes(1, content)
	if err != nil || ref.Size != int64(len(content)) || len(ref.SHA256) != 64 {
		t.Fatalf("put: %+v, %v", ref, err)
	}
	if again, err := v.PutBytes(1, content); err != nil || again != ref {
		t.Errorf("put again: %+v, %v", again, err)
	}
	r, err := v.Get(1, ref)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	for name, get := range map[string]func() (io.ReadCloser, error){
		"another tenant's": func() (io.ReadCloser, error) { return v.Get(2, ref) },
		"a path":           func() (io.ReadCloser, error) { return v.Get(1, Ref{SHA256: "../../" + ref.SHA256}) },
		"nothing":          func() (io.ReadCloser, error) { return v.Get(1, Ref{}) },
	} {
		if _, err := get(); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v, want NotFound", name, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "vault", "part-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTooLargeKeepsNothing(t *testing.T) {
	dir := t.TempDir()
	v, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Put(1, strings.NewReader("12345"), 4); !errors.Is(err, fault.TooLarge) {
		t.Errorf("five bytes of four: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := v.Put(1, strings.NewReader("1234"), 4); err != nil {
		t.Errorf("four bytes of four: %v", err)
	}
}

func TestChangedFileIsNoticed(t *testing.T) {
	v, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ref, err := v.PutBytes(1, []byte("as it was"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v.path(1, ref.SHA256), []byte("as it is"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := v.Get(1, ref)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrChanged) {
		t.Errorf("reading a changed file = %v, want ErrChanged", err)
	}
}

func TestSweep(t *testing.T) {
	v, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	old, err := v.PutBytes(1, []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := v.PutBytes(1, []byte("fresh"))
	if err != nil {
		t.Fatal(err)
	}
	day := time.Now().AddDate(0, 0, -1)
	if err := os.Chtimes(v.path(1, old.SHA256), day, day); err != nil {
		t.Fatal(err)
	}
	if err := v.Sweep(time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(1, old); !errors.Is(err, fault.NotFound) {
		t.Errorf("the old file: %v, want NotFound", err)
	}
	r, err := v.Get(1, fresh)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
}
