package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// A place is where a block begins that was seen before.
type place struct {
	off int64
	seq uint64
}

// places remembers one block in some of the segments that were looked through, so that
// whoever follows the archive need not begin at the morning of a day again.
type places struct {
	mu sync.Mutex
	of map[string][]place // by the path of the segment, ascending
}

const placeEvery = 512 // blocks

// before returns the last known place of a segment that is not behind seq.
func (p *places) before(path string, seq uint64) place {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.of[path]
	i, exact := slices.BinarySearchFunc(list, seq, func(x place, seq uint64) int { return cmp.Compare(x.seq, seq) })
	switch {
	case exact:
		return list[i]
	case i == 0:
		return place{}
	}
	return list[i-1]
}

func (p *places) add(path string, x place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[string][]place{}
	}
	if list := p.of[path]; len(list) == 0 || list[len(list)-1].seq < x.seq {
		p.of[path] = append(list, x)
	}
}

// keep forgets the places of a folder's segments that are gone.
func (p *places) keep(dir string, segments []segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for path := range p.of {
		if filepath.Dir(path) == dir && !slices.ContainsFunc(segments, func(s segment) bool { return s.path == path }) {
			delete(p.of, path)
		}
	}
}

// Since calls f with the blocks of a tenant whose sequence is above after and at most
// upTo, oldest first and without their payload, until it returns false. It may be called
// while blocks are appended, of those that are synced.
func (a *Archive) Since(ctx context.Context, tenant uint32, after, upTo uint64, f func(Block) bool) error {
	dir := filepath.Join(a.dir, tenantDir(tenant))
	segments, err := listSegments(dir)
	if err != nil || after >= upTo {
		return err
	}
	a.places.keep(dir, segments)
	first := max(len(segments)-1, 0)
	for ; first > 0; first-- {
		seq, any, err := firstSeq(segments[first])
		if err != nil {
			return err
		}
		if any && seq <= after+1 {
			break
		}
	}
	for _, s := range segments[min(first, len(segments)):] {
		more, err := a.sinceIn(ctx, s, tenant, after, upTo, f)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// firstSeq returns the sequence of a segment's first block.
func firstSeq(s segment) (seq uint64, any bool, err error) {
	file, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) { // its time was over just now
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("open archive segment: %w", err)
	}
	defer file.Close()
	h, err := readHeader(file, 0, s.size)
	if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("%s: byte 0: %w", s.path, err)
	}
	return h.Seq, true, nil
}

func (a *Archive) sinceIn(ctx context.Context, s segment, tenant uint32, after, upTo uint64, f func(Block) bool) (more bool, err error) {
	file, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("open archive segment: %w", err)
	}
	defer file.Close()
	at := a.places.before(s.path, after+1)
	for n := 1; ; n++ {
		h, err := readHeader(file, at.off, s.size)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn): // what is being written there was not asked for
			return true, nil
		case err != nil:
			return false, fmt.Errorf("%s: byte %d: %w", s.path, at.off, err)
		case h.Seq > upTo:
			return false, nil
		}
		if n%placeEvery == 0 {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			a.places.add(s.path, place{at.off, h.Seq})
		}
		h.Tenant = tenant
		if h.Seq > after && !f(h.Block) {
			a.places.add(s.path, place{at.off, h.Seq})
			return false, nil
		}
		at.off += headerSize + h.payload + int64(len(hash{}))
	}
}

// Before returns the sequence behind which everything of a tenant lies that arrived at t or
// later; false where nothing did.
func (a *Archive) Before(ctx context.Context, tenant uint32, t time.Time) (after uint64, some bool, err error) {
	segments, err := listSegments(filepath.Join(a.dir, tenantDir(tenant)))
	if err != nil {
		return 0, false, err
	}
	day := t.UTC().Format(dayFormat)
	for _, s := range segments {
		if s.day < day { // holds nothing that arrived later
			continue
		}
		_, err := a.sinceIn(ctx, s, tenant, 0, math.MaxUint64, func(b Block) bool {
			if some = b.LastArrived >= t.UnixNano(); some {
				after = b.Seq - 1
			}
			return !some
		})
		if err != nil || some {
			return after, some, err
		}
	}
	return 0, false, nil
}
