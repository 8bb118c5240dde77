package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A backup before an upgrade is one of the old schema, and leaves it.
func TestBackupDoesNotMigrate(t *testing.T) {
	data := t.TempDir()
	url := "sqlite:" + filepath.Join(data, "kyra.db")
	tables := func() (n int64) {
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		n, err = sqldb.One(t.Context(), db, sqldb.Value[int64], `SELECT count(*) FROM sqlite_master`)
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := tables(); n != 0 {
		t.Fatalf("a new database has %d tables", n)
	}
	if err := os.WriteFile(filepath.Join(data, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "backup")
	cmd := newRootCommand()
	cmd.SetArgs([]string{"backup", "--data", data, "--to", to})
	if err := cmd.ExecuteContext(t.Context()); err == nil {
		t.Error("recorded in a database without an audit log")
	}
	if _, err := os.Stat(filepath.Join(to, "manifest.json")); err != nil {
		t.Error(err)
	}
	if n := tables(); n != 0 {
		t.Errorf("the database has %d tables now", n)
	}
}
