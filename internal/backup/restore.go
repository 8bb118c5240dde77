package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Proof tells what was found in what was restored.
type Proof struct {
	Manifest string    // hash
	At       time.Time // when the copy was made
	Files    int
	Bytes    int64
	Tenants  int
	Audit    int64 // entries of the audit log whose chain holds
	Blocks   int   // of the archive, whose chain holds
	Records  int64 // in them
	HasKey   bool  // the sealing key was in the copy
}

// Restore puts the copy in dir into the folder data, which must not exist or be empty,
// and into the empty PostgreSQL database of that URL where the copy is of one. Then it
// checks what it put there: the hash of every file, the database, the chains of the audit
// log and of the archive. What is not as it was copied is an error that names it.
func Restore(ctx context.Context, dir, data, url string) (*Proof, error) {
	p, err := restore(ctx, dir, data, url)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return p, nil
}

func restore(ctx context.Context, dir, data, url string) (*Proof, error) {
	c, err := openCopy(ctx, dir, data, url)
	if err != nil {
		return nil, err
	}
	p, err := c.restore(ctx)
	return p, errors.Join(err, c.close())
}

// A backupCopy is a copy that is to be restored, which nobody changes meanwhile.
type backupCopy struct {
	*Manifest
	hash           string
	dir, data, url string
	lock           *os.File // nil where the folder cannot be written
}

func (c *backupCopy) close() error {
	if c.lock == nil {
		return nil
	}
	return c.lock.Close()
}

// openCopy looks whether the copy in dir can be restored into data and url. But for a
// manifest that cannot be read, what it finds wrong is the call and not the copy.
func openCopy(ctx context.Context, dir, data, url string) (*backupCopy, error) {
	if _, _, err := Read(dir); err != nil {
		return nil, err
	}
	c := &backupCopy{dir: dir, data: data, url: url}
	var err error
	if c.lock, err = hold(dir); errors.Is(err, fault.Conflict) {
		return nil, err
	} // else it is on something that is only read, and so does not change
	if err := c.look(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *backupCopy) look(ctx context.Context) (err error) {
	if c.Manifest, c.hash, err = Read(c.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.data)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case len(entries) > 0:
		return fault.New(fault.Conflict, "%s is not empty: a backup is restored into a new folder", c.data).In("data")
	case c.Database == "postgres" && c.url == "":
		return fault.New(fault.Invalid, "the backup is of a PostgreSQL database: name an empty one as database.url (KYRA_DATABASE_URL), for a test with --scratch-database")
	case c.Database == "sqlite" && c.url != "":
		return fault.New(fault.Invalid, "the backup is of SQLite, and a PostgreSQL database is named: leave it out")
	case c.url == "":
		return nil
	}
	is, err := empty(ctx, c.url)
	if err != nil {
		return fault.New(fault.Invalid, "the database to restore into cannot be used").Because(err)
	}
	if !is {
		return fault.New(fault.Conflict, "the database to restore into is not empty: name an empty one")
	}
	return nil
}

func (c *backupCopy) restore(ctx context.Context) (*Proof, error) {
	dir, data := c.dir, c.data
	p := &Proof{Manifest: c.hash, At: c.At}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	for name, f := range c.paths() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := f.put(dir, data); err != nil {
			return nil, err
		}
		p.Files, p.Bytes = p.Files+1, p.Bytes+f.Bytes
		p.HasKey = p.HasKey || name == filesFolder+"/"+SealKey
	}
	if err := p.database(ctx, data, c.url, dir); err != nil {
		return nil, err
	}
	return p, p.archive(ctx, data)
}

// put copies a file of the copy in dir to where it belongs in data.
func (f *File) put(dir, data string) error {
	from := filepath.Join(dir, filepath.FromSlash(f.Path))
	if f.Path == postgresFile { // goes into its database
		got, err := hashed(from)
		return f.same(got, err)
	}
	rel := strings.TrimPrefix(f.Path, filesFolder+"/")
	got, err := copied(from, filepath.Join(data, filepath.FromSlash(rel)), f.Bytes) // what came behind, a backup that was interrupted added
	return f.same(got, err)
}

// same tells whether what was read is what the manifest names.
func (f *File) same(got *File, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Invalid, "%s is missing in the backup", f.Path)
	case err != nil:
		return err
	case got.Bytes != f.Bytes || got.SHA256 != f.SHA256:
		return fault.New(fault.Invalid, "%s is not as it was backed up: it has %d bytes and SHA-256 %s, the manifest says %d and %s", f.Path, got.Bytes, got.SHA256, f.Bytes, f.SHA256)
	}
	return nil
}

func hashed(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, in)
	return &File{Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// database checks the database that was restored.
func (p *Proof) database(ctx context.Context, data, url, dir string) error {
	if url == "" {
		url = "sqlite:" + filepath.Join(data, sqliteFile)
		if err := whole(ctx, filepath.Join(data, sqliteFile)); err != nil {
			return err
		}
	} else if err := postgres(ctx, url, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", filepath.Join(dir, postgresFile)); err != nil {
		return err
	}
	return onDatabase(ctx, url, func(db *sqldb.DB) error { return p.chains(ctx, db) })
}

// chains checks the audit logs of a database.
func (p *Proof) chains(ctx context.Context, db *sqldb.DB) error {
	tenants, err := sqldb.All(ctx, db, sqldb.Value[int64], `SELECT number FROM tenant ORDER BY number`)
	if err != nil {
		return fmt.Errorf("read the tenants of the restored database: %w", err)
	}
	p.Tenants = len(tenants)
	for _, t := range append([]int64{0}, tenants...) { // 0: the installation's own
		n, err := audit.Verify(ctx, db, uint32(t)) //nolint:gosec // numbers of tenants are 32 bits
		if err != nil {
			return fmt.Errorf("the audit log of tenant %d does not hold after entry %d: %w", t, n, err)
		}
		p.Audit += n
	}
	return nil
}

// archive checks the archive that was restored.
func (p *Proof) archive(ctx context.Context, data string) error {
	folder := filepath.Join(data, "archive")
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r, err := archive.Verify(ctx, folder, nil)
	if err != nil {
		return err
	}
	// A block that was being written just then is no fault: the start of the server cuts it off.
	if len(r.Faults) > 0 {
		return fault.New(fault.Invalid, "the archive: %s", r.Faults[0])
	}
	p.Blocks, p.Records = r.Blocks, r.Records
	return nil
}

// Test restores the copy in dir into a new folder under scratch (and into the database of
// url, see Restore), removes that again, and records in the audit log of the installation
// with the database db whether it worked. Where it could not begin, since the call is
// wrong, nothing is recorded: that tells nothing about the copy.
func Test(ctx context.Context, db *sqldb.DB, dir, scratch, url, actor string, now func() time.Time) (p *Proof, err error) {
	p, err = try(ctx, db, dir, scratch, url, actor, now)
	if err != nil {
		return nil, fmt.Errorf("test a backup: %w", err)
	}
	return p, nil
}

func try(ctx context.Context, db *sqldb.DB, dir, scratch, url, actor string, now func() time.Time) (p *Proof, err error) {
	folder, err := os.MkdirTemp(scratch, "kyra-restore-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	begun := now()
	_, _, err = Read(dir)
	if errors.Is(err, fault.NotFound) {
		return nil, err
	}
	if err == nil {
		var c *backupCopy
		if c, err = openCopy(ctx, dir, folder, url); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.close()) }()
		if url != "" { // which was found empty
			defer func() { err = errors.Join(err, wipe(context.WithoutCancel(ctx), url)) }()
		}
		p, err = c.restore(ctx)
	}
	e := audit.Entry{Actor: actor, At: now(), Action: "backup.restore", Object: dir}
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		e.Action, e.Detail = "backup.fail", map[string]any{"error": err.Error()}
		return nil, errors.Join(err, record(ctx, db, e))
	}
	e.Detail = map[string]any{
		"manifest": p.Manifest, "backupOf": p.At, "files": p.Files, "bytes": p.Bytes, "tenants": p.Tenants, "auditEntries": p.Audit, "archiveBlocks": p.Blocks, "archiveRecords": p.Records,
		"seconds": now().Sub(begun).Seconds(), "verified": "every hash, the database, the chains of audit log and archive",
	}
	return p, record(ctx, db, e)
}
