package backup

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// dump takes the database as it is at one moment, under its name with ".new" behind.
func (in *Installation) dump(ctx context.Context, dir string) (*File, error) {
	name := sqliteFile
	if in.Postgres != "" {
		name = postgresFile
	}
	to := filepath.Join(dir, name+".new")
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if in.Postgres != "" {
		if err := postgres(ctx, in.Postgres, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--file="+to); err != nil {
			return nil, err
		}
		if err := postgres(ctx, "", "pg_restore", "--list", to); err != nil { // its table of contents can be read
			return nil, err
		}
	} else {
		if _, err := sqldb.Exec(ctx, in.DB, `VACUUM INTO $1`, to); err != nil {
			return nil, fmt.Errorf("copy the database: %w", err)
		}
		if err := whole(ctx, to); err != nil {
			return nil, err
		}
	}
	if err := syncFile(to); err != nil {
		return nil, err
	}
	f, err := hashed(to)
	if err != nil {
		return nil, err
	}
	f.Path = name
	return f, nil
}

// whole looks whether a SQLite file is as SQLite wants it.
func whole(ctx context.Context, path string) (err error) {
	db, err := sqldb.Open(ctx, "sqlite:"+path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	found, err := sqldb.All(ctx, db, sqldb.Value[string], `PRAGMA integrity_check`)
	if err != nil {
		return fmt.Errorf("check the copy of the database: %w", err)
	}
	if len(found) != 1 || found[0] != "ok" {
		return fault.New(fault.Unavailable, "the copy of the database is damaged: %s", strings.Join(found, "; "))
	}
	return nil
}

// postgres runs a program of PostgreSQL's. The password goes by the environment: others
// on the machine can read command lines.
func postgres(ctx context.Context, database, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the program is one of two, the arguments are ours
	if database != "" {
		without, password, err := parted(database)
		if err != nil {
			return err
		}
		if password != "" {
			cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
		}
		cmd.Args = append(cmd.Args[:1:1], append([]string{"--dbname=" + without}, args...)...)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return fault.New(fault.Unavailable, "%s is not installed here: the backup of a PostgreSQL database needs PostgreSQL's client programs, not older than the server", program)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fault.New(fault.Unavailable, "%s: %s", program, strings.Join(strings.Fields(said.String()), " ")).Because(err)
}

// parted parts the password from the URL of a database. What is wrong with a URL is not
// said: the error would repeat it, with the password, and go into the audit log.
func parted(database string) (without, password string, err error) {
	u, err := url.Parse(database)
	if err != nil {
		return "", "", fault.New(fault.Invalid, "the database URL cannot be read")
	}
	password, has := u.User.Password()
	if has {
		u.User = url.User(u.User.Username())
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", "", fault.New(fault.Invalid, "the database URL cannot be read")
	}
	if q.Has("password") { // which counts before the one of the user
		password = q.Get("password")
		q.Del("password")
		u.RawQuery = q.Encode()
	}
	return u.String(), password, nil
}

// An object is what a database holds, in words of its DROP statement.
type object struct{ kind, name string }

// objects returns what people made in a PostgreSQL database.
func objects(ctx context.Context, db *sqldb.DB) ([]object, error) {
	return sqldb.All(ctx, db, func(rows *sql.Rows, o *object) error { return rows.Scan(&o.kind, &o.name) }, `
		SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
			quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
			AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
		UNION ALL
		SELECT 'ROUTINE', p.oid::regprocedure::text
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND p.prokind <> 'a'
			AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')`)
}

// onDatabase calls f with the database of a URL.
func onDatabase(ctx context.Context, url string, f func(*sqldb.DB) error) error {
	db, err := sqldb.Open(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

// empty tells whether nothing lies in the PostgreSQL database of that URL.
func empty(ctx context.Context, url string) (is bool, err error) {
	err = onDatabase(ctx, url, func(db *sqldb.DB) error {
		all, err := objects(ctx, db)
		is = len(all) == 0
		return err
	})
	return is, err
}

// wipe empties the PostgreSQL database of that URL.
func wipe(ctx context.Context, url string) error {
	return onDatabase(ctx, url, func(db *sqldb.DB) error {
		return db.Tx(ctx, func(tx *sqldb.DB) error {
			all, err := objects(ctx, tx)
			if err != nil {
				return err
			}
			for _, o := range all {
				if _, err := sqldb.Exec(ctx, tx, "DROP "+o.kind+" IF EXISTS "+o.name+" CASCADE"); err != nil {
					return fmt.Errorf("empty the database again: %w", err)
				}
			}
			return nil
		})
	})
}
