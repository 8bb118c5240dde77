package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/demo"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/victorialogs"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/query"
)

// benchEvents is how many events the benchmarks of the whole server take.
func benchEvents(b *testing.B) int {
	b.Helper()
	n, err := strconv.Atoi(os.Getenv("KYRA_BENCH_EVENTS"))
	if err != nil {
		return 200_000
	}
	return n
}

// mixedLines are the lines of the demo, day after day, until there are n.
func mixedLines(n int) [][]byte {
	var bodies [][]byte
	var body []byte
	for day := 0; n > 0; day++ {
		for l := range demo.Recording(time.Now().UTC().Truncate(time.Second).AddDate(0, 0, -day)) {
			body = append(append(body, l.Text...), '\n')
			if n--; n == 0 {
				break
			}
			if len(body) > 900<<10 {
				bodies = append(bodies, body)
				body = nil
			}
		}
	}
	return append(bodies, body)
}

// BenchmarkIngest measures the whole way of events, from the HTTP door to synced,
// parsed, detected, archived and stored, and then what a bare event store takes of
// the same events, in one run: the ratio is what counts.
func BenchmarkIngest(b *testing.B) {
	n := benchEvents(b)
	bodies := mixedLines(n)
	bytesIn := 0
	for _, body := range bodies {
		bytesIn += len(body)
	}
	b.SetBytes(int64(bytesIn))
	for range b.N {
		full := ingestAll(b, bodies, n)
		bare := storeAll(b, bodies, n)
		b.ReportMetric(float64(n)/full.Seconds(), "events/s")
		b.ReportMetric(float64(n)/bare.Seconds(), "bare-events/s")
		b.ReportMetric(bare.Seconds()/full.Seconds(), "of-bare")
	}
}

// openBench runs a whole server in this process, its store in a child.
func openBench(b *testing.B, change ...func(*config.Config)) (s *Server, stop func()) {
	b.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen = filepath.Join(b.TempDir(), "data"), "127.0.0.1:0"
	cfg.Syslog.UDP, cfg.Syslog.TCP = "", ""
	for _, f := range change {
		f(&cfg)
	}
	s, err := Open(b.Context(), cfg, nodeCommand(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	<-ready
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}
}

func ingestAll(b *testing.B, bodies [][]byte, n int) time.Duration {
	b.Helper()
	s, stop := openBench(b)
	defer stop()
	started := time.Now()
	work := make(chan []byte)
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			var failed error
			for body := range work {
				if failed == nil {
					failed = post(b.Context(), s, body)
				}
			}
			errs <- failed
		}()
	}
	for _, body := range bodies {
		work <- body
	}
	close(work)
	for range 2 {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	for {
		if done, err := s.Drained(b.Context()); err != nil {
			b.Fatal(err)
		} else if done {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(started)
	usage, err := s.store.Usage(b.Context())
	if err != nil || usage.Rows != uint64(n) {
		b.Fatalf("%d rows are stored of %d events: %v", usage.Rows, n, err)
	}
	searchLatency(b, s)
	return took
}

func post(ctx context.Context, s *Server, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/api/v1/ingest?source=linux", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.FirstKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ingest answered %s", resp.Status)
	}
	return nil
}

// searchLatency reports the main search call over all that is stored.
func searchLatency(b *testing.B, s *Server) {
	b.Helper()
	filter, err := query.Parse("program:sshd AND user:root")
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for range 7 {
		started := time.Now()
		_, err := s.store.Search(b.Context(), eventstore.Request{
			Tenant: 1, Filter: filter, From: time.Now().AddDate(-1, 0, 0).UnixNano(), To: time.Now().Add(time.Hour).UnixNano(), Limit: 50, Histogram: true,
		})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "search-ms")
}

// storeAll measures the event store alone, with the events parsed beforehand.
func storeAll(b *testing.B, bodies [][]byte, n int) time.Duration {
	b.Helper()
	store, err := victorialogs.NewLocal(victorialogs.LocalConfig{
		Config: victorialogs.Config{Logger: slog.New(slog.DiscardHandler)}, Dir: b.TempDir(), Command: nodeCommand(),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		_ = store.Close()
	}()
	<-store.Ready()
	p := parse.New(parse.Options{})
	took := time.Duration(0)
	var events []event.Event
	id := event.ID{}
	for _, body := range bodies {
		events = events[:0]
		for line := range bytes.Lines(body) {
			var e event.Event
			p.Parse(&parse.Record{Tenant: 1, Raw: string(bytes.TrimSpace(line)), Arrived: time.Now().UnixNano(), Source: "linux"}, &e)
			id.Index++
			e.ID, e.Tenant = id, 1
			events = append(events, e)
		}
		id.Seq++
		started := time.Now() // parsing is not the store's work
		if err := store.Append(ctx, events); err != nil {
			b.Fatal(err)
		}
		took += time.Since(started)
	}
	started := time.Now()
	if err := store.Sync(ctx); err != nil {
		b.Fatal(err)
	}
	took += time.Since(started)
	usage, err := store.Usage(ctx)
	if err != nil || usage.Rows != uint64(n) {
		b.Fatalf("%d rows are stored of %d events: %v", usage.Rows, n, err)
	}
	return took
}
