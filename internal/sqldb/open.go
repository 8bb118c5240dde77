package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// Sizes of the pools. SQLite writes through one connection; PostgreSQL's own
// limit is 100 for all its clients.
const (
	sqliteReaders       = 4
	postgresConnections = 16
)

// Open connects to "sqlite:PATH" (the file is made when absent) or
// "postgres://…" and checks that the database answers. It changes no schema: see
// Migrate.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	var db *DB
	var err error
	switch scheme, rest, _ := strings.Cut(rawURL, ":"); scheme {
	case "sqlite":
		db, err = openSQLite(rest)
	case "postgres", "postgresql":
		db, err = openPostgres(rawURL)
	default:
		// The URL itself may hold a password: it is not repeated.
		return nil, fault.New(fault.Invalid, "the database URL must begin with sqlite: or postgres://")
	}
	if err != nil {
		return nil, err
	}
	if err := db.Ping(ctx); err != nil {
		db.Close() //nolint:errcheck // the ping's error says more
		return nil, err
	}
	return db, nil
}

func openSQLite(path string) (*DB, error) {
	if path == "" || path == ":memory:" {
		return nil, fault.New(fault.Invalid, "the database URL must name a file: sqlite:PATH")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// The order matters: busy_timeout first, since journal_mode may have to wait.
	common := []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-16384)"}
	dsn := func(txlock string, extra ...string) string {
		q := url.Values{"_pragma": append(slices.Clip(common), extra...), "_txlock": {txlock}}
		return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
	}
	writer, err := sql.Open("sqlite", dsn("immediate"))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	writer.SetMaxOpenConns(1)
	reader, err := sql.Open("sqlite", dsn("deferred", "query_only(1)"))
	if err != nil {
		writer.Close() //nolint:errcheck // nothing was written
		return nil, fmt.Errorf("open database: %w", err)
	}
	reader.SetMaxOpenConns(sqliteReaders)
	reader.SetMaxIdleConns(sqliteReaders)
	// A reader cannot make the file: the writer does.
	if err := writer.Ping(); err != nil {
		writer.Close() //nolint:errcheck // nothing was written
		reader.Close() //nolint:errcheck // nothing was opened
		return nil, fault.New(fault.Unavailable, "open database %s", path).Because(err)
	}
	return &DB{dialect: SQLite, writer: writer, reader: reader}, nil
}

func openPostgres(rawURL string) (*DB, error) {
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the database URL cannot be read").Because(err)
	}
	// Compiling a plan takes longer than any statement here may.
	config.RuntimeParams["jit"] = "off"
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(postgresConnections)
	pool.SetMaxIdleConns(postgresConnections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return &DB{dialect: Postgres, writer: pool, reader: pool}, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema up to date; several processes may call it at once. It
// runs the numbered files of the folder migrations, all domains' in one row:
//
//	0007_add_note.sql            for both databases, or
//	0007_add_note.sqlite.sql     and
//	0007_add_note.postgres.sql   where they must differ
//
// A file that has been released is never changed. Numbers 0001 to 0099 belong to
// tenant, audit, alert, incident and rule; 0100 to 0199 to identity, source and the
// doors; later changes of any of them go on from 0200.
func (db *DB) Migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	other, dialect := Postgres, goose.DialectSQLite3
	if db.dialect == Postgres {
		other, dialect = SQLite, goose.DialectPostgres
	}
	others, err := fs.Glob(files, "*."+string(other)+".sql")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	opts := []goose.ProviderOption{
		goose.WithExcludeNames(others),
		goose.WithDisableGlobalRegistry(true),
		// Domains have ranges of numbers: a lower one may come later.
		goose.WithAllowOutofOrder(true),
	}
	if db.dialect == Postgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, db.writer, files, opts...)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
