package alert_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/alert/alerttest"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// BenchmarkAlerts measures lists, stats, search and recording among
// KYRA_BENCH_ALERTS alerts, by default those of the reference's example.
func BenchmarkAlerts(b *testing.B) {
	n := 232_695
	if s := os.Getenv("KYRA_BENCH_ALERTS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	open, criticalOpen := []alert.Status{alert.Open}, alert.Filter{Severities: []string{"critical"}, Statuses: []alert.Status{alert.Open}}
	search := func(s string) alert.Query { return alert.Query{Filter: alert.Filter{Search: s}} }
	cases := []struct {
		name string
		q    alert.Query
	}{
		{"list/first", alert.Query{}},
		{"list/critical+open", alert.Query{Filter: criticalOpen}},
		{"list/two_severities", alert.Query{Filter: alert.Filter{Severities: []string{"high", "medium"}}}},
		{"list/deep", alert.Query{Page: n / 20 / 3}},
		{"list/deep+open", alert.Query{Filter: alert.Filter{Statuses: open}, Page: n / 20 / 3}},
		{"list/last", alert.Query{Page: (n - 1) / 20}},
		{"list/by_severity", alert.Query{Sort: "severity"}},
		{"list/by_severity_deep", alert.Query{Sort: "severity", Page: n / 20 / 3}},
		{"list/by_lastSeen", alert.Query{Sort: "lastSeen"}},
		{"list/by_title", alert.Query{Sort: "title"}},
		{"list/source", alert.Query{Filter: alert.Filter{Sources: []string{"sshd"}}}},
		{"list/entity", alert.Query{Filter: alert.Filter{Entity: "10.0.1.55"}}},
		{"list/mitre", alert.Query{Filter: alert.Filter{Mitre: "T1110"}}},
		{"search/address", search("10.0.1.55")},
		{"search/user", search("user-4711")},
		{"search/part_of_word", search("rute Forc")},
		{"search/frequent", search("failed")},
		{"search/phrase", search("from 10.0.1.5")},
		{"search/korean", search("랜섬웨")},
		{"search/absent", search("no such text")},
		{"search/absent_word", search("zyxw")},
		{"search/number", search("47")},
		{"search/frequent+critical", alert.Query{Filter: alert.Filter{Search: "failed", Severities: []string{"critical"}}}},
		{"search/frequent+open+by_lastSeen", alert.Query{Filter: alert.Filter{Search: "failed", Statuses: open}, Sort: "lastSeen"}},
	}
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		ctx, now := b.Context(), time.Now()
		alerttest.Seed(b, db, 1, n, now)
		b.Logf("seeded in %v", time.Since(now).Round(time.Second))
		s := alert.New(db)
		for _, c := range cases {
			b.Run(c.name, func(b *testing.B) {
				p, err := s.List(ctx, 1, c.q)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if _, err := s.List(ctx, 1, c.q); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/op")
				b.ReportMetric(float64(p.Total), "total")
			})
		}
		b.Run("stats", func(b *testing.B) {
			for b.Loop() {
				st, err := s.Stats(ctx, 1, now, nil)
				if err != nil || st.Total != int64(n) {
					b.Fatal(st, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/op")
		})
	})
}

// BenchmarkRecord measures batches of 100 findings, one commit each: new alerts, and
// growth of alerts whose description changes with it.
func BenchmarkRecord(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		for _, growth := range []bool{false, true} {
			name := map[bool]string{false: "new", true: "growth"}[growth]
			b.Run(name, func(b *testing.B) {
				ctx, now, s, batch := b.Context(), time.Now(), alert.New(db), 0
				for b.Loop() {
					batch++
					findings := make([]alert.Finding, 100)
					for i := range findings {
						key := "10.0.0." + strconv.Itoa(i)
						if !growth {
							key += "/" + strconv.Itoa(batch)
						}
						findings[i] = alert.Finding{
							Tenant: 1, Rule: alert.RuleRef{ID: name, Name: "Brute Force"}, Title: "Brute Force Authentication Attempt", Severity: "high", Source: "sshd",
							Description: "{count} failed logon attempts from {src_ip} targeting {user} account", Key: key,
							Values:   map[string][]string{"src_ip": {key}, "user": {"root"}},
							Entities: []alert.Entity{{Type: "ip", Field: "src_ip", Value: key}}, First: now.UnixNano(), Last: now.UnixNano(), Count: 1,
						}
					}
					err := db.Tx(ctx, func(tx *sqldb.DB) error {
						_, err := s.Record(ctx, tx, now, findings)
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "findings/s")
			})
		}
	})
}

// BenchmarkStorm records batches of 1,000 findings, each of another entity: of a rule
// that is in a storm, and with one alert for each.
func BenchmarkStorm(b *testing.B) {
	for name, limit := range map[string]int{"folded": alert.DefaultStormLimit, "each": 0} {
		b.Run(name, func(b *testing.B) {
			sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
				s, now := alert.NewWithStorms(db, limit), time.Now()
				const batch = 1000
				entity := 0
				for b.Loop() {
					findings := make([]alert.Finding, batch)
					for i := range findings {
						entity++
						host := "host-" + strconv.Itoa(entity)
						findings[i] = alert.Finding{
							Tenant: 1, Rule: alert.RuleRef{ID: "noisy", Name: "Noisy", Version: 1}, Title: "Noisy", Severity: "medium", Source: "sshd",
							Description: "{count} events on {host}", Values: map[string][]string{"host": {host}}, Key: "host=" + host,
							Entities: []alert.Entity{{Type: "host", Field: event.Host, Value: host}},
							First:    now.UnixNano(), Last: now.UnixNano(), Count: 1, Events: []event.ID{{Seq: uint64(entity)}}, //nolint:gosec // rises from 0
						}
					}
					err := db.Tx(b.Context(), func(tx *sqldb.DB) error {
						_, err := s.Record(b.Context(), tx, now, findings)
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "findings/s")
			})
		})
	}
}
