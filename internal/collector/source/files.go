package source

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type fileSpec struct {
	Common    `yaml:",inline"`
	Paths     []string      `yaml:"paths"`     // patterns of filepath.Match, ** for any folders
	Exclude   []string      `yaml:"exclude"`   // patterns of a path or of its last part
	Start     string        `yaml:"start"`     // of files that are there when the source is new: beginning, end
	Multiline *Multiline    `yaml:"multiline"` //
	Poll      time.Duration `yaml:"poll"`      // how often to look; default 250ms
}

func newFiles(s *fileSpec, _ Env) (Source, error) {
	if len(s.Paths) == 0 {
		return nil, wrong("paths", "must name at least one file, such as /var/log/*.log")
	}
	for _, list := range [][]string{s.Paths, s.Exclude} {
		for _, p := range list {
			if err := checkPattern(p); err != nil {
				return nil, wrong("paths", "%q is not a pattern: %v", p, err)
			}
		}
	}
	for _, p := range s.Paths {
		if !filepath.IsAbs(p) {
			return nil, wrong("paths", "%q must begin at the root", p)
		}
	}
	if s.Start != "" && s.Start != "beginning" && s.Start != "end" {
		return nil, wrong("start", "is %q, allowed: beginning, end", s.Start)
	}
	g, err := s.Multiline.group()
	if err != nil {
		return nil, err
	}
	return newFileReader(s, "file", g), nil
}

func newFileReader(s *fileSpec, input string, g *group) *files {
	s.Poll = max(cmp.Or(s.Poll, 250*time.Millisecond), 10*time.Millisecond)
	return &files{spec: s, input: input, group: g}
}

type auditdSpec struct {
	Common `yaml:",inline"`
	Path   string `yaml:"path"` // default /var/log/audit/audit.log
}

// newAuditd follows the audit daemon's file. The server joins the records of one
// event by their serial number.
func newAuditd(s *auditdSpec, _ Env) (Source, error) {
	path := cmp.Or(s.Path, "/var/log/audit/audit.log")
	if !filepath.IsAbs(path) {
		return nil, wrong("path", "%q must begin at the root", path)
	}
	s.Hint = cmp.Or(s.Hint, "auditd")
	return newFileReader(&fileSpec{Common: s.Common, Paths: []string{path, path + ".*"}}, "auditd", nil), nil
}

// files follows the files that patterns name.
//
// A file is known by its device and number, not by its name: renaming it loses
// nothing and repeats nothing. The mark of a file holds how far it was read and
// sums of its beginning and of what was read last, so that another file under the
// same number, or one that was cut off and grew again, is not taken for it.
type files struct {
	spec  *fileSpec
	input string
	group *group

	out    Output
	room   []byte           // that all files are read into
	tails  map[string]*tail // by id
	marks  map[string]mark  // of files that are not open
	held   map[string]time.Time
	now    map[string]found    // what the patterns name, by id
	whole  map[string]seenFile // compressed files that were found to be those of their marks
	opened int
	first  bool          // the source is new: no marks, first look
	looked time.Duration // what the last look for files took
}

const (
	scanEvery  = time.Second
	closeAfter = time.Minute      // that a file without a name stays open, as its writer may not have noticed
	holdCopy   = 20 * time.Second // that a file which looks like a copy waits for the original to be cut off
	forgetMark = 72 * time.Hour
	maxMarks   = 4096
)

// Run implements Source.
func (f *files) Run(ctx context.Context, out Output) error {
	f.out, f.room = out, nil
	f.tails, f.marks, f.held, f.whole = map[string]*tail{}, map[string]mark{}, map[string]time.Time{}, map[string]seenFile{}
	defer func() {
		for _, t := range f.tails {
			t.file.Close()
		}
	}()
	for id, text := range out.Marks() {
		if m, err := parseMark(text); err == nil {
			f.marks[id] = m
		}
	}
	f.first = len(f.marks) == 0
	var scanned time.Time
	for {
		now := time.Now()
		if now.Sub(scanned) >= max(min(scanEvery, 4*f.spec.Poll), f.looked*20) { // a large tree is looked at less often
			scanned = now
			if err := f.scan(ctx, now); err != nil {
				return err
			}
			f.first = false
		}
		busy := false
		for _, t := range f.inOrder() {
			more, err := f.read(ctx, t, now)
			if err != nil {
				return err
			}
			busy = busy || more
		}
		if !busy {
			f.room = nil
		}
		if !busy && !pause(ctx, f.spec.Poll) || ctx.Err() != nil {
			return nil
		}
	}
}

// inOrder lists the open files as they were found, the oldest first.
func (f *files) inOrder() []*tail {
	return slices.SortedFunc(maps.Values(f.tails), func(a, b *tail) int { return cmp.Compare(a.number, b.number) })
}

// match lists the files that the patterns name, oldest first, so that rotated
// files are sent in the order in which they were written.
func (f *files) match() []found {
	var all []found
	seen := map[string]bool{}
	for _, pattern := range f.spec.Paths {
		paths, err := glob(pattern)
		if err != nil {
			f.out.Fault(err)
		}
		for _, path := range paths {
			if seen[path] || f.excluded(path) {
				continue
			}
			seen[path] = true
			info, err := os.Stat(path)
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			id, err := fileID(path, info)
			if err != nil {
				f.out.Fault(fmt.Errorf("look at %s: %w", path, err))
				continue
			}
			all = append(all, found{path, id, info})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int {
		return cmp.Or(a.info.ModTime().Compare(b.info.ModTime()), cmp.Compare(len(b.path), len(a.path))) // a.log.1 before a.log
	})
	return all
}

type found struct {
	path, id string
	info     os.FileInfo
}

// A seenFile tells whether a file may have been changed since it was looked into.
type seenFile struct {
	size     int64
	modified time.Time
}

func (x found) seen() seenFile { return seenFile{x.info.Size(), x.info.ModTime()} }

func (f *files) excluded(path string) bool {
	for _, p := range f.spec.Exclude {
		base, _ := filepath.Match(p, filepath.Base(path)) // the patterns were checked
		if base || matchPath(parts(p), parts(path)) {
			return true
		}
	}
	return false
}

// scan finds files that are new, renamed or gone.
func (f *files) scan(ctx context.Context, now time.Time) error {
	begin := time.Now()
	all := f.match()
	f.looked = time.Since(begin)
	f.now = make(map[string]found, len(all))
	for _, x := range all {
		f.now[x.id] = x
	}
	for _, x := range all {
		if t := f.tails[x.id]; t != nil {
			t.path, t.gone = x.path, time.Time{}
			continue
		}
		var err error
		if strings.HasSuffix(x.path, ".gz") {
			err = f.readOld(ctx, x)
		} else {
			err = f.open(ctx, x, now)
		}
		if err != nil {
			return err
		}
	}
	gone := func(id string) bool {
		_, ok := f.now[id]
		return !ok
	}
	maps.DeleteFunc(f.held, func(id string, _ time.Time) bool { return gone(id) })
	maps.DeleteFunc(f.whole, func(id string, _ seenFile) bool { return gone(id) })
	for id, t := range f.tails {
		switch {
		case !gone(id):
		case t.gone.IsZero():
			t.gone = now
		case now.Sub(t.gone) >= closeAfter && now.Sub(t.grew) >= closeAfter:
			if err := f.finish(ctx, t, now); err != nil {
				return err
			}
		}
	}
	return f.forget(ctx, now)
}

// open begins to follow a file.
func (f *files) open(ctx context.Context, x found, now time.Time) error {
	if x.info.Size() == 0 && f.marks[x.id].Offset == 0 {
		if !f.first {
			return nil // nothing to read, and nothing to know it by
		}
	}
	file, err := openShared(x.path)
	if err != nil {
		f.out.Fault(fmt.Errorf("open: %w", err))
		return nil
	}
	f.opened++
	t := &tail{number: f.opened, id: x.id, path: x.path, file: file, grew: now, cutter: cutter{group: f.group, path: x.path}}
	if t.cutter.order, err = byteOrderOf(file); err != nil {
		f.out.Fault(fmt.Errorf("read %s: %w", x.path, err))
	}
	size := x.info.Size()
	if t.cutter.order != nil {
		size &^= 1
	}
	m, known := f.marks[x.id]
	switch {
	case known && m.fits(file, size):
		t.pos, t.cutter.skip, t.head, t.sum, t.last = m.Offset, m.Skip, m.Head, m.Sum, m.Tail
		t.cutter.path = cmp.Or(m.Path, x.path)
		if m.Before != nil {
			t.before = *m.Before
		}
	case f.first && f.spec.Start == "end":
		t.pos = size
	default:
		from, wait := f.copyOf(x, file, now)
		if wait {
			file.Close()
			return nil
		}
		t.pos = from
		if known && !m.Old && m.Offset > 0 { // it was cut off while nothing was read
			t.cut(m)
		}
	}
	delete(f.held, x.id)
	delete(f.marks, x.id)
	f.tails[x.id] = t
	if known && t.pos == m.Offset && t.head == m.Head {
		return nil
	}
	return f.put(ctx, t, cutting{}) // so that a restart knows it
}

// copyOf looks whether a file is the copy that a rotation made before it cut the
// original off. Then what was read of the original is not read again. While the
// original is whole nobody can know, and the file waits.
func (f *files) copyOf(x found, file *os.File, now time.Time) (from int64, wait bool) {
	for _, t := range f.tails {
		if !related(t.path, x.path) || len(x.path) <= len(t.path) || !t.gone.IsZero() {
			continue
		}
		size := x.info.Size()
		for _, m := range t.mark().forms(t.cutOff()) { // now, perhaps, since it was read last
			switch {
			case !sameHead(m, file, size):
			case size < m.Offset: // the original went on before it was cut off: all of the copy was read
				t.before = mark{}
				return size, false
			case m.fits(file, size):
				t.before = mark{}
				return m.Offset, false
			}
		}
		if t.pos > 0 && alike(t.file, file, min(size, int64(t.head))) {
			since, held := f.held[x.id]
			if !held {
				f.held[x.id] = now
			}
			if !held || now.Sub(since) < holdCopy {
				return 0, true
			}
		}
	}
	for id, m := range f.marks { // copied and cut off while nothing was read
		size := x.info.Size()
		if m.Old || id == x.id || !related(m.Path, x.path) {
			continue
		}
		_, present := f.now[id]
		for _, form := range m.forms(f.replaced(id, m)) {
			switch {
			case !sameHead(form, file, size):
			case size < form.Offset:
				// Of an original that is gone it is no copy: another file begins alike.
				if present {
					return size, false
				}
			case form.fits(file, size):
				return form.Offset, false
			}
		}
	}
	return 0, false
}

// replaced reports whether the file that m was made of, and that is not open, is gone or
// cut off: its number may be another file's by now.
func (f *files) replaced(id string, m mark) bool {
	x, ok := f.now[id]
	if !ok {
		return true
	}
	file, err := openShared(x.path)
	if err != nil {
		return false
	}
	defer file.Close()
	return !m.fits(file, x.info.Size())
}

// related reports whether b can be what a rotation made of a.
func related(a, b string) bool {
	if a == b || filepath.Dir(a) != filepath.Dir(b) {
		return false
	}
	stem, _, _ := strings.Cut(filepath.Base(a), ".")
	return strings.HasPrefix(filepath.Base(b), stem)
}

// finish ends a file that has no name any more.
func (f *files) finish(ctx context.Context, t *tail, now time.Time) error {
	if err := f.put(ctx, t, t.cutter.take(t.buf, true, true)); err != nil {
		return err
	}
	t.file.Close()
	m := t.mark()
	m.Gone = now.Unix()
	f.marks[t.id] = m
	delete(f.tails, t.id)
	return f.out.Put(ctx, Piece{Marks: map[string]string{t.id: m.String()}})
}

// forget drops the marks of files that went long ago.
func (f *files) forget(ctx context.Context, now time.Time) error {
	change := map[string]string{}
	for id, m := range f.marks {
		_, present := f.now[id]
		switch {
		case present:
		case m.Gone == 0:
			m.Gone = now.Unix()
			f.marks[id] = m
			change[id] = m.String()
		case now.Sub(time.Unix(m.Gone, 0)) > forgetMark || len(f.marks)-len(change) > maxMarks:
			delete(f.marks, id)
			change[id] = ""
		}
	}
	if len(change) == 0 {
		return nil
	}
	return f.out.Put(ctx, Piece{Marks: change})
}
