package ingest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"

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
