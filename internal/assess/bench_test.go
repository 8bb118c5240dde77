package assess

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert/alerttest"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/victorialogs"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const nodeEnv = "KYRA_TEST_ASSESS_NODE"

// TestMain lets this binary be the storage node of the benchmark.
func TestMain(m *testing.M) {
	if os.Getenv(nodeEnv) == "" {
		os.Exit(m.Run())
	}
	// Arguments as the supervisor adds them: --addr ADDR --dir DIR.
	c := victorialogs.ServeConfig{Addr: os.Args[len(os.Args)-3], Dir: os.Args[len(os.Args)-1], Password: os.Getenv(victorialogs.PasswordEnv), MemoryBytes: 256 << 20, MinFreeBytes: 1 << 20}
	if err := victorialogs.Serve(context.Background(), c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// startNode runs a storage node until the benchmark ends.
func startNode(b *testing.B) *victorialogs.Local {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	b.Setenv(nodeEnv, "1")
	l, err := victorialogs.NewLocal(victorialogs.LocalConfig{Command: []string{exe}, Dir: b.TempDir(), Config: victorialogs.Config{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	select {
	case <-l.Ready():
	case <-time.After(30 * time.Second):
		b.Fatal("the storage node does not answer")
	}
	return l
}

func scaled(b *testing.B, name string, standard int) int {
	b.Helper()
	n, err := strconv.Atoi(os.Getenv(name))
	if os.Getenv(name) == "" {
		return standard
	}
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkRound evaluates the checks of all nine frameworks among KYRA_BENCH_ALERTS alerts
// and the newest KYRA_BENCH_EVENTS of 100 million events of a year, and tells the slowest.
// No check looks further back than a week: 1,920,000 events.
func BenchmarkRound(b *testing.B) {
	alerts, events := scaled(b, "KYRA_BENCH_ALERTS", 232_695), scaled(b, "KYRA_BENCH_EVENTS", 1_000_000)
	now := time.Now().UTC().Truncate(time.Microsecond)
	store := fill(b, now, events)
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		h := newHouse(b, db)
		h.now, h.Events = now, store
		estate(b, h, alerts)
		variants, err := h.Compliance.Variants(b.Context(), h.number)
		if err != nil {
			b.Fatal(err)
		}
		var before runtime.MemStats
		for b.Loop() {
			runtime.ReadMemStats(&before)
			begun := time.Now()
			took := map[string]time.Duration{}
			last, at := "", begun
			results, err := h.evaluateAll(b.Context(), h.number, variants, func(_, _ int, check string) {
				took[last] += time.Since(at)
				last, at = check, time.Now()
			})
			if err != nil {
				b.Fatal(err)
			}
			var after runtime.MemStats
			runtime.ReadMemStats(&after)
			counts := map[compliance.Outcome]int{}
			for i := range results {
				counts[results[i].Outcome]++
			}
			names := make([]string, 0, len(took))
			for name := range took {
				names = append(names, name)
			}
			slices.SortFunc(names, func(x, y string) int { return int(took[y] - took[x]) })
			for _, name := range names[:min(len(names), 6)] {
				b.Logf("%s %v", name, took[name].Round(time.Millisecond))
			}
			b.Logf("%d variants in %v, %d MB allocated, %v", len(results), time.Since(begun).Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>20, counts)
		}
	})
}

// sources of the benchmark's events, with what they send.
var mixed = []struct{ source, category, action string }{
	{"cisco_asa", "network", "deny"},
	{"nginx", "web", "request"},
	{"sshd", "authentication", "login"},
	{"auditd", "process", "process_start"},
	{"postgresql", "database", "query"},
	{"aws_cloudtrail", "configuration", "config_change"},
	{"windows_security", "iam", "group_add"},
	{"squid", "web", "proxy"},
}

// a year's events, of which the newest are stored.
const yearly = 100_000_000

// fill starts a storage node with the newest n events of a year.
func fill(b *testing.B, now time.Time, n int) eventstore.Store {
	b.Helper()
	node := startNode(b)
	begun := time.Now()
	const batch = 20_000
	const step = 365 * 24 * time.Hour / yearly
	for from := 0; from < n; from += batch {
		list := make([]event.Event, 0, batch)
		for i := from; i < min(from+batch, n); i++ {
			m := mixed[i%len(mixed)]
			at := now.Add(-time.Duration(i) * step).UnixNano()
			e := event.Event{ID: event.ID{Partition: 1, Seq: uint64(i)}, Tenant: 1, Time: at, Arrived: at}
			e.Add(event.Source, m.source)
			e.Add(event.Category, m.category)
			e.Add(event.Action, m.action)
			e.Add(event.Outcome, "success")
			e.Add(event.Host, "host-"+strconv.Itoa(i%500))
			e.Add(event.User, "user-"+strconv.Itoa(i%5000))
			e.Add(event.SrcIP, fmt.Sprintf("10.0.%d.%d", i/250%250, i%250))
			e.Add(event.Message, "something happened to user-"+strconv.Itoa(i%5000)+" on host-"+strconv.Itoa(i%500))
			list = append(list, e)
		}
		if err := node.Append(b.Context(), list); err != nil {
			b.Fatal(err)
		}
	}
	if err := node.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d events stored in %v", n, time.Since(begun).Round(time.Second))
	return node
}

// estate fills the database with what a large tenant has.
func estate(b *testing.B, h *house, alerts int) {
	b.Helper()
	begun := time.Now()
	alerttest.Seed(b, h.DB, h.number, alerts, h.now)
	n, tenant := 5000, int64(h.number)
	micros := h.now.UnixMicro()
	series := func(n int) string {
		return fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d)`, n-1)
	}
	// Every second alert of a day is answered, each at its own pace.
	exec(b, h.DB, fmt.Sprintf(`INSERT INTO alert_answer (tenant, day, severity, minutes, n) SELECT %d, day, severity, m.i, sum(n) / 1000 FROM alert_day, (%s SELECT i FROM n) m WHERE severity IN ('critical', 'high') GROUP BY day, severity, m.i`, tenant, series(500)))
	for _, text := range []string{
		series(n) + fmt.Sprintf(` INSERT INTO asset (tenant, id, root, parent, own_first, own_last, evidence, owner, tags, name, type, first_at, last_at) SELECT %d, 'asset-' || i, 'asset-' || i, '', 0, 0, 0, CASE WHEN i %% 3 = 0 THEN 'ops' ELSE '' END, '[]', 'host-' || i, 'server', %d, %d - i FROM n`, tenant, micros-int64(100*day/time.Microsecond), micros),
		series(n) + fmt.Sprintf(` INSERT INTO asset_trait (tenant, asset, kind, value, place, first_at, last_at) SELECT %d, 'asset-' || i, 'source', 'sshd', '', 0, %d - i FROM n`, tenant, micros),
		series(10*n) + fmt.Sprintf(` INSERT INTO principal (tenant, id, word, name, domain, uid, type, evidence, first_at, last_at) SELECT %d, 'p-' || i, 'user-' || i, 'user-' || i, '', '', 'human', CASE WHEN i %% 100 = 0 THEN 2 ELSE 0 END, 0, %d - i * 200000000 FROM n`, tenant, micros),
		series(2*n) + fmt.Sprintf(` INSERT INTO incident (id, tenant, title, severity, status, origin, rule_id, first_seen, tactic, technique, assigned_to, sla_due_at, closed_at, contained_at, created_at, updated_at) SELECT 'i-' || i, %d, 'Incident ' || i, CASE i %% 3 WHEN 0 THEN 'critical' WHEN 1 THEN 'high' ELSE 'low' END, 'CLOSED', 'manual', '', 0, '', '', 'kim', 0, %[2]d - i * 2000000000, %[2]d - i * 2000000000, %[2]d - i * 2000000000 - 3600000000, 0 FROM n`, tenant, micros),
		series(2*n) + ` INSERT INTO incident_comment (id, incident_id, author, content, created_at) SELECT 'c-' || i, 'i-' || i, 'kim', 'Root cause: x', 0 FROM n`,
		series(2*n) + ` INSERT INTO incident_evidence (id, incident_id, name, media_type, size, sha256, note, added_by, added_at) SELECT 'e-' || i, 'i-' || i, 'f', 't', 1, 'h-' || i, '', 'kim', 0 FROM n`,
		series(2*n) + ` INSERT INTO incident_timeline (id, incident_id, at, actor, action, old_value, new_value, note) SELECT 't-' || i, 'i-' || i, 0, 'kim', 'evidence', '', 'h-' || i, '' FROM n`,
		series(60*n) + fmt.Sprintf(` INSERT INTO notice (seq, id, tenant, event, kind, object, title, severity, text, rule, source, at) SELECT i + 1, 'n-' || i, %d, 'alert.created', 'alerts', 'o', '', '', '', '', '', %d - i * 20000000 FROM n`, tenant, micros),
	} {
		exec(b, h.DB, text)
	}
	var rows []string
	for _, m := range mixed {
		rows = append(rows, m.source)
		for host := range 500 {
			exec(b, h.DB, `INSERT INTO log_source (tenant, id, source, host, first_at, last_at, seen, events, unparsed) VALUES ($1, $2, $3, $4, 0, $5, '{"quality":[0,0,0,0]}', 1, 0)`, tenant, m.source+strconv.Itoa(host), m.source, "host-"+strconv.Itoa(host), micros)
		}
	}
	for _, source := range rows {
		exec(b, h.DB, fmt.Sprintf(`%s INSERT INTO source_ledger (tenant, hour, source, received, stored, quarantined, dropped) SELECT %d, %d - i, '%s', %[5]d, %[5]d, 0, 0 FROM n`, series(365*24), tenant, micros/3_600_000_000, source, yearly/365/24/len(rows)))
	}
	audited(b, h, 60*n)
	if h.DB.Dialect() == sqldb.Postgres {
		exec(b, h.DB, `VACUUM ANALYZE`)
	}
	logs(b, h)
	b.Logf("%d alerts and an estate in %v", alerts, time.Since(begun).Round(time.Second))
}

// audited fills the audit log without its chain: nobody verifies it here.
func audited(b *testing.B, h *house, n int) {
	b.Helper()
	hash := binary.BigEndian.AppendUint64(nil, 1)
	exec(b, h.DB, fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO audit_entry (tenant, seq, id, at, actor, action, object, detail, hash) SELECT %d, 1000 + i, 'a-' || i, %d - i * 20000000, 'user:kim', CASE i %% 3 WHEN 0 THEN 'alert.update' WHEN 1 THEN 'alert.create' ELSE 'job.start' END, 'o-' || i, '{}', $1 FROM n`, n, h.number, h.now.UnixMicro()), hash)
}

// logs lets the log sources of the database be known.
func logs(b *testing.B, h *house) {
	b.Helper()
	known, err := logsource.New(b.Context(), h.DB, logsource.Options{Now: func() time.Time { return h.now }})
	if err != nil {
		b.Fatal(err)
	}
	h.Logs = known
}
