package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const schema = `
	CREATE TABLE t_a (id TEXT PRIMARY KEY, n BIGINT NOT NULL CHECK (n >= 0), name TEXT UNIQUE, at BIGINT);
	CREATE TABLE t_b (a TEXT NOT NULL REFERENCES t_a (id))`

func TestTx(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		must(t, db, schema)
		boom := errors.New("boom")
		err := db.Tx(ctx, func(tx *sqldb.DB) error {
			must(t, tx, `INSERT INTO t_a (id, n) VALUES ('x', 1)`)
			return tx.Tx(ctx, func(tx *sqldb.DB) error {
				must(t, tx, `INSERT INTO t_a (id, n) VALUES ('y', 1)`)
				return boom
			})
		})
		if !errors.Is(err, boom) {
			t.Errorf("Tx = %v, want %v", err, boom)
		}
		if n := count(t, db, `SELECT count(*) FROM t_a`); n != 0 {
			t.Errorf("%d rows after rollback, want 0", n)
		}
		if _, err := sqldb.One(ctx, db, sqldb.Value[string], `SELECT id FROM t_a WHERE id = $1`, "x"); !errors.Is(err, fault.NotFound) {
			t.Errorf("One without a row = %v, want NotFound", err)
		}
		err = db.View(ctx, func(tx *sqldb.DB) error {
			_, err := sqldb.Exec(ctx, tx, `INSERT INTO t_a (id, n) VALUES ('z', 1)`)
			return err
		})
		if err == nil {
			t.Error("View let a statement write")
		}
	})
}

// Two that read, think and write the same row must not lose a change.
func TestTxLosesNoUpdate(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		must(t, db, schema)
		must(t, db, `INSERT INTO t_a (id, n) VALUES ('x', 0)`)
		const workers, rounds = 4, 10
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for range rounds {
					err := db.Tx(ctx, func(tx *sqldb.DB) error {
						n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT n FROM t_a WHERE id = 'x'`)
						if err != nil {
							return err
						}
						_, err = sqldb.Exec(ctx, tx, `UPDATE t_a SET n = $1 WHERE id = 'x'`, n+1)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if n := count(t, db, `SELECT n FROM t_a`); n != workers*rounds {
			t.Errorf("n = %d, want %d", n, workers*rounds)
		}
	})
}

func TestViewIsOneSnapshot(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		must(t, db, schema)
		err := db.View(t.Context(), func(tx *sqldb.DB) error {
			before := count(t, tx, `SELECT count(*) FROM t_a`)
			must(t, db, `INSERT INTO t_a (id, n) VALUES ('x', 0)`)
			if after := count(t, tx, `SELECT count(*) FROM t_a`); after != before {
				t.Errorf("the view saw %d rows, then %d", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, `SELECT count(*) FROM t_a`); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestViolation(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		must(t, db, schema)
		must(t, db, `INSERT INTO t_a (id, n, name) VALUES ('x', 0, 'one')`)
		for _, tt := range []struct {
			query string
			want  sqldb.Constraint
		}{
			{`INSERT INTO t_a (id, n) VALUES ('x', 0)`, sqldb.Unique},
			{`INSERT INTO t_a (id, n, name) VALUES ('y', 0, 'one')`, sqldb.Unique},
			{`INSERT INTO t_a (id, n) VALUES ('y', -1)`, sqldb.Check},
			{`INSERT INTO t_a (id, n) VALUES ('y', NULL)`, sqldb.NotNull},
			{`INSERT INTO t_b (a) VALUES ('nobody')`, sqldb.ForeignKey},
			{`SELECT nothing`, sqldb.None},
		} {
			_, err := sqldb.Exec(t.Context(), db, tt.query)
			if got := sqldb.Violation(err); err == nil || got != tt.want {
				t.Errorf("%s: Violation(%v) = %q, want %q", tt.query, err, got, tt.want)
			}
		}
		if got := sqldb.Violation(nil); got != sqldb.None {
			t.Errorf("Violation(nil) = %q", got)
		}
	})
}

func TestMicros(t *testing.T) {
	type row struct {
		at   time.Time
		null *time.Time
	}
	scan := func(rows *sql.Rows, r *row) error { return rows.Scan(sqldb.Micros(&r.at), sqldb.MicrosOrNull(&r.null)) }
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		must(t, db, `CREATE TABLE t_t (at BIGINT NOT NULL, null_at BIGINT)`)
		at := time.Date(1699, 2, 3, 4, 5, 6, 789_000, time.FixedZone("x", 3600))
		must(t, db, `INSERT INTO t_t (at, null_at) VALUES ($1, $2)`, at.UnixMicro(), sqldb.Nullable(nil))
		must(t, db, `INSERT INTO t_t (at, null_at) VALUES ($1, $2)`, at.UnixMicro(), sqldb.Nullable(&at))
		rows, err := sqldb.All(t.Context(), db, scan, `SELECT at, null_at FROM t_t ORDER BY null_at IS NOT NULL`)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 2 || !rows[0].at.Equal(at) || rows[0].null != nil || rows[1].null == nil || !rows[1].null.Equal(at) || rows[0].at.Location() != time.UTC {
			t.Errorf("rows are %v", rows)
		}
	})
}

func TestOpenFaults(t *testing.T) {
	for url, want := range map[string]fault.Kind{
		"":                                 fault.Invalid,
		"mysql://x":                        fault.Invalid,
		"sqlite:":                          fault.Invalid,
		"sqlite::memory:":                  fault.Invalid,
		"postgres://h:port/x":              fault.Invalid,
		"sqlite:/nonexistent/dir/x.db":     fault.Unavailable,
		"postgres://127.0.0.1:1/x?user=me": fault.Unavailable,
	} {
		if _, err := sqldb.Open(t.Context(), url); !errors.Is(err, want) {
			t.Errorf("Open(%q) = %v, want %v", url, err, want)
		}
	}
}

func TestOpenKeepsDataAndSettings(t *testing.T) {
	ctx := t.Context()
	url := "sqlite:" + filepath.Join(t.TempDir(), "100% odd?name #1.db")
	for n := range int64(2) {
		db, err := sqldb.Open(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			must(t, db, `CREATE TABLE t_x (n BIGINT)`)
		}
		must(t, db, `INSERT INTO t_x VALUES (1)`)
		if got := count(t, db, `SELECT count(*) FROM t_x`); got != n+1 {
			t.Errorf("open %d: %d rows", n, got)
		}
		err = db.Tx(ctx, func(tx *sqldb.DB) error {
			for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
				got, err := sqldb.One(ctx, tx, sqldb.Value[string], "PRAGMA "+pragma)
				if err != nil || got != want {
					t.Errorf("%s = %q, %v; want %q", pragma, got, err, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMigrateAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := db.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

func must(t *testing.T, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	if _, err := sqldb.Exec(context.WithoutCancel(t.Context()), db, query, args...); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *sqldb.DB, query string) int64 {
	t.Helper()
	n, err := sqldb.One(t.Context(), db, sqldb.Value[int64], query)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
