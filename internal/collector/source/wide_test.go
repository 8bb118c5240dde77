package source

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// wide writes a text as UTF-16, with its mark where it is the beginning of a file.
func wide(text string, order binary.AppendByteOrder, mark bool) string {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// A file of UTF-16 is sent as UTF-8, goes on where it was after a restart, in the
// middle of a character too, and is not read again when it is compressed.
func TestFileWide(t *testing.T) {
	for name, order := range map[string]binary.AppendByteOrder{"little endian": binary.LittleEndian, "big endian": binary.BigEndian} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.log")
			var k kept
			stop := start(t, &k, fileSource(path+"*", ""))
			text := wide("Zoë 😀\r\n안녕하세요\r\nhalf 😀 \u0a0a\r\nrest", order, true)
			cut := strings.LastIndex(text, wide("rest", order, false))
			emoji := strings.LastIndex(text, wide("😀", order, false)) + 1
			write(t, path, text[:1])
			write(t, path, text[1:emoji])
			k.await(t, "Zoë 😀", "안녕하세요")
			write(t, path, text[emoji:cut+3])
			want := []string{"Zoë 😀", "안녕하세요", "half 😀 \u0a0a"}
			k.await(t, want...)
			stop()
			write(t, path, text[cut+3:]+wide("\n", order, false))
			stop = start(t, &k, fileSource(path+"*", ""))
			want = append(want, "rest")
			k.await(t, want...)
			stop()
			write(t, path, wide("unread\r\n", order, false))
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			compress(t, path+".1")
			start(t, &k, fileSource(path+"*", ""))
			k.await(t, append(want, "unread")...)
			write(t, path, wide("new\n", order, true))
			k.await(t, append(want, "unread", "new")...)
		})
	}
}

// Two stars stand for any folders, or none.
func TestFilesBelow(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{"a.log", "x/b.log", "x/y/z/c.log", "x/y/z/c.txt", "x/skip/d.log", ".hidden/e.log"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, p)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, p), p+"\n")
	}
	if err := os.Symlink(dir, filepath.Join(dir, "x", "loop")); err != nil {
		t.Fatal(err)
	}
	var k kept
	start(t, &k, fileSource(filepath.Join(dir, "**", "*.log"), "  exclude: ['**/skip/**']\n"))
	k.awaitAll(t, ".hidden/e.log", "a.log", "x/b.log", "x/y/z/c.log")
	if err := os.MkdirAll(filepath.Join(dir, "new"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "new", "f.log"), "new/f.log\n")
	k.awaitAll(t, ".hidden/e.log", "a.log", "new/f.log", "x/b.log", "x/y/z/c.log")
	if _, _, err := Parse([]byte(fileSource("/var/log/a**b", "")), Env{}); err == nil {
		t.Error("a**b is taken")
	}
}

// awaitAll waits for records in any order.
func (k *kept) awaitAll(t *testing.T, want ...string) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); len(k.got()) < len(want) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	got := k.got()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMatchPath(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/a/**/b", "/a/b", true},
		{"/a/**/b", "/a/x/y/b", true},
		{"/a/**/b", "/a/x/y/c", false},
		{"/a/**", "/a/x/y", true},
		{"/**/x/**/*.log", "/1/x/2/3/a.log", true},
		{"/a/*/b", "/a/x/y/b", false},
		{"/a", "/a/b", false},
		{"/a/b", "/a", false},
	} {
		if got := matchPath(parts(c.pattern), parts(c.path)); got != c.want {
			t.Errorf("%s of %s: %v", c.pattern, c.path, got)
		}
	}
}

// checkWide: cut as UTF-16, in pieces of any length, a text gives the records that it
// gives as UTF-8.
func checkWide(t *testing.T, text string, step uint8, big bool) {
	t.Helper()
	var order binary.AppendByteOrder = binary.LittleEndian
	read := binary.ByteOrder(binary.LittleEndian)
	if big {
		order, read = binary.BigEndian, binary.BigEndian
	}
	text = strings.TrimPrefix(strings.ToValidUTF8(text, "\ufffd"), "\ufeff")
	in := []byte(wide(text, order, true))
	take := func(c *cutter, b []byte, last bool, to *[]string) []byte {
		for {
			out := c.take(b, last, last)
			*to = append(*to, out.records...)
			if b = b[out.used:]; out.used == 0 {
				return b
			}
		}
	}
	var want, got []string
	take(&cutter{}, []byte(text), true, &want)
	c, held := cutter{order: read}, []byte(nil)
	for rest := in; len(rest) > 0; {
		n := min(int(step)+1, len(rest))
		held = take(&c, append(held, rest[:n]...), false, &got)
		rest = rest[n:]
	}
	if left := take(&c, held, true, &got); len(left) > 0 {
		t.Fatalf("%q is left over", left)
	}
	for i := range got { // a mark that stands elsewhere may begin a piece
		got[i] = strings.TrimPrefix(got[i], "\ufeff")
	}
	for i := range want {
		want[i] = strings.TrimPrefix(want[i], "\ufeff")
	}
	if none := func(s string) bool { return s == "" }; !slices.Equal(slices.DeleteFunc(want, none), slices.DeleteFunc(got, none)) {
		t.Errorf("as UTF-8 %q, as UTF-16 %q", want, got)
	}
}
