package workbench

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// BenchmarkBacktest runs a correlation over stored events; a metric of events in a
// second of the wall clock, reading included.
func BenchmarkBacktest(b *testing.B) {
	const n = 200_000
	w := newBench(b, realStore(b))
	begin := noon.Add(-24 * time.Hour)
	for at := 0; at < n; at += 10_000 {
		events := make([]event.Event, 10_000)
		for i := range events {
			e := &events[i]
			e.ID, e.Tenant = event.ID{Seq: uint64(at + 1), Index: uint32(i)}, 1
			e.Time = begin.Add(time.Duration(at+i) * 400 * time.Millisecond).UnixNano()
			e.Arrived = e.Time
			for name, v := range map[string]string{
				"source": "sshd", "program": "sshd", "host": fmt.Sprint("host-", i%50), "action": "login", "outcome": []string{"failure", "success"}[i%10/9],
				"user": fmt.Sprint("u", i%97), "src_ip": fmt.Sprintf("10.%d.%d.%d", i%3, i%200, i%250), "message": fmt.Sprint("Failed password for u", i%97, " port ", i), "severity": "medium",
			} {
				e.Add(name, v)
			}
			e.Raw = "Apr 22 08:15:30 host sshd[1]: " + e.Get(event.Message)
		}
		if err := w.Events.Append(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Events.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		r, err := w.Backtest(b.Context(), 1, BacktestRequest{Subject: Subject{Text: bruteForce}, From: begin, To: noon}, nil)
		if err != nil || r.EventsRead != n {
			b.Fatal(r, err)
		}
		b.ReportMetric(float64(r.Cost.PerEventNanos), "engine-ns/event")
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
}
