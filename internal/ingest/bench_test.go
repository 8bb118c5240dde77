package ingest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/queue"
)

// BenchmarkHTTP is the door alone: the queue takes everything at once.
func BenchmarkHTTP(b *testing.B) {
	const line = "Nov 23 08:16:36 vm sshd[42]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2\n"
	const n = 20_000
	plain := bytes.Repeat([]byte(line), n)
	for _, form := range []struct {
		name, encoding string
		body           []byte
	}{{"plain", "", plain}, {"gzip", "gzip", gzipped(plain)}, {"zstd", "zstd", zstded(plain)}} {
		b.Run(form.name, func(b *testing.B) {
			g := New(Config{Append: func(context.Context, *queue.Chunk) error { return nil }, Log: slog.New(slog.DiscardHandler)})
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", "/", io.NopCloser(bytes.NewReader(form.body)))
				r.Header.Set("Content-Encoding", form.encoding)
				w := httptest.NewRecorder()
				g.HTTP(w, r, Caller{Tenant: Tenant{Number: 1}})
				if w.Code != 200 {
					b.Fatal(w.Body.String())
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// realQueue is an embedded queue that syncs each message to disk.
func realQueue(b *testing.B) *queue.Queue {
	b.Helper()
	q, err := queue.Open(b.Context(), queue.Config{Dir: b.TempDir(), Partitions: 2, MaxBytes: 8 << 30}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		q.Close()
	})
	return q
}

// BenchmarkToQueue is the way from the socket to the synced queue.
func BenchmarkToQueue(b *testing.B) {
	const line = "<86>Nov 23 08:16:36 vm sshd[42]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2\n"
	const n = 50_000
	body := bytes.Repeat([]byte(line), n)
	b.Run("http", func(b *testing.B) {
		g := New(Config{Append: realQueue(b).Append, Log: slog.New(slog.DiscardHandler)})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.HTTP(w, r, Caller{Tenant: Tenant{Number: 1}})
		}))
		defer server.Close()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			resp, err := http.Post(server.URL, "text/plain", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				b.Fatal(resp.Status)
			}
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("syslog-tcp", func(b *testing.B) {
		g := New(Config{Append: realQueue(b).Append, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(b.Context())
		s, err := g.ListenSyslog(ctx, SyslogConfig{TCP: "127.0.0.1:0", Tenant: func() Tenant { return Tenant{Number: 1} }})
		if err != nil {
			b.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		b.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		})
		conn, err := net.Dial("tcp", s.TCPAddr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(body)))
		sent := int64(0)
		for b.Loop() {
			if _, err := conn.Write(body); err != nil {
				b.Fatal(err)
			}
			sent += n
			for statsOf(g, InputSyslogTCP).Records < sent {
				sleep(b.Context(), time.Millisecond)
			}
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
	})
}
