package ingest

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// A sink takes chunks as the queue does, and can be full.
type sink struct {
	mu      sync.Mutex
	chunks  []*queue.Chunk
	err     error // what Append answers
	after   int   // chunks that are taken before err
	largest int   // bytes that a chunk may have, 0 for any
	delay   time.Duration
	more    chan struct{} // one token when something came
}

func newSink() *sink { return &sink{more: make(chan struct{}, 1)} }

func (s *sink) Append(ctx context.Context, c *queue.Chunk) error {
	if s.delay > 0 && !sleep(ctx, s.delay) {
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil && len(s.chunks) >= s.after {
		return s.err
	}
	if s.largest > 0 && len(strings.Join(c.Records, "")) > s.largest {
		return fault.New(fault.TooLarge, "no message can hold it")
	}
	s.chunks = append(s.chunks, c)
	wake(s.more)
	return nil
}

func (s *sink) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *sink) taken() []*queue.Chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*queue.Chunk(nil), s.chunks...)
}

func (s *sink) records() []string {
	var all []string
	for _, c := range s.taken() {
		all = append(all, c.Records...)
	}
	return all
}

func (s *sink) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.chunks {
		n += len(c.Records)
	}
	return n
}

// await waits until n records have come.
func (s *sink) await(t *testing.T, n int) []string {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		if s.count() >= n { // all is copied once only: there may be many
			return s.records()
		}
		select {
		case <-s.more:
		case <-timeout:
			t.Fatalf("%d records after 60 s, want %d", s.count(), n)
		}
	}
}

var errFull = fault.New(fault.Unavailable, "queue is full")

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func statsOf(g *Gate, input string) InputStats {
	for _, s := range g.Stats() {
		if s.Input == input {
			return s
		}
	}
	return InputStats{}
}

func TestWriteMetrics(t *testing.T) {
	g := New(Config{Append: newSink().Append, Log: testLog(t)})
	in := g.stats.of(InputSyslogUDP)
	in.took(&queue.Chunk{Records: []string{"ab", "c"}, Cut: []uint32{1}})
	in.drop("quota", 3)
	in.reject("queue", 0)
	var out strings.Builder
	g.WriteMetrics(&out)
	want := `kyra_ingest_records_total{input="syslog-udp"} 2
kyra_ingest_bytes_total{input="syslog-udp"} 3
kyra_ingest_cut_total{input="syslog-udp"} 1
kyra_ingest_resyncs_total{input="syslog-udp"} 0
kyra_ingest_open{input="syslog-udp"} 0
kyra_ingest_dropped_total{input="syslog-udp",reason="quota"} 3
`
	if out.String() != want {
		t.Errorf("wrote %s", out.String())
	}
}
