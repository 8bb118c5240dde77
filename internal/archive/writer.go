package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// A writer appends to the newest segment of one tenant.
type writer struct {
	dir string

	mu    sync.Mutex
	file  *os.File
	day   string
	size  int64
	prev  hash
	seq   uint64 // of the last block
	part  uint16 // its partition
	any   bool   // there is a last block
	dirty bool
	buf   []byte
}

// openWriter finds the end of the chain. What a crash left half written at the
// end was never acknowledged as archived: it is cut off, and comes again from
// the queue.
func openWriter(ctx context.Context, dir string, log *slog.Logger) (*writer, error) {
	w := &writer{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	segments, err := listSegments(dir)
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Backward(segments) {

		end, err := findEnd(s.path)
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w: move it away and run kyra archive verify", s.path, err)
		}
		if end.good < s.size {
			log.WarnContext(ctx, "archive segment ends within a block: cutting it off", "segment", s.path, "bytes", s.size-end.good)
			if err := os.Truncate(s.path, end.good); err != nil {
				return nil, err
			}
		}
		if w.file == nil {
			if w.file, err = os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
				return nil, err
			}
			w.day, w.size = s.day, end.good
		}
		if end.any {
			w.prev, w.seq, w.part, w.any = end.sum, end.seq, end.part, true
			break
		}
	}
	return w, nil
}

type chainEnd struct {
	good int64 // bytes of whole blocks
	sum  hash
	seq  uint64
	part uint16
	any  bool
}

func findEnd(path string) (chainEnd, error) {
	f, err := os.Open(path)
	if err != nil {
		return chainEnd{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return chainEnd{}, err
	}
	var end chainEnd
	last := int64(-1)
	for {
		h, err := readHeader(f, end.good, info.Size())
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
			break
		}
		if err != nil {
			return chainEnd{}, fmt.Errorf("at byte %d: %w", end.good, err)
		}
		last = end.good
		end.good += headerSize + h.payload + int64(len(hash{}))
	}
	if last < 0 {
		return end, nil
	}
	h, sum, err := readBlock(f, last, info.Size())
	if errors.Is(err, errDamaged) && end.good == info.Size() {
		// The length is there but not all pages: a crash of the machine.
		return findEndBefore(f, last, info.Size())
	}
	if err != nil {
		return chainEnd{}, fmt.Errorf("at byte %d: %w", last, err)
	}
	end.sum, end.seq, end.part, end.any = sum, h.Seq, h.Partition, true
	return end, nil
}

// findEndBefore returns the end of the chain before the block at off.
func findEndBefore(f *os.File, off, size int64) (chainEnd, error) {
	var end chainEnd
	for end.good < off {
		h, sum, err := readBlock(f, end.good, size)
		if err != nil {
			return chainEnd{}, fmt.Errorf("at byte %d: %w", end.good, err)
		}
		end.good += h.size()
		end.sum, end.seq, end.part, end.any = sum, h.Seq, h.Partition, true
	}
	return end, nil
}

func (w *writer) append(b *Block) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.any && b.Seq <= w.seq {
		return nil
	}
	day := time.Unix(0, b.LastArrived).UTC().Format(dayFormat)
	if w.file == nil || day > w.day { // a clock that was set back goes on in the newer segment
		if err := w.roll(day); err != nil {
			return err
		}
	}
	var sum hash
	w.buf, sum = b.marshal(w.buf[:0], w.prev)
	if _, err := w.file.Write(w.buf); err != nil {
		// Half a block must not stay in front of the next.
		return errors.Join(fmt.Errorf("write archive segment: %w", err), w.file.Truncate(w.size))
	}
	w.size += int64(len(w.buf))
	w.prev, w.seq, w.part, w.any, w.dirty = sum, b.Seq, b.Partition, true, true
	return nil
}

func (w *writer) roll(day string) error {
	if err := w.closeFile(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(w.dir, day+suffix), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("make archive segment: %w", err)
	}
	w.file, w.day, w.size = f, day, 0
	return syncDir(w.dir)
}

func (w *writer) sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.syncFile()
}

func (w *writer) syncFile() error {
	if !w.dirty {
		return nil
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync archive segment: %w", err)
	}
	w.dirty = false
	return nil
}

func (w *writer) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closeFile()
}

func (w *writer) closeFile() error {
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.syncFile(), w.file.Close())
	w.file = nil
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
