package ingest

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

// BenchmarkUDP sends datagrams of one sender at 20,000 a second (KYRA_BENCH_RATE) and
// reports how many were lost on the way to the synced queue: in the kernel's buffer,
// by its own count, and in all. Each turn is a second: -benchtime 60x is a minute.
func BenchmarkUDP(b *testing.B) {
	const line = "<86>Nov 23 08:16:36 vm sshd[42]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2"
	rate := 20_000
	if text := os.Getenv("KYRA_BENCH_RATE"); text != "" {
		var err error
		if rate, err = strconv.Atoi(text); err != nil || rate < 100 {
			b.Fatalf("KYRA_BENCH_RATE is %q, want a number of 100 or more", text)
		}
	}
	g := New(Config{Append: realQueue(b).Append, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(b.Context())
	s, err := g.ListenSyslog(ctx, SyslogConfig{UDP: "127.0.0.1:0", Tenant: func() Tenant { return Tenant{Number: 1} }})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	conn, err := net.Dial("udp", s.UDPAddr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it only sends

	message := []byte(line)
	sent := 0
	begin := time.Now()
	for b.Loop() {
		for turn := sent + rate; sent < turn; {
			// By the clock: a sleep that took too long is made up for.
			for due := min(turn, int(time.Since(begin).Seconds()*float64(rate))); sent < due; sent++ {
				if _, err := conn.Write(message); err != nil {
					b.Fatal(err)
				}
			}
			time.Sleep(time.Millisecond)
		}
	}
	b.ReportMetric(float64(sent)/time.Since(begin).Seconds(), "sent/s")
	b.ReportMetric(float64(sent), "sent")
	if _, err := conn.Write(message); err != nil { // the kernel tells of a loss with the datagram after it
		b.Fatal(err)
	}
	sent++
	cancel() // what has come is still delivered
	if err := <-ended; err != nil {
		b.Error(err)
	}
	in := statsOf(g, InputSyslogUDP)
	b.ReportMetric(float64(in.Dropped["receive_buffer"]), "lost-in-kernel")
	b.ReportMetric(float64(int64(sent)-in.Records), "lost")
}
