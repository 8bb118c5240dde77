// Package sqldb is the SQL database of control data: SQLite or PostgreSQL, one
// SQL text for both, and the migrations of every table. It knows no domain and
// never builds a query.
//
// What keeps one text possible: columns are TEXT, BIGINT, BOOLEAN, BYTEA or DOUBLE
// PRECISION; times are BIGINT microseconds made in Go (see Micros), never now();
// JSON is TEXT; parameters are $1…$n; an untyped NULL is CAST($1 AS TEXT).
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// DB runs statements, each on its own or, inside Tx or View, all in one
// transaction.
//
// On SQLite there is one writing connection: inside Tx only the given tx may be
// used, since another DB value would wait for it for ever.
type DB struct {
	dialect Dialect
	writer  *sql.DB // nil inside a transaction
	reader  *sql.DB // the writer on PostgreSQL
	tx      *sql.Tx // nil outside a transaction
}

type querier interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// Dialect tells which database it is, for the few statements that must differ.
func (db *DB) Dialect() Dialect { return db.dialect }

// Close ends all connections; statements under way fail.
func (db *DB) Close() error {
	if db.tx != nil {
		return errors.New("close a database from inside its transaction")
	}
	err := db.writer.Close()
	if db.reader != db.writer {
		err = errors.Join(err, db.reader.Close())
	}
	return err
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.reader.PingContext(ctx); err != nil {
		return fault.New(fault.Unavailable, "the database does not answer").Because(err)
	}
	return nil
}

const maxAttempts = 12

// Tx calls f with a DB whose statements commit together if f returns nil.
// Inside a transaction it calls f with that one.
//
// Transactions that change the same rows never mix. SQLite runs one at a time;
// PostgreSQL runs them on a snapshot (REPEATABLE READ), and when two changed the
// same row, the later one is run again: f may be called more than once and must
// have no effect outside tx until Tx has returned nil.
func (db *DB) Tx(ctx context.Context, f func(tx *DB) error) error {
	if db.tx != nil {
		return f(db)
	}
	opts := &sql.TxOptions{}
	if db.dialect == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	var err error
	for attempt := range maxAttempts {
		err = db.once(ctx, db.writer, opts, f)
		if !retryable(err) {
			return err
		}
		// Waiting apart lets one of the two win: full jitter, at most 400 ms.
		pause := time.NewTimer(rand.N(time.Millisecond << min(attempt+1, 9)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
	return fault.New(fault.Unavailable, "the database is busy, try again").Because(err)
}

// View calls f with a DB whose queries all see the same snapshot. It cannot write.
func (db *DB) View(ctx context.Context, f func(tx *DB) error) error {
	if db.tx != nil {
		return f(db)
	}
	opts := &sql.TxOptions{}
	if db.dialect == Postgres {
		opts.Isolation, opts.ReadOnly = sql.LevelRepeatableRead, true
	}
	return db.once(ctx, db.reader, opts, f)
}

func (db *DB) once(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, f func(tx *DB) error) error {
	tx, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	if err := f(&DB{dialect: db.dialect, tx: tx}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Exec runs a statement that changes rows and returns how many it changed.
func Exec(ctx context.Context, db *DB, query string, args ...any) (int64, error) {
	var q querier = db.tx
	if db.tx == nil {
		q = db.writer
	}
	res, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Stream yields the rows of the query one by one, read by scan, and at most one
// error, at the end. Outside a transaction the query must only read; INSERT … RETURNING
// and its kin belong into Tx.
func Stream[T any](ctx context.Context, db *DB, scan func(*sql.Rows, *T) error, query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		var q querier = db.tx
		if db.tx == nil {
			q = db.reader
		}
		rows, err := q.QueryContext(ctx, query, args...)
		if err != nil {
			yield(zero, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var v T
			if err := scan(rows, &v); err != nil {
				yield(zero, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(zero, err)
		}
	}
}

// All returns every row of the query, read by scan; never nil without an error.
// The limits of Stream apply.
func All[T any](ctx context.Context, db *DB, scan func(*sql.Rows, *T) error, query string, args ...any) ([]T, error) {
	all := []T{}
	for v, err := range Stream(ctx, db, scan, query, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// One returns the first row of the query, or fault.NotFound. The limits of
// Stream apply.
func One[T any](ctx context.Context, db *DB, scan func(*sql.Rows, *T) error, query string, args ...any) (T, error) {
	for v, err := range Stream(ctx, db, scan, query, args...) {
		return v, err
	}
	var zero T
	return zero, fault.New(fault.NotFound, "no such row")
}

// Value scans a row of one column: All(ctx, db, sqldb.Value[int64], "SELECT …").
func Value[T any](rows *sql.Rows, v *T) error { return rows.Scan(v) }

// Micros scans a column of microseconds since 1970 into t, in UTC. The argument
// for such a column is t.UnixMicro().
func Micros(t *time.Time) sql.Scanner { return (*micros)(t) }

// MicrosOrNull scans a column of microseconds since 1970, NULL becoming nil. The
// argument for such a column is Nullable(t).
func MicrosOrNull(t **time.Time) sql.Scanner { return &microsOrNull{t} }

// Nullable is the argument for a column of microseconds that may be NULL.
func Nullable(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMicro()
}

type micros time.Time

func (m *micros) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("time column holds %T", v)
	}
	*m = micros(time.UnixMicro(n).UTC())
	return nil
}

type microsOrNull struct{ t **time.Time }

func (m *microsOrNull) Scan(v any) error {
	if v == nil {
		*m.t = nil
		return nil
	}
	*m.t = new(time.Time)
	return Micros(*m.t).Scan(v)
}
