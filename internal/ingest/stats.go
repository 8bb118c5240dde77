package ingest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/kyra-mdr/kyra/internal/queue"
)

// The inputs, as queue.Chunk.Input names them.
const (
	InputHTTP      = "http"
	InputSyslogUDP = "syslog-udp"
	InputSyslogTCP = "syslog-tcp"
	InputSyslogTLS = "syslog-tls"
)

// InputStats counts what one input did since the start.
type InputStats struct {
	Input    string
	Records  int64            // appended to the queue
	Bytes    int64            // of these records
	Cut      int64            // of these records, over the length limit
	Rejected map[string]int64 // records that were refused and whose sender was told, by reason
	Dropped  map[string]int64 // records that are lost, by reason
	Waits    map[string]int64 // times that a sender was held back, by reason
	Resyncs  int64            // wrong octet counts
	Open     int64            // connections or uploads now
	Closed   map[string]int64 // connections that were closed on the sender, by reason
}

type stats struct {
	mu     sync.Mutex
	inputs map[string]*counters
}

type counters struct {
	mu sync.Mutex
	s  InputStats
}

// Stats returns the counts of every input that was used, by name.
func (g *Gate) Stats() []InputStats {
	g.stats.mu.Lock()
	defer g.stats.mu.Unlock()
	var all []InputStats
	for _, in := range g.stats.inputs {
		in.mu.Lock()
		s := in.s
		for _, m := range []*map[string]int64{&s.Rejected, &s.Dropped, &s.Waits, &s.Closed} {
			*m = maps.Clone(*m)
		}
		in.mu.Unlock()
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b InputStats) int { return cmp.Compare(a.Input, b.Input) })
	return all
}

// WriteMetrics writes the counts in the text format of Prometheus.
func (g *Gate) WriteMetrics(w io.Writer) {
	var out []byte
	for _, s := range g.Stats() {
		out = fmt.Appendf(out, "kyra_ingest_records_total{input=%q} %d\n", s.Input, s.Records)
		out = fmt.Appendf(out, "kyra_ingest_bytes_total{input=%q} %d\n", s.Input, s.Bytes)
		out = fmt.Appendf(out, "kyra_ingest_cut_total{input=%q} %d\n", s.Input, s.Cut)
		out = fmt.Appendf(out, "kyra_ingest_resyncs_total{input=%q} %d\n", s.Input, s.Resyncs)
		out = fmt.Appendf(out, "kyra_ingest_open{input=%q} %d\n", s.Input, s.Open)
		for _, by := range []struct {
			name    string
			reasons map[string]int64
		}{{"rejected", s.Rejected}, {"dropped", s.Dropped}, {"waits", s.Waits}, {"closed", s.Closed}} {
			for _, reason := range slices.Sorted(maps.Keys(by.reasons)) {
				out = fmt.Appendf(out, "kyra_ingest_%s_total{input=%q,reason=%q} %d\n", by.name, s.Input, reason, by.reasons[reason])
			}
		}
	}
	_, _ = w.Write(out) // a scraper that left wants no metrics
}

func (s *stats) of(input string) *counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inputs == nil {
		s.inputs = make(map[string]*counters)
	}
	in := s.inputs[input]
	if in == nil {
		in = &counters{s: InputStats{
			Input: input, Rejected: map[string]int64{}, Dropped: map[string]int64{},
			Waits: map[string]int64{}, Closed: map[string]int64{},
		}}
		s.inputs[input] = in
	}
	return in
}

func (c *counters) with(f func(s *InputStats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.s)
}

func (c *counters) took(chunk *queue.Chunk) {
	var bytes int64
	for _, r := range chunk.Records {
		bytes += int64(len(r))
	}
	c.with(func(s *InputStats) {
		s.Records += int64(len(chunk.Records))
		s.Bytes += bytes
		s.Cut += int64(len(chunk.Cut))
	})
}

func (c *counters) reject(reason string, n int) {
	if n == 0 {
		return
	}
	c.with(func(s *InputStats) { s.Rejected[reason] += int64(n) })
}

func (c *counters) drop(reason string, n int) {
	c.with(func(s *InputStats) { s.Dropped[reason] += int64(n) })
}
func (c *counters) waited(reason string) { c.with(func(s *InputStats) { s.Waits[reason]++ }) }
func (c *counters) closed(reason string) { c.with(func(s *InputStats) { s.Closed[reason]++ }) }
func (c *counters) opened(n int64)       { c.with(func(s *InputStats) { s.Open += n }) }
func (c *counters) resynced(n int64)     { c.with(func(s *InputStats) { s.Resyncs += n }) }
