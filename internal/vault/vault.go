// Package vault keeps files that must not change, such as evidence: each under the
// SHA-256 of its content, apart by tenant. It never overwrites a file and never hands
// out one that is not what was put in.
package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Vault is a folder of files. It is safe for use by several goroutines, and by
// several servers that share the folder.
type Vault struct{ dir string }

// Open returns the vault in dir, which it makes when it is missing.
func Open(dir string) (*Vault, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	return &Vault{dir}, nil
}

// A Ref names a file by what is in it.
type Ref struct {
	SHA256 string // 64 hexadecimal digits, lower case
	Size   int64  // bytes
}

// Put keeps what r yields, and returns when it is on disk. More than limit bytes are
// fault.TooLarge, and nothing is kept. The same content twice is one file.
func (v *Vault) Put(tenant uint32, r io.Reader, limit int64) (Ref, error) {
	part, err := os.CreateTemp(v.dir, "part-*")
	if err != nil {
		return Ref{}, fmt.Errorf("keep file: %w", err)
	}
	defer func() {
		_ = part.Close()           // closed below where it matters
		_ = os.Remove(part.Name()) // it has its name by then, or nobody needs it
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(part, sum), io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return Ref{}, fmt.Errorf("keep file: %w", err)
	case n > limit:
		return Ref{}, fault.New(fault.TooLarge, "Allowed: a file of up to %d MiB", limit>>20)
	}
	ref := Ref{SHA256: hex.EncodeToString(sum.Sum(nil)), Size: n}
	path := v.path(tenant, ref.SHA256)
	if err := errors.Join(part.Sync(), part.Close(), os.MkdirAll(filepath.Dir(path), 0o700), os.Rename(part.Name(), path), syncDir(filepath.Dir(path))); err != nil {
		return Ref{}, fmt.Errorf("keep file: %w", err)
	}
	return ref, nil
}

// PutBytes is Put of what is in memory already.
func (v *Vault) PutBytes(tenant uint32, content []byte) (Ref, error) {
	return v.Put(tenant, bytes.NewReader(content), int64(len(content)))
}

// Get opens a tenant's file, or returns fault.NotFound. Reading it to its end fails
// where it is not what was put in.
func (v *Vault) Get(tenant uint32, ref Ref) (io.ReadCloser, error) {
	if raw, err := hex.DecodeString(ref.SHA256); err != nil || len(raw) != sha256.Size {
		return nil, fault.New(fault.NotFound, "no such file")
	}
	f, err := os.Open(v.path(tenant, ref.SHA256))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "the file is not in the vault any more")
	}
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	return &checked{File: f, want: ref.SHA256, sum: sha256.New()}, nil
}

// Sweep removes the files that were last put in before the given time. It is for vaults
// of what is kept for a while only.
func (v *Vault) Sweep(before time.Time) error {
	return filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(before) {
			return nil
		}
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep vault: %w", err)
		}
		return nil
	})
}

func (v *Vault) path(tenant uint32, sum string) string {
	return filepath.Join(v.dir, strconv.FormatUint(uint64(tenant), 10), sum[:2], sum)
}

// ErrChanged tells that a file is not what was put in.
var ErrChanged = errors.New("the file was changed since it was kept: its SHA-256 is another one")

type checked struct {
	*os.File
	want string
	sum  hash.Hash
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(c.sum.Sum(nil)) != c.want {
		return n, ErrChanged
	}
	return n, err
}

// WriteTo is there so that io.Copy does not take the file's own, which checks nothing.
func (c *checked) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
