package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/framing"
)

// kept is an Output that keeps everything, as a spool would.
type kept struct {
	mu      sync.Mutex
	records []string
	chunks  []Piece
	marks   map[string]string
	faults  []error
	lost    int
}

func (k *kept) output() Output {
	return Output{
		Put: func(_ context.Context, p Piece) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.records = append(k.records, p.Chunk.Records...)
			k.chunks = append(k.chunks, p)
			for key, v := range p.Marks {
				if k.marks == nil {
					k.marks = map[string]string{}
				}
				if v == "" {
					delete(k.marks, key)
				} else {
					k.marks[key] = v
				}
			}
			return nil
		},
		Sync: func(context.Context) error { return nil },
		Marks: func() map[string]string {
			k.mu.Lock()
			defer k.mu.Unlock()
			return maps.Clone(k.marks)
		},
		Fault: func(err error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.faults = append(k.faults, err)
		},
		Lost: func(n int) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.lost += n
		},
	}
}

func (k *kept) got() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.records)
}

// await waits until the records are want.
func (k *kept) await(t *testing.T, want ...string) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := k.got()
		if slices.Equal(got, want) {
			return
		}
		if len(got) > len(want) || time.Now().After(deadline) {
			k.mu.Lock()
			defer k.mu.Unlock()
			t.Fatalf("got  %.20q … %.20q (%d)\nwant … %.20q (%d)\nfaults %v", got[:min(len(got), 2)], got[max(len(got)-3, 0):], len(got), want[max(len(want)-3, 0):], len(want), k.faults)
		}
	}
}

// start runs the source of a text until stop is called.
func start(t *testing.T, k *kept, text string) (stop func()) {
	t.Helper()
	src, _, err := Parse([]byte(text), Env{Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := src.Run(ctx, k.output()); err != nil {
			t.Errorf("ended: %v", err)
		}
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			<-ended
		})
	}
	t.Cleanup(stop)
	return stop
}

func fileSource(pattern, more string) string {
	return "source:\n  type: file\n  poll: 10ms\n  paths: ['" + pattern + "']\n" + more
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func lines(from, to int) (text string, records []string) {
	for i := from; i < to; i++ {
		r := fmt.Sprintf("line %05d of this log", i)
		records = append(records, r)
		text += r + "\n"
	}
	return text, records
}

func TestFileGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	var k kept
	start(t, &k, fileSource(path, ""))
	write(t, path, "one\r\n\ntwo\nthr")
	k.await(t, "one", "two")
	write(t, path, "ee\n")
	k.await(t, "one", "two", "three")
	if c := k.chunks[len(k.chunks)-1].Chunk; c.Input != "file" || c.Peer != path || c.Host != "h" {
		t.Errorf("%+v", c)
	}
}

func TestFileRenamedAndFollowedByANewOne(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	var k kept
	start(t, &k, fileSource(path+"*", ""))
	text, want := lines(0, 50)
	write(t, path, text)
	k.await(t, want...)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path+".1", "late\n") // by a writer that has not noticed
	k.await(t, append(want, "late")...)
	if c := k.chunks[len(k.chunks)-1].Chunk; c.Peer != path { // or the server would not know the head of its table
		t.Errorf("records of a renamed file come from %s, want %s", c.Peer, path)
	}
	write(t, path, "new\n")
	k.await(t, append(want, "late", "new")...)
}

// A killed collector knows what it had spooled, wherever the files are by then.
func TestFileRestart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	var k kept
	stop := start(t, &k, fileSource(path+"*", ""))
	text, want := lines(0, 100)
	write(t, path, text)
	k.await(t, want...)
	stop()
	more, rest := lines(100, 110)
	write(t, path, more)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, "fresh\n")
	start(t, &k, fileSource(path+"*", ""))
	k.await(t, append(append(want, rest...), "fresh")...)
}

func TestFileCopiedAndCutOff(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprint("more while copied ", restarted), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.log")
			var k kept
			start(t, &k, fileSource(path+"*", ""))
			text, want := lines(0, 100)
			write(t, path, text)
			k.await(t, want...)
			copied := text
			if restarted {
				copied += "only in the copy\n"
			}
			write(t, path+".1", copied)
			time.Sleep(1200 * time.Millisecond) // the copy is seen while the original is whole
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			if restarted {
				want = append(want, "only in the copy")
				k.await(t, want...)
			}
			time.Sleep(1200 * time.Millisecond)
			write(t, path, "new\n")
			k.await(t, append(want, "new")...)
		})
	}
}

// Copied and cut off between two looks, as log rotation does it: whichever of the two
// is seen first, the copy is known as one.
func TestFileCopiedAndCutOffAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	var k kept
	start(t, &k, fileSource(path+"*", ""))
	text, want := lines(0, 100)
	write(t, path, text)
	k.await(t, want...)
	write(t, path+".1", text)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1200 * time.Millisecond)
	write(t, path, "new\n")
	k.await(t, append(want, "new")...)
}

// Cut off and grown beyond the old end between two looks.
func TestFileCutOffAndGrown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	var k kept
	stop := start(t, &k, fileSource(path, ""))
	text, want := lines(0, 10)
	write(t, path, text)
	k.await(t, want...)
	stop()
	other, rest := lines(500, 520)
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, &k, fileSource(path, ""))
	k.await(t, append(want, rest...)...)
}

// Files of the same content are not one file: content decides nothing.
func TestFilesAlike(t *testing.T) {
	dir := t.TempDir()
	text, want := lines(0, 18)
	write(t, filepath.Join(dir, "a.log"), text)
	write(t, filepath.Join(dir, "b.log"), text)
	var k kept
	start(t, &k, fileSource(filepath.Join(dir, "*.log"), ""))
	k.await(t, append(slices.Clone(want), want...)...)
}

func compress(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path + ".gz.tmp")
	if err != nil {
		t.Fatal(err)
	}
	zw := gzip.NewWriter(f)
	if _, err := zw.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	keepTime(t, path+".gz.tmp")
	if err := os.Rename(path+".gz.tmp", path+".gz"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// keepTime gives a compressed file the time of something that was written before, as gzip
// does when it is done.
func keepTime(t *testing.T, path string) {
	t.Helper()
	before := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, before, before); err != nil {
		t.Fatal(err)
	}
}

// A compressor writes under the final name while the original is still there: what is
// there so far must not be sent, neither torn nor twice.
func TestFileCompressedSlowly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	var k kept
	start(t, &k, fileSource(path+"*", ""))
	text, want := lines(0, 100)
	write(t, path+".1", text)
	k.await(t, want...)
	packed := zipped(t, text)
	half := len(packed) / 2
	write(t, path+".1.gz", string(packed[:half]))
	keepTime(t, path+".1.gz") // however old it says that it is
	time.Sleep(1500 * time.Millisecond)
	write(t, path+".1.gz", string(packed[half:]))
	keepTime(t, path+".1.gz")
	if err := os.Remove(path + ".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, "new\n")
	time.Sleep(1500 * time.Millisecond)
	k.await(t, append(want, "new")...)
}

// A compressed file that comes in pieces, with no original beside it, is read on when it
// grows.
func TestFileCompressedInPieces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log.1.gz")
	var k kept
	start(t, &k, fileSource(path, ""))
	text, want := lines(0, 100)
	first, rest, _ := strings.Cut(text, want[50])
	one, two := zipped(t, first), zipped(t, want[50]+rest)
	write(t, path, string(one)) // a whole member, as far as anybody can tell
	keepTime(t, path)
	k.await(t, want[:50]...)
	write(t, path, string(two[:len(two)-4]))
	keepTime(t, path)
	time.Sleep(1500 * time.Millisecond)
	write(t, path, string(two[len(two)-4:]))
	keepTime(t, path)
	k.await(t, want...)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.faults) == 0 || !errors.Is(k.faults[0], errTorn) {
		t.Errorf("faults %v: nobody was told that the file ended too early", k.faults)
	}
}

// zipped returns text as gzip makes it.
func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Files of one kind begin alike: one that is shorter than what was read of another that
// is gone is no copy of it.
func TestFileBeginsLikeOneThatIsGone(t *testing.T) {
	dir := t.TempDir()
	head := strings.Repeat("column,", 200) + "\n"
	source := fileSource(filepath.Join(dir, "traffic.*.csv"), "")
	var k kept
	stop := start(t, &k, source)
	text, want := lines(0, 100)
	want = append([]string{strings.TrimSuffix(head, "\n")}, want...)
	write(t, filepath.Join(dir, "traffic.1.csv"), head+text)
	k.await(t, want...)
	stop()
	if err := os.Remove(filepath.Join(dir, "traffic.1.csv")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "traffic.2.csv"), head+"first\n")
	start(t, &k, source)
	k.await(t, append(want, want[0], "first")...)
}

func TestFileCompressed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	more := "  exclude: ['*.tmp']\n"
	var k kept
	// What was compressed before the source was new is read whole.
	text, old := lines(0, 20)
	write(t, path+".2", text)
	compress(t, path+".2")
	stop := start(t, &k, fileSource(path+"*", more))
	k.await(t, old...)
	text, next := lines(20, 120)
	write(t, path, text)
	want := append(old, next...)
	k.await(t, want...)
	// What was read and compressed since is not, while running …
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	compress(t, path+".1")
	write(t, path, "a new log, and a line\n")
	want = append(want, "a new log, and a line")
	k.await(t, want...)
	time.Sleep(1200 * time.Millisecond)
	k.await(t, want...)
	stop()
	// … or stopped: then only what came in between is read.
	write(t, path, "unread\n")
	if err := os.Rename(path, path+".3"); err != nil {
		t.Fatal(err)
	}
	compress(t, path+".3")
	stop = start(t, &k, fileSource(path+"*", more))
	want = append(want, "unread")
	k.await(t, want...)
	stop()
	start(t, &k, fileSource(path+"*", more))
	time.Sleep(300 * time.Millisecond)
	k.await(t, want...)
}

// renumber puts the mark of one file under the number of another, as if the file system
// had used the number again.
func (k *kept) renumber(t *testing.T, from, to string) {
	t.Helper()
	if k.marks[from] == "" {
		t.Fatalf("no mark of %s in %v", from, k.marks)
	}
	k.marks[to] = k.marks[from]
	delete(k.marks, from)
}

func idOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	id, err := fileID(path, info)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Compressed while nothing was read, and the new file has the number of the old one.
func TestFileCompressedAndItsNumberUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	source := fileSource(path+"*", "  exclude: ['*.tmp']\n")
	var k kept
	stop := start(t, &k, source)
	text, want := lines(0, 100)
	write(t, path, text)
	k.await(t, want...)
	stop()
	old := idOf(t, path)
	write(t, path, "unread\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	compress(t, path+".1")
	write(t, path, "fresh\n")
	if id := idOf(t, path); id != old {
		k.renumber(t, old, id)
	}
	stop = start(t, &k, source)
	want = append(want, "unread", "fresh")
	k.await(t, want...)
	stop()

	// A compressed file that is made anew under the number of one that was read is read.
	gz := idOf(t, path+".1.gz")
	if err := os.Remove(path + ".1.gz"); err != nil {
		t.Fatal(err)
	}
	text, more := lines(300, 320)
	write(t, path+".9", text)
	compress(t, path+".9")
	if id := idOf(t, path+".9.gz"); id != gz {
		k.renumber(t, gz, id)
	}
	start(t, &k, source)
	want = append(want, more...)
	k.await(t, want...)
	time.Sleep(1200 * time.Millisecond)
	k.await(t, want...)
}

// Killed after a file was cut off and written anew, and before what is known of its copy
// was on disk.
func TestFileKilledBeforeItsCopyWasKnown(t *testing.T) {
	for _, packed := range []bool{false, true} {
		t.Run(fmt.Sprint("packed ", packed), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.log")
			source := fileSource(path+"*", "  exclude: ['*.tmp']\n")
			var k kept
			stop := start(t, &k, source)
			text, want := lines(0, 100)
			write(t, path, text)
			k.await(t, want...)
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			write(t, path, "new\n")
			want = append(want, "new")
			k.await(t, want...)
			stop()
			copied := path + ".1"
			write(t, copied, text)
			if packed {
				compress(t, copied)
				copied += ".gz"
			}
			old := time.Now().Add(-time.Minute) // as gzip and cp -p leave it
			if err := os.Chtimes(copied, old, old); err != nil {
				t.Fatal(err)
			}
			start(t, &k, source)
			time.Sleep(300 * time.Millisecond)
			write(t, path, "newer\n")
			k.await(t, append(want, "newer")...)
		})
	}
}

// Copied, cut off and compressed at once, as log rotation does it without delay, while
// the source reads and while it does not.
func TestFileCopiedCutOffAndCompressed(t *testing.T) {
	for _, c := range []struct{ stopped, packed bool }{{false, true}, {true, true}, {true, false}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.log")
			source := fileSource(path+"*", "  exclude: ['*.tmp']\n")
			var k kept
			stop := start(t, &k, source)
			text, want := lines(0, 100)
			write(t, path, text)
			k.await(t, want...)
			if c.stopped {
				stop()
				write(t, path, "unread\n")
				text += "unread\n"
				want = append(want, "unread")
			}
			copied := path + ".1"
			if !c.packed {
				write(t, copied, text)
			} else {
				write(t, path+".tmp", text)
				compress(t, path+".tmp")
				if err := os.Rename(path+".tmp.gz", copied+".gz"); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			write(t, path, "new\n")
			if c.stopped {
				start(t, &k, source)
			}
			time.Sleep(1500 * time.Millisecond)
			got := k.got()
			slices.Sort(got)
			all := append(want, "new")
			slices.Sort(all)
			if !slices.Equal(got, all) {
				t.Errorf("%d records, want %d: %.30q", len(got), len(all), got)
			}
		})
	}
}

func TestFileStartsAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	write(t, path, "old\n")
	var k kept
	stop := start(t, &k, fileSource(filepath.Join(dir, "*.log"), "  start: end\n"))
	for deadline := time.Now().Add(5 * time.Second); len(k.output().Marks()) == 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	write(t, path, "new\n")
	k.await(t, "new")
	write(t, filepath.Join(dir, "b.log"), "of a later file\n")
	k.await(t, "new", "of a later file")
	stop()
	write(t, path, "while stopped\n")
	start(t, &k, fileSource(filepath.Join(dir, "*.log"), "  start: end\n"))
	k.await(t, "new", "of a later file", "while stopped")
}

func TestFileMultiline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	more := "  multiline: {start: '^[A-Z]', timeout: 300ms, max_lines: 5}\n"
	var k kept
	stop := start(t, &k, fileSource(path, more))
	write(t, path, "Error\n  at a\n  at b\nNext\n")
	k.await(t, "Error\n  at a\n  at b", "Next") // the second by its time
	write(t, path, "Long\n1\n2\n3\n4\n5\n6\n")
	k.await(t, "Error\n  at a\n  at b", "Next", "Long\n1\n2\n3\n4", "5\n6")
	stop()
	start(t, &k, fileSource(path, more))
	write(t, path, "Last\n")
	k.await(t, "Error\n  at a\n  at b", "Next", "Long\n1\n2\n3\n4", "5\n6", "Last")
}

func TestFileLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write(t, path, strings.Repeat("x", 2*framing.MaxRecord)+"end\nshort\n")
	var k kept
	start(t, &k, fileSource(path, ""))
	k.await(t, strings.Repeat("x", framing.MaxRecord), "short")
	if !slices.ContainsFunc(k.chunks, func(p Piece) bool { return slices.Equal(p.Chunk.Cut, []uint32{0}) }) {
		t.Error("the cut is not marked")
	}
}

func TestDocker(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "containers", "c0ffee")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config.v2.json"), `{"ID":"c0ffee","Name":"/web","Config":{"Image":"nginx:1"}}`)
	write(t, filepath.Join(dir, "c0ffee-json.log"), `{"log":"hello\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}`+"\n"+
		`{"log":"torn ","stream":"stderr","time":"2026-01-02T03:04:06Z"}`+"\n"+`{"log":"line\n","stream":"stderr","time":"2026-01-02T03:04:07Z"}`+"\n")
	var k kept
	start(t, &k, "source: {type: docker, root: '"+root+"', containers: ['w*']}")
	tail := `,"container_id":"c0ffee","container_name":"web","container_image":"nginx:1"}`
	k.await(t, `{"log":"hello\n","stream":"stdout","time":"2026-01-02T03:04:05Z"`+tail, `{"log":"torn line\n","stream":"stderr","time":"2026-01-02T03:04:07Z"`+tail)
}

func checkCutter(t *testing.T, in []byte, step uint8, grouped bool) {
	t.Helper()
	whole, pieces := cutter{}, cutter{}
	if grouped {
		g := &group{begins: func(b []byte) bool { return len(b) > 0 && b[0] == 'a' }, most: 3}
		whole.group, pieces.group = g, g
	}
	var want, got []string
	drain := func(c *cutter, b []byte, last bool, to *[]string) []byte {
		for {
			out := c.take(b, last, last)
			*to = append(*to, out.records...)
			if b = b[out.used:]; out.used == 0 {
				return b
			}
		}
	}
	if left := drain(&whole, in, true, &want); len(left) > 0 {
		t.Fatalf("%q is left over", left)
	}
	var held []byte
	for rest := in; len(rest) > 0; {
		n := min(int(step)+1, len(rest))
		held = drain(&pieces, append(held, rest[:n]...), false, &got)
		rest = rest[n:]
	}
	drain(&pieces, held, true, &got)
	if !slices.Equal(want, got) {
		t.Errorf("at once %q, in pieces %q", want, got)
	}
}
