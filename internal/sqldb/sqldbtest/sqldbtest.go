// Package sqldbtest gives tests real databases with KYRA's schema: an SQLite file
// and a PostgreSQL server. Nothing but tests imports it.
package sqldbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Each runs test once on each database, each time on a new, empty one. Where no
// PostgreSQL can be had, that half is skipped with the reason, unless
// KYRA_TEST_POSTGRES=require.
func Each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// EachBench is Each for benchmarks.
func EachBench(b *testing.B, bench func(b *testing.B, db *sqldb.DB)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { bench(b, SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, Postgres(b)) })
}

// SQLite returns a new database in a file of the test's folder.
func SQLite(tb testing.TB) *sqldb.DB {
	tb.Helper()
	template, err := sqliteTemplate()
	if err != nil {
		tb.Fatalf("make the SQLite template: %v", err)
	}
	path := filepath.Join(tb.TempDir(), "kyra.db")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		tb.Fatal(err)
	}
	return open(tb, "sqlite:"+path)
}

// Postgres returns a new database of the server that all tests of the process
// share: the one at KYRA_TEST_POSTGRES_URL, or one started from the installed
// binaries. It skips the test where there is neither.
func Postgres(tb testing.TB) *sqldb.DB {
	tb.Helper()
	return open(tb, PostgresURL(tb))
}

// PostgresURL is Postgres for those who open the database themselves.
func PostgresURL(tb testing.TB) string {
	tb.Helper()
	srv, err := postgres()
	if err != nil {
		if errors.Is(err, errAbsent) && os.Getenv("KYRA_TEST_POSTGRES") != "require" {
			tb.Skip(err)
		}
		tb.Fatal(err)
	}
	url, drop, err := srv.create(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := drop(context.Background()); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return url
}

func open(tb testing.TB, url string) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close the test's database: %v", err)
		}
	})
	return db
}

// sqliteTemplate is the content of an empty migrated file: migrating once and
// copying is much faster than migrating for each test.
var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "kyra-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	if err := migrate(context.Background(), "sqlite:"+path); err != nil {
		return nil, err
	}
	// Closing the last connection wrote the log back into the file.
	return os.ReadFile(path)
})

func migrate(ctx context.Context, url string) error {
	db, err := sqldb.Open(ctx, url)
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx); err != nil {
		return fmt.Errorf("%w (close: %w)", err, db.Close())
	}
	return db.Close()
}
