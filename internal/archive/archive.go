// Package archive keeps every raw batch as it came: compressed, append-only
// segments per tenant and day of arrival, in which each block carries its
// SHA-256 and the hash of the block before. Evidence rests on it, and the event
// store is rebuilt from it. It never looks into records and never rewrites.
package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	suffix    = ".kya"
	dayFormat = "20060102"
)

// Archive is an open archive. Blocks of one tenant come from one goroutine at a
// time; several tenants may be written at once.
type Archive struct {
	dir string
	log *slog.Logger

	mu      sync.Mutex
	tenants map[uint32]*writer

	places places
}

// Open opens the archive in dir, making the folder where it is missing.
func Open(dir string, log *slog.Logger) (*Archive, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make archive folder: %w", err)
	}
	return &Archive{dir: dir, log: log, tenants: map[uint32]*writer{}}, nil
}

// Append adds a block to its tenant's segment of the day of b.LastArrived. A
// block that is not newer than the tenant's last one was archived before, by a
// run that ended in a crash, and is left out. It is safe on disk after Sync.
func (a *Archive) Append(ctx context.Context, b Block) error {
	w, err := a.writer(ctx, b.Tenant)
	if err != nil {
		return err
	}
	return w.append(&b)
}

// LastSeqs returns the newest sequence that is archived of each partition. A queue
// must never give one of them again: Append would take the batch for archived.
func (a *Archive) LastSeqs(ctx context.Context) (map[int]uint64, error) {
	tenants, err := listTenants(a.dir)
	if err != nil {
		return nil, err
	}
	last := map[int]uint64{}
	for _, t := range tenants {
		w, err := a.writer(ctx, t)
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		if w.any {
			last[int(w.part)] = max(last[int(w.part)], w.seq)
		}
		w.mu.Unlock()
	}
	return last, nil
}

// Sync returns once all blocks that were appended before are on disk.
func (a *Archive) Sync() error {
	a.mu.Lock()
	writers := make([]*writer, 0, len(a.tenants))
	for _, w := range a.tenants {
		writers = append(writers, w)
	}
	a.mu.Unlock()
	for _, w := range writers {
		if err := w.sync(); err != nil {
			return err
		}
	}
	return nil
}

// Close syncs and closes all segments.
func (a *Archive) Close() error {
	err := a.Sync()
	a.mu.Lock()
	defer a.mu.Unlock()
	for tenant, w := range a.tenants {
		err = errors.Join(err, w.close())
		delete(a.tenants, tenant)
	}
	return err
}

func (a *Archive) writer(ctx context.Context, tenant uint32) (*writer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w, ok := a.tenants[tenant]; ok {
		return w, nil
	}
	w, err := openWriter(ctx, filepath.Join(a.dir, tenantDir(tenant)), a.log)
	if err != nil {
		return nil, fmt.Errorf("open archive of tenant %d: %w", tenant, err)
	}
	a.tenants[tenant] = w
	return w, nil
}

// DropBefore removes a tenant's segments of days before the given one, and
// returns the bytes that this freed. The chain of what is left then begins with
// a hash whose block is gone, which Verify accepts at the start only.
func (a *Archive) DropBefore(tenant uint32, day time.Time) (int64, error) {
	segments, err := listSegments(filepath.Join(a.dir, tenantDir(tenant)))
	if err != nil {
		return 0, err
	}
	freed := int64(0)
	limit := day.UTC().Format(dayFormat)
	for i, s := range segments {
		if s.day >= limit || i == len(segments)-1 { // the newest carries the chain's end
			break
		}
		if err := os.Remove(s.path); err != nil {
			return freed, fmt.Errorf("drop archive segment: %w", err)
		}
		freed += s.size
	}
	return freed, nil
}

// Forget removes all that is archived of a tenant that is there no more. What comes in
// for it later begins a new chain.
func (a *Archive) Forget(tenant uint32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w, ok := a.tenants[tenant]; ok {
		if err := w.close(); err != nil {
			return fmt.Errorf("close archive of tenant %d: %w", tenant, err)
		}
		delete(a.tenants, tenant)
	}
	if err := os.RemoveAll(filepath.Join(a.dir, tenantDir(tenant))); err != nil {
		return fmt.Errorf("remove archive of tenant %d: %w", tenant, err)
	}
	return nil
}

// Usage tells how many bytes the archive takes, and its oldest day ("" where
// there is none).
func (a *Archive) Usage() (bytes int64, oldest time.Time, err error) {
	tenants, err := listTenants(a.dir)
	if err != nil {
		return 0, time.Time{}, err
	}
	for _, t := range tenants {
		segments, err := listSegments(filepath.Join(a.dir, tenantDir(t)))
		if err != nil {
			return 0, time.Time{}, err
		}
		for _, s := range segments {
			bytes += s.size
			day, err := time.Parse(dayFormat, s.day)
			if err == nil && (oldest.IsZero() || day.Before(oldest)) {
				oldest = day
			}
		}
	}
	return bytes, oldest, nil
}

// Oldest tells the first day of which the archive has something of the tenant; the zero
// time where it has nothing.
func (a *Archive) Oldest(tenant uint32) (time.Time, error) {
	segments, err := listSegments(filepath.Join(a.dir, tenantDir(tenant)))
	if err != nil || len(segments) == 0 {
		return time.Time{}, err
	}
	day, err := time.Parse(dayFormat, segments[0].day)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the name of an archive segment: %w", err)
	}
	return day, nil
}

func tenantDir(tenant uint32) string { return fmt.Sprintf("t%08d", tenant) }

func listTenants(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read archive folder: %w", err)
	}
	var tenants []uint32
	for _, e := range entries {
		n, err := strconv.ParseUint(strings.TrimPrefix(e.Name(), "t"), 10, 32)
		if err == nil && e.IsDir() && e.Name() == tenantDir(uint32(n)) {
			tenants = append(tenants, uint32(n))
		}
	}
	return tenants, nil
}

type segment struct {
	path, day string
	size      int64
}

// listSegments returns a tenant's segments in order; none where the folder is missing.
func listSegments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read archive folder: %w", err)
	}
	var segments []segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || len(name) < len(dayFormat) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("read archive folder: %w", err)
		}
		segments = append(segments, segment{filepath.Join(dir, e.Name()), name[:len(dayFormat)], info.Size()})
	}
	slices.SortFunc(segments, func(x, y segment) int { return strings.Compare(x.path, y.path) })
	return segments, nil
}
