package backup

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

var noon = time.Date(2026, 9, 30, 12, 0, 0, 0, time.UTC)

// A place is an installation with something in it.
type place struct {
	Installation
	tenant uint32
	dir    string // of its backup
}

// each runs f on an installation of each database.
func each(t *testing.T, f func(t *testing.T, p *place)) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			p := &place{Installation: Installation{Data: t.TempDir(), Version: "test"}, dir: filepath.Join(t.TempDir(), "backup")}
			url := "sqlite:" + filepath.Join(p.Data, sqliteFile)
			if kind == "postgres" {
				url = sqldbtest.PostgresURL(t)
				p.Postgres = url
			}
			p.DB = open(t, url)
			if err := p.DB.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			number, err := tenant.New(p.DB).Create(t.Context(), "test", tenant.Draft{Name: "A"})
			if err != nil {
				t.Fatal(err)
			}
			p.tenant = number.Number
			p.write(t, "evidence/aa/one", "first")
			p.write(t, SealKey, "secret")
			p.write(t, "events/index", "can be built again")
			p.write(t, "events-20260901-020304/index", "was set aside")
			p.write(t, lockFile, "")
			p.append(t, 1)
			f(t, p)
		})
	}
}

func open(t *testing.T, url string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (p *place) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(p.Data, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// append adds a block to the archive.
func (p *place) append(t *testing.T, seq uint64) {
	t.Helper()
	a, err := archive.Open(filepath.Join(p.Data, "archive"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	at := noon.UnixNano()
	if err := errors.Join(a.Append(t.Context(), archive.Block{Tenant: p.tenant, Partition: 1, Seq: seq, Records: 3, FirstArrived: at, LastArrived: at, Payload: []byte("records")}), a.Close()); err != nil {
		t.Fatal(err)
	}
}

func (p *place) make(t *testing.T) *Summary {
	t.Helper()
	s, err := Make(t.Context(), p.Installation, p.dir, "cli", false, noon)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// empty is the URL of a database to restore into, "" for SQLite.
func (p *place) empty(t *testing.T) string {
	t.Helper()
	if p.Postgres == "" {
		return ""
	}
	url := sqldbtest.PostgresURL(t) // with the schema
	db := open(t, url)
	for _, text := range []string{`DROP SCHEMA public CASCADE`, `CREATE SCHEMA public`} {
		if _, err := sqldb.Exec(t.Context(), db, text); err != nil {
			t.Fatal(err)
		}
	}
	return url
}

func (p *place) actions(t *testing.T) string {
	t.Helper()
	all, err := sqldb.All(t.Context(), p.DB, sqldb.Value[string], `SELECT action FROM audit_entry WHERE tenant = 0 AND action LIKE 'backup.%' ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestBackupRestores(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.make(t)
		if s.Copied != len(s.Files) || len(s.Files) != 3 { // the database, a file, a segment
			t.Errorf("the first copy holds %d of %d files: %v", s.Copied, len(s.Files), s.Files)
		}
		if _, err := os.Stat(filepath.Join(p.dir, filesFolder, SealKey)); err == nil {
			t.Error("the sealing key was copied")
		}
		proof, err := Test(t.Context(), p.DB, p.dir, t.TempDir(), p.empty(t), "cli", func() time.Time { return noon })
		if err != nil {
			t.Fatal(err)
		}
		if proof.Tenants != 1 || proof.Audit == 0 || proof.Blocks != 1 || proof.Records != 3 || proof.HasKey {
			t.Errorf("the test found %+v", proof)
		}
		if got := p.actions(t); got != "backup.create backup.restore" {
			t.Errorf("recorded: %s", got)
		}
		// What is restored is what was there when it was copied.
		to, url := filepath.Join(t.TempDir(), "new"), p.empty(t)
		if _, err := Restore(t.Context(), p.dir, to, url); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(to, "evidence/aa/one")); err != nil || string(text) != "first" {
			t.Errorf("restored %q, %v", text, err)
		}
		if url == "" {
			url = "sqlite:" + filepath.Join(to, sqliteFile)
		}
		if _, err := tenant.New(open(t, url)).ByName(t.Context(), "A"); err != nil {
			t.Errorf("the restored database lacks its tenant: %v", err)
		}
		if _, err := Restore(t.Context(), p.dir, to, url); !errors.Is(err, fault.Conflict) && !errors.Is(err, fault.Invalid) {
			t.Errorf("restored over what was there: %v", err)
		}
	})
}

func TestBackupCopiesWhatChanged(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		p.make(t)
		p.append(t, 2)
		p.write(t, "evidence/bb/two", "second")
		if err := os.Remove(filepath.Join(p.Data, "evidence/aa/one")); err != nil {
			t.Fatal(err)
		}
		s := p.make(t)
		if s.Copied != 3 { // the database, the segment that grew, the new file
			t.Errorf("%d files were copied again of %v", s.Copied, s.Files)
		}
		if _, err := os.Stat(filepath.Join(p.dir, filesFolder, "evidence/aa/one")); err == nil {
			t.Error("a file that was removed is still in the backup")
		}
		if s = p.make(t); s.Copied != 1 {
			t.Errorf("%d files were copied again although nothing changed but the database", s.Copied)
		}
		if _, err := Test(t.Context(), p.DB, p.dir, t.TempDir(), p.empty(t), "cli", time.Now); err != nil {
			t.Error(err)
		}
	})
}

func TestDamagedBackupIsNamed(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.make(t)
		for _, f := range s.Files {
			path := filepath.Join(p.dir, filepath.FromSlash(f.Path))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := append([]byte(nil), text...)
			changed[len(changed)/2] ^= 1
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Test(t.Context(), p.DB, p.dir, t.TempDir(), p.empty(t), "cli", time.Now)
			if err == nil || !strings.Contains(err.Error(), f.Path+" is not as it was backed up") {
				t.Errorf("%s was changed: %v", f.Path, err)
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.actions(t); got != "backup.create"+strings.Repeat(" backup.fail", len(s.Files)) {
			t.Errorf("recorded: %s", got)
		}
		if err := os.Remove(filepath.Join(p.dir, filesFolder, "evidence/aa/one")); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), p.dir, filepath.Join(t.TempDir(), "x"), p.empty(t)); err == nil || !strings.Contains(err.Error(), "evidence/aa/one is missing") {
			t.Errorf("a file was removed: %v", err)
		}
	})
}

func TestBackupOfAChangedAuditLogDoesNotPass(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		if p.Postgres != "" {
			t.Skip("how the chain is read does not depend on the database")
		}
		for _, text := range []string{`DROP TRIGGER audit_entry_no_update`, `UPDATE audit_entry SET actor = 'nobody' WHERE tenant > 0`} {
			if _, err := sqldb.Exec(t.Context(), p.DB, text); err != nil {
				t.Fatal(err)
			}
		}
		p.make(t)
		if _, err := Test(t.Context(), p.DB, p.dir, t.TempDir(), "", "cli", time.Now); err == nil || !strings.Contains(err.Error(), "the audit log of tenant") {
			t.Errorf("an audit log that was changed passes: %v", err)
		}
	})
}

func TestBackupRefusesFoldersOfOthers(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		inside := filepath.Join(p.Data, "backup")
		if _, err := Make(t.Context(), p.Installation, inside, "cli", false, noon); !errors.Is(err, fault.Invalid) {
			t.Errorf("copied into the data folder: %v", err)
		}
		other := t.TempDir()
		if err := os.WriteFile(filepath.Join(other, "letter.txt"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Make(t.Context(), p.Installation, other, "cli", false, noon); !errors.Is(err, fault.Conflict) {
			t.Errorf("copied into a folder of somebody else: %v", err)
		}
		text := `{"format":1,"files":[{"path":"../../etc/passwd","bytes":0,"sha256":""}]}`
		if err := os.WriteFile(filepath.Join(other, manifestFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Read(other); !errors.Is(err, fault.Invalid) {
			t.Errorf("a manifest that leads out of the backup is read: %v", err)
		}
		var entry audit.Entry // nothing of this was recorded
		if entry.Action = p.actions(t); entry.Action != "" {
			t.Errorf("recorded: %s", entry.Action)
		}
	})
}

// What is not a server's data folder is no reason to empty the backup of one.
func TestBackupNeedsTheDataFolder(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		before := p.make(t)
		for name, data := range map[string]string{"missing": filepath.Join(p.Data, "nowhere"), "not mounted": t.TempDir()} {
			in := p.Installation
			in.Data = data
			if _, err := Make(t.Context(), in, p.dir, "cli", false, noon); !errors.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if m, hash, err := Read(p.dir); err != nil || hash != before.SHA256 || len(m.Files) != 3 {
			t.Errorf("the backup is another one: %v, %v", m, err)
		}
		if _, err := Test(t.Context(), p.DB, p.dir, t.TempDir(), p.empty(t), "cli", time.Now); err != nil {
			t.Error(err)
		}
	})
}

func TestBackupLeavesNoLinkOut(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		// A link to the data folder is followed, also where the backup would lie in it.
		linked := filepath.Join(t.TempDir(), "data")
		if err := os.Symlink(p.Data, linked); err != nil {
			t.Fatal(err)
		}
		in := p.Installation
		in.Data = linked
		if s, err := Make(t.Context(), in, p.dir, "cli", false, noon); err != nil || len(s.Files) != 3 {
			t.Errorf("by a link: %v, %v", s, err)
		}
		for _, to := range []string{filepath.Join(linked, "new", "backup"), filepath.Join(p.Data, "backup")} {
			if _, err := Make(t.Context(), p.Installation, to, "cli", false, noon); !errors.Is(err, fault.Invalid) {
				t.Errorf("copied into the data folder: %v", err)
			}
		}
		big := filepath.Join(t.TempDir(), "archive")
		if err := errors.Join(os.Rename(filepath.Join(p.Data, "archive"), big), os.Symlink(big, filepath.Join(p.Data, "archive"))); err != nil {
			t.Fatal(err)
		}
		if _, err := Make(t.Context(), p.Installation, p.dir, "cli", false, noon); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "archive is a link") {
			t.Errorf("the archive is a link: %v", err)
		}
	})
}

// A run that ends between has copied files that are longer than the manifest says.
func TestBackupHoldsAfterAnInterruptedRun(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		p.make(t)
		p.append(t, 2)
		p.write(t, "evidence/zz/last", "unreadable")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		segments, err := filepath.Glob(filepath.Join(p.Data, "archive", "*", "*.kya"))
		if err != nil || len(segments) != 1 {
			t.Fatalf("%v, %v", segments, err)
		}
		rel, err := filepath.Rel(p.Data, segments[0])
		if err != nil {
			t.Fatal(err)
		}
		// What take does to the segment, before the run ends.
		s := &Summary{}
		if err := s.take(segments[0], p.dir, filesFolder+"/"+filepath.ToSlash(rel), nil); err != nil {
			t.Fatal(err)
		}
		stop()
		if _, err := Make(ctx, p.Installation, p.dir, "cli", false, noon); err == nil {
			t.Fatal("a run that was stopped ended well")
		}
		proof, err := Test(t.Context(), p.DB, p.dir, t.TempDir(), p.empty(t), "cli", time.Now)
		if err != nil || proof.Blocks != 1 {
			t.Errorf("after an interrupted run the backup restores %+v: %v", proof, err)
		}
		p.make(t)
		if proof, err = Test(t.Context(), p.DB, p.dir, t.TempDir(), p.empty(t), "cli", time.Now); err != nil || proof.Blocks != 2 {
			t.Errorf("after the next run: %+v, %v", proof, err)
		}
	})
}

// Who works at a backup has it alone, and a test that cannot begin says nothing of it.
func TestWrongCallsOfATestAreNotRecorded(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		p.make(t)
		lock, err := hold(p.dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Make(t.Context(), p.Installation, p.dir, "cli", false, noon); !errors.Is(err, fault.Conflict) {
			t.Errorf("two backups at once: %v", err)
		}
		test := func(from, url string) error {
			_, err := Test(t.Context(), p.DB, from, t.TempDir(), url, "cli", time.Now)
			return err
		}
		if err := test(p.dir, p.empty(t)); !errors.Is(err, fault.Conflict) {
			t.Errorf("a test during a backup: %v", err)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
		if err := test(p.dir+"x", p.empty(t)); !errors.Is(err, fault.NotFound) {
			t.Errorf("a mistyped folder: %v", err)
		}
		other := ""
		if p.Postgres == "" {
			other = "postgres:///nothing?host=/nowhere"
		}
		if err := test(p.dir, other); !errors.Is(err, fault.Invalid) {
			t.Errorf("another kind of database: %v", err)
		}
		if p.Postgres != "" {
			if err := test(p.dir, sqldbtest.PostgresURL(t)); !errors.Is(err, fault.Conflict) {
				t.Errorf("into a database that holds something: %v", err)
			}
		}
		if got := p.actions(t); got != "backup.create" {
			t.Errorf("recorded: %s", got)
		}
	})
}

func TestATestEmptiesItsDatabase(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		if p.Postgres == "" {
			t.Skip("the file goes with the folder")
		}
		p.make(t)
		url := p.empty(t)
		for range 2 {
			if _, err := Test(t.Context(), p.DB, p.dir, t.TempDir(), url, "cli", time.Now); err != nil {
				t.Fatal(err)
			}
		}
		if is, err := empty(t.Context(), url); err != nil || !is {
			t.Errorf("the database is empty: %v, %v", is, err)
		}
	})
}

func TestBackupOfATornArchive(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		if p.Postgres != "" {
			t.Skip("the archive does not depend on the database")
		}
		p.append(t, 2)
		segments, err := filepath.Glob(filepath.Join(p.Data, "archive", "*", "*.kya"))
		if err != nil || len(segments) != 1 {
			t.Fatalf("%v, %v", segments, err)
		}
		info, err := os.Stat(segments[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(segments[0], info.Size()-1); err != nil {
			t.Fatal(err)
		}
		p.make(t)
		proof, err := Test(t.Context(), p.DB, p.dir, t.TempDir(), "", "cli", time.Now)
		if err != nil || proof.Blocks != 1 {
			t.Errorf("a block that is being written: %+v, %v", proof, err)
		}
		// The same before a later segment is a loss.
		if err := os.WriteFile(filepath.Join(filepath.Dir(segments[0]), "20991231.kya"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p.make(t)
		if _, err := Test(t.Context(), p.DB, p.dir, t.TempDir(), "", "cli", time.Now); err == nil || !strings.Contains(err.Error(), "not complete") {
			t.Errorf("a block is lost: %v", err)
		}
	})
}

func TestPasswordsStayOffCommandLines(t *testing.T) {
	for _, tt := range []struct{ url, without, password string }{
		{"postgres://u:secret@h/d", "postgres://u@h/d", "secret"},
		{"postgres://u@h/d?password=s%26t&sslmode=require", "postgres://u@h/d?sslmode=require", "s&t"},
		{"postgres:///d?host=/run", "postgres:///d?host=/run", ""},
	} {
		without, password, err := parted(tt.url)
		if err != nil || without != tt.without || password != tt.password {
			t.Errorf("%s: %s, %s, %v", tt.url, without, password, err)
		}
	}
	for _, url := range []string{"postgres://u:secret%zz@h/d", "postgres://u@h/d?password=secret%zz"} {
		if _, _, err := parted(url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
