// Package backup copies an installation into a folder and back, and proves that what was
// copied can be restored. A copy may be made while the server runs: the database is taken
// in one moment and first, and all that it names lies in files that are only ever added
// or grow at their end. What a later copy finds unchanged it does not copy again.
//
// The index for search is left out, since it can be built from the archive, and so is the
// sealing key: who finds a copy must not find with it what opens its secrets.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sole"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Names in a copy.
const (
	manifestFile = "manifest.json"
	filesFolder  = "files"
	sqliteFile   = "kyra.db"
	postgresFile = "kyra.pgdump"
	lockFile     = "lock" // held by who writes or reads the copy; a server holds one in its data folder too
)

// SealKey is the file of the data folder that a copy leaves out unless it is asked for.
const SealKey = "seal-key"

// left are the entries of a data folder that no copy holds: what can be built again, what
// is only of the moment, secrets that are shown once, and the database, which is taken
// another way.
var left = []string{"events", "queue", "exports", lockFile, "first-key", "setup-link", SealKey}

// setAside begins the names of search indexes that kyra archive reindex --fresh put away.
const setAside = "events-"

// An Installation is what is copied.
type Installation struct {
	Data     string // its data folder
	DB       *sqldb.DB
	Postgres string // URL of the database; "" where it is SQLite
	Version  string // of the program
}

// A File is one of a copy.
type File struct {
	Path   string    `json:"path"` // within the copy, with slashes
	Bytes  int64     `json:"bytes"`
	SHA256 string    `json:"sha256"`
	Time   time.Time `json:"modifiedAt"` // of the original
}

// A Manifest says what a copy holds. It is written last: a copy that was interrupted has
// the one of the copy before.
type Manifest struct {
	Format   int       `json:"format"`
	At       time.Time `json:"createdAt"` // when the database was taken
	Version  string    `json:"version"`
	Database string    `json:"database"` // sqlite, postgres
	Files    []File    `json:"files"`
}

const format = 1

// Bytes is the size of the copy.
func (m *Manifest) Bytes() (n int64) {
	for i := range m.Files {
		n += m.Files[i].Bytes
	}
	return n
}

// A Summary tells how a copy went.
type Summary struct {
	Manifest
	SHA256 string // of the manifest
	Copied int    // files that were new or changed
	Bytes  int64  // of them
}

// Make copies the installation into dir, or brings the copy that lies there up to date,
// checks the database in it and records all that in the audit log of the installation.
// withKey copies the sealing key too.
func Make(ctx context.Context, in Installation, dir, actor string, withKey bool, now time.Time) (*Summary, error) {
	s, err := gather(ctx, &in, dir, withKey, now)
	if err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	return s, record(ctx, in.DB, audit.Entry{Actor: actor, At: now, Action: "backup.create", Object: dir, Detail: map[string]any{
		"manifest": s.SHA256, "files": len(s.Files), "bytes": s.Manifest.Bytes(), "copied": s.Copied, "copiedBytes": s.Bytes, "database": s.Database, "verified": "database checked, every file hashed",
	}})
}

// record writes into the log of the installation itself.
func record(ctx context.Context, db *sqldb.DB, e audit.Entry) error {
	err := db.Tx(ctx, func(tx *sqldb.DB) error { return audit.Record(ctx, tx, e) })
	if err != nil {
		return fmt.Errorf("record %s: %w", e.Action, err)
	}
	return nil
}

// source returns the data folder without links on the way to it.
func (in *Installation) source() (string, error) {
	data, err := filepath.EvalSymlinks(in.Data)
	if err == nil {
		_, err = os.Stat(filepath.Join(data, lockFile)) // every server makes one
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.NotFound, "there is no server's data in %s: name its folder with --data", in.Data)
	}
	return data, err
}

func gather(ctx context.Context, in *Installation, dir string, withKey bool, now time.Time) (s *Summary, err error) {
	data, err := in.source()
	if err != nil {
		return nil, err
	}
	inside, err := within(data, dir)
	if err != nil {
		return nil, err
	}
	if inside {
		return nil, fault.New(fault.Invalid, "%s lies in the data folder: name a folder elsewhere, best on another disk", dir).In("to")
	}
	if err := os.MkdirAll(filepath.Join(dir, filesFolder), 0o700); err != nil {
		return nil, err
	}
	lock, err := hold(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	before, err := earlier(dir)
	if err != nil {
		return nil, err
	}
	had := before.paths()
	s = &Summary{Manifest: Manifest{Format: format, At: now.UTC().Truncate(time.Second), Version: in.Version, Database: "sqlite"}}
	database, err := in.dump(ctx, dir)
	if err != nil {
		return nil, err
	}
	if in.Postgres != "" {
		s.Database = "postgres"
	}
	s.Files, s.Copied, s.Bytes = []File{*database}, 1, database.Bytes
	err = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != data {
			return nil // its time was over meanwhile
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		rel, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		if skipped(rel, withKey) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return fault.New(fault.Invalid, "%s is a link, which a backup does not follow: put what it leads to in its place, with a mount where that is on another disk", path)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return s.take(path, dir, filesFolder+"/"+filepath.ToSlash(rel), had)
	})
	if err != nil {
		return nil, err
	}
	if err := s.finish(dir, database.Path); err != nil {
		return nil, err
	}
	return s, s.tidy(dir)
}

// hold takes the lock of a copy.
func hold(dir string) (*os.File, error) {
	lock, err := sole.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, sole.ErrHeld) {
		return nil, fault.New(fault.Conflict, "another kyra works at the backup in %s: wait until it has ended", dir)
	}
	return lock, err
}

// earlier returns the manifest of the copy that lies in dir, an empty one where none does.
func earlier(dir string) (*Manifest, error) {
	before, _, err := Read(dir)
	if !errors.Is(err, fault.NotFound) {
		return before, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if others := slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == filesFolder || e.Name() == lockFile }); len(others) > 0 && !partial(others) {
		return nil, fault.New(fault.Conflict, "%s holds %s and no backup of KYRA: name an empty folder", dir, others[0].Name()).In("to")
	}
	return &Manifest{}, nil
}

// finish makes what was copied the copy: all of it is on disk before database and manifest
// take the places of those before, and these are before it returns.
func (s *Summary) finish(dir, database string) error {
	if err := s.write(dir); err != nil {
		return err
	}
	folders := map[string]bool{dir: true}
	for i := range s.Files {
		for at := filepath.Dir(filepath.FromSlash(s.Files[i].Path)); !folders[filepath.Join(dir, at)]; at = filepath.Dir(at) {
			folders[filepath.Join(dir, at)] = true
		}
	}
	for folder := range folders {
		if err := syncDir(folder); err != nil {
			return err
		}
	}
	for _, name := range []string{database, manifestFile} {
		if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// syncDir puts the names in a folder on disk. Windows keeps them by itself.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncFile puts what was written into a file on disk.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// partial tells whether entries are what an interrupted first copy leaves.
func partial(entries []fs.DirEntry) bool {
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !strings.HasPrefix(e.Name(), sqliteFile) && !strings.HasPrefix(e.Name(), postgresFile) && e.Name() != manifestFile+".new"
	})
}

// within tells whether path, of which not all need be there, lies in the folder.
func within(folder, path string) (bool, error) {
	a, err := filepath.Abs(folder)
	if err != nil {
		return false, err
	}
	b, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	for there, missing := b, ""; ; {
		real, err := filepath.EvalSymlinks(there)
		if err == nil {
			b = filepath.Join(real, missing)
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(there) == there {
			return false, err
		}
		there, missing = filepath.Dir(there), filepath.Join(filepath.Base(there), missing)
	}
	rel, err := filepath.Rel(a, b)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)), nil
}

// skipped tells whether an entry of the data folder stays where it is.
func skipped(rel string, withKey bool) bool {
	if strings.HasPrefix(rel, sqliteFile) || strings.HasPrefix(rel, setAside) {
		return true
	}
	return slices.Contains(left, rel) && (rel != SealKey || !withKey)
}

// take copies a file unless the copy before has it as it is.
func (s *Summary) take(path, dir, name string, had map[string]File) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	to := filepath.Join(dir, filepath.FromSlash(name))
	if f, ok := had[name]; ok && f.Bytes == info.Size() && f.Time.Equal(info.ModTime()) {
		if there, err := os.Stat(to); err == nil && there.Size() == f.Bytes {
			s.Files = append(s.Files, f)
			return nil
		}
	}
	f, err := copied(path, to, math.MaxInt64)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Path, f.Time = name, info.ModTime()
	s.Files, s.Copied, s.Bytes = append(s.Files, *f), s.Copied+1, s.Bytes+f.Bytes
	return nil
}

// copied copies a file, or the beginning of it, and returns what the copy holds. It appears
// whole or not at all.
func copied(from, to string, most int64) (f *File, err error) {
	in, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(to+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close(), os.Remove(to+".part"))
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(in, most))
	if err != nil {
		return nil, err
	}
	if err := out.Sync(); err != nil {
		return nil, err
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return &File{Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, os.Rename(to+".part", to)
}

// write writes the manifest beside the one before.
func (s *Summary) write(dir string) error {
	slices.SortFunc(s.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.MarshalIndent(s.Manifest, "", " ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, manifestFile+".new")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	s.SHA256 = hex.EncodeToString(sum[:])
	return syncFile(name)
}

// tidy removes what the copy before had and this one has not: what retention or a
// person's request removed must go from here too.
func (s *Summary) tidy(dir string) error {
	keep := map[string]bool{}
	for i := range s.Files {
		keep[s.Files[i].Path] = true
	}
	return filepath.WalkDir(filepath.Join(dir, filesFolder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || keep[filepath.ToSlash(rel)] {
			return err
		}
		return os.Remove(path)
	})
}

// Read returns the manifest of the copy in dir and its hash.
func Read(dir string) (*Manifest, string, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fault.New(fault.NotFound, "there is no backup in %s: it has no %s", dir, manifestFile)
	}
	if err != nil {
		return nil, "", err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, "", fault.New(fault.Invalid, "%s cannot be read", filepath.Join(dir, manifestFile)).Because(err)
	}
	if m.Format != format {
		return nil, "", fault.New(fault.Invalid, "the backup in %s has format %d, this version of KYRA reads %d", dir, m.Format, format)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return nil, "", fault.New(fault.Invalid, "the backup in %s names a file outside of it: %s", dir, f.Path)
		}
	}
	sum := sha256.Sum256(text)
	return &m, hex.EncodeToString(sum[:]), nil
}

// paths are those of the manifest's files.
func (m *Manifest) paths() map[string]File {
	return maps.Collect(func(yield func(string, File) bool) {
		for _, f := range m.Files {
			if !yield(f.Path, f) {
				return
			}
		}
	})
}
