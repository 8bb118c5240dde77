package sqldb

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A Dialect is one of the two databases.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// A Constraint is a class of rule that a statement broke.
type Constraint string

// The constraints that Violation tells apart.
const (
	None       Constraint = ""
	Unique     Constraint = "unique"
	ForeignKey Constraint = "foreign key"
	Check      Constraint = "check"
	NotNull    Constraint = "not null"
)

// Violation tells by its code which constraint err broke: None for any other
// error and for nil. On PostgreSQL the transaction is lost with it.
func Violation(err error) Constraint {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "23505":
			return Unique
		case "23503":
			return ForeignKey
		case "23514":
			return Check
		case "23502":
			return NotNull
		}
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return Unique
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return ForeignKey
		case sqlite3.SQLITE_CONSTRAINT_CHECK:
			return Check
		case sqlite3.SQLITE_CONSTRAINT_NOTNULL:
			return NotNull
		}
	}
	return None
}

// retryable tells whether a transaction failed only because of another one: a
// serialisation failure or a deadlock on PostgreSQL, a second process that holds
// the file of SQLite.
func retryable(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01"
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		const primary = 0xff
		return e.Code()&primary == sqlite3.SQLITE_BUSY
	}
	return false
}
