package sqldbtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// server is a running PostgreSQL.
type server struct {
	url      string // of the maintenance database
	template string // name of a migrated database to copy, "" for none
	made     atomic.Int64
	alive    *os.File // see start; nil for a server that was given
}

var postgres = sync.OnceValues(func() (*server, error) {
	ctx := context.Background()
	if given := os.Getenv("KYRA_TEST_POSTGRES_URL"); given != "" {
		// No template there: nothing would ever drop it.
		return &server{url: given}, nil
	}
	return start(ctx)
})

// start runs a server with data and socket in a temporary folder and no network.
func start(ctx context.Context) (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(shortTemp(), "kyra-pg-")
	if err != nil {
		return nil, err
	}
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// The watchdog holds the read end of a pipe whose write end dies with this
	// process, however it dies: then it ends the server and removes the folder.
	// It runs as this user, so that it may signal the server and remove its files.
	held, holder, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	const watch = `read _; pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null); [ -n "$pid" ] && kill -QUIT "$pid" && while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; rm -rf "$1"`
	dog := exec.Command("/bin/sh", "-c", watch, "watchdog", dir)
	dog.Stdin, dog.SysProcAttr = held, &syscall.SysProcAttr{Setsid: true}
	if err := dog.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	held.Close()
	srv := &server{url: "postgres:///postgres?user=postgres&host=" + url.QueryEscape(dir), alive: holder}

	run := func(name string, args ...string) error {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, attr
		// Files, not pipes: the server inherits them and outlives pg_ctl.
		out, err := os.Create(filepath.Join(dir, name+".out"))
		if err != nil {
			return err
		}
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			said, _ := os.ReadFile(out.Name())
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return fmt.Errorf("%s: %w\n%s%s", name, err, said, log)
		}
		return nil
	}
	data := filepath.Join(dir, "data")
	if err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"); err != nil {
		return nil, err
	}
	// Crash safety is not what these tests are about.
	settings := fmt.Sprintf("-c listen_addresses='' -c unix_socket_directories='%s' -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=200 -c shared_buffers=256MB", dir)
	if err := run("pg_ctl", "-D", data, "-l", filepath.Join(dir, "log"), "-w", "-t", "60", "-o", settings, "start"); err != nil {
		return nil, err
	}
	template, err := srv.newDatabase(ctx, "template_kyra", "")
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, template); err != nil {
		return nil, err
	}
	srv.template = "template_kyra"
	return srv, nil
}

// create makes a migrated database and returns its URL and what drops it.
func (s *server) create(ctx context.Context) (string, func(context.Context) error, error) {
	name := fmt.Sprintf("kyra_test_%d_%d_%d", os.Getpid(), time.Now().UnixNano(), s.made.Add(1))
	dbURL, err := s.newDatabase(ctx, name, s.template)
	if err != nil {
		return "", nil, err
	}
	if s.template != "" {
		// The whole server goes away soon, and dropping costs a checkpoint.
		return dbURL, func(context.Context) error { return nil }, nil
	}
	drop := func(ctx context.Context) error { return s.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)") }
	if err := migrate(ctx, dbURL); err != nil {
		return "", nil, errors.Join(err, drop(ctx))
	}
	return dbURL, drop, nil
}

func (s *server) newDatabase(ctx context.Context, name, template string) (string, error) {
	query := "CREATE DATABASE " + name
	if template != "" {
		query += " TEMPLATE " + template
	}
	if err := s.exec(ctx, query); err != nil {
		return "", fmt.Errorf("create test database: %w", err)
	}
	u, err := url.Parse(s.url)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

func (s *server) exec(ctx context.Context, query string) error {
	db, err := sqldb.Open(ctx, s.url)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, db, query)
	return errors.Join(err, db.Close())
}

// binaries finds the folder of the newest installed server.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	best, version := "", -1.0
	for _, path := range found {
		v, err := strconv.ParseFloat(filepath.Base(filepath.Dir(filepath.Dir(path))), 64)
		if err == nil && v > version {
			best, version = filepath.Dir(path), v
		}
	}
	if best != "" {
		return best, nil
	}
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errAbsent
}

var errAbsent = errors.New("no PostgreSQL: no pg_ctl in /usr/lib/postgresql/*/bin or PATH, and KYRA_TEST_POSTGRES_URL is not set")

// unprivileged gives dir to the user postgres when this process is root, as
// which the server refuses to run.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root cannot run PostgreSQL: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, int(uid), int(gid))
}

// shortTemp is the folder for temporary files, unless its name is too long for a
// socket's path (107 bytes).
func shortTemp() string {
	if dir := os.TempDir(); len(dir) < 60 {
		return dir
	}
	return "/tmp"
}
