package victorialogs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/query"
)

// benchEvents is how many events the benchmarks store: few by default, and as
// many as KYRA_BENCH_EVENTS says.
func benchEvents(b *testing.B) int {
	if v := os.Getenv("KYRA_BENCH_EVENTS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	return 20_000
}

var benchEnd = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC).UnixNano()

// sshdEvents are lines as sshd and sudo write them, parsed, over 24 hours.
func sshdEvents(n int) []event.Event {
	random := rand.New(rand.NewPCG(1, 1))
	events := make([]event.Event, n)
	for i := range events {
		e := &events[i]
		at := time.Unix(0, benchEnd-int64(n-i)*(24*3600*1e9/int64(n))).UTC()
		user := []string{"root", "admin", "bob", "alice", "deploy", "test", "oracle", "git", "www", "postgres", "backup", "guest"}[random.IntN(12)]
		ip := fmt.Sprintf("%d.%d.%d.%d", 1+random.IntN(220), random.IntN(256), random.IntN(256), random.IntN(256))
		port := strconv.Itoa(1024 + random.IntN(60000))
		host := fmt.Sprintf("web-%02d", random.IntN(50))
		program, msg := "sshd", "Failed password for "+user+" from "+ip+" port "+port+" ssh2"
		if random.IntN(4) == 0 {
			program, msg = "sudo", user+" : TTY=pts/0 ; PWD=/home/"+user+" ; USER=root ; COMMAND=/usr/bin/apt update"
		}
		e.ID = event.ID{Partition: uint16(i % 4), Seq: uint64(i / 500), Index: uint32(i % 500)}
		e.Tenant, e.Time, e.Arrived = 1, at.UnixNano(), at.UnixNano()+1e6
		e.Raw = at.Format("Jan _2 15:04:05 ") + host + " " + program + "[" + strconv.Itoa(random.IntN(30000)) + "]: " + msg
		for _, f := range [][2]string{
			{"source", program},
			{"program", program},
			{"host", host},
			{"pid", strconv.Itoa(random.IntN(30000))},
			{"severity", event.Severities[random.IntN(5)]},
			{"message", msg},
			{"category", "authentication"},
			{"action", "login"},
			{"outcome", "failure"},
			{"user", user},
			{"src_ip", ip},
			{"src_port", port},
			{"time_quality", "year_assumed"},
			{"peer_ip", "10.0.0.5"},
		} {
			e.Add(f[0], f[1])
		}
	}
	return events
}

// BenchmarkAppend is the bare store: rows handed over, answered and synced.
func BenchmarkAppend(b *testing.B) {
	events := sshdEvents(benchEvents(b))
	for b.Loop() {
		b.StopTimer()
		s := start(b, b.TempDir())
		b.StartTimer()
		from := time.Now()
		fill(b, s, events)
		b.ReportMetric(float64(len(events))/time.Since(from).Seconds(), "events/s")
	}
}

// fill appends from two goroutines, as two partitions do.
func fill(b *testing.B, s eventstore.Store, events []event.Event) {
	done := make(chan error, 2)
	half := len(events) / 2
	for _, part := range [][]event.Event{events[:half], events[half:]} {
		go func() {
			for len(part) > 0 {
				n := min(4000, len(part))
				if err := s.Append(context.Background(), part[:n]); err != nil {
					done <- err
					return
				}
				part = part[n:]
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Sync(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSearch compares searches with what the store's node takes for the
// same filter in its own language: rows, and the histogram that counts them.
func BenchmarkSearch(b *testing.B) {
	s := start(b, b.TempDir())
	fill(b, s, sshdEvents(benchEvents(b)))
	for _, c := range []struct{ name, query, own string }{
		{"equal", "program:sshd AND user:root", `program:="sshd" user:="root"`},
		{"everything", "", "*"},
		{"word", "apt", `apt`},
		{"message word", "message:apt", `apt`},
		{"address", "src_ip:10.0.0.0/8", `src_ip:ipv4_range("10.0.0.0/8")`},
		{"number", "src_port:>=60000", `src_port:>=60000`},
		{"wildcard", "user:po*", `user:~"^po"`},
	} {
		n, err := query.Parse(c.query)
		if err != nil {
			b.Fatal(err)
		}
		r := eventstore.Request{Tenant: 1, Filter: n, From: benchEnd - 24*3600*1e9, To: benchEnd, Limit: 50, Histogram: true}
		b.Run(c.name, func(b *testing.B) {
			var mine, own time.Duration
			for b.Loop() {
				t := time.Now()
				if _, err := s.Search(context.Background(), r); err != nil {
					b.Fatal(err)
				}
				mine += time.Since(t)
				t = time.Now()
				if err := s.Own(context.Background(), 1, r.From, r.To, c.own); err != nil {
					b.Fatal(err)
				}
				own += time.Since(t)
			}
			b.ReportMetric(float64(mine.Microseconds())/float64(b.N)/1000, "ms/search")
			b.ReportMetric(float64(mine)/float64(own), "ratio")
		})
	}
}
