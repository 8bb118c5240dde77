package backup

import (
	"bytes"
	"context"
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
		u, err := url.Parse(database)
		if err != nil {
			return fault.New(fault.Invalid, "the database URL cannot be read").Because(err)
		}
		password, has := u.User.Password()
		if has {
			u.User = url.User(u.User.Username())
			cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
		}
		cmd.Args = append(cmd.Args[:1:1], append([]string{"--dbname=" + u.String()}, args...)...)
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
