package source

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

const (
	headSize = 1024 // bytes of a file's beginning that it is known by
	tailSize = 256  // bytes before an offset that must be as they were
	readSize = 256 << 10
)

var polynomial = crc64.MakeTable(crc64.ECMA)

// A mark is how far a file was read, and what it is known by.
type mark struct {
	Path   string `json:"p"`
	Offset int64  `json:"o"`
	Skip   bool   `json:"k,omitempty"` // the offset lies inside a line that was cut
	Head   int    `json:"n"`           // length of the beginning that HeadSum is of
	Sum    uint64 `json:"h"`
	Tail   uint64 `json:"t"`           // sum of the tailSize bytes before Offset
	Gone   int64  `json:"g,omitempty"` // when the file had no name any more, seconds since 1970
	Old    bool   `json:"z,omitempty"` // a compressed file: Offset counts plain bytes, Sum is of those of the file
	Done   bool   `json:"d,omitempty"` // and it was read to its end
	Size   int64  `json:"s,omitempty"` // of the compressed file as of then
	Before *mark  `json:"b,omitempty"` // as of when the file was cut off, until the copy that was made then is known
}

// forms returns what a copy of the file may be known by: the mark, where the file is not
// what it was any more, and that of before it was cut off.
func (m mark) forms(replaced bool) []mark {
	var all []mark
	if replaced && !m.Old && m.Offset > 0 {
		all = append(all, m)
	}
	if m.Before != nil {
		all = append(all, *m.Before)
	}
	return all
}

func parseMark(text string) (m mark, err error) {
	err = json.Unmarshal([]byte(text), &m)
	return m, err
}

func (m mark) String() string {
	text, _ := json.Marshal(m) // cannot fail
	return string(text)
}

// fits reports whether file is the one that the mark was made of, not cut off since.
func (m mark) fits(file io.ReaderAt, size int64) bool {
	if m.Old || size < m.Offset || !sameHead(m, file, size) {
		return false
	}
	sum, err := sumBefore(file, m.Offset)
	return err == nil && sum == m.Tail
}

// sameHead reports whether file begins as that of the mark.
func sameHead(m mark, file io.ReaderAt, size int64) bool {
	sum, n, err := sumHead(file, min(int64(m.Head), size))
	return err == nil && n == m.Head && sum == m.Sum
}

// alike reports whether two files begin with the same n bytes.
func alike(a, b io.ReaderAt, n int64) bool {
	one, _, errA := sumHead(a, n)
	other, _, errB := sumHead(b, n)
	return errA == nil && errB == nil && one == other
}

func sumHead(file io.ReaderAt, n int64) (sum uint64, length int, err error) {
	b := make([]byte, min(n, headSize))
	if _, err := file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	return crc64.Checksum(b, polynomial), len(b), nil
}

func sumBefore(file io.ReaderAt, offset int64) (uint64, error) {
	from := max(offset-tailSize, 0)
	b := make([]byte, offset-from)
	if _, err := file.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return crc64.Checksum(b, polynomial), nil
}

// A tail is a file that is followed.
type tail struct {
	number int // in the order in which files were found
	id     string
	path   string
	file   *os.File
	pos    int64  // what lies before it was put
	buf    []byte // what was read from pos on
	head   int
	sum    uint64
	last   uint64 // sum of what lies before pos
	cutter cutter
	grew   time.Time // when something was read last
	stamp  time.Time // modification time as of then
	gone   time.Time // when no pattern named it any more
	before mark      // as of when the file was cut off
}

func (t *tail) mark() mark {
	m := mark{Path: t.cutter.path, Offset: t.pos, Skip: t.cutter.skip, Head: t.head, Sum: t.sum, Tail: t.last}
	if t.before.Offset > 0 {
		before := t.before
		m.Before = &before
	}
	return m
}

// cut notes what the file was before it was cut off.
func (t *tail) cut(m mark) { m.Before, t.before = nil, m }

// read takes what a file has grown by, up to a bound, and reports whether there is more.
func (f *files) read(ctx context.Context, t *tail, now time.Time) (more bool, err error) {
	info, err := t.file.Stat()
	if err != nil {
		f.out.Fault(fmt.Errorf("look at %s: %w", t.path, err))
		return false, nil
	}
	end := t.pos + int64(len(t.buf))
	if info.Size() == end && info.ModTime().Equal(t.stamp) {
		if len(t.buf) > 0 && f.group != nil && now.Sub(t.grew) >= f.group.timeout {
			return false, f.put(ctx, t, t.cutter.take(t.buf, true, false))
		}
		return false, nil
	}
	if info.Size() < end || t.changed() {
		// Cut off, to be written anew. What was read but is not whole is gone with it.
		t.cut(t.mark())
		t.pos, t.buf, t.head, t.cutter.skip = 0, nil, 0, false
		if err := f.put(ctx, t, cutting{}); err != nil {
			return false, err
		}
		end = 0
	}
	t.stamp = info.ModTime()
	for budget := 4; budget > 0; budget-- {
		n, err := f.fill(t, end)
		if err != nil {
			f.out.Fault(fmt.Errorf("read %s: %w", t.path, err))
			return false, nil
		}
		if n > 0 {
			t.grew = now
		}
		if t.pos == 0 { // only now, perhaps, there are two bytes of it
			t.cutter.order = byteOrder(t.buf)
		}
		end += int64(n)
		if err := f.drain(ctx, t); err != nil {
			return false, err
		}
		if n < readSize {
			return false, nil
		}
	}
	return true, nil
}

// cutOff reports whether the file is shorter, or another, than what was read of it.
func (t *tail) cutOff() bool {
	info, err := t.file.Stat()
	return err == nil && (info.Size() < t.pos || t.changed())
}

// changed reports whether what was read last does not stand there any more: the
// file was cut off and grew beyond the old end between two looks.
func (t *tail) changed() bool {
	if t.pos == 0 {
		return false
	}
	sum, err := sumBefore(t.file, t.pos)
	return err == nil && sum != t.last
}

// fill reads on at the offset end.
func (f *files) fill(t *tail, end int64) (int, error) {
	if f.room == nil {
		f.room = make([]byte, readSize)
	}
	n, err := t.file.ReadAt(f.room, end)
	if len(t.buf) == 0 {
		t.buf = f.room[:n]
	} else {
		t.buf = append(t.buf, f.room[:n]...)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// drain puts the whole records of what was read, and keeps the rest.
func (f *files) drain(ctx context.Context, t *tail) error {
	for len(t.buf) > 0 {
		c := t.cutter.take(t.buf, false, false)
		if c.used == 0 {
			break
		}
		if err := f.put(ctx, t, c); err != nil {
			return err
		}
	}
	t.buf = append([]byte(nil), t.buf...)
	return nil
}

// put hands records on together with the mark behind them.
func (f *files) put(ctx context.Context, t *tail, c cutting) error {
	t.pos += int64(c.used)
	if t.buf = t.buf[c.used:]; len(t.buf) == 0 {
		t.buf = nil
	}
	var err error
	if t.head < headSize {
		if t.sum, t.head, err = sumHead(t.file, t.pos); err != nil {
			f.out.Fault(fmt.Errorf("read %s: %w", t.path, err))
		}
	}
	if t.last, err = sumBefore(t.file, t.pos); err != nil {
		f.out.Fault(fmt.Errorf("read %s: %w", t.path, err))
	}
	p := f.spec.piece(f.input, t.cutter.path) // the name that it began with: the server keeps the head of a table under it
	p.Chunk.Records, p.Chunk.Cut = c.records, c.cut
	p.Marks = map[string]string{t.id: t.mark().String()}
	return f.out.Put(ctx, p)
}

// readOld reads a file that a rotation compressed, but not what was read of it
// before it was.
func (f *files) readOld(ctx context.Context, x found) error {
	m := f.marks[x.id]
	if m.Old && m.Done && f.whole[x.id] == x.seen() {
		return nil
	}
	sum, head, same, err := headOf(x.path, m)
	if err != nil {
		f.out.Fault(fmt.Errorf("read %s: %w", x.path, err))
		return nil
	}
	if m.Old && m.Head > 0 && !same {
		m = mark{} // the number is that of a file which is gone
	}
	if m.Old && m.Done && (m.Size == 0 || m.Size >= x.info.Size()) {
		f.whole[x.id] = x.seen()
		return nil
	}
	m.Done = false // or it was not whole then
	if f.first && f.spec.Start == "end" {
		m = mark{Path: x.path, Old: true, Done: true, Head: head, Sum: sum, Size: x.info.Size()}
		f.marks[x.id] = m
		return f.out.Put(ctx, Piece{Marks: map[string]string{x.id: m.String()}})
	}
	if f.beingWritten(x) {
		return nil
	}
	var original string
	if !m.Old {
		m = mark{Path: x.path, Old: true, Head: head, Sum: sum}
		id, offset, err := f.plainOf(x)
		if err != nil {
			f.out.Fault(fmt.Errorf("read %s: %w", x.path, err))
			return nil // being written, perhaps: the next look tries again
		}
		original, m.Offset = id, offset
	}
	m.Head, m.Sum = head, sum
	file, plain, err := openGzip(x.path)
	if err != nil {
		f.out.Fault(fmt.Errorf("read %s: %w", x.path, err))
		return nil
	}
	defer file.Close()
	ahead := bufio.NewReader(plain)
	begin, _ := ahead.Peek(2) // what fails here fails again below
	c := cutter{group: f.group, path: x.path, order: byteOrder(begin)}
	if _, err := io.CopyN(io.Discard, ahead, m.Offset); err != nil {
		f.out.Fault(fmt.Errorf("read %s: %w", x.path, err))
		return nil
	}
	var buf []byte
	for last := false; !last; {
		held := len(buf)
		buf = append(buf, make([]byte, readSize)...)
		n, err := io.ReadFull(ahead, buf[held:])
		buf = buf[:held+n]
		last = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errTorn)
		if err != nil && !last || errors.Is(err, errTorn) {
			f.out.Fault(fmt.Errorf("read %s: %w", x.path, err))
		}
		if err != nil && !last {
			return nil
		}
		for {
			got := c.take(buf, last, last)
			buf = buf[got.used:]
			m.Offset += int64(got.used)
			if got.used == 0 {
				break
			}
			p := f.spec.piece(f.input, x.path)
			p.Chunk.Records, p.Chunk.Cut = got.records, got.cut
			p.Marks = map[string]string{x.id: m.String()}
			if err := f.out.Put(ctx, p); err != nil {
				return err
			}
			f.marks[x.id] = m
		}
	}
	m.Done, m.Size = true, x.info.Size()
	f.marks[x.id] = m
	change := map[string]string{x.id: m.String()}
	_, present := f.now[original]
	switch t := f.tails[original]; {
	case original == "" || original == x.id:
	case t != nil:
		t.before = mark{}
	case present:
		known := f.marks[original]
		known.Before = nil
		f.marks[original] = known
		change[original] = known.String()
	default:
		delete(f.marks, original)
		change[original] = ""
	}
	return f.out.Put(ctx, Piece{Marks: change})
}

// settled is for how long a compressed file has to have stayed as it is before it is read:
// compressors write under the final name. Those that keep the original's time are read at
// once.
const settled = 5 * time.Second

// beingWritten reports whether a compressed file may not be whole yet. While the file that
// it is made of is still there, that one is read.
func (f *files) beingWritten(x found) bool {
	if age := time.Since(x.info.ModTime()); age >= 0 && age < settled {
		return true
	}
	plain := strings.TrimSuffix(x.path, ".gz")
	for _, y := range f.now {
		if y.path == plain {
			return true
		}
	}
	return false
}

// headOf returns what a compressed file is known by, and whether it begins as that of the
// mark, which may have been made when there was less of it.
func headOf(path string, m mark) (sum uint64, length int, same bool, err error) {
	file, err := openShared(path)
	if err != nil {
		return 0, 0, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, 0, false, err
	}
	sum, length, err = sumHead(file, min(headSize, info.Size()))
	return sum, length, sameHead(m, file, info.Size()), err
}

// plainOf finds the file that x was made of, and how far that was read: one that has no
// name any more, or whose number is another's by now, or that was cut off after it was
// copied.
func (f *files) plainOf(x found) (id string, offset int64, err error) {
	type candidate struct {
		id string
		mark
	}
	var candidates []candidate
	for id, m := range f.marks {
		if m.Old || id == x.id || !related(m.Path, x.path) {
			continue
		}
		for _, form := range m.forms(f.replaced(id, m)) {
			candidates = append(candidates, candidate{id, form})
		}
	}
	for id, t := range f.tails {
		if !related(t.cutter.path, x.path) {
			continue
		}
		_, present := f.now[id]
		for _, form := range t.mark().forms(!present || t.cutOff()) {
			candidates = append(candidates, candidate{id, form})
		}
	}
	// Of several the one that was read furthest.
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.Offset, a.Offset) })
	for _, m := range candidates {
		file, plain, err := openGzip(x.path)
		if err != nil {
			return "", 0, err
		}
		head := make([]byte, min(int64(m.Head), m.Offset))
		same := false
		if _, err := io.ReadFull(plain, head); err == nil && crc64.Checksum(head, polynomial) == m.Sum {
			same = tailFits(plain, int64(len(head)), head, m.mark)
		}
		file.Close()
		if same {
			return m.id, m.Offset, nil
		}
	}
	return "", 0, nil
}

// tailFits reads on to the mark's offset and compares what lies before it.
func tailFits(plain io.Reader, at int64, head []byte, m mark) bool {
	from := max(m.Offset-tailSize, 0)
	var last []byte
	if from < at {
		last = append(last, head[from:]...)
	} else if _, err := io.CopyN(io.Discard, plain, from-at); err != nil {
		return false
	}
	rest := make([]byte, m.Offset-from-int64(len(last)))
	if _, err := io.ReadFull(plain, rest); err != nil {
		return false
	}
	return crc64.Checksum(append(last, rest...), polynomial) == m.Tail
}

var errTorn = errors.New("the compressed file ends too early: what could be read of it was, and more is read when it grows")

// A plainReader tells the end of a compressed file that is not whole from that of what it
// holds, which io.ReadFull would not.
type plainReader struct{ io.Reader }

func (r plainReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errTorn
	}
	return n, err
}

// openGzip returns the plain bytes of a compressed file; errTorn at its end where it is not
// whole.
func openGzip(path string) (*os.File, io.Reader, error) {
	file, err := openShared(path)
	if err != nil {
		return nil, nil, err
	}
	plain, err := gzip.NewReader(file)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, plainReader{plain}, nil
}
