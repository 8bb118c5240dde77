package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Report is what Verify found.
type Report struct {
	Tenants, Segments, Blocks int
	Records, Bytes            int64
	Faults                    []string // each names the segment, the byte and what is wrong
	// Unfinished are the tenants' last blocks that are not all there, in the same words:
	// the writer is at them just then, or crashed. It cuts them off when it starts.
	Unfinished []string
}

// Verify reads the whole archive in dir and checks every hash and every link of
// every chain. Faults are in the report; the error is for what could not be read.
func Verify(ctx context.Context, dir string, progress func(Report)) (Report, error) {
	var r Report
	tenants, err := listTenants(dir)
	if err != nil {
		return r, err
	}
	for _, tenant := range tenants {
		r.Tenants++
		prev, started := hash{}, false
		err := eachSegment(ctx, dir, tenant, func(s segment, last bool, f *os.File) error {
			r.Segments++
			r.Bytes += s.size
			for off := int64(0); ; {
				h, sum, err := readBlock(f, off, s.size)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					said := fmt.Sprintf("%s: byte %d: %v", s.path, off, err)
					if last && errors.Is(err, errTorn) && !misread(f, off, s.size) {
						r.Unfinished = append(r.Unfinished, said)
					} else {
						r.Faults = append(r.Faults, said)
					}
					started = false // what follows cannot be joined to what was lost
					break
				}
				if started && h.prev != prev {
					r.Faults = append(r.Faults, fmt.Sprintf("%s: byte %d: the chain is broken: a block before it is missing or was replaced", s.path, off))
				}
				prev, started = sum, true
				r.Blocks++
				r.Records += int64(h.Records)
				off += h.size()
			}
			if progress != nil {
				progress(r)
			}
			return nil
		})
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// Walk calls f with every block of the archive in dir, tenant by tenant, oldest
// first. A damaged block ends its segment: f has seen what was before it, and
// Walk goes on with the next segment and returns the faults at the end.
func Walk(ctx context.Context, dir string, f func(Block) error) error {
	tenants, err := listTenants(dir)
	if err != nil {
		return err
	}
	var faults []error
	for _, tenant := range tenants {
		err := eachSegment(ctx, dir, tenant, func(s segment, _ bool, file *os.File) error {
			for off := int64(0); ; {
				h, _, err := readBlock(file, off, s.size)
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					faults = append(faults, fmt.Errorf("%s: byte %d: %w", s.path, off, err))
					return nil
				}
				h.Tenant = tenant
				if err := f(h.Block); err != nil {
					return err
				}
				off += h.size()
			}
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

func eachSegment(ctx context.Context, dir string, tenant uint32, f func(s segment, last bool, file *os.File) error) error {
	segments, err := listSegments(filepath.Join(dir, tenantDir(tenant)))
	if err != nil {
		return err
	}
	for i, s := range segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		file, err := os.Open(s.path)
		if err != nil {
			return fmt.Errorf("open archive segment: %w", err)
		}
		err = f(s, i == len(segments)-1, file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}
