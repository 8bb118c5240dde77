package parse

import (
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// BenchmarkHost reads the first sample of each parser of hosts and daemons.
func BenchmarkHost(b *testing.B) {
	for _, c := range hostContents() {
		b.Run(c.Name, func(b *testing.B) {
			p := New(Options{})
			var e event.Event
			r := Record{Raw: c.Samples[0].Line, Arrived: arrival, Peer: "192.0.2.1"}
			b.SetBytes(int64(len(r.Raw)))
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(&r, &e)
			}
		})
	}
}
