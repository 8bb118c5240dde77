// Package spool keeps batches on a collector's disk until the server has them.
//
// A batch and the marks of its sources (how far each file was read, which
// journal entry came last) are one file: both are on disk, or neither. So a
// killed collector neither loses a record that it has passed nor takes one twice.
package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// Marks says how far the sources have read: a source's name, then a key of the
// source's own, then its value. As a change, an empty value takes the key away.
type Marks map[string]map[string]string

// apply changes m.
func (m Marks) apply(change Marks) {
	for source, keys := range change {
		for k, v := range keys {
			switch {
			case v == "":
				delete(m[source], k)
			case m[source] == nil:
				m[source] = map[string]string{k: v}
			default:
				m[source][k] = v
			}
		}
		if len(m[source]) == 0 {
			delete(m, source)
		}
	}
}

// clone returns a copy that shares nothing.
func (m Marks) clone() Marks {
	out := make(Marks, len(m))
	for source, keys := range m {
		out[source] = maps.Clone(keys)
	}
	return out
}

// Totals counts what a source has spooled since the collector was enrolled.
type Totals struct {
	Records  int64 `json:"records"`
	Bytes    int64 `json:"bytes"`
	Filtered int64 `json:"filtered,omitempty"`
	Dropped  int64 `json:"dropped,omitempty"`
}

func (t Totals) plus(o Totals) Totals {
	return Totals{t.Records + o.Records, t.Bytes + o.Bytes, t.Filtered + o.Filtered, t.Dropped + o.Dropped}
}

// An Entry is what Append puts on disk as one.
type Entry struct {
	Chunks []protocol.Chunk
	Marks  Marks             // as changes
	Counts map[string]Totals // of each source, to be added
}

// empty reports whether there is nothing to send.
func (e *Entry) empty() bool { return len(e.Chunks) == 0 }

// Full is returned by Append when the spool holds as much as it may, or the disk does.
var Full = errors.New("spool is full") //nolint:staticcheck // ST1012: reads well with its package, as fault's kinds do

// A Spool is a folder of batches. All methods may be called at the same time.
type Spool struct {
	dir   string
	limit int64
	log   *slog.Logger
	codec protocol.Codec // of Append, under writing

	writing sync.Mutex // one Append or Remove at a time

	mu     sync.Mutex
	state  state   // as of the last batch in waiting
	base   state   // as of the last removed batch
	queued []place // waiting to be acknowledged, in order
	bytes  int64
	filled chan struct{} // a token when queued grows
	room   chan struct{} // closed and renewed when queued shrinks
}

// state is what survives the batches.
type state struct {
	Last   uint64            `json:"last"` // the highest number given to a batch
	Marks  Marks             `json:"marks"`
	Totals map[string]Totals `json:"totals"`
}

func (s *state) apply(h *header) {
	s.Last = max(s.Last, h.Seq)
	s.Marks.apply(h.Marks)
	for name, c := range h.Counts {
		s.Totals[name] = s.Totals[name].plus(c)
	}
}

// A place is one waiting batch.
type place struct {
	header
	size int64
}

const (
	suffix    = ".batch"
	stateFile = "state.json"
)

// Open reads the spool in dir, which it makes where it is missing. At most limit
// bytes wait in it. A batch that is damaged is put aside, and said so.
func Open(dir string, limit int64, log *slog.Logger) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool: %w", err)
	}
	s := &Spool{dir: dir, limit: limit, log: log, filled: make(chan struct{}, 1), room: make(chan struct{})}
	if err := s.readState(); err != nil {
		return nil, err
	}
	s.state = state{Last: s.base.Last, Marks: s.base.Marks.clone(), Totals: maps.Clone(s.base.Totals)}
	names, err := os.ReadDir(dir) // in the order of the numbers
	if err != nil {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	for _, entry := range names {
		path := filepath.Join(dir, entry.Name())
		switch {
		case strings.HasSuffix(entry.Name(), ".new"):
			if err := os.Remove(path); err != nil { // torn by a crash: nobody relies on it
				return nil, fmt.Errorf("clear spool: %w", err)
			}
		case strings.HasSuffix(entry.Name(), suffix):
			if err := s.admit(path); err != nil {
				return nil, err
			}
		}
	}
	// Numbers begin at the present millisecond, and grow slower than it. So they
	// never come again, also where the folder was lost or an old copy is back.
	s.state.Last = max(s.state.Last, uint64(time.Now().UnixMilli()))
	s.signal()
	return s, nil
}

// admit takes a batch that an earlier run left.
func (s *Spool) admit(path string) error {
	h, packed, err := readFile(path)
	if err != nil {
		if !errors.Is(err, errDamaged) {
			return fmt.Errorf("read spool: %w", err)
		}
		s.log.Error("a spooled batch is damaged and was put aside: its records will be read again where their source still has them", "file", path, "error", err)
		if err := os.Rename(path, path+".damaged"); err != nil {
			return fmt.Errorf("put a damaged batch aside: %w", err)
		}
		return nil
	}
	size := int64(fixedSize + h.length + len(packed))
	if h.Seq <= s.base.Last { // acknowledged, and the crash came before it was removed
		return os.Remove(path)
	}
	s.state.apply(h)
	s.queued = append(s.queued, place{*h, size})
	s.bytes += size
	return nil
}

func (s *Spool) readState() error {
	s.base = state{Marks: Marks{}, Totals: map[string]Totals{}}
	data, err := os.ReadFile(filepath.Join(s.dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read spool: %w", err)
	}
	if err := json.Unmarshal(data, &s.base); err != nil {
		return fmt.Errorf("%s is damaged: %w: put it aside to begin anew; sources then start as if they were new", filepath.Join(s.dir, stateFile), err)
	}
	if s.base.Marks == nil {
		s.base.Marks = Marks{}
	}
	if s.base.Totals == nil {
		s.base.Totals = map[string]Totals{}
	}
	return nil
}

// Marks returns the marks of a source as of the last spooled batch.
func (s *Spool) Marks(source string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.state.Marks[source])
}

// Totals returns what each source has spooled.
func (s *Spool) Totals() map[string]Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.state.Totals)
}

// Append puts e on disk. When it returns nil, e survives a crash. An entry
// without records only moves marks and counts: it makes no batch where none waits.
func (s *Spool) Append(e *Entry) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	h := &header{Seq: s.state.Last + 1, Made: time.Now().UnixNano(), Marks: e.Marks, Counts: e.Counts}
	idle, left := len(s.queued) == 0, s.limit-s.bytes
	s.mu.Unlock()
	if e.empty() && idle {
		s.mu.Lock()
		h.Seq = s.state.Last
		s.state.apply(h)
		s.base.apply(h)
		s.mu.Unlock()
		return s.writeState()
	}
	if left <= 0 {
		return Full
	}
	for i := range e.Chunks {
		h.Records += len(e.Chunks[i].Records)
	}
	var packed []byte
	if !e.empty() {
		var err error
		if packed, err = s.codec.Encode(nil, &protocol.Batch{Seq: h.Seq, Chunks: e.Chunks}); err != nil {
			return err
		}
	}
	if !idle && int64(len(packed)) > left { // an idle spool takes any batch, or it would wait for ever
		return Full
	}
	size, err := writeFile(s.path(h.Seq), h, packed)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.state.apply(h)
	s.queued = append(s.queued, place{*h, size})
	s.bytes += size
	s.mu.Unlock()
	s.signal()
	return nil
}

func (s *Spool) path(seq uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%020d%s", seq, suffix))
}

func (s *Spool) signal() {
	select {
	case s.filled <- struct{}{}:
	default:
	}
}

// Filled gets a token when there may be something to send.
func (s *Spool) Filled() <-chan struct{} { return s.filled }

// Room is closed when the spool shrinks.
func (s *Spool) Room() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room
}

// Oldest returns the number and the packed form of the batch to send next, and
// false when there is none. A batch that only moves marks needs no sending: its
// packed form is empty.
func (s *Spool) Oldest() (seq uint64, packed []byte, ok bool, err error) {
	s.mu.Lock()
	if len(s.queued) == 0 {
		s.mu.Unlock()
		return 0, nil, false, nil
	}
	first := s.queued[0]
	s.mu.Unlock()
	_, packed, err = readFile(s.path(first.Seq))
	if err != nil {
		return 0, nil, false, err
	}
	return first.Seq, packed, true, nil
}

// Remove forgets the batches up to seq, which the server has.
func (s *Spool) Remove(seq uint64) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	var gone []place
	for len(s.queued) > 0 && s.queued[0].Seq <= seq {
		p := s.queued[0]
		s.queued = s.queued[1:]
		gone = append(gone, p)
		s.bytes -= p.size
		s.base.apply(&p.header)
	}
	close(s.room)
	s.room = make(chan struct{})
	s.mu.Unlock()
	if len(gone) == 0 {
		return nil
	}
	// The marks of a batch must be on disk before the batch goes.
	if err := s.writeState(); err != nil {
		return err
	}
	for _, p := range gone {
		if err := os.Remove(s.path(p.Seq)); err != nil {
			return fmt.Errorf("remove a sent batch: %w", err)
		}
	}
	return nil
}

// SetAside takes the oldest batch, seq, out of the way without forgetting it: its
// file stays under another name, and its records count as dropped.
func (s *Spool) SetAside(seq uint64) (path string, records int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	if len(s.queued) == 0 || s.queued[0].Seq != seq {
		s.mu.Unlock()
		return "", 0, fmt.Errorf("batch %d is not the oldest", seq)
	}
	p := s.queued[0]
	s.queued = s.queued[1:]
	s.bytes -= p.size
	s.base.apply(&p.header)
	lost := map[string]Totals{}
	for name, c := range p.Counts {
		lost[name] = Totals{Records: -c.Records, Bytes: -c.Bytes, Dropped: c.Records}
	}
	s.base.apply(&header{Counts: lost})
	s.state.apply(&header{Counts: lost})
	s.mu.Unlock()
	path = s.path(seq) + ".refused"
	if err := os.Rename(s.path(seq), path); err != nil {
		return "", 0, fmt.Errorf("put a batch aside: %w", err)
	}
	return path, p.Records, s.writeState()
}

func (s *Spool) writeState() error {
	s.mu.Lock()
	data, err := json.Marshal(&s.base)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("write state of the spool: %w", err)
	}
	return WriteFile(filepath.Join(s.dir, stateFile), data, 0o600)
}

// Depth is what waits in a spool.
type Depth struct {
	Bytes, Limit int64
	Records      int64
	Batches      int
	Oldest       time.Time // zero where nothing waits
}

// Depth tells what waits.
func (s *Spool) Depth() Depth {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := Depth{Bytes: s.bytes, Limit: s.limit, Batches: len(s.queued)}
	for i := range s.queued {
		d.Records += int64(s.queued[i].Records)
	}
	if len(s.queued) > 0 {
		d.Oldest = time.Unix(0, s.queued[0].Made)
	}
	return d
}

// SetLimit changes how many bytes may wait.
func (s *Spool) SetLimit(limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	close(s.room)
	s.room = make(chan struct{})
}

// Count reads how many records wait in the spool at dir, which it does not change.
func Count(dir string) (records int64, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	for _, path := range paths {
		h, headErr := readHeader(path)
		if headErr == nil {
			records += int64(h.Records)
		}
	}
	return records, err
}
