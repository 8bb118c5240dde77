package detect

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// BenchmarkCorrelate measures what a match costs that a correlation of each type
// counts: ten thousand groups, none of which fires, an event a second of each group
// every ten seconds, a tenth of them late.
func BenchmarkCorrelate(b *testing.B) {
	for _, c := range []struct{ name, correlation string }{
		{"event_count", "type: event_count, CONDITION: {gte: 1000000}"},
		{"event_count at the end", "type: event_count, CONDITION: {lt: 0}"},
		{"value_count", "type: value_count, CONDITION: {field: v, gte: 1000000}"},
		{"value_sum", "type: value_sum, CONDITION: {field: v, gte: 1e15}"},
		{"value_percentile", "type: value_percentile, CONDITION: {field: v, percentile: 95, gte: 1e15}"},
		{"temporal", "type: temporal, rules: [a, b], group-by: [g], timespan: 5m"},
		{"temporal_ordered", "type: temporal_ordered, rules: [b, a], group-by: [g], timespan: 5m"},
	} {
		b.Run(c.name, func(b *testing.B) {
			set := mustCompile(b, threeBases+"title: K\nid: k\ncorrelation: {"+conditioned(c.correlation, "rules: [a], group-by: [g], timespan: 5m, condition")+"}\n")
			x := newEngine(set)
			events := make([]event.Event, 100_000)
			hits := make([][]Hit, len(events))
			for i := range events {
				e := &events[i]
				e.Tenant, e.ID = 1, event.ID{Index: uint32(i)}
				for _, f := range [][2]string{{"source", "x"}, {"kind", "a"}, {"g", strconv.Itoa(i % 10_000)}, {"v", strconv.Itoa(i % 7)}, {"user", "root"}, {"host", fmt.Sprint("web", i%50)}} {
					e.Add(f[0], f[1])
				}
				hits[i] = x.matcher.Match(e, nil)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				e := &events[i%len(events)]
				e.Arrived = int64(i) * 1e6
				if e.Time = e.Arrived; i%10 == 0 {
					e.Time -= 300 * 1e9
				}
				x.detector.Apply(e, hits[i%len(events)], nil)
				if i%1000 == 0 {
					x.end()
				}
			}
		})
	}
}

// BenchmarkLate measures the worst that a match can cost: all come in reverse order
// into one group, which is as full as it may be and does not fire.
func BenchmarkLate(b *testing.B) {
	for _, c := range []struct{ name, correlation string }{
		{"event_count", "type: event_count, CONDITION: {gte: 1000000}"},
		{"value_count", "type: value_count, CONDITION: {field: v, gte: 1000000}"},
		{"value_median", "type: value_median, CONDITION: {field: n, gte: 1e15}"},
		{"temporal_ordered", "type: temporal_ordered, rules: [b, a], group-by: [g], timespan: 5m"},
		{"temporal_ordered counts", "type: temporal_ordered, rules: [b, c, a], group-by: [g], timespan: 5m, condition: {gte: 2}"},
	} {
		b.Run(c.name, func(b *testing.B) {
			set := mustCompile(b, threeBases+"title: K\nid: k\ncorrelation: {"+conditioned(c.correlation, "rules: [a], group-by: [g], timespan: 5m, condition")+"}\n")
			x := newEngine(set)
			var e event.Event
			e.Tenant = 1
			for _, f := range [][2]string{{"source", "x"}, {"kind", "a"}, {"g", "one"}, {"v", "x"}, {"n", "0"}} {
				e.Add(f[0], f[1])
			}
			hits := x.matcher.Match(&e, nil)
			apply := func(at int64) {
				e.Time, e.Fields[4].Value = at, strconv.FormatInt(at%10_000, 10)
				x.detector.Apply(&e, hits, nil)
			}
			for i := range int64(5000) {
				apply(i * 50e6)
			}
			b.ResetTimer()
			for i := range b.N {
				apply(200e9 - int64(i%100_000)*1e6)
			}
		})
	}
}
