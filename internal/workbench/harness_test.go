package workbench

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/eventstore/victorialogs"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/rules"
)

// nodeEnv makes the test binary a storage node.
const nodeEnv = "KYRA_TEST_WORKBENCH_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(nodeEnv) == "" {
		os.Exit(m.Run())
	}
	// The supervisor adds --addr ADDR --dir DIR.
	c := victorialogs.ServeConfig{Addr: os.Args[len(os.Args)-3], Dir: os.Args[len(os.Args)-1], Password: os.Getenv(victorialogs.PasswordEnv), MemoryBytes: 256 << 20, MinFreeBytes: 1 << 20}
	if err := victorialogs.Serve(context.Background(), c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// realStore runs an event store with a node of its own until the test ends.
func realStore(t testing.TB) eventstore.Store {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Setenv(nodeEnv, "1") //nolint:usetesting // only children look at it
	l, err := victorialogs.NewLocal(victorialogs.LocalConfig{
		Config: victorialogs.Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, Dir: t.TempDir(), Command: []string{self},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-l.Ready():
	case <-time.After(time.Minute):
		t.Fatal("the node does not answer")
	}
	return l
}

// noon is when tests begin.
var noon = time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)

// bench is a workbench over a store with the catalogue in SQLite.
type bench struct {
	*Service
	t     testing.TB
	db    *sqldb.DB
	rules *rule.Service
	seq   uint64
}

func newBench(t testing.TB, store eventstore.Store, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, db: sqldbtest.SQLite(t)}
	b.rules = rule.New(b.db, checkRule)
	c := Config{Events: store, Rules: b.rules, Now: func() time.Time { return noon }, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, f := range change {
		f(&c)
	}
	b.Service = New(c)
	b.pause = time.Millisecond
	return b
}

func checkRule(text []byte) (rule.Meta, error) {
	docs, err := sigma.Parse(text)
	if err != nil {
		return rule.Meta{}, fault.New(fault.Invalid, "%v", err)
	}
	d := docs[mainDocument(docs)]
	m := rule.Meta{ID: d.ID, Name: d.Title, Author: d.Author, Severity: d.Severity(), Type: "detection", Tactics: d.Tactics(), Techniques: d.Techniques()}
	if d.Correlation != nil {
		m.Type = "correlation"
	}
	return m, nil
}

// builtin fills the catalogue with the rules of this version.
func (b *bench) builtin() {
	b.t.Helper()
	var list []rule.Builtin
	err := fs.WalkDir(rules.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yml") {
			return err
		}
		text, err := fs.ReadFile(rules.FS, path)
		if err != nil {
			return err
		}
		m, err := checkRule(text)
		list = append(list, rule.Builtin{Meta: m, YAML: string(text)})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.rules.Sync(b.t.Context(), list); err != nil {
		b.t.Fatal(err)
	}
}

// put stores lines of a tenant as the pipeline would, each at its time, and returns
// the events.
func (b *bench) put(tenant uint32, lines ...line) []event.Event {
	b.t.Helper()
	parser := parse.New(parse.Options{})
	b.seq++
	events := make([]event.Event, len(lines))
	for i, l := range lines {
		e := &events[i]
		parser.Parse(&parse.Record{Tenant: tenant, Raw: l.text, Arrived: l.at.UnixNano(), Source: l.source, Input: "test"}, e)
		e.ID = event.ID{Seq: b.seq, Index: uint32(i)} //nolint:gosec // few
		e.Time = l.at.UnixNano()
	}
	if err := b.Events.Append(b.t.Context(), events); err != nil {
		b.t.Fatal(err)
	}
	if err := b.Events.Sync(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return events
}

type line struct {
	at     time.Time
	source string
	text   string
}

// failure is a failed login over SSH.
func failure(at time.Time, user, src string) line {
	return line{at, "linux", fmt.Sprintf("%s web-01 sshd[4242]: Failed password for %s from %s port 50000 ssh2", at.Format(time.Stamp), user, src)}
}

func success(at time.Time, user, src string) line {
	return line{at, "linux", fmt.Sprintf("%s web-01 sshd[4242]: Accepted password for %s from %s port 50000 ssh2", at.Format(time.Stamp), user, src)}
}

const bruteForce = `title: Failed login
name: failed
logsource: {product: linux, service: sshd}
detection:
  failed: {action: login, outcome: failure}
  condition: failed
---
title: Brute force
level: high
tags: [attack.credential_access, attack.t1110.001]
correlation:
  type: event_count
  rules: [failed]
  group-by: [src_ip]
  timespan: 5m
  condition: {gte: 5}
`

// stores runs a test with the store in memory and with the real one.
func stores(t *testing.T, test func(t *testing.T, store eventstore.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, &memory.Store{}) })
	if raceEnabled {
		return // the node would run in this very binary: it takes minutes
	}
	t.Run("victorialogs", func(t *testing.T) { test(t, realStore(t)) })
}
